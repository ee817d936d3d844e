//! Objects of which a part is written while they arrive: the same comes of them as of whole ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::disk::{SimDisk, Survive};
use anon_engine::testing::files::{DataSet, Place, Syntax, ct_slice, encapsulated};
use anon_engine::{
    Arriving, Begun, Deidentified, DirectoryStore, Durability, Engine, Error, MemoryQuarantine,
    Outcome, OutputPath, PixelsAhead, Quarantine, Receipt, Received, Remedy, Staged, Store,
    StoreError,
};
use anon_model::LookupStore;
use dicom_core::{Tag, VR};

use super::faults::{FAIL, FINE, Failing};
use super::world::{self, SERIES_UID, changed};

const BURNED_IN: Tag = Tag(0x0028, 0x0301);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const PADDING: Tag = Tag(0xFFFC, 0xFFFC);

/// A directory store that counts what was begun, completed and discarded.
#[derive(Debug)]
struct Watched {
    inner: DirectoryStore,
    begun: AtomicUsize,
    completed: AtomicUsize,
    discarded: AtomicUsize,
}

impl Store for Watched {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        self.inner.stage(object)
    }

    fn begin(&self) -> Result<Option<Begun>, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.inner.begin()
    }

    fn lay(&self, begun: &mut Begun, pixels: &PixelsAhead<'_>) -> Result<(), StoreError> {
        self.inner.lay(begun, pixels)
    }

    fn stage_begun(&self, object: &Deidentified<'_>, begun: Begun) -> Result<Staged, StoreError> {
        self.completed.fetch_add(1, Ordering::SeqCst);
        self.inner.stage_begun(object, begun)
    }

    fn discard_begun(&self, begun: Begun) -> Result<(), StoreError> {
        self.discarded.fetch_add(1, Ordering::SeqCst);
        self.inner.discard_begun(begun)
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

    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        self.inner.confirm(paths)
    }

    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        self.inner.remove_study(patient, study)
    }
}

/// Numbers of slices whose new UIDs get as many digits.
const WARM: std::ops::RangeInclusive<u32> = 50..=55;

struct Scene {
    disk: SimDisk,
    store: Arc<Watched>,
    quarantine: Arc<MemoryQuarantine>,
    engine: Engine,
}

fn directory_store(disk: &SimDisk, durability: Durability) -> DirectoryStore {
    let options = DirectoryStoreOptions::default()
        .with_durability(durability)
        .with_disk(Arc::new(disk.clone()));
    DirectoryStore::open("/public", "/tmp", options).expect("a store")
}

impl Scene {
    fn new(durability: Durability) -> Self {
        Self::over(durability, world::lookups())
    }

    fn over(durability: Durability, lookups: Arc<dyn LookupStore>) -> Self {
        let disk = SimDisk::new();
        let store = Arc::new(Watched {
            inner: directory_store(&disk, durability),
            begun: AtomicUsize::new(0),
            completed: AtomicUsize::new(0),
            discarded: AtomicUsize::new(0),
        });
        let quarantine = Arc::new(MemoryQuarantine::new());
        let engine = Engine::builder(world::policy(), lookups, store.clone(), quarantine.clone());
        let engine = engine.workers(0).start().expect("an engine");
        Self {
            disk,
            store,
            quarantine,
            engine,
        }
    }

    /// With enough objects of a series stored that the next one's pixels are laid.
    fn warm(durability: Durability) -> Self {
        Self::new(durability).warmed()
    }

    fn warmed(self) -> Self {
        let scene = self;
        for n in WARM {
            stored(&scene.send(&Sent::of(&slice(n)), 60_000));
        }
        assert!(scene.begun() > 0);
        scene.store.begun.store(0, Ordering::SeqCst);
        scene.store.completed.store(0, Ordering::SeqCst);
        scene
    }

    fn arriving(&self, sent: &Sent) -> Arriving {
        self.engine.arriving(sent.syntax)
    }

    fn send(&self, sent: &Sent, piece: usize) -> Result<Receipt, Error> {
        let mut arriving = self.arriving(sent);
        for piece in sent.bytes.chunks(piece) {
            arriving.push(piece);
        }
        self.engine.process(announced(arriving.finish(), sent))
    }

