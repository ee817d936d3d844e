//! The journal: a hint that survives damage, and never overrides a listing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anon_export::journal::{DestinationStatus, RunOutcome, destinations, patients};
use anon_export::{
    BackendError, Cancel, DirectorySink, DirectorySource, Error, Existing, ExportMode,
    ExportOptions, ExportReport, Exporter, Journal, ObjectKey, Overwrite, Quiet, Remedy, Selection,
    Sink,
};

use crate::support::{FaultySink, bytes, files, key, keys, without_backoff, write};

pub(crate) const ADDRESS: &str = "memory:test";

/// The fixed time of these tests.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn open(root: &Path) -> Result<Journal, Error> {
    Journal::open(root, ADDRESS, "1000 jane", now)
}

pub(crate) struct JournalFixture {
    directory: tempfile::TempDir,
    sink: Arc<FaultySink>,
}

impl JournalFixture {
    pub(crate) fn new(keys: &BTreeSet<ObjectKey>, sink: FaultySink) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        files(&directory.path().join("public"), keys);
        let sink = Arc::new(sink);
        Self { directory, sink }
    }

    fn public(&self) -> PathBuf {
        self.directory.path().join("public")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.path().join("export")
    }

    /// Returns the directory of the only destination.
    pub(crate) fn destination_directory(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.journal()).expect("a journal");
        entries
            .next()
            .expect("a destination")
            .expect("an entry")
            .path()
    }

    pub(crate) fn export(&self) -> ExportReport {
        self.try_export().expect("an export")
    }

    fn try_export(&self) -> Result<ExportReport, anon_export::ExportError> {
        self.try_export_with(without_backoff())
    }

    fn try_export_with(
        &self,
        options: ExportOptions,
    ) -> Result<ExportReport, anon_export::ExportError> {
        self.try_export_as(options, &Selection::all(), &Cancel::new())
    }

    pub(crate) fn try_export_as(
        &self,
        options: ExportOptions,
        selection: &Selection,
        cancel: &Cancel,
    ) -> Result<ExportReport, anon_export::ExportError> {
        let journal = Arc::new(open(&self.journal()).expect("a journal"));
        Exporter::new(Arc::clone(&self.sink) as Arc<dyn Sink>)
            .with_options(options)
            .with_journal(journal)
            .export(
                &DirectorySource::new(self.public()),
                selection,
                cancel,
                &Quiet,
            )
    }

    fn last_outcome(&self) -> Option<RunOutcome> {
        let last = self.status().last_run?;
        Some(last.end?.outcome)
    }

    fn status(&self) -> DestinationStatus {
        let mut all = destinations(&self.journal()).expect("a status");
        assert_eq!(all.len(), 1);
        all.pop().expect("one")
    }
}

fn healthy() -> FaultySink {
    FaultySink::new(|_, _| None)
}

fn without_listing() -> FaultySink {
    healthy().with_list_fault(|_, _| Some(Error::NoListing))
}

#[test]
fn sent_objects_are_not_read_again() {
    let fixture = JournalFixture::new(&keys(3, 5), healthy());
    assert_eq!(fixture.export().counts.sent, 15);
    let again = fixture.export();
    assert_eq!((again.counts.sent, again.counts.skipped), (0, 15));
    assert_eq!(fixture.sink.puts(), 15, "the sink was not asked to compare");
}

/// A destination that cannot list has lost its data. The journal does not know.
#[test]
fn export_again_sends_what_the_journal_records_as_sent() {
    let fixture = JournalFixture::new(&keys(2, 3), without_listing());
    fixture.export();
    assert_eq!(fixture.export().counts.sent, 0);
    let again = || {
        let options = without_backoff().with_existing(Existing::SendAgain);
        fixture.try_export_with(options).expect("an export").counts
    };
    let counts = again();
    // The sink itself finds that it has equal bytes.
    assert_eq!((counts.found, counts.sent + counts.skipped), (6, 6));
    assert_eq!(fixture.sink.puts(), 12, "every object reached the sink");
    assert_eq!(fixture.status().totals.objects, 6, "each counts once");
    let dry = without_backoff()
        .with_existing(Existing::SendAgain)
        .with_mode(ExportMode::DryRun);
    let dry = fixture.try_export_with(dry).expect("a dry run").counts;
    assert_eq!((dry.sent, dry.skipped), (6, 0));
}

