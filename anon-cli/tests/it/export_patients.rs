//! `anon export` and `anon status --exports`, patient by patient.

use std::fs;

use serde_json::Value;

use crate::export::{anonymous_patients, made, patients};
use crate::support::Test;

#[test]
fn the_summary_counts_patients_when_all_of_them_failed() -> Test {
    let scene = made(20)?;
    let count = anonymous_patients(&scene)?;
    scene.set("export.attempts", "1")?;
    for args in [
        &["export", "ARCHIVE@127.0.0.1:9", "--all"][..],
        &["export", "file:/proc/nowhere", "--all"],
    ] {
        let ran = scene.run(&[&["-p", "project"], args].concat())?;
        let words = format!("{count} patients ({count} failed), 0 objects");
        assert!(ran.out.contains(&words), "{args:?}: {}", ran.out);
    }
    let ran = scene.run(&["-p", "project", "export", "file:out", "--all"])?;
    assert!(!ran.exits(0).out.contains("(0 failed)"));
    Ok(())
}

/// Patient data must not reach whatever listens on 127.0.0.1:104.
#[test]
fn a_node_with_only_an_ae_title_is_an_error() -> Test {
    let scene = made(1)?;
    let set = scene
        .json(&["config", "set", "node.HALF.aet", "HALF"])?
        .exits(0);
    let advice = "  anon -p project config set node.HALF.host HOST";
    assert!(set.err.contains(advice), "{}", set.err);
    scene.set("node.HALF.use", "query,export")?;
    for args in [
        &["export", "HALF", "--all"][..],
        &["echo", "HALF"],
        &["find", "HALF", "--patient-id", "X"],
    ] {
        let ran = scene.json(args)?.exits(3);
        assert!(ran.err.contains(advice), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("127.0.0.1"), "{args:?}: {}", ran.err);
    }
    scene.set("node.HALF.host", "127.0.0.1")?;
    scene.set("node.HALF.port", "9")?;
    scene.json(&["echo", "HALF"])?.exits(5);
    Ok(())
}

/// Each patient at each destination: complete, with its last error, or never exported.
#[test]
fn status_exports_shows_each_patient_with_its_last_error() -> Test {
    let scene = made(60)?;
    let of = |events: &[Value]| -> Vec<Value> {
        let events = events.iter().filter(|it| it["event"] == "export");
        events.cloned().collect()
    };
    let patients: Vec<String> = scene.patients()?.into_iter().collect();
    let (first, second) = (patients[0].clone(), patients[1].clone());
    let ran = scene
        .json(&["export", "file:out", "--patient", &first])?
        .exits(0);
    let sent = ran.summary()?["sent"].clone();
    // The second patient cannot be written: a file stands in the place of its directory.
    scene.write(&format!("out/{second}"), b"in the way")?;
    let ran = scene.json(&["export", "file:out", "--patient", &second])?;
    let error = ran.summary()?["error"].clone();
    let ran = scene.json(&["status", "--exports"])?.exits(0);
    let exports = of(&ran.events()?);
    let named = |patient: &str| {
        let mut found = exports.iter().filter(|it| it["patient"] == patient);
        found.next().cloned().unwrap_or_default()
    };
    assert_eq!(exports.len(), patients.len(), "{exports:?}");
    let (complete, incomplete) = (named(&first), named(&second));
    assert_eq!(complete["state"], "complete", "{complete}");
    assert_eq!((&complete["objects"], &complete["stored"]), (&sent, &sent));
    assert!(complete["error"].is_null() && complete["ended"].is_string());
    assert_eq!(incomplete["state"], "incomplete", "{incomplete}");
    assert_eq!(incomplete["objects"], 0);
    let told = incomplete["error"].as_str().unwrap_or_default();
    assert!(!told.is_empty(), "{incomplete} {error}");
    assert_eq!(named(&patients[2])["state"], "never");
    let human = scene
        .run(&["-p", "project", "status", "--exports"])?
        .exits(0);
    assert!(human.out.contains(&format!("{second}: ")), "{}", human.out);
    assert!(human.out.contains("never exported") && human.out.contains(told));
    // A later success replaces the error.
    fs::remove_file(scene.path().join("out").join(&second))?;
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    let exports = of(&scene.json(&["status", "--exports"])?.exits(0).events()?);
    for export in &exports {
        assert_eq!(export["state"], "complete", "{export}");
        assert!(export["error"].is_null(), "{export}");
    }
    // Without the option there are no such events.
    assert!(of(&scene.json(&["status"])?.exits(0).events()?).is_empty());
    Ok(())
}

#[test]
fn export_names_the_studies_that_were_asked_for() -> Test {
    let scene = made(20)?;
    let names: Vec<String> = scene.public()?.into_keys().collect();
    let parts: Vec<&str> = names[0].split('/').collect();
    let (patient, study) = (parts[0], parts[1]);
    let args = ["export", "file:out", "--study", "1.2.3", "--study", study];
    let ran = scene.json(&args)?.exits(1);
    let events = ran.events()?;
    let [found] = *patients(&events) else {
        return Err(format!("one patient has it: {}", ran.out).into());
    };
    assert_eq!(found["patient"], patient);
    assert_eq!(found["studies"], serde_json::json!([study]));
    let unknown: Vec<&Value> = events.iter().filter(|it| it["event"] == "study").collect();
    assert!(
        matches!(*unknown, [it] if it["study"] == "1.2.3" && it["error"].is_string()),
        "{events:?}"
    );
    let human = scene
        .run(&[&["-p", "project"], &args[..]].concat())?
        .exits(1);
    assert!(
        human.out.contains(&format!("{patient} (study 2 of 2): ")),
        "{}",
        human.out
    );
    assert!(
        human
            .out
            .contains("study 1 of 2, 1.2.3: there is no such study")
    );
    Ok(())
}
