//! Entries on disk: their files, permissions and removal.

use std::path::Path;
use std::sync::Arc;

use anon_engine::disk::{Access, Disk};
use anon_engine::quarantine::QuarantineOptions;
use anon_engine::store::DirectoryStoreOptions;
use anon_engine::testing::disk::{SimDisk, Survive};
use anon_engine::testing::files::{Place, Syntax, ct_small};
use anon_engine::{
    DirectoryQuarantine, DirectoryStore, Engine, EntryId, Kept, Outcome, Quarantine, Received,
    Spool,
};
use dicom_core::{Tag, VR};

use super::world::{self, STUDY_DATE, TestProject, bytes, ct, lookups, outcome, received, refused};

struct Project {
    dir: tempfile::TempDir,
    quarantine: Arc<DirectoryQuarantine>,
    engine: Engine,
}

fn project(options: QuarantineOptions) -> Project {
    let dir = tempfile::tempdir().expect("a directory");
    let tmp = dir.path().join("private/tmp");
    let store = DirectoryStore::open(
        dir.path().join("public"),
        &tmp,
        DirectoryStoreOptions::default(),
    );
    let root = dir.path().join("private/quarantine");
    let quarantine = Arc::new(DirectoryQuarantine::new(root, tmp, options));
    let engine = Engine::builder(
        world::policy(),
        lookups(),
        Arc::new(store.expect("a store opens")),
        quarantine.clone(),
    );
    let engine = engine.workers(1).start().expect("an engine starts");
    Project {
        dir,
        quarantine,
        engine,
    }
}

fn entry_of(outcome: &Outcome) -> EntryId {
    match outcome {
        Outcome::Quarantined { entry, .. } => *entry,
        other => panic!("{other:?}"),
    }
}

fn count(quarantine: &DirectoryQuarantine) -> u64 {
    quarantine.counts().expect("it can be read").values().sum()
}

#[test]
fn an_entry_has_the_documented_files_and_the_original_bytes() {
    let project = project(QuarantineOptions::default());
    let object = refused(Place::new(1));
    let source = Received::part10(bytes(&object)).with_origin("/in/IM1");
    let receipt = project.engine.process(source).expect("quarantined");
    let entry = entry_of(&receipt.outcome);
    assert_eq!(entry.to_string().parse(), Ok(entry));
    let dir = project
        .dir
        .path()
        .join("private/quarantine")
        .join(entry.to_string());
    assert_eq!(
        std::fs::read(dir.join("original")).expect("a copy"),
        bytes(&object)
    );
    let json = std::fs::read_to_string(dir.join("reason.json")).expect("a reason");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["category"], "Missing_Attributes");
    assert_eq!(json["sha256"], entry.digest_text());
    assert_eq!(json["source"], "/in/IM1");
    assert_eq!(json["original"], "copied");
    #[cfg(unix)]
    modes_are_private(&project.dir.path().join("private"));
}

#[cfg(unix)]
fn modes_are_private(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    for entry in dir.read_dir().expect("a directory") {
        let path = entry.expect("a name").path();
        if path.is_dir() {
            modes_are_private(&path);
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
#[cfg(unix)]
fn output_files_have_the_permissions_of_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let project = project(QuarantineOptions::default());
    let receipt = project
        .engine
        .process(received(&ct(Place::new(1))))
        .expect("stored");
    let Outcome::Stored { path, .. } = receipt.outcome else {
        panic!("not stored");
    };
    let path = project.dir.path().join("public").join(path.to_path_buf());
    let plain = project.dir.path().join("plain");
    std::fs::File::create(&plain).expect("a file");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), mode(&plain));
    assert_eq!(files_below(&project.dir.path().join("private/tmp")), 0);
}

#[cfg(unix)]
fn files_below(dir: &Path) -> usize {
    let count = |path: &Path| if path.is_dir() { files_below(path) } else { 1 };
    let entries = dir.read_dir().expect("a directory");
    entries
        .map(|entry| count(&entry.expect("a name").path()))
        .sum()
}

