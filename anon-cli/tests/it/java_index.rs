//! Importing the index of the Java anonymizer, and later imports of its patients.

use std::fs;
use std::io::Write as _;

use anon_engine::testing::files::{DataSet, Place, ct_small};
use dicom_core::{Tag, VR};
use dicom_object::open_file;
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};

use crate::hand_over::{MANY, StalledCommand};
use crate::support::{Scene, Test, mode};

const ROOT: &str = "1.2.826.0.1.3680043.10.474";
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

const COLUMNS: [&str; 11] = [
    "ANON-PatientName",
    "ANON-PatientID",
    "PHI-PatientName",
    "PHI-PatientID",
    "DateOffset",
    "ANON-StudyDate",
    "PHI-StudyDate",
    "ANON-Accession",
    "PHI-Accession",
    "ANON-StudyInstanceUID",
    "PHI-StudyInstanceUID",
];

type Row = [String; 11];

/// The study of an object, as Java de-identified it.
fn row(place: &Place, number: u32, days: u32) -> Row {
    let patient = format!("527408-{:06}", place.patient);
    [
        patient.clone(),
        patient,
        place.patient_name(),
        place.patient_id(),
        days.to_string(),
        String::new(),
        "20240115".into(),
        number.to_string(),
        place.accession(),
        format!("{ROOT}.527408.{}", number * 60 + 426),
        place.study_uid(),
    ]
}

/// 112 rows: 82 patients, 106 studies, six of them twice.
fn rows() -> Vec<Row> {
    let place = |number: u32| {
        Place::new(5)
            .patient(number % 82 + 1)
            .study(number / 82 + 1)
    };
    let days = |place: &Place| 100 + place.patient * 40;
    let mut rows: Vec<Row> = (1..=106)
        .map(|number| row(&place(number), number, days(&place(number))))
        .collect();
    let again: Vec<Row> = rows.iter().take(6).cloned().collect();
    rows.extend(again);
    rows
}

fn put_index(scene: &Scene, name: &str, rows: &[Row]) -> Test {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Index")?;
    for (column, caption) in (0..).zip(COLUMNS) {
        sheet.write_string(0, column, caption)?;
    }
    for (number, row) in (1..).zip(rows) {
        for (column, cell) in (0..).zip(row) {
            match cell.parse::<u32>() {
                Ok(number_in) if column == 4 => sheet.write_number(number, column, number_in)?,
                _ => sheet.write_string(number, column, cell)?,
            };
        }
    }
    scene.write(name, &workbook.save_to_buffer()?)?;
    Ok(())
}

/// An object of the 15th of January 2024.
fn object(place: &Place) -> DataSet {
    ct_small(place).put(STUDY_DATE, VR::DA, "20240115")
}

fn index(scene: &Scene) -> Test<Vec<Value>> {
    let mut events = scene.json(&["index"])?.exits(0).events()?;
    events.pop();
    Ok(events)
}

/// The study date in what is stored of a patient.
fn dates(scene: &Scene, patient: &str) -> Test<Vec<String>> {
    let mut dates = Vec::new();
    for name in scene
        .public()?
        .keys()
        .filter(|name| name.starts_with(patient))
    {
        let object = open_file(scene.project().join("public").join(name))?;
        dates.push(object.element(STUDY_DATE)?.to_str()?.into_owned());
    }
    Ok(dates)
}

