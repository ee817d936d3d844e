//! `anon echo` and `find`, with a small archive in this process.

use std::fs;

use anon_engine::testing::files::{DataSet, Place, ct_small};
use anon_net::Operation;
use anon_net::identifier::{Identifier, tag};
use dicom_core::{Tag, VR};
use rustix::process::Signal;
use serde_json::json;

use crate::archive::{Archive, Behaviour};
use crate::serving::text;
use crate::shared::servers::port;
use crate::support::{Run, Scene, Test, mode};

pub(crate) fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    // Long enough for every test here.
    for key in ["tcp", "acse", "dimse", "network"] {
        scene.set(&format!("timeouts.{key}"), "20")?;
    }
    Ok(scene)
}

/// A study of two series with three CT images each.
pub(crate) fn study(patient: u32) -> Vec<DataSet> {
    let place = Place::new(3).patient(patient);
    let places = [1, 2].map(|series| [1, 2, 3].map(|n| place.series(series).instance(n)));
    places.iter().flatten().map(ct_small).collect()
}

pub(crate) fn studies(patients: std::ops::RangeInclusive<u32>) -> Vec<DataSet> {
    patients.flat_map(study).collect()
}

/// Returns a node at a port without a listener.
fn nobody() -> Test<String> {
    let port = port::free()?;
    Ok(format!("ARCHIVE@127.0.0.1:{port}"))
}

#[track_caller]
pub(crate) fn assert_stderr_contains(ran: &Run, words: &str) {
    assert!(ran.err.contains(words), "{words}: {}", ran.err);
}

#[test]
fn echo_reports_a_server_that_accepts_us() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), Vec::new())?;
    let port = archive.port.to_string();
    for (key, value) in [("aet", "ARCHIVE"), ("host", "127.0.0.1"), ("port", &port)] {
        scene.set(&format!("node.PACS.{key}"), value)?;
    }
    for node in ["PACS", &archive.node()] {
        let summary = scene.json(&["echo", node])?.exits(0).summary()?;
        assert_eq!(summary["command"], "echo");
        assert_eq!(summary["status"], "0000");
        assert_eq!(summary["node"], archive.node());
    }
    let human = scene.run(&["-p", "project", "echo", "PACS"])?.exits(0);
    assert!(human.out.contains("responded"), "{}", human.out);
    for (node, words) in [
        (
            "PAX",
            "there is no node PAX; the settings have EXPORT, PACS, QUERY",
        ),
        ("A@B", "NODE: "),
        ("TITLE_THAT_IS_TOO_LONG@here:104", "NODE: "),
    ] {
        assert_stderr_contains(&scene.json(&["echo", node])?.exits(3), words);
    }
    Ok(())
}

#[test]
fn echo_tells_rejection_silence_and_unreachable_hosts_apart() -> Test {
    let scene = made()?;
    scene.set("timeouts.acse", "1")?;
    let never_responds = true;
    for (behaviour, words) in [
        (
            Behaviour {
                allowed_callers: vec!["SOMEBODY"],
                ..Behaviour::default()
            },
            "does not know our AE title ANONYMIZER: add it there as 127.0.0.1:1045",
        ),
        (
            Behaviour {
                title: Some("ELSE"),
                ..Behaviour::default()
            },
            "has an AE title other than ARCHIVE",
        ),
        (
            Behaviour {
                never_responds,
                ..Behaviour::default()
            },
            "check that this is its DICOM port",
        ),
        (
            Behaviour {
                refuses: Some((Operation::Echo, 0x0110)),
                ..Behaviour::default()
            },
            "responded to the C-ECHO with status 0110",
        ),
    ] {
        let archive = Archive::start(behaviour, Vec::new())?;
        let ran = scene.json(&["echo", &archive.node()])?.exits(5);
        assert_stderr_contains(&ran, words);
        let summary = ran.summary()?;
        assert_eq!((&summary["code"], ran.events()?.len()), (&5.into(), 1));
    }
    let away = nobody()?;
    for args in [
        &["echo", &away][..],
        &["find", &away, "--patient-id", "X"],
        &["find", &away, "--accession", "A1,A2"],
        &["find", &away, "--accession", "A1"],
        &["retrieve", &away, "--patient-id", "X"],
        &["retrieve", &away, "--accession", "A1"],
    ] {
        assert_stderr_contains(&scene.json(args)?.exits(5), "nothing listens at 127.0.0.1:");
    }
    assert_stderr_contains(
        &scene
            .json(&["echo", "A@no-such-host.invalid:104"])?
            .exits(5),
        "the host no-such-host.invalid is unknown",
    );
    Ok(())
}

