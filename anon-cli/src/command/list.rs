//! `anon list`: what can be chosen, and what the project takes.

use anon_model::modality::{MODALITIES, class_name, storage_classes, transfer_syntaxes};
use anon_model::settings::Selection;
use anon_model::{Modality, ProjectSettings};
use serde::Serialize;

use crate::args::List;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::recent::{self, RecentProject};
use crate::project::trust::Purpose;
use crate::project::{Project, settings};
use crate::report::{Report, Table, counted};

#[derive(Debug, Serialize)]
struct ModalityEvent<'m> {
    event: &'static str,
    code: &'m str,
    name: &'m str,
    /// UIDs of its storage classes.
    classes: Vec<String>,
    /// `None` without a project.
    accepted: Option<bool>,
}

#[derive(Debug, Serialize)]
struct UidEvent<'u> {
    event: &'static str,
    uid: &'u str,
    name: &'u str,
    /// The code of the modality, for a storage class.
    #[serde(skip_serializing_if = "Option::is_none")]
    modality: Option<&'static str>,
    /// `None` without a project.
    accepted: Option<bool>,
}

#[derive(Debug, Serialize)]
struct ProjectEvent {
    event: &'static str,
    #[serde(flatten)]
    project: RecentProject,
    /// `None` if the directory holds no project now.
    name: Option<String>,
    site_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    count: usize,
}

pub(crate) fn run(context: &Context<'_>, what: &List) -> anyhow::Result<ExitStatus> {
    log::start_without_file(&context.global)?;
    let report = context.report;
    let settings = match what {
        List::Projects => None,
        _ => chosen(context)?,
    };
    let settings = settings.as_ref();
    let (command, count) = match what {
        List::Modalities => ("list modalities", modalities(report, settings)?),
        List::StorageClasses => ("list storage-classes", classes(report, settings)?),
        List::TransferSyntaxes => ("list transfer-syntaxes", syntaxes(report, settings)?),
        List::Projects => ("list projects", projects(report)?),
    };
    report.summary(&Summary {
        event: "summary",
        command,
        count,
    })?;
    Ok(ExitStatus::Done)
}

/// Returns the settings of the project. `None` if no project is named and none is
/// found from the working directory.
fn chosen(context: &Context<'_>) -> anyhow::Result<Option<ProjectSettings>> {
    match Project::found(context.project(), Purpose::Any)? {
        Some(_) => settings::load(&Project::existing(context.project())?).map(Some),
        None => Ok(None),
    }
}

/// Returns the text of the column that says whether the project accepts it.
fn mark(accepted: Option<bool>) -> String {
    match accepted {
        Some(true) => "yes".to_owned(),
        Some(false) | None => String::new(),
    }
}

fn finish(
    report: &Report,
    mut table: Table,
    settings: Option<&ProjectSettings>,
    key: &str,
) -> anyhow::Result<()> {
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    if report.is_json() {
        return Ok(());
    }
    match settings {
        Some(_) => report.info(&format!(
            "to take another one:\n  anon config add {key} NAME"
        )),
        None => report.info("there is no project here: with -p DIR the list shows what it takes"),
    }
    Ok(())
}

fn modalities(report: &Report, settings: Option<&ProjectSettings>) -> anyhow::Result<usize> {
    let mut table = Table::new(&["code", "taken", "classes", "name"]);
    for modality in MODALITIES {
        let accepted = settings
            .as_ref()
            .map(|settings| match &settings.modalities {
                Selection::All => true,
                Selection::These(these) => these.iter().any(|it| it.code == modality.code),
            });
        let classes: Vec<String> = modality.classes().collect();
        let count = classes.len();
        report.json(&ModalityEvent {
            event: "modality",
            code: modality.code,
            name: modality.name,
            classes,
            accepted,
        })?;
        table.row([
            modality.code.to_owned(),
            mark(accepted),
            count.to_string(),
            modality.name.to_owned(),
        ]);
    }
    finish(report, table, settings, "modalities")?;
    Ok(MODALITIES.len())
}

fn classes(report: &Report, settings: Option<&ProjectSettings>) -> anyhow::Result<usize> {
    let mut table = Table::new(&["uid", "modality", "taken", "name"]);
    let accepted = settings.map(ProjectSettings::accepted_classes);
    // Vendors have classes of their own.
    let own = accepted.iter().flatten();
    let own = own.filter(|uid| class_name(uid).is_none());
    let own = own.map(|uid| (uid.as_str(), "not a standard storage class"));
    let mut count = 0;
    let mut classes: Vec<(&str, &str)> = storage_classes().collect();
    classes.extend(own);
    for (uid, name) in classes {
        count += 1;
        let is_accepted = accepted.as_ref().map(|all| all.iter().any(|it| it == uid));
        let modality = Modality::of_class(uid).map(|modality| modality.code);
        report.json(&UidEvent {
            event: "storage_class",
            uid,
            name,
            modality,
            accepted: is_accepted,
        })?;
        table.row([
            uid.to_owned(),
            modality.unwrap_or_default().to_owned(),
            mark(is_accepted),
            name.to_owned(),
        ]);
    }
    finish(report, table, settings, "storage_classes")?;
    Ok(count)
}

fn syntaxes(report: &Report, settings: Option<&ProjectSettings>) -> anyhow::Result<usize> {
    let mut table = Table::new(&["uid", "taken", "name"]);
    let mut count = 0;
    for (uid, name) in transfer_syntaxes() {
        count += 1;
        let accepted = settings
            .as_ref()
            .map(|settings| match &settings.transfer_syntaxes {
                Selection::All => true,
                Selection::These(these) => these.iter().any(|it| it.as_str() == uid),
            });
        report.json(&UidEvent {
            event: "transfer_syntax",
            uid,
            name,
            modality: None,
            accepted,
        })?;
        table.row([uid.to_owned(), mark(accepted), name.to_owned()]);
    }
    finish(report, table, settings, "transfer_syntaxes")?;
    Ok(count)
}

fn projects(report: &Report) -> anyhow::Result<usize> {
    let mut table = Table::new(&["name", "site id", "last used", "directory"]);
    let projects = recent::projects();
    let count = projects.len();
    for project in projects {
        let settings = Project::at(&project.directory)
            .and_then(|project| settings::load(&project))
            .ok();
        let event = ProjectEvent {
            event: "project",
            name: settings.as_ref().map(|settings| settings.name.clone()),
            site_id: settings.map(|settings| settings.site_id.to_string()),
            project,
        };
        report.json(&event)?;
        table.row([
            event.name.unwrap_or_else(|| "(not there)".to_owned()),
            event.site_id.unwrap_or_default(),
            event.project.used.replace('T', " ").replace('Z', ""),
            event.project.directory.display().to_string(),
        ]);
    }
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    report.line(&match count {
        0 => "no projects yet: anon init makes one".to_owned(),
        count => counted(count as u64, "project"),
    })?;
    Ok(count)
}