    fn begun(&self) -> usize {
        self.store.begun.load(Ordering::SeqCst)
    }

    fn completed(&self) -> usize {
        self.store.completed.load(Ordering::SeqCst)
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let read = |path: PathBuf| self.disk.read(&path).map(|bytes| (path, bytes));
        let files = self.disk.files(Path::new("/")).into_iter();
        files.filter_map(read).collect()
    }

    fn temporary(&self) -> usize {
        self.disk.files(Path::new("/tmp")).len() + self.disk.unnamed()
    }
}

/// A data set as it is sent, and what was announced.
struct Sent {
    name: &'static str,
    bytes: Vec<u8>,
    syntax: &'static str,
    instance: Option<String>,
}

impl Sent {
    fn new(name: &'static str, object: &DataSet, syntax: Syntax) -> Self {
        Self {
            name,
            bytes: object.write_data_set(syntax),
            syntax: syntax.uid(),
            instance: None,
        }
    }

    fn of(object: &DataSet) -> Self {
        Self::new("a slice", object, Syntax::ExplicitLittle)
    }
}

fn announced(received: Received, sent: &Sent) -> Received {
    match &sent.instance {
        Some(instance) => received.announced("1.2.840.10008.5.1.4.1.1.2", instance.as_str()),
        None => received,
    }
}

fn slice(n: u32) -> DataSet {
    // Numbers of as many digits, so that UIDs are as long.
    ct_slice(&Place::new(1).instance(100 + n))
}

#[track_caller]
fn stored(result: &Result<Receipt, Error>) {
    let receipt = result.as_ref().expect("an outcome");
    let is_stored = matches!(receipt.outcome, Outcome::Stored { .. });
    assert!(is_stored, "{:?}", receipt.outcome);
}

/// Good ones and all kinds of odd ones, most of a series whose layout is known.
fn objects() -> Vec<Sent> {
    use Syntax::{Deflated, ExplicitBig, ExplicitLittle, ImplicitLittle};
    let explicit = |name, object: &DataSet| Sent::new(name, object, ExplicitLittle);
    let behind = |n: u32| {
        slice(n)
            .put(Tag(0x7FE1, 0x0010), VR::LO, "ACME")
            .put(Tag(0x7FE1, 0x1001), VR::OB, vec![7_u8; 70_000])
            .put(PADDING, VR::OB, vec![0_u8; 64])
    };
    let mut objects: Vec<Sent> = WARM
        .map(|n| explicit("one of the first", &slice(n)))
        .collect();
    objects.extend([
        explicit("first", &slice(1)),
        explicit("second", &slice(2)),
        explicit("third", &slice(3)),
        explicit("a longer UID", &slice(1_000)),
        explicit("elements behind the pixels", &behind(4)),
        explicit("burned in", &slice(5).put(BURNED_IN, VR::CS, "YES")),
        explicit("no series", &slice(6).without(SERIES_UID)),
        explicit("a copy", &slice(3)),
        explicit("another under the same UID", &changed(slice(3))),
        explicit(
            "another patient in the study",
            &slice(7).without(PATIENT_ID).put(PATIENT_ID, VR::LO, "SYN9"),
        ),
        Sent::new("implicit", &slice(8), ImplicitLittle),
        Sent::new("implicit again", &slice(9), ImplicitLittle),
        Sent::new("big endian", &slice(11), ExplicitBig),
        Sent::new("deflated", &slice(12), Deflated),
        Sent::new(
            "encapsulated",
            &encapsulated(&Place::new(1).instance(13), 3),
            Syntax::RLE,
        ),
        explicit("another study", &ct_slice(&Place::new(1).study(2))),
        explicit("many", &slice(14)),
        explicit("many more", &slice(15)),
    ]);
    let mut cut = explicit("cut short", &slice(16));
    cut.bytes.truncate(300_000);
    let mut longer = explicit("zeros at the end", &slice(17));
    longer.bytes.extend([0; 40]);
    let mut odd = explicit("something at the end", &slice(18));
    odd.bytes.extend([1; 40]);
    let mut wrong = explicit("not as announced", &slice(19));
    wrong.instance = Some("1.2.3.4".to_owned());
    let mut empty = explicit("nothing", &slice(20));
    empty.bytes.clear();
    objects.extend([cut, longer, odd, wrong, empty]);
    objects.push(explicit("last", &slice(21)));
    objects
}

