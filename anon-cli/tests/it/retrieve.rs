//! `anon retrieve`, with a small archive in this process.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use anon_engine::testing::files::{Place, Syntax, ct_small, secondary_capture};
use anon_net::service::Cancel;
use anon_net::{Operation, Status};
use dicom_core::{Tag, VR};
use rustix::process::Signal;
use serde_json::json;

use crate::archive::{Archive, Behaviour};
use crate::hand_over::{MANY, StalledCommand};
use crate::query::{assert_stderr_contains, made, studies, study};
use crate::serving::{STORED, Serving, item, scu, statuses};
use crate::shared::servers::port;
use crate::support::{Test, finish, mode};

const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

#[test]
fn retrieve_by_move_at_each_level_beside_serve() -> Test {
    for level in ["study", "series", "instance"] {
        let scene = made()?;
        let archive = Archive::start(Behaviour::default(), studies(1..=3))?;
        let serving = Serving::start(&scene, &[])?;
        archive.sends_to("ANONYMIZER", serving.port);
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
        // Stored instances are not requested again.
        let requests = archive.requests();
        scene.json(&args)?.exits(0);
        let again = archive.requests().split_off(requests.len());
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
fn retrieve_starts_its_own_receiver() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=2))?;
    let port = port::free()?;
    scene.set("scp.port", &port.to_string())?;
    archive.sends_to("ANONYMIZER", port);
    let args = ["retrieve", &archive.node(), "--patient-id", "SYN00002"];
    let summary = scene.json(&args)?.exits(0).summary()?;
    assert_eq!(
        (&summary["complete"], &summary["stored"]),
        (&json!(1), &json!(6))
    );
    assert_eq!(scene.public()?.len(), 6);
    // The port is in use: nothing is requested.
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let args = ["retrieve", &archive.node(), "--patient-id", "SYN00001"];
    assert_stderr_contains(&scene.json(&args)?.exits(4), "cannot listen on");
    Ok(())
}

#[test]
fn retrieve_by_get_needs_no_receiver() -> Test {
    for level in ["study", "series", "instance"] {
        let scene = made()?;
        let archive = Archive::start(Behaviour::default(), studies(1..=2))?;
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
                .requests()
                .iter()
                .any(|line| line.starts_with("C-MOVE"))
        );
    }
    Ok(())
}

#[test]
fn quarantined_and_excluded_instances_count_towards_a_complete_study() -> Test {
    for via in ["move", "get"] {
        let scene = made()?;
        let mut objects = study(1);
        // One instance with burned-in annotation, and one of a class that the project does not accept.
        let burned = ct_small(&Place::new(3).patient(1).instance(7));
        objects.push(burned.put(Tag(0x0028, 0x0301), VR::CS, "YES"));
        objects.push(secondary_capture(&Place::new(3).patient(1).series(9)));
        let archive = Archive::start(Behaviour::default(), objects)?;
        let serving = Serving::start(&scene, &[])?;
        archive.sends_to("ANONYMIZER", serving.port);
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
        // Quarantined instances are not requested again, not by another process either.
        let serving = Serving::start(&scene, &[])?;
        archive.sends_only_to("ANONYMIZER", serving.port);
        let requests = archive.requests().len();
        let human = ["-p", "project"].iter().chain(&args).copied();
        let human = scene.run(&human.collect::<Vec<_>>())?.exits(1);
        for words in ["1 quarantined", "1 excluded", "config add modalities SC"] {
            assert!(human.out.contains(words), "{words}: {}", human.out);
        }
        assert_eq!(transfers(&archive, requests), [""; 0], "{via}");
        serving.stop()?.exits(143);
        // After `quarantine clear` only that instance is requested.
        scene.json(&["quarantine", "clear", "--all"])?.exits(0);
        let serving = Serving::start(&scene, &[])?;
        archive.sends_only_to("ANONYMIZER", serving.port);
        let requests = archive.requests().len();
        let summary = scene.json(&args)?.exits(1).summary()?;
        assert_eq!(
            (&summary["complete"], &summary["quarantined"]),
            (&json!(1), &json!(1))
        );
        let transfers = transfers(&archive, requests);
        let image = format!("C-{} IMAGE", via.to_uppercase());
        assert_eq!(transfers, [image], "{via}");
        serving.stop()?.exits(143);
    }
    Ok(())
}

