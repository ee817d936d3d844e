//! Power cuts, kills and disk errors at every step of an import, including steps of the lookup
//! store.
//!
//! Each run starts with an empty disk, imports the same seven objects in order, and is interrupted
//! at one step. Then it reopens the project, checks it, and repeats the import.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anon_engine::disk::{Access, Disk, Existing};
use anon_engine::quarantine::QuarantineOptions;
use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::disk::{SimDisk, SimFile, Survive};
use anon_engine::testing::files::Place;
use anon_engine::{
    DirectoryQuarantine, DirectoryStore, Durability, Engine, Error, Outcome, Quarantine, Receipt,
    Stopped, deidentify,
};
use anon_model::{DiskOptions, DiskStore, Phi, PhiIndex, Pseudonyms, Space, Transactions};

use super::world::{self, ct, received, refused};

const TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct Storage(SimFile);

impl redb::StorageBackend for Storage {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write_at(offset, data)
    }
}

pub(super) type Failure = Box<dyn std::error::Error>;

pub(super) struct Project {
    pub(super) lookups: Arc<DiskStore>,
    store: Arc<DirectoryStore>,
    pub(super) quarantine: Arc<DirectoryQuarantine>,
    pub(super) engine: Engine,
}

fn model(durability: Durability) -> DiskOptions {
    DiskOptions::default()
        .with_durability(durability)
        .with_cache_bytes(1 << 20)
}

pub(super) fn open(disk: &SimDisk, durability: Durability) -> Result<Project, Failure> {
    let private = Path::new("/private");
    disk.create_dir(private, Access::Private)?;
    disk.sync_dir(Path::new("/"))?;
    let path = private.join("lookup.redb");
    if disk.kind(&path)?.is_none() {
        make_lookups(disk, &path, durability)?;
    }
    let file = disk.storage(&path)?;
    let lookups =
        DiskStore::open_with_backend(Storage(file), world::identity(), &model(durability))?;
    let lookups = Arc::new(lookups);
    let options = DirectoryStoreOptions::default().with_durability(durability);
    let options = options.with_disk(Arc::new(disk.clone()));
    let store = Arc::new(DirectoryStore::open(
        "/public",
        private.join("tmp"),
        options,
    )?);
    let options = QuarantineOptions::default().with_durability(durability);
    let options = options.with_disk(Arc::new(disk.clone()));
    let quarantine =
        DirectoryQuarantine::new(private.join("quarantine"), private.join("tmp"), options);
    let quarantine = Arc::new(quarantine);
    let engine = Engine::builder(
        world::policy(),
        lookups.clone(),
        store.clone(),
        quarantine.clone(),
    );
    let engine = engine.workers(0).start()?;
    Ok(Project {
        lookups,
        store,
        quarantine,
        engine,
    })
}

/// Makes a lookup store under another name and renames it: an incomplete database cannot be opened.
fn make_lookups(disk: &SimDisk, path: &Path, durability: Durability) -> Result<(), Failure> {
    let aside = path.with_extension("new");
    match disk.remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = disk.storage(&aside)?;
    let made =
        DiskStore::open_with_backend(Storage(file.clone()), world::identity(), &model(durability))?;
    made.flush()?;
    drop(made);
    file.sync()?;
    disk.rename(&aside, path, Existing::Keep)?;
    disk.sync_dir(Path::new("/private"))?;
    Ok(())
}

/// Two patients, three studies, one copy and one refused object.
fn objects() -> Vec<anon_engine::testing::files::DataSet> {
    let place = Place::new(3);
    vec![
        ct(place),
        ct(place.instance(2)),
        refused(place.patient(7)),
        ct(place.patient(2)),
        ct(place.instance(2)),
        ct(place.study(2)),
        ct(place.patient(2).series(2)),
    ]
}

/// The results of all objects, in order.
type Receipts = Vec<Result<Receipt, Error>>;

fn import(project: &Project) -> Receipts {
    let objects = objects();
    objects
        .iter()
        .map(|object| project.engine.process(received(object)))
        .collect()
}

/// SOP Instance UIDs of the objects, in their order.
fn instance_uids() -> Vec<String> {
    let place = Place::new(3);
    let places = [
        place,
        place.instance(2),
        place.patient(7),
        place.patient(2),
        place.instance(2),
        place.study(2),
        place.patient(2).series(2),
    ];
    places.iter().map(Place::instance_uid).collect()
}

