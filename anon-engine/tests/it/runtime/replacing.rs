//! Replacing a stored instance by an object with other content that a person has reviewed, also with
//! power cuts, kills and disk errors at every step.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anon_engine::quarantine::QuarantineError;
use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::disk::{SimDisk, Survive};
use anon_engine::testing::files::{DataSet, Place, Syntax, Value, encapsulated};
use anon_engine::{
    Category, DirectoryStore, Durability, Engine, EntryId, Outcome, OutputPath, Quarantine,
    Received, Stopped, Store, StoredObject,
};
use anon_model::{Phi, PhiIndex, StudyConflict, Transactions};
use dicom_core::{Tag, VR};

use super::crash::{self, Failure};
use super::world::{self, SimpleStore, TestProject, ct, outcome, received};

const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const PROTOCOL: Tag = Tag(0x0018, 0x1030);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const REFERENCED: Tag = Tag(0x0020, 0x0052);

fn before() -> DataSet {
    ct(Place::new(3))
}

/// The same instance with a longer text and another date, and a UID that is new.
fn after() -> DataSet {
    world::changed(before())
        .put(PROTOCOL, VR::LO, "HEAD, CORRECTED")
        .put(REFERENCED, VR::UI, "1.2.3.4.5")
}

/// Returns an entry as a person accepts it: its object, with its recorded reason.
fn reviewed(quarantine: &dyn Quarantine, id: &EntryId) -> Result<Received, QuarantineError> {
    let entry = quarantine.entry(id)?.expect("an entry");
    let received = quarantine.received(id)?.expect("its bytes are kept");
    Ok(received.waiving(id.category()).replacing(entry.reason))
}

fn only_entry(quarantine: &dyn Quarantine) -> Option<EntryId> {
    try_only_entry(quarantine).expect("it can be read")
}

fn try_only_entry(quarantine: &dyn Quarantine) -> Result<Option<EntryId>, QuarantineError> {
    let entries = quarantine.entries()?.collect::<Result<Vec<_>, _>>()?;
    assert!(entries.len() < 2, "more than one entry");
    Ok(entries.first().map(|entry| entry.id))
}

fn path_of(project: &TestProject, place: Place) -> OutputPath {
    let uid = Phi::new(place.instance_uid());
    let stored = project.lookups.stored_instance(&uid);
    let stored = stored.expect("memory").expect("it is stored");
    let names = stored.names.each_ref().map(String::as_str);
    OutputPath::new(names).expect("pseudonyms")
}

#[test]
fn accepted_object_takes_the_place_of_the_stored_one_under_its_pseudonyms() {
    let project = TestProject::new();
    let engine = project.engine();
    for place in [Place::new(3), Place::new(3).instance(2)] {
        assert_eq!(outcome(&engine.process(received(&ct(place)))), "stored");
    }
    let path = path_of(&project, Place::new(3));
    let old = project.store.get(&path).expect("it is stored");
    assert_eq!(outcome(&engine.process(received(&after()))), "quarantined");
    let id = only_entry(&*project.quarantine).expect("an entry");
    let receipt = engine.process(reviewed(&*project.quarantine, &id).expect("an entry"));
    let receipt = receipt.expect("a receipt");
    let is_there = matches!(&receipt.outcome, Outcome::Stored { path: at, .. } if *at == path);
    assert!(is_there, "{receipt:?}");
    assert_eq!(path_of(&project, Place::new(3)), path);
    assert_eq!(project.store.paths().len(), 2);
    let new = project.store.get(&path).expect("it is stored");
    assert_ne!(new, old);
    let text = String::from_utf8_lossy(&new).into_owned();
    assert!(text.contains("HEAD, CORRECTED"));
    assert_eq!(project.quarantined(), 0);
    let totals = project.lookups.totals().expect("memory");
    let stored = project.store.paths().into_iter();
    let bytes = stored.map(|path| project.store.get(&path).expect("it is stored").len() as u64);
    assert_eq!((totals.instances, totals.bytes), (2, bytes.sum()));
    // From now on the new object is the one that is known.
    assert_eq!(outcome(&engine.process(received(&after()))), "duplicate");
    assert_eq!(outcome(&engine.process(received(&before()))), "quarantined");
}

