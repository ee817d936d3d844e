//! [`make`]: makes a backup of a project, which may be in use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anon_model::disk::{Numbers, StoreMark};
use anon_model::{DiskStore, PhiIndex as _, ProjectSettings, Totals};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::backup::archive::{Archive, ArchiveWriter, Manifest};
use crate::project::lock::{Held, Lock};
use crate::project::mark;
use crate::project::settings::{self, Missing};
use crate::project::{Project, audit, open_project, rules};
use crate::{clock, platform};

/// Whether the quarantine is backed up. It holds whole originals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quarantined {
    Include,
    LeaveOut,
}

/// What is in a backup.
#[derive(Debug)]
pub(crate) struct Made {
    /// The length of the file.
    pub(crate) bytes: u64,
    pub(crate) totals: Totals,
    /// Destinations with a journal.
    pub(crate) destinations: u64,
    /// Entries of the quarantine.
    pub(crate) quarantined: u64,
    /// Entries of the quarantine that are not in it.
    pub(crate) quarantine_left_out: u64,
}

/// Makes a backup in a new file, checks it, and gives it its name only then.
///
/// # Errors
/// If the file cannot be one, or exists; if the lookup store is refused; if something cannot be read or
/// written. There is no file of this name then.
pub(crate) fn make(
    project: &Project,
    settings: &ProjectSettings,
    file: &Path,
    quarantined: Quarantined,
) -> anyhow::Result<Made> {
    let file = checked_target(project, settings, file)?;
    project.check_access()?;
    let (store, _) = open_project::look_at_store(project, settings)?;
    let work = WorkDirectory::take(project)?;
    let mut content = Content::new(project, settings, store.as_deref(), &work)?;
    audit::append(
        &project.audit_file(),
        "backup",
        content.made.totals.instances,
    )?;
    let fresh = with_suffix(&file, ".new");
    // A crash may have left it.
    remove_if_there(&fresh).context("cannot remove an unfinished backup")?;
    let written = content
        .write(&fresh, quarantined)
        .and_then(|()| publish(&fresh, &file));
    if let Err(error) = written {
        // The first error is reported.
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    Ok(content.made)
}

/// Returns the path of a backup: a name that is free, in a directory outside of the project.
fn checked_target(
    project: &Project,
    settings: &ProjectSettings,
    file: &Path,
) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    let file = std::path::absolute(file).context("the working directory cannot be found")?;
    match fs::symlink_metadata(&file) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Failure::cannot_run(format!(
                "{shown} is a directory: name a new file in it"
            )));
        }
        Ok(_) => {
            return Err(Failure::cannot_run(format!(
                "{shown} exists, and a backup overwrites nothing: name a new file"
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).context(Failure::CannotRun(format!("cannot look at {shown}")));
        }
    }
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(Failure::cannot_run(format!(
            "{shown} has no name of a file"
        )));
    };
    let parent = fs::canonicalize(parent)
        .with_context(|| Failure::CannotRun(format!("there is no directory for {shown}")))?;
    let public = project.public(settings.public_dir.as_deref());
    for inside in [project.root(), &public] {
        if fs::canonicalize(inside).is_ok_and(|inside| parent.starts_with(inside)) {
            return Err(Failure::cannot_run(format!(
                "{shown} is inside the project, and would be lost or handed over with it: name a file \
                 elsewhere"
            )));
        }
    }
    Ok(parent.join(name))
}

/// `private/backup/`, where one backup at a time makes its copy of the lookup store.
struct WorkDirectory {
    path: PathBuf,
    _lock: Lock,
}

impl WorkDirectory {
    fn take(project: &Project) -> anyhow::Result<Self> {
        let path = project.private().join("backup");
        if !path.is_dir() {
            platform::private_directory(&path).context("cannot make a directory in private/")?;
        }
        let Held::ByUs(lock) = Lock::try_take(&path.join("lock"))? else {
            return Err(Failure::cannot_run(
                "another backup of this project is being made: wait for it",
            ));
        };
        let work = Self { path, _lock: lock };
        // A crash may have left it.
        remove_if_there(&work.copy()).context("cannot remove an unfinished backup")?;
        Ok(work)
    }

    fn copy(&self) -> PathBuf {
        self.path.join("lookup.redb")
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // The next backup removes what is left.
        let _ = fs::remove_file(self.copy());
    }
}

/// What a backup is made of.
struct Content<'p> {
    project: &'p Project,
    settings: &'p ProjectSettings,
    /// The copy of the lookup store, and its mark without the ceilings of the project.
    store: Option<(PathBuf, StoreMark)>,
    made: Made,
}

impl<'p> Content<'p> {
    /// Copies the lookup store, and opens the copy to check it.
    fn new(
        project: &'p Project,
        settings: &'p ProjectSettings,
        store: Option<&DiskStore>,
        work: &WorkDirectory,
    ) -> anyhow::Result<Self> {
        let mut content = Self {
            project,
            settings,
            store: None,
            made: Made {
                bytes: 0,
                totals: Totals::default(),
                destinations: 0,
                quarantined: 0,
                quarantine_left_out: 0,
            },
        };
        if let Some(store) = store {
            let path = work.copy();
            store
                .copy_to(&path)
                .context(Failure::CannotRun("cannot copy the lookup store".into()))?;
            let secret = settings::secret(project, settings, Missing::Refuse)?;
            let identity = open_project::identity(settings, secret.as_ref())?;
            let copy = open_project::open_copy(&path, identity)?;
            let position = copy.position()?;
            content.made.totals = copy.totals()?;
            let mark = StoreMark {
                store: position.store,
                group: position.group,
                ceilings: position.numbers,
            };
            content.store = Some((path, mark));
        }
        Ok(content)
    }