fn told(result: Result<Receipt, Error>) -> Result<Receipt, String> {
    result.map_err(|error| error.to_string())
}

#[test]
fn what_arrives_becomes_what_the_whole_becomes() {
    let objects = objects();
    for piece in [1_000, 60_000, 65_524, 200_000, 1 << 20] {
        let (ahead, whole) = (
            Scene::new(Durability::Relaxed),
            Scene::new(Durability::Relaxed),
        );
        for sent in &objects {
            let received = Received::data_set(sent.bytes.clone(), sent.syntax);
            let one = told(ahead.send(sent, piece));
            let other = told(whole.engine.process(announced(received, sent)));
            assert_eq!(one, other, "{} in pieces of {piece}", sent.name);
            assert_eq!(ahead.temporary(), 0, "{} in pieces of {piece}", sent.name);
        }
        assert!(ahead.files() == whole.files(), "pieces of {piece}");
        let entries = |scene: &Scene| scene.quarantine.counts().expect("memory");
        assert_eq!(entries(&ahead), entries(&whole), "pieces of {piece}");
        if piece < 1 << 20 {
            let (begun, completed) = (ahead.begun(), ahead.completed());
            assert!(begun > completed && completed >= 5, "{begun} {completed}");
        }
    }
}

#[test]
fn a_guess_that_is_wrong_costs_no_byte() {
    let scene = Scene::warm(Durability::Relaxed);
    // As long as those before in everything that the guess knows, and not in what a rule empties.
    let comment = |n: u32| slice(n).put(Tag(0x0020, 0x4000), VR::LT, "x".repeat(2 * n as usize));
    for n in 3..=6 {
        stored(&scene.send(&Sent::of(&comment(n)), 60_000));
    }
    assert_eq!((scene.begun(), scene.completed()), (1, 0));
    let whole = Scene::warm(Durability::Relaxed);
    for n in 3..=6 {
        let sent = Sent::of(&comment(n));
        stored(
            &whole
                .engine
                .process(Received::data_set(sent.bytes, sent.syntax)),
        );
    }
    assert!(scene.files() == whole.files());
}

#[test]
fn an_object_that_breaks_off_anywhere_leaves_nothing() {
    let scene = Scene::warm(Durability::Relaxed);
    let sent = Sent::of(&slice(3));
    let before = scene.files();
    let ends = (0..2_500)
        .step_by(7)
        .chain((2_500..sent.bytes.len()).step_by(20_011));
    for end in ends {
        let mut arriving = scene.arriving(&sent);
        for piece in sent.bytes.get(..end).expect("a part").chunks(65_524) {
            arriving.push(piece);
        }
        drop(arriving);
        assert!(scene.files() == before, "cut at {end}");
    }
    assert!(scene.begun() > 10);
    stored(&scene.send(&sent, 65_524));
    assert_eq!(scene.completed(), 1);
}

#[test]
fn a_sender_that_stalls_holds_up_nobody() {
    let scene = Scene::warm(Durability::Relaxed);
    let sent = Sent::of(&slice(3));
    let (half, rest) = sent.bytes.split_at(300_000);
    let stalled: Vec<Arriving> = (0..2)
        .map(|_| {
            let mut arriving = scene.arriving(&sent);
            half.chunks(65_524).for_each(|piece| arriving.push(piece));
            arriving
        })
        .collect();
    assert_eq!((scene.begun(), scene.temporary()), (2, 2));
    // On this thread: if it waited for the others it would wait for ever.
    stored(&scene.send(&sent, 65_524));
    let mut stalled = stalled.into_iter();
    let mut late = stalled.next().expect("the first");
    late.push(rest);
    let receipt = scene.engine.process(late.finish()).expect("an outcome");
    assert!(matches!(receipt.outcome, Outcome::Duplicate { .. }));
    drop(stalled);
    assert_eq!(scene.temporary(), 0);
}