/// The fingerprint leaves kept pixels out, and the comparison reads them.
#[test]
fn accepted_object_with_other_pixels_takes_the_place_of_the_stored_one() {
    let project = TestProject::new();
    let engine = project.engine();
    let image = |last: u16| {
        let mut image = before();
        for element in image.elements_mut() {
            if let (PIXELS, Value::U16(pixels)) = (element.tag, &mut element.value) {
                *pixels.last_mut().expect("pixels") = last;
            }
        }
        image
    };
    engine.process(received(&image(1))).expect("a receipt");
    assert_eq!(outcome(&engine.process(received(&image(2)))), "quarantined");
    let id = only_entry(&*project.quarantine).expect("an entry");
    let again = engine.process(reviewed(&*project.quarantine, &id).expect("an entry"));
    assert_eq!(outcome(&again), "stored");
    let path = path_of(&project, Place::new(3));
    let bytes = project.store.get(&path).expect("it is stored");
    assert!(bytes.ends_with(&2_u16.to_le_bytes()));
}

/// Compressed pixels are not compared with others, and a missing file cannot be compared.
#[test]
fn object_that_cannot_be_compared_is_stored_once_accepted() {
    let project = TestProject::new();
    let engine = project.engine();
    let image = encapsulated(&Place::new(3), 3);
    let of = |syntax| Received::part10(image.write(syntax));
    engine
        .process(of(Syntax::JPEG_LOSSLESS))
        .expect("a receipt");
    assert_eq!(outcome(&engine.process(of(Syntax::RLE))), "quarantined");
    let id = only_entry(&*project.quarantine).expect("an entry");
    let again = engine.process(reviewed(&*project.quarantine, &id).expect("an entry"));
    assert_eq!(outcome(&again), "stored");

    let dir = tempfile::tempdir().expect("a directory");
    let options = DirectoryStoreOptions::default();
    let public = dir.path().join("public");
    let store = DirectoryStore::open(&public, dir.path().join("tmp"), options).expect("a store");
    let store: Arc<dyn Store> = Arc::new(store);
    let project = TestProject::new();
    let engine = Engine::builder(
        world::policy(),
        project.lookups.clone(),
        store.clone(),
        project.quarantine.clone(),
    );
    let engine = engine.workers(0).start().expect("an engine starts");
    engine.process(received(&before())).expect("a receipt");
    let path = path_of(&project, Place::new(3));
    let [patient, ..] = path.parts();
    std::fs::remove_dir_all(public.join(patient)).expect("it is there");
    assert_eq!(outcome(&engine.process(received(&after()))), "quarantined");
    let id = only_entry(&*project.quarantine).expect("an entry");
    let again = engine.process(reviewed(&*project.quarantine, &id).expect("an entry"));
    assert_eq!(outcome(&again), "stored", "{again:?}");
    let stored = store.stored(&path).expect("it can be read");
    assert!(matches!(stored, Some(StoredObject::File(..))), "{stored:?}");
}

