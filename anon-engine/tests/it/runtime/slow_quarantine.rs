//! A quarantine whose disk is slow, and the objects that must not wait for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use anon_engine::disk::{
    Access, CopyError, DirCreation, Disk, Existing, FileKind, Names, WriteFile,
};
use anon_engine::quarantine::{Original, QuarantineError, QuarantineOptions, RefusedObject};
use anon_engine::testing::disk::SimDisk;
use anon_engine::testing::files::Place;
use anon_engine::{Category, DirectoryQuarantine, Engine, EntryId, Quarantine, Refusal, Stopped};

use super::world::{self, Results, TestProject, ct, outcome, received, refused};

const TIMEOUT: Duration = Duration::from_mins(1);

/// A disk that copies no original until it is released.
#[derive(Debug, Clone)]
struct HeldDisk {
    inner: SimDisk,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Debug, Default)]
struct Gate {
    is_open: bool,
    waiting: usize,
}

impl HeldDisk {
    fn new() -> Self {
        let inner = SimDisk::new();
        let made = inner.create_dir(Path::new("/private"), Access::Private);
        made.expect("a directory");
        Self {
            inner,
            gate: Arc::default(),
        }
    }

    fn pass(&self) {
        let (gate, changed) = &*self.gate;
        let mut state = gate.lock().expect("no panics");
        state.waiting += 1;
        changed.notify_all();
        let opened = changed.wait_timeout_while(state, TIMEOUT, |gate| !gate.is_open);
        let (mut state, result) = opened.expect("no panics");
        assert!(!result.timed_out(), "nobody released the disk");
        state.waiting -= 1;
    }

    fn wait_for(&self, waiting: usize) {
        let (gate, changed) = &*self.gate;
        let state = gate.lock().expect("no panics");
        let reached = changed.wait_timeout_while(state, TIMEOUT, |gate| gate.waiting < waiting);
        assert!(!reached.expect("no panics").1.timed_out(), "nobody copies");
    }

    fn release(&self) {
        let (gate, changed) = &*self.gate;
        gate.lock().expect("no panics").is_open = true;
        changed.notify_all();
    }
}

