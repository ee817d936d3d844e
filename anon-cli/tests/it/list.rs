//! `anon list`.

use crate::support::{Scene, Test};

#[test]
fn lists_show_codes_names_and_what_the_project_takes() -> Test {
    let scene = Scene::new()?;
    scene
        .run(&["init", "project", "--modalities", "CT,SR"])?
        .exits(0);
    for (what, field, taken, other) in [
        ("modalities", "code", "CT", "US"),
        (
            "storage-classes",
            "uid",
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.5.1.4.1.1.6.1",
        ),
    ] {
        let listed = scene.json(&["list", what])?.exits(0);
        let events = listed.events()?;
        let accepted = |value: &str| {
            let event = events.iter().find(|event| event[field] == value);
            event.map(|event| event["accepted"].clone())
        };
        assert_eq!(accepted(taken), Some(true.into()), "{what}");
        assert_eq!(accepted(other), Some(false.into()), "{what}");
        assert!(
            events
                .iter()
                .all(|event| event["event"] == "summary" || event["name"].is_string())
        );
        assert_eq!(listed.summary()?["count"], events.len() - 1);
    }
    scene.set("transfer_syntaxes", "1.2.840.10008.1.2.1")?;
    let syntaxes = scene
        .json(&["list", "transfer-syntaxes"])?
        .exits(0)
        .events()?;
    let taken = syntaxes.iter().filter(|event| event["accepted"] == true);
    assert_eq!(taken.count(), 1);
    // A class of a vendor is in the list, too.
    scene
        .json(&["config", "add", "storage_classes", "1.2.3.4"])?
        .exits(0);
    let classes = scene
        .run(&["-p", "project", "list", "storage-classes"])?
        .exits(0);
    assert!(classes.out.contains("1.2.3.4 "), "{}", classes.out);
    Ok(())
}

#[test]
fn lists_need_no_project() -> Test {
    let scene = Scene::new()?;
    let listed = scene
        .run(&["--format", "json", "list", "modalities"])?
        .exits(0);
    assert!(listed.events()?[0]["accepted"].is_null());
    assert!(listed.out.contains("Mammography"), "{}", listed.out);
    scene
        .run(&["-p", "nowhere", "list", "modalities"])?
        .exits(3);
    Ok(())
}
