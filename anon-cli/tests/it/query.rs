//! `anon echo`, `find` and `retrieve`, at an archive of ours.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small, secondary_capture};
use anon_net::identifier::{Identifier, tag};
use anon_net::service::Cancel;
use anon_net::{Operation, Status};
use dicom_core::{Tag, VR};
use rustix::process::Signal;
use serde_json::json;

use crate::archive::{Archive, Manners};
use crate::hand_over::{MANY, Standing};
use crate::serving::{STORED, Serving, item, scu, statuses, text};
use crate::shared::servers::port;
use crate::support::{Ran, Scene, Test, finish, mode};

const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    // Nothing in these tests takes longer on purpose.
    for key in ["tcp", "acse", "dimse", "network"] {
        scene
            .json(&["config", "set", &format!("timeouts.{key}"), "20"])?
            .exits(0);
    }
    Ok(scene)
}

/// A study of two series with three CT images each.
fn study(patient: u32) -> Vec<DataSet> {
    let place = Place::new(3).patient(patient);
    let places = [1, 2].map(|series| [1, 2, 3].map(|n| place.series(series).instance(n)));
    places.iter().flatten().map(ct_small).collect()
}

fn studies(patients: std::ops::RangeInclusive<u32>) -> Vec<DataSet> {
    patients.flat_map(study).collect()
}

/// A port at which nobody listens.
fn nobody() -> Test<String> {
    let port = port::free()?;
    Ok(format!("ARCHIVE@127.0.0.1:{port}"))
}

#[track_caller]
fn says(ran: &Ran, words: &str) {
    assert!(ran.err.contains(words), "{words}: {}", ran.err);
}

#[test]
fn echo_says_if_a_server_is_there_and_knows_us() -> Test {
    let scene = made()?;
    let archive = Archive::start(Manners::default(), Vec::new())?;
    let port = archive.port.to_string();
    for (key, value) in [("aet", "ARCHIVE"), ("host", "127.0.0.1"), ("port", &port)] {
        scene
            .json(&["config", "set", &format!("node.PACS.{key}"), value])?
            .exits(0);
    }
    for node in ["PACS", &archive.node()] {
        let summary = scene.json(&["echo", node])?.exits(0).summary()?;
        assert_eq!(summary["command"], "echo");
        assert_eq!(summary["status"], "0000");
        assert_eq!(summary["node"], archive.node());
    }
    let human = scene.run(&["-p", "project", "echo", "PACS"])?.exits(0);
    assert!(human.out.contains("answers"), "{}", human.out);
    for (node, words) in [
        (
            "PAX",
            "no node is called PAX: there are EXPORT, PACS, QUERY",
        ),
        ("A@B", "NODE: "),
        ("TITLE_THAT_IS_TOO_LONG@here:104", "NODE: "),
    ] {
        says(&scene.json(&["echo", node])?.exits(3), words);
    }
    Ok(())
}

#[test]
fn a_server_that_does_not_answer_is_told_apart() -> Test {
    let scene = made()?;
    scene
        .json(&["config", "set", "timeouts.acse", "1"])?
        .exits(0);
    let is_mute = true;
    for (manners, words) in [
        (
            Manners {
                admits: vec!["SOMEBODY"],
                ..Manners::default()
            },
            "does not know our AE title ANONYMIZER; add it there as 127.0.0.1:1045",
        ),
        (
            Manners {
                title: Some("ELSE"),
                ..Manners::default()
            },
            "does not call itself ARCHIVE",
        ),
        (
            Manners {
                is_mute,
                ..Manners::default()
            },
            "is this its DICOM port?",
        ),
        (
            Manners {
                refuses: Some((Operation::Echo, 0x0110)),
                ..Manners::default()
            },
            "answers the C-ECHO with status 0110",
        ),
    ] {
        let archive = Archive::start(manners, Vec::new())?;
        let ran = scene.json(&["echo", &archive.node()])?.exits(5);
        says(&ran, words);
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
        says(&scene.json(args)?.exits(5), "nothing listens at 127.0.0.1:");
    }
    says(
        &scene
            .json(&["echo", "A@no-such-host.invalid:104"])?
            .exits(5),
        "nobody knows the name no-such-host.invalid",
    );
    Ok(())
}

