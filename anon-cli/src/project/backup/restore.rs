//! [`restore`]: puts a backup into a new project, or in the place of an existing one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anon_model::disk::{Numbers, Position, StoreMark};
use anon_model::settings::file;
use anon_model::{
    DiskOptions, DiskStore, Identity, PhiIndex as _, ProjectSettings, Pseudonyms as _, Secret,
    Space, Totals, Transactions as _,
};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform::files;
use crate::project::backup::archive::Archive;
use crate::project::backup::pending;
use crate::project::lock::Lock;
use crate::project::mark::keeper::BLOCK;
use crate::project::mark::{self, outputs, raise};
use crate::project::{NetworkFs, Project, audit, open_project, rules, settings};
use crate::{clock, platform};

const STORE: &str = "private/lookup.redb";
const SECRET: &str = "private/secret.key";
const AUDIT: &str = "private/audit.jsonl";
const MARK: &str = "store.mark";

/// What was restored.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) totals: Totals,
    /// New pseudonyms have higher numbers. `None` without a lookup store.
    pub(crate) above: Option<Numbers>,
    /// The directory with the files that were replaced. `None` if there were none.
    pub(crate) before: Option<PathBuf>,
    /// Objects in `public/` that the lookup store does not hold: their originals are not known.
    pub(crate) without_record: u64,
    /// Instances of the lookup store whose files are not in `public/`.
    pub(crate) without_file: u64,
}

/// Returns true if a restore replaces something.
pub(crate) fn replaces(project: &Project) -> bool {
    project.exists() || project.lookup_file().exists()
}

/// Restores a backup. Until everything is prepared, the project is as it was; afterwards it is the
/// restored one, whatever happens.
///
/// # Errors
/// If another process holds the project, if the backup is of another project, or if something cannot be
/// read or written.
pub(crate) fn restore(
    project: &Project,
    archive: &mut Archive,
    network_fs: NetworkFs,
) -> anyhow::Result<Restored> {
    let no_settings = || Failure::cannot_run("the backup has no project.toml: nothing was changed");
    let text = archive.read(file::NAME)?.ok_or_else(no_settings)?;
    let settings = settings::parse(&String::from_utf8_lossy(&text))?;
    let names = archive.names()?;
    if let Some(name) = names.iter().find(|it| !is_known(project, &settings, it)) {
        return Err(Failure::cannot_run(format!(
            "the backup has a member {name:?}, which no project has: nothing was changed"
        )));
    }
    check_settings(project, &settings)?;
    let made = mark_of(archive)?;
    if made.is_some() != names.iter().any(|name| name == STORE) {
        return Err(Failure::cannot_run(
            "the backup lacks its lookup store or the mark of it: nothing was changed",
        ));
    }
    check_mark(project, made.as_ref())?;
    let public = open_project::prepare(project, &settings, network_fs)?;
    let lock = Lock::take(&project.lock_file())?;
    let mut restore = Restore {
        project,
        settings: &settings,
        archive,
        public,
    };
    match restore.prepare(&names, made.as_ref()) {
        Ok((mut restored, before)) => {
            pending::carry_out(project, &lock)?;
            restored.before = Some(before).filter(|before| before.is_dir());
            Ok(restored)
        }
        Err(error) => {
            // The first error is reported. The next command removes what is left.
            let _ = pending::discard(project);
            Err(error)
        }
    }
}

/// Returns the mark of the copy in a backup. `None` if it has no lookup store.
fn mark_of(archive: &mut Archive) -> anyhow::Result<Option<StoreMark>> {
    let Some(text) = archive.read(MARK)? else {
        return Ok(None);
    };
    let mark = StoreMark::parse(&String::from_utf8_lossy(&text)).context(Failure::CannotRun(
        "the backup has no valid store.mark: nothing was changed".into(),
    ))?;
    Ok(Some(mark))
}

/// Refuses a backup of a project with other pseudonyms than those that the place has.
fn check_settings(project: &Project, new: &ProjectSettings) -> anyhow::Result<()> {
    if !project.exists() {
        return Ok(());
    }
    // One that cannot be read is replaced. The mark says whose store it was.
    match settings::load(project) {
        Ok(old) if (&old.site_id, &old.uid_root) != (&new.site_id, &new.uid_root) => {
            Err(other_project())
        }
        _ => Ok(()),
    }
}