#[test]
fn a_signal_ends_waiting_for_a_silent_server() -> Test {
    let scene = made()?;
    // Longer than the test may take.
    for key in ["acse", "dimse", "network"] {
        let key = format!("timeouts.{key}");
        scene.set(&key, "3600")?;
    }
    let never_responds = true;
    let behaviour = Behaviour {
        never_responds,
        ..Behaviour::default()
    };
    let archive = Archive::start(behaviour, Vec::new())?;
    let node = archive.node();
    for args in [
        &["echo", &node][..],
        &["find", &node, "--patient-id", "X"],
        &["retrieve", &node, "--patient-id", "X"],
    ] {
        // The signal is sent once the archive has accepted the connection.
        let mut all = vec!["-p", "project", "--format", "json"];
        all.extend(args);
        let mut command = scene.command(&all);
        command.stdout(std::process::Stdio::piped());
        let child = command.spawn()?;
        archive.wait_for_connection()?;
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)?;
        let output = child.wait_with_output()?;
        let out = String::from_utf8(output.stdout)?;
        assert_eq!(output.status.code(), Some(143), "{args:?}: {out}");
        assert!(out.contains("\"summary\""), "{args:?}: {out}");
    }
    Ok(())
}

#[test]
fn find_lists_studies_with_stored_counts() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=3))?;
    let node = archive.node();
    let (first, second) = (Place::new(3).patient(1), Place::new(3).patient(2));
    // All of the first study is stored, and one instance of the second.
    for (n, object) in study(1).iter().chain(study(2).iter().take(1)).enumerate() {
        scene.put(&format!("in/{n}.dcm"), object)?;
    }
    scene.json(&["import", "in"])?.exits(0);
    let ran = scene
        .json(&["find", &node, "--patient-id", "SYN*"])?
        .exits(0);
    assert_eq!(ran.summary()?["studies"], 0, "it takes no wildcards");
    let ran = scene
        .json(&["find", &node, "--study-uid", &first.study_uid()])?
        .exits(0);
    let event = ran.events()?.into_iter().next().ok_or("a study")?;
    for (field, value) in [
        ("event", json!("study")),
        ("study_uid", json!(first.study_uid())),
        ("patient_id", json!(first.patient_id())),
        ("patient_name", json!(first.patient_name())),
        ("accession", json!(first.accession())),
        (
            "study_date",
            json!(text(&ct_small(&first), Tag(0x0008, 0x0020))),
        ),
        (
            "description",
            json!(text(&ct_small(&first), Tag(0x0008, 0x1030))),
        ),
        ("modalities", json!(["CT"])),
        ("series", json!(2)),
        ("instances", json!(6)),
        ("stored", json!(6)),
    ] {
        assert_eq!(event[field], value, "{field}: {event}");
    }
    let counts = |args: &[&str]| -> Test<Vec<(u64, u64)>> {
        let mut all = vec!["find", &node];
        all.extend(args);
        let events = scene.json(&all)?.exits(0).events()?;
        let studies = events.iter().filter(|event| event["event"] == "study");
        let number = |value: &serde_json::Value| value.as_u64().unwrap_or(u64::MAX);
        Ok(studies
            .map(|event| (number(&event["instances"]), number(&event["stored"])))
            .collect())
    };
    let all = ["--study-date", "19000101-"];
    assert_eq!(counts(&all)?, [(6, 6), (6, 1), (6, 0)]);
    assert_eq!(
        counts(&[all[0], all[1], "--hide-imported"])?,
        [(6, 1), (6, 0)]
    );
    let ran = scene
        .json(&["find", &node, all[0], all[1], "--hide-imported"])?
        .exits(0);
    assert_eq!(ran.summary()?["hidden"], 1);
    // Identifying values appear on standard output only.
    let human = scene
        .run(&["-p", "project", "find", &node, all[0], all[1]])?
        .exits(0);
    assert!(human.out.contains(&second.patient_id()), "{}", human.out);
    assert!(!human.err.contains(&second.patient_id()), "{}", human.err);
    Ok(())
}