#[test]
fn a_signal_ends_the_wait_for_a_server() -> Test {
    let scene = made()?;
    // Longer than anybody waits for this test.
    for key in ["acse", "dimse", "network"] {
        let key = format!("timeouts.{key}");
        scene.json(&["config", "set", &key, "3600"])?.exits(0);
    }
    let is_mute = true;
    let manners = Manners {
        is_mute,
        ..Manners::default()
    };
    let archive = Archive::start(manners, Vec::new())?;
    let node = archive.node();
    for args in [
        &["echo", &node][..],
        &["find", &node, "--patient-id", "X"],
        &["retrieve", &node, "--patient-id", "X"],
    ] {
        // The signal may come before anybody waits.
        let mut all = vec!["-p", "project", "--format", "json"];
        all.extend(args);
        let mut command = scene.command(&all);
        command.stdout(std::process::Stdio::piped());
        let child = command.spawn()?;
        archive.wait_for_another()?;
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)?;
        let output = child.wait_with_output()?;
        let out = String::from_utf8(output.stdout)?;
        assert_eq!(output.status.code(), Some(143), "{args:?}: {out}");
        assert!(out.contains("\"summary\""), "{args:?}: {out}");
    }
    Ok(())
}

#[test]
fn find_lists_studies_with_what_is_stored() -> Test {
    let scene = made()?;
    let archive = Archive::start(Manners::default(), studies(1..=3))?;
    let node = archive.node();
    let (first, second) = (Place::new(3).patient(1), Place::new(3).patient(2));
    // All of the first is stored, and one of the second.
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
    // It is what it is for, and only on standard output.
    let human = scene
        .run(&["-p", "project", "find", &node, all[0], all[1]])?
        .exits(0);
    assert!(human.out.contains(&second.patient_id()), "{}", human.out);
    assert!(!human.err.contains(&second.patient_id()), "{}", human.err);
    Ok(())
}

