//! Changes `project.toml`. One process writes at a time, and no change of another is lost.

use std::path::Path;
use std::sync::Arc;

use anon_model::settings::{Effect, FROZEN, KeyDoc, Value};
use anon_model::{Counts, ProjectSettings};
use anon_script::Rules;
use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform;
use crate::project::lock::Lock;
use crate::project::open_project::{self, NewRules};
use crate::project::record::SettingsChange;
use crate::project::settings::{self, Missing};
use crate::project::{Project, accepted, rules};
use crate::signal::Signals;
use crate::work::control::{Request, Response};
use crate::work::{Job, run_or_hand_over};

/// How often to repeat a change because another one came first.
const ATTEMPTS: u32 = 10;

/// A change that was made.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) before: String,
    pub(crate) after: String,
    /// True if another process holds the project, and made the change.
    pub(crate) beside_holder: bool,
}

impl Changed {
    /// When the changes take effect in a process that holds the project: the latest of their keys.
    /// `None` if no key was changed.
    ///
    /// # Errors
    /// If the settings after the change are not valid.
    pub(crate) fn effect(&self) -> anyhow::Result<Option<Effect>> {
        let after = settings::parse(&self.after)?;
        let before = settings::parse(&self.before).ok();
        let effects = settings::keys(&after).into_iter().filter_map(|key| {
            let was = before.as_ref().and_then(|before| before.get(&key).ok());
            let is = after.get(&key).ok();
            let doc = KeyDoc::of(&key).filter(|_| was != is)?;
            Some(match (was.flatten(), is.flatten()) {
                (Some(Value::List(was)), Some(Value::List(is)))
                    if is.iter().all(|item| was.contains(item)) =>
                {
                    doc.effect_of_removal
                }
                _ => doc.effect,
            })
        });
        Ok(effects.max())
    }
}

/// Changes the settings of a project, here or by the process that holds it.
///
/// `make` makes the change from the text of `project.toml`. It is called again if the file was
/// changed meanwhile.
///
/// # Errors
/// If `make` fails; if the change is not allowed; if the project stays in use by a process that
/// takes no requests.
pub(crate) fn change(
    project: &Project,
    signals: &Signals,
    mut make: impl FnMut(&str) -> anyhow::Result<SettingsChange>,
) -> anyhow::Result<Changed> {
    for _ in 0..ATTEMPTS {
        let mut job = ChangeJob {
            project,
            change: make(&settings::read(project)?)?,
            beside_holder: true,
        };
        if run_or_hand_over(project, signals, &mut job)? {
            return Ok(Changed {
                before: job.change.before,
                after: job.change.after,
                beside_holder: job.beside_holder,
            });
        }
    }
    Err(Failure::cannot_run(
        "project.toml was changed by others again and again: run the command again",
    ))
}

struct ChangeJob<'p> {
    project: &'p Project,
    change: SettingsChange,
    beside_holder: bool,
}

impl Job for ChangeJob<'_> {
    /// False if `project.toml` was changed meanwhile.
    type Output = bool;

    fn request(&self) -> Request {
        Request::Settings(Box::new(self.change.clone()))
    }

    fn run(&mut self, _lock: Lock) -> anyhow::Result<bool> {
        self.beside_holder = false;
        apply(self.project, &self.change)
    }

    fn on_response(&mut self, _: Response) {}

    fn output(response: Response) -> Option<bool> {
        match response {
            Response::SettingsWritten(written) => Some(written),
            _ => None,
        }
    }
}

/// Makes a change in a project that this process has locked and not opened.
fn apply(project: &Project, change: &SettingsChange) -> anyhow::Result<bool> {
    if !is_current(project, change)? {
        return Ok(false);
    }
    if let Some((key, before)) = frozen_key(change)
        && project.lookup_file().exists()
    {
        begin_lookups_anew(project, &before, key)?;
    }
    let after = write(project, change)?;
    if change.accept_rules && project.lookup_file().exists() {
        let rules = rules::of_project(project, &after)?;
        let secret = settings::secret(project, &after, Missing::Refuse)?;
        let lookups = open_project::open_lookups(project, &after, secret.as_ref())?;
        open_project::check_rules(&*lookups, &*rules, NewRules::Accept)?;
        lookups.close()?;
    }
    Ok(true)
}

