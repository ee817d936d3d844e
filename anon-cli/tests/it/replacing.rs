//! `anon quarantine accept` of an object that differs from the stored one with its UID.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anon_engine::testing::files::{DataSet, Place, ct_small};
use dicom_core::{Tag, VR};
use serde_json::json;

use crate::serving::Serving;
use crate::support::{Scene, Test, chmod, tree};

type Files = BTreeMap<String, Vec<u8>>;

const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

/// The same instance with another date. Its output has the length of the one before.
fn corrected() -> DataSet {
    let object = ct_small(&Place::new(1)).without(STUDY_DATE);
    object.put(STUDY_DATE, VR::DA, "20110102")
}

/// Returns a project with two images and an entry that differs from the first, and the entry.
fn made() -> Test<(Scene, String)> {
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(1)))?;
    scene.put("in/2", &ct_small(&Place::new(1).instance(2)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    scene.put("corrected/1", &corrected())?;
    let refused = scene.json(&["import", "corrected"])?.exits(1).summary()?;
    assert_eq!(refused["quarantined"], json!({"Capture_PHI_Error": 1}));
    let id = entries(&scene)?.pop().ok_or("no entry")?;
    Ok((scene, id))
}

fn entries(scene: &Scene) -> Test<Vec<String>> {
    let mut events = scene.json(&["quarantine", "list"])?.exits(0).events()?;
    events.pop();
    let ids = events.iter().filter_map(|event| event["entry"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

fn accept(id: &str) -> [&str; 5] {
    ["quarantine", "accept", id, "--reason", "the date was wrong"]
}

/// The files whose bytes differ.
fn changed(scene: &Scene, before: &Files) -> Test<usize> {
    let now = scene.public()?;
    assert!(now.keys().eq(before.keys()), "{:?}", now.keys());
    let differ = now
        .iter()
        .filter(|(name, bytes)| before.get(*name) != Some(bytes));
    Ok(differ.count())
}

#[test]
fn accepted_object_replaces_the_stored_one_under_its_pseudonyms() -> Test {
    let (scene, id) = made()?;
    let before = scene.public()?;
    let ran = scene.json(&accept(&id))?.exits(0);
    let done = ran.summary()?;
    assert_eq!((&done["stored"], &done["found"]), (&json!(1), &json!(1)));
    assert_eq!(changed(&scene, &before)?, 1);
    assert!(entries(&scene)?.is_empty());
    let status = scene.json(&["status"])?.exits(0).summary()?;
    let bytes: usize = scene.public()?.values().map(Vec::len).sum();
    assert_eq!(
        (&status["instances"], &status["bytes"]),
        (&json!(2), &json!(bytes))
    );
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    assert!(audit.contains("the date was wrong"), "{audit}");
    // It is the one that is known now.
    let again = scene.json(&["import", "corrected"])?.exits(0).summary()?;
    assert_eq!(again["duplicates"], 1);
    let old = scene.json(&["import", "in"])?.exits(1).summary()?;
    assert_eq!(
        (&old["duplicates"], &old["quarantined"]),
        (&json!(1), &json!({"Capture_PHI_Error": 1}))
    );
    Ok(())
}

#[test]
fn accepted_object_replaces_the_stored_one_beside_serve() -> Test {
    let (scene, id) = made()?;
    let before = scene.public()?;
    let serving = Serving::start(&scene, &[])?;
    let done = scene.json(&accept(&id))?.exits(0).summary()?;
    assert_eq!(done["stored"], 1);
    serving.stop()?;
    assert_eq!(changed(&scene, &before)?, 1);
    assert!(entries(&scene)?.is_empty());
    Ok(())
}

/// Leaves the note of an acceptance, as a crash before its commit does.
fn note(scene: &Scene, id: &str) -> Test<PathBuf> {
    let mark = scene.write("project/private/accepting", id.as_bytes())?;
    chmod(&mark, 0o600)?;
    Ok(mark)
}

/// A person who saw the command crash may think again.
#[test]
fn acceptance_that_a_crash_interrupted_replaces_nothing_later() -> Test {
    let (scene, id) = made()?;
    let before = scene.public()?;
    let mark = note(&scene, &id)?;
    let repeated = scene.json(&["import", "in/2"])?.exits(0).summary()?;
    assert_eq!(repeated["duplicates"], 1);
    assert!(!mark.exists());
    assert_eq!(changed(&scene, &before)?, 0);
    assert_eq!(entries(&scene)?, std::slice::from_ref(&id));
    scene.json(&accept(&id))?.exits(0);
    assert_eq!(changed(&scene, &before)?, 1);
    Ok(())
}

/// The crash came after the commit, and before the entry was removed.
#[test]
fn replacement_that_a_crash_interrupted_after_the_commit_loses_its_entry() -> Test {
    let (scene, id) = made()?;
    let entry = scene.project().join("private/quarantine").join(&id);
    let files = tree(&entry)?;
    scene.json(&accept(&id))?.exits(0);
    let replaced = scene.public()?;
    for (name, bytes) in files {
        let path = scene.write(&format!("project/private/quarantine/{id}/{name}"), &bytes)?;
        chmod(&path, 0o600)?;
    }
    chmod(&entry, 0o700)?;
    let mark = note(&scene, &id)?;
    scene.json(&["import", "in/2"])?.exits(0);
    assert!(!mark.exists());
    assert!(entries(&scene)?.is_empty());
    assert_eq!(changed(&scene, &replaced)?, 0);
    Ok(())
}

/// Only one reason is waived, the one that the entry shows.
#[test]
fn object_of_another_patient_replaces_nothing() -> Test {
    let (scene, _) = made()?;
    let before = scene.public()?;
    let other = corrected().without(PATIENT_ID);
    scene.put("other/1", &other.put(PATIENT_ID, VR::LO, "OTHER"))?;
    scene.json(&["import", "other"])?.exits(1);
    for id in entries(&scene)? {
        let shown = scene
            .json(&["quarantine", "show", &id])?
            .exits(0)
            .events()?;
        let is_other = shown[0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("belongs to patient"));
        if is_other {
            let kept = scene.json(&accept(&id))?.exits(1);
            assert_eq!(kept.summary()?["stored"], 0);
            assert!(kept.err.contains("another reason holds"), "{}", kept.err);
        }
    }
    assert_eq!(changed(&scene, &before)?, 0);
    assert_eq!(entries(&scene)?.len(), 2);
    Ok(())
}

/// The journal knows the object by its version, whatever its length is.
#[test]
fn replaced_object_is_exported_again() -> Test {
    let (scene, id) = made()?;
    let archive = Scene::new()?;
    archive.run(&["init", "project"])?.exits(0);
    let serving = Serving::start(&archive, &[])?;
    let node = format!("ANONYMIZER@127.0.0.1:{}", serving.port);
    let export = |to: &str| -> Test<_> {
        let summary = scene.json(&["export", to, "--all"])?.exits(0).summary()?;
        Ok((summary["sent"].clone(), summary["skipped"].clone()))
    };
    for to in ["file:out", &node] {
        assert_eq!(export(to)?, (json!(2), json!(0)), "{to}");
        assert_eq!(export(to)?, (json!(0), json!(2)), "{to}");
    }
    let before = scene.public()?;
    scene.json(&accept(&id))?.exits(0);
    let lengths = |files: &Files| files.values().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&before), lengths(&scene.public()?));
    for to in ["file:out", &node] {
        assert_eq!(export(to)?, (json!(1), json!(1)), "{to}");
        assert_eq!(export(to)?, (json!(0), json!(2)), "{to}");
    }
    let mut there = tree(&scene.path().join("out"))?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    assert!(there == scene.public()?, "the directory has the old object");
    // The receiver knows the old object, and quarantines what has its UID and other content.
    let received = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&received["stored"], &received["quarantined"]),
        (&json!(2), &json!(1))
    );
    Ok(())
}
