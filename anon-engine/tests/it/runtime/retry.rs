//! Temporary failures, retried by `process_with_retries`.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anon_engine::testing::disk::SimDisk;
use anon_engine::testing::files::Place;
use anon_engine::{DirectoryStore, Engine, Error, MemoryQuarantine, Quarantine, Store};

use super::world::{self, TestProject, outcome, received};

/// An engine without workers on a simulated disk.
fn engine(world: &TestProject, disk: &SimDisk) -> Engine {
    let options = anon_engine::store::DirectoryStoreOptions::default();
    let options = options.with_disk(Arc::new(disk.clone()));
    let store = DirectoryStore::open("/public", "/tmp", options).expect("it opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let lookups = Arc::clone(&world.lookups);
    Engine::builder(world::policy(), lookups, store, world.quarantine.clone())
        .workers(0)
        .start()
        .expect("an engine starts")
}

fn files(disk: &SimDisk) -> [usize; 2] {
    ["/public", "/tmp"].map(|dir| disk.files(Path::new(dir)).len())
}

fn nth(n: u32) -> anon_engine::Received {
    received(&world::nth(n))
}

#[test]
fn a_temporary_failure_is_retried_until_the_caller_gives_up() {
    let (world, disk) = (TestProject::new(), SimDisk::new());
    let engine = engine(&world, &disk);
    disk.fill_up_at(disk.steps() + 1);
    let mut asked = 0;
    let stored = engine.process_with_retries(nth(0), &mut |error| {
        assert!(matches!(error, Error::Store(_)), "{error:?}");
        asked += 1;
        if asked == 3 {
            disk.repair();
        }
        true
    });
    assert_eq!((outcome(&stored), asked), ("stored", 3));
    assert_eq!(files(&disk), [1, 0]);
    assert_eq!(world.lookups.totals().expect("memory").instances, 1);

    disk.fill_up_at(disk.steps() + 1);
    let mut left = 2;
    let failed = engine.process_with_retries(nth(1), &mut |_| {
        left -= 1;
        left > 0
    });
    assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
    assert_eq!((left, files(&disk)), (0, [1, 0]));
    disk.repair();
    disk.fail_at(disk.steps() + 1, ErrorKind::PermissionDenied);
    let failed = engine.process_with_retries(nth(1), &mut |error| panic!("asked of {error:?}"));
    assert!(failed.is_err(), "{failed:?}");
}

/// Clearing a full quarantine lets the retry succeed.
#[test]
fn an_object_is_retried_after_the_full_quarantine_was_cleared() {
    let mut world = TestProject::new();
    world.quarantine = Arc::new(MemoryQuarantine::with_max_bytes(20_000));
    let engine = world.engine();
    let [first, second] = [1, 2].map(|n| received(&world::refused(Place::new(n))));
    assert_eq!(outcome(&engine.process(first)), "quarantined");
    let result = engine.process_with_retries(second, &mut |error| {
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