/// What is typed is asked for as it was typed, and whatever else a row needs.
#[test]
fn find_asks_by_every_key_that_can_be_typed() -> Test {
    let scene = made()?;
    let archive = Archive::start(Manners::default(), studies(1..=1))?;
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
fn find_asks_for_each_number_of_a_list() -> Test {
    let scene = made()?;
    let archive = Archive::start(Manners::default(), studies(1..=3))?;
    let node = archive.node();
    let accession = |n| Place::new(3).patient(n).accession();
    // A beginning of a number is none, whatever the server thinks.
    let file = format!(
        "{}\nNONE-2,ACC\n{}\n{}\n",
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

#[test]
fn a_server_that_refuses_a_query_is_told() -> Test {
    let scene = made()?;
    let manners = Manners {
        refuses: Some((Operation::Find, 0xA700)),
        ..Manners::default()
    };
    let archive = Archive::start(manners, studies(1..=1))?;
    for args in [
        ["find", &archive.node(), "--patient-id", "X"],
        ["retrieve", &archive.node(), "--patient-id", "X"],
    ] {
        says(
            &scene.json(&args)?.exits(5),
            "out of resources (status A700)",
        );
    }
    Ok(())
}

#[test]
fn retrieve_by_move_at_each_level_beside_serve() -> Test {
    for level in ["study", "series", "instance"] {
        let scene = made()?;
        let archive = Archive::start(Manners::default(), studies(1..=3))?;
        let serving = Serving::start(&scene, &[])?;
        archive.knows("ANONYMIZER", serving.port);
        let args = [
            "retrieve",
            &archive.node(),
            "--study-date",
            "2000-",
            "--level",
            level,
        ];
        scene.json(&args)?.exits(3);
        let args = [
            "retrieve",
            &archive.node(),
            "--study-date",
            "20000101-",
            "--level",
            level,
        ];
        let ran = scene.json(&args)?.exits(0);
        let studies: Vec<_> = ran
            .events()?
            .into_iter()
            .filter(|e| e["event"] == "study")
            .collect();
        assert_eq!(studies.len(), 3);
        for study in studies {
            for (field, value) in [
                ("expected", json!(6)),
                ("stored", json!(6)),
                ("quarantined", json!(0)),
                ("excluded", json!(0)),
                ("failed", json!(0)),
                ("error", json!(null)),
            ] {
                assert_eq!(study[field], value, "{level} {field}: {study}");
            }
        }
        let summary = ran.summary()?;
        for (field, value) in [
            ("command", json!("retrieve")),
            ("studies", json!(3)),
            ("complete", json!(3)),
            ("stored", json!(18)),
            ("interrupted", json!(false)),
        ] {
            assert_eq!(summary[field], value, "{level} {field}: {summary}");
        }
        assert_eq!(scene.public()?.len(), 18);
        // What is here is not asked for again.
        let asked = archive.asked();
        scene.json(&args)?.exits(0);
        let again = archive.asked().split_off(asked.len());
        assert!(
            !again.iter().any(|line| line.starts_with("C-MOVE")),
            "{again:?}"
        );
        let summary = serving.stop()?.exits(143).summary()?;
        assert_eq!(
            (&summary["stored"], &summary["duplicates"]),
            (&json!(18), &json!(0))
        );
    }
    Ok(())
}

#[test]
fn retrieve_brings_its_own_receiver() -> Test {
    let scene = made()?;
    let archive = Archive::start(Manners::default(), studies(1..=2))?;
    let port = port::free()?;
    scene
        .json(&["config", "set", "scp.port", &port.to_string()])?
        .exits(0);
    archive.knows("ANONYMIZER", port);
    let args = ["retrieve", &archive.node(), "--patient-id", "SYN00002"];
    let summary = scene.json(&args)?.exits(0).summary()?;
    assert_eq!(
        (&summary["complete"], &summary["stored"]),
        (&json!(1), &json!(6))
    );
    assert_eq!(scene.public()?.len(), 6);
    // The port is taken: nothing is asked for.
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let args = ["retrieve", &archive.node(), "--patient-id", "SYN00001"];
    says(&scene.json(&args)?.exits(4), "cannot listen on");
    Ok(())
}

#[test]
fn retrieve_by_get_needs_no_receiver() -> Test {
    for level in ["study", "series", "instance"] {
        let scene = made()?;
        let archive = Archive::start(Manners::default(), studies(1..=2))?;
        let node = archive.node();
        let args = [
            "retrieve",
            &node,
            "--via",
            "get",
            "--level",
            level,
            "--study-date",
            "20000101-",
        ];
        let summary = scene.json(&args)?.exits(0).summary()?;
        assert_eq!(
            (&summary["complete"], &summary["stored"]),
            (&json!(2), &json!(12)),
            "{level}"
        );
        assert_eq!(scene.public()?.len(), 12);
        assert!(
            !archive
                .asked()
                .iter()
                .any(|line| line.starts_with("C-MOVE"))
        );
    }
    Ok(())
}

#[test]
fn a_study_is_complete_with_what_is_set_aside_and_what_is_not_taken() -> Test {
    for via in ["move", "get"] {
        let scene = made()?;
        let mut objects = study(1);
        // One that says it shows text, and one of a class that the project does not take.
        let burned = ct_small(&Place::new(3).patient(1).instance(7));
        objects.push(burned.put(Tag(0x0028, 0x0301), VR::CS, "YES"));
        objects.push(secondary_capture(&Place::new(3).patient(1).series(9)));
        let archive = Archive::start(Manners::default(), objects)?;
        let serving = Serving::start(&scene, &[])?;
        archive.knows("ANONYMIZER", serving.port);
        let node = archive.node();
        let args = ["retrieve", &node, "--via", via, "--patient-id", "SYN00001"];
        let ran = scene.json(&args)?.exits(1);
        let study = ran.events()?.into_iter().next().ok_or("a study")?;
        for (field, value) in [
            ("stored", json!(6)),
            ("quarantined", json!(1)),
            ("failed", json!(0)),
            ("error", json!(null)),
        ] {
            assert_eq!(study[field], value, "{via} {field}: {study}");
        }
        let summary = ran.summary()?;
        for (field, value) in [
            ("complete", json!(1)),
            ("expected", json!(8)),
            ("excluded", json!(1)),
            ("storage_classes_excluded", json!({SECONDARY_CAPTURE: 1})),
        ] {
            assert_eq!(summary[field], value, "{via} {field}: {summary}");
        }
        serving.stop()?.exits(143);
        // What is set aside is not asked for again, by another process either.
        let serving = Serving::start(&scene, &[])?;
        archive.knows_now("ANONYMIZER", serving.port);
        let asked = archive.asked().len();
        let human = ["-p", "project"].iter().chain(&args).copied();
        let human = scene.run(&human.collect::<Vec<_>>())?.exits(1);
        for words in ["1 quarantined", "1 excluded", "config add modalities SC"] {
            assert!(human.out.contains(words), "{words}: {}", human.out);
        }
        assert_eq!(transfers(&archive, asked), [""; 0], "{via}");
        serving.stop()?.exits(143);
        // Once it is cleared it is, and nothing else.
        scene.json(&["quarantine", "clear", "--all"])?.exits(0);
        let serving = Serving::start(&scene, &[])?;
        archive.knows_now("ANONYMIZER", serving.port);
        let asked = archive.asked().len();
        let summary = scene.json(&args)?.exits(1).summary()?;
        assert_eq!(
            (&summary["complete"], &summary["quarantined"]),
            (&json!(1), &json!(1))
        );
        let transfers = transfers(&archive, asked);
        let image = format!("C-{} IMAGE", via.to_uppercase());
        assert_eq!(transfers, [image], "{via}");
        serving.stop()?.exits(143);
    }
    Ok(())
}

/// What an archive was asked to send, after so many lines.
fn transfers(archive: &Archive, after: usize) -> Vec<String> {
    let asked = archive.asked().split_off(after);
    let is_transfer = |line: &String| line.starts_with("C-MOVE") || line.starts_with("C-GET");
    asked.into_iter().filter(is_transfer).collect()
}

#[test]
fn objects_without_a_patient_are_counted_and_named() -> Test {
    let scene = made()?;
    let objects: Vec<_> = study(1)
        .into_iter()
        .map(|object| object.without(Tag(0x0010, 0x0020)))
        .collect();
    let archive = Archive::start(Manners::default(), objects)?;
    let mut serving = Serving::start(&scene, &[])?;
    archive.knows("ANONYMIZER", serving.port);
    let (node, uid) = (archive.node(), Place::new(3).patient(1).study_uid());
    let args = ["retrieve", &node, "--study-uid", &uid];
    // One comes another way first.
    let first = study(1).swap_remove(0).without(Tag(0x0010, 0x0020));
    let first = item(&first, Syntax::ExplicitLittle)?;
    assert_eq!(
        statuses(&scu("CT_1")?, &serving.node(), vec![first])?,
        [STORED]
    );
    serving.next()?;
    let ran = scene.json(&args)?.exits(0);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["stored"], &summary["shared_patient"]),
        (&json!(6), &json!(5))
    );
    says(&ran, "5 objects name no patient");
    // Those that were here before are not told again.
    assert_eq!(scene.json(&args)?.exits(0).summary()?["shared_patient"], 0);
    let ran = serving.stop()?.exits(143);
    assert_eq!(ran.summary()?["shared_patient"], 6);
    says(&ran, "6 objects name no patient");
    Ok(())
}

#[test]
fn a_retrieve_that_is_repeated_asks_for_what_is_missing() -> Test {
    let scene = made()?;
    scene
        .json(&["config", "set", "timeouts.network", "1"])?
        .exits(0);
    let serving = Serving::start(&scene, &[])?;
    let withholds = 2;
    let manners = Manners {
        withholds,
        ..Manners::default()
    };
    let holding = Archive::start(manners, study(1))?;
    holding.knows("ANONYMIZER", serving.port);
    let of_first = |node: String| {
        [
            String::from("retrieve"),
            node,
            "--patient-id".into(),
            "SYN00001".into(),
        ]
    };
    let ran = scene.json(&words(&of_first(holding.node())))?.exits(1);
    let told = ran.events()?.into_iter().next().ok_or("a study")?;
    let place = |n| {
        Place::new(3)
            .patient(1)
            .series(1)
            .instance(n)
            .instance_uid()
    };
    assert_eq!((&told["stored"], &told["failed"]), (&json!(4), &json!(2)));
    assert_eq!(told["missing"], json!([place(1), place(2)]));
    // To people they are named if that is wished, on standard output.
    let args = of_first(holding.node());
    let human = |option| {
        let mut all = vec![option, "-p", "project"];
        all.extend(words(&args));
        scene.run(&all)
    };
    let shown = human("--show-phi")?.exits(1);
    assert!(
        shown.out.contains(&format!("missing: {}", place(2))),
        "{}",
        shown.out
    );
    let hidden = human("-v")?.exits(1);
    assert!(!format!("{}{}", hidden.out, hidden.err).contains(&place(2)));

    let archive = Archive::start(Manners::default(), study(1))?;
    archive.knows("ANONYMIZER", serving.port);
    let args = of_first(archive.node());
    let summary = scene.json(&words(&args))?.exits(0).summary()?;
    assert_eq!(
        (&summary["complete"], &summary["stored"]),
        (&json!(1), &json!(6))
    );
    assert_eq!(transfers(&archive, 0), ["C-MOVE IMAGE"]);
    // The one that came twice is of the series that the first archive was asked for again.
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["stored"], &summary["duplicates"]),
        (&json!(6), &json!(1))
    );
    Ok(())
}