/// Returns the C-MOVE and C-GET requests after the first `after` requests.
fn transfers(archive: &Archive, after: usize) -> Vec<String> {
    let requests = archive.requests().split_off(after);
    let is_transfer = |line: &String| line.starts_with("C-MOVE") || line.starts_with("C-GET");
    requests.into_iter().filter(is_transfer).collect()
}

#[test]
fn retrieve_warns_about_objects_without_a_patient_id() -> Test {
    let scene = made()?;
    let objects: Vec<_> = study(1)
        .into_iter()
        .map(|object| object.without(Tag(0x0010, 0x0020)))
        .collect();
    let archive = Archive::start(Behaviour::default(), objects)?;
    let mut serving = Serving::start(&scene, &[])?;
    archive.sends_to("ANONYMIZER", serving.port);
    let (node, uid) = (archive.node(), Place::new(3).patient(1).study_uid());
    let args = ["retrieve", &node, "--study-uid", &uid];
    // One instance arrives by C-STORE first.
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
    assert_stderr_contains(&ran, "5 objects without Patient ID");
    // Instances stored before are not counted again.
    assert_eq!(scene.json(&args)?.exits(0).summary()?["shared_patient"], 0);
    let ran = serving.stop()?.exits(143);
    assert_eq!(ran.summary()?["shared_patient"], 6);
    assert_stderr_contains(&ran, "6 objects without Patient ID");
    Ok(())
}

#[test]
fn a_repeated_retrieve_requests_only_missing_instances() -> Test {
    let scene = made()?;
    scene.set("timeouts.network", "1")?;
    let serving = Serving::start(&scene, &[])?;
    let omits = 2;
    let behaviour = Behaviour {
        omits,
        ..Behaviour::default()
    };
    let holding = Archive::start(behaviour, study(1))?;
    holding.sends_to("ANONYMIZER", serving.port);
    let retrieve_first_patient = |node: String| {
        [
            String::from("retrieve"),
            node,
            "--patient-id".into(),
            "SYN00001".into(),
        ]
    };
    let ran = scene
        .json(&words(&retrieve_first_patient(holding.node())))?
        .exits(1);
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
    // With --show-phi they are listed on standard output.
    let args = retrieve_first_patient(holding.node());
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

    let archive = Archive::start(Behaviour::default(), study(1))?;
    archive.sends_to("ANONYMIZER", serving.port);
    let args = retrieve_first_patient(archive.node());
    let summary = scene.json(&words(&args))?.exits(0).summary()?;
    assert_eq!(
        (&summary["complete"], &summary["stored"]),
        (&json!(1), &json!(6))
    );
    assert_eq!(transfers(&archive, 0), ["C-MOVE IMAGE"]);
    // The duplicate is of the series that was requested twice from the first archive.
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["stored"], &summary["duplicates"]),
        (&json!(6), &json!(1))
    );
    Ok(())
}

