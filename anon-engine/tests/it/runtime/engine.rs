//! Receipts, the intake, stopping, and concurrent copies of one object.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anon_engine::testing::files::Place;
use anon_engine::{
    Deidentified, Engine, Error, MemoryStore, Outcome, OutputPath, Quarantine, Received, Staged,
    Stopped, Store, StoreError, StoredObject,
};
use dicom_core::{Tag, VR};

use super::world::{
    Results, SERIES_UID, TestProject, bytes, changed, ct, nth, outcome, received, refused,
};

const TIMEOUT: Duration = Duration::from_mins(1);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const STUDY_UID: Tag = Tag(0x0020, 0x000D);
#[cfg(feature = "object")]
const PIXELS: dicom_core::Tag = dicom_core::Tag(0x7FE0, 0x0010);

/// A store whose staging blocks until the gate is opened.
#[derive(Debug, Default)]
struct GatedStore {
    inner: MemoryStore,
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicUsize,
    /// The error of the next staging.
    fault: Mutex<Option<StoreError>>,
}

impl GatedStore {
    fn open(&self) {
        *self.open.lock().expect("no panics") = true;
        self.changed.notify_all();
    }
}

impl Store for GatedStore {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        let mut open = self.open.lock().expect("no panics");
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while !*open {
            open = self.changed.wait(open).expect("no panics");
        }
        drop(open);
        match self.fault.lock().expect("no panics").take() {
            Some(fault) => Err(fault),
            None => self.inner.stage(object),
        }
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

fn gated(world: &TestProject, workers: usize, intake_bytes: usize) -> (Arc<GatedStore>, Engine) {
    let gate = Arc::new(GatedStore::default());
    let store: Arc<dyn Store> = gate.clone();
    let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
    let engine = Engine::builder(
        super::world::policy(),
        world.lookups.clone(),
        store,
        quarantine,
    )
    .workers(workers)
    .intake_bytes(intake_bytes)
    .start()
    .expect("an engine starts");
    (gate, engine)
}

fn spin_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < TIMEOUT,
            "timeout: the condition never holds"
        );
        std::thread::yield_now();
    }
}

#[test]
fn an_object_is_stored_once_and_then_a_duplicate() {
    let world = TestProject::new();
    let engine = world.engine();
    let object = nth(0);
    let first = engine.process(received(&object)).expect("stored");
    let Outcome::Stored { path, patient } = &first.outcome else {
        panic!("{first:?}");
    };
    assert_eq!(patient, "99-000001");
    assert_eq!(
        path.to_string(),
        "99-000001/1.2.3.99.1/1.2.3.99.2/1.2.3.99.3.dcm"
    );
    let stored = world.store.get(path).expect("it is there");
    assert_eq!(first.bytes_out, stored.len() as u64);
    assert_eq!(first.bytes_in, bytes(&object).len() as u64);
    let second = engine.process(received(&object)).expect("known");
    assert_eq!(
        second.outcome,
        Outcome::Duplicate {
            path: path.clone(),
            patient: patient.clone()
        }
    );
    let totals = world.lookups.totals().expect("memory");
    assert_eq!((totals.instances, totals.bytes), (1, first.bytes_out));
}

/// Each contradiction to stored objects has its own reason, which names pseudonyms only.
#[test]
fn contradictions_are_quarantined_with_a_reason_in_pseudonyms() {
    let place = Place::nth(1, 0, 4);
    let (other, third) = (place.patient(50), place.patient(60));
    let next = ct(place.instance(2));
    let cases = [
        (
            "other content",
            changed(nth(0)),
            "instance 1.2.3.99.3 is stored already, with other content",
        ),
        (
            "a study of another patient, who is known",
            next.clone().put(PATIENT_ID, VR::LO, other.patient_id()),
            "study 1.2.3.99.1 belongs to patient 99-000001, and this object says 99-000002",
        ),
        (
            "a study of another patient, who is new",
            next.clone().put(PATIENT_ID, VR::LO, third.patient_id()),
            "study 1.2.3.99.1 belongs to patient 99-000001, and this object says a patient that is \
             new to this project",
        ),
        (
            "a series of another study",
            next.put(STUDY_UID, VR::UI, place.other_uid(7)),
            "series 1.2.3.99.2 belongs to study 1.2.3.99.1, and this object names another study",
        ),
        (
            "an instance of another series",
            nth(0).put(SERIES_UID, VR::UI, place.other_uid(8)),
            "instance 1.2.3.99.3 is stored under series 1.2.3.99.2, and this object names another \
             series",
        ),
    ];
    let world = TestProject::new();
    let engine = world.engine();
    for object in [nth(0), ct(other)] {
        let receipt = engine.process(received(&object)).expect("stored");
        assert_eq!(receipt.outcome.name(), "stored");
    }
    for (case, object, wanted) in &cases {
        let result = engine.process(received(object)).expect("quarantined");
        let Outcome::Quarantined {
            category,
            entry,
            reason,
            ..
        } = &result.outcome
        else {
            panic!("{case}: {result:?}");
        };
        assert_eq!(category.name(), "Capture_PHI_Error", "{case}");
        assert_eq!(reason, wanted, "{case}");
        assert!(world.quarantine.entry(entry).expect("memory").is_some());
    }
    assert_eq!(world.store.paths().len(), 2);
    assert_eq!(world.lookups.totals().expect("memory").patients, 2);
}

