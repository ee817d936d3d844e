//! Destinations that tell tags: what is there is known by its bytes, and read once only.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anon_export::{
    Cancel, Capabilities, DirectorySource, EntityTag, Error, ExportMode, ExportReport, Exporter,
    Journal, KeyPart, ListedObject, MemorySink, ObjectKey, Quiet, Selection, Sink, Stored,
    conformance,
};

use crate::support::{bytes, files, hasty, key, keys, write};

/// A sink in memory that tells a checksum of each object, and does not compare.
#[derive(Debug, Default)]
struct TaggingSink {
    memory: MemorySink,
    tells_beforehand: bool,
    puts: AtomicU64,
    asked: AtomicU64,
}

fn tag(bytes: &[u8]) -> Option<EntityTag> {
    let sum = bytes.iter().fold(7_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    });
    EntityTag::new(format!("{sum:016x}"))
}

impl TaggingSink {
    fn new(tells_beforehand: bool) -> Self {
        Self {
            tells_beforehand,
            ..Self::default()
        }
    }

    fn counted(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.swap(0, Ordering::Relaxed);
        (count(&self.puts), count(&self.asked))
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
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.tells_beforehand {
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
    let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut exporter =
        Exporter::new(Arc::clone(sink) as Arc<dyn Sink>).with_options(hasty().with_mode(mode));
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

/// The same length is not enough, and the same bytes are.
#[test]
fn the_tag_decides_not_the_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    files(&root.join("public"), &keys(1, 4));
    let sink = Arc::new(TaggingSink::new(true));
    assert_eq!(export(&sink, root, None, ExportMode::Send).counts.sent, 4);
    assert_eq!(sink.counted(), (4, 0));
    let again = export(&sink, root, None, ExportMode::Send);
    assert_eq!((again.counts.sent, again.counts.skipped), (0, 4));
    assert_eq!(
        sink.counted(),
        (0, 4),
        "each was read to compare, none was put"
    );
    let changed = key(0, 1, 1);
    let mut other = bytes(&changed);
    other[3] ^= 1;
    write(&root.join("public"), &changed, &other);
    let dry = export(&sink, root, None, ExportMode::DryRun);
    assert_eq!((dry.counts.sent, dry.counts.skipped), (1, 3));
    let third = export(&sink, root, None, ExportMode::Send);
    assert_eq!((third.counts.sent, third.counts.skipped), (1, 3));
    assert_eq!(*sink.memory.get(&changed).expect("there"), *other);
}

/// With a journal nothing is read twice, also if it begins after the fact.
#[test]
fn the_journal_remembers_tags() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    files(&root.join("public"), &keys(1, 4));
    let sink = Arc::new(TaggingSink::new(true));
    for (journal, puts, asked) in [("one", 4, 0), ("one", 0, 0), ("two", 0, 4), ("two", 0, 0)] {
        export(&sink, root, Some(journal), ExportMode::Send);
        assert_eq!(sink.counted(), (puts, asked), "journal {journal}");
    }
    // Somebody else put other bytes there since.
    let spoiled = key(0, 0, 2);
    let mut other = bytes(&spoiled);
    other[0] ^= 1;
    let len = other.len() as u64;
    sink.memory.put(&spoiled, len, &mut &*other).expect("put");
    let mended = export(&sink, root, Some("one"), ExportMode::Send);
    assert_eq!((mended.counts.sent, mended.counts.skipped), (1, 3));
    assert_eq!(*sink.memory.get(&spoiled).expect("there"), *bytes(&spoiled));
}

/// Where only the destination can tell a tag, the journal knows what it was.
#[test]
fn a_tag_that_cannot_be_told_is_compared_with_the_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    files(&root.join("public"), &keys(1, 4));
    let sink = Arc::new(TaggingSink::new(false));
    // Without one it is put once more: equal lengths are no equal bytes.
    for (journal, puts) in [(Some("one"), 4), (Some("one"), 0), (None, 4)] {
        export(&sink, root, journal, ExportMode::Send);
        assert_eq!(sink.counted().0, puts, "{journal:?}");
    }
    let spoiled = key(0, 0, 2);
    let mut other = bytes(&spoiled);
    other[0] ^= 1;
    let len = other.len() as u64;
    sink.memory.put(&spoiled, len, &mut &*other).expect("put");
    assert_eq!(
        export(&sink, root, Some("one"), ExportMode::Send)
            .counts
            .sent,
        1
    );
}

#[test]
fn passes_the_suite() {
    conformance::check(|| TaggingSink::new(true));
    conformance::check(|| TaggingSink::new(false));
}
