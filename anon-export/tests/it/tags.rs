//! Destinations with tags: an object is recognized by its bytes, which are read only once.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anon_export::{
    Cancel, Capabilities, DirectorySource, EntityTag, Error, ExportMode, ExportReport, Exporter,
    Journal, KeyPart, ListedObject, MemorySink, ObjectKey, Overwrite, Quiet, Selection, Sink,
    Stored, conformance,
};

use crate::support::{bytes, files, key, keys, without_backoff, write};

/// A sink in memory whose tags are checksums, and which does not compare.
#[derive(Debug, Default)]
struct TaggingSink {
    memory: MemorySink,
    computes_in_advance: bool,
    puts: AtomicU64,
    computed: AtomicU64,
}

fn tag(bytes: &[u8]) -> Option<EntityTag> {
    let sum = bytes.iter().fold(7_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    });
    EntityTag::new(format!("{sum:016x}"))
}

impl TaggingSink {
    fn new(computes_in_advance: bool) -> Self {
        Self {
            computes_in_advance,
            ..Self::default()
        }
    }

    fn take_counts(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.swap(0, Ordering::Relaxed);
        (count(&self.puts), count(&self.computed))
    }
}

impl Sink for TaggingSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().without_comparing()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let mut bytes = Vec::new();
        let read = body.read_to_end(&mut bytes);
        read.map_err(|error| Error::Read { kind: error.kind() })?;
        self.memory.put(key, len, &mut bytes.as_slice())?;
        self.puts.fetch_add(1, Ordering::Relaxed);
        Ok(Stored::new(anon_export::Put::Created).with_tag(tag(&bytes)))
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.memory.list(patient, &mut |listed| {
            let tag = self.memory.get(&listed.key).and_then(|bytes| tag(&bytes));
            each(listed.with_tag(tag))
        })
    }

    fn tag_of(&self, _: u64, body: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        if !self.computes_in_advance {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = body.read_to_end(&mut bytes);
        read.map_err(|error| Error::Read { kind: error.kind() })?;
        Ok(tag(&bytes))
    }
}

fn export(
    sink: &Arc<TaggingSink>,
    root: &Path,
    journal: Option<&str>,
    mode: ExportMode,
) -> ExportReport {
    export_over(sink, root, journal, mode, Overwrite::SameOriginal)
}

fn export_over(
    sink: &Arc<TaggingSink>,
    root: &Path,
    journal: Option<&str>,
    mode: ExportMode,
    overwrite: Overwrite,
) -> ExportReport {
    let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut exporter = Exporter::new(Arc::clone(sink) as Arc<dyn Sink>)
        .with_options(without_backoff().with_mode(mode).with_overwrite(overwrite));
    if let Some(name) = journal {
        let journal = Journal::open(&root.join(name), "tagged", "me", now).expect("a journal");
        exporter = exporter.with_journal(Arc::new(journal));
    }
    exporter
        .export(
            &DirectorySource::new(root.join("public")),
            &Selection::all(),
            &Cancel::new(),
            &Quiet,
        )
        .expect("an export")
}

/// Equal lengths are not enough; equal bytes are.
#[test]
fn object_is_skipped_by_tag_not_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    files(&root.join("public"), &keys(1, 4));
    let sink = Arc::new(TaggingSink::new(true));
    assert_eq!(export(&sink, root, None, ExportMode::Send).counts.sent, 4);
    assert_eq!(sink.take_counts(), (4, 0));
    let again = export(&sink, root, None, ExportMode::Send);
    assert_eq!((again.counts.sent, again.counts.skipped), (0, 4));
    assert_eq!(
        sink.take_counts(),
        (0, 4),
        "each object was read and compared, none was put"
    );
    let changed = key(0, 1, 1);
    let mut other = bytes(&changed);
    other[3] ^= 1;
    write(&root.join("public"), &changed, &other);
    for mode in [ExportMode::DryRun, ExportMode::Send] {
        let refused = export(&sink, root, None, mode).counts;
        assert_eq!((refused.failed, refused.skipped), (1, 3), "{mode:?}");
        assert_ne!(*sink.memory.get(&changed).expect("stored"), *other);
    }
    let over = |mode| export_over(&sink, root, None, mode, Overwrite::Any).counts;
    let dry = over(ExportMode::DryRun);
    assert_eq!((dry.sent, dry.skipped), (1, 3));
    let third = over(ExportMode::Send);
    assert_eq!((third.sent, third.skipped), (1, 3));
    assert_eq!(*sink.memory.get(&changed).expect("stored"), *other);
}

/// With a journal no object is read twice, even if the journal is new.
#[test]
fn journal_records_tags() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    files(&root.join("public"), &keys(1, 4));
    let sink = Arc::new(TaggingSink::new(true));
    for (journal, puts, computed) in [("one", 4, 0), ("one", 0, 0), ("two", 0, 4), ("two", 0, 0)] {
        export(&sink, root, Some(journal), ExportMode::Send);
        assert_eq!(sink.take_counts(), (puts, computed), "journal {journal}");
    }
    // Another program replaced the object.
    let replaced = key(0, 0, 2);
    let mut other = bytes(&replaced);
    other[0] ^= 1;
    let len = other.len() as u64;
    sink.memory.put(&replaced, len, &mut &*other).expect("put");
    let refused = export(&sink, root, Some("one"), ExportMode::Send);
    assert_eq!((refused.counts.failed, refused.counts.skipped), (1, 3));
    let mode = ExportMode::Send;
    let repaired = export_over(&sink, root, Some("one"), mode, Overwrite::Any);
    assert_eq!((repaired.counts.sent, repaired.counts.skipped), (1, 3));
    assert_eq!(
        *sink.memory.get(&replaced).expect("stored"),
        *bytes(&replaced)
    );
}

/// If only the destination can compute a tag, the journal has the recorded one.
#[test]
fn tag_that_cannot_be_computed_is_compared_with_the_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    files(&root.join("public"), &keys(1, 4));
    let sink = Arc::new(TaggingSink::new(false));
    // Without a journal it is refused: equal lengths do not prove equal bytes.
    for (journal, puts, failed) in [(Some("one"), 4, 0), (Some("one"), 0, 0), (None, 0, 4)] {
        let counts = export(&sink, root, journal, ExportMode::Send).counts;
        assert_eq!(
            (sink.take_counts().0, counts.failed),
            (puts, failed),
            "{journal:?}"
        );
    }
    let replaced = key(0, 0, 2);
    let mut other = bytes(&replaced);
    other[0] ^= 1;
    let len = other.len() as u64;
    sink.memory.put(&replaced, len, &mut &*other).expect("put");
    let refused = export(&sink, root, Some("one"), ExportMode::Send).counts;
    assert_eq!((refused.sent, refused.failed), (0, 1));
}

#[test]
fn tagging_sinks_pass_the_conformance_suite() {
    conformance::check(|| TaggingSink::new(true));
    conformance::check(|| TaggingSink::new(false));
}
