//! Files as sources: small, large, changing, missing, and not regular.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anon_engine::quarantine::{Entries, Entry, Filed, Original, QuarantineError, RefusedObject};
use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::files::{Place, Syntax, ct_slice};
use anon_engine::{
    Category, Deidentified, DirectoryStore, Durability, Engine, EntryId, Error, MemoryQuarantine,
    MemoryStore, Outcome, OutputPath, Quarantine, Received, Remedy, Staged, Store, StoreError,
    StoredObject,
};

use super::world::{self, TestProject, bytes, nth};

fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(bytes).expect("a file");
    path
}

#[test]
fn a_file_is_stored_like_its_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = write(dir.path(), "IM1", &bytes(&nth(0)));
    let (of_file, of_bytes) = (TestProject::new(), TestProject::new());
    of_file
        .engine()
        .process(Received::file(&path))
        .expect("stored");
    of_bytes
        .engine()
        .process(Received::part10(bytes(&nth(0))))
        .expect("stored");
    assert_eq!(of_file.store.take(), of_bytes.store.take());
}

#[test]
fn missing_files_fifos_and_directories_fail_and_are_not_quarantined() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = TestProject::new();
    let engine = world.engine();
    let missing = engine
        .process(Received::file(dir.path().join("none")))
        .expect_err("missing");
    assert!(matches!(missing, Error::Source(_)), "{missing:?}");
    assert_eq!(missing.remedy(), Remedy::Retry);
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        let error = engine
            .process(Received::file(&fifo))
            .expect_err("a FIFO is no file");
        assert!(matches!(error, Error::Source(_)), "{error:?}");
    }
    let directory = engine
        .process(Received::file(dir.path()))
        .expect_err("a directory");
    assert!(matches!(directory, Error::Source(_)), "{directory:?}");
    assert_eq!(world.quarantined(), 0);
    let path = write(dir.path(), "IM1", &bytes(&nth(0)));
    assert_eq!(
        engine
            .process(Received::file(path))
            .expect("stored")
            .outcome
            .name(),
        "stored"
    );
}

/// A read error is no fault of the object: the object fails and can be retried.
#[test]
fn a_read_error_fails_the_object_and_quarantines_nothing() {
    // A Linux file that claims 4,096 bytes and fails when it is read.
    let broken = Path::new("/sys/class/net/lo/speed");
    if std::fs::read(broken).is_ok() || !broken.is_file() {
        writeln!(
            std::io::stderr(),
            "skipped: this system has no file that gives a read error"
        )
        .expect("stderr");
        return;
    }
    let world = TestProject::new();
    let engine = world.engine();
    let error = engine.process(Received::file(broken)).expect_err("broken");
    assert!(matches!(error, Error::Source(_)), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(world.quarantined(), 0);
    let after = engine.process(world::received(&nth(0))).expect("stored");
    assert_eq!(after.outcome.name(), "stored");
}

/// Half a megabyte: headers are read in windows, and pixel data is copied from file to file.
fn large() -> Vec<u8> {
    ct_slice(&Place::new(5)).write(Syntax::ExplicitLittle)
}

#[test]
fn a_large_file_is_copied_in_ranges_to_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = write(dir.path(), "IM1", &large());
    let in_memory = TestProject::new();
    let receipt = in_memory
        .engine()
        .process(Received::part10(large()))
        .expect("stored");
    let Outcome::Stored { path: output, .. } = &receipt.outcome else {
        panic!("{receipt:?}");
    };
    for durability in [Durability::Full, Durability::Relaxed] {
        let root = dir.path().join(format!("{durability:?}"));
        let options = DirectoryStoreOptions::default().with_durability(durability);
        let store = DirectoryStore::open(root.join("public"), root.join("tmp"), options);
        let world = TestProject::new();
        let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
        let store = Arc::new(store.expect("it opens"));
        let engine = Engine::builder(world::policy(), world.lookups.clone(), store, quarantine);
        let engine = engine.workers(0).start().expect("an engine starts");
        let of_file = engine.process(Received::file(&path)).expect("stored");
        assert_eq!(of_file, receipt);
        let written = std::fs::read(root.join("public").join(output.to_path_buf()));
        assert!(
            in_memory.store.get(output) == written.ok(),
            "{durability:?}: other bytes"
        );
    }
}

/// The store does not look into a directory that it made itself before it stages an object. A
/// foreign file there is found when the object is published.
#[test]
fn a_foreign_file_in_the_store_is_not_overwritten() {
    for durability in [Durability::Full, Durability::Relaxed] {
        let dir = tempfile::tempdir().expect("a directory");
        let run = |root: &str| {
            let root = dir.path().join(root);
            let options = DirectoryStoreOptions::default().with_durability(durability);
            let store = DirectoryStore::open(root.join("public"), root.join("tmp"), options);
            let world = TestProject::new();
            let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
            let store = Arc::new(store.expect("it opens"));
            let lookups = world.lookups.clone();
            let engine = Engine::builder(world::policy(), lookups, store, quarantine);
            let engine = engine.workers(0).start().expect("an engine starts");
            (root, world, engine)
        };
        let path_of = |engine: &Engine, n| match engine.process(world::received(&nth(n))) {
            Ok(receipt) => match receipt.outcome {
                Outcome::Stored { path, .. } => path.to_path_buf(),
                other => panic!("{other:?}"),
            },
            Err(error) => panic!("{error:?}"),
        };
        let (_, _, before) = run("before");
        let (first, second) = (path_of(&before, 0), path_of(&before, 1));
        assert_eq!(first.parent(), second.parent(), "one series");
        let (root, world, engine) = run("after");
        assert_eq!(path_of(&engine, 0), first);
        let public = root.join("public");
        let theirs = write(&public, second.to_str().expect("text"), b"theirs");
        let refused = engine.process(world::received(&nth(1)));
        assert!(
            matches!(refused, Err(Error::Store(StoreError::Occupied))),
            "{durability:?}: {refused:?}"
        );
        let again = engine
            .process(world::received(&nth(1)))
            .expect("an outcome");
        assert_eq!(again.outcome.name(), "quarantined", "{durability:?}");
        assert_eq!(std::fs::read(&theirs).expect("theirs"), b"theirs");
        assert_eq!(world.lookups.totals().expect("memory").instances, 1);
        let temporary = std::fs::read_dir(root.join("tmp")).expect("a directory");
        assert_eq!(temporary.count(), 0, "{durability:?}");
    }
}

