//! `private/settings.json`: the settings that decide what is let through and where objects go, as they
//! were last accepted. A change of `project.toml` that was made outside `anon config` is refused until it
//! is accepted once: it may come from an older copy, or from someone else who can write the directory.
//!
//! ```text
//! {"version":1,"accepted":{"burned_in":"accept","s3.endpoint":"https://s3.example.org"}}
//! ```
//!
//! Settings with their default are left out.
//!
//! The rules are not among them: the lookup store records which rules were accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use anon_model::ProjectSettings;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::platform::files;
use crate::platform::shell_quoted;
use crate::project::settings;
use crate::project::{Privacy, Project, write_file};

const VERSION: u32 = 1;

/// Keys that are watched, and groups of them, which end with a dot.
const WATCHED: [&str; 12] = [
    "burned_in",
    "export.journal",
    "node.",
    "public_dir",
    "s3.",
    "scp.allow_calling",
    "scp.allow_peers",
    "scp.bind",
    "scp.check_called",
    "scp.open",
    "scp.tls",
    "tls.",
];

/// Values by key.
type Values = BTreeMap<String, String>;

#[derive(Debug, Serialize, Deserialize)]
struct Accepted {
    version: u32,
    accepted: Values,
}

/// How the settings compare with those that were accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is recorded: an earlier version made the project, or `private/` is closed to this account.
    Unrecorded,
    /// They are those that were accepted.
    Accepted,
    /// These keys were changed.
    Changed(Vec<String>),
}

/// Reads the settings of a project, and refuses changes that were not accepted. Returns true with them if
/// they were taken over just now, because none were recorded.
///
/// # Errors
/// If they were changed outside `anon config`; if a file cannot be read or written.
pub(crate) fn load(project: &Project) -> anyhow::Result<(ProjectSettings, bool)> {
    let settings = settings::load(project)?;
    match standing(project, &settings)? {
        Standing::Accepted => Ok((settings, false)),
        Standing::Unrecorded => {
            let is_open = std::fs::read_dir(project.private()).is_ok();
            if is_open {
                accept(project, &settings)?;
            }
            Ok((settings, is_open))
        }
        Standing::Changed(keys) => Err(Failure::configuration(format!(
            "project.toml was changed outside anon config: {}; look at what it says now, then accept it \
             once:\n  anon -p {} config accept",
            keys.join(", "),
            shell_quoted(&project.root().to_string_lossy())
        ))),
    }
}

/// Compares settings with those that were accepted.
///
/// # Errors
/// If the record cannot be used.
pub(crate) fn standing(project: &Project, settings: &ProjectSettings) -> anyhow::Result<Standing> {
    let Some(accepted) = read(project)? else {
        return Ok(Standing::Unrecorded);
    };
    let now = watched(settings);
    let keys: BTreeSet<_> = accepted.keys().chain(now.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| accepted.get(*key) != now.get(*key));
    let changed: Vec<String> = changed.cloned().collect();
    Ok(if changed.is_empty() {
        Standing::Accepted
    } else {
        Standing::Changed(changed)
    })
}

/// Accepts the settings as they are.
///
/// # Errors
/// If the record cannot be written.
pub(crate) fn accept(project: &Project, settings: &ProjectSettings) -> anyhow::Result<()> {
    write(project, watched(settings))
}

/// Accepts what `anon config` changes. Other changes stay as they are, accepted or not.
///
/// # Errors
/// If the record cannot be read or written.
pub(crate) fn accept_change(
    project: &Project,
    before: Option<&ProjectSettings>,
    after: &ProjectSettings,
) -> anyhow::Result<()> {
    let now = watched(after);
    let (Some(before), Some(mut accepted)) = (before.map(watched), read(project)?) else {
        return write(project, now);
    };
    let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    for key in keys {
        match now.get(key) {
            is if is == before.get(key) => {}
            Some(value) => drop(accepted.insert(key.clone(), value.clone())),
            None => drop(accepted.remove(key)),
        }
    }
    write(project, accepted)
}

