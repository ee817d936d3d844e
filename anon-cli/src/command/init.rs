//! `anon init`: creates a project.

use std::path::Path;

use serde::Serialize;

use crate::args::Init;
use crate::command::{Context, new_project};
use crate::exit::{ExitStatus, Failure};
use crate::platform;
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
    let project = match &args.dir {
        Some(dir) => Project::at(dir)?,
        None => project(context.project())?,
    };
    if project.exists() {
        return Err(Failure::configuration(format!(
            "{} already holds a project; its settings:\n  anon -p {} config get",
            project.root().display(),
            platform::shell_quoted(&project.root().to_string_lossy())
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

/// Returns the project to create where no directory is given: the one that is named, else that of the
/// environment, else the working directory.
pub(super) fn project(named: Option<&Path>) -> anyhow::Result<Project> {
    if let Some(dir) = named {
        return Project::at(dir);
    }
    match std::env::var_os("ANON_PROJECT").filter(|dir| !dir.is_empty()) {
        Some(dir) => Project::at(Path::new(&dir)),
        None => Project::at(Path::new(".")),
    }
}