/// Makes a change in a project that this process has open. Returns the rules to accept when the
/// project is closed: until then objects are made with the old ones.
///
/// # Errors
/// If the change is of a key that pseudonyms are made with.
pub(crate) fn apply_while_open(
    project: &Project,
    change: &SettingsChange,
) -> anyhow::Result<(bool, Option<Arc<dyn Rules>>)> {
    if !is_current(project, change)? {
        return Ok((false, None));
    }
    if let Some((key, _)) = frozen_key(change) {
        return Err(Failure::configuration(format!(
            "{key} decides which pseudonyms are given, and process {} gives them now: end it first",
            std::process::id()
        )));
    }
    let after = write(project, change)?;
    let rules = if change.accept_rules {
        Some(rules::of_project(project, &after)?)
    } else {
        None
    };
    Ok((true, rules))
}

fn is_current(project: &Project, change: &SettingsChange) -> anyhow::Result<bool> {
    Ok(settings::read(project)? == change.before)
}

/// The first changed key that pseudonyms are made with, and the settings before. `None` if the
/// settings before were not valid: there is nothing to compare with.
fn frozen_key(change: &SettingsChange) -> Option<(&'static str, ProjectSettings)> {
    let before = settings::parse(&change.before).ok()?;
    let after = settings::parse(&change.after).ok()?;
    let key = FROZEN
        .iter()
        .find(|key| before.get(key).ok() != after.get(key).ok())?;
    Some((key, before))
}

/// Writes the script, then the settings, then makes a secret if they need one.
fn write(project: &Project, change: &SettingsChange) -> anyhow::Result<ProjectSettings> {
    let after = settings::parse(&change.after)?;
    if let Some(script) = &change.script {
        rules::write_copy(project, script)?;
    }
    if change.after != change.before {
        let before = settings::parse(&change.before).ok();
        accepted::accept_change(project, before.as_ref(), &after)?;
        settings::write(project, &change.after)?;
    }
    settings::secret(project, &after, Missing::Make)?;
    Ok(after)
}

/// Removes the lookup store, which was made with the old value of `key`, if it holds nothing.
fn begin_lookups_anew(
    project: &Project,
    before: &ProjectSettings,
    key: &str,
) -> anyhow::Result<()> {
    let secret = settings::secret(project, before, Missing::Refuse)?;
    let lookups = open_project::open_lookups(project, before, secret.as_ref())?;
    let is_used = lookups.is_frozen()? || lookups.counts()? != Counts::default();
    lookups.close()?;
    if is_used {
        return Err(Failure::configuration(format!(
            "{key} is frozen: pseudonyms were made with it; for another {key} create a new project \
             with the other settings:\n  anon init NEW --from {}",
            platform::shell_quoted(&project.root().to_string_lossy())
        )));
    }
    // The mark first: a store without a mark opens, a mark without a store is refused.
    for file in [project.mark_file(), project.lookup_file()] {
        std::fs::remove_file(file).context("cannot begin with a new lookup store")?;
    }
    Ok(())
}

/// The change to another script: a name that is built in, or a file. Its rules are accepted.
///
/// # Errors
/// If the script is refused.
pub(crate) fn change_script(before: &str, word: &str) -> anyhow::Result<SettingsChange> {
    let settings_before = settings::parse(before)?;
    let mut after = settings_before.clone();
    let script = if rules::is_builtin(word) {
        word.clone_into(&mut after.script);
        None
    } else {
        rules::COPY.clone_into(&mut after.script);
        rules::of_file(Path::new(word), settings_before.dialect)?;
        Some(rules::read(Path::new(word))?)
    };
    Ok(SettingsChange {
        before: before.to_owned(),
        after: crate::project::document::changed(before, &settings_before, &after)?,
        script,
        accept_rules: true,
    })
}

/// The change to another profile, or with an empty name back to the script. Its rules are accepted.
///
/// # Errors
/// If there is no such profile.
pub(crate) fn change_profile(before: &str, word: &str) -> anyhow::Result<SettingsChange> {
    let settings_before = settings::parse(before)?;
    let mut after = settings_before.clone();
    after.profile = match word {
        "" => None,
        name => Some(rules::profile(name)?.name().to_owned()),
    };
    Ok(SettingsChange {
        before: before.to_owned(),
        after: crate::project::document::changed(before, &settings_before, &after)?,
        script: None,
        accept_rules: true,
    })
}