#[test]
fn studies_are_retrieved_at_once() -> Test {
    let scene = made()?;
    // As many as are retrieved at once if nothing is said, and one more than that.
    for (patients, setting) in [(1..=2, None), (1..=3, Some("3"))] {
        let together = patients.clone().count();
        if let Some(setting) = setting {
            scene
                .json(&["config", "set", "retrieve.studies", setting])?
                .exits(0);
        }
        let manners = Manners {
            together,
            ..Manners::default()
        };
        let archive = Archive::start(manners, studies(patients))?;
        let serving = Serving::start(&scene, &[])?;
        archive.knows("ANONYMIZER", serving.port);
        let args = ["retrieve", &archive.node(), "--study-date", "19000101-"];
        let summary = scene.json(&args)?.exits(0).summary()?;
        assert_eq!(summary["complete"], together, "{summary}");
        serving.stop()?.exits(143);
        let patients = scene.json(&["patients"])?.exits(0).events()?;
        for patient in patients
            .iter()
            .filter_map(|event| event["patient"].as_str())
        {
            scene.json(&["delete", "--patient", patient])?.exits(0);
        }
    }
    Ok(())
}

#[test]
fn a_signal_in_the_middle_cancels_in_order() -> Test {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for (halts, options, is_served) in [
            (Operation::Find, &["find"][..], false),
            (Operation::Move, &["retrieve"], false),
            (Operation::Move, &["retrieve"], true),
            (Operation::Get, &["retrieve", "--via", "get"], false),
            (Operation::Get, &["retrieve", "--via", "get"], true),
        ] {
            let case = format!("{code}, {halts}, beside serve: {is_served}");
            let scene = made()?;
            let manners = Manners {
                halts: Some(halts),
                ..Manners::default()
            };
            let archive = Archive::start(manners, study(1))?;
            let serving = if is_served {
                Some(Serving::start(&scene, &[])?)
            } else {
                None
            };
            let port = match &serving {
                Some(serving) => serving.port,
                None => port::free()?,
            };
            scene
                .json(&["config", "set", "scp.port", &port.to_string()])?
                .exits(0);
            archive.knows("ANONYMIZER", port);
            let node = archive.node();
            let mut all = vec!["-p", "project", "--format", "json"];
            all.extend(options);
            all.extend([&*node, "--patient-id", "SYN00001"]);
            let child = scene
                .command(&all)
                .stdout(std::process::Stdio::piped())
                .spawn()?;
            archive.wait_until_halted()?;
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal)?;
            let output = child.wait_with_output()?;
            let out = String::from_utf8(output.stdout)?;
            assert_eq!(output.status.code(), Some(code), "{case}: {out}");
            let last = out.lines().last().ok_or("a summary")?;
            let summary: serde_json::Value = serde_json::from_str(last)?;
            assert_eq!(summary["interrupted"], true, "{case}: {summary}");
            // It was told so, and the association ended in order.
            archive.wait_until_asked("C-CANCEL")?;
            let asked = archive.asked();
            let after = asked.iter().skip_while(|line| *line != "C-CANCEL").skip(1);
            assert_eq!(after.collect::<Vec<_>>(), ["release"], "{case}: {asked:?}");
            // What came is here, and whoever serves goes on.
            let arrived = usize::from(halts != Operation::Find);
            assert_eq!(scene.public()?.len(), arrived, "{case}");
            if let Some(serving) = serving {
                assert_eq!(
                    scu("X")?.echo(&serving.node(), &Cancel::new())?,
                    Status::SUCCESS,
                    "{case}"
                );
                serving.stop()?.exits(143);
            }
        }
    }
    Ok(())
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn what_does_not_come_is_named() -> Test {
    let scene = made()?;
    scene
        .json(&["config", "set", "timeouts.network", "1"])?
        .exits(0);
    let serving = Serving::start(&scene, &[])?;
    let withholds = 2;
    let manners = Manners {
        withholds,
        ..Manners::default()
    };
    let archive = Archive::start(manners, study(1))?;
    archive.knows("ANONYMIZER", serving.port);
    let ran = scene
        .json(&["retrieve", &archive.node(), "--patient-id", "SYN00001"])?
        .exits(1);
    let told = ran.events()?.into_iter().next().ok_or("a study")?;
    assert_eq!(
        (&told["expected"], &told["error"].is_string()),
        (&json!(6), &true)
    );
    let (stored, failed) = (told["stored"].as_u64(), told["failed"].as_u64());
    assert_eq!(stored.zip(failed).map(|(s, f)| s + f), Some(6), "{told}");
    assert!(failed > Some(0), "{told}");
    let error = told["error"].as_str().unwrap_or_default();
    assert!(error.contains("of 6 instances are missing"), "{error}");

    // A server that does not know us as a place to send to.
    let archive = Archive::start(Manners::default(), study(2))?;
    for level in ["study", "series", "instance"] {
        let node = archive.node();
        let args = [
            "retrieve",
            &node,
            "--patient-id",
            "SYN00002",
            "--level",
            level,
        ];
        let ran = scene.json(&args)?.exits(5);
        let told = ran.events()?.into_iter().next().ok_or("a study")?;
        let error = told["error"].as_str().unwrap_or_default();
        let words = format!("add it there as ANONYMIZER, 127.0.0.1:{}", serving.port);
        assert!(error.contains(&words), "{error}");
        let human = scene
            .run(&[
                "-p",
                "project",
                "retrieve",
                &node,
                "--patient-id",
                "SYN00002",
            ])?
            .exits(5);
        assert!(human.out.contains(&words), "{}", human.out);
        let uid = Place::new(3).patient(2).study_uid();
        assert!(!human.out.contains(&uid) && !human.err.contains(&uid));
    }
    // Nothing of the kind there.
    let ran = scene
        .json(&["retrieve", &archive.node(), "--patient-id", "NOBODY"])?
        .exits(0);
    assert_eq!(ran.summary()?["studies"], 0);
    serving.stop()?.exits(143);
    Ok(())
}

