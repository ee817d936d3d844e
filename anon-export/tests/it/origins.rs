//! An object at the destination is never replaced by one of another original.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anon_export::{
    Cancel, Counts, DirectorySink, DirectorySource, Error, Existing, ExportOptions, Exporter,
    Journal, KeyPart, ObjectKey, Origin, Origins, Overwrite, Selection, Sink,
};

use crate::support::{EventLog, KnownOrigins, bytes, files, key, keys, without_backoff, write};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// A project that exports to a destination, which outlives it.
struct Project {
    directory: tempfile::TempDir,
    origins: Option<KnownOrigins>,
    with_journal: bool,
}

impl Project {
    /// Makes the outputs of `keys` from the originals `first`, the next number, and so on.
    fn new(keys: &BTreeSet<ObjectKey>, first: u128) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        files(&directory.path().join("public"), keys);
        Self {
            directory,
            origins: Some(KnownOrigins::of(keys, first, 1)),
            with_journal: true,
        }
    }

    fn public(&self) -> std::path::PathBuf {
        self.directory.path().join("public")
    }

    /// The store and `public/` are gone; another store gives the pseudonyms to other originals.
    fn lose_the_store(&mut self, keys: &BTreeSet<ObjectKey>) {
        fs::remove_dir_all(self.public()).expect("emptied");
        for key in keys {
            // As long as the object before.
            let mut other = bytes(key);
            for byte in &mut other {
                *byte ^= 1;
            }
            write(&self.public(), key, &other);
        }
        self.origins = Some(KnownOrigins::of(keys, 1000, 1));
    }

    fn set_version(&mut self, keys: &BTreeSet<ObjectKey>, version: u64) {
        self.origins = Some(KnownOrigins::of(keys, 1, version));
    }

    fn export(&self, sink: &Arc<dyn Sink>, options: ExportOptions) -> (Counts, EventLog) {
        let mut exporter = Exporter::new(Arc::clone(sink)).with_options(options);
        if let Some(origins) = &self.origins {
            exporter = exporter.with_origins(Arc::new(origins.clone()));
        }
        if self.with_journal {
            let root = self.directory.path().join("export");
            let journal = Journal::open(&root, "the destination", "me", now).expect("a journal");
            exporter = exporter.with_journal(Arc::new(journal));
        }
        let log = EventLog::default();
        let source = DirectorySource::new(self.public());
        let report = exporter
            .export(&source, &Selection::all(), &Cancel::new(), &log)
            .expect("an export");
        (report.counts, log)
    }

    #[track_caller]
    fn expect(&self, sink: &Arc<dyn Sink>, options: ExportOptions, expected: [u64; 3]) -> EventLog {
        let (counts, log) = self.export(sink, options);
        let counts = [counts.sent, counts.skipped, counts.failed];
        assert_eq!(counts, expected, "sent, skipped, failed: {:?}", log.lines());
        log
    }

    fn touch(&self, key: &ObjectKey, seconds: u64) {
        let path = self.public().join(key.to_string());
        let file = File::options().write(true).open(path).expect("a file");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).expect("touched");
    }
}

fn directory_sink(root: &Path) -> Arc<dyn Sink> {
    Arc::new(DirectorySink::open(root).expect("a sink"))
}

fn stored(root: &Path, key: &ObjectKey) -> Vec<u8> {
    fs::read(root.join(key.to_string())).expect("an object")
}

fn overwriting() -> ExportOptions {
    without_backoff().with_overwrite(Overwrite::Any)
}

fn again() -> ExportOptions {
    without_backoff().with_existing(Existing::SendAgain)
}

/// With the journal, and after it was lost.
#[test]
fn another_original_is_never_overwritten_in_a_directory() {
    for with_journal in [true, false] {
        let all = keys(2, 3);
        let mut project = Project::new(&all, 1);
        project.with_journal = with_journal;
        let to = tempfile::tempdir().expect("a directory");
        let sink = directory_sink(to.path());
        project.expect(&sink, without_backoff(), [6, 0, 0]);
        project.expect(&sink, without_backoff(), [0, 6, 0]);
        project.lose_the_store(&all);
        for options in [without_backoff(), again()] {
            let log = project.expect(&sink, options, [0, 0, 6]);
            let words = if with_journal {
                "an object of another original"
            } else {
                "another object under this name"
            };
            for key in &all {
                let line = format!("failed {key} the destination has {words}");
                assert_eq!(log.count(&line), 1, "{:?}", log.lines());
                assert_eq!(stored(to.path(), key), bytes(key), "the bytes before");
            }
            let lines = log.lines();
            let told = lines.iter().filter(|line| line.contains("--replace"));
            assert_eq!(told.count(), 8, "each object and patient: {lines:?}");
        }
        project.expect(&sink, overwriting(), [6, 0, 0]);
        assert_ne!(stored(to.path(), &key(0, 0, 0)), bytes(&key(0, 0, 0)));
        project.expect(&sink, without_backoff(), [0, 6, 0]);
    }
}