/// A store that changes the source while it stages.
#[derive(Debug)]
struct SourceChangingStore {
    inner: MemoryStore,
    source: PathBuf,
    cut: bool,
}

impl Store for SourceChangingStore {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        let source = std::fs::File::options()
            .append(true)
            .open(&self.source)
            .expect("a file");
        if self.cut {
            source.set_len(1000).expect("it is cut");
        } else {
            (&source).write_all(b"more").expect("it grows");
        }
        self.inner.stage(object)
    }
    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        self.inner.publish(group)
    }
    fn discard(&self, staged: Staged) -> Result<(), StoreError> {
        self.inner.discard(staged)
    }
    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError> {
        self.inner.contains(path)
    }
    fn stored(&self, path: &OutputPath) -> Result<Option<StoredObject>, StoreError> {
        self.inner.stored(path)
    }

    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        self.inner.confirm(paths)
    }
    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        self.inner.remove_study(patient, study)
    }
}

/// A quarantine that changes the source behind each object that it files.
#[derive(Debug)]
struct SourceChangingQuarantine {
    inner: Arc<MemoryQuarantine>,
    source: PathBuf,
}

impl Quarantine for SourceChangingQuarantine {
    fn file(&self, case: &RefusedObject<'_>) -> Result<Filed, QuarantineError> {
        let filed = self.inner.file(case)?;
        let source = std::fs::File::options().append(true).open(&self.source);
        source
            .expect("a file")
            .write_all(b"more")
            .expect("it grows");
        Ok(filed)
    }
    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError> {
        self.inner.find(original)
    }
    fn entries(&self) -> Result<Entries<'_>, QuarantineError> {
        self.inner.entries()
    }
    fn entry(&self, id: &EntryId) -> Result<Option<Entry>, QuarantineError> {
        self.inner.entry(id)
    }
    fn counts(&self) -> Result<BTreeMap<Category, u64>, QuarantineError> {
        self.inner.counts()
    }
    fn open_original(&self, id: &EntryId) -> Result<Option<Box<dyn Read + Send>>, QuarantineError> {
        self.inner.open_original(id)
    }
    fn received(&self, id: &EntryId) -> Result<Option<Received>, QuarantineError> {
        self.inner.received(id)
    }
    fn clear(&self, id: &EntryId) -> Result<bool, QuarantineError> {
        self.inner.clear(id)
    }
}

/// It leaves no entry of its own, and keeps the one that an earlier import has reported.
#[test]
fn a_refused_file_that_changes_while_it_is_filed_keeps_the_entry_from_before() {
    for is_known in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let object = bytes(&world::refused(Place::new(1)));
        let source = write(dir.path(), "IM1", &object);
        let world = TestProject::new();
        if is_known {
            let first = world.engine().process(Received::file(&source));
            assert_eq!(world::outcome(&first), "quarantined");
        }
        let quarantine = SourceChangingQuarantine {
            inner: world.quarantine.clone(),
            source: source.clone(),
        };
        let engine = Engine::builder(
            world::policy(),
            world.lookups.clone(),
            world.store.clone(),
            Arc::new(quarantine),
        );
        let engine = engine.workers(0).start().expect("an engine starts");
        let error = engine
            .process(Received::file(&source))
            .expect_err("changed");
        assert!(matches!(error, Error::SourceChanged), "{error:?}");
        assert_eq!(world.quarantined(), u64::from(is_known));
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_fails_and_can_be_retried() {
    for (name, original, cut) in [
        ("large, grows", large(), false),
        ("large, cut", large(), true),
        ("small, grows", bytes(&nth(0)), false),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let source = write(dir.path(), "IM1", &original);
        let world = TestProject::new();
        let store = SourceChangingStore {
            inner: MemoryStore::new(),
            source: source.clone(),
            cut,
        };
        let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
        let engine = Engine::builder(
            world::policy(),
            world.lookups.clone(),
            Arc::new(store),
            quarantine,
        );
        let engine = engine.workers(0).start().expect("an engine starts");
        let error = engine.process(Received::file(&source)).expect_err(name);
        assert!(matches!(error, Error::SourceChanged), "{name}: {error:?}");
        assert_eq!(
            (error.remedy(), world.quarantined()),
            (Remedy::Retry, 0),
            "{name}"
        );
        assert_eq!(
            world.lookups.totals().expect("memory").instances,
            0,
            "{name}"
        );
        drop(engine);
        write(dir.path(), "IM1", &original);
        let again = world.engine().process(Received::file(&source)).expect(name);
        assert_eq!(again.outcome.name(), "stored", "{name}");
    }
}
