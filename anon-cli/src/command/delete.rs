//! `anon delete`: deletes the files and lookups of a patient or a study, all or nothing.

use anon_model::ProjectSettings;
use serde::Serialize;

use crate::args::Delete;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::project::Project;
use crate::project::lock::Lock;
use crate::project::record::{Deleted, Target};
use crate::work::control::{Request, Response};
use crate::work::{Job, delete, run_or_hand_over};
use crate::{log, report};

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    #[serde(flatten)]
    deleted: Deleted,
}

pub(crate) fn run(context: &Context<'_>, args: &Delete) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = context.settings(&project)?;
    project.check_access()?;
    log::start(&project, &settings.log, &context.global)?;
    let target = match (&args.patient, &args.study) {
        (Some(patient), _) => Target::Patient(patient.clone()),
        (None, study) => Target::Study(study.clone().unwrap_or_default()),
    };
    let mut deletion = Deletion {
        project: &project,
        settings: &settings,
        target,
    };
    let deleted = run_or_hand_over(&project, &context.signals, &mut deletion)?;
    if deleted.is_none() {
        let list = match &args.patient {
            Some(_) => "patients",
            None => "studies",
        };
        context.report.info(&format!(
            "this project has no such patient or study; to see its anonymous ids:\n  anon {list}"
        ));
    }
    print(context, deleted.unwrap_or_default())?;
    Ok(match deleted {
        Some(_) => ExitStatus::Done,
        None => ExitStatus::Partial,
    })
}

struct Deletion<'p> {
    project: &'p Project,
    settings: &'p ProjectSettings,
    target: Target,
}

impl Job for Deletion<'_> {
    type Output = Option<Deleted>;

    fn request(&self) -> Request {
        Request::Delete(self.target.clone())
    }

    fn run(&mut self, _lock: Lock) -> anyhow::Result<Option<Deleted>> {
        delete::delete(self.project, self.settings, &self.target)
    }

    fn on_response(&mut self, _: Response) {}

    fn output(response: Response) -> Option<Option<Deleted>> {
        match response {
            Response::Deleted(deleted) => Some(deleted),
            _ => None,
        }
    }
}

fn print(context: &Context<'_>, deleted: Deleted) -> anyhow::Result<()> {
    context.report.summary(&Summary {
        event: "summary",
        command: "delete",
        deleted,
    })?;
    context.report.line(&format!(
        "deleted {} with {}, {}",
        report::counted(deleted.studies, "study"),
        report::counted(deleted.instances, "instance"),
        report::bytes(deleted.bytes)
    ))
}