#[test]
fn java_patients_keep_pseudonyms_and_date_intervals() -> Test {
    let scene = Scene::new()?;
    put_index(&scene, "Index.xlsx", &rows())?;
    let taken = scene.json(&["import-java-index", "Index.xlsx"])?.exits(0);
    let summary = taken.summary()?;
    for (field, expect) in [
        ("rows", json!(112)),
        ("taken", json!(106)),
        ("already_there", json!(6)),
        ("refused", json!(0)),
        ("site_id", json!("527408")),
        ("uid_root", json!(ROOT)),
        ("project_made", json!(true)),
    ] {
        assert_eq!(summary[field], expect, "{field}");
    }
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(
        (&status["patients"], &status["instances"]),
        (&json!(82), &json!(0))
    );
    assert_eq!(index(&scene)?.len(), 106);
    // A second import of the same index changes nothing.
    let before = index(&scene)?;
    let again = scene
        .json(&["import-java-index", "Index.xlsx"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&again["taken"], &again["already_there"]),
        (&json!(0), &json!(112))
    );
    assert_eq!(index(&scene)?, before);

    // A study that Java had, a new one of the same patient, and somebody new.
    let known = Place::new(5).patient(13).study(1);
    scene.put("in/1", &object(&known))?;
    scene.put("in/2", &object(&known.study(7)))?;
    scene.put("in/3", &object(&Place::new(5).patient(500)))?;
    scene.json(&["import", "in"])?.exits(0);
    let rows = index(&scene)?;
    let of = |uid: String| rows.iter().find(|row| row["study_uid"] == uid.as_str());
    let old = of(known.study_uid()).ok_or("no row")?;
    assert_eq!(old["anon_patient_id"], "527408-000013");
    assert_eq!(old["anon_accession"], "12");
    assert_eq!(old["anon_study_uid"], format!("{ROOT}.527408.1146"));
    assert_eq!(
        (&old["date_offset"], &old["instances"]),
        (&json!(-620), &json!(1))
    );
    let new = of(known.study(7).study_uid()).ok_or("no row")?;
    assert_eq!(new["anon_patient_id"], "527408-000013");
    assert_eq!(new["date_offset"], -620);
    // 620 days before 2024-01-15, as Java subtracts.
    assert_eq!(dates(&scene, "527408-000013")?, ["20220505", "20220505"]);
    let other = of(Place::new(5).patient(500).study_uid()).ok_or("no row")?;
    assert_eq!(other["anon_patient_id"], "527408-000083");
    assert_eq!(other["anon_accession"], "108");
    // Java's last study UID ends in 6786; its series and instance UIDs are unknown.
    let first = new["anon_study_uid"].as_str().ok_or("no UID")?;
    assert_eq!(first, format!("{ROOT}.527408.2000004"));
    let found = scene
        .json(&["reidentify", "527408-000013"])?
        .exits(0)
        .events()?;
    assert_eq!(found[0]["original"], known.patient_id());
    // Again after that.
    let again = scene
        .json(&["import-java-index", "Index.xlsx"])?
        .exits(0)
        .summary()?;
    assert_eq!(again["already_there"], 112);
    assert_eq!(index(&scene)?, rows);
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    let lines = audit
        .lines()
        .filter(|line| line.contains("\"import-java-index\",\"count\":112"));
    assert_eq!(lines.count(), 3, "{audit}");
    assert!(!audit.contains(&known.patient_id()));
    Ok(())
}

#[test]
fn bad_index_rows_are_reported_by_number_and_nothing_is_imported() -> Test {
    let scene = Scene::new()?;
    let mut rows = rows();
    rows[3][4] = "soon".into();
    rows[9][1] = rows[8][1].clone();
    put_index(&scene, "Index.xlsx", &rows)?;
    let refused = scene.json(&["import-java-index", "Index.xlsx"])?.exits(3);
    let lines = refused.events()?;
    let reasons = lines.iter().filter(|line| line["outcome"] == "refused");
    let numbers: Vec<&Value> = reasons.map(|line| &line["row"]).collect();
    assert_eq!(numbers, [5, 11]);
    assert_eq!(
        lines[3]["reason"],
        "DateOffset is not a whole number of days"
    );
    let summary = refused.summary()?;
    assert_eq!(
        (&summary["taken"], &summary["held_back"]),
        (&json!(0), &json!(105))
    );
    assert!(!scene.project().exists(), "no project is made for nothing");
    let original = &rows[3][3];
    assert!(!refused.err.contains(original) && !refused.out.contains(original));
    let people = scene
        .run(&["-p", "project", "import-java-index", "Index.xlsx"])?
        .exits(3);
    assert!(
        people
            .out
            .contains("row 5: DateOffset is not a whole number of days"),
        "{}",
        people.out
    );
    assert!(people.err.contains("--skip-bad-rows"), "{}", people.err);

    let partly = scene
        .json(&["import-java-index", "--skip-bad-rows", "Index.xlsx"])?
        .exits(1);
    let summary = partly.summary()?;
    assert_eq!(
        (&summary["taken"], &summary["refused"]),
        (&json!(105), &json!(2))
    );
    assert_eq!(index(&scene)?.len(), 105);
    // With a corrected file, the refused rows are imported; the rest is already there.
    let corrected = self::rows();
    put_index(&scene, "Index.xlsx", &corrected)?;
    let summary = scene
        .json(&["import-java-index", "Index.xlsx"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&summary["taken"], &summary["already_there"]),
        (&json!(1), &json!(111))
    );
    Ok(())
}

