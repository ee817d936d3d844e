//! The index tells the truth: whose study it is, which values clash, and the way back from every
//! pseudonym of an output.

use std::fs;
use std::path::{Path, PathBuf};

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use dicom_object::open_file;
use serde_json::{Value, json};

use crate::support::{Scene, Test};

const NAME: Tag = Tag(0x0010, 0x0010);
const BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const SEX: Tag = Tag(0x0010, 0x0040);
const ETHNIC_GROUP: Tag = Tag(0x0010, 0x2160);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const ACCESSION: Tag = Tag(0x0008, 0x0050);
const STUDY_DESCRIPTION: Tag = Tag(0x0008, 0x1030);
const SERIES_DESCRIPTION: Tag = Tag(0x0008, 0x103E);

/// The rows of `anon index`.
fn index(scene: &Scene, further: &[&str]) -> Test<Vec<Value>> {
    let args = [&["index"][..], further].concat();
    let mut events = scene.json(&args)?.exits(0).events()?;
    events.retain(|event| event["event"] == "study");
    Ok(events)
}

fn texts<'r>(rows: &'r [Value], field: &str) -> Vec<&'r str> {
    rows.iter().filter_map(|row| row[field].as_str()).collect()
}

/// Studies of three people, without a Patient ID.
fn nameless_patients() -> Test<Scene> {
    let scene = Scene::new()?;
    for (number, name) in [(1, "ALPHA^ANNE"), (2, "BETA^BOB"), (3, "GAMMA^CARL")] {
        let ct = ct_small(&Place::new(3).study(number))
            .put(PATIENT_ID, VR::LO, "")
            .put(NAME, VR::PN, name)
            .put(BIRTH_DATE, VR::DA, format!("1950010{number}"))
            .put(SEX, VR::CS, "O");
        scene.put(&format!("in/{number}"), &ct)?;
    }
    scene
        .json(&["import", "in", "--site-id", "5", "--uid-root", "1.2.3"])?
        .exits(0);
    Ok(scene)
}

#[test]
fn studies_without_a_patient_id_stand_under_their_own_names() -> Test {
    let scene = nameless_patients()?;
    let rows = index(&scene, &[])?;
    assert_eq!(
        texts(&rows, "patient_name"),
        ["ALPHA^ANNE", "BETA^BOB", "GAMMA^CARL"]
    );
    assert!(rows.iter().all(|row| row["anon_patient_id"] == "5-000000"));
    scene.json(&["index", "--csv", "index.csv"])?.exits(0);
    let csv = fs::read_to_string(scene.path().join("index.csv"))?;
    for (line, name) in csv
        .lines()
        .skip(1)
        .zip(["ALPHA^ANNE", "BETA^BOB", "GAMMA^CARL"])
    {
        assert!(
            line.starts_with(&format!("5-000000,5-000000,{name},,")),
            "{line}"
        );
    }
    // The shared patient is nobody; each study is somebody's.
    let shared = scene.json(&["reidentify", "5-000000"])?.exits(0).events()?;
    assert_eq!(shared[0]["patient_name"], "");
    for (row, date) in rows.iter().zip(["19500101", "19500102", "19500103"]) {
        let study = row["anon_study_uid"].as_str().ok_or("no study")?;
        let found = scene.json(&["reidentify", study])?.exits(0).events()?;
        assert_eq!(found[0]["patient_name"], row["patient_name"]);
        assert_eq!(found[0]["birth_date"], date);
        assert_eq!(found[0]["anon_patient"], "5-000000");
    }
    let clashes = &scene.json(&["status"])?.exits(0).summary()?["clashes"];
    assert_eq!(clashes["patient_names"], 0, "they are three people");
    Ok(())
}

#[test]
fn status_patients_and_index_count_the_same_patients() -> Test {
    let scene = nameless_patients()?;
    scene.put("more/1", &ct_small(&Place::new(4).patient(2)))?;
    scene.json(&["import", "more"])?.exits(0);
    for command in ["status", "patients", "index"] {
        let summary = scene.json(&[command])?.exits(0).summary()?;
        assert_eq!(summary["patients"], 2, "{command}");
    }
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["studies"], 4);
    Ok(())
}

