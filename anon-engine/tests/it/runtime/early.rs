//! Objects whose lookups are committed while they are written.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_engine::testing::disk::SimDisk;
use anon_engine::testing::files::Place;
use anon_engine::{
    Deidentified, DirectoryStore, Engine, Error, MemoryQuarantine, MemoryStore, Observer, Outcome,
    OutputPath, Quarantine, Remedy, Staged, Stopped, Store, StoreError,
};
use anon_model::LookupStore;

use super::faults::{FAIL, FINE, Failing, PANIC};
use super::world::{self, Lines, World, large, outcome, received};

const LONG: Duration = Duration::from_mins(1);

fn nth(n: u32) -> anon_engine::Received {
    received(&large(Place::nth(1, n, 4)))
}

/// An engine without workers on a simulated disk.
fn engine(lookups: &Arc<Failing>, disk: &SimDisk, lines: &Arc<Lines>) -> Engine {
    let world = World::new();
    let options =
        anon_engine::store::DirectoryStoreOptions::default().with_disk(Arc::new(disk.clone()));
    let store = DirectoryStore::open("/public", "/tmp", options).expect("it opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let observer: Arc<dyn Observer> = lines.clone();
    Engine::builder(world::policy(), lookups.clone(), store, world.quarantine)
        .workers(0)
        .observer(observer)
        .start()
        .expect("an engine starts")
}

fn files(disk: &SimDisk) -> [usize; 2] {
    ["/public", "/tmp"].map(|dir| disk.files(Path::new(dir)).len())
}

/// A store whose writing waits for the commit of what it writes.
#[derive(Debug)]
struct Waiting {
    inner: MemoryStore,
    committed: Mutex<Receiver<()>>,
}

impl Store for Waiting {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        let committed = self.committed.lock().expect("no panics");
        committed.recv_timeout(LONG).expect("a commit meanwhile");
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
    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        self.inner.confirm(paths)
    }
    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        self.inner.remove_study(patient, study)
    }
}

#[test]
fn lookups_are_committed_while_the_object_is_written() {
    let world = World::new();
    let lookups = Failing::new(Remedy::Retry);
    let (told, committed) = channel();
    *lookups.committed.lock().expect("no panics") = Some(told);
    let store = Arc::new(Waiting {
        inner: MemoryStore::new(),
        committed: Mutex::new(committed),
    });
    let engine = Engine::builder(
        world::policy(),
        lookups.clone(),
        store.clone(),
        world.quarantine,
    );
    let engine = engine.workers(0).start().expect("an engine starts");
    for n in 0..5 {
        let receipt = engine.process(nth(n)).expect("stored");
        assert!(matches!(receipt.outcome, Outcome::Stored { .. }));
    }
    assert_eq!(store.inner.paths().len(), 5);
    assert_eq!(lookups.totals().expect("memory").instances, 5);
    assert_eq!(engine.stop(LONG), Stopped::Drained);
}

#[test]
fn an_object_that_cannot_be_written_is_taken_out_of_the_index() {
    let lookups = Failing::new(Remedy::Retry);
    let (disk, lines) = (SimDisk::new(), Arc::default());
    let engine = engine(&lookups, &disk, &lines);
    let totals = || lookups.totals().expect("memory").instances;
    // It is created, written in two parts, and synced.
    for step in 1..=4_u32 {
        let others = step as usize - 1;
        disk.fail_at(disk.steps() + u64::from(step), ErrorKind::StorageFull);
        let error = engine.process(nth(0)).expect_err("the disk is full");
        assert!(matches!(error, Error::Store(_)), "{step}: {error:?}");
        assert_eq!(error.remedy(), Remedy::Retry, "{step}");
        disk.repair();
        assert_eq!(files(&disk), [others, 0], "{step}");
        assert_eq!(totals(), others as u64, "{step}");
        assert!(lookups.unsettled().expect("memory").is_empty(), "{step}");
        assert_eq!(lines.take(), ["commit 1-1"], "{step}");
        let other = received(&world::nth(100 + step));
        assert_eq!(outcome(&engine.process(other)), "stored", "{step}");
        assert_eq!(lines.take(), ["commit 1-0"], "{step}");
    }
    assert_eq!(outcome(&engine.process(nth(0))), "stored");
    assert_eq!(outcome(&engine.process(nth(0))), "duplicate");
    assert_eq!(files(&disk), [5, 0]);
    assert_eq!(totals(), 5);
    assert_eq!(lines.take(), ["commit 1-0"]);
}

/// A lookup store that runs into a full disk cannot go on: on one that is known to be full, it is left
/// alone.
#[test]
fn on_a_full_disk_nothing_is_committed_before_it_is_written() {
    let lookups = Failing::new(Remedy::Retry);
    let (disk, lines) = (SimDisk::new(), Arc::default());
    let engine = engine(&lookups, &disk, &lines);
    disk.fill_up_at(disk.steps() + 1);
    engine.process(nth(0)).expect_err("the disk is full");
    assert_eq!(lines.take(), ["commit 1-1"]);
    for _ in 0..3 {
        engine.process(nth(0)).expect_err("the disk is full");
        assert!(lines.take().is_empty());
    }
    disk.repair();
    assert_eq!(outcome(&engine.process(nth(0))), "stored");
    assert_eq!(files(&disk), [1, 0]);
}