#[test]
fn changed_file_of_unknown_origin_is_sent_again_if_it_may_overwrite() {
    let fixture = JournalFixture::new(&keys(1, 3), without_listing());
    fixture.export();
    let changed = key(0, 1, 1);
    write(&fixture.public(), &changed, b"other bytes");
    // Same length, other modification time.
    let touched = key(0, 0, 0);
    let path = fixture.public().join(touched.to_string());
    let file = File::options().write(true).open(path).expect("a file");
    file.set_modified(now()).expect("touched");
    let refused = fixture.export().counts;
    assert_eq!((refused.found, refused.failed), (3, 1));
    assert_eq!((fixture.sink.puts(), refused.skipped), (5, 2));
    assert_eq!(
        *fixture.sink.memory.get(&changed).expect("stored"),
        *bytes(&changed)
    );
    let options = without_backoff().with_overwrite(Overwrite::Any);
    let again = fixture.try_export_with(options).expect("an export").counts;
    assert_eq!((again.sent, again.skipped), (1, 2));
    assert_eq!(
        &*fixture.sink.memory.get(&changed).expect("stored"),
        b"other bytes"
    );
}

#[test]
fn listing_overrides_the_journal() {
    let fixture = JournalFixture::new(&keys(1, 4), healthy());
    fixture.export();
    // The destination lost everything. The journal must not hide that.
    let empty = JournalFixture {
        directory: fixture.directory,
        sink: Arc::new(healthy()),
    };
    assert_eq!(empty.export().counts.sent, 4);
}

#[test]
fn journal_decides_without_a_listing() {
    let fixture = JournalFixture::new(&keys(2, 4), without_listing());
    assert_eq!(fixture.export().counts.sent, 8);
    assert_eq!(fixture.export().counts.skipped, 8);
    assert_eq!(fixture.sink.puts(), 8);
}

#[test]
fn status_returns_totals_and_last_run() {
    let failing = key(1, 0, 2);
    let sink = FaultySink::new(move |key, _| {
        let error = || BackendError::new(Remedy::Skip, "no").into();
        (*key == failing).then(error)
    });
    let fixture = JournalFixture::new(&keys(3, 4), sink);
    fixture.export();
    let status = fixture.status();
    assert_eq!(status.address, ADDRESS);
    assert!(!status.is_running);
    assert_eq!((status.totals.patients, status.totals.objects), (3, 11));
    assert_eq!(status.totals.last(), Some(now()));
    let sent = keys(3, 4);
    let size = sent.iter().filter(|key| **key != self::key(1, 0, 2));
    let size: usize = size.map(|key| bytes(key).len()).sum();
    assert_eq!(status.totals.bytes, size as u64);
    let run = status.last_run.expect("a run");
    assert_eq!((run.who.as_str(), run.began), ("1000 jane", now()));
    let end = run.end.expect("it ended");
    assert_eq!(end.outcome, RunOutcome::Done);
    assert_eq!((end.report.counts.sent, end.report.counts.failed), (11, 1));
    assert_eq!(end.report.patients_failed, 1);
}

#[test]
fn stopped_export_has_the_outcome_stopped() {
    let sink = FaultySink::new(|_, _| Some(BackendError::new(Remedy::Stop, "no bucket").into()));
    let fixture = JournalFixture::new(&keys(1, 1), sink);
    fixture.try_export().expect_err("it stops");
    let end = fixture.status().last_run.and_then(|run| run.end);
    assert_eq!(end.expect("it ended").outcome, RunOutcome::Stopped);
}

#[test]
fn journal_can_be_opened_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = open(directory.path()).expect("a journal");
    assert!(destinations(directory.path()).expect("a status")[0].is_running);
    let second = open(directory.path()).expect_err("the first journal is open");
    assert!(matches!(second, Error::Busy), "{second:?}");
    Journal::open(directory.path(), "another", "jane", now).expect("another destination");
    drop(first);
    open(directory.path()).expect("the first journal was dropped");
}

/// Also for long addresses with a common beginning.
#[test]
fn each_address_has_its_own_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let long = "x".repeat(3000);
    for end in ["a", "b"] {
        let address = format!("file:/{long}/{end}");
        drop(Journal::open(directory.path(), &address, "jane", now).expect("a journal"));
    }
    let all = destinations(directory.path()).expect("a status");
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|it| it.address.len() > 3000));
}