/// Each key is sent as typed; the other columns of a row are requested with empty keys.
#[test]
fn find_sends_every_key_as_typed() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=1))?;
    let node = archive.node();
    let uid = Place::new(3).patient(1).study_uid();
    let typed = [
        ("--patient-name", "M\u{FC}ller^*", tag::PATIENT_NAME),
        ("--patient-id", "12*", tag::PATIENT_ID),
        ("--accession", "A?", tag::ACCESSION),
        ("--study-date", "20240101-20241231", tag::STUDY_DATE),
        ("--modality", "CT", tag::MODALITIES),
        ("--study-uid", &uid, tag::STUDY_UID),
    ];
    let check = |keys: &[Identifier], typed: &[(&str, &str, tag::Tag)]| {
        let [keys] = keys else {
            panic!("one question: {}", keys.len());
        };
        assert_eq!(keys.text(tag::LEVEL).as_deref(), Some("STUDY"));
        for (option, value, tag) in typed {
            assert_eq!(keys.text(*tag).as_deref(), Some(*value), "{option}");
        }
        for tag in [
            tag::PATIENT_NAME,
            tag::PATIENT_ID,
            tag::ACCESSION,
            tag::STUDY_DATE,
            tag::MODALITIES,
            tag::STUDY_UID,
            tag::STUDY_DESCRIPTION,
            tag::SERIES_IN_STUDY,
            tag::INSTANCES_IN_STUDY,
        ] {
            if !typed.iter().any(|(.., of)| *of == tag) {
                assert_eq!(keys.value(tag), Some(&b""[..]), "{tag}: it is asked for");
            }
        }
    };
    let mut seen = 0;
    let singly = typed.chunks(1);
    for some in singly.chain([&typed[..]]) {
        let mut args = vec!["find", &node];
        args.extend(some.iter().flat_map(|(option, value, _)| [*option, *value]));
        scene.json(&args)?.exits(0);
        let keys = archive.keys().split_off(seen);
        seen += keys.len();
        check(&keys, some);
    }
    Ok(())
}

#[test]
fn find_queries_each_accession_number_of_a_list() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=3))?;
    let node = archive.node();
    let accession = |n| Place::new(3).patient(n).accession();
    // A prefix of a number does not count as found, even if the server matches it.
    let file = format!(
        "Accession\n{}\nNONE-2\nACC\n{}\n{}\n",
        accession(2),
        accession(1),
        accession(2)
    );
    scene.write("ward.list.csv", file.as_bytes())?;
    let ran = scene
        .json(&["find", &node, "--accession-file", "ward.list.csv"])?
        .exits(0);
    let found: Vec<_> = ran
        .events()?
        .iter()
        .filter_map(|e| e["accession"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(found, [accession(2), accession(1)]);
    assert_eq!(ran.summary()?["not_found"], json!(["NONE-2", "ACC"]));
    let beside = scene.path().join("ward_not_found.txt");
    assert_eq!(fs::read_to_string(&beside)?, "NONE-2\nACC\n");
    assert_eq!(mode(&beside)?, 0o600);
    assert!(!ran.err.contains("NONE-2"), "{}", ran.err);
    // Without a file nothing is written.
    let typed = format!("{},NONE-3", accession(3));
    let ran = scene
        .json(&["find", &node, "--accession", &typed])?
        .exits(0);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["studies"], &summary["not_found"]),
        (&json!(1), &json!(["NONE-3"]))
    );
    let ran = scene.json(&["find", &node, "--accession", "ACC"])?.exits(0);
    assert_eq!(ran.summary()?["not_found"], json!(["ACC"]));
    for args in [
        &["find", &node][..],
        &["find", &node, "--accession", "A,B", "--patient-id", "X"],
        &[
            "find",
            &node,
            "--accession-file",
            "ward.list.csv",
            "--modality",
            "CT",
        ],
        &["find", &node, "--study-uid", "no uid"],
        &["find", &node, "--study-date", "yesterday"],
        &["retrieve", &node],
    ] {
        scene.json(args)?.exits(3);
    }
    scene
        .json(&["find", &node, "--accession-file", "nowhere.txt"])?
        .exits(4);
    Ok(())
}

/// A study of one image with this patient id and accession number.
fn image(patient: u32, id: &str, accession: &str) -> DataSet {
    ct_small(&Place::new(3).patient(patient))
        .put(Tag(0x0010, 0x0020), VR::LO, id)
        .put(Tag(0x0008, 0x0050), VR::SH, accession)
}

