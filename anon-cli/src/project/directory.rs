//! [`Project`]: the directory of a project, the paths in it, and who has access.
//!
//! ```text
//! project.toml  anonymizer.script  public/  export/
//! private/      lookup.redb  secret.key  settings.json  lock  control.sock  audit.jsonl
//!               quarantine/  tmp/  spool/  logs/  phi_export/
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anon_model::settings::file;
use anyhow::Context;

use crate::exit::Failure;
use crate::platform::files::{self, Readers};
use crate::platform::{self, owner};
use crate::project::trust::{self, Foreign, Purpose};

/// The environment variable that names the project.
const VARIABLE: &str = "ANON_PROJECT";

/// The directory of a project, which V17 calls the *storage directory*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    root: PathBuf,
}

/// Whether `private/` may be on a network file system. Locks and durability then depend on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkFs {
    Refuse,
    Allow,
}

/// The directories in `private/` that are made with a project.
const DIRECTORIES: [&str; 5] = ["quarantine", "tmp", "spool", "logs", "phi_export"];

impl Project {
    /// Returns the project at a directory, which need not exist. Its directory is not checked.
    pub(crate) fn at(root: &Path) -> anyhow::Result<Self> {
        let root = std::path::absolute(root)
            .with_context(|| Failure::CannotRun("the working directory cannot be found".into()))?;
        Ok(Self { root })
    }

    /// Returns the project of the option, else that of the environment variable.
    fn named(option: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let root = option.map(Path::to_owned);
        let root = root.or_else(|| variable().map(PathBuf::from));
        root.map(|root| Self::at(&root)).transpose()
    }

    /// Returns the chosen project: the option, else the environment variable, else the nearest parent of
    /// the working directory that holds a project. `None` if none is named and none is found.
    ///
    /// # Errors
    /// If there is a project that cannot be trusted.
    pub(crate) fn found(option: Option<&Path>, purpose: Purpose) -> anyhow::Result<Option<Self>> {
        if let Some(project) = Self::named(option)? {
            return if project.exists() {
                project.trusted(purpose).map(Some)
            } else {
                Ok(Some(project))
            };
        }
        let here = std::env::current_dir().context(Failure::CannotRun(
            "the working directory cannot be found".into(),
        ))?;
        let Some(root) = here
            .ancestors()
            .find(|directory| directory.join(file::NAME).is_file())
        else {
            return Ok(None);
        };
        let project = Self { root: root.into() }.trusted(purpose);
        project
            .map(Some)
            .map_err(|error| match error.downcast::<Foreign>() {
                Ok(foreign) => foreign.found_above().into(),
                Err(error) => error,
            })
    }

    /// Returns the chosen project, as [`found`](Self::found) does. One that is named need not exist.
    ///
    /// # Errors
    /// If there is none, or it cannot be trusted.
    pub(crate) fn chosen(option: Option<&Path>, purpose: Purpose) -> anyhow::Result<Self> {
        Self::found(option, purpose)?.ok_or_else(|| {
            Failure::configuration(format!(
                "there is no project here or above: name one with -p DIR or {VARIABLE}, or \
                 create one here:\n  anon init"
            ))
        })
    }

    /// Returns the chosen project. It must exist.
    pub(crate) fn existing(option: Option<&Path>) -> anyhow::Result<Self> {
        Self::existing_for(option, Purpose::Any)
    }

    /// As [`existing`](Self::existing), for a command that may do less.
    pub(crate) fn existing_for(option: Option<&Path>, purpose: Purpose) -> anyhow::Result<Self> {
        Self::chosen(option, purpose)?.that_exists()
    }

    /// Returns the project that is named, else the working directory, without checking whether it can be
    /// trusted. It must exist.
    pub(crate) fn unchecked(option: Option<&Path>) -> anyhow::Result<Self> {
        let project = match Self::named(option)? {
            Some(project) => project,
            None => Self::at(Path::new("."))?,
        };
        let mut project = project.that_exists()?;
        project.root = owner::real_path(&project.root).context("cannot find the project")?;
        Ok(project)
    }

    fn that_exists(self) -> anyhow::Result<Self> {
        if self.exists() {
            return Ok(self);
        }
        Err(Failure::configuration(format!(
            "{} is not a project: it holds no project.toml; to create one there:\n  anon init",
            self.root.display()
        )))
    }