#[test]
fn concurrent_copies_are_stored_once() {
    for workers in [1, 2, 8] {
        let world = TestProject::new();
        let engine = world
            .builder()
            .workers(workers)
            .start()
            .expect("an engine starts");
        let results = Results::default();
        for n in 0..200 {
            engine.submit(received(&nth(n % 5)), results.callback(n));
        }
        std::thread::scope(|scope| {
            for n in 0..4 {
                let engine = &engine;
                let done = results.callback(1000 + n);
                scope.spawn(move || done(engine.process(received(&nth(n)))));
            }
        });
        assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
        let results = results.take();
        let count = |name| results.iter().filter(|(_, r)| outcome(r) == name).count();
        assert_eq!(
            (count("stored"), count("duplicate")),
            (5, 199),
            "{workers} workers"
        );
        assert_eq!(world.store.paths().len(), 5);
        assert_eq!(world.lookups.totals().expect("memory").instances, 5);
    }
}

#[test]
fn a_waiting_copy_is_stored_if_the_first_one_fails() {
    for (expected, fault) in [
        (
            "failed",
            StoreError::Write(std::io::Error::other("injected failure")),
        ),
        ("quarantined", StoreError::Occupied),
    ] {
        let world = TestProject::new();
        let (gate, engine) = gated(&world, 2, 1 << 20);
        *gate.fault.lock().expect("no panics") = Some(fault);
        let results = Results::default();
        engine.submit(received(&nth(0)), results.callback(0));
        engine.submit(received(&nth(0)), results.callback(1));
        // The first one waits at the gate; its copy waits for the first.
        spin_until(|| gate.waiting.load(Ordering::SeqCst) == 1);
        gate.open();
        assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
        let results = results.take();
        let mut outcomes: Vec<_> = results.iter().map(|(n, r)| (*n, outcome(r))).collect();
        outcomes.sort_unstable();
        assert_eq!(outcomes, [(0, expected), (1, "stored")]);
        let taken = OutputPath::new(["99-000001", "1.2.3.99.1", "1.2.3.99.2", "1.2.3.99.3"]);
        assert!(gate.inner.get(&taken.expect("a path")).is_some());
        assert_eq!(gate.inner.paths().len(), 1);
        assert_eq!(world.lookups.totals().expect("memory").instances, 1);
    }
}

#[test]
fn a_full_intake_returns_the_object() {
    let world = TestProject::new();
    let object = bytes(&nth(0));
    let (gate, engine) = gated(&world, 1, 3 * object.len());
    let results = Results::default();
    let mut n = 0;
    let full = loop {
        match engine.try_submit(received(&nth(n)), results.callback(n)) {
            Ok(()) => n += 1,
            Err(full) => break full,
        }
        assert!(n < 100, "it is never full");
    };
    assert!(
        engine.intake_bytes() <= 3 * object.len() + 2000,
        "{}",
        engine.intake_bytes()
    );
    assert!(results.take().is_empty(), "a callback was called");
    gate.open();
    engine.submit(full.received, full.on_done);
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    let results = results.take();
    assert_eq!(u32::try_from(results.len()), Ok(n + 1));
    assert!(
        results.iter().all(|(_, r)| outcome(r) == "stored"),
        "{results:?}"
    );
    assert_eq!(engine.intake_bytes(), 0);
}