pub(super) fn public(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = disk.files(Path::new("/public")).into_iter();
    files
        .map(|path| (path.clone(), disk.read(&path).expect("a file")))
        .collect()
}

/// Checks the invariants of a project that was just opened, whatever happened before.
fn check(disk: &SimDisk, project: &Project, acknowledged: &Receipts, context: &str) {
    let files = public(disk);
    // Every file is a complete object that names its own path.
    for (path, bytes) in &files {
        let object = dicom_object::from_reader(&bytes[..]);
        let object = object
            .unwrap_or_else(|error| panic!("{context}: {} is incomplete: {error}", path.display()));
        let text = |tag| {
            object
                .element(tag)
                .expect("it is there")
                .to_str()
                .expect("text")
                .into_owned()
        };
        let instance = text(dicom_core::Tag(0x0008, 0x0018));
        let instance = instance.trim_end_matches('\0');
        assert_eq!(
            path.file_stem().and_then(|s| s.to_str()),
            Some(instance),
            "{context}"
        );
        // Every file has durable pseudonyms only.
        for name in [
            instance,
            path.components()
                .nth(2)
                .and_then(|c| c.as_os_str().to_str())
                .expect("a patient"),
        ] {
            let originals = project.lookups.originals(name).expect("it can be read");
            assert_eq!(
                originals.len(),
                1,
                "{context}: {name} of {} leads nowhere",
                path.display()
            );
        }
    }
    // Recovery is done, and no instance is counted without a file.
    assert!(
        project
            .lookups
            .unsettled()
            .expect("it can be read")
            .is_empty(),
        "{context}: unsettled"
    );
    let totals = project.lookups.totals().expect("it can be read");
    let bytes: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    assert!(
        totals.instances <= files.len() as u64,
        "{context}: {totals:?} for {} files",
        files.len()
    );
    if totals.instances == files.len() as u64 {
        assert_eq!(totals.bytes, bytes, "{context}");
    }
    // Neither opening nor importing lists the outputs: there can be millions.
    let listed = disk.listed();
    assert!(
        !listed.iter().any(|path| path.starts_with("/public")),
        "{context}: {listed:?}"
    );
    // No temporary file is left.
    assert!(
        disk.files(Path::new("/private/tmp")).is_empty(),
        "{context}: temporary files"
    );
    nothing_is_lost(&files, project, acknowledged, context);
    for entry in project.quarantine.entries().expect("it can be read") {
        entry.unwrap_or_else(|error| panic!("{context}: incomplete entry: {error}"));
    }
}

fn nothing_is_lost(
    files: &BTreeMap<PathBuf, Vec<u8>>,
    project: &Project,
    acknowledged: &Receipts,
    context: &str,
) {
    for (receipt, uid) in acknowledged.iter().zip(instance_uids().iter().cycle()) {
        let Ok(receipt) = receipt else {
            continue;
        };
        match &receipt.outcome {
            Outcome::Stored { path, .. } | Outcome::Duplicate { path, .. } => {
                let name = project
                    .lookups
                    .pseudonym(Space::Uid, &Phi::new(uid.clone()));
                let [.., instance] = path.parts();
                assert_eq!(
                    name.expect("it can be read").as_deref(),
                    Some(instance),
                    "{context}"
                );
                let path = Path::new("/public").join(path.to_path_buf());
                assert!(
                    files.contains_key(&path),
                    "{context}: {} is lost",
                    path.display()
                );
            }
            Outcome::Quarantined { entry, .. } => {
                let found = project.quarantine.entry(entry).expect("it can be read");
                assert!(found.is_some(), "{context}: {entry} is lost");
                let original = project
                    .quarantine
                    .open_original(entry)
                    .expect("it can be read");
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut original.expect("it is kept"), &mut bytes)
                    .expect("memory");
                assert_eq!(
                    bytes,
                    world::bytes(&refused(Place::new(3).patient(7))),
                    "{context}"
                );
            }
            other => panic!("{context}: {other:?}"),
        }
    }
}