/// A person who accepts one reason does not accept another.
#[test]
fn object_replaces_nothing_for_a_reason_that_was_not_reviewed() {
    let project = TestProject::new();
    let engine = project.engine();
    engine.process(received(&before())).expect("a receipt");
    let path = path_of(&project, Place::new(3));
    let old = project.store.get(&path);
    let category = Category::CapturePhiError;
    let other_patient = || {
        let object = after().without(PATIENT_ID);
        received(&object.put(PATIENT_ID, VR::LO, "OTHER")).waiving(category)
    };
    // That it differs was not reviewed.
    let unreviewed = received(&after()).waiving(category);
    assert_eq!(outcome(&engine.process(unreviewed)), "quarantined");
    let unreviewed = received(&after())
        .waiving(category)
        .replacing("another reason");
    assert_eq!(outcome(&engine.process(unreviewed)), "quarantined");
    let id = only_entry(&*project.quarantine).expect("an entry");
    let entry = project.quarantine.entry(&id).expect("memory");
    let differs = entry.expect("an entry").reason;
    // Its study is known under another patient too.
    let both = other_patient().replacing(differs.clone());
    let both = engine.process(both).expect("a receipt");
    let says = format!("{:?}", both.outcome);
    assert!(says.contains("belongs to patient"), "{says}");
    assert_eq!(project.store.get(&path), old);
    // By setting, that is no reason.
    let lenient = Engine::builder(
        world::policy().with_study_conflict(StudyConflict::First),
        project.lookups.clone(),
        project.store.clone(),
        project.quarantine.clone(),
    );
    let lenient = lenient.workers(0).start().expect("an engine starts");
    let stored = lenient.process(other_patient().replacing(differs));
    assert_eq!(outcome(&stored), "stored", "{stored:?}");
    assert_eq!(path_of(&project, Place::new(3)), path);
    assert_eq!(project.lookups.totals().expect("memory").patients, 1);
}

#[test]
fn store_that_replaces_no_objects_keeps_the_entry() {
    let project = TestProject::new();
    let engine = Engine::builder(
        world::policy(),
        project.lookups.clone(),
        Arc::new(SimpleStore::default()),
        project.quarantine.clone(),
    );
    let engine = engine.workers(0).start().expect("an engine starts");
    engine.process(received(&before())).expect("a receipt");
    engine.process(received(&after())).expect("a receipt");
    let id = only_entry(&*project.quarantine).expect("an entry");
    let again = engine.process(reviewed(&*project.quarantine, &id).expect("an entry"));
    assert_eq!(outcome(&again), "quarantined");
    assert!(only_entry(&*project.quarantine).is_some());
    assert_eq!(outcome(&engine.process(received(&before()))), "duplicate");
}

const TIMEOUT: Duration = Duration::from_mins(1);

/// Returns a disk with two stored instances, and an entry that differs from the first.
fn prepared(new_disk: fn() -> SimDisk, durability: Durability) -> SimDisk {
    let disk = new_disk();
    let project = crash::open(&disk, durability).expect("a new project opens");
    for object in [before(), ct(Place::new(3).instance(2)), after()] {
        let receipt = project.engine.process(received(&object));
        receipt.expect("a receipt");
    }
    assert!(only_entry(&*project.quarantine).is_some());
    assert_eq!(project.engine.stop(TIMEOUT), Stopped::Drained);
    disk
}

/// Accepts the entry. Returns true if the object is stored.
fn accept(disk: &SimDisk, durability: Durability) -> Result<bool, Failure> {
    let project = crash::open(disk, durability)?;
    let id = try_only_entry(&*project.quarantine)?.ok_or("no entry")?;
    let accepted = reviewed(&*project.quarantine, &id)?;
    let receipt = project.engine.process(accepted)?;
    project.engine.stop(TIMEOUT);
    Ok(receipt.outcome.name() == "stored")
}

/// Checks that the project holds one of the two objects, with its record in the index, and the entry
/// unless it is the new one. Then accepts the entry, if it is there, and checks again.
fn check(disk: &SimDisk, durability: Durability, acknowledged: bool, context: &str) {
    let project = crash::open(disk, durability)
        .unwrap_or_else(|error| panic!("{context}: {error}: {:?}", error.source()));
    let is_new = agrees(disk, &project, context);
    assert!(is_new || !acknowledged, "{context}: an object is lost");
    let entry = only_entry(&*project.quarantine);
    assert!(
        is_new || entry.is_some(),
        "{context}: the entry is lost, and its object is not stored"
    );
    if let Some(id) = entry {
        let again = project
            .engine
            .process(reviewed(&*project.quarantine, &id).expect("an entry"));
        let expected = if is_new { "duplicate" } else { "stored" };
        assert_eq!(outcome(&again), expected, "{context}: {again:?}");
    }
    assert!(agrees(disk, &project, context), "{context}: accepted again");
    let left = only_entry(&*project.quarantine);
    assert!(left.is_none(), "{context}: the entry is left");
    assert_eq!(project.engine.stop(TIMEOUT), Stopped::Drained, "{context}");
}

