//! `anon config edit`: opens a copy in the user's editor, and uses it only if it is valid.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::{Summary, say_effect};
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::platform::{self, files};
use crate::project::record::SettingsChange;
use crate::project::{Project, rules, settings};
use crate::work::settings as work;

pub(super) fn run(context: &Context<'_>, project: &Project) -> anyhow::Result<ExitStatus> {
    let text = settings::read(project)?;
    let copy = project.root().join("project.toml.edit");
    let mut file = files::create_private(&copy).context("cannot copy project.toml")?;
    let copied = file.write_all(text.as_bytes());
    copied.context("cannot copy project.toml")?;
    drop(file);
    edit(&copy)?;
    let edited = fs::read_to_string(&copy).context("cannot read what was edited")?;
    // An editor may have put a new file in its place.
    platform::set_mode(&copy, 0o600).context("cannot change the mode of the copy")?;
    let written = work::change(project, &context.signals, |now| {
        change(project, &text, &edited, now)
    });
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            let aside = project.root().join("project.toml.rejected");
            fs::rename(&copy, &aside).context("cannot put aside what was edited")?;
            return Err(error.context(Failure::Configuration(format!(
                "project.toml is as it was; what was edited is in {}",
                aside.display()
            ))));
        }
    };
    fs::remove_file(&copy).context("cannot remove the copy")?;
    let changed = if edited == text {
        "unchanged"
    } else {
        "changed"
    };
    context.report.line(&format!("project.toml {changed}"))?;
    let mut summary = Summary::new("config edit", None, None);
    summary.effect = say_effect(context, &written)?;
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

/// The change to the text that was edited. Fails if the file is no longer the one that was copied.
fn change(
    project: &Project,
    copied: &str,
    edited: &str,
    now: &str,
) -> anyhow::Result<SettingsChange> {
    if now != copied {
        return Err(Failure::configuration(
            "project.toml was changed while it was edited",
        ));
    }
    rules::of_project(project, &settings::parse(edited)?)?;
    Ok(SettingsChange {
        before: copied.to_owned(),
        after: edited.to_owned(),
        script: None,
        accept_rules: false,
    })
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