#[test]
fn a_remote_server_cannot_send_to_a_receiver_of_this_machine() -> Test {
    let scene = made()?;
    // An address for documentation (RFC 5737): nothing is asked of it.
    let remote = "PACS@192.0.2.1:104";
    let args = ["retrieve", remote, "--patient-id", "X"];
    let ran = scene.json(&args)?.exits(3);
    for words in [
        "config set scp.bind 0.0.0.0",
        "scp.allow_calling PACS",
        "--via get",
    ] {
        says(&ran, words);
    }
    // Open, and nobody said to whom.
    scene
        .json(&["config", "set", "scp.bind", "0.0.0.0"])?
        .exits(0);
    says(&scene.json(&args)?.exits(3), "scp.open");
    // A node that is for exports only.
    for (key, value) in [
        ("aet", "A"),
        ("host", "127.0.0.1"),
        ("port", "104"),
        ("use", "export"),
    ] {
        scene
            .json(&["config", "set", &format!("node.OUT.{key}"), value])?
            .exits(0);
    }
    for command in ["find", "retrieve"] {
        let ran = scene.json(&[command, "OUT", "--patient-id", "X"])?.exits(3);
        says(&ran, "config add node.OUT.use query");
    }
    Ok(())
}

#[test]
fn a_receiver_of_its_own_is_not_open_to_everybody() -> Test {
    let scene = made()?;
    scene
        .json(&["config", "set", "scp.bind", "0.0.0.0"])?
        .exits(0);
    let archive = Archive::start(Manners::default(), study(1))?;
    let node = archive.node();
    let retrieve = ["retrieve", &node, "--patient-id", "SYN00001"];
    // Beside the socket that a killed process left, too.
    let mut serving = Serving::start(&scene, &["--bind", "127.0.0.1"])?;
    serving.kill()?;
    assert!(scene.project().join("private/control.sock").exists());
    says(&scene.json(&retrieve)?.exits(3), "scp.open");
    // Another command holds the project, and listens for us.
    scene.crowd("in", 7, MANY)?;
    let import = scene.command(&["-p", "project", "--format", "json", "import", "in"]);
    let holder = Standing::start(import)?;
    says(&scene.json(&retrieve)?.exits(3), "scp.open");
    holder.finish()?.exits(0);
    let asked = archive.asked();
    assert!(
        !asked.iter().any(|line| line.starts_with("C-MOVE")),
        "{asked:?}"
    );
    Ok(())
}

