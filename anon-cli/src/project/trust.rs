//! Whether the directory of a project can be trusted: who owns it, and who can write it.
//!
//! Whoever can change `project.toml`, or put another directory in the place of the project, decides what
//! is removed from objects and where they are sent. So the directory, its settings, script and marks must
//! belong to the user who runs the command, and only that user may write them. The directories above may
//! also belong to the system, and others may write in one of them if it is sticky, such as `/tmp`.
//! [`exceptions`] are made by the user who runs the command, in a file of that user.
//!
//! Paths are checked without symbolic links. Nobody else can change a path between this check and its
//! use, because nobody else can write a directory on it.

pub(crate) mod exceptions;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use anon_model::settings::file;
use anyhow::Context as _;

use self::exceptions::Trust;
use crate::exit::Failure;
use crate::platform::{self, Access, owner, shell_quoted};

/// What a command does with a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Whatever the user may do.
    Any,
    /// Sends stored objects, which also an account can that has no access to `private/`.
    Export,
}

/// The project belongs to another user.
#[derive(Debug, thiserror::Error)]
#[error("{} belongs to {}, and this runs as {}", .path.display(), user_words(*.owner), user_words(platform::user()))]
pub(crate) struct Foreign {
    /// What belongs to the other user.
    path: PathBuf,
    root: PathBuf,
    owner: u32,
    purpose: Purpose,
    is_above: bool,
}

impl Foreign {
    /// Says that nobody named the project: it was found above the working directory.
    pub(crate) fn found_above(mut self) -> Self {
        self.is_above = true;
        self
    }

    /// Returns the error with what to do. `command` is the command line of this run.
    pub(crate) fn advised(&self, command: &str) -> anyhow::Error {
        let user = platform::user();
        let as_owner = match owner::user_name(self.owner) {
            Some(name) => format!("sudo -u {} {command}", shell_quoted(&name)),
            None => format!("sudo -u '#{}' {command}", self.owner),
        };
        let root = quoted(&self.root);
        let sudo = if user == 0 { "" } else { "sudo " };
        if self.is_above {
            return Failure::cannot_run(format!(
                "{self}: the project above the working directory is not taken; name one with -p DIR, or \
                 create one here:\n  anon init"
            ));
        }
        let mut text = format!(
            "{self}: only its owner can use a project; run as that user (a container: with \
             --user {}):\n  {as_owner}\nor hand the project over to {}:\n  {sudo}chown -R {user} {root}",
            self.owner,
            user_words(user)
        );
        if self.purpose == Purpose::Export {
            let _ = write!(
                text,
                "\nor, if this account is to export it:\n  anon -p {root} config trust export"
            );
        }
        Failure::cannot_run(text)
    }
}

/// Returns "user 1000 (jane)".
fn user_words(user: u32) -> String {
    match owner::user_name(user) {
        Some(name) => format!("user {user} ({name})"),
        None => format!("user {user}"),
    }
}

fn quoted(path: &Path) -> String {
    shell_quoted(&path.to_string_lossy())
}

/// The name of a script's copy in the project.
pub(crate) const SCRIPT: &str = "anonymizer.script";

/// The directory of the export journals.
const JOURNALS: &str = "export";

/// The entries of a project that are checked, besides `private/`, which has a stricter check.
const ENTRIES: [&str; 4] = [file::NAME, SCRIPT, "store.mark", JOURNALS];

/// Checks the directory of a project, which is a path without symbolic links.
///
/// # Errors
/// If others can write it, its settings, or a directory above; [`Foreign`] if it belongs to another
/// user. The error says what to do.
pub(crate) fn check(root: &Path, purpose: Purpose) -> anyhow::Result<()> {
    let Some(access) = look(root)? else {
        return Ok(());
    };
    let check = Check::new(root, purpose, access.owner)?;
    let mut too_wide = Vec::new();
    check.entry(root, access, &mut too_wide)?;
    for name in ENTRIES {
        let path = root.join(name);
        if let Some(access) = look(&path)? {
            check.entry(&path, access, &mut too_wide)?;
        }
    }
    check.none_too_wide(&too_wide)?;
    check.directories(root.ancestors().skip(1))
}

/// Checks where a project is about to be made: its directory if there is one, else the directories above.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_place(root: &Path) -> anyhow::Result<()> {
    let there = root.ancestors().find(|path| path.exists());
    let there = there.unwrap_or(Path::new("/"));
    let real = owner::real_path(there).with_context(|| cannot_look(there))?;
    if there == root {
        return check(&real, Purpose::Any);
    }
    Check::new(root, Purpose::Any, platform::user())?.directories(real.ancestors())
}

/// Checks a file that decides what is removed, such as a script that the settings name. It may also
/// belong to the system.
///
/// # Errors
/// As [`check`]. A missing file is not an error.
pub(crate) fn check_file(root: &Path, path: &Path) -> anyhow::Result<()> {
    let Ok(path) = owner::real_path(path) else {
        return Ok(());
    };
    let (Some(root_access), Some(mut access)) = (look(root)?, look(&path)?) else {
        return Ok(());
    };
    let check = Check::new(root, Purpose::Any, root_access.owner)?;
    if access.owner == 0 {
        access.owner = check.user;
    }
    let mut too_wide = Vec::new();
    check.entry(&path, access, &mut too_wide)?;
    check.none_too_wide(&too_wide)?;
    check.directories(path.ancestors().skip(1))
}

