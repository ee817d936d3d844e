//! What the tests of V17 demand of export and retrieve (spec of V17, sections 9.4 and 9.5).

use anon_engine::testing::files::{DataSet, Place, ct_small};
use serde_json::json;

use crate::archive::{Archive, Behaviour};
use crate::serving::Serving;
use crate::support::Test;
use crate::v17::{CR, MR, image, index, made};

/// A patient to export, with the expected numbers of studies, series and images.
type ExportCase<'g> = (&'g str, [u64; 3]);

/// 9.4, 15 to 19: exports one, two and four patients; all their objects arrive, and nothing else.
/// Another project stands for the PACS.
#[test]
fn export_sends_whole_patients() -> Test {
    let scene = made("CR,CT,MR")?;
    let series = |patient: u32, study: u32, count: u32, class: &str, modality: &str| -> Vec<_> {
        let place = Place::new(3).patient(patient).study(study);
        (1..=count)
            .map(|n| image(&place.series(n), class, modality))
            .collect()
    };
    let ct = |patient: u32| {
        let place = Place::new(3).patient(patient);
        (1..=4).map(|n| ct_small(&place.instance(n))).collect()
    };
    let mr = Place::new(3).patient(4);
    let mrs = (0..11).map(|n| image(&mr.series(n % 3 + 1).instance(n + 1), MR, "MR"));
    // The patients are numbered in this order from 7-000001.
    let patients: [Vec<DataSet>; 6] = [
        series(1, 1, 3, CR, "CR"),
        ct(2),
        [ct(3), series(3, 2, 3, CR, "CR")].concat(),
        mrs.collect(),
        series(5, 1, 1, CR, "CR"),
        series(6, 1, 1, MR, "MR"),
    ];
    for (n, object) in patients.concat().iter().enumerate() {
        scene.put(&format!("in/{n:02}.dcm"), object)?;
    }
    scene.json(&["import", "in"])?.exits(0);

    let table: [&[ExportCase<'_>]; 5] = [
        &[("7-000001", [1, 3, 3])],
        &[("7-000002", [1, 1, 4])],
        &[("7-000003", [2, 4, 7])],
        &[("7-000001", [1, 3, 3]), ("7-000004", [1, 3, 11])],
        &[
            ("7-000001", [1, 3, 3]),
            ("7-000004", [1, 3, 11]),
            ("7-000005", [1, 1, 1]),
            ("7-000006", [1, 1, 1]),
        ],
    ];
    for going in table {
        let pacs = made("CR,CT,MR")?;
        let serving = Serving::start(&pacs, &[])?;
        let node = serving.node().to_string();
        let mut args = vec!["export", &node];
        for (patient, _) in going {
            args.extend(["--patient", patient]);
        }
        let ran = scene.json(&args)?.exits(0);
        let files: u64 = going.iter().map(|(_, [.., images])| images).sum();
        let summary = ran.summary()?;
        for (field, count) in [
            ("patients", going.len() as u64),
            ("found", files),
            ("sent", files),
            ("failed", 0),
            ("left", 0),
        ] {
            assert_eq!(summary[field], count, "{field}: {summary}");
        }
        let told = ran.events()?;
        let told: Vec<_> = told.iter().filter(|e| e["event"] == "patient").collect();
        assert_eq!(told.len(), going.len(), "each is told of once");
        assert_eq!(pacs.public()?.len() as u64, files, "files at the PACS");
        let rows = index(&pacs)?;
        for (patient, counts) in going {
            let of_patient = rows.iter().filter(|row| row["patient_id"] == *patient);
            let sum = of_patient.fold([0; 3], |[studies, series, images], row| {
                let number = |field: &str| row[field].as_u64().unwrap_or_default();
                [
                    studies + 1,
                    series + number("series"),
                    images + number("instances"),
                ]
            });
            assert_eq!(sum, *counts, "{patient}");
            let event = told
                .iter()
                .find(|e| e["patient"] == *patient)
                .ok_or("told")?;
            assert_eq!(
                (&event["sent"], &event["error"]),
                (&json!(counts[2]), &json!(null))
            );
        }
        serving.stop()?.exits(143);
    }
    Ok(())
}

/// 9.5, 4: a study that the server does not have is an error at every level.
#[test]
fn retrieve_reports_a_study_the_server_does_not_have() -> Test {
    let scene = made("CT")?;
    let serving = Serving::start(&scene, &[])?;
    let archive = Archive::start(Behaviour::default(), vec![ct_small(&Place::new(3))])?;
    archive.sends_to("ANONYMIZER", serving.port);
    let node = archive.node();
    for level in ["study", "series", "instance"] {
        let args = [
            "retrieve",
            &node,
            "--study-uid",
            "1.2.3.4",
            "--level",
            level,
        ];
        let ran = scene.json(&args)?.exits(5);
        let events = ran.events()?;
        let study = events.first().ok_or("a study")?;
        let error = study["error"].as_str().unwrap_or_default();
        assert!(
            error.contains("does not have this study"),
            "{level}: {study}"
        );
        for field in ["expected", "stored", "failed"] {
            assert_eq!(study[field], 0, "{level} {field}: {study}");
        }
    }
    let requests = archive.requests();
    assert!(
        !requests.iter().any(|line| line.starts_with("C-MOVE")),
        "{requests:?}"
    );
    assert!(scene.public()?.is_empty());
    serving.stop()?.exits(143);
    Ok(())
}

/// 9.5, 20: no instance of three studies arrives within a network timeout of one second; the command
/// ends and reports each study.
#[test]
fn retrieve_ends_when_no_study_arrives() -> Test {
    let scene = made("CT")?;
    scene.set("timeouts.network", "1")?;
    let serving = Serving::start(&scene, &[])?;
    let behaviour = Behaviour {
        omits: usize::MAX,
        ..Behaviour::default()
    };
    let objects = (1..=3).map(|n| ct_small(&Place::new(3).patient(n)));
    let archive = Archive::start(behaviour, objects.collect())?;
    archive.sends_to("ANONYMIZER", serving.port);
    let args = [
        "retrieve",
        &archive.node(),
        "--study-date",
        "19000101-",
        "--level",
        "study",
    ];
    let ran = scene.json(&args)?.exits(5);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["studies"], &summary["complete"]),
        (&json!(3), &json!(0))
    );
    for event in ran.events()?.iter().take(3) {
        assert_eq!(
            (&event["expected"], &event["failed"]),
            (&json!(1), &json!(1)),
            "{event}"
        );
        assert!(event["error"].is_string(), "{event}");
        assert_eq!(
            event["missing"].as_array().map(Vec::len),
            Some(1),
            "{event}"
        );
    }
    serving.stop()?.exits(143);
    Ok(())
}