/// `deidentify` returns bytes only when their pseudonyms survive a power cut.
#[test]
fn pseudonyms_are_durable_when_deidentify_returns() {
    let disk = SimDisk::new();
    let durability = Durability::Full;
    let path = Path::new("/lookup.redb");
    let open = |disk: &SimDisk| {
        let file = disk.storage(path).expect("a file");
        DiskStore::open_with_backend(Storage(file), world::identity(), &model(durability))
            .expect("it opens")
    };
    open(&disk).flush().expect("it can be written");
    disk.sync_dir(Path::new("/")).expect("it can be synced");
    let lookups = open(&disk);
    let places = [
        Place::new(3),
        Place::new(3).instance(2),
        Place::new(3).patient(2),
    ];
    for (n, place) in places.iter().enumerate() {
        let bytes = world::bytes(&ct(*place));
        let output = deidentify(&world::policy(), &lookups, &bytes).expect("it is taken");
        let left = open(&disk.after_power_cut(Survive::Synced));
        for earlier in places.iter().take(n + 1) {
            let uid = Phi::new(earlier.instance_uid());
            let name = left.pseudonym(Space::Uid, &uid).expect("it can be read");
            assert!(name.is_some(), "object {n}: a pseudonym is lost");
        }
        let uid = Phi::new(place.instance_uid());
        let name = left.pseudonym(Space::Uid, &uid).expect("it can be read");
        let object = dicom_object::from_reader(&output[..]).expect("it can be read");
        let said = object.element(dicom_core::Tag(0x0008, 0x0018));
        let said = said.expect("it is there").to_str().expect("text");
        assert_eq!(
            name.as_deref(),
            Some(said.trim_end_matches('\0')),
            "object {n}"
        );
        let again = deidentify(&world::policy(), &left, &bytes).expect("it is taken");
        assert_eq!(again, output, "object {n}: other bytes after a restart");
    }
}

/// Returns the public paths with pseudonyms replaced by originals, so that gaps in numbers do not
/// matter.
fn by_original(disk: &SimDisk, lookups: &DiskStore) -> BTreeSet<Vec<String>> {
    let original = |name: &str| {
        let originals = lookups.originals(name).expect("it can be read");
        originals
            .first()
            .map(|(_, original)| original.expose().clone())
            .unwrap_or_default()
    };
    let names = |path: PathBuf| {
        let relative = path.with_extension("");
        let parts = relative.components().skip(2);
        parts
            .map(|part| original(&part.as_os_str().to_string_lossy()))
            .collect()
    };
    disk.files(Path::new("/public"))
        .into_iter()
        .map(names)
        .collect()
}

/// Reopens the project, checks it, repeats the import and checks it again.
fn reopen_and_repeat(
    disk: &SimDisk,
    durability: Durability,
    before: &Receipts,
    context: &str,
) -> BTreeSet<Vec<String>> {
    let project = open(disk, durability)
        .unwrap_or_else(|error| panic!("{context}: {error}: {:?}", error.source()));
    check(disk, &project, before, context);
    let receipts = import(&project);
    let outcomes: Vec<_> = receipts.iter().map(world::outcome).collect();
    assert!(!outcomes.contains(&"failed"), "{context}: {outcomes:?}");
    // Receipts come before their group is settled, so drain first.
    assert_eq!(project.engine.stop(TIMEOUT), Stopped::Drained, "{context}");
    check(disk, &project, &receipts, &format!("{context}, again"));
    assert_eq!(
        project.lookups.totals().expect("it can be read").instances,
        5,
        "{context}"
    );
    let quarantined: u64 = project
        .quarantine
        .counts()
        .expect("it can be read")
        .values()
        .sum();
    assert_eq!(quarantined, 1, "{context}");
    assert!(project.store.root().ends_with("public"));
    by_original(disk, &project.lookups)
}