/// One patient in two studies, with several names, birth dates, accession numbers and study dates.
#[test]
fn clashes_are_counted_and_listed_by_pseudonym() -> Test {
    let scene = Scene::new()?;
    let place = Place::new(3);
    let ct = |place: &Place, name: &str, born: &str, accession: &str, date: &str| {
        ct_small(place)
            .put(NAME, VR::PN, name)
            .put(BIRTH_DATE, VR::DA, born)
            .put(ACCESSION, VR::SH, accession)
            .put(STUDY_DATE, VR::DA, date)
    };
    let second = place.study(2);
    let other = Place::new(4).patient(2);
    for (name, object) in [
        ("1", ct(&place, "ROE^JO", "19500101", "A1", "20190304")),
        (
            "2",
            ct(&place.instance(2), "ROE^JO^^", "19500101", "A2", "20190304"),
        ),
        ("3", ct(&second, "ROE^JOE", "19500102", "A3", "20190304")),
        (
            "4",
            ct(&second.instance(2), "ROE^JOE", "19500102", "A3", "20190305"),
        ),
        ("5", ct(&other, "DOE^JANE", "19500101", "A1", "20190304")),
    ] {
        scene.put(&format!("in/{name}"), &object)?;
    }
    let ran = scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    let expected = json!({
        "patient_names": 1, "birth_dates": 1, "accessions": 1, "study_dates": 1,
        "accession_patients": 1,
    });
    assert_eq!(ran.summary()?["clashes"], expected);
    assert!(
        ran.err.contains("1 patient with several names"),
        "{}",
        ran.err
    );
    assert_eq!(scene.json(&["status"])?.summary()?["clashes"], expected);
    let status = scene.run(&["-p", "project", "status"])?.exits(0);
    assert!(
        status.out.contains("1 study with several dates"),
        "{}",
        status.out
    );
    // Once more: nothing is new.
    let again = scene.json(&["import", "in"])?.exits(0).summary()?;
    assert_eq!(again["clashes"]["patient_names"], 0);

    let listed = scene.json(&["index", "--clashes"])?.exits(0);
    let events = listed.events()?;
    let kinds = texts(&events, "kind");
    let all = [
        "patient_names",
        "birth_dates",
        "accessions",
        "study_dates",
        "accession_patients",
    ];
    assert_eq!(kinds, all);
    assert_eq!(events[0]["patient"], "5-000001");
    assert_eq!(events[0]["values"].as_array().map(Vec::len), Some(2));
    let human = scene
        .run(&["-p", "project", "index", "--clashes"])?
        .exits(0);
    for original in ["ROE", "DOE", "1950", "2019", "A1", "A3"] {
        assert!(!listed.out.contains(original), "{original}: {}", listed.out);
        assert!(!human.out.contains(original), "{original}: {}", human.out);
    }
    let shown = scene
        .json(&["--show-phi", "index", "--clashes"])?
        .exits(0)
        .events()?;
    let originals = |event: &Value| -> Vec<String> {
        let values = event["values"].as_array().cloned().unwrap_or_default();
        let originals = values.iter().filter_map(|value| value["original"].as_str());
        originals.map(str::to_owned).collect()
    };
    assert_eq!(originals(&shown[0]), ["ROE^JO", "ROE^JOE"]);
    assert_eq!(originals(&shown[1]), ["19500101", "19500102"]);
    assert_eq!(originals(&shown[2]), ["A1", "A2"]);
    assert_eq!(originals(&shown[3]), ["20190304", "20190305"]);
    assert_eq!(originals(&shown[4]).len(), 2);
    // All accession numbers of the study stand in the index.
    let rows = index(&scene, &[])?;
    assert_eq!(rows[0]["accession"], "A1\\A2");
    let anon = rows[0]["anon_accession"].as_str().unwrap_or_default();
    let found: Vec<&str> = anon.split('\\').collect();
    assert_eq!(found.len(), 2, "{anon}");
    for (pseudonym, original) in found.into_iter().zip(["A1", "A2"]) {
        let found = scene.json(&["reidentify", pseudonym])?.exits(0).events()?;
        assert_eq!(found[0]["original"], original);
    }
    Ok(())
}

