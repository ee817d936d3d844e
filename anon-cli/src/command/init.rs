//! `anon init`: creates a project.

use std::path::Path;

use serde::Serialize;

use crate::args::Init;
use crate::command::{Context, new_project};
use crate::exit::{ExitStatus, Failure};
use crate::project::Project;

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    project: &'s Path,
    site_id: &'s str,
    script: &'s str,
}

pub(crate) fn run(context: &Context<'_>, args: &Init) -> anyhow::Result<ExitStatus> {
    let project = match (&args.dir, &context.global.project) {
        (Some(dir), _) | (None, Some(dir)) => Project::at(dir)?,
        (None, None) => match std::env::var_os("ANON_PROJECT").filter(|dir| !dir.is_empty()) {
            Some(dir) => Project::at(Path::new(&dir))?,
            None => Project::at(Path::new("."))?,
        },
    };
    if project.exists() {
        return Err(Failure::configuration(format!(
            "{} already holds a project: change its settings with anon config",
            project.root().display()
        )));
    }
    let settings = new_project::make(context, &project, &args.options)?;
    let report = context.report;
    report.summary(&Summary {
        event: "summary",
        command: "init",
        project: project.root(),
        site_id: settings.site_id.as_str(),
        script: &settings.script,
    })?;
    report.line(&format!(
        "created the project {} in {}, site id {}",
        settings.name,
        project.root().display(),
        settings.site_id
    ))?;
    Ok(ExitStatus::Done)
}