/// A patient's file that is cut at any byte: the complete lines are read, the rest is cut off, and
/// the next export restores it.
#[test]
fn truncated_patient_file_is_repaired() {
    let fixture = JournalFixture::new(&keys(1, 3), without_listing());
    fixture.export();
    let file = fixture.destination_directory().join("patients/S-0");
    let whole = fs::read(&file).expect("a file");
    let puts = length_of_puts(&whole);
    for cut in 0..puts {
        File::create(&file)
            .and_then(|mut file| file.write_all(&whole[..cut]))
            .expect("truncated");
        let report = fixture.export();
        assert_eq!(
            report.counts.skipped, 3,
            "cut at {cut}: the sink compares objects without a record"
        );
        let repaired = fs::read(&file).expect("a file");
        assert_eq!(repaired.len(), puts, "cut at {cut}");
        let next = fixture.sink.puts();
        fixture.export();
        assert_eq!(
            fixture.sink.puts(),
            next,
            "cut at {cut}: everything is recorded again"
        );
    }
}

/// Returns the length of the lines of three objects. The last line is the end of the export.
fn length_of_puts(whole: &[u8]) -> usize {
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 4);
    lines.iter().take(3).map(|line| line.len()).sum()
}

/// A flipped bit only causes another comparison.
#[test]
fn damaged_line_is_not_used() {
    let fixture = JournalFixture::new(&keys(1, 3), without_listing());
    fixture.export();
    let file = fixture.destination_directory().join("patients/S-0");
    let whole = fs::read(&file).expect("a file");
    for at in (0..length_of_puts(&whole)).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        File::create(&file)
            .and_then(|mut file| file.write_all(&damaged))
            .expect("damaged");
        let before = fixture.sink.puts();
        assert_eq!(fixture.export().counts.failed, 0, "byte {at}");
        assert!(fixture.sink.puts() > before, "byte {at}: no object was put");
    }
}

#[test]
fn truncated_runs_and_totals_are_recomputed() {
    let fixture = JournalFixture::new(&keys(2, 3), healthy());
    fixture.export();
    let expected = fixture.status().totals;
    for name in ["runs", "totals"] {
        let file = fixture.destination_directory().join(name);
        let whole = fs::read(&file).expect("a file");
        for cut in 0..whole.len() {
            File::create(&file)
                .and_then(|mut file| file.write_all(&whole[..cut]))
                .expect("truncated");
            assert_eq!(fixture.status().totals, expected, "{name} cut at {cut}");
            let journal = open(&fixture.journal()).expect("it opens");
            assert_eq!(journal.totals(), expected, "{name} cut at {cut}");
        }
        File::create(&file)
            .and_then(|mut file| file.write_all(&whole))
            .expect("whole");
    }
}

#[test]
fn dry_run_records_nothing() {
    let fixture = JournalFixture::new(&keys(1, 3), healthy());
    let journal = Arc::new(open(&fixture.journal()).expect("a journal"));
    Exporter::new(Arc::clone(&fixture.sink) as Arc<dyn Sink>)
        .with_options(without_backoff().with_mode(ExportMode::DryRun))
        .with_journal(journal)
        .export(
            &DirectorySource::new(fixture.public()),
            &Selection::all(),
            &Cancel::new(),
            &Quiet,
        )
        .expect("a dry run");
    assert!(fixture.status().last_run.is_none());
    assert_eq!(fixture.status().totals.objects, 0);
}

#[test]
fn journal_of_another_version_or_destination_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path()).expect("a journal"));
    let mut entries = fs::read_dir(directory.path()).expect("a journal");
    let header = entries
        .next()
        .expect("one")
        .expect("an entry")
        .path()
        .join("header");
    for text in [
        "anon-export journal 4\nmemory:test\n",
        "anon-export journal 3\nelsewhere\n",
        "anon-export journal 2\nelsewhere\n",
        "anon-export journal 1\nelsewhere\n",
    ] {
        File::create(&header)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("written");
        let error = open(directory.path()).expect_err("it is refused");
        assert!(matches!(error, Error::JournalFormat { .. }), "{error:?}");
    }
}