/// Returns Accession Number of each output, with its path below `public/`.
fn output_accessions(scene: &Scene) -> Test<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for name in scene.public()?.keys() {
        let object = open_file(scene.project().join("public").join(name))?;
        let text = match object.element_opt(ACCESSION)? {
            Some(element) => element.to_str()?.trim().to_owned(),
            None => String::new(),
        };
        found.push((PathBuf::from(name), text));
    }
    Ok(found)
}

#[test]
fn every_accession_number_of_an_output_has_its_way_back() -> Test {
    let scene = Scene::new()?;
    let cases = [
        ("ISO_IR 100", &b"A1\\A2"[..]),
        ("ISO_IR 100", b"A1"),
        ("ISO_IR 100", b" A1  "),
        ("ISO_IR 100", b"a1"),
        ("ISO_IR 192", b"A\xFF"),
        ("ISO_IR 192", b"A\xFE"),
        ("ISO_IR 100", b""),
        ("ISO_IR 100", b"\\"),
        ("ISO_IR 100", b"ACCESSION-NUMBER-LONGER-THAN-16"),
    ];
    for (number, (charset, accession)) in (1..).zip(cases) {
        let ct = ct_small(&Place::new(3).study(number))
            .put(CHARACTER_SET, VR::CS, charset)
            .put(ACCESSION, VR::SH, accession);
        scene.put(&format!("in/{number}"), &ct)?;
    }
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    check_way_back(&scene, cases.len())
}

/// Checks that the index shows the accession number of each output, and that `reidentify` finds it.
fn check_way_back(scene: &Scene, count: usize) -> Test {
    let rows = index(scene, &[])?;
    let outputs = output_accessions(scene)?;
    assert_eq!(outputs.len(), count);
    for (path, accession) in outputs {
        let study = path
            .iter()
            .nth(1)
            .and_then(|name| name.to_str())
            .ok_or("no study")?;
        let row = rows
            .iter()
            .find(|row| row["anon_study_uid"] == study)
            .ok_or("no row")?;
        let shown = row["anon_accession"].as_str().unwrap_or_default();
        assert_eq!(shown, accession.trim_matches('\\'), "{row}");
        if shown.is_empty() {
            continue;
        }
        let found = scene.json(&["reidentify", &accession])?.exits(0).events()?;
        let of_study =
            |event: &&Value| event["kind"] == "accession" && event["anon_study"] == study;
        let event = found.iter().find(of_study).ok_or("not found")?;
        assert_eq!(event["patient_id"], row["patient_id"], "{event}");
        assert_eq!(event["study_uid"], row["study_uid"], "{event}");
    }
    Ok(())
}

#[test]
fn reidentify_of_any_uid_says_whose_it_is() -> Test {
    let scene = Scene::new()?;
    let place = Place::new(3);
    scene.put("in/1", &ct_small(&place))?;
    scene
        .json(&["import", "in", "--site-id", "5", "--uid-root", "1.2.3"])?
        .exits(0);
    let path = scene.public()?.keys().next().ok_or("no output")?.clone();
    let uids: Vec<&str> = Path::new(&path)
        .iter()
        .skip(1)
        .filter_map(|part| part.to_str())
        .map(|part| part.trim_end_matches(".dcm"))
        .collect();
    assert_eq!(uids.len(), 3);
    for uid in &uids {
        let found = scene.json(&["reidentify", uid])?.exits(0).events()?;
        assert_eq!(found[0]["patient_id"], place.patient_id(), "{uid}");
        assert_eq!(found[0]["patient_name"], place.patient_name(), "{uid}");
        assert_eq!(found[0]["anon_patient"], "5-000001", "{uid}");
        assert_eq!(found[0]["study_uid"], place.study_uid(), "{uid}");
        assert_eq!(found[0]["anon_study"], uids[0], "{uid}");
    }
    Ok(())
}

/// Objects of few studies that differ in every captured value.
fn put_differing(scene: &Scene) -> Test {
    for number in 0..120_u32 {
        let place = Place::new(3)
            .patient(1 + number % 3)
            .study(1 + number % 9)
            .series(1 + number % 2)
            .instance(1 + number);
        let text = |what: &str| format!("{what} {number}");
        let ct = ct_small(&place)
            .put(NAME, VR::PN, format!("NAME{number}^X"))
            .put(BIRTH_DATE, VR::DA, format!("1950{:02}01", 1 + number % 12))
            .put(
                SEX,
                VR::CS,
                if number.is_multiple_of(2) { "F" } else { "M" },
            )
            .put(ETHNIC_GROUP, VR::SH, text("GROUP"))
            .put(STUDY_DATE, VR::DA, format!("2019{:02}01", 1 + number % 12))
            .put(ACCESSION, VR::SH, text("ACC"))
            .put(STUDY_DESCRIPTION, VR::LO, text("STUDY"))
            .put(SERIES_DESCRIPTION, VR::LO, text("SERIES"));
        scene.put(&format!("in/{number:03}"), &ct)?;
    }
    Ok(())
}