impl Disk for HeldDisk {
    fn create_dir(&self, path: &Path, access: Access) -> io::Result<DirCreation> {
        self.inner.create_dir(path, access)
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn WriteFile>> {
        let inner = self.inner.create(path, access)?;
        let is_held = path.ends_with("original");
        Ok(Box::new(HeldFile {
            inner,
            disk: is_held.then(|| self.clone()),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.inner.open(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        self.inner.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        self.inner.rename(from, to, existing)
    }

    fn share(&self, path: &Path) -> io::Result<()> {
        self.inner.share(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        self.inner.list(path)
    }

    fn same_file_system(&self, one: &Path, other: &Path) -> io::Result<bool> {
        self.inner.same_file_system(one, other)
    }

    fn native(&self, path: &Path) -> Option<PathBuf> {
        self.inner.native(path)
    }
}

struct HeldFile {
    inner: Box<dyn WriteFile>,
    disk: Option<HeldDisk>,
}

impl Write for HeldFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WriteFile for HeldFile {
    fn append_range(&mut self, source: &File, offset: u64, len: u64) -> Result<(), CopyError> {
        self.inner.append_range(source, offset, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(disk) = &self.disk {
            disk.pass();
        }
        self.inner.sync()
    }
}

fn quarantine_on(disk: &HeldDisk) -> Arc<DirectoryQuarantine> {
    let options = QuarantineOptions::default().with_disk(Arc::new(disk.clone()));
    let quarantine = DirectoryQuarantine::new("/private/quarantine", "/private/tmp", options);
    Arc::new(quarantine)
}

fn file(
    quarantine: &dyn Quarantine,
    original: &[u8],
    refusal: &Refusal,
) -> Result<EntryId, QuarantineError> {
    let filed = quarantine.file(&RefusedObject {
        original: Original::Bytes(original),
        transfer_syntax: None,
        refusal,
        origin: None,
        path: None,
    });
    filed.map(|filed| filed.entry)
}

/// With one worker and a quarantine that hangs, every good object is still stored.
#[test]
fn refused_objects_never_hold_up_the_rest() {
    let (project, disk) = (TestProject::new(), HeldDisk::new());
    let quarantine = quarantine_on(&disk);
    let engine = Engine::builder(
        world::policy(),
        project.lookups.clone(),
        project.store.clone(),
        quarantine.clone(),
    );
    let engine = engine.workers(1).start().expect("an engine starts");
    let results = Results::default();
    for n in 1..=20 {
        let refused = received(&refused(Place::new(1).patient(n)));
        engine.submit(refused, results.callback(n));
        engine.submit(
            received(&ct(Place::new(1).patient(n))),
            results.callback(100 + n),
        );
    }
    disk.wait_for(2);
    let mut stored = Vec::new();
    let end = std::time::Instant::now() + TIMEOUT;
    while stored.len() < 20 {
        assert!(
            std::time::Instant::now() < end,
            "{} are stored",
            stored.len()
        );
        stored.extend(results.take());
        std::thread::yield_now();
    }
    assert!(
        stored
            .iter()
            .all(|(n, result)| *n > 100 && outcome(result) == "stored")
    );
    disk.release();
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    let filed = results.take();
    assert_eq!(filed.len(), 20);
    assert!(
        filed
            .iter()
            .all(|(_, result)| outcome(result) == "quarantined")
    );
    let counts = quarantine.counts().expect("it can be read");
    assert_eq!(counts, BTreeMap::from([(Category::MissingAttributes, 20)]));
}

/// While one original is copied, other bytes are found, filed and cleared. The same bytes wait.
#[test]
fn a_copy_holds_up_no_other_entry() {
    let disk = HeldDisk::new();
    let quarantine = quarantine_on(&disk);
    let refusal = Refusal::new(Category::BurnedIn, "says YES");
    std::thread::scope(|scope| {
        let copies = [b"long", b"long"].map(|bytes| {
            let (quarantine, refusal) = (&quarantine, &refusal);
            scope.spawn(move || file(&**quarantine, bytes, refusal).expect("filed"))
        });
        disk.wait_for(1);
        let mut foreign = Refusal::new(Category::InvalidDicom, "is no DICOM object");
        foreign.foreign = true;
        let id = file(&*quarantine, b"a letter", &foreign).expect("filed");
        let found = quarantine.find(&Original::Bytes(b"a letter"));
        assert_eq!(found.expect("it can be read"), [id]);
        let found = quarantine.find(&Original::Bytes(b"long"));
        assert_eq!(found.expect("it can be read"), [], "it is not filed yet");
        assert!(quarantine.clear(&id).expect("cleared"));
        disk.release();
        let [one, other] = copies.map(|copy| copy.join().expect("no panic"));
        assert_eq!(one, other);
    });
    let steps = disk.inner.steps();
    file(&*quarantine, b"long", &refusal).expect("filed");
    assert_eq!(disk.inner.steps(), steps);
}

/// The copy may have other bytes than the entry is named after.
#[test]
fn a_file_that_changes_while_it_is_copied_leaves_the_earlier_copy() {
    let (disk, dir) = (HeldDisk::new(), tempfile::tempdir().expect("a directory"));
    let path = dir.path().join("IM1");
    let mut source = File::create_new(&path).expect("a file");
    source.write_all(b"the object").expect("room");
    let burned_in = Refusal::new(Category::BurnedIn, "says YES");
    let options = QuarantineOptions::default().with_disk(Arc::new(disk.inner.clone()));
    let quick = DirectoryQuarantine::new("/private/quarantine", "/private/tmp", options);
    let id = file(&quick, b"the object", &burned_in).expect("filed");
    let slow = quarantine_on(&disk);
    std::thread::scope(|scope| {
        let filed = scope.spawn(|| {
            let file = File::open(&path).expect("a file");
            slow.file(&RefusedObject {
                original: Original::File {
                    file: &file,
                    len: 10,
                },
                transfer_syntax: None,
                refusal: &Refusal::new(Category::BurnedIn, "says so"),
                origin: None,
                path: None,
            })
        });
        disk.wait_for(1);
        source.write_all(b" and more").expect("room");
        let other = std::time::UNIX_EPOCH + Duration::from_mins(1);
        source.set_modified(other).expect("a time");
        disk.release();
        let error = filed.join().expect("no panic").expect_err("changed");
        assert!(matches!(error, QuarantineError::Source(_)), "{error:?}");
    });
    let entry = slow
        .entry(&id)
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(entry.reason, "says YES");
    let mut kept = Vec::new();
    let original = slow.open_original(&id).expect("it can be read");
    let read = original.expect("it is kept").read_to_end(&mut kept);
    read.expect("it can be read");
    assert_eq!(kept, b"the object");
}
