//! The exceptions of a user: projects whose directory others may write. `anon/trust.toml` in the
//! directory of the user's settings, so that nobody else can make one.
//!
//! ```text
//! version = 1
//! [project]
//! "/data/trial" = "group"
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::exit::Failure;
use crate::platform::files::{self, Readers};
use crate::platform::{self, owner};

const VERSION: i64 = 1;

/// What a user trusts others to do with a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The group of the directory may change it, and its settings may belong to other users. `private/`
    /// belongs to this user alone all the same.
    Group,
    /// For the account that only exports: the project belongs to another user. For the owner: the
    /// journals of exports may be written by another account.
    Export,
}

impl Trust {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Export => "export",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Group, Self::Export]
            .into_iter()
            .find(|trust| trust.name() == name)
    }
}

/// Returns the file of this user. `None` if the user has no directory for settings.
fn file() -> Option<PathBuf> {
    Some(platform::config_directory()?.join("anon/trust.toml"))
}

/// Returns the exception for the project at `root`, if this user has made one.
///
/// # Errors
/// If the file cannot be used, or others can write it.
pub(crate) fn of(root: &Path) -> anyhow::Result<Option<Trust>> {
    let Some(file) = file() else {
        return Ok(None);
    };
    let Some(document) = read(&file)? else {
        return Ok(None);
    };
    let Some(named) = document
        .get("project")
        .and_then(|projects| projects.get(&*root.to_string_lossy()))
    else {
        return Ok(None);
    };
    let trust = named.as_str().and_then(Trust::of_name);
    trust.map(Some).ok_or_else(|| {
        Failure::configuration(format!(
            "{} names a trust other than group and export",
            file.display()
        ))
    })
}

/// Makes or ends the exception for the project at `root`. Returns the file.
///
/// # Errors
/// If the file cannot be read or written.
pub(crate) fn set(root: &Path, trust: Option<Trust>) -> anyhow::Result<PathBuf> {
    let file = file().ok_or_else(|| {
        Failure::cannot_run("there is no directory for the settings of this user: set HOME")
    })?;
    let mut document = read(&file)?.ok_or_else(|| {
        Failure::cannot_run(format!(
            "{} belongs to another user: set HOME",
            file.display()
        ))
    })?;
    document.insert("version", value(VERSION));
    let projects = document
        .entry("project")
        .or_insert_with(|| Item::Table(Table::new()));
    let root = root.to_string_lossy();
    match (projects.as_table_like_mut(), trust) {
        (Some(projects), Some(trust)) => drop(projects.insert(&root, value(trust.name()))),
        (Some(projects), None) => drop(projects.remove(&root)),
        (None, _) => return Err(Failure::configuration(unreadable(&file))),
    }
    let cannot = || Failure::CannotRun(format!("cannot write {}", file.display()));
    if let Some(directory) = file.parent().filter(|directory| !directory.is_dir()) {
        platform::own_directory(directory).with_context(cannot)?;
    }
    files::replace(&file, document.to_string().as_bytes(), Readers::Owner).with_context(cannot)?;
    Ok(file)
}

/// Reads the file. A missing one is empty. `None` if it belongs to another user, as with `sudo -E`: it
/// makes no exceptions for this one.
fn read(file: &Path) -> anyhow::Result<Option<DocumentMut>> {
    let cannot = || Failure::CannotRun(format!("cannot read {}", file.display()));
    let file = match owner::real_path(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(DocumentMut::new()));
        }
        file => file.with_context(cannot)?,
    };
    if let Some(access) = platform::access(&file).with_context(cannot)? {
        if access.owner != platform::user() {
            return Ok(None);
        }
        if access.others & 0o022 != 0 {
            return Err(Failure::cannot_run(format!(
                "{} can be written by others; look at it, then run:\n  chmod go-w {}",
                file.display(),
                platform::shell_quoted(&file.to_string_lossy())
            )));
        }
    }
    let text = fs::read_to_string(&file).with_context(cannot)?;
    let document: DocumentMut = text
        .parse()
        .with_context(|| Failure::Configuration(unreadable(&file)))?;
    match document.get("version").and_then(Item::as_integer) {
        Some(VERSION) => Ok(Some(document)),
        _ => Err(Failure::configuration(format!(
            "{}: its version is not {VERSION}; a newer version of this program may have written it",
            file.display()
        ))),
    }
}

fn unreadable(file: &Path) -> String {
    format!("cannot understand {}", file.display())
}