    /// Returns this project without symbolic links in its path, if its directory can be trusted.
    pub(crate) fn trusted(self, purpose: Purpose) -> anyhow::Result<Self> {
        let root = owner::real_path(&self.root).context("cannot find the project")?;
        trust::check(&root, purpose)?;
        let project = Self { root };
        if purpose == Purpose::Any && project.private().symlink_metadata().is_ok() {
            project.check_access()?;
        }
        Ok(project)
    }

    pub(crate) fn exists(&self) -> bool {
        self.settings_file().is_file()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn settings_file(&self) -> PathBuf {
        self.root.join(file::NAME)
    }

    /// Not in `private/`, so that whoever puts an older `private/` back does not put it back too.
    pub(crate) fn mark_file(&self) -> PathBuf {
        self.root.join("store.mark")
    }

    pub(crate) fn private(&self) -> PathBuf {
        self.root.join("private")
    }

    pub(crate) fn lookup_file(&self) -> PathBuf {
        self.private().join("lookup.redb")
    }

    pub(crate) fn secret_file(&self) -> PathBuf {
        self.private().join("secret.key")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.private().join("lock")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.private().join("control.sock")
    }

    pub(crate) fn audit_file(&self) -> PathBuf {
        self.private().join("audit.jsonl")
    }

    /// The id of the quarantine entry that is being accepted.
    pub(crate) fn accepting_file(&self) -> PathBuf {
        self.private().join("accepting")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.private().join("quarantine")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.private().join("tmp")
    }

    pub(crate) fn phi_export(&self) -> PathBuf {
        self.private().join("phi_export")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.private().join("logs")
    }

    /// The directory of the export journals: `export/`, or the one in the settings. It is not in
    /// `private/`, so that an account without access to the lookups can export.
    pub(crate) fn export_journal(&self, setting: Option<&str>) -> PathBuf {
        self.root.join(setting.unwrap_or("export"))
    }

    /// The directory of outputs: `public/`, or the one in the settings.
    pub(crate) fn public(&self, setting: Option<&str>) -> PathBuf {
        self.root.join(setting.unwrap_or("public"))
    }

    /// Creates the missing directories.
    pub(crate) fn make_directories(&self, public: &Path) -> anyhow::Result<()> {
        platform::own_directory(&self.root).context("cannot make the project's directory")?;
        let private = self.private();
        for directory in std::iter::once(private.clone())
            .chain(DIRECTORIES.iter().map(|name| private.join(name)))
        {
            if !directory.is_dir() {
                platform::private_directory(&directory)
                    .context("cannot make a directory in private/")?;
            }
        }
        fs::create_dir_all(public).context("cannot make the directory of outputs")
    }

    /// Refuses a `private/` that others can read or that belongs to another user. Others cannot reach
    /// anything below a directory of mode 0700, so only the entries of `private/` are checked.
    pub(crate) fn check_access(&self) -> anyhow::Result<()> {
        let private = self.private();
        check(&private)?;
        let entries = fs::read_dir(&private).context("cannot read private/")?;
        for entry in entries {
            check(&entry.context("cannot read private/")?.path())?;
        }
        Ok(())
    }

    /// Refuses a `private/` on a network file system, unless that is allowed.
    pub(crate) fn check_file_system(&self, network: NetworkFs) -> anyhow::Result<()> {
        self.check_file_system_by(network, platform::is_network)
    }

    fn check_file_system_by(
        &self,
        allowed: NetworkFs,
        is_network: impl FnOnce(&Path) -> io::Result<bool>,
    ) -> anyhow::Result<()> {
        let network = is_network(&self.private()).context("cannot look at private/")?;
        if network && allowed == NetworkFs::Refuse {
            return Err(Failure::cannot_run(
                "private/ lies on a network file system, where locks and durability are only as \
                 good as the server; move the project to a local disk (public/ may lie elsewhere: \
                 public_dir), or pass --allow-network-fs",
            ));
        }
        Ok(())
    }

    /// Refuses outputs on another file system than the temporary files: files are published by a
    /// rename, which works within one file system.
    pub(crate) fn check_same_file_system(&self, public: &Path) -> anyhow::Result<()> {
        match platform::same_file_system(&self.tmp(), public) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::cannot_run(format!(
                "{} lies on another file system than private/tmp: a file cannot be moved there in \
                 one step",
                public.display()
            ))),
            Err(error) => Err(anyhow::Error::new(error).context(Failure::CannotRun(
                "cannot look at the directory of outputs".into(),
            ))),
        }
    }
}