#[test]
fn the_index_is_the_same_at_every_number_of_jobs() -> Test {
    let mut first: Option<(Vec<Value>, Vec<Value>)> = None;
    for jobs in ["1", "2", "8", "8"] {
        let scene = Scene::new()?;
        put_differing(&scene)?;
        let args = [
            "import",
            "in",
            "--site-id",
            "5",
            "--uid-root",
            "1.2.3",
            "--jobs",
            jobs,
        ];
        scene.json(&args)?.exits(0);
        let mut rows = index(&scene, &["--columns"])?;
        for row in &mut rows {
            // The directory of the scene is another one each time.
            let source = row["source"].as_str().unwrap_or_default();
            let name = Path::new(source).file_name().and_then(|name| name.to_str());
            row["source"] = json!(name);
        }
        assert_eq!(rows.len(), 9);
        assert_eq!(rows[0]["patient_name"], "NAME0^X");
        assert_eq!(rows[0]["source"], "000");
        assert_eq!(rows[0]["study_description"], "STUDY 0");
        assert_eq!(
            rows[0]["series_description"]
                .as_str()
                .map(|text| text.starts_with("SERIES 0")),
            Some(true)
        );
        let clashes = scene
            .json(&["--show-phi", "index", "--clashes"])?
            .exits(0)
            .events()?;
        let result = (rows, clashes);
        match &first {
            None => first = Some(result),
            Some(first) => assert_eq!(*first, result, "--jobs {jobs}"),
        }
    }
    Ok(())
}

#[test]
fn further_columns_of_the_index_are_shown_on_demand() -> Test {
    let scene = Scene::new()?;
    let ct = ct_small(&Place::new(3))
        .put(BIRTH_DATE, VR::DA, "19500102")
        .put(SEX, VR::CS, "F")
        .put(ETHNIC_GROUP, VR::SH, "GROUP")
        .put(STUDY_DESCRIPTION, VR::LO, "HEAD")
        .put(SERIES_DESCRIPTION, VR::LO, "AXIAL");
    scene.put("in/1", &ct)?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    let plain = index(&scene, &[])?;
    assert_eq!(
        plain[0]["study_description"],
        Value::Null,
        "V17's columns alone"
    );
    let all = index(&scene, &["--columns"])?;
    for (field, value) in [
        ("birth_date", json!("19500102")),
        ("sex", json!("F")),
        ("ethnic_group", json!("GROUP")),
        ("study_description", json!("HEAD")),
        ("series_description", json!("AXIAL")),
        ("modality", json!("CT")),
        ("expected", json!(0)),
        ("patient_name", plain[0]["patient_name"].clone()),
    ] {
        assert_eq!(all[0][field], value, "{field}");
    }
    assert!(
        all[0]["source"]
            .as_str()
            .is_some_and(|path| path.ends_with("in/1"))
    );
    let args = [
        "index",
        "--columns",
        "modality,study-description",
        "--csv",
        "index.csv",
    ];
    scene
        .json(&[&args[..], &["--xlsx", "index.xlsx"]].concat())?
        .exits(0);
    let csv = fs::read_to_string(scene.path().join("index.csv"))?;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].ends_with(",Number of Instances,Modality,PHI-StudyDescription"),
        "{csv}"
    );
    assert!(lines[1].ends_with(",1,1,CT,HEAD"), "{csv}");
    let human = scene
        .run(&["-p", "project", "index", "--columns", "ethnic-group"])?
        .exits(0);
    assert!(
        human.out.contains("ethnic group") && human.out.contains("GROUP"),
        "{}",
        human.out
    );
    scene
        .run(&["-p", "project", "index", "--columns", "nonsense"])?
        .exits(2);
    Ok(())
}