#[test]
fn an_entry_is_removed_when_its_instance_is_stored() {
    let project = project(QuarantineOptions::default());
    let quarantine = &project.quarantine;
    // Filed although the rules accept it now, as after a change of the rules.
    let object = ct(Place::new(1));
    let refusal = anon_engine::Refusal::new(anon_engine::Category::BurnedIn, "says YES");
    let original = bytes(&object);
    let id = quarantine.file(&anon_engine::quarantine::RefusedObject {
        original: anon_engine::quarantine::Original::Bytes(&original),
        transfer_syntax: None,
        refusal: &refusal,
        origin: None,
        path: None,
    });
    let id = id.expect("filed").entry;
    assert_eq!(count(quarantine), 1);
    let again = quarantine
        .received(&id)
        .expect("it can be read")
        .expect("it is kept");
    assert_eq!(
        project
            .engine
            .process(again)
            .expect("stored")
            .outcome
            .name(),
        "stored"
    );
    assert_eq!(count(quarantine), 0, "a retry clears its entry");
}

#[test]
fn an_entry_is_removed_when_the_same_bytes_are_stored() {
    let project = project(QuarantineOptions::default());
    let object = bytes(&ct(Place::new(1)));
    let refusal = anon_engine::Refusal::new(anon_engine::Category::InvalidStorageClass, "not ours");
    project
        .quarantine
        .file(&anon_engine::quarantine::RefusedObject {
            original: anon_engine::quarantine::Original::Bytes(&object),
            transfer_syntax: None,
            refusal: &refusal,
            origin: None,
            path: None,
        })
        .expect("filed");
    project
        .engine
        .process(Received::part10(object))
        .expect("stored");
    assert_eq!(count(&project.quarantine), 0);
    // Another object of the same length clears nothing.
    let other = bytes(&refused(Place::new(2)));
    project
        .engine
        .process(Received::part10(other))
        .expect("quarantined");
    assert_eq!(count(&project.quarantine), 1);
}

#[test]
fn a_repeated_import_makes_no_second_entry() {
    let project = project(QuarantineOptions::default());
    let object = refused(Place::new(1));
    let first = project
        .engine
        .process(received(&object))
        .expect("quarantined");
    let second = project
        .engine
        .process(received(&object))
        .expect("quarantined");
    assert_eq!(first.outcome, second.outcome);
    assert_eq!(count(&project.quarantine), 1);
}

#[test]
fn files_can_be_referenced_and_foreign_bytes_are_only_recorded() {
    let project = project(QuarantineOptions::default().with_files(Kept::Referenced));
    let path = project.dir.path().join("IM1");
    std::io::Write::write_all(
        &mut std::fs::File::create(&path).expect("a file"),
        &bytes(&refused(Place::new(1))),
    )
    .expect("a file");
    let receipt = project
        .engine
        .process(Received::file(&path))
        .expect("quarantined");
    let entry = entry_of(&receipt.outcome);
    let found = project
        .quarantine
        .entry(&entry)
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(found.kept, Kept::Referenced);
    let dir = project
        .dir
        .path()
        .join("private/quarantine")
        .join(entry.to_string());
    assert!(!dir.join("original").exists());
    let again = project
        .quarantine
        .received(&entry)
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(again.path(), Some(path.as_path()));
    let letter = project
        .engine
        .process(Received::part10(b"Dear colleague".to_vec()));
    let entry = entry_of(&letter.expect("quarantined").outcome);
    let found = project
        .quarantine
        .entry(&entry)
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(
        (found.kept, found.id.category().name()),
        (Kept::Recorded, "Invalid_DICOM")
    );
}