#[test]
fn import_and_delete_hand_over_to_serve_and_a_new_node_is_known() -> Test {
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    scene.cts(10)?;
    let summary = scene.json(&["import", "in"])?.exits(0).summary()?;
    assert_eq!(summary["stored"], 10);
    let patients = scene.json(&["patients"])?.exits(0);
    let patient = patients
        .events()?
        .into_iter()
        .find_map(|e| e["patient"].as_str().map(str::to_owned));
    let patient = patient.ok_or_else(|| patients.out.clone())?;
    scene.json(&["delete", "--patient", &patient])?.exits(0);
    assert_eq!(scene.public()?.len(), 0);
    assert_eq!(
        scene.json(&["import", "in"])?.exits(0).summary()?["stored"],
        10
    );
    // A node that was made while it serves.
    let archive = Archive::start(Manners::default(), study(2))?;
    archive.knows("ANONYMIZER", serving.port);
    let port = archive.port.to_string();
    for (key, value) in [("aet", "ARCHIVE"), ("host", "127.0.0.1"), ("port", &port)] {
        scene
            .json(&["config", "set", &format!("node.NEW.{key}"), value])?
            .exits(0);
    }
    scene
        .json(&["retrieve", "NEW", "--patient-id", "SYN00002"])?
        .exits(0);
    assert_eq!(scene.public()?.len(), 16);
    assert_eq!(
        scu("X")?.echo(&serving.node(), &Cancel::new())?,
        Status::SUCCESS
    );
    // A receiver that was opened by an option, and a server elsewhere: it may send to it.
    serving.stop()?.exits(143);
    let ran = finish(&mut scene.command(&["-p", "project", "status"]))?;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    Ok(())
}
