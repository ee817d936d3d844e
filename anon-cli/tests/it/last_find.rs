//! `private/last_find.json`: what `retrieve --from-last-find` takes by number.

use std::fs;

use serde_json::Value;

use crate::archive::{Archive, Behaviour};
use crate::query::{made, studies};
use crate::support::{Scene, Test, chmod};

/// Returns the studies that a run printed.
fn printed(events: &[Value]) -> Vec<String> {
    let studies = events.iter().filter(|event| event["event"] == "study");
    let uids = studies.map(|event| event["study_uid"].to_string());
    uids.collect()
}

fn find(scene: &Scene, node: &str, code: i32) -> Test<Vec<String>> {
    let args = ["find", node, "--study-date", "19000101-"];
    Ok(printed(&scene.json(&args)?.exits(code).events()?))
}

#[test]
fn the_numbers_of_a_find_that_failed_never_mean_studies_of_the_find_before() -> Test {
    let scene = made()?;
    let whole = Archive::start(Behaviour::default(), studies(1..=2))?;
    assert_eq!(find(&scene, &whole.node(), 0)?.len(), 2);
    // This one ends with A700 after the first study.
    let behaviour = Behaviour {
        limit: Some(1),
        ..Behaviour::default()
    };
    let limited = Archive::start(behaviour, studies(3..=4))?;
    let found = find(&scene, &limited.node(), 5)?;
    assert_eq!(found.len(), 1);
    let get = |number| scene.json(&["retrieve", "--from-last-find", number, "--via", "get"]);
    assert_eq!(printed(&get("1")?.exits(0).events()?), found);
    get("2")?.exits(3);
    Ok(())
}

/// Numbers that `retrieve` would look up in an old list are worse than none.
#[test]
fn a_find_prints_no_numbers_if_the_list_before_cannot_be_removed() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=1))?;
    let file = scene.project().join("private/last_find.json");
    fs::create_dir(&file)?;
    chmod(&file, 0o700)?;
    assert_eq!(find(&scene, &archive.node(), 4)?.len(), 0);
    Ok(())
}

#[test]
fn deleting_a_patient_removes_the_original_uids_of_the_last_find() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=1))?;
    find(&scene, &archive.node(), 0)?;
    let file = scene.project().join("private/last_find.json");
    let get = ["retrieve", "--from-last-find", "1", "--via", "get"];
    scene.json(&get)?.exits(0);
    let no_one = ["delete", "--patient", "7-000009"];
    scene.json(&no_one)?.exits(1);
    assert!(file.exists(), "nothing was deleted");
    scene.json(&["delete", "--patient", "7-000001"])?.exits(0);
    assert!(!file.exists());
    Ok(())
}
