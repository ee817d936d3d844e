//! `anon config edit`: the user's editor on a copy, which counts only if it is sound.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::{Summary, check_frozen};
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::platform;
use crate::project::Project;
use crate::project::rules;
use crate::project::settings::{self, Missing};

pub(super) fn run(context: &Context<'_>, project: &Project) -> anyhow::Result<ExitStatus> {
    let text = settings::read(project)?;
    let copy = project.root().join("project.toml.edit");
    fs::copy(project.settings_file(), &copy).context("cannot copy project.toml")?;
    edit(&copy)?;
    let edited = fs::read_to_string(&copy).context("cannot read what was edited")?;
    if let Err(error) = check(project, &text, &edited) {
        let aside = project.root().join("project.toml.rejected");
        fs::rename(&copy, &aside).context("cannot put aside what was edited")?;
        return Err(error.context(Failure::Configuration(format!(
            "project.toml is as it was; what was edited is in {}",
            aside.display()
        ))));
    }
    settings::write(project, &edited)?;
    fs::remove_file(&copy).context("cannot remove the copy")?;
    settings::secret(project, &settings::parse(&edited)?, Missing::Make)?;
    let changed = if edited == text {
        "unchanged"
    } else {
        "changed"
    };
    context.report.line(&format!("project.toml {changed}"))?;
    context
        .report
        .summary(&Summary::new("config edit", None, None))?;
    Ok(ExitStatus::Done)
}

fn check(project: &Project, before: &str, after: &str) -> anyhow::Result<()> {
    let after = settings::parse(after)?;
    // A file that is broken already is repaired here, and has no settings to compare with.
    if let Ok(before) = settings::parse(before) {
        check_frozen(project, &before, &after)?;
    }
    rules::of_project(project, &after).map(drop)
}

fn edit(copy: &Path) -> anyhow::Result<()> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|editor| !editor.trim().is_empty())
        .ok_or_else(|| Failure::configuration("set $EDITOR to the editor to use"))?;
    let status = platform::command(&editor).arg(copy).status();
    let ended = status.context(Failure::CannotRun(format!("cannot start {editor}")))?;
    if ended.success() {
        return Ok(());
    }
    Err(Failure::cannot_run(format!(
        "{editor} ended with an error; project.toml is as it was"
    )))
}