#[test]
fn studies_are_retrieved_concurrently() -> Test {
    let scene = made()?;
    // The default number of concurrent studies, and one more by setting.
    for (patients, setting) in [(1..=2, None), (1..=3, Some("3"))] {
        let concurrent_moves = patients.clone().count();
        if let Some(setting) = setting {
            scene.set("retrieve.studies", setting)?;
        }
        let behaviour = Behaviour {
            concurrent_moves,
            ..Behaviour::default()
        };
        let archive = Archive::start(behaviour, studies(patients))?;
        let serving = Serving::start(&scene, &[])?;
        archive.sends_to("ANONYMIZER", serving.port);
        let args = ["retrieve", &archive.node(), "--study-date", "19000101-"];
        let summary = scene.json(&args)?.exits(0).summary()?;
        assert_eq!(summary["complete"], concurrent_moves, "{summary}");
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
fn a_signal_sends_c_cancel_and_releases_the_association() -> Test {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for (waits_for_cancel, options, is_served) in [
            (Operation::Find, &["find"][..], false),
            (Operation::Move, &["retrieve"], false),
            (Operation::Move, &["retrieve"], true),
            (Operation::Get, &["retrieve", "--via", "get"], false),
            (Operation::Get, &["retrieve", "--via", "get"], true),
        ] {
            let case = format!("{code}, {waits_for_cancel}, beside serve: {is_served}");
            let scene = made()?;
            let behaviour = Behaviour {
                waits_for_cancel: Some(waits_for_cancel),
                ..Behaviour::default()
            };
            let archive = Archive::start(behaviour, study(1))?;
            let serving = if is_served {
                Some(Serving::start(&scene, &[])?)
            } else {
                None
            };
            let port = match &serving {
                Some(serving) => serving.port,
                None => port::free()?,
            };
            scene.set("scp.port", &port.to_string())?;
            archive.sends_to("ANONYMIZER", port);
            let node = archive.node();
            let mut all = vec!["-p", "project", "--format", "json"];
            all.extend(options);
            all.extend([&*node, "--patient-id", "SYN00001"]);
            let child = scene
                .command(&all)
                .stdout(std::process::Stdio::piped())
                .spawn()?;
            archive.wait_until_cancellable()?;
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal)?;
            let output = child.wait_with_output()?;
            let out = String::from_utf8(output.stdout)?;
            assert_eq!(output.status.code(), Some(code), "{case}: {out}");
            let last = out.lines().last().ok_or("a summary")?;
            let summary: serde_json::Value = serde_json::from_str(last)?;
            assert_eq!(summary["interrupted"], true, "{case}: {summary}");
            // The archive got C-CANCEL, and the association was released.
            archive.wait_for_request("C-CANCEL")?;
            let requests = archive.requests();
            let after = requests
                .iter()
                .skip_while(|line| *line != "C-CANCEL")
                .skip(1);
            assert_eq!(
                after.collect::<Vec<_>>(),
                ["release"],
                "{case}: {requests:?}"
            );
            // Instances that arrived are stored, and a running `serve` continues.
            let arrived = usize::from(waits_for_cancel != Operation::Find);
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

#[test]
fn retrieve_lists_what_was_not_found_by_its_place_in_the_list() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=2))?;
    let node = archive.node();
    let accession = |n| Place::new(3).patient(n).accession();
    let list = format!("\nNONE-1\n{}\nNONE-2\n{}\n", accession(2), accession(1));
    scene.write("list.txt", list.as_bytes())?;
    let args = [
        "retrieve",
        &node,
        "--accession-file",
        "list.txt",
        "--via",
        "get",
    ];
    let ran = scene.json(&args)?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(summary["not_found"], json!(["NONE-1", "NONE-2"]));
    assert_eq!(
        (&summary["complete"], &summary["stored"]),
        (&json!(2), &json!(12))
    );
    for line in [2, 4] {
        assert_stderr_contains(&ran, &format!("not found: line {line} of the list"));
    }
    assert!(!ran.err.contains("NONE"), "{}", ran.err);
    // Studies are named by the key in JSON, and by their place for people.
    let events = ran.events()?;
    let keys: BTreeMap<String, serde_json::Value> = events
        .iter()
        .filter(|event| event["event"] == "study")
        .map(|event| (event["number"].to_string(), event["key"].clone()))
        .collect();
    let expected = [("1", accession(2)), ("2", accession(1))];
    let expected = expected.map(|(n, number)| (n.to_owned(), json!({"accession": number})));
    assert_eq!(keys, BTreeMap::from(expected));
    let human = ["-p", "project"].iter().chain(&args).copied();
    let human = scene.run(&human.collect::<Vec<_>>())?.exits(1);
    for words in [
        "study 1 (line 3 of the list): 6 of 6",
        "study 2 (line 5 of the list): 6 of 6",
    ] {
        assert!(human.out.contains(words), "{words}: {}", human.out);
    }
    // The same for numbers that are typed.
    let typed = format!("{},NONE-3", accession(1));
    let ran = scene
        .json(&["retrieve", &node, "--accession", &typed, "--via", "get"])?
        .exits(1);
    assert_eq!(ran.summary()?["not_found"], json!(["NONE-3"]));
    assert_stderr_contains(&ran, "not found: accession number 2");
    Ok(())
}