#[test]
fn an_object_larger_than_the_intake_is_admitted_alone() {
    let world = TestProject::new();
    let engine = world
        .builder()
        .intake_bytes(10)
        .start()
        .expect("an engine starts");
    let results = Results::default();
    for n in 0..20 {
        engine.submit(received(&nth(n)), results.callback(n));
    }
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    assert_eq!(world.store.paths().len(), 20);
}

#[test]
fn stop_drains_the_intake_or_reports_a_timeout() {
    let world = TestProject::new();
    let (gate, engine) = gated(&world, 1, 1 << 20);
    let results = Results::default();
    for n in 0..20 {
        engine.submit(received(&nth(n)), results.callback(n));
    }
    spin_until(|| gate.waiting.load(Ordering::SeqCst) == 1);
    assert_eq!(engine.stop(Duration::from_millis(20)), Stopped::OutOfTime);
    let stopped = results.take();
    assert_eq!(stopped.len(), 19, "waiting objects get a result");
    assert!(
        stopped
            .iter()
            .all(|(_, r)| matches!(r, Err(Error::Stopped)))
    );
    engine.submit(received(&nth(50)), results.callback(50));
    assert!(
        engine
            .try_submit(received(&nth(51)), results.callback(51))
            .is_ok()
    );
    assert_eq!(
        results.take().len(),
        2,
        "a stopped engine gives results at once"
    );
    gate.open();
    drop(engine);
    let last = results.take();
    assert_eq!(last.len(), 1, "an object in progress gets its result");
    assert_eq!(outcome(&last[0].1), "stored");
}

#[test]
fn dropping_a_busy_engine_calls_every_callback() {
    for workers in [1, 4] {
        let world = TestProject::new();
        let engine = world
            .builder()
            .workers(workers)
            .start()
            .expect("an engine starts");
        let results = Results::default();
        for n in 0..300 {
            engine.submit(received(&nth(n)), results.callback(n));
        }
        drop(engine);
        let results = results.take();
        assert_eq!(results.len(), 300);
        let stored = results
            .iter()
            .filter(|(_, r)| outcome(r) == "stored")
            .count();
        assert_eq!(stored, world.store.paths().len());
        assert_eq!(
            stored as u64,
            world.lookups.totals().expect("memory").instances
        );
        assert!(world.lookups.unsettled().expect("memory").is_empty());
    }
}

#[test]
fn an_engine_may_be_dropped_by_its_own_callback() {
    let world = TestProject::new();
    let engine = Arc::new(world.engine());
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let held = engine.clone();
    let object = received(&nth(0));
    engine.submit(object, move |result| {
        // Most likely the last owner: the other one is dropped below.
        spin_until(|| Arc::strong_count(&held) == 1);
        drop(held);
        sender.send(outcome(&result)).expect("the test waits");
    });
    drop(engine);
    assert_eq!(receiver.recv_timeout(TIMEOUT), Ok("stored"));
}

#[test]
fn a_panicking_callback_does_not_stop_the_engine() {
    let world = TestProject::new();
    let engine = world.engine();
    engine.submit(received(&nth(0)), |_| panic!("injected panic"));
    engine.submit(received(&refused(Place::new(9))), |_| {
        panic!("injected panic")
    });
    let after = engine
        .process(received(&nth(1)))
        .expect("the engine goes on");
    assert_eq!(after.outcome.name(), "stored");
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    assert_eq!(world.store.paths().len(), 2);
}

