//! `anon quarantine`.

use std::fs;

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use serde_json::{Value, json};

use crate::serving::Serving;
use crate::support::{Scene, Test};

fn filled() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.ultrasound("in/us.dcm")?;
    scene.put("in/ct.dcm", &ct_small(&Place::new(2)))?;
    scene.write("in/text", b"no sign of it")?;
    scene.json(&["import", "in", "in/text"])?.exits(1);
    Ok(scene)
}

#[test]
fn quarantine_list_and_show() -> Test {
    let scene = filled()?;
    let list = scene.json(&["quarantine", "list"])?.exits(0);
    let events = list.events()?;
    assert_eq!(events.len(), 3);
    let only = ["quarantine", "list", "--category", "Invalid_DICOM"];
    let only = scene.json(&only)?.exits(0).events()?;
    assert_eq!((only.len(), &only[0]["kept"]), (2, &json!("recorded")));
    scene
        .json(&["quarantine", "list", "--category", "Nonsense"])?
        .exits(3);
    let us = events
        .iter()
        .find(|event| event["category"] == "Invalid_Storage_Class");
    let us = us.ok_or("no such entry")?;
    let id = us["entry"].as_str().ok_or("no id")?;
    let short = id
        .split('/')
        .nth(1)
        .and_then(|digest| digest.get(..10))
        .ok_or("short")?;
    let shown = scene
        .json(&["quarantine", "show", short])?
        .exits(0)
        .events()?;
    assert_eq!(&shown[0], us);
    let human = scene
        .run(&["-p", "project", "quarantine", "show", id])?
        .exits(0);
    assert!(
        !human.out.contains("us.dcm"),
        "a path can identify: {}",
        human.out
    );
    let args = ["-p", "project", "--show-phi", "quarantine", "show", id];
    assert!(scene.run(&args)?.exits(0).out.contains("in/us.dcm"));
    scene
        .json(&["quarantine", "show", "ffffffffffff"])?
        .exits(3);
    let original = scene
        .project()
        .join("private/quarantine")
        .join(id)
        .join("original");
    assert_eq!(
        fs::read(original)?,
        fs::read(scene.path().join("in/us.dcm"))?
    );
    Ok(())
}

#[test]
fn quarantine_retry_stores_objects_after_a_settings_change() -> Test {
    let scene = filled()?;
    let retry = ["quarantine", "retry", "--category", "Invalid_Storage_Class"];
    let still = scene.json(&retry)?.exits(1).summary()?;
    assert_eq!(still["quarantined"], json!({"Invalid_Storage_Class": 1}));
    scene.json(&["config", "add", "modalities", "US"])?.exits(0);
    // The source is not needed any more.
    fs::remove_dir_all(scene.path().join("in"))?;
    let done = scene.json(&retry)?.exits(0).summary()?;
    assert_eq!(
        (&done["stored"], &done["command"]),
        (&json!(1), &json!("quarantine retry"))
    );
    assert_eq!(scene.public()?.len(), 2);
    let rest = scene.json(&["quarantine", "retry"])?.exits(0).summary()?;
    assert_eq!(
        rest["ignored"], 1,
        "what is only recorded cannot be tried again"
    );
    Ok(())
}

#[test]
fn quarantine_clear_removes_the_selected_entries() -> Test {
    let scene = filled()?;
    scene.json(&["quarantine", "clear"])?.exits(2);
    let one = ["quarantine", "clear", "--category", "Invalid_DICOM"];
    assert_eq!(scene.json(&one)?.exits(0).summary()?["entries"], 1);
    assert_eq!(scene.json(&["quarantine", "list"])?.events()?.len(), 2);
    assert_eq!(
        scene
            .json(&["quarantine", "clear", "--all"])?
            .exits(0)
            .summary()?["entries"],
        1
    );
    assert_eq!(
        scene.json(&["status"])?.summary()?["quarantined"],
        json!({})
    );
    Ok(())
}

/// Returns the entry of a category, as `quarantine` commands take it.
fn entry(scene: &Scene, category: &str) -> Test<String> {
    let list = scene.json(&["quarantine", "list", "--category", category])?;
    let entry = list.events()?[0]["entry"].as_str().map(str::to_owned);
    Ok(entry.ok_or("no such entry")?)
}