fn check_mark(project: &Project, made: Option<&StoreMark>) -> anyhow::Result<()> {
    let known = mark::known(project)?;
    match (known, made) {
        (Some(known), Some(made)) if known.store != made.store => Err(other_project()),
        (_, None) if known.is_some() || project.lookup_file().exists() => Err(Failure::cannot_run(
            "the backup was made before the project gave a pseudonym, and it has given some since: \
             nothing was changed",
        )),
        _ => Ok(()),
    }
}

fn other_project() -> anyhow::Error {
    Failure::cannot_run(
        "the backup is of another project than the one in this directory: nothing was changed; restore \
         it into a new directory, which -p names",
    )
}

/// Returns true for the members that a backup of a project with these settings can have.
fn is_known(project: &Project, settings: &ProjectSettings, name: &str) -> bool {
    let is_script = !rules::is_builtin(&settings.script)
        && Path::new(&settings.script) == Path::new(name)
        && !name.starts_with("private/");
    [file::NAME, MARK, STORE, SECRET].contains(&name)
        || is_script
        || growing(project, settings, name).is_some()
}

/// Returns the path of the record that a member belongs to, if it is one that only grows: the audit
/// trail, the journal of a destination, an entry of the quarantine.
fn growing(project: &Project, settings: &ProjectSettings, name: &str) -> Option<PathBuf> {
    let path = project.root().join(name);
    let first_below = |above: &Path, parts: usize| {
        let below = path.strip_prefix(above).ok()?;
        let is_whole = below.iter().count() >= parts;
        is_whole.then(|| above.join(below.iter().take(parts).collect::<PathBuf>()))
    };
    let journals = project.export_journal(settings.export.journal.as_deref());
    if name == AUDIT {
        Some(path)
    } else if path.starts_with(project.private()) {
        first_below(&project.quarantine(), 2)
    } else {
        first_below(&journals, 1)
    }
}

/// A restore that is being prepared.
struct Restore<'r> {
    project: &'r Project,
    settings: &'r ProjectSettings,
    archive: &'r mut Archive,
    public: PathBuf,
}

impl Restore<'_> {
    /// Writes the new files, raises the counters of the new lookup store, and decides the restore. Returns
    /// the directory for the files that are replaced too.
    fn prepare(
        &mut self,
        names: &[String],
        made: Option<&StoreMark>,
    ) -> anyhow::Result<(Restored, PathBuf)> {
        let project = self.project;
        pending::begin(project).context("cannot write into private/restore")?;
        for name in names {
            let record = growing(project, self.settings, name);
            if record.is_none_or(|record| fs::symlink_metadata(record).is_err()) {
                self.write(name)?;
            }
        }
        let mut restored = Restored::default();
        if let Some(made) = made {
            self.raise(made, &mut restored)?;
        }
        let audit = project.audit_file();
        let audit = if audit.exists() {
            audit
        } else {
            let staged = pending::staged(project, AUDIT);
            pending::make_directory_of(project, &staged).context("cannot make a directory")?;
            staged
        };
        audit::append(&audit, "restore", restored.totals.instances)?;
        let before = free_name(project);
        pending::decide(project, &before).context("cannot write into private/restore")?;
        Ok((restored, project.private().join(before)))
    }

    fn write(&mut self, name: &str) -> anyhow::Result<()> {
        let path = pending::staged(self.project, name);
        let create = || {
            pending::make_directory_of(self.project, &path)?;
            if name.starts_with("private/") || name == MARK {
                files::create_private(&path)
            } else {
                File::create(&path)
            }
        };
        let mut file = create().context("cannot write into private/restore")?;
        self.archive.extract(name, &mut file)?;
        path.parent()
            .map_or(Ok(()), platform::sync_directory)
            .context("cannot write into private/restore")
    }

    /// Checks the new store, and raises its counters above everything that was ever seen. Every other
    /// copy is an older one afterwards.
    fn raise(&self, made: &StoreMark, restored: &mut Restored) -> anyhow::Result<()> {
        let project = self.project;
        let secret = self.secret()?;
        let identity = open_project::identity(self.settings, secret.as_ref())?;
        let path = pending::staged(project, STORE);
        let store = open_new(&path, &identity, made)?;
        let known = mark::known(project)?;
        let old = self.old_position(&identity);
        if old.is_some_and(|old| old.store != made.store) {
            return Err(other_project());
        }
        if known.is_some() || old.is_some() {
            // The project finished these deletions since, and may have stored the studies again.
            for removal in store.unsettled_removals()? {
                store.settle(removal.group, &[])?;
            }
        }
        let mut numbers = self.numbers(&identity, made, known.as_ref(), old.as_ref())?;
        if known.is_none() {
            // Nothing here shows what was given elsewhere since the backup was made.
            numbers = numbers.plus(BLOCK.max(store.position()?.numbers));
        }
        let group = known.map_or(0, |known| known.group);
        let after = store.raise_counters(numbers, group)?;
        restored.above = Some(after.numbers);
        restored.totals = store.totals()?;
        let (found, without_record) = count_outputs(&store, &self.public, &identity)?;
        restored.without_record = without_record;
        restored.without_file = restored.totals.instances.saturating_sub(found);
        drop(store);
        let mark = StoreMark {
            store: after.store,
            group: after.group,
            ceilings: after.numbers,
        };
        File::open(&path)
            .and_then(|file| file.sync_all())
            .and_then(|()| mark::write(&pending::staged(project, MARK), &mark))
            .context("cannot write into private/restore")
    }

    /// Returns the secret that is restored. `None` if the settings need none.
    fn secret(&self) -> anyhow::Result<Option<Secret>> {
        if !self.settings.needs_secret() {
            return Ok(None);
        }
        let bytes = fs::read(pending::staged(self.project, SECRET)).ok();
        let secret = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        secret.map(|bytes| Some(Secret::new(bytes))).ok_or_else(|| {
            Failure::cannot_run("the backup lacks the secret of its project: nothing was changed")
        })
    }

    /// Returns how far the store came that is replaced, if it can be read.
    fn old_position(&self, identity: &Identity) -> Option<Position> {
        let store = open_project::open_copy(&self.project.lookup_file(), identity.clone()).ok()?;
        store.position().ok()
    }

    /// Returns the highest numbers of which something is known.
    fn numbers(
        &self,
        identity: &Identity,
        made: &StoreMark,
        known: Option<&StoreMark>,
        old: Option<&Position>,
    ) -> anyhow::Result<Numbers> {
        let old = old.map_or_else(Numbers::default, |old| old.numbers);
        let known = known.map_or_else(Numbers::default, |known| known.ceilings);
        let ceilings = made.ceilings.max(known).max(old);
        let public = &self.public;
        raise::seen(
            self.project,
            self.settings,
            identity,
            public,
            Some(ceilings),
        )
    }
}

