//! Settings that decide what is let through and where objects go: a change that was made outside
//! `anon config` must be accepted once.

use std::fs;

use anon_engine::testing::files::{Place, ct_small};

use crate::support::{Scene, Test};

fn with_image() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    Ok(scene)
}

/// Changes `project.toml` as an editor would.
fn by_hand(scene: &Scene, from: &str, to: &str) -> Test {
    let text = fs::read_to_string(scene.project().join("project.toml"))?;
    let changed = text.replace(from, to);
    assert_ne!(changed, text, "{from} is not there");
    scene.write("project/project.toml", changed.as_bytes())?;
    Ok(())
}

const BURNED_IN: [&str; 2] = ["burned_in = \"quarantine\"", "burned_in = \"accept\""];

#[test]
fn a_change_made_outside_config_is_named_and_must_be_accepted_once() -> Test {
    let scene = with_image()?;
    by_hand(&scene, BURNED_IN[0], BURNED_IN[1])?;
    by_hand(
        &scene,
        "[s3]",
        "[s3]\nendpoint = \"https://elsewhere.example\"",
    )?;
    for args in [
        &["import", "in"][..],
        &["serve", "--port", "0"],
        &["find", "PACS@127.0.0.1:1", "--patient-id", "1"],
        &["retrieve", "PACS@127.0.0.1:1", "--patient-id", "1"],
        &["echo", "PACS@127.0.0.1:1"],
        &["export", "file:out", "--all"],
        &["quarantine", "retry"],
        &["delete", "--patient", "5-000001"],
    ] {
        let ran = scene.json(args)?.exits(3);
        for word in ["burned_in, s3.endpoint", "config accept"] {
            assert!(ran.err.contains(word), "{args:?}: {}", ran.err);
        }
        assert!(!ran.err.contains("elsewhere"), "{}", ran.err);
    }
    assert!(!scene.path().join("out").exists());
    // To see what changed, and what is stored.
    scene.json(&["config", "get", "burned_in"])?.exits(0);
    scene.json(&["status"])?.exits(0);
    let accepted = scene.json(&["config", "accept"])?.exits(0).summary()?;
    assert_eq!(
        accepted["value"],
        serde_json::json!(["burned_in", "s3.endpoint"])
    );
    scene.json(&["import", "in"])?.exits(0);
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    assert!(audit.contains("\"config accept\",\"count\":2"), "{audit}");
    Ok(())
}

#[test]
fn what_config_changes_is_accepted_and_nothing_else_with_it() -> Test {
    let scene = with_image()?;
    scene.set("scp.allow_calling", "CT01")?;
    scene.set("node.pacs.host", "10.0.0.1")?;
    scene.set("export.journal", "sent")?;
    scene.json(&["import", "in"])?.exits(0);
    by_hand(&scene, BURNED_IN[0], BURNED_IN[1])?;
    scene.set("scp.allow_calling", "CT02")?;
    let ran = scene.json(&["import", "in"])?.exits(3);
    assert!(ran.err.contains("anon config: burned_in;"), "{}", ran.err);
    // Setting it is a decision too.
    scene.set("burned_in", "quarantine")?;
    scene.json(&["import", "in"])?.exits(0);
    // Settings that let nothing out may be edited freely.
    by_hand(&scene, "durability = \"full\"", "durability = \"relaxed\"")?;
    scene.json(&["import", "in"])?.exits(0);
    Ok(())
}

#[test]
fn a_project_of_an_earlier_version_is_taken_over_once_and_that_is_said() -> Test {
    let scene = with_image()?;
    fs::remove_file(scene.project().join("private/settings.json"))?;
    let first = scene.json(&["import", "in"])?.exits(0);
    assert!(
        first.err.contains("accepted as they are now"),
        "{}",
        first.err
    );
    let second = scene.json(&["import", "in"])?.exits(0);
    assert!(!second.err.contains("accepted"), "{}", second.err);
    by_hand(&scene, BURNED_IN[0], BURNED_IN[1])?;
    scene.json(&["import", "in"])?.exits(3);
    Ok(())
}