#[test]
fn what_outlives_its_engine_touches_no_file() {
    let scene = Scene::warm(Durability::Relaxed);
    let sent = Sent::of(&slice(3));
    let mut arriving = scene.arriving(&sent);
    sent.bytes
        .get(..300_000)
        .expect("a part")
        .chunks(65_524)
        .for_each(|piece| arriving.push(piece));
    assert_eq!(scene.temporary(), 1);
    let disk = scene.disk.clone();
    drop(scene);
    // The next owner of the directory empties it, and its files may have the same names.
    let _store = directory_store(&disk, Durability::Relaxed);
    let steps = disk.steps();
    arriving.push(sent.bytes.get(300_000..).expect("the rest"));
    drop(arriving);
    assert_eq!(disk.steps(), steps);
}

/// At each step of the disk: no room, and then there is some again.
#[test]
fn a_full_disk_is_no_matter_while_an_object_arrives() {
    let expected = {
        let scene = Scene::warm(Durability::Full);
        stored(&scene.send(&Sent::of(&slice(3)), 65_524));
        scene.files()
    };
    for step in 1.. {
        let scene = Scene::warm(Durability::Full);
        let sent = Sent::of(&slice(3));
        let mut arriving = scene.arriving(&sent);
        let last = scene.disk.steps() + step;
        scene.disk.fill_up_at(last);
        for piece in sent.bytes.chunks(65_524) {
            arriving.push(piece);
        }
        let mut tries = 0;
        let result = scene.engine.process_again(arriving.finish(), &mut |_| {
            tries += 1;
            assert_eq!(scene.temporary(), 0, "step {step}: it waits for room");
            scene.disk.repair();
            tries == 1
        });
        stored(&result);
        assert!(scene.files() == expected, "step {step}");
        if scene.disk.steps() < last {
            break;
        }
    }
}

/// What is left to the lookups on a full disk is not taken by pixels, and who waits for room holds
/// none.
#[test]
fn nothing_is_laid_while_the_lookups_have_no_room() {
    let lookups = Failing::new(Remedy::Retry);
    let scene = Scene::over(Durability::Relaxed, lookups.clone()).warmed();
    let sent = Sent::of(&slice(3));
    for no_room_before in [0, 300_000] {
        let mut arriving = scene.arriving(&sent);
        let (before, after) = sent.bytes.split_at(no_room_before);
        before.chunks(65_524).for_each(|piece| arriving.push(piece));
        assert_eq!(scene.temporary(), usize::from(no_room_before > 0));
        lookups.ready.store(FAIL, Ordering::SeqCst);
        after.chunks(65_524).for_each(|piece| arriving.push(piece));
        let laid = usize::from(no_room_before > 0);
        assert_eq!(scene.temporary(), laid, "{no_room_before}");
        let mut tries = 0;
        let result = scene.engine.process_again(arriving.finish(), &mut |_| {
            tries += 1;
            assert_eq!(scene.temporary(), 0, "{no_room_before}: it waits for room");
            tries < 3
        });
        assert_eq!((tries, result.is_err()), (3, true), "{no_room_before}");
        lookups.ready.store(FINE, Ordering::SeqCst);
    }
    stored(&scene.send(&sent, 65_524));
}

/// At each step of the disk the power goes.
#[test]
fn after_a_power_cut_there_are_whole_objects_only() {
    let whole = {
        let scene = Scene::warm(Durability::Full);
        stored(&scene.send(&Sent::of(&slice(3)), 65_524));
        scene.files()
    };
    for durability in [Durability::Full, Durability::Relaxed] {
        for step in 1.. {
            let scene = Scene::warm(durability);
            let last = scene.disk.steps() + step;
            scene.disk.cut_power_at(last);
            let result = scene.send(&Sent::of(&slice(3)), 65_524);
            if scene.disk.steps() < last {
                stored(&result);
                break;
            }
            // The end of the process alone loses nothing that was written.
            let survive = match durability {
                Durability::Full => [Survive::Synced, Survive::Written, Survive::Mixed(step)],
                Durability::Relaxed => [Survive::Written; 3],
            };
            for survive in survive {
                let disk = scene.disk.after_power_cut(survive);
                let _store = directory_store(&disk, durability);
                assert_eq!(disk.files(Path::new("/tmp")).len(), 0);
                for path in disk.files(Path::new("/public")) {
                    assert!(disk.read(&path) == whole.get(&path).cloned(), "step {step}");
                }
            }
        }
    }
}