/// Opens the store of a backup, which must be the one of its mark.
fn open_new(path: &Path, identity: &Identity, made: &StoreMark) -> anyhow::Result<DiskStore> {
    let store = DiskStore::open(path, identity.clone(), &DiskOptions::default()).context(
        Failure::CannotRun(
            "cannot open the lookup store in the backup: nothing was changed".into(),
        ),
    )?;
    let position = store.position()?;
    if made.check(&position).is_err() || !position.numbers.is_within(made.ceilings) {
        return Err(Failure::cannot_run(
            "the lookup store in the backup is not the one of its mark: nothing was changed",
        ));
    }
    Ok(store)
}

/// Counts the objects in `public/` that the store holds, and those that it does not.
fn count_outputs(
    store: &DiskStore,
    public: &Path,
    identity: &Identity,
) -> anyhow::Result<(u64, u64)> {
    let (mut found, mut without_record) = (0, 0);
    let is_stored = |pseudonym: &str| {
        for (space, original) in store.originals(pseudonym)? {
            if space == Space::Uid && store.stored_instance(&original)?.is_some() {
                return Ok(true);
            }
        }
        Ok::<_, anon_model::BackendError>(false)
    };
    outputs::walk(public, identity, &mut |object| {
        let name = object.file_name().and_then(|name| name.to_str());
        let Some(pseudonym) = name.and_then(|name| name.strip_suffix(".dcm")) else {
            return Ok(());
        };
        if is_stored(pseudonym).map_err(io::Error::other)? {
            found += 1;
        } else {
            without_record += 1;
        }
        Ok(())
    })
    .context("cannot read the directory of outputs")?;
    Ok((found, without_record))
}

/// Returns a name in `private/` that is free, for the files that are replaced.
fn free_name(project: &Project) -> String {
    let time = clock::now().replace([':', '-'], "");
    let mut name = format!("before-restore-{time}");
    let mut number = 1;
    while fs::symlink_metadata(project.private().join(&name)).is_ok() {
        number += 1;
        name = format!("before-restore-{time}-{number}");
    }
    name
}