/// The path of an entry leads to its bytes as long as any file that was imported has them.
#[test]
fn an_entry_whose_file_was_moved_gets_its_new_path_with_the_next_import() {
    let project = project(QuarantineOptions::default().with_files(Kept::Referenced));
    let place = |name: &str| project.dir.path().join(name);
    let import = |name: &str| {
        let receipt = project.engine.process(Received::file(place(name)));
        let entry = entry_of(&receipt.expect("quarantined").outcome);
        let again = project.quarantine.received(&entry).expect("it can be read");
        let path = again.as_ref().and_then(Received::path).expect("a path");
        path.strip_prefix(project.dir.path())
            .expect("below it")
            .to_owned()
    };
    let object = bytes(&refused(Place::new(1)));
    let mut file = std::fs::File::create_new(place("IM1")).expect("a file");
    std::io::Write::write_all(&mut file, &object).expect("room");
    assert_eq!(import("IM1"), Path::new("IM1"));
    std::fs::copy(place("IM1"), place("IM2")).expect("a copy");
    assert_eq!(import("IM2"), Path::new("IM1"), "both are there");
    file.set_len(4).expect("it is cut");
    assert_eq!(import("IM2"), Path::new("IM2"), "the first has other bytes");
    std::fs::rename(place("IM2"), place("IM3")).expect("it is moved");
    assert_eq!(import("IM3"), Path::new("IM3"), "it was moved");
    assert_eq!(count(&project.quarantine), 1);
}

#[test]
fn a_full_quarantine_fails_the_object_and_keeps_its_source() {
    let project = project(QuarantineOptions::default().with_max_bytes(100));
    let error = project
        .engine
        .process(received(&refused(Place::new(1))))
        .expect_err("no room");
    assert!(matches!(
        error,
        anon_engine::Error::Quarantine(anon_engine::quarantine::QuarantineError::Full)
    ));
    assert_eq!(count(&project.quarantine), 0);
    let fine = project
        .engine
        .process(received(&ct(Place::new(1))))
        .expect("stored");
    assert_eq!(fine.outcome.name(), "stored");
}

/// A file of version 1, as the release of that version wrote it.
#[test]
fn reason_json_version_1_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let entry = dir.path().join("Missing_Attributes").join(digest);
    std::fs::create_dir_all(&entry).expect("a directory");
    let fixture = include_bytes!("../../data/reason-v1.json");
    std::io::Write::write_all(
        &mut std::fs::File::create(entry.join("reason.json")).expect("a file"),
        fixture,
    )
    .expect("a file");
    let quarantine = DirectoryQuarantine::new(
        dir.path(),
        dir.path().join("tmp"),
        QuarantineOptions::default(),
    );
    let entries: Vec<_> = quarantine.entries().expect("it can be read").collect();
    let [Ok(entry)] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(entry.id.to_string(), format!("Missing_Attributes/{digest}"));
    assert_eq!(entry.reason, "has no StudyDate (0008,0020)");
    assert_eq!(entry.tag, Some(STUDY_DATE));
    assert_eq!(
        (entry.offset, entry.length, entry.kept),
        (Some(340), 4, Kept::Copied)
    );
    assert_eq!(
        entry.transfer_syntax.as_deref(),
        Some("1.2.840.10008.1.2.1")
    );
    let source = entry.source.as_ref().map(|source| source.expose().as_str());
    assert_eq!(source, Some("/in/IM0001"));
}

