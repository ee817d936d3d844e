//! Every implementation runs its conformance suite.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anon_engine::disk::{Disk, OsDisk};
use anon_engine::quarantine::QuarantineOptions;
use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::conformance::{Breach, check_disk, check_quarantine, check_store};
use anon_engine::testing::disk::SimDisk;
use anon_engine::{
    DirectoryQuarantine, DirectoryStore, Durability, MemoryQuarantine, MemoryStore, Quarantine,
    Store, StoreError,
};

const BOTH: [Durability; 2] = [Durability::Full, Durability::Relaxed];

#[track_caller]
pub(crate) fn holds(result: Result<(), Breach>) {
    if let Err(breach) = result {
        let cause = std::error::Error::source(&breach).map(ToString::to_string);
        panic!("{breach}: {cause:?}");
    }
}

fn directory_store(disk: &Arc<dyn Disk>, dir: &Path, durability: Durability) -> Arc<dyn Store> {
    let options = DirectoryStoreOptions::default()
        .with_durability(durability)
        .with_disk(Arc::clone(disk));
    let opened = DirectoryStore::open(dir.join("public"), dir.join("private/tmp"), options);
    Arc::new(opened.expect("a store opens"))
}

#[test]
fn memory_store_conforms() {
    holds(check_store(&|| Arc::new(MemoryStore::new())));
}

#[test]
fn directory_store_on_the_file_system_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
    let runs = AtomicU32::new(0);
    for durability in BOTH {
        holds(check_store(&|| {
            let run = dir
                .path()
                .join(runs.fetch_add(1, Ordering::Relaxed).to_string());
            directory_store(&disk, &run, durability)
        }));
    }
}

#[test]
fn directory_store_on_a_simulated_disk_conforms() {
    for durability in BOTH {
        for make in [SimDisk::new, SimDisk::without_unnamed_files] {
            holds(check_store(&|| {
                let disk: Arc<dyn Disk> = Arc::new(make());
                directory_store(&disk, Path::new("/project"), durability)
            }));
        }
    }
}

#[test]
fn memory_quarantine_conforms() {
    holds(check_quarantine(&|max| {
        Arc::new(MemoryQuarantine::with_max_bytes(max))
    }));
}

#[test]
fn directory_quarantine_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let runs = AtomicU32::new(0);
    for durability in BOTH {
        for sim in [true, false] {
            let make = |max| -> Arc<dyn Quarantine> {
                let disk: Arc<dyn Disk> = if sim {
                    Arc::new(SimDisk::new())
                } else {
                    Arc::new(OsDisk::new())
                };
                let run = dir
                    .path()
                    .join(runs.fetch_add(1, Ordering::Relaxed).to_string());
                let options = QuarantineOptions::default()
                    .with_durability(durability)
                    .with_max_bytes(max)
                    .with_disk(disk);
                Arc::new(DirectoryQuarantine::new(
                    run.join("q"),
                    run.join("tmp"),
                    options,
                ))
            };
            holds(check_quarantine(&make));
        }
    }
}

#[test]
fn disks_conform() {
    let dir = tempfile::tempdir().expect("a directory");
    holds(check_disk(&OsDisk::new(), dir.path()));
    holds(check_disk(&SimDisk::new(), Path::new("/")));
    holds(check_disk(
        &SimDisk::without_unnamed_files(),
        Path::new("/"),
    ));
}

#[test]
fn a_store_on_two_file_systems_is_refused() {
    let disk = SimDisk::new();
    disk.mount("/elsewhere");
    let options = DirectoryStoreOptions::default().with_disk(Arc::new(disk));
    let opened = DirectoryStore::open("/elsewhere/public", "/project/private/tmp", options);
    assert!(
        matches!(opened, Err(StoreError::OtherFileSystem)),
        "{opened:?}"
    );
}