fn with_burned_in_text() -> Test<Scene> {
    let scene = Scene::new()?;
    let burned = ct_small(&Place::new(1)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    scene.put("in/burned", &burned)?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(1);
    Ok(scene)
}

#[test]
fn an_accepted_object_is_stored_by_the_rules_and_leaves_the_quarantine() -> Test {
    let scene = with_burned_in_text()?;
    let id = entry(&scene, "Burned_In")?;
    scene.json(&["quarantine", "accept", &id])?.exits(2);
    scene
        .json(&["quarantine", "accept", &id, "--reason", " "])?
        .exits(2);
    let reason = "looked at it: a scale bar only";
    let args = ["quarantine", "accept", &id, "--reason", reason];
    let done = scene.json(&args)?.exits(0).summary()?;
    assert_eq!((&done["stored"], &done["found"]), (&json!(1), &json!(1)));
    assert_eq!(scene.public()?.len(), 1);
    assert!(!scene.project().join("private/accepting").exists());
    assert_eq!(
        scene.json(&["quarantine", "list"])?.summary()?["entries"],
        0
    );
    // The output is what `burned_in = accept` would have made.
    let other = Scene::new()?;
    other.run(&["init", "project", "--site-id", "5"])?.exits(0);
    other.set("burned_in", "accept")?;
    fs::create_dir(other.path().join("in"))?;
    fs::copy(
        scene.path().join("in/burned"),
        other.path().join("in/burned"),
    )?;
    other.json(&["import", "in"])?.exits(0);
    assert_eq!(scene.public()?, other.public()?);
    // The next object is refused as before.
    let next = ct_small(&Place::new(2)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    scene.put("in/next", &next)?;
    let next = scene.json(&["import", "in/next"])?.exits(1).summary()?;
    assert_eq!(next["quarantined"], json!({"Burned_In": 1}));
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    let line: Value = serde_json::from_str(audit.lines().last().ok_or("no line")?)?;
    assert_eq!(line["command"], "quarantine accept");
    assert_eq!(
        (&line["entry"], &line["reason"]),
        (&json!(id), &json!(reason))
    );
    Ok(())
}

#[test]
fn an_accepted_clash_is_filed_under_the_first_patient_of_its_study() -> Test {
    let scene = Scene::new()?;
    let place = Place::new(1);
    scene.put("in/1", &ct_small(&place))?;
    let other = ct_small(&place.instance(2)).put(Tag(0x0010, 0x0020), VR::LO, "OTHER");
    scene.put("in/2", &other)?;
    scene
        .json(&["import", "in", "--site-id", "5", "--jobs", "1"])?
        .exits(1);
    let id = entry(&scene, "Capture_PHI_Error")?;
    let args = [
        "quarantine",
        "accept",
        &id,
        "--reason",
        "the ID was corrected",
    ];
    assert_eq!(scene.json(&args)?.exits(0).summary()?["stored"], 1);
    let patients = scene.json(&["patients"])?.events()?;
    assert_eq!((patients.len(), &patients[0]["instances"]), (2, &json!(2)));
    assert_eq!(
        scene.json(&["quarantine", "list"])?.summary()?["entries"],
        0
    );
    Ok(())
}

/// Only the reason that was reviewed is waived.
#[test]
fn an_object_with_another_fault_stays_in_quarantine() -> Test {
    let scene = with_burned_in_text()?;
    scene
        .json(&["config", "remove", "modalities", "CT"])?
        .exits(0);
    let id = entry(&scene, "Burned_In")?;
    let args = ["quarantine", "accept", &id, "--reason", "seen"];
    let kept = scene.json(&args)?.exits(1).summary()?;
    assert_eq!(
        (&kept["stored"], &kept["quarantined"]),
        (&json!(0), &json!({"Invalid_Storage_Class": 1}))
    );
    assert_eq!(
        scene.json(&["quarantine", "list"])?.summary()?["entries"],
        1
    );
    let id = entry(&scene, "Invalid_Storage_Class")?;
    let refused = scene
        .json(&["quarantine", "accept", &id, "--reason", "seen"])?
        .exits(3);
    assert!(
        refused.err.contains("cannot be accepted"),
        "{}",
        refused.err
    );
    assert_eq!(scene.public()?.len(), 0);
    Ok(())
}

/// Leaves the note of an acceptance, as a crash does.
fn note(scene: &Scene, id: &str) -> Test<std::path::PathBuf> {
    let mark = scene.write("project/private/accepting", id.as_bytes())?;
    crate::support::chmod(&mark, 0o600)?;
    Ok(mark)
}

/// Returns a scene as a crash leaves it that came after the commit and before the entry was removed,
/// and the entry.
fn accepted_until_a_crash() -> Test<(Scene, String)> {
    let scene = with_burned_in_text()?;
    let id = entry(&scene, "Burned_In")?;
    let args = ["quarantine", "accept", &id, "--reason", "seen"];
    scene.json(&args)?.exits(0);
    // The entry is made again.
    scene.json(&["import", "in/burned"])?.exits(1);
    assert_eq!(entry(&scene, "Burned_In")?, id);
    Ok((scene, id))
}

fn entries(scene: &Scene) -> Test<Value> {
    let listed = scene.json(&["quarantine", "list"])?.summary()?;
    Ok(listed["entries"].clone())
}

#[test]
fn an_acceptance_that_a_crash_interrupted_after_the_commit_is_finished() -> Test {
    let (scene, id) = accepted_until_a_crash()?;
    let mark = note(&scene, &id)?;
    scene.put("in/other", &ct_small(&Place::new(9)))?;
    scene.json(&["import", "in/other"])?.exits(0);
    assert_eq!((scene.public()?.len(), entries(&scene)?), (2, json!(0)));
    assert!(!mark.exists());
    Ok(())
}

/// A person who saw the command crash may think again.
#[test]
fn an_acceptance_that_a_crash_interrupted_before_the_commit_stores_nothing_later() -> Test {
    let scene = with_burned_in_text()?;
    let mark = note(&scene, &entry(&scene, "Burned_In")?)?;
    scene.put("in/other", &ct_small(&Place::new(9)))?;
    scene.json(&["import", "in/other"])?.exits(0);
    assert_eq!((scene.public()?.len(), entries(&scene)?), (1, json!(1)));
    assert!(!mark.exists());
    Ok(())
}

#[test]
fn accepting_again_after_a_crash_reports_that_the_object_is_stored() -> Test {
    let (scene, id) = accepted_until_a_crash()?;
    note(&scene, &id)?;
    let short = id.get(..20).ok_or("short")?;
    let args = ["quarantine", "accept", short, "--reason", "seen"];
    let done = scene.json(&args)?.exits(0).summary()?;
    assert_eq!(
        (&done["found"], &done["duplicates"]),
        (&json!(1), &json!(1))
    );
    assert_eq!((scene.public()?.len(), entries(&scene)?), (1, json!(0)));
    scene.json(&args)?.exits(3);
    Ok(())
}

#[test]
fn an_acceptance_finishes_one_that_failed_in_the_same_process_before() -> Test {
    let (scene, id) = accepted_until_a_crash()?;
    let other = ct_small(&Place::new(2)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    scene.put("in/other", &other)?;
    scene.json(&["import", "in/other"])?.exits(1);
    let list = scene.json(&["quarantine", "list"])?.events()?;
    let mut ids = list.iter().filter_map(|event| event["entry"].as_str());
    let other = ids.find(|other| *other != id).ok_or("one entry")?;
    let serving = Serving::start(&scene, &[])?;
    note(&scene, &id)?;
    let args = ["quarantine", "accept", other, "--reason", "seen"];
    scene.json(&args)?.exits(0);
    assert_eq!((scene.public()?.len(), entries(&scene)?), (2, json!(0)));
    // And its own command, repeated, is told so.
    let args = ["quarantine", "accept", &id, "--reason", "seen"];
    scene.json(&args)?.exits(0);
    serving.stop()?;
    Ok(())
}

/// The person has seen other bytes than those that would be stored.
#[test]
fn an_object_that_changed_after_its_review_is_not_accepted() -> Test {
    let scene = with_burned_in_text()?;
    scene
        .json(&["quarantine", "clear", "--yes", "--all"])?
        .exits(0);
    scene.set("quarantine.files", "reference")?;
    scene.json(&["import", "in"])?.exits(1);
    let id = entry(&scene, "Burned_In")?;
    let other = ct_small(&Place::new(4)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    scene.put("in/burned", &other)?;
    let accept = ["quarantine", "accept", &id, "--reason", "seen"];
    let refused = scene.json(&accept)?.exits(3);
    assert!(refused.err.contains("has changed since"), "{}", refused.err);
    assert!(scene.public()?.is_empty());
    Ok(())
}