#[test]
fn a_newer_or_broken_reason_file_fails_only_its_own_entry() {
    let table = [
        (r#"{"version": 2}"#, "is of another version of this program"),
        ("{", "cannot be read"),
        (r#"{"version": 1}"#, "cannot be read"),
    ];
    for (text, problem) in table {
        let dir = tempfile::tempdir().expect("a directory");
        let entry = dir.path().join("Burned_In").join("00".repeat(32));
        std::fs::create_dir_all(&entry).expect("a directory");
        std::io::Write::write_all(
            &mut std::fs::File::create(entry.join("reason.json")).expect("a file"),
            text.as_bytes(),
        )
        .expect("a file");
        let quarantine = DirectoryQuarantine::new(
            dir.path(),
            dir.path().join("tmp"),
            QuarantineOptions::default(),
        );
        let entries: Vec<_> = quarantine.entries().expect("it can be read").collect();
        let [Err(error)] = &entries[..] else {
            panic!("{text}: {entries:?}");
        };
        assert!(error.to_string().ends_with(problem), "{text}: {error}");
        let id = entry_id(&"00".repeat(32));
        assert_eq!(
            quarantine.clear(&id).ok(),
            Some(true),
            "{text}: it can still be cleared"
        );
    }
}

fn entry_id(digest: &str) -> EntryId {
    format!("Burned_In/{digest}").parse().expect("an entry")
}

#[test]
fn sop_instance_reads_the_uid_without_planning() {
    let place = Place::new(1);
    let object = ct_small(&place);
    let uid = place.instance_uid();
    let says = |received: &Received| {
        let uid = received.sop_instance().expect("it can be read");
        uid.map(anon_model::Phi::into_exposed)
    };
    let dir = tempfile::tempdir().expect("a directory");
    let spool = Spool::open(dir.path().join("spool")).expect("a spool");
    let spool = spool.with_memory_bytes(0);
    for syntax in [
        Syntax::ImplicitLittle,
        Syntax::ExplicitLittle,
        Syntax::ExplicitBig,
        Syntax::Deflated,
    ] {
        let (file, alone) = (object.write(syntax), object.write_data_set(syntax));
        let path = dir.path().join(syntax.uid());
        let mut copy = std::fs::File::create(&path).expect("a file");
        std::io::Write::write_all(&mut copy, &file).expect("room");
        let spooled = spool.receive(&mut &*alone, 1 << 30);
        for received in [
            Received::part10(file),
            Received::file(path),
            Received::data_set(alone, syntax.uid()),
            spooled.expect("room").as_data_set(syntax.uid()),
        ] {
            assert_eq!(
                says(&received),
                Some(uid.clone()),
                "{syntax:?}: {received:?}"
            );
        }
    }
    // Elements after the UID may be damaged; elements before it must be valid.
    let mut cut = object.write_data_set(Syntax::ExplicitLittle);
    cut.truncate(cut.len() / 2);
    assert_eq!(
        says(&Received::data_set(cut, "1.2.840.10008.1.2.1")),
        Some(uid)
    );
    for nothing in [
        Vec::new(),
        b"this is no data set at all, is it".to_vec(),
        vec![0xFF; 4096],
    ] {
        assert_eq!(says(&Received::part10(nothing.clone())), None);
        assert_eq!(
            says(&Received::data_set(nothing, "1.2.840.10008.1.2.1")),
            None
        );
    }
    let without = object.without(dicom_core::Tag(0x0008, 0x0018));
    assert_eq!(says(&Received::part10(bytes(&without))), None);
    let missing = Received::file(dir.path().join("missing"));
    assert!(missing.sop_instance().is_err());
}

/// Only the reason that a person has reviewed is waived, and for this object alone.
#[test]
fn a_reviewed_object_is_stored_with_its_one_reason_waived() {
    use anon_engine::Category::{BurnedIn, CapturePhiError};

    let world = TestProject::new();
    let engine = world.engine();
    let burned = |n| ct(Place::new(n)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    let clash = ct(Place::new(1).instance(2)).put(Tag(0x0010, 0x0020), VR::LO, "OTHER");
    for (object, waived, expected) in [
        (burned(1), None, "quarantined"),
        (burned(1), Some(CapturePhiError), "quarantined"),
        (burned(1), Some(BurnedIn), "stored"),
        (burned(2), None, "quarantined"),
        (clash.clone(), None, "quarantined"),
        (clash.clone(), Some(BurnedIn), "quarantined"),
        (clash, Some(CapturePhiError), "stored"),
    ] {
        let mut reviewed = received(&object);
        if let Some(waived) = waived {
            reviewed = reviewed.waiving(waived);
        }
        assert_eq!(outcome(&engine.process(reviewed)), expected, "{waived:?}");
    }
    // The entries of both stored objects are gone.
    assert_eq!(world.quarantined(), 1);
    assert_eq!(world.lookups.totals().expect("memory").patients, 1);
}

/// Objects of equal bytes that are filed at once are one entry; objects of other bytes wait for
/// nothing.
#[test]
fn many_threads_file_equal_and_other_bytes_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let quarantine = DirectoryQuarantine::new(
        dir.path().join("quarantine"),
        dir.path().join("tmp"),
        QuarantineOptions::default(),
    );
    let refusal = anon_engine::Refusal::new(anon_engine::Category::BurnedIn, "says YES");
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (quarantine, refusal) = (&quarantine, &refusal);
            scope.spawn(move || {
                for n in 0..20 {
                    for original in [b"equal".to_vec(), vec![thread, n]] {
                        file(quarantine, &original, refusal).expect("filed");
                    }
                }
            });
        }
    });
    assert_eq!(count(&quarantine), 81);
    for entry in quarantine.entries().expect("it can be read") {
        let entry = entry.expect("complete");
        assert!(quarantine.clear(&entry.id).expect("cleared"));
    }
    let left = std::fs::read_dir(dir.path().join("tmp")).expect("a directory");
    assert_eq!(left.count(), 0);
}