/// Checks that index and file agree. Returns true if they are those of the new object.
fn agrees(disk: &SimDisk, project: &crash::Project, context: &str) -> bool {
    let files = crash::public(disk);
    assert_eq!(files.len(), 2, "{context}: {:?}", files.keys());
    let length: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    let totals = project.lookups.totals().expect("it can be read");
    assert_eq!(
        (totals.instances, totals.bytes),
        (2, length),
        "{context}: the index does not agree with the files"
    );
    let open = project.lookups.unsettled().expect("it can be read");
    assert!(open.len() <= 1, "{context}: unsettled");
    let has_text = |bytes: &Vec<u8>| bytes.windows(9).any(|part| part == b"CORRECTED");
    let is_new = files.values().any(has_text);
    // The engine compares the one that is not there with the stored one, too.
    let known = if is_new { after() } else { before() };
    let again = project.engine.process(received(&known));
    assert_eq!(outcome(&again), "duplicate", "{context}: {again:?}");
    is_new
}

/// The steps and reads of an acceptance that nothing interrupts.
fn uninterrupted(prepared: &SimDisk, durability: Durability) -> (u64, u64) {
    let disk = prepared.after_power_cut(Survive::Written);
    let before = (disk.steps(), disk.reads());
    assert!(accept(&disk, durability).expect("it is stored"));
    let length = (disk.steps() - before.0, disk.reads() - before.1);
    check(&disk, durability, true, "whole");
    length
}

fn power_cuts(new_disk: fn() -> SimDisk, durability: Durability, survive: impl Fn(u64) -> Survive) {
    let prepared = prepared(new_disk, durability);
    let (steps, _) = uninterrupted(&prepared, durability);
    assert!(steps > 20, "{steps} steps are too few to mean anything");
    for step in 1..=steps {
        let disk = prepared.after_power_cut(Survive::Written);
        disk.cut_power_at(disk.steps() + step);
        let acknowledged = accept(&disk, durability).unwrap_or(false);
        let left = disk.after_power_cut(survive(step));
        let context = format!("{durability:?}, cut at {step} of {steps}");
        check(&left, durability, acknowledged, &context);
    }
}

#[test]
fn power_cut_leaves_the_old_object_with_the_entry_or_the_new_one() {
    power_cuts(SimDisk::new, Durability::Full, |_| Survive::Synced);
    power_cuts(SimDisk::new, Durability::Full, Survive::Mixed);
}

#[test]
fn kill_leaves_the_old_object_with_the_entry_or_the_new_one() {
    for (new_disk, durability) in [
        (SimDisk::new as fn() -> SimDisk, Durability::Full),
        (SimDisk::new, Durability::Relaxed),
        (SimDisk::without_unnamed_files, Durability::Relaxed),
    ] {
        power_cuts(new_disk, durability, |_| Survive::Written);
    }
}

#[test]
fn disk_error_leaves_the_old_object_with_the_entry_or_the_new_one() {
    let durability = Durability::Full;
    let prepared = prepared(SimDisk::new, durability);
    let (steps, reads) = uninterrupted(&prepared, durability);
    let check_fault = |context: &str, fault: &dyn Fn(&SimDisk)| {
        let disk = prepared.after_power_cut(Survive::Written);
        fault(&disk);
        let acknowledged = accept(&disk, durability).unwrap_or(false);
        disk.repair();
        let left = disk.after_power_cut(Survive::Synced);
        check(&left, durability, acknowledged, context);
    };
    for step in 1..=steps {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            let context = format!("{kind:?} at {step} of {steps}");
            check_fault(&context, &|disk| disk.fail_at(disk.steps() + step, kind));
        }
    }
    for read in 1..=reads {
        let context = format!("reading {read} of {reads}");
        check_fault(&context, &|disk| disk.fail_read_at(disk.reads() + read));
    }
}
