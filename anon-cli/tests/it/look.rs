//! `anon status`, `patients`, `index`, `reidentify` and `delete`; completions and the manual page.

use std::fs;

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use serde_json::{Value, json};

use crate::support::{Scene, Test, mode};

#[test]
fn an_empty_project_shows_zero_counts() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    let status = scene.json(&["status"])?.exits(0).summary()?;
    for field in ["patients", "studies", "series", "instances", "bytes"] {
        assert_eq!(status[field], 0, "{field}");
    }
    assert_eq!(status["quarantined"], json!({}));
    assert_eq!(status["lookup_store"], "none");
    for command in ["patients", "index"] {
        assert_eq!(scene.json(&[command])?.exits(0).events()?.len(), 1);
    }
    assert_eq!(
        scene.json(&["quarantine", "list"])?.exits(0).summary()?["entries"],
        0
    );
    assert_eq!(
        scene
            .json(&["reidentify", "5-000001"])?
            .exits(1)
            .summary()?["found"],
        0
    );
    Ok(())
}

#[test]
fn index_and_reidentify_show_originals_and_are_audited() -> Test {
    let scene = Scene::new()?;
    let place = Place::new(3);
    let formula = ct_small(&Place::new(4).patient(2)).put(Tag(0x0010, 0x0010), VR::PN, "=1+1");
    scene.put("in/1", &ct_small(&place))?;
    scene.put("in/2", &formula)?;
    scene
        .json(&["import", "in", "--site-id", "5", "--uid-root", "1.2.3"])?
        .exits(0);
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["lookup_store"], "sound");
    let patients = scene.json(&["patients"])?.exits(0);
    assert_eq!(patients.events()?[0]["patient"], "5-000001");
    assert!(!patients.out.contains(&place.patient_id()));
    let index = scene.json(&["index"])?.exits(0).events()?;
    assert_eq!(index[0]["patient_name"], place.patient_name());
    assert_eq!(index[0]["anon_study_uid"], "1.2.3.5.1");
    assert_eq!(index[0]["instances"], 1);
    let csv = scene
        .json(&["index", "--csv", "index.csv"])?
        .exits(0)
        .summary()?;
    assert_eq!(csv["studies"], 2);
    let path = scene.path().join("index.csv");
    assert_eq!(mode(&path)?, 0o600);
    let text = fs::read_to_string(path)?;
    let mut lines = text.split("\r\n");
    assert_eq!(lines.next(), Some(COLUMNS));
    let first = lines.next().ok_or("no row")?;
    assert!(first.starts_with("5-000001,5-000001,"), "{first}");
    assert!(
        lines.next().is_some_and(|row| row.contains(",'=1+1,")),
        "{text}"
    );
    for (pseudonym, kind, original) in [
        ("5-000001", "patient", place.patient_id()),
        ("1.2.3.5.1", "uid", place.study_uid()),
        ("1", "accession", place.accession()),
    ] {
        let found = scene.json(&["reidentify", pseudonym])?.exits(0).events()?;
        assert_eq!(found[0]["kind"], kind, "{pseudonym}");
        assert_eq!(found[0]["original"], original, "{pseudonym}");
        if kind == "patient" {
            assert_eq!(found[0]["patient_name"], place.patient_name());
        }
    }
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    let lines: Vec<Value> = audit
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 5);
    for line in &lines {
        assert!(line["uid"].is_u64() && line["count"].is_u64(), "{line}");
        assert!(
            line["when"]
                .as_str()
                .is_some_and(|when| when.ends_with('Z')),
            "{line}"
        );
    }
    assert!(
        !audit.contains(&place.patient_id()) && !audit.contains("5-000001"),
        "{audit}"
    );
    Ok(())
}

const COLUMNS: &str = "ANON-PatientID,ANON-PatientName,PHI-PatientName,PHI-PatientID,DateOffset,\
PHI-StudyDate,ANON-Accession,PHI-Accession,ANON-StudyInstanceUID,PHI-StudyInstanceUID,\
Number of Series,Number of Instances";

#[test]
fn a_deleted_patient_gets_a_new_pseudonym_when_imported_again() -> Test {
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.put("in/2", &ct_small(&Place::new(3).study(2)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    scene.json(&["delete"])?.exits(2);
    scene.json(&["delete", "--patient", "5-000009"])?.exits(1);
    let gone = scene
        .json(&["delete", "--patient", "5-000001"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&gone["studies"], &gone["instances"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(scene.public()?.len(), 0);
    assert_eq!(scene.json(&["status"])?.summary()?["instances"], 0);
    scene.json(&["import", "in"])?.exits(0);
    let back = scene.json(&["patients"])?.events()?;
    assert_eq!(back[0]["patient"], "5-000002");
    Ok(())
}

/// A new store would start numbering from one and assign pseudonyms that existing outputs use.
#[test]
fn a_missing_lookup_store_is_not_recreated() -> Test {
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.put("in/2", &ct_small(&Place::new(4).patient(2)))?;
    scene.json(&["import", "in/1", "--site-id", "5"])?.exits(0);
    let store = scene.project().join("private/lookup.redb");
    let aside = scene.path().join("aside");
    fs::rename(&store, &aside)?;
    for args in [
        &["import", "in/2"][..],
        &["status"],
        &["index"],
        &["quarantine", "retry"],
        &["delete", "--patient", "5-000001"],
    ] {
        let ran = scene.json(args)?.exits(4);
        assert!(ran.err.contains("put it back"), "{args:?}: {}", ran.err);
        assert!(!store.exists(), "{args:?}");
    }
    fs::rename(&aside, &store)?;
    scene.json(&["import", "in"])?.exits(0);
    assert_eq!(scene.public()?.len(), 2);
    Ok(())
}

#[test]
fn completions_and_man_cover_every_command() -> Test {
    let scene = Scene::new()?;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = scene.run(&["completions", shell])?.exits(0);
        assert!(ran.out.contains("reidentify"), "{shell}");
    }
    let man = scene.run(&["man"])?.exits(0);
    for part in [
        ".TH anon 1",
        "ANON IMPORT",
        "ANON QUARANTINE RETRY",
        "\\-\\-accept\\-new\\-rules",
    ] {
        assert!(man.out.contains(part), "{part}");
    }
    Ok(())
}

/// A project of another owner is neither opened nor changed.
#[test]
#[cfg(unix)]
fn a_project_owned_by_another_user_is_refused() -> Test {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return Ok(());
    }
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    for name in ["private", "private/lookup.redb"] {
        let path = scene.project().join(name);
        std::os::unix::fs::chown(&path, Some(12345), None)?;
        for args in [
            &["import", "in"][..],
            &["status"],
            &["index"],
            &["quarantine", "retry"],
            &["delete", "--patient", "5-000001"],
            &["serve", "--port", "0"],
        ] {
            let refused = scene.json(args)?.exits(4);
            let told = refused.err.contains("belongs to user 12345");
            assert!(
                told && refused.err.contains("chown"),
                "{args:?}: {}",
                refused.err
            );
        }
        std::os::unix::fs::chown(&path, Some(0), None)?;
    }
    assert_eq!(scene.json(&["status"])?.exits(0).summary()?["instances"], 1);
    Ok(())
}