#[test]
fn touched_objects_of_the_same_original_are_skipped() {
    let all = keys(1, 4);
    let project = Project::new(&all, 1);
    let to = tempfile::tempdir().expect("a directory");
    let sink = directory_sink(to.path());
    project.expect(&sink, without_backoff(), [4, 0, 0]);
    for key in &all {
        project.touch(key, 4_000_000_000);
    }
    project.expect(&sink, without_backoff(), [0, 4, 0]);
    // The destination has a shorter one.
    let shorter = to.path().join(key(0, 0, 0).to_string());
    let file = File::options().write(true).open(shorter).expect("a file");
    file.set_len(3).expect("truncated");
    project.expect(&sink, without_backoff(), [1, 3, 0]);
    assert_eq!(stored(to.path(), &key(0, 0, 0)), bytes(&key(0, 0, 0)));
}

/// Other rules, or an accepted repeat: the same original, whatever length and time say.
#[test]
fn new_version_of_the_same_original_replaces_the_old_one() {
    let all = keys(1, 3);
    let mut project = Project::new(&all, 1);
    let to = tempfile::tempdir().expect("a directory");
    let sink = directory_sink(to.path());
    for key in &all {
        project.touch(key, 5);
    }
    project.expect(&sink, without_backoff(), [3, 0, 0]);
    for key in &all {
        let mut other = bytes(key);
        other[2] ^= 1;
        write(&project.public(), key, &other);
        project.touch(key, 5);
    }
    project.set_version(&all, 2);
    project.expect(&sink, without_backoff(), [3, 0, 0]);
    assert_ne!(stored(to.path(), &key(0, 0, 0)), bytes(&key(0, 0, 0)));
    project.expect(&sink, without_backoff(), [0, 3, 0]);
    project.expect(&sink, again(), [0, 3, 0]);
}

/// An account without access to the lookups.
#[test]
fn unknown_originals_are_exported_and_never_overwrite() {
    let all = keys(1, 3);
    let mut project = Project::new(&all, 1);
    let to = tempfile::tempdir().expect("a directory");
    let sink = directory_sink(to.path());
    project.origins = None;
    project.expect(&sink, without_backoff(), [3, 0, 0]);
    project.expect(&sink, without_backoff(), [0, 3, 0]);
    // Equal bytes are found by comparing them.
    project.touch(&key(0, 0, 0), 7);
    project.expect(&sink, without_backoff(), [0, 3, 0]);
    project.touch(&key(0, 0, 0), 8);
    write(&project.public(), &key(0, 1, 1), b"other bytes");
    project.expect(&sink, without_backoff(), [0, 2, 1]);
    assert_eq!(stored(to.path(), &key(0, 1, 1)), bytes(&key(0, 1, 1)));
    // The lookups are known again, and where bytes are equal that is recorded.
    project.set_version(&all, 1);
    project.touch(&key(0, 0, 0), 9);
    project.expect(&sink, without_backoff(), [0, 2, 1]);
    project.lose_the_store(&BTreeSet::from([key(0, 0, 0)]));
    let log = project.expect(&sink, without_backoff(), [0, 0, 1]);
    let line = format!(
        "failed {} the destination has an object of another",
        key(0, 0, 0)
    );
    assert_eq!(log.count(&line), 1, "{:?}", log.lines());
}

/// The journal of an export by an account with access is of use to one without, and keeps what it
/// knows.
#[test]
fn recorded_origin_survives_an_export_that_does_not_know_it() {
    let all = keys(1, 1);
    let mut project = Project::new(&all, 1);
    let to = tempfile::tempdir().expect("a directory");
    let sink = directory_sink(to.path());
    project.expect(&sink, without_backoff(), [1, 0, 0]);
    project.origins = None;
    project.touch(&key(0, 0, 0), 7);
    project.expect(&sink, without_backoff(), [0, 1, 0]);
    project.lose_the_store(&all);
    let log = project.expect(&sink, without_backoff(), [0, 0, 1]);
    assert_eq!(
        log.count("failed S-0/1.1.0.0/1.2.0.0/1.3.0.0.0.dcm the destination has an object of"),
        1
    );
}

/// A node that cannot be asked: the journal decides.
#[cfg(feature = "dicom")]
#[test]
fn another_original_is_never_sent_to_a_node_that_has_the_object() {
    use crate::archive::{Archive, CT, MR, QueryBehavior, image};

    let all = keys(1, 3);
    let mut project = Project::new(&all, 1);
    for key in &all {
        write(&project.public(), key, &image(key, CT, 4000));
    }
    let archive = Archive::new(QueryBehavior::Plain);
    let sink: Arc<dyn Sink> = Arc::new(archive.sink(1));
    project.expect(&sink, without_backoff(), [3, 0, 0]);
    for key in &all {
        project.touch(key, 9);
    }
    project.expect(&sink, without_backoff(), [0, 3, 0]);
    let before = archive.get(&key(0, 0, 0));
    project.lose_the_store(&all);
    for key in &all {
        write(&project.public(), key, &image(key, MR, 4000));
    }
    for options in [without_backoff(), again()] {
        project.expect(&sink, options, [0, 0, 3]);
    }
    assert!(archive.get(&key(0, 0, 0)) == before, "the instance before");
    project.expect(&sink, overwriting(), [3, 0, 0]);
}