/// Every future version must read this stored journal of version 1.
#[test]
fn version_1_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal-1");
    copy(&fixture, directory.path());
    let all = destinations(directory.path()).expect("a status");
    let [status] = &all[..] else {
        panic!("one destination: {all:?}");
    };
    assert_eq!(status.address, "file:/data/out");
    assert_eq!((status.totals.patients, status.totals.objects), (2, 3));
    assert_eq!(status.totals.bytes, 6030);
    let end = status.last_run.as_ref().and_then(|run| run.end.as_ref());
    assert_eq!(end.expect("it ended").report.counts.skipped, 1);
    let by_patient = patients(directory.path(), "file:/data/out").expect("a status");
    let objects: u64 = by_patient.iter().map(|it| it.objects).sum();
    assert_eq!((by_patient.len(), objects), (2, 3));
    assert!(
        by_patient
            .iter()
            .all(|it| it.last_export.is_none() && it.is_complete())
    );
    // Without the totals the patients' files add up to the same.
    fs::remove_file(first(directory.path()).join("totals")).expect("removed");
    assert_eq!(
        destinations(directory.path()).expect("a status")[0].totals,
        status.totals
    );
    Journal::open(directory.path(), "file:/data/out", "jane", now).expect("it opens");
    assert_eq!(
        fs::read_dir(directory.path()).expect("a journal").count(),
        1,
        "no second journal was created"
    );
    // It is of version 3 now, so that the versions before refuse it.
    let header = first(directory.path()).join("header");
    let header = fs::read_to_string(header).expect("a header");
    assert_eq!(header, "anon-export journal 3\nfile:/data/out\n");
    let again = destinations(directory.path()).expect("a status");
    assert_eq!(again[0].totals, status.totals);
}

/// Every future version must read this stored journal of version 2.
#[test]
fn version_2_is_read() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal-2");
    let all = destinations(&fixture).expect("a status");
    let [status] = &all[..] else {
        panic!("one destination: {all:?}");
    };
    let end = status.last_run.as_ref().and_then(|run| run.end.as_ref());
    let end = end.expect("it ended");
    assert_eq!(
        (end.outcome, end.report.counts.left),
        (RunOutcome::Stopped, 1)
    );
    let error = end.error.as_deref().expect("an error");
    assert!(error.contains("the disk is full"), "{error}");
    let by_patient = patients(&fixture, &status.address).expect("a status");
    let [sent, failed] = &by_patient[..] else {
        panic!("two patients: {by_patient:?}");
    };
    let end = sent.last_export.as_ref().expect("an end");
    assert_eq!((end.counts.sent, &end.error), (2, &None));
    let end = failed.last_export.as_ref().expect("an end");
    assert_eq!((end.counts.failed, end.counts.left), (1, 1));
    assert!(
        end.error
            .as_deref()
            .is_some_and(|it| it.contains("the disk is full"))
    );
}

fn first(of: &Path) -> PathBuf {
    let mut entries = fs::read_dir(of).expect("a directory");
    entries.next().expect("one").expect("an entry").path()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("copied");
        }
    }
}

/// An unusable journal ends the export: otherwise objects without a record would be sent every
/// time.
#[test]
fn unusable_journal_stops_the_export() {
    let fixture = JournalFixture::new(&keys(2, 3), healthy());
    fixture.export();
    let file = fixture.destination_directory().join("patients/S-0");
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a directory instead of the file");
    let ended = fixture.try_export().expect_err("the journal is unusable");
    assert!(matches!(*ended.error, Error::Journal { .. }), "{ended:?}");
    let end = fixture.last_outcome();
    assert_eq!(end, Some(RunOutcome::Stopped));
}

/// Exports to a directory twice: the second export sends nothing.
#[test]
fn second_export_to_a_directory_sends_nothing() {
    let fixture = JournalFixture::new(&keys(2, 6), healthy());
    let to = fixture.directory.path().join("to");
    for sent in [12, 0] {
        let sink: Arc<dyn Sink> = Arc::new(DirectorySink::open(&to).expect("a sink"));
        let journal = Arc::new(open(&fixture.journal()).expect("a journal"));
        let report = Exporter::new(sink)
            .with_journal(journal)
            .export(
                &DirectorySource::new(fixture.public()),
                &Selection::all(),
                &Cancel::new(),
                &Quiet,
            )
            .expect("an export");
        assert_eq!(report.counts.sent, sent);
        assert!(report.is_complete());
    }
    for key in keys(2, 6) {
        assert_eq!(
            fs::read(to.join(key.to_string())).expect("a file"),
            bytes(&key)
        );
    }
}