#[test]
fn retrieve_takes_studies_of_the_last_find_by_their_numbers() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), studies(1..=4))?;
    let node = archive.node();
    let get = |numbers: &str| {
        let args = ["retrieve", "--from-last-find", numbers, "--via", "get"];
        scene.json(&args)
    };
    assert_stderr_contains(&get("1")?.exits(3), "run anon find first");
    let all = ["find", &node, "--study-date", "19000101-"];
    let found = scene.json(&all)?.exits(0).events()?;
    let uid = |n: usize| found[n - 1]["study_uid"].clone();
    assert_eq!(found[3]["number"], 4);
    let ran = get("1,3-4")?.exits(0);
    let events = ran.events()?;
    let mut came: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "study")
        .map(|event| event["study_uid"].to_string())
        .collect();
    came.sort();
    let mut expected = [1, 3, 4].map(|n| uid(n).to_string());
    expected.sort();
    assert_eq!(came, expected);
    assert_eq!(ran.summary()?["stored"], 18);
    for numbers in ["0", "5", "1-5", "x", "3-1"] {
        get(numbers)?.exits(3);
    }
    let other = ["retrieve", "OTHER@here:104", "--from-last-find", "1"];
    assert_stderr_contains(&scene.json(&other)?.exits(3), "the last find was at");
    scene
        .json(&["retrieve", "--from-last-find", "1", "--patient-id", "X"])?
        .exits(2);
    scene.json(&["retrieve", "--patient-id", "X"])?.exits(2);
    let file = scene.project().join("private/last_find.json");
    assert_eq!(mode(&file)?, 0o600);
    // A terminal is needed to ask.
    let args = [
        "-p",
        "project",
        "find",
        &node,
        "--patient-id",
        "X",
        "--pick",
    ];
    assert_stderr_contains(&scene.run(&args)?.exits(3), "--from-last-find 1,3-5");
    Ok(())
}

/// A study of which everything is excluded is complete, and still nothing came of its key.
#[test]
fn retrieve_exits_1_if_nothing_came_of_a_key() -> Test {
    let scene = made()?;
    let objects = vec![secondary_capture(&Place::new(3).patient(1).series(9))];
    let archive = Archive::start(Behaviour::default(), objects)?;
    let args = [
        "retrieve",
        &archive.node(),
        "--patient-id",
        "SYN00001",
        "--via",
        "get",
    ];
    let summary = scene.json(&args)?.exits(1).summary()?;
    assert_eq!(
        (&summary["complete"], &summary["excluded"]),
        (&json!(1), &json!(1))
    );
    Ok(())
}

/// The server accepts a C-MOVE, and answers neither it nor the C-CANCEL.
#[test]
fn a_signal_ends_a_retrieve_from_a_silent_server_in_a_second() -> Test {
    for (operation, via) in [(Operation::Move, "move"), (Operation::Get, "get")] {
        let scene = made()?;
        // Longer than the test may take.
        for key in ["acse", "dimse", "network"] {
            scene.set(&format!("timeouts.{key}"), "3600")?;
        }
        scene.set("scp.port", &port::free()?.to_string())?;
        let behaviour = Behaviour {
            is_silent_to: Some(operation),
            ..Behaviour::default()
        };
        let archive = Archive::start(behaviour, study(1))?;
        let node = archive.node();
        let args = ["--patient-id", "SYN00001", "--via", via];
        let mut all = vec!["-p", "project", "--format", "json", "retrieve", &node];
        all.extend(args);
        let mut command = scene.command(&all);
        let child = command.stdout(std::process::Stdio::piped()).spawn()?;
        archive.wait_until_cancellable()?;
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT)?;
        let output = child.wait_with_output()?;
        let out = String::from_utf8(output.stdout)?;
        assert_eq!(output.status.code(), Some(130), "{via}: {out}");
        archive.wait_for_request("C-CANCEL")?;
    }
    Ok(())
}