fn file(
    quarantine: &dyn Quarantine,
    original: &[u8],
    refusal: &anon_engine::Refusal,
) -> Result<EntryId, anon_engine::quarantine::QuarantineError> {
    let filed = quarantine.file(&anon_engine::quarantine::RefusedObject {
        original: anon_engine::quarantine::Original::Bytes(original),
        transfer_syntax: None,
        refusal,
        origin: None,
        path: None,
    });
    filed.map(|filed| filed.entry)
}

/// An entry that a person removed by hand is filed again.
#[test]
fn an_entry_that_was_removed_by_hand_is_filed_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("quarantine");
    let options = QuarantineOptions::default();
    let quarantine = DirectoryQuarantine::new(&root, dir.path().join("tmp"), options);
    let refusal = anon_engine::Refusal::new(anon_engine::Category::BurnedIn, "says YES");
    let id = file(&quarantine, b"bytes", &refusal).expect("filed");
    for gone in ["", "original"] {
        let path = root.join(id.to_string()).join(gone);
        if path.is_dir() {
            std::fs::remove_dir_all(path).expect("it is there");
        } else {
            std::fs::remove_file(path).expect("it is there");
        }
        assert_eq!(file(&quarantine, b"bytes", &refusal).ok(), Some(id));
        let kept = quarantine.open_original(&id).expect("it can be read");
        assert!(kept.is_some(), "{gone}");
    }
}

/// Equal files cost no further sync: a folder of 60,000 empty files took five minutes.
#[test]
fn equal_bytes_are_synced_once() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/private"), Access::Private)
        .expect("a directory");
    disk.sync_dir(Path::new("/")).expect("it can be synced");
    let options = QuarantineOptions::default().with_disk(Arc::new(disk.clone()));
    let quarantine = DirectoryQuarantine::new("/private/quarantine", "/private/tmp", options);
    let refusal = anon_engine::Refusal::new(anon_engine::Category::BurnedIn, "says YES");
    let id = file(&quarantine, b"bytes", &refusal).expect("filed");
    let steps = disk.steps();
    for _ in 0..1000 {
        assert_eq!(file(&quarantine, b"bytes", &refusal).ok(), Some(id));
    }
    assert_eq!(disk.steps(), steps);
    let left = disk.after_power_cut(Survive::Synced);
    let original = Path::new("/private/quarantine").join(id.to_string());
    assert_eq!(
        left.read(&original.join("original")).as_deref(),
        Some(&b"bytes"[..])
    );
}
