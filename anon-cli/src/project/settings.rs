//! What `project.toml` means, and the project's secret.

use std::fs;
use std::io;

use anon_model::settings::{KEYS, file};
use anon_model::{ProjectSettings, Secret};
use anyhow::{Context, bail};

use crate::exit::Failure;
use crate::platform::files;
use crate::project::{Privacy, Project, write_file};

/// Reads and checks the settings of a project.
pub(crate) fn load(project: &Project) -> anyhow::Result<ProjectSettings> {
    let text = read(project)?;
    parse(&text)
}

/// The text of `project.toml`.
pub(crate) fn read(project: &Project) -> anyhow::Result<String> {
    fs::read_to_string(project.settings_file()).with_context(|| {
        Failure::Configuration(format!("cannot read {}", project.settings_file().display()))
    })
}

/// Parses a text of `project.toml`.
pub(crate) fn parse(text: &str) -> anyhow::Result<ProjectSettings> {
    file::parse(text).map_err(|error| Failure::configuration(format!("project.toml: {error}")))
}

/// Writes a text of `project.toml`.
pub(crate) fn write(project: &Project, text: &str) -> anyhow::Result<()> {
    write_file(&project.settings_file(), text.as_bytes(), Privacy::Public)
        .context("cannot write project.toml")
}

/// Returns the keys of all settings. `<name>` is replaced by each name in the settings.
pub(crate) fn keys(settings: &ProjectSettings) -> Vec<String> {
    let mut keys = Vec::new();
    for doc in KEYS {
        if !doc.key.contains("<name>") {
            keys.push(doc.key.to_owned());
        } else if doc.key.starts_with("node.") {
            keys.extend(
                settings
                    .nodes
                    .keys()
                    .map(|name| doc.key.replace("<name>", name)),
            );
        } else {
            let names = settings.log.targets.keys();
            keys.extend(names.map(|name| doc.key.replace("<name>", name)));
        }
    }
    keys
}

/// What to do if the settings need a secret that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make one. For commands that write.
    Make,
    /// Fail. For commands that read.
    Refuse,
}

/// Returns the secret of the project. `None` if the settings need none.
pub(crate) fn secret(
    project: &Project,
    settings: &ProjectSettings,
    missing: Missing,
) -> anyhow::Result<Option<Secret>> {
    if !settings.needs_secret() {
        return Ok(None);
    }
    let path = project.secret_file();
    match files::read_private(&path) {
        Ok(bytes) => match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) => Ok(Some(Secret::new(bytes))),
            Err(_) => Err(Failure::configuration(
                "private/secret.key does not hold 32 bytes: put it back from a copy",
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Make => {
            // A store with pseudonyms refuses a new secret: it holds a digest of the old one.
            let secret = Secret::random().context(Failure::CannotRun(
                "the system has no random numbers".into(),
            ))?;
            write_file(&path, secret.expose(), Privacy::Private)
                .context("cannot write private/secret.key")?;
            Ok(Some(secret))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(Failure::Configuration(
            "private/secret.key is not there: put it back from a copy".into()
        )),
        Err(error) => Err(anyhow::Error::new(error)
            .context(Failure::CannotRun("cannot read private/secret.key".into()))),
    }
}
