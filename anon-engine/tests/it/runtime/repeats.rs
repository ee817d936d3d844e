//! Repeats of a stored instance: copies are duplicates, and other content is never dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::conformance::check_store;
use anon_engine::testing::files::{DataSet, Lengths, Place, Syntax, Value, ct_small, encapsulated};
use anon_engine::{
    DirectoryStore, Engine, Error, MemoryQuarantine, MemoryStore, Outcome, Policy, Receipt,
    Received, Remedy, Store,
};
use anon_model::LookupStore;
use anon_script::rules::{Action, Element, Method, Rules};
use dicom_core::{Tag, VR};

use super::faults::{FAIL, FailingLookups, SUCCEED};
use super::world::{self, SimpleStore};

const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS: Tag = Tag(0x0028, 0x0100);
const DOCUMENT: Tag = Tag(0x0042, 0x0011);
const WAVEFORM_SEQUENCE: Tag = Tag(0x5400, 0x0100);
const WAVEFORM: Tag = Tag(0x5400, 0x1010);
const TEXT: Tag = Tag(0x0040, 0xA160);
const LUT_SEQUENCE: Tag = Tag(0x0028, 0x3010);
const LUT: Tag = Tag(0x0028, 0x3006);
const UIDS: Tag = Tag(0x0020, 0x0052);

/// Keeps all that [`world::policy`] removes, and the other way round.
#[derive(Debug)]
struct OtherRules(Method);

impl Rules for OtherRules {
    fn action(&self, element: Element) -> &Action {
        match element.tag {
            Tag(0x0010, 0x0010 | 0x0020) => &Action::Patient,
            Tag(0x0008, 0x0018) | Tag(0x0020, 0x000D | 0x000E | 0x0052) => &Action::Uid,
            Tag(0x0028 | 0x7FE0, _) => &Action::Remove,
            _ => &Action::Keep,
        }
    }

    fn method(&self) -> &Method {
        &self.0
    }

    fn name(&self) -> &'static str {
        "other"
    }

    fn text(&self) -> &'static str {
        "other rules for tests"
    }

    fn digest(&self) -> [u8; 32] {
        [8; 32]
    }
}

/// A project whose engine can be started with several policies.
struct Project {
    lookups: Arc<dyn LookupStore>,
    store: Arc<dyn Store>,
}

impl Project {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            lookups: world::lookups(),
            store,
        }
    }

    fn process(&self, policy: Policy, received: Received) -> Receipt {
        self.try_process(policy, received).expect("a receipt")
    }

    fn try_process(&self, policy: Policy, received: Received) -> Result<Receipt, Error> {
        let engine = Engine::builder(
            policy,
            self.lookups.clone(),
            self.store.clone(),
            Arc::new(MemoryQuarantine::new()),
        );
        let engine = engine.workers(0).start().expect("an engine starts");
        engine.process(received)
    }
}