#[test]
fn what_can_pass_is_tried_as_often_as_the_caller_says() {
    for object in [nth(0), received(&world::nth(0))] {
        let lookups = Failing::new(Remedy::Retry);
        let (disk, lines) = (SimDisk::new(), Arc::default());
        let engine = engine(&lookups, &disk, &lines);
        disk.fill_up_at(disk.steps() + 1);
        let mut asked = 0;
        let stored = engine.process_again(object, &mut |error| {
            assert!(matches!(error, Error::Store(_)), "{error:?}");
            asked += 1;
            if asked == 3 {
                disk.repair();
            }
            true
        });
        assert_eq!((outcome(&stored), asked), ("stored", 3));
        assert_eq!(files(&disk), [1, 0]);
        assert_eq!(lookups.totals().expect("memory").instances, 1);

        disk.fill_up_at(disk.steps() + 1);
        let mut left = 2;
        let failed = engine.process_again(nth(1), &mut |_| {
            left -= 1;
            left > 0
        });
        assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
        assert_eq!((left, files(&disk)), (0, [1, 0]));
        disk.fail_at(disk.steps() + 1, ErrorKind::PermissionDenied);
        let failed = engine.process_again(nth(1), &mut |error| panic!("asked of {error:?}"));
        assert!(failed.is_err(), "{failed:?}");
    }
}

/// A full quarantine can be emptied.
#[test]
fn a_full_quarantine_is_tried_again() {
    let mut world = World::new();
    world.quarantine = Arc::new(MemoryQuarantine::with_max_bytes(20_000));
    let engine = world.engine();
    let [first, second] = [1, 2].map(|n| received(&world::refused(Place::new(n))));
    assert_eq!(outcome(&engine.process(first)), "quarantined");
    let result = engine.process_again(second, &mut |error| {
        assert!(matches!(error, Error::Quarantine(_)), "{error:?}");
        for entry in world.quarantine.entries().expect("memory") {
            let entry = entry.expect("memory");
            world.quarantine.clear(&entry.id).expect("memory");
        }
        true
    });
    assert_eq!(outcome(&result), "quarantined");
    assert_eq!(world.quarantined(), 1);
}

#[test]
fn an_object_whose_commit_fails_leaves_nothing_behind() {
    let lookups = Failing::new(Remedy::Retry);
    let (disk, lines) = (SimDisk::new(), Arc::default());
    let engine = engine(&lookups, &disk, &lines);
    lookups.commit.store(FAIL, Ordering::SeqCst);
    let error = engine.process(nth(0)).expect_err("no commit");
    assert!(matches!(error, Error::Commit(_)), "{error:?}");
    // Neither can it be written: what is told is that.
    disk.fail_at(disk.steps() + 1, ErrorKind::StorageFull);
    let error = engine.process(nth(0)).expect_err("no commit, no room");
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    disk.repair();
    assert_eq!(files(&disk), [0, 0]);
    lookups.commit.store(FINE, Ordering::SeqCst);
    // The same instance with another date: nothing of the first is held.
    let other = world::changed(large(Place::nth(1, 0, 4)));
    assert_eq!(outcome(&engine.process(received(&other))), "stored");
    assert_eq!(lookups.totals().expect("memory").instances, 1);
}

#[test]
fn a_commit_that_stops_or_panics_poisons_the_engine() {
    for how in [FAIL, PANIC] {
        let lookups = Failing::new(Remedy::Stop);
        let (disk, lines) = (SimDisk::new(), Arc::default());
        let engine = engine(&lookups, &disk, &lines);
        lookups.commit.store(how, Ordering::SeqCst);
        assert!(engine.process(nth(0)).is_err());
        lookups.commit.store(FINE, Ordering::SeqCst);
        let error = engine.process(nth(1)).expect_err("poisoned");
        assert!(matches!(error, Error::Poisoned(_)), "{error:?}");
        assert_eq!(files(&disk), [0, 0]);
        assert_eq!(engine.stop(LONG), Stopped::Drained);
    }
}

#[test]
fn one_that_cannot_be_taken_out_of_the_index_poisons_the_engine_until_the_next_start() {
    let lookups = Failing::new(Remedy::Retry);
    let (disk, lines) = (SimDisk::new(), Arc::default());
    let first = engine(&lookups, &disk, &lines);
    lookups.settle.store(FAIL, Ordering::SeqCst);
    disk.fail_at(disk.steps() + 2, ErrorKind::PermissionDenied);
    let error = first.process(nth(0)).expect_err("not written");
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let error = first.process(nth(0)).expect_err("not called a duplicate");
    assert!(matches!(error, Error::Poisoned(_)), "{error:?}");
    drop(first);
    lookups.settle.store(FINE, Ordering::SeqCst);
    disk.repair();
    let next = engine(&lookups, &disk, &lines);
    assert_eq!(lookups.totals().expect("memory").instances, 0);
    assert_eq!(outcome(&next.process(nth(0))), "stored");
}

/// One sender now and then alone, now and then beside others, and copies of the same objects.
#[test]
fn every_object_of_several_senders_is_stored_once() {
    let world = World::new();
    let engine = world.engine();
    std::thread::scope(|scope| {
        for sender in 0..3 {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..60 {
                    let own = sender * 1000 + n;
                    let number = if n % 3 == 0 { n } else { own };
                    let result = engine.process(nth(number));
                    assert!(result.is_ok(), "{result:?}");
                }
            });
        }
    });
    // 20 numbers of all three, 40 of each: the first sender's own are below 60.
    assert_eq!(world.store.paths().len(), 20 + 3 * 40);
    let totals = world.lookups.totals().expect("memory");
    assert_eq!(totals.instances, 20 + 3 * 40);
    assert_eq!(engine.stop(LONG), Stopped::Drained);
}