/// Runs the import without interruption. Returns its steps, its reads and its outputs.
fn uninterrupted(
    new_disk: fn() -> SimDisk,
    durability: Durability,
) -> (u64, u64, BTreeSet<Vec<String>>) {
    let disk = new_disk();
    let project = open(&disk, durability).expect("a new project opens");
    let receipts = import(&project);
    let outcomes: Vec<_> = receipts.iter().map(world::outcome).collect();
    let expected = [
        "stored",
        "stored",
        "quarantined",
        "stored",
        "duplicate",
        "stored",
        "stored",
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(project.engine.stop(TIMEOUT), Stopped::Drained);
    check(&disk, &project, &receipts, "whole");
    let made = by_original(&disk, &project.lookups);
    drop(project);
    (disk.steps(), disk.reads(), made)
}

/// Runs the import on a disk with a fault. Returns the acknowledged results.
fn interrupted(disk: &SimDisk, durability: Durability) -> Receipts {
    open(disk, durability).map_or_else(|_| Receipts::new(), |project| import(&project))
}

fn power_cuts(new_disk: fn() -> SimDisk, durability: Durability, survive: impl Fn(u64) -> Survive) {
    let (steps, _, made) = uninterrupted(new_disk, durability);
    assert!(steps > 100, "{steps} steps are too few to mean anything");
    for step in 1..=steps {
        let disk = new_disk();
        disk.cut_power_at(step);
        let receipts = interrupted(&disk, durability);
        let context = format!("{durability:?}, cut at {step} of {steps}");
        let left = disk.after_power_cut(survive(step));
        assert_eq!(
            reopen_and_repeat(&left, durability, &receipts, &context),
            made,
            "{context}"
        );
    }
}

#[test]
fn nothing_acknowledged_is_lost_if_a_power_cut_drops_unsynced_data() {
    power_cuts(SimDisk::new, Durability::Full, |_| Survive::Synced);
}

#[test]
fn nothing_acknowledged_is_lost_if_a_power_cut_keeps_some_unsynced_data() {
    power_cuts(SimDisk::new, Durability::Full, Survive::Mixed);
}

#[test]
fn nothing_acknowledged_is_lost_in_a_kill_with_full_durability() {
    power_cuts(SimDisk::new, Durability::Full, |_| Survive::Written);
}

#[test]
fn nothing_acknowledged_is_lost_in_a_kill_with_relaxed_durability() {
    for new_disk in [SimDisk::new, SimDisk::without_unnamed_files] {
        power_cuts(new_disk, Durability::Relaxed, |_| Survive::Written);
    }
}

/// A power cut at each step after a kill: what recovery reports as published must be durable.
#[test]
fn nothing_acknowledged_is_lost_if_a_power_cut_follows_a_kill() {
    let (steps, _, made) = uninterrupted(SimDisk::new, Durability::Full);
    for step in (steps / 3..=steps).step_by(5) {
        let disk = SimDisk::new();
        disk.cut_power_at(step);
        let receipts = interrupted(&disk, Durability::Full);
        for later in (1..60).step_by(4) {
            let killed = disk.after_power_cut(Survive::Written);
            killed.cut_power_at(later);
            let mut all = interrupted(&killed, Durability::Full);
            // In complete rounds, so that each result stays with its object.
            all.resize_with(objects().len(), || Err(Error::Stopped));
            let before = receipts.iter().map(|receipt| receipt.as_ref().cloned());
            all.extend(before.map(|receipt| receipt.map_err(|_| Error::Stopped)));
            let left = killed.after_power_cut(Survive::Synced);
            let context = format!("killed at {step}, cut {later} later");
            assert_eq!(
                reopen_and_repeat(&left, Durability::Full, &all, &context),
                made,
                "{context}"
            );
        }
    }
}

/// One operation fails, the program continues as far as it can, and is then restarted.
#[test]
fn nothing_acknowledged_is_lost_in_a_disk_error() {
    let cases: [(fn() -> SimDisk, Durability); 3] = [
        (SimDisk::new, Durability::Full),
        (SimDisk::new, Durability::Relaxed),
        (SimDisk::without_unnamed_files, Durability::Relaxed),
    ];
    for (new_disk, durability) in cases {
        let (steps, reads, made) = uninterrupted(new_disk, durability);
        let faults = (1..=steps).flat_map(|step| {
            let kinds = [
                io::ErrorKind::StorageFull,
                io::ErrorKind::PermissionDenied,
                io::ErrorKind::Other,
            ];
            let kind = kinds[usize::try_from(step % 3).expect("small")];
            [(step, Some(kind)), (step, None)]
        });
        for (step, kind) in faults {
            let disk = new_disk();
            match kind {
                Some(kind) => disk.fail_at(step, kind),
                None => disk.fill_up_at(step),
            }
            let receipts = interrupted(&disk, durability);
            disk.repair();
            let context = format!("{durability:?}, {kind:?} at {step} of {steps}");
            let left = disk.after_power_cut(Survive::Written);
            assert_eq!(
                reopen_and_repeat(&left, durability, &receipts, &context),
                made,
                "{context}"
            );
        }
        for reading in (1..=reads).step_by(3) {
            let disk = new_disk();
            disk.fail_read_at(reading);
            let receipts = interrupted(&disk, durability);
            disk.repair();
            let context = format!("{durability:?}, reading {reading} of {reads}");
            let left = disk.after_power_cut(Survive::Written);
            assert_eq!(
                reopen_and_repeat(&left, durability, &receipts, &context),
                made,
                "{context}"
            );
        }
    }
}