#[test]
fn an_index_of_another_site_is_refused() -> Test {
    let scene = Scene::new()?;
    put_index(&scene, "Index.xlsx", &rows())?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    let refused = scene.json(&["import-java-index", "Index.xlsx"])?.exits(3);
    assert!(refused.err.contains("site id 527408"), "{}", refused.err);
    assert!(index(&scene)?.is_empty());
    for option in [["--site-id", "6"], ["--uid-root", "1.2.3"]] {
        let mut args = vec!["-p", "other", "import-java-index", "Index.xlsx"];
        args.extend(option);
        scene.run(&args)?.exits(3);
        assert!(!scene.path().join("other").exists());
    }
    // The right ones say nothing new; other options of a new project hold.
    scene
        .run(&[
            "-p",
            "other",
            "import-java-index",
            "Index.xlsx",
            "--site-id",
            "527408",
            "--name",
            "TRIAL",
        ])?
        .exits(0);
    let name = scene
        .run(&["-p", "other", "config", "get", "name"])?
        .exits(0);
    assert_eq!(name.out.trim(), "TRIAL");
    // An issuer is not in the index.
    scene
        .run(&["init", "third", "--site-id", "527408", "--uid-root", ROOT])?
        .exits(0);
    scene
        .run(&["-p", "third", "config", "set", "patient_key", "id+issuer"])?
        .exits(0);
    let refused = scene
        .run(&["-p", "third", "import-java-index", "Index.xlsx"])?
        .exits(3);
    assert!(refused.err.contains("id+issuer"), "{}", refused.err);
    Ok(())
}

#[test]
fn a_file_that_is_not_an_index_is_refused() -> Test {
    let scene = Scene::new()?;
    scene.json(&["import-java-index", "missing.xlsx"])?.exits(4);
    scene.json(&["import-java-index", "."])?.exits(4);
    scene.write("DOE^JANE.xlsx", b"PK\x03\x04 and no more")?;
    let refused = scene
        .json(&["import-java-index", "DOE^JANE.xlsx"])?
        .exits(3);
    assert!(refused.err.contains("damaged"), "{}", refused.err);
    assert!(!refused.err.contains("JANE"), "{}", refused.err);
    put_index(&scene, "empty.xlsx", &[])?;
    let refused = scene.json(&["import-java-index", "empty.xlsx"])?.exits(3);
    assert!(refused.err.contains("no rows"), "{}", refused.err);
    assert!(!scene.project().exists());
    Ok(())
}

#[test]
fn an_index_is_adopted_beside_an_import() -> Test {
    let scene = Scene::new()?;
    put_index(&scene, "Index.xlsx", &rows())?;
    scene
        .run(&["init", "project", "--site-id", "527408", "--uid-root", ROOT])?
        .exits(0);
    // The import fills its pipe without a pseudonym: the index has to come before the first one.
    for n in 0..MANY {
        let name = format!("in/{}/{n}", "long".repeat(50));
        scene.write(&name, b"no DICOM file")?;
    }
    let args = ["-p", "project", "--format", "json", "import", "in"];
    let import = StalledCommand::start(scene.command(&args))?;
    let adopted = scene.json(&["import-java-index", "Index.xlsx"])?.exits(0);
    let summary = adopted.summary()?;
    assert_eq!(
        (&summary["rows"], &summary["taken"], &summary["refused"]),
        (&json!(112), &json!(106), &json!(0))
    );
    let place = Place::new(5).patient(1).study(1);
    scene.put("more/a.dcm", &object(&place))?;
    scene.json(&["import", "more"])?.exits(0);
    let public = scene.public()?;
    let is_adopted = |name: &String| name.starts_with("527408-000001/");
    assert!(public.keys().any(is_adopted), "{public:?}");
    let again = scene.json(&["import-java-index", "Index.xlsx"])?.exits(0);
    assert_eq!(again.summary()?["already_there"], 112);
    import.finish()?.exits(0);
    Ok(())
}