fn check(path: &Path) -> anyhow::Result<()> {
    let access = match platform::access(path) {
        Ok(Some(access)) => access,
        Ok(None) => return Ok(()),
        // Another command may remove its temporary file at any time.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.ends_with("private") => {
            return Ok(());
        }
        Err(error) => {
            return Err(
                anyhow::Error::new(error).context(format!("cannot look at {}", path.display()))
            );
        }
    };
    if access.is_link {
        return Err(Failure::cannot_run(format!(
            "{} is a symbolic link, which a project does not follow: put what it leads to in its place",
            path.display()
        )));
    }
    let user = platform::user();
    if access.owner != user {
        return Err(Failure::cannot_run(format!(
            "{} belongs to user {}, and this runs as user {user}: originals are for their owner \
             alone; run as that user, or hand the project over: chown -R {user} '{}'",
            path.display(),
            access.owner,
            path.display()
        )));
    }
    if access.others != 0 {
        let mode = if access.is_directory { "700" } else { "600" };
        return Err(Failure::cannot_run(format!(
            "{} can be reached by others: originals are for their owner alone; run: chmod {mode} '{}'",
            path.display(),
            path.display()
        )));
    }
    Ok(())
}

/// Replaces a file of the project. After a crash it holds either the old or the new content.
pub(crate) fn write_file(path: &Path, bytes: &[u8], private: Privacy) -> io::Result<()> {
    let readers = match private {
        Privacy::Private => Readers::Owner,
        Privacy::Public => Readers::All,
    };
    files::replace(path, bytes, readers)
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Only its owner.
    Private,
    /// Everyone whom the umask allows. Only its owner may write it.
    Public,
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn made() -> anyhow::Result<(tempfile::TempDir, Project)> {
        let dir = tempfile::tempdir()?;
        let project = Project::at(dir.path())?;
        project.make_directories(&project.public(None))?;
        Ok((dir, project))
    }

    #[test]
    fn what_is_made_is_private() {
        let (_dir, project) = made().unwrap();
        project.check_access().unwrap();
        assert_eq!(platform::access(&project.tmp()).unwrap().unwrap().others, 0);
    }

    #[test]
    fn looser_modes_are_refused_with_the_remedy() {
        let (_dir, project) = made().unwrap();
        platform::set_mode(&project.logs(), 0o750).unwrap();
        let error = project.check_access().unwrap_err().to_string();
        assert!(
            error.contains("chmod 700 '") && error.contains("logs"),
            "{error}"
        );
        platform::set_mode(&project.logs(), 0o700).unwrap();
        write_file(&project.audit_file(), b"", Privacy::Public).unwrap();
        platform::set_mode(&project.audit_file(), 0o640).unwrap();
        let error = project.check_access().unwrap_err();
        assert!(error.to_string().contains("chmod 600 '"), "{error}");
        assert_eq!(crate::exit::code(&error), 4);
    }

    #[test]
    fn a_network_file_system_is_taken_only_where_asked_for() {
        let (_dir, project) = made().unwrap();
        let (plain, allowed) = (NetworkFs::Refuse, NetworkFs::Allow);
        let error = project
            .check_file_system_by(plain, |path| Ok(path.ends_with("private")))
            .unwrap_err();
        assert!(error.to_string().contains("--allow-network-fs"), "{error}");
        assert_eq!(crate::exit::code(&error), 4);
        project.check_file_system_by(allowed, |_| Ok(true)).unwrap();
        project.check_file_system_by(plain, |_| Ok(false)).unwrap();
        let unknown = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        for network in [plain, allowed] {
            assert!(project.check_file_system_by(network, unknown).is_err());
        }
    }

    #[test]
    fn a_foreign_owner_is_refused_with_the_remedy() {
        if platform::user() != 0 {
            eprintln!("skipped: only root can give files away");
            return;
        }
        let (_dir, project) = made().unwrap();
        write_file(&project.audit_file(), b"", Privacy::Private).unwrap();
        for path in [project.audit_file(), project.logs(), project.private()] {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            let error = project.check_access().unwrap_err();
            let said = error.to_string();
            assert!(said.contains("belongs to user 12345"), "{said}");
            assert!(said.contains("chown -R 0 '"), "{said}");
            assert_eq!(crate::exit::code(&error), 4);
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
            project.check_access().unwrap();
        }
    }
}