#[test]
fn a_refused_retrieve_reports_the_words_of_the_server_and_what_to_do() -> Test {
    let words = "CANARY^JANE is locked";
    for status in [0xC000, 0xA702] {
        let scene = made()?;
        scene.set("scp.port", &port::free()?.to_string())?;
        let behaviour = Behaviour {
            refuses: Some((Operation::Move, status)),
            comment: Some(words),
            ..Behaviour::default()
        };
        let archive = Archive::start(behaviour, vec![ct_small(&Place::new(3).patient(1))])?;
        let node = archive.node();
        let args = ["retrieve", &node, "--patient-id", "SYN00001"];
        let ran = scene.json(&args)?.exits(5);
        let told = ran.events()?.into_iter().next().ok_or("a study")?;
        assert_eq!(told["comment"], words);
        let error = told["error"].as_str().unwrap_or_default();
        let status = format!("status {status:04X}");
        assert!(
            error.contains(&status) && error.contains("ANONYMIZER"),
            "{error}"
        );
        let moves = transfers(&archive, 0);
        let expected = ["C-MOVE STUDY", "C-MOVE SERIES", "C-MOVE IMAGE"];
        assert_eq!(moves, expected);
        // The words can identify: they appear on standard output only.
        let human = ["-v", "-p", "project"].iter().chain(&args).copied();
        let human = scene.run(&human.collect::<Vec<_>>())?.exits(5);
        let said = format!("the server says: {words}");
        assert!(human.out.contains(&said), "{}", human.out);
        for text in [ran.err, human.err] {
            assert!(!text.contains("CANARY"), "{text}");
        }
    }
    Ok(())
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn retrieve_reports_missing_instances_and_unknown_destinations() -> Test {
    let scene = made()?;
    scene.set("timeouts.network", "1")?;
    let serving = Serving::start(&scene, &[])?;
    let omits = 2;
    let behaviour = Behaviour {
        omits,
        ..Behaviour::default()
    };
    let archive = Archive::start(behaviour, study(1))?;
    archive.sends_to("ANONYMIZER", serving.port);
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

    // A server that does not know our title as a C-MOVE destination.
    let archive = Archive::start(Behaviour::default(), study(2))?;
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
    // No study matches.
    let ran = scene
        .json(&["retrieve", &archive.node(), "--patient-id", "NOBODY"])?
        .exits(1);
    assert_eq!(ran.summary()?["studies"], 0);
    assert_eq!(ran.summary()?["not_found"], json!(["NOBODY"]));
    serving.stop()?.exits(143);
    Ok(())
}

#[test]
fn retrieve_by_move_from_a_remote_server_needs_a_reachable_receiver() -> Test {
    let scene = made()?;
    // An address for documentation (RFC 5737), which is never contacted.
    let remote = "PACS@192.0.2.1:104";
    let args = ["retrieve", remote, "--patient-id", "X"];
    let ran = scene.json(&args)?.exits(3);
    for words in [
        "config set scp.bind 0.0.0.0",
        "scp.allow_calling PACS",
        "--via get",
    ] {
        assert_stderr_contains(&ran, words);
    }
    // Bound to all addresses without an allow-list.
    scene.set("scp.bind", "0.0.0.0")?;
    assert_stderr_contains(&scene.json(&args)?.exits(3), "scp.open");
    // A node for exports only.
    for (key, value) in [
        ("aet", "A"),
        ("host", "127.0.0.1"),
        ("port", "104"),
        ("use", "export"),
    ] {
        scene.set(&format!("node.OUT.{key}"), value)?;
    }
    for command in ["find", "retrieve"] {
        let ran = scene.json(&[command, "OUT", "--patient-id", "X"])?.exits(3);
        assert_stderr_contains(&ran, "config add node.OUT.use query");
    }
    Ok(())
}

#[test]
fn retrieve_does_not_open_its_receiver_to_everybody() -> Test {
    let scene = made()?;
    scene.set("scp.bind", "0.0.0.0")?;
    let archive = Archive::start(Behaviour::default(), study(1))?;
    let node = archive.node();
    let retrieve = ["retrieve", &node, "--patient-id", "SYN00001"];
    // Also with the socket that a killed process left behind.
    let mut serving = Serving::start(&scene, &["--bind", "127.0.0.1"])?;
    serving.kill()?;
    assert!(scene.project().join("private/control.sock").exists());
    assert_stderr_contains(&scene.json(&retrieve)?.exits(3), "scp.open");
    // Another command holds the project and would start the receiver.
    scene.cts_with_long_paths("in", 7, MANY)?;
    let import = scene.command(&["-p", "project", "--format", "json", "import", "in"]);
    let holder = StalledCommand::start(import)?;
    assert_stderr_contains(&scene.json(&retrieve)?.exits(3), "scp.open");
    holder.finish()?.exits(0);
    let requests = archive.requests();
    assert!(
        !requests.iter().any(|line| line.starts_with("C-MOVE")),
        "{requests:?}"
    );
    Ok(())
}

#[test]
fn import_and_delete_hand_over_to_serve_and_new_nodes_are_known() -> Test {
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
    // A node that was added while `serve` runs.
    let archive = Archive::start(Behaviour::default(), study(2))?;
    archive.sends_to("ANONYMIZER", serving.port);
    let port = archive.port.to_string();
    for (key, value) in [("aet", "ARCHIVE"), ("host", "127.0.0.1"), ("port", &port)] {
        scene.set(&format!("node.NEW.{key}"), value)?;
    }
    scene
        .json(&["retrieve", "NEW", "--patient-id", "SYN00002"])?
        .exits(0);
    assert_eq!(scene.public()?.len(), 16);
    assert_eq!(
        scu("X")?.echo(&serving.node(), &Cancel::new())?,
        Status::SUCCESS
    );
    serving.stop()?.exits(143);
    let ran = finish(&mut scene.command(&["-p", "project", "status"]))?;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    Ok(())
}