#[test]
fn a_stopped_engine_leaves_no_threads() {
    // Only threads of this engine count: other tests run at the same time.
    let world = TestProject::new();
    let engine = world
        .builder()
        .workers(3)
        .start()
        .expect("an engine starts");
    let alive = Arc::new(());
    for n in 0..50 {
        let held = Arc::clone(&alive);
        engine.submit(received(&nth(n)), move |_| drop(held));
    }
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    // Every thread of an engine holds its store, so a leftover thread would show here.
    drop(engine);
    assert_eq!(Arc::strong_count(&world.store), 1);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn two_engines_work_in_one_process() {
    let (one, two) = (TestProject::new(), TestProject::new());
    let (first, second) = (one.engine(), two.engine());
    first.process(received(&nth(0))).expect("stored");
    second.process(received(&nth(0))).expect("stored");
    assert_eq!(one.store.paths(), two.store.paths());
    assert_eq!(one.store.take(), two.store.take());
}

#[cfg(feature = "object")]
#[test]
fn a_parsed_object_is_stored() {
    let world = TestProject::new();
    let engine = world.engine();
    let parsed = dicom_object::from_reader(&*bytes(&nth(0))).expect("it can be read");
    let taken = Received::object(&parsed).expect("it can be written");
    let receipt = engine.process(taken).expect("it is taken");
    let Outcome::Stored { path, .. } = receipt.outcome else {
        panic!("not stored");
    };
    let output = world.store.get(&path).expect("it is stored");
    let output = dicom_object::from_reader(&*output).expect("it can be read");
    assert_eq!(
        output.element(PIXELS).expect("pixels"),
        parsed.element(PIXELS).expect("pixels")
    );
}

#[test]
fn spooled_objects_and_data_sets_are_stored() {
    let dir = tempfile::tempdir().expect("a directory");
    let spool = anon_engine::Spool::open(dir.path().join("spool"))
        .expect("a spool")
        .with_memory_bytes(100);
    let world = TestProject::new();
    let engine = world.engine();
    let file = bytes(&nth(0));
    let spooled = spool.receive(&mut &file[..], 1 << 30).expect("it fits");
    assert_eq!(
        std::fs::read_dir(spool.dir()).expect("a directory").count(),
        1
    );
    let stored = engine.process(spooled).expect("stored");
    assert_eq!(stored.outcome.name(), "stored");
    assert_eq!(
        std::fs::read_dir(spool.dir()).expect("a directory").count(),
        0
    );
    let small = spool
        .clone()
        .with_memory_bytes(file.len())
        .receive(&mut &file[..], 1 << 30);
    assert_eq!(
        engine
            .process(small.expect("it fits"))
            .expect("known")
            .outcome
            .name(),
        "duplicate"
    );
    let too_long = spool.receive(&mut &file[..], file.len() as u64 - 1);
    assert_eq!(
        too_long.expect_err("too long").kind(),
        std::io::ErrorKind::FileTooLarge
    );
    assert_eq!(
        std::fs::read_dir(spool.dir()).expect("a directory").count(),
        0
    );
    let syntax = anon_engine::testing::files::Syntax::ImplicitLittle;
    let data_set = ct(Place::nth(1, 1, 4)).write_data_set(syntax);
    let stored = engine.process(Received::data_set(data_set, "1.2.840.10008.1.2"));
    assert_eq!(stored.expect("stored").outcome.name(), "stored");
}

/// Faults of the sender are errors and are not kept; objects that our rules refuse are kept.
#[test]
fn an_object_that_differs_from_its_c_store_request_is_refused_and_not_kept() {
    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    type Wanted = fn(&Error) -> bool;
    let place = Place::nth(1, 0, 4);
    let (right, wrong) = (place.instance_uid(), Place::nth(1, 1, 4).instance_uid());
    let object = bytes(&ct(place));
    let cut = object.get(..object.len() - 7).expect("long").to_vec();
    let broken = bytes(&refused(place));
    let mr = "1.2.840.10008.5.1.4.1.1.4";
    let unlike: Wanted = |error| matches!(error, Error::NotAsAnnounced { .. });
    let unread: Wanted = |error| matches!(error, Error::Refused(_));
    let world = TestProject::new();
    let engine = world.engine();
    for (what, bytes, class, instance, wanted) in [
        ("another instance", object.clone(), CT, &wrong, unlike),
        ("another class", object.clone(), mr, &right, unlike),
        ("cut", cut, CT, &right, unread),
        ("no series", broken, CT, &right, unread),
        ("no DICOM", b"GET / HTTP/1.1".to_vec(), CT, &right, unread),
    ] {
        let received = Received::part10(bytes).announced(class, instance.as_str());
        let result = engine.process(received);
        let Err(error) = result else {
            panic!("{what}: {result:?}");
        };
        assert!(wanted(&error) && error.is_of_source(), "{what}: {error:?}");
        assert!(!format!("{error:?}").contains(&right), "{what}");
        assert_eq!(world.quarantined(), 0, "{what}");
        assert_eq!(world.store.paths().len(), 0, "{what}");
    }
    let received = |object| Received::part10(object).announced(CT, right.as_str());
    assert_eq!(outcome(&engine.process(received(object))), "stored");
    let other = bytes(&changed(ct(place)));
    assert_eq!(outcome(&engine.process(received(other))), "quarantined");
    assert_eq!(world.quarantined(), 1);
}
