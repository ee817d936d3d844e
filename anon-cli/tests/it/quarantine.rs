//! `anon quarantine`.

use std::fs;

use anon_engine::testing::files::{Place, ct_small};
use serde_json::json;

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
