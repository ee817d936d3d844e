//! `anon export` to real archives: accepted objects arrive, refused ones are reported.

use serde_json::json;

use crate::shared::servers::{ServerKind, Setup};
use crate::support::{Scene, Test};

/// A project with CT images and one ultrasound image that is compressed by RLE.
fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(20)?;
    scene.ultrasound("in/us.dcm")?;
    scene
        .run(&["init", "project", "--modalities", "CT,US"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    Ok(scene)
}

#[test]
fn export_to_archives_sends_everything_once() -> Test {
    for kind in ServerKind::ARCHIVES {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let scene = made()?;
        let port = server.address().port().to_string();
        for (key, value) in [
            ("aet", server.title()),
            ("host", "127.0.0.1"),
            ("port", &port),
        ] {
            scene.set(&format!("node.ARCHIVE.{key}"), value)?;
        }
        // A new node may be queried; export must be allowed first.
        let refused = scene.json(&["export", "ARCHIVE", "--all"])?.exits(3);
        assert!(
            refused.err.contains("node.ARCHIVE.use export"),
            "{}",
            refused.err
        );
        scene
            .json(&["config", "add", "node.ARCHIVE.use", "export"])?
            .exits(0);
        let is_taken = kind.accepts("1.2.840.10008.1.2.5");
        let ran = scene.json(&["export", "ARCHIVE", "--all"])?;
        let ran = ran.exits(i32::from(!is_taken));
        let summary = ran.summary()?;
        let sent = if is_taken { 21 } else { 20 };
        assert_eq!(
            (&summary["sent"], &summary["failed"]),
            (&json!(sent), &json!(21 - sent)),
            "{kind:?}: {summary}"
        );
        // The one patient whose object is not taken is told why, and no other.
        let told = ran.events()?;
        let errors = told.iter().filter(|it| it["event"] == "patient");
        let errors: Vec<&str> = errors.filter_map(|it| it["error"].as_str()).collect();
        assert_eq!(errors.len(), usize::from(!is_taken), "{kind:?}: {errors:?}");
        for error in errors {
            assert!(
                error.contains("RLE Lossless (1.2.840.10008.1.2.5)"),
                "{error}"
            );
        }
        // Without the journal: the archive is asked, at image level.
        std::fs::remove_dir_all(scene.project().join("export"))?;
        let place = format!("{}@{}", server.title(), server.address());
        let dry = scene
            .json(&["export", &place, "--all", "--dry-run"])?
            .exits(0)
            .summary()?;
        assert_eq!(
            (&dry["sent"], &dry["skipped"]),
            (&json!(21 - sent), &json!(sent)),
            "{kind:?}"
        );
        let again = scene
            .json(&["export", &place, "--all"])?
            .exits(i32::from(!is_taken))
            .summary()?;
        assert_eq!(
            (&again["sent"], &again["skipped"]),
            (&json!(0), &json!(sent)),
            "{kind:?}"
        );
    }
    Ok(())
}

#[test]
fn a_rejecting_node_is_reported_for_every_patient() -> Test {
    let refuses = Setup::default().with("--refuse").without_echo();
    let Some(server) = ServerKind::Storescp.start(&refuses)? else {
        return Ok(());
    };
    let scene = made()?;
    let place = format!("{}@{}", server.title(), server.address());
    let ran = scene.json(&["export", &place, "--all"])?.exits(5);
    let summary = ran.summary()?;
    assert_eq!(summary["sent"], 0);
    let error = summary["error"].as_str().unwrap_or_default();
    assert!(error.contains("the node"), "{summary}");
    let mut patients = scene.patients()?;
    for event in ran.events()? {
        if event["event"] == "patient" {
            assert_eq!(event["error"], error, "{event}");
            assert!(patients.remove(event["patient"].as_str().unwrap_or_default()));
        }
    }
    assert!(patients.is_empty(), "not told of: {patients:?}");
    Ok(())
}

/// A receiver without queries: what was sent is known by the journal alone.
#[test]
fn export_to_a_node_without_queries_sends_nothing_twice() -> Test {
    let Some(server) = ServerKind::Storescp.start(&Setup::default().with("+xa"))? else {
        return Ok(());
    };
    let scene = made()?;
    // It takes one association, and lets the others wait.
    scene.set("export.associations", "4")?;
    scene.set("timeouts.acse", "2")?;
    let place = format!("{}@{}", server.title(), server.address());
    let first = scene
        .json(&["export", &place, "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!(first["sent"], 21, "{first}");
    let again = scene
        .json(&["export", &place, "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!((&again["sent"], &again["skipped"]), (&json!(0), &json!(21)));
    let received = server.received()?;
    assert_eq!(received.len(), 21);
    // The node lost its data, which the journal cannot know.
    for instance in received {
        std::fs::remove_file(instance)?;
    }
    let again = scene
        .json(&["export", &place, "--all", "--again"])?
        .exits(0)
        .summary()?;
    assert_eq!((&again["sent"], &again["skipped"]), (&json!(21), &json!(0)));
    assert_eq!(server.received()?.len(), 21);
    Ok(())
}

#[test]
fn export_rewrites_for_a_node_that_accepts_implicit_vr_only() -> Test {
    let Some(server) = ServerKind::Storescp.start(&Setup::default().with("+xi"))? else {
        return Ok(());
    };
    let scene = made()?;
    let place = format!("{}@{}", server.title(), server.address());
    let ran = scene.json(&["export", &place, "--all"])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["sent"], &summary["rewritten"], &summary["failed"]),
        (&json!(20), &json!(20), &json!(1)),
        "{summary}"
    );
    assert_eq!(
        summary["rewritten_into"],
        json!({"Implicit VR Little Endian": 20})
    );
    let events = ran.events()?;
    let patients = events.iter().filter(|it| it["event"] == "patient");
    let rewritten: u64 = patients
        .clone()
        .filter_map(|it| it["rewritten"].as_u64())
        .sum();
    assert_eq!(rewritten, 20);
    // The compressed one is never decoded: the node must accept it.
    let errors: Vec<&str> = patients.filter_map(|it| it["error"].as_str()).collect();
    let [error] = *errors else {
        return Err(format!("{errors:?}").into());
    };
    assert!(
        error.contains("RLE Lossless (1.2.840.10008.1.2.5)") && error.contains("enable it there"),
        "{error}"
    );
    let args = ["-p", "project", "export", &place, "--all", "--again"];
    let human = scene.run(&args)?.exits(1);
    let words = "20 objects were rewritten into Implicit VR Little Endian";
    assert!(human.out.contains(words), "{}", human.out);
    Ok(())
}