/// A process that holds the project and takes no requests.
#[test]
fn java_index_import_refuses_a_project_in_use() -> Test {
    let scene = Scene::new()?;
    put_index(&scene, "Index.xlsx", &rows())?;
    scene
        .run(&["init", "project", "--site-id", "527408", "--uid-root", ROOT])?
        .exits(0);
    let mut lock = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(scene.project().join("private/lock"))?;
    lock.lock()?;
    lock.write_all(b"4711\n")?;
    crate::support::chmod(&scene.project().join("private/lock"), 0o600)?;
    let refused = scene.json(&["import-java-index", "Index.xlsx"])?.exits(4);
    assert!(
        refused.err.contains("in use by process 4711"),
        "{}",
        refused.err
    );
    drop(lock);
    scene.json(&["import-java-index", "Index.xlsx"])?.exits(0);
    assert_eq!(mode(&scene.project().join("private/lookup.redb"))?, 0o600);
    Ok(())
}

/// Nobody gets the numbers of a deleted patient again: not another person in a changed index, and not
/// the same one, because nothing is kept of who it was.
#[test]
fn the_numbers_of_a_deleted_patient_are_not_adopted_for_anybody() -> Test {
    let scene = Scene::new()?;
    put_index(&scene, "Index.xlsx", &rows())?;
    scene.json(&["import-java-index", "Index.xlsx"])?.exits(0);
    let patients = scene.json(&["patients"])?.exits(0).events()?;
    assert_eq!(
        (patients.len() - 1, &patients[0]["instances"]),
        (82, &json!(0))
    );
    let gone = scene
        .json(&["delete", "--patient", "527408-000013"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&gone["studies"], &gone["instances"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(index(&scene)?.len(), 104);
    scene.json(&["reidentify", "527408-000013"])?.exits(1);
    let mut other = rows();
    for row in other.iter_mut().filter(|row| row[1] == "527408-000013") {
        (row[2], row[3]) = ("ELSE^SOMEBODY".into(), "OTHER-1".into());
        row[10] = format!("{}.9", row[10]);
    }
    put_index(&scene, "Other.xlsx", &other)?;
    for file in ["Index.xlsx", "Other.xlsx"] {
        let refused = scene.json(&["import-java-index", file])?.exits(3);
        let events = refused.events()?;
        let reasons: Vec<&str> = events
            .iter()
            .filter_map(|row| row["reason"].as_str())
            .collect();
        assert_eq!(reasons.len(), 2, "{file}: {reasons:?}");
        for reason in reasons {
            let expect = "the pseudonym 527408-000013 was deleted from this project, or may have \
                          been before its lookup store was upgraded, and is never given again: leave \
                          it out, and the original gets a new pseudonym";
            assert!(reason.contains(expect), "{file}: {reason}");
        }
        let skipped = ["import-java-index", file, "--skip-bad-rows"];
        let summary = scene.json(&skipped)?.exits(1).summary()?;
        let counts = [
            &summary["taken"],
            &summary["already_there"],
            &summary["refused"],
        ];
        assert_eq!(counts, [&json!(0), &json!(110), &json!(2)], "{file}");
    }
    // Left out, the patient gets numbers that nobody had.
    let place = Place::new(5).patient(13).study(1);
    scene.put("in/again.dcm", &object(&place))?;
    scene.json(&["import", "in"])?.exits(0);
    assert_eq!(index(&scene)?.len(), 105);
    let patients = scene.json(&["patients"])?.exits(0).events()?;
    let found = patients.iter().any(|row| row["patient"] == "527408-000013");
    assert!(!found, "{patients:?}");
    Ok(())
}