#[derive(Debug)]
struct FailingOrigins;

impl Origins for FailingOrigins {
    fn of_patient(
        &self,
        _: &KeyPart,
        _: &mut dyn FnMut(ObjectKey, Origin) -> std::ops::ControlFlow<()>,
    ) -> Result<(), Error> {
        Err(Error::Origins("CANARY-free".into()))
    }
}

#[test]
fn nothing_is_sent_if_the_originals_cannot_be_read() {
    let all = keys(1, 3);
    let project = Project::new(&all, 1);
    let to = tempfile::tempdir().expect("a directory");
    let sink = directory_sink(to.path());
    let log = EventLog::default();
    let ended = Exporter::new(Arc::clone(&sink))
        .with_origins(Arc::new(FailingOrigins))
        .export(
            &DirectorySource::new(project.public()),
            &Selection::all(),
            &Cancel::new(),
            &log,
        )
        .expect_err("it stops");
    assert!(matches!(*ended.error, Error::Origins(_)), "{ended:?}");
    assert_eq!(log.count("sent"), 0, "{:?}", log.lines());
}

/// Exports the objects of a stored journal to a destination that has them.
fn with_stored_journal(
    version: u32,
) -> (Project, Arc<dyn Sink>, [ObjectKey; 2], tempfile::TempDir) {
    let all = ["1.3.1", "1.3.2"];
    let all = all.map(|instance| ObjectKey::new(["S-1", "1.1", "1.2", instance]).expect("a key"));
    let project = Project {
        directory: tempfile::tempdir().expect("a directory"),
        origins: Some(KnownOrigins(
            all.iter()
                .cloned()
                .zip([Origin::new(1, 0xAA), Origin::new(2, 0xAA)])
                .collect(),
        )),
        with_journal: true,
    };
    let to = tempfile::tempdir().expect("a directory");
    let sink = directory_sink(to.path());
    for key in &all {
        let object = vec![7; 2010];
        write(&project.public(), key, &object);
        project.touch(key, 1_700_000_000);
        sink.put(key, 2010, &mut &*object).expect("put");
    }
    let fixture = format!("tests/data/journal-{version}/583bd6949b6f308b");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    let root = project.directory.path().join("export");
    drop(Journal::open(&root, "the destination", "me", now).expect("a journal"));
    let entry = fs::read_dir(&root).expect("a journal").next();
    let journal = entry.expect("one").expect("an entry").path();
    let header = format!("anon-export journal {version}\nthe destination\n");
    fs::copy(fixture.join("patients/S-1"), journal.join("patients/S-1")).expect("copied");
    std::io::Write::write_all(
        &mut File::create(journal.join("header")).expect("a file"),
        header.as_bytes(),
    )
    .expect("written");
    (project, sink, all, to)
}

/// What it recorded is compared by length and time once more, and by the origin from then on.
#[test]
fn origins_are_added_to_a_journal_of_version_2() {
    let (project, sink, all, _to) = with_stored_journal(2);
    project.expect(&sink, without_backoff(), [0, 2, 0]);
    for key in &all {
        write(&project.public(), key, &[8; 2010]);
    }
    project.expect(&sink, without_backoff(), [0, 2, 0]);
}

#[test]
fn journal_of_version_2_replaces_nothing() {
    let (project, sink, [first, second], to) = with_stored_journal(2);
    // Of an unknown original, as far as that journal says.
    let other = vec![8; 2010];
    write(&project.public(), &first, &other);
    project.touch(&second, 5);
    let log = project.expect(&sink, without_backoff(), [0, 1, 1]);
    let line = format!("failed {first} the destination has another object");
    assert_eq!(log.count(&line), 1, "{:?}", log.lines());
    assert_eq!(stored(to.path(), &first), [7; 2010]);
    project.expect(&sink, overwriting(), [1, 1, 0]);
    assert_eq!(stored(to.path(), &first), other);
    // It is of version 3 now, and knows both.
    for key in [&first, &second] {
        project.touch(key, 6);
    }
    project.expect(&sink, without_backoff(), [0, 2, 0]);
}

/// Every future version must read the origins of this stored journal of version 3.
#[test]
fn origins_of_version_3_are_read() {
    let (project, sink, [first, second], to) = with_stored_journal(3);
    for key in [&first, &second] {
        project.touch(key, 5);
    }
    // The second has no origin, and equal bytes.
    project.expect(&sink, without_backoff(), [0, 2, 0]);
    write(&project.public(), &first, &[8; 2010]);
    let origins = [(first.clone(), Origin::new(9, 0xAA))];
    let project = Project {
        origins: Some(KnownOrigins(origins.into())),
        ..project
    };
    let log = project.expect(&sink, without_backoff(), [0, 1, 1]);
    let line = format!("failed {first} the destination has an object of another original");
    assert_eq!(log.count(&line), 1, "{:?}", log.lines());
    assert_eq!(stored(to.path(), &first), [7; 2010]);
}