/// Returns the values of a key in the C-FIND requests that an archive received.
fn asked(archive: &Archive, key: tag::Tag) -> Vec<String> {
    let keys = archive.keys();
    keys.iter().filter_map(|keys| keys.text(key)).collect()
}

#[test]
fn a_list_never_finds_or_fetches_the_studies_of_another_patient() -> Test {
    let scene = made()?;
    let objects = vec![
        image(1, "P 1", "ACC 2"),
        image(2, "P", "ACC"),
        image(3, "1", "2"),
        image(4, "A1", "A1"),
    ];
    let archive = Archive::start(Behaviour::default(), objects)?;
    let node = archive.node();
    scene.write("list.txt", b"ACC 2\nA*\n?\nA,1\n")?;
    let list = ["--accession-file", "list.txt"];
    let ran = scene.json(&["find", &node, list[0], list[1]])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(summary["studies"], 1);
    assert_eq!(ran.events()?[0]["accession"], "ACC 2");
    assert_eq!(summary["not_found"], json!(["A,1"]));
    let reason = "it has a wildcard (* or ?)";
    let refused = json!([
        {"line": 2, "reason": reason},
        {"line": 3, "reason": reason},
    ]);
    assert_eq!(summary["refused_entries"], refused);
    assert_stderr_contains(
        &ran,
        "line 2 of the list is not searched for: it has a wildcard",
    );
    assert_eq!(asked(&archive, tag::ACCESSION), ["ACC 2", "A,1"]);

    let get = ["retrieve", &node, list[0], list[1], "--via", "get"];
    let ran = scene.json(&get)?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["studies"], &summary["stored"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(summary["refused_entries"], refused);
    assert_eq!(scene.patients()?.len(), 1);
    // A list without any entry to search for finds nothing.
    scene.write("list.txt", b"A*\n")?;
    let ran = scene.json(&["find", &node, list[0], list[1]])?.exits(1);
    assert_eq!(ran.summary()?["studies"], 0);
    let ran = scene.json(&get)?.exits(1);
    assert_eq!(ran.summary()?["studies"], 0);
    Ok(())
}

#[test]
fn find_and_retrieve_take_a_list_of_patient_ids() -> Test {
    let scene = made()?;
    let objects = vec![
        image(1, "P 1", "A1"),
        image(2, "P", "A2"),
        image(3, "1", "A3"),
    ];
    let archive = Archive::start(Behaviour::default(), objects)?;
    let node = archive.node();
    scene.write(
        "ids.csv",
        b"Name;PatientID\nDOE;P 1\nROE;NOBODY\nPOE;*\nDOE;P 1\n",
    )?;
    let ids = ["--patient-id-file", "ids.csv"];
    let ran = scene
        .json(&["find", &node, ids[0], ids[1], "--modality", "CT"])?
        .exits(1);
    let summary = ran.summary()?;
    assert_eq!(summary["studies"], 1);
    assert_eq!(ran.events()?[0]["patient_id"], "P 1");
    assert_eq!(summary["not_found"], json!(["NOBODY"]));
    assert_eq!(summary["refused_entries"][0]["line"], 4);
    assert_eq!(asked(&archive, tag::PATIENT_ID), ["P 1", "NOBODY"]);
    let beside = scene.path().join("ids_not_found.txt");
    assert_eq!(fs::read_to_string(&beside)?, "NOBODY\n");
    assert_eq!(mode(&beside)?, 0o600);

    let ran = scene
        .json(&["retrieve", &node, ids[0], ids[1], "--via", "get"])?
        .exits(1);
    assert_eq!(ran.summary()?["stored"], 1);
    assert!(
        !ran.err.contains("P 1") && !ran.err.contains("NOBODY"),
        "{}",
        ran.err
    );
    for (code, more) in [
        (2, ["--patient-id", "P"]),
        (2, ["--accession", "A1"]),
        (2, ["--accession-file", "ids.csv"]),
        (3, ["--patient-name", "DOE"]),
        (3, ["--study-uid", "1.2"]),
    ] {
        scene
            .json(&["find", &node, ids[0], ids[1], more[0], more[1]])?
            .exits(code);
    }
    Ok(())
}

#[test]
fn a_list_in_a_table_is_read_from_the_named_column() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=2))?;
    let node = archive.node();
    let accession = Place::new(3).patient(2).accession();
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, cells) in (0..).zip([["Exam", "Old number"], [accession.as_str(), "ACC"]]) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string(row, column, cell)?;
        }
    }
    scene.write("list.xlsx", &workbook.save_to_buffer()?)?;
    let csv = format!("Exam,Old number\n{accession},ACC\n");
    scene.write("list.csv", csv.as_bytes())?;
    for file in ["list.xlsx", "list.csv"] {
        let list = ["find", &node, "--accession-file", file];
        let ran = scene
            .json(&[&list[..], &["--column", "exam"]].concat())?
            .exits(0);
        assert_eq!(ran.events()?[0]["accession"], json!(accession), "{file}");
        assert_eq!(ran.summary()?["studies"], 1, "{file}");
        let ran = scene.json(&list)?.exits(3);
        assert_stderr_contains(&ran, "The columns are Exam, (column 2, not shown)");
    }
    scene
        .json(&["find", &node, "--patient-id", "P", "--column", "Exam"])?
        .exits(3);
    Ok(())
}