fn reason(receipt: &Receipt) -> &str {
    match &receipt.outcome {
        Outcome::Quarantined { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn stores(dir: &tempfile::TempDir) -> [Arc<dyn Store>; 2] {
    let options = DirectoryStoreOptions::default();
    let directory =
        DirectoryStore::open(dir.path().join("public"), dir.path().join("tmp"), options);
    [
        Arc::new(MemoryStore::new()),
        Arc::new(directory.expect("a store opens")),
    ]
}

/// A CT image of this many rows and columns, without its pixels.
fn sized(place: &Place, [rows, columns]: [u16; 2]) -> DataSet {
    let image = ct_small(place).without(PIXELS);
    let image = image.without(ROWS).without(COLUMNS);
    image.put(ROWS, VR::US, rows).put(COLUMNS, VR::US, columns)
}

/// An object with bulk of every kind, some kept and some removed by [`world::policy`]. `byte` is in the
/// middle of the bulk named `changed`.
fn object(changed: &str, byte: u8) -> DataSet {
    let bulk = |name: &str, len: usize| {
        let mut bytes = vec![b'7'; len];
        if let Some(middle) = bytes.get_mut(len / 2).filter(|_| name == changed) {
            *middle = byte;
        }
        bytes
    };
    let uids = |name: &str| {
        let last = if name == changed { u32::from(byte) } else { 7 };
        let uids = (0..500).map(|n| format!("1.2.3.4.{n}"));
        let all: Vec<String> = uids.chain([format!("1.2.3.9.{last}")]).collect();
        all.join("\\")
    };
    let waveform = DataSet::new().put(WAVEFORM, VR::OW, bulk("waveform", 6_000));
    let lut = |name| DataSet::new().put(LUT, VR::OW, bulk(name, 8_000));
    sized(&Place::new(1), [400, 250])
        .put(TEXT, VR::UT, bulk("text", 5_000))
        .put(DOCUMENT, VR::OB, bulk("document", 100_000))
        .put(UIDS, VR::UI, uids("uids"))
        .put(Tag(0x0029, 0x0010), VR::LO, "VENDOR")
        .put(Tag(0x0029, 0x1010), VR::OB, bulk("private", 5_000))
        .sequence_with(
            LUT_SEQUENCE,
            Lengths::Defined,
            vec![lut("first"), lut("lut")],
        )
        .sequence(WAVEFORM_SEQUENCE, vec![waveform])
        .put(PIXELS, VR::OW, bulk("pixels", 200_000))
}

const BULK: [&str; 8] = [
    "pixels", "document", "text", "waveform", "private", "first", "lut", "uids",
];

/// One byte of pixels, of a document, of a waveform or of a long text differs, whether the rules keep it
/// or remove it. Such an object was dropped as a duplicate.
#[test]
fn a_repeat_with_other_bulk_is_quarantined_and_a_copy_is_a_duplicate() {
    for syntax in [
        Syntax::ExplicitLittle,
        Syntax::ImplicitLittle,
        Syntax::ExplicitBig,
        Syntax::Deflated,
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        for store in stores(&dir) {
            let project = Project::new(store);
            let first = object("", 0).write(syntax);
            let path = dir.path().join("IM1");
            std::io::Write::write_all(&mut std::fs::File::create(&path).expect("a file"), &first)
                .expect("a file");
            let stored = project.process(world::policy(), Received::file(&path));
            assert_eq!(stored.outcome.name(), "stored", "{syntax:?}");
            let alone = object("", 0).write_data_set(syntax);
            for copy in [
                Received::file(&path),
                Received::part10(first),
                Received::data_set(alone, syntax.uid()),
            ] {
                let receipt = project.process(world::policy(), copy);
                assert_eq!(
                    receipt.outcome.name(),
                    "duplicate",
                    "{syntax:?}: {receipt:?}"
                );
                assert!(!receipt.warnings.other_transfer_syntax);
            }
            for changed in BULK {
                let other = Received::part10(object(changed, 8).write(syntax));
                let receipt = project.process(world::policy(), other);
                assert!(
                    reason(&receipt).ends_with("is stored already, with other content"),
                    "{syntax:?}, {changed}: {receipt:?}"
                );
            }
        }
    }
}

/// Bytes behind the last pixel, and bytes behind the pixel data that are no element, are not stored. They
/// take part in the comparison.
#[test]
fn bytes_that_are_not_stored_take_part() {
    let of = |pixels: usize, surplus: &[u8], behind: &[u8]| {
        let mut bytes = vec![7; pixels];
        bytes.extend_from_slice(surplus);
        let image = sized(&Place::new(1), [100, 81]);
        let image = image.put(PIXELS, VR::OB, bytes);
        let image = image.without(BITS).put(BITS, VR::US, 8_u16);
        let mut file = image.write(Syntax::ExplicitLittle);
        file.extend_from_slice(behind);
        Received::part10(file)
    };
    for (pixels, surplus, behind) in [
        (8_100, &[0_u8, 1, 2, 3][..], &b""[..]),
        (8_100, &[0, 0, 0, 0][..], &b""[..]),
        (8_100, &b""[..], &b"a line of text"[..]),
    ] {
        let project = Project::new(Arc::new(MemoryStore::new()));
        let process = |received| project.process(world::policy(), received);
        assert_eq!(
            process(of(pixels, surplus, behind)).outcome.name(),
            "stored"
        );
        let copy = process(of(pixels, surplus, behind));
        assert_eq!(copy.outcome.name(), "duplicate", "{surplus:?}: {copy:?}");
        let mut other = [surplus, behind].concat();
        if let Some(last) = other.last_mut() {
            *last ^= 1;
        }
        let (surplus, behind) = other.split_at(surplus.len());
        let receipt = process(of(pixels, surplus, behind));
        assert!(
            reason(&receipt).ends_with("with other content"),
            "{receipt:?}"
        );
    }
}

/// Changes the fragments of an object.
type Change<'c> = &'c dyn Fn(&mut Vec<Vec<u8>>);

#[test]
fn a_repeat_with_other_fragments_is_quarantined() {
    let project = Project::new(Arc::new(MemoryStore::new()));
    let of = |change: Change<'_>| {
        let mut set = encapsulated(&Place::new(1), 3);
        for element in set.elements_mut() {
            if let Value::Fragments(fragments) = &mut element.value {
                fragments[2].truncate(4_095);
                change(fragments);
            }
        }
        Received::part10(set.write(Syntax::JPEG_LOSSLESS))
    };
    let process = |received| project.process(world::policy(), received);
    assert_eq!(process(of(&|_| ())).outcome.name(), "stored");
    assert_eq!(process(of(&|_| ())).outcome.name(), "duplicate");
    let changed: [Change<'_>; 3] = [
        &|fragments| fragments[1][5] ^= 1,
        &|fragments| fragments[2][4_094] ^= 1,
        &|fragments| fragments.swap(0, 1),
    ];
    for change in changed {
        let receipt = process(of(change));
        assert!(
            reason(&receipt).ends_with("with other content"),
            "{receipt:?}"
        );
    }
}

/// What the fingerprint leaves out depends on the rules, and the rules may change.
#[test]
fn a_copy_is_a_duplicate_after_a_change_of_the_rules() {
    let other = || Policy::new(Arc::new(OtherRules(Method::new("OTHER"))), "99", "runtime");
    let policies: [&dyn Fn() -> Policy; 2] = [&world::policy, &other];
    for (first, second) in [(0, 1), (1, 0)] {
        let project = Project::new(Arc::new(MemoryStore::new()));
        let process = |policy: usize, set: &DataSet| {
            let received = Received::part10(set.write(Syntax::ExplicitLittle));
            project.process(policies[policy](), received)
        };
        let stored = process(first, &object("", 0));
        assert_eq!(stored.outcome.name(), "stored");
        let copy = process(second, &object("", 0));
        assert_eq!(copy.outcome.name(), "duplicate", "{first}: {copy:?}");
        for changed in BULK {
            let receipt = process(second, &object(changed, 8));
            assert!(
                reason(&receipt).ends_with("with other content"),
                "{first}, {changed}"
            );
        }
    }
}

#[test]
fn equal_content_in_another_transfer_syntax_is_told_as_that() {
    let all = [
        Syntax::ExplicitLittle,
        Syntax::ImplicitLittle,
        Syntax::ExplicitBig,
        Syntax::Deflated,
    ];
    let image = |byte: u8| {
        let mut words = vec![0x1234_u16; 40_000];
        words[20_000] = byte.into();
        sized(&Place::new(1), [200, 200]).put(PIXELS, VR::OW, words)
    };
    for first in all {
        for second in all.into_iter().filter(|second| *second != first) {
            let project = Project::new(Arc::new(MemoryStore::new()));
            let process = |set: DataSet, syntax| {
                project.process(world::policy(), Received::part10(set.write(syntax)))
            };
            assert_eq!(process(image(1), first).outcome.name(), "stored");
            let copy = process(image(1), second);
            let found = (copy.outcome.name(), copy.warnings.other_transfer_syntax);
            assert_eq!(
                found,
                ("duplicate", true),
                "{first:?}, {second:?}: {copy:?}"
            );
            let other = process(image(2), second);
            assert!(
                reason(&other).ends_with("with other content"),
                "{first:?}, {second:?}"
            );
        }
    }
}

#[test]
fn compressed_pixels_of_another_transfer_syntax_are_told_as_not_compared() {
    let project = Project::new(Arc::new(MemoryStore::new()));
    let process = |set: &DataSet, syntax| {
        project.process(world::policy(), Received::part10(set.write(syntax)))
    };
    let compressed = encapsulated(&Place::new(1), 3);
    let stored = process(&compressed, Syntax::JPEG_LOSSLESS);
    assert_eq!(stored.outcome.name(), "stored");
    let native = compressed
        .clone()
        .without(PIXELS)
        .put(PIXELS, VR::OW, vec![1_u8; 9_000]);
    for (set, syntax) in [
        (&native, Syntax::ExplicitLittle),
        (&compressed, Syntax::RLE),
    ] {
        let receipt = process(set, syntax);
        let expect = format!(
            "is stored already in transfer syntax 1.2.840.10008.1.2.4.70, and this object has {}; \
             compressed pixel data is not decoded",
            syntax.uid()
        );
        assert!(reason(&receipt).contains(&expect), "{}", reason(&receipt));
    }
}

/// The file holds what the fingerprint leaves out, so without it nothing is certain.
#[test]
fn a_repeat_of_an_instance_whose_file_is_missing_is_quarantined() {
    for is_earlier in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let [_, store] = stores(&dir);
        let lookups = FailingLookups::new(Remedy::Stop);
        lookups.is_earlier.store(is_earlier, Ordering::SeqCst);
        let project = Project { lookups, store };
        let process = |set: &DataSet| {
            let received = Received::part10(set.write(Syntax::ExplicitLittle));
            project.process(world::policy(), received)
        };
        let stored = process(&object("", 0));
        let Outcome::Stored { path, .. } = stored.outcome else {
            panic!("{stored:?}");
        };
        let file = dir.path().join("public").join(path.to_string());
        std::fs::remove_file(file).expect("it is there");
        for changed in ["", "pixels"] {
            assert_eq!(
                reason(&process(&object(changed, 8))),
                "the stored file of this instance is missing, so the object cannot be compared with \
                 it: accept this entry to store it in the place of the missing file",
                "{changed}, {is_earlier}"
            );
        }
    }
}

fn uploads() -> Arc<dyn Store> {
    Arc::new(SimpleStore::sending_away())
}

#[test]
fn the_fingerprint_decides_if_the_store_cannot_read_its_objects_back() {
    check_store(&uploads).expect("it conforms");
    let taken = Arc::new(MemoryStore::new());
    let uploads = uploads();
    for (is_earlier, store) in [
        (false, uploads.clone()),
        (false, taken.clone()),
        (true, uploads),
    ] {
        let lookups = FailingLookups::new(Remedy::Stop);
        lookups.is_earlier.store(is_earlier, Ordering::SeqCst);
        let project = Project { lookups, store };
        let process = |set: &DataSet| {
            let received = Received::part10(set.write(Syntax::ExplicitLittle));
            project.process(world::policy(), received)
        };
        assert_eq!(process(&object("", 0)).outcome.name(), "stored");
        taken.take();
        let other = process(&object("document", 8));
        assert!(reason(&other).ends_with("with other content"), "{other:?}");
        let copy = process(&object("", 0));
        if is_earlier {
            // Its length is that of the record, and its digest is not.
            assert!(reason(&copy).ends_with("with other content"), "{copy:?}");
        } else {
            assert_eq!(copy.outcome.name(), "duplicate", "{copy:?}");
        }
    }
}

#[test]
fn a_failure_of_the_lookup_store_is_not_taken_for_other_content() {
    let lookups = FailingLookups::new(Remedy::Retry);
    let project = Project {
        lookups: lookups.clone(),
        store: Arc::new(MemoryStore::new()),
    };
    let received = |syntax| Received::part10(object("", 0).write(syntax));
    project.process(world::policy(), received(Syntax::ExplicitLittle));
    lookups.pseudonym.store(FAIL, Ordering::SeqCst);
    let again = || project.try_process(world::policy(), received(Syntax::ImplicitLittle));
    let error = again().expect_err("the lookup store fails");
    assert!(matches!(error, Error::Lookup(_)), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
    lookups.pseudonym.store(SUCCEED, Ordering::SeqCst);
    assert_eq!(again().expect("a receipt").outcome.name(), "duplicate");
}

#[test]
fn a_repeat_of_an_instance_that_is_being_deleted_can_be_tried_again() {
    let lookups = FailingLookups::new(Remedy::Stop);
    let project = Project {
        lookups: lookups.clone(),
        store: Arc::new(MemoryStore::new()),
    };
    let received = || Received::part10(object("", 0).write(Syntax::ExplicitLittle));
    project.process(world::policy(), received());
    lookups.deletes.store(true, Ordering::SeqCst);
    let again = || project.try_process(world::policy(), received());
    let error = again().expect_err("it was deleted");
    assert_eq!(error.remedy(), Remedy::Retry, "{error:?}");
    assert_eq!(again().expect("a receipt").outcome.name(), "stored");
}

/// The new rules replace UIDs that those of the first import kept.
#[test]
fn a_copy_needs_no_new_pseudonyms_to_be_a_duplicate() {
    let other = || Policy::new(Arc::new(OtherRules(Method::new("OTHER"))), "99", "runtime");
    let project = Project::new(Arc::new(MemoryStore::new()));
    let set = |changed, byte| {
        object(changed, byte)
            .put(Tag(0x0020, 0x0200), VR::UI, "1.2.3.4.5.6")
            .write(Syntax::ExplicitLittle)
    };
    let stored = project.process(other(), Received::part10(set("", 0)));
    assert_eq!(stored.outcome.name(), "stored");
    let counts = project.lookups.counts().expect("counts");
    let copy = project.process(world::policy(), Received::part10(set("", 0)));
    assert_eq!(copy.outcome.name(), "duplicate", "{copy:?}");
    let changed = project.process(world::policy(), Received::part10(set("pixels", 8)));
    assert!(
        reason(&changed).ends_with("with other content"),
        "{changed:?}"
    );
    assert_eq!(project.lookups.counts().expect("counts"), counts);
}