/// Returns the watched settings that differ from the defaults.
fn watched(settings: &ProjectSettings) -> Values {
    let is_watched = |key: &str| {
        WATCHED.iter().any(|watched| {
            if watched.ends_with('.') {
                key.starts_with(watched)
            } else {
                key == *watched
            }
        })
    };
    // A later version may have other defaults.
    let defaults = ProjectSettings::new(settings.site_id.clone());
    let keys = settings::keys(settings).into_iter();
    let set = keys.filter(|key| is_watched(key)).filter_map(|key| {
        let value = settings.get(&key).ok()??;
        let is_default = defaults.get(&key).ok().flatten().as_ref() == Some(&value);
        (!is_default).then(|| (key, value.to_string()))
    });
    set.collect()
}

fn file(project: &Project) -> PathBuf {
    project.private().join("settings.json")
}

/// Reads the record. `None` if there is none, or this account cannot open `private/`.
fn read(project: &Project) -> anyhow::Result<Option<Values>> {
    let cannot = "cannot read private/settings.json";
    let bytes = match files::read_private(&file(project)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // An account that only exports.
        Err(_) if std::fs::read_dir(project.private()).is_err() => return Ok(None),
        Err(error) => return Err(error).context(Failure::CannotRun(cannot.into())),
    };
    let damaged = || {
        Failure::CannotRun(
            "private/settings.json is damaged: remove it, and look at project.toml".into(),
        )
    };
    let accepted: Accepted = serde_json::from_slice(&bytes).with_context(damaged)?;
    if accepted.version == VERSION {
        return Ok(Some(accepted.accepted));
    }
    Err(Failure::cannot_run(format!(
        "private/settings.json has version {}, and this program knows {VERSION}: use a newer version of \
         this program",
        accepted.version
    )))
}

fn write(project: &Project, accepted: Values) -> anyhow::Result<()> {
    let record = Accepted {
        version: VERSION,
        accepted,
    };
    write_file(
        &file(project),
        &serde_json::to_vec(&record)?,
        Privacy::Private,
    )
    .context(Failure::CannotRun(
        "cannot write private/settings.json".into(),
    ))
}

#[cfg(test)]
mod tests {
    use anon_model::settings::{KEYS, Value};

    use super::*;

    fn made() -> (tempfile::TempDir, Project, ProjectSettings) {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::at(dir.path()).unwrap();
        project.make_directories(&project.public(None)).unwrap();
        let settings = ProjectSettings::new("7".parse().unwrap());
        (dir, project, settings)
    }

    fn with(settings: &ProjectSettings, key: &str, value: &str) -> ProjectSettings {
        let mut changed = settings.clone();
        changed.set(key, &Value::Text(value.into())).unwrap();
        changed
    }

    #[test]
    fn every_watched_key_is_a_setting() {
        for watched in WATCHED {
            let mut keys = KEYS.iter().map(|doc| doc.key);
            assert!(
                keys.any(|key| key == watched || watched.ends_with('.') && key.starts_with(watched)),
                "{watched}"
            );
        }
    }

    #[test]
    fn a_change_through_config_accepts_its_own_keys_alone() {
        let (_dir, project, settings) = made();
        accept(&project, &settings).unwrap();
        assert_eq!(standing(&project, &settings).unwrap(), Standing::Accepted);
        let by_hand = with(&settings, "burned_in", "accept");
        let through_config = with(&by_hand, "s3.endpoint", "https://s3.example.org");
        accept_change(&project, Some(&by_hand), &through_config).unwrap();
        let changed = Standing::Changed(vec!["burned_in".into()]);
        assert_eq!(standing(&project, &through_config).unwrap(), changed);
        accept(&project, &through_config).unwrap();
        let standing_now = standing(&project, &through_config).unwrap();
        assert_eq!(standing_now, Standing::Accepted);
    }

    #[test]
    fn a_newer_record_is_refused() {
        let (_dir, project, settings) = made();
        let newer = br#"{"version":2,"accepted":{}}"#;
        write_file(&file(&project), newer, Privacy::Private).unwrap();
        let error = standing(&project, &settings).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
        assert_eq!(crate::exit::code(&error), 4);
    }

    /// A record of version 1, as it was written first.
    #[test]
    fn a_record_of_version_1_is_read() {
        let (_dir, project, settings) = made();
        let text = br#"{"version":1,"accepted":{"burned_in":"accept"}}"#;
        write_file(&file(&project), text, Privacy::Private).unwrap();
        let Standing::Changed(keys) = standing(&project, &settings).unwrap() else {
            panic!("it differs");
        };
        assert!(keys.contains(&"burned_in".to_owned()), "{keys:?}");
    }
}