#[test]
fn find_counts_answers_it_cannot_use_and_says_why() -> Test {
    let scene = made()?;
    let behaviour = Behaviour {
        has_odd_answers: true,
        ..Behaviour::default()
    };
    let objects = vec![image(1, "P", "ACC"), image(2, "P", "ACC 2")];
    let archive = Archive::start(behaviour, objects)?;
    let node = archive.node();
    let ran = scene.json(&["find", &node, "--accession", "ACC"])?.exits(0);
    let summary = ran.summary()?;
    assert_eq!(summary["studies"], 1);
    assert_eq!(
        summary["left_out"],
        json!({
            "without_study_uid": 1,
            "invalid_study_uid": 1,
            "other_study": 0,
            "other_accession": 1,
            "other_patient": 0,
            "other_modality": 0,
        })
    );
    let words = "left out 3 answers of the server: 1 without a Study Instance UID, 1 with an invalid Study \
                 Instance UID, 1 with another accession number than requested";
    assert_stderr_contains(&ran, words);
    Ok(())
}

#[test]
fn a_search_that_stops_at_a_limit_can_be_split_by_day() -> Test {
    let scene = made()?;
    let on = |patient, date: &str| {
        let object = image(patient, "P", &format!("A{patient}"));
        object.put(Tag(0x0008, 0x0020), VR::DA, date)
    };
    let objects = vec![
        on(1, "20240228"),
        on(2, "20240229"),
        on(3, "20240301"),
        on(4, "20240305"),
        on(5, "20240305"),
    ];
    let behaviour = Behaviour {
        limit: Some(1),
        ..Behaviour::default()
    };
    let archive = Archive::start(behaviour, objects)?;
    let node = archive.node();
    let find = |range: &str, more: &[&str]| {
        let all = ["find", &node, "--study-date", range];
        scene.json(&[&all[..], more].concat())
    };
    let split = ["--split", "days"];
    let ran = find("20240228-20240301", &[])?.exits(5);
    assert_stderr_contains(&ran, "--study-date FROM-TO --split days");
    let ran = find("20240228-20240301", &split)?.exits(0);
    assert_eq!(ran.summary()?["studies"], 3);
    let days = asked(&archive, tag::STUDY_DATE);
    assert_eq!(days[1..], ["20240228", "20240229", "20240301"]);
    // Even one day has more.
    let ran = find("20240304-20240306", &split)?.exits(5);
    assert_stderr_contains(
        &ran,
        "a single day has more studies than the server returns",
    );
    find("-20240301", &split)?.exits(3);
    scene
        .json(&["find", &node, "--patient-id", "P", "--split", "days"])?
        .exits(2);
    Ok(())
}

#[test]
fn a_refused_query_is_reported() -> Test {
    let scene = made()?;
    let behaviour = Behaviour {
        refuses: Some((Operation::Find, 0xA700)),
        ..Behaviour::default()
    };
    let archive = Archive::start(behaviour, studies(1..=1))?;
    for args in [
        ["find", &archive.node(), "--patient-id", "X"],
        ["retrieve", &archive.node(), "--patient-id", "X"],
    ] {
        assert_stderr_contains(
            &scene.json(&args)?.exits(5),
            "out of resources (status A700)",
        );
    }
    Ok(())
}