    /// Writes the file and checks it.
    fn write(&mut self, path: &Path, quarantined: Quarantined) -> anyhow::Result<()> {
        let entries = entries(&self.project.quarantine())?;
        let count = u64::try_from(entries.len())?;
        match quarantined {
            Quarantined::Include => self.made.quarantined = count,
            Quarantined::LeaveOut => self.made.quarantine_left_out = count,
        }
        let mut archive = ArchiveWriter::create(path, &self.manifest())?;
        let mut add = Adding {
            archive: &mut archive,
            root: self.project.root(),
        };
        add.file(&self.project.settings_file())?;
        let script = Path::new(&self.settings.script);
        if !rules::is_builtin(&self.settings.script) && script.is_relative() {
            add.file(&self.project.root().join(script))?;
        }
        self.made.destinations = self.add_journals(&mut add)?;
        if let Some((copy, _)) = &self.store {
            add.named("private/lookup.redb", copy)?;
        }
        add.file(&self.project.secret_file())?;
        add.file(&self.project.audit_file())?;
        if quarantined == Quarantined::Include {
            for entry in &entries {
                add.entry(entry)?;
            }
        }
        if let Some((_, mark)) = &self.store {
            // Read last, so that nothing in the backup is above its ceilings.
            let known = mark::known(self.project)?.map_or_else(Numbers::default, |it| it.ceilings);
            let ceilings = mark.ceilings.max(known);
            let text = StoreMark { ceilings, ..*mark }.to_text();
            archive.add("store.mark", &mut text.as_bytes())?;
        }
        self.made.bytes = archive.finish()?;
        Archive::open(path).map(drop)
    }

    fn manifest(&self) -> Manifest {
        let (name, site_id) = (&self.settings.name, self.settings.site_id.as_str());
        let mark = self.store.as_ref().map(|(_, mark)| mark);
        Manifest {
            store: mark.map(|mark| mark.store.to_string()),
            group: mark.map(|mark| mark.group),
            quarantine_left_out: self.made.quarantine_left_out,
            ..Manifest::new(name, site_id, clock::now())
        }
    }

    /// Adds the journals of exports that are in the project. Returns the number of destinations.
    fn add_journals(&self, add: &mut Adding<'_>) -> anyhow::Result<u64> {
        let setting = self.settings.export.journal.as_deref();
        if setting.is_some_and(|setting| Path::new(setting).is_absolute()) {
            return Ok(0);
        }
        let journals = self.project.export_journal(setting);
        let mut destinations = 0;
        for destination in listed(&journals)? {
            let mut waiting = vec![destination];
            while let Some(path) = waiting.pop() {
                if path.is_dir() {
                    waiting.extend(listed(&path)?);
                } else if path.ends_with("lock") {
                    // Some systems do not let it be read while an export runs. It is empty.
                    add.bytes(&path, &[])?;
                } else {
                    destinations += u64::from(path.ends_with("header"));
                    add.file(&path)?;
                }
            }
        }
        Ok(destinations)
    }
}

/// Adds files of the project.
struct Adding<'a> {
    archive: &'a mut ArchiveWriter,
    root: &'a Path,
}

impl Adding<'_> {
    /// Returns the name of a member for a file of the project. `None` for a file elsewhere, and for a
    /// name that is not the same on every system.
    fn name(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(self.root).ok()?.iter();
        let parts: Option<Vec<&str>> = parts.map(std::ffi::OsStr::to_str).collect();
        Some(parts?.join("/")).filter(|name| !name.is_empty())
    }

    /// Adds a file, unless there is none.
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        match self.name(path) {
            Some(name) => self.named(&name, path),
            None => Ok(()),
        }
    }

    fn bytes(&mut self, path: &Path, mut bytes: &[u8]) -> anyhow::Result<()> {
        match self.name(path) {
            Some(name) => self.archive.add(&name, &mut bytes),
            None => Ok(()),
        }
    }

    fn named(&mut self, name: &str, path: &Path) -> anyhow::Result<()> {
        match File::open(path) {
            Ok(mut file) => self.archive.add(name, &mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).context("cannot read a file of the project"),
        }
    }

    /// Adds the files of an entry of the quarantine, all or none: it may be removed meanwhile.
    fn entry(&mut self, entry: &Path) -> anyhow::Result<()> {
        let mut files = Vec::new();
        for path in listed(entry)? {
            match (self.name(&path), File::open(&path)) {
                (Some(name), Ok(file)) => files.push((name, file)),
                (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                (_, opened) => drop(opened.context("cannot read the quarantine")?),
            }
        }
        for (name, mut file) in files {
            self.archive.add(&name, &mut file)?;
        }
        Ok(())
    }
}

/// Returns the directories of the entries of the quarantine.
fn entries(quarantine: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for category in listed(quarantine)? {
        entries.extend(
            listed(&category)?
                .into_iter()
                .filter(|entry| entry.is_dir()),
        );
    }
    Ok(entries)
}

/// Returns what is in a directory, sorted; nothing if it is none.
fn listed(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let list = || {
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory)? {
            paths.push(entry?.path());
        }
        Ok::<_, io::Error>(paths)
    };
    let mut paths = match list() {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Vec::new(),
        paths => paths.context("cannot read a directory of the project")?,
    };
    paths.sort();
    Ok(paths)
}

/// Gives a finished backup its name, unless there is a file of this name.
fn publish(fresh: &Path, file: &Path) -> anyhow::Result<()> {
    let place = || {
        match fs::hard_link(fresh, file) {
            Ok(()) => fs::remove_file(fresh)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Some file systems have no links.
            Err(_) if file.try_exists()? => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(fresh, file)?,
        }
        file.parent().map_or(Ok(()), platform::sync_directory)
    };
    place().context(Failure::CannotRun("cannot give the backup its name".into()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