/// Returns owner and mode. `None` if there is no such file, or the system has no owners.
fn look(path: &Path) -> anyhow::Result<Option<Access>> {
    match platform::access(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        access => access.with_context(|| cannot_look(path)),
    }
}

fn cannot_look(path: &Path) -> Failure {
    Failure::CannotRun(format!("cannot look at {}", path.display()))
}

#[derive(Debug)]
struct Check<'r> {
    root: &'r Path,
    purpose: Purpose,
    /// The owner of the root.
    owner: u32,
    user: u32,
    trust: Option<Trust>,
}

impl<'r> Check<'r> {
    fn new(root: &'r Path, purpose: Purpose, owner: u32) -> anyhow::Result<Self> {
        Ok(Self {
            root,
            purpose,
            owner,
            user: platform::user(),
            trust: exceptions::of(root)?,
        })
    }

    /// Checks the root or an entry of it. Adds one that others can write to `too_wide`.
    fn entry(
        &self,
        path: &Path,
        access: Access,
        too_wide: &mut Vec<PathBuf>,
    ) -> anyhow::Result<()> {
        // Another account keeps its journals there.
        let is_shared = self.trust == Some(Trust::Export) && path == self.root.join(JOURNALS);
        let is_owner = access.owner == self.user
            || self.trust == Some(Trust::Group)
            || self.exports() && [self.owner, 0].contains(&access.owner)
            || is_shared;
        if !is_owner {
            return Err(Foreign {
                path: path.to_owned(),
                root: self.root.to_owned(),
                owner: access.owner,
                purpose: self.purpose,
                is_above: false,
            }
            .into());
        }
        if access.is_link {
            return Err(Failure::cannot_run(format!(
                "{} is a symbolic link, which a project does not follow there: put the file or \
                 directory itself in its place",
                path.display()
            )));
        }
        let shared = self.trust == Some(Trust::Group) || is_shared;
        let forbidden = if shared { 0o002 } else { 0o022 };
        if access.others & forbidden != 0 {
            too_wide.push(path.to_owned());
        }
        Ok(())
    }

    /// Whether this account only exports a project of another user.
    fn exports(&self) -> bool {
        self.purpose == Purpose::Export && self.trust == Some(Trust::Export)
    }

    /// Checks directories, from the innermost to the home directory of the user, or to the root of the
    /// system.
    fn directories<'p>(&self, paths: impl Iterator<Item = &'p Path>) -> anyhow::Result<()> {
        let home = owner::home();
        for path in paths {
            self.directory(path)?;
            if home.as_deref() == Some(path) {
                break;
            }
        }
        Ok(())
    }

    /// Checks a directory above: others than its owner must not be able to replace its entries.
    fn directory(&self, path: &Path) -> anyhow::Result<()> {
        let Some(access) = look(path)? else {
            return Ok(());
        };
        let is_system = access.owner == 0 || Some(access.owner) == system_user()?;
        // In a container, root works in a mounted directory of somebody. What is root's own in it was
        // checked as such.
        let is_owner = access.owner == self.user
            || self.user == 0
            || is_system
            || self.trust == Some(Trust::Group)
            || self.exports() && access.owner == self.owner;
        // The group of a user alone, and the group of the system: nobody else is in them.
        let is_own_group = access.group == 0 || access.group == access.owner;
        let forbidden = if is_own_group || self.trust == Some(Trust::Group) {
            0o002
        } else {
            0o022
        };
        let is_tight = access.is_sticky || access.others & forbidden == 0;
        if is_owner && is_tight {
            return Ok(());
        }
        Err(self.unsafe_directory(path, access))
    }

    fn unsafe_directory(&self, path: &Path, access: Access) -> anyhow::Error {
        let what = if access.others & 0o022 == 0 {
            format!("belongs to {}, who", user_words(access.owner))
        } else {
            "can be written by others, who".to_owned()
        };
        let root = quoted(self.root);
        let mut text = format!(
            "the directory {} {what} can put another project in the place of {}; ",
            path.display(),
            self.root.display()
        );
        if access.owner == self.user {
            let _ = write!(text, "run:\n  chmod go-w {}", quoted(path));
        } else {
            text += "move the project to a directory in which only you can write";
        }
        if access.others & 0o002 == 0 {
            let _ = write!(
                text,
                "\nor, if all of them may decide about this project:\n  anon -p {root} config trust group"
            );
        }
        Failure::cannot_run(text)
    }

    fn none_too_wide(&self, paths: &[PathBuf]) -> anyhow::Result<()> {
        let Some(first) = paths.first() else {
            return Ok(());
        };
        let words: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
        let words = words.join(" ");
        let mut text = format!(
            "{} can be written by others, who could change what is removed and where objects are \
             sent; run:\n  chmod go-w {}",
            first.display(),
            words
        );
        if self.trust != Some(Trust::Group) {
            let _ = write!(
                text,
                "\nor, if the group may decide about this project:\n  chmod o-w {}\n  anon -p {} \
                 config trust group",
                words,
                quoted(self.root)
            );
        }
        Err(Failure::cannot_run(text))
    }
}

/// Returns the owner of `/`. In a container without privileges, root of the machine has another number.
fn system_user() -> anyhow::Result<Option<u32>> {
    Ok(look(Path::new("/"))?.map(|access| access.owner))
}
