//! Every implementation of `ObjectSource` runs the conformance suite, and the suite finds faults.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anon_engine::source::FileScan;
use anon_engine::testing::conformance::{Breach, ExpectedItem, check_source};
use anon_engine::testing::files::{DataSet, Form, Syntax};
use anon_engine::{BytesSource, ObjectSource, Received, SourceItem};
use anon_model::Phi;
use dicom_core::{Tag, VR};

use super::conformance::holds;
use super::world::{bytes, nth, received};

/// Writes the `n`-th object to `path`, and returns what a source should make of it.
fn write(path: &Path, n: u32) -> ExpectedItem {
    write_bytes(path, &bytes(&nth(n)));
    object(n)
}

fn write_bytes(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    let mut file = std::fs::File::create(path).expect("a file");
    std::io::Write::write_all(&mut file, bytes).expect("a file");
}

/// The `n`-th object, as the suite expects it.
fn object(n: u32) -> ExpectedItem {
    ExpectedItem::Object(anon_engine::testing::files::Place::nth(1, n, 4).instance_uid())
}

#[test]
fn a_directory_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    write_bytes(&root.join(".hidden"), b"x");
    let mut expected = vec![ExpectedItem::Ignored];
    expected.push(write(&root.join("a"), 1));
    expected.push(write(&root.join("c/d"), 2));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("e")).expect("a link");
        expected.push(ExpectedItem::Failed);
    }
    expected.push(write(&root.join("f"), 0));
    holds(check_source(
        &|| Box::new(FileScan::new([root.to_path_buf()])),
        &expected,
    ));
}

#[test]
fn several_paths_conform() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, missing, second) = ["b", "none", "a"].map(|name| dir.path().join(name)).into();
    let expected = [
        write(&first.join("1"), 1),
        ExpectedItem::Failed,
        write(&second, 2),
    ];
    holds(check_source(
        &|| Box::new(FileScan::new([&first, &missing, &second].map(Clone::clone))),
        &expected,
    ));
}

/// A DICOMDIR (PS3.10 section 8.6) with a record for each of these file IDs.
fn dicomdir(file_ids: &[&str]) -> Vec<u8> {
    let record = |id: &&str| {
        DataSet::new()
            .put(Tag(0x0004, 0x1410), VR::US, 0xFFFF_u16)
            .put(Tag(0x0004, 0x1500), VR::CS, *id)
    };
    let records = file_ids.iter().map(record).collect();
    let meta = DataSet::new().put(Tag(2, 2), VR::UI, "1.2.840.10008.1.3.10");
    DataSet::new()
        .sequence(Tag(0x0004, 0x1220), records)
        .write_as(&Form::new(Syntax::ExplicitLittle).meta(meta))
}

#[test]
fn a_dicomdir_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("DICOMDIR");
    let ids = ["IMG\\B", "IMG\\GONE", "..\\OUTSIDE", "IMG\\A"];
    write_bytes(&path, &dicomdir(&ids));
    let expected = [
        ExpectedItem::Ignored, // The DICOMDIR itself.
        write(&dir.path().join("IMG/B"), 1),
        ExpectedItem::Failed,
        ExpectedItem::Failed,
        write(&dir.path().join("IMG/A"), 2),
    ];
    holds(check_source(
        &|| Box::new(FileScan::new([path.clone()])),
        &expected,
    ));
}

#[test]
fn objects_in_memory_conform() {
    let objects = || (0..5).map(|n| received(&nth(n)).with_origin(format!("peer {n}")));
    let expected: Vec<_> = (0..5).map(object).collect();
    holds(check_source(
        &|| Box::new(BytesSource::new(objects())),
        &expected,
    ));
}

/// A source as a caller might write it: an ignored item, a failed one, an object, and so on.
#[derive(Debug)]
struct EveryThird {
    shown: u32,
    fault: Option<Fault>,
}

/// What is wrong with a source.
#[derive(Debug, Clone)]
enum Fault {
    EndsAtAFailure,
    RepeatsAnItem,
    LeavesOutAnItem,
    SwapsTwoItems,
    GoesOnAfterItsEnd,
    NeverEnds,
    HasAnEmptyOrigin,
    /// A new source starts all others from the beginning.
    SharesItsProgress(Arc<AtomicU32>),
    /// Each run gives its items other origins.
    ChangesItsOrigins(Arc<AtomicU32>),
}

impl ObjectSource for EveryThird {
    fn next(&mut self) -> Option<SourceItem> {
        self.shown += 1;
        let (mut n, mut end) = (self.shown, 6);
        let mut origin = format!("item {n}");
        match &self.fault {
            Some(Fault::EndsAtAFailure) => end = 2,
            Some(Fault::RepeatsAnItem) if n > 3 => n -= 1,
            Some(Fault::LeavesOutAnItem) if n > 2 => n += 1,
            Some(Fault::SwapsTwoItems) if n == 3 || n == 6 => n = 9 - n,
            Some(Fault::GoesOnAfterItsEnd) if n == end + 2 => n = 1,
            Some(Fault::NeverEnds) => end = u32::MAX,
            Some(Fault::HasAnEmptyOrigin) => origin.clear(),
            Some(Fault::SharesItsProgress(progress)) => {
                if n == 1 {
                    progress.store(0, Ordering::SeqCst);
                }
                n = progress.fetch_add(1, Ordering::SeqCst) + 1;
            }
            Some(Fault::ChangesItsOrigins(runs)) => {
                origin = format!("item {}", runs.fetch_add(1, Ordering::SeqCst));
            }
            _ => {}
        }
        let origin = Phi::new(origin);
        (n <= end).then(|| match n % 3 {
            1 => SourceItem::Ignored {
                origin,
                reason: "not an object",
            },
            2 => SourceItem::Failed {
                origin,
                reason: "unavailable",
                error: None,
            },
            _ => SourceItem::Object(Received::part10(bytes(&nth(n)))),
        })
    }
}

fn check_every_third(fault: Option<&Fault>) -> Result<(), Breach> {
    let group = |n| [ExpectedItem::Ignored, ExpectedItem::Failed, object(n)];
    let expected = [group(3), group(6)].concat();
    let make = || -> Box<dyn ObjectSource> {
        Box::new(EveryThird {
            shown: 0,
            fault: fault.cloned(),
        })
    };
    check_source(&make, &expected)
}

#[test]
fn a_source_of_a_caller_conforms() {
    holds(check_every_third(None));
}

#[test]
fn the_suite_finds_each_fault() {
    for (fault, breach) in [
        (Fault::EndsAtAFailure, "items are missing"),
        (
            Fault::RepeatsAnItem,
            "an item is of another kind than expected",
        ),
        (
            Fault::LeavesOutAnItem,
            "an item is of another kind than expected",
        ),
        (
            Fault::SwapsTwoItems,
            "an object has another SOP Instance UID than expected",
        ),
        (Fault::GoesOnAfterItsEnd, "a source goes on after its end"),
        (Fault::NeverEnds, "there are more items than expected"),
        (Fault::HasAnEmptyOrigin, "an item has an empty origin"),
        (
            Fault::SharesItsProgress(Arc::default()),
            "an item is of another kind than expected",
        ),
        (
            Fault::ChangesItsOrigins(Arc::default()),
            "the second run has other origins, or another order",
        ),
    ] {
        let found = check_every_third(Some(&fault)).expect_err("a fault");
        assert_eq!(found.to_string(), breach, "{fault:?}");
    }
}
