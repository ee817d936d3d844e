//! `anon export` to a directory: events, copied files, and interruptions.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use anon_engine::testing::files::{LargeImage, Place};
use anon_net::Command::{Request, Response};
use anon_net::association::ul::Acceptor;
use anon_net::dimse::{Incoming, receive_command, send};
use anon_net::{Association, Operation, Status, SupportedContexts};
use serde_json::Value;

use crate::serving::{EXPLICIT, LONG, uid};
use crate::support::{Scene, Test, tree};

/// X-Ray Angiographic Image Storage.
const XA: &str = "1.2.840.10008.5.1.4.1.1.12.1";

/// A project with `count` images of five patients.
pub(crate) fn made(count: u32) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(count)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    Ok(scene)
}

/// The destination holds exactly what `public/` holds.
#[track_caller]
fn assert_copy_of_public(scene: &Scene, to: &str) -> Test {
    let mut there = tree(&scene.path().join(to))?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    assert!(there == scene.public()?, "{to} is no copy of public/");
    Ok(())
}

/// How many patients have outputs.
pub(crate) fn anonymous_patients(scene: &Scene) -> Test<usize> {
    Ok(fs::read_dir(scene.project().join("public"))?.count())
}

pub(crate) fn patients(events: &[Value]) -> Vec<&Value> {
    events
        .iter()
        .filter(|event| event["event"] == "patient")
        .collect()
}

#[test]
fn export_to_a_directory_sends_everything_once() -> Test {
    let scene = made(90)?;
    let count = anonymous_patients(&scene)?;
    assert!(count > 3, "{count} patients");
    let ran = scene.json(&["export", "file:out", "--all"])?.exits(0);
    let summary = ran.summary()?;
    for (field, expected) in [
        ("patients", count),
        ("found", 90),
        ("sent", 90),
        ("skipped", 0),
        ("failed", 0),
        ("left", 0),
    ] {
        assert_eq!(summary[field], expected, "{field}: {summary}");
    }
    assert_eq!(summary["command"], "export");
    assert_eq!(summary["dry_run"], false);
    let events = ran.events()?;
    let patients = patients(&events);
    assert_eq!(patients.len(), count);
    let sent: u64 = patients.iter().filter_map(|it| it["sent"].as_u64()).sum();
    assert_eq!(sent, 90);
    assert!(
        patients.iter().all(|it| it["error"].is_null()),
        "{events:?}"
    );
    let size: usize = scene.public()?.values().map(Vec::len).sum();
    assert_eq!(summary["bytes"], size);
    assert_copy_of_public(&scene, "out")?;
    let again = scene
        .json(&["export", "file:out", "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!((&again["sent"], &again["skipped"]), (&0.into(), &90.into()));
    // Without the journal, the directory is listed.
    fs::remove_dir_all(scene.project().join("export"))?;
    let again = scene
        .json(&["export", "file:out", "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!((&again["sent"], &again["skipped"]), (&0.into(), &90.into()));
    Ok(())
}

#[test]
fn export_sends_only_selected_patients_and_studies() -> Test {
    let scene = made(20)?;
    let names: Vec<String> = scene.public()?.into_keys().collect();
    let first: Vec<&str> = names[0].split('/').collect();
    let last: Vec<&str> = names[19].split('/').collect();
    let (patient, study) = (first[0], last[1]);
    let ran = scene.json(&["export", "file:out", "--patient", patient, "--study", study])?;
    ran.exits(0);
    let mut there = tree(&scene.path().join("out"))?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    let expected = names
        .iter()
        .filter(|name| name.starts_with(patient) || name.contains(study));
    assert!(there.keys().eq(expected), "{:?}", there.keys());
    let ran = scene
        .json(&[
            "export",
            "file:out",
            "--patient",
            "nobody",
            "--study",
            "1.2.3",
            "--patient",
            patient,
        ])?
        .exits(1);
    let summary = ran.summary()?;
    assert_eq!(summary["unknown"], serde_json::json!(["nobody", "1.2.3"]));
    let events = ran.events()?;
    let unknown = patients(&events)
        .into_iter()
        .find(|it| it["patient"] == "nobody");
    assert!(
        unknown.is_some_and(|it| it["error"].is_string()),
        "{events:?}"
    );
    assert_eq!(summary["patients"], 1, "the others go on");
    Ok(())
}

#[test]
fn dry_run_lists_objects_and_sends_nothing() -> Test {
    let scene = made(12)?;
    let ran = scene
        .json(&["export", "file:out", "--all", "--dry-run"])?
        .exits(0);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["sent"], &summary["dry_run"]),
        (&12.into(), &true.into())
    );
    assert!(!scene.path().join("out").exists());
    let events = ran.events()?;
    let objects = events.iter().filter(|event| event["event"] == "object");
    let mut listed: Vec<String> = objects
        .filter_map(|it| Some(it["object"].as_str()?.to_owned()))
        .collect();
    listed.sort();
    assert!(scene.public()?.keys().eq(&listed), "{listed:?}");
    for event in events.iter().filter(|event| event["event"] == "object") {
        let name = event["object"].as_str().ok_or("a name")?;
        assert_eq!(event["bytes"], scene.public()?[name].len(), "{name}");
    }
    let size: usize = scene.public()?.values().map(Vec::len).sum();
    assert_eq!(summary["bytes"], size);
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    let summary = scene
        .json(&["export", "file:out", "--all", "--dry-run"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&summary["sent"], &summary["skipped"]),
        (&0.into(), &12.into())
    );
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    assert_eq!(
        audit.matches("\"export\"").count(),
        1,
        "what was only asked is not noted: {audit}"
    );
    Ok(())
}

#[test]
fn export_refuses_bad_arguments_and_destinations() -> Test {
    let scene = made(1)?;
    for (args, code, words) in [
        (&["export", "file:out"][..], 2, "--all"),
        (
            &["export", "file:out", "--all", "--patient", "X"],
            2,
            "cannot be used with",
        ),
        (&["export", "file:", "--all"], 3, "names no directory"),
        (
            &["export", "file:project/public", "--all"],
            3,
            "of the project itself",
        ),
        (&["export", "file:out", "--patient", "../x"], 3, "--patient"),
        (
            &["export", "NOWHERE", "--all"],
            3,
            "there is no node NOWHERE",
        ),
        (
            &["export", "QUERY", "--all"],
            3,
            "  anon -p project config add node.QUERY.use export",
        ),
        (&["export", "ARCHIVE@127.0.0.1", "--all"], 3, "has no port"),
    ] {
        let ran = scene.json(args)?.exits(code);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
    // A destination that cannot be created is reported for each patient.
    let ran = scene
        .json(&["export", "file:/proc/nowhere", "--all"])?
        .exits(4);
    let summary = ran.summary()?;
    let error = summary["error"].as_str().unwrap_or_default();
    assert!(error.contains("at the destination"), "{summary}");
    let events = ran.events()?;
    let [patient] = *patients(&events) else {
        return Err(format!("one patient is told of: {}", ran.out).into());
    };
    assert_eq!(patient["error"], summary["error"]);
    Ok(())
}

#[test]
fn export_to_an_unreachable_node_exits_with_5() -> Test {
    let scene = made(3)?;
    scene.set("export.attempts", "1")?;
    // Port 9 (discard) has no listener, or one that does not speak DICOM.
    let ran = scene
        .json(&["export", "ARCHIVE@127.0.0.1:9", "--all"])?
        .exits(5);
    let summary = ran.summary()?;
    let error = summary["error"].as_str().unwrap_or_default();
    assert!(error.contains("host and port"), "{summary}");
    assert_eq!(summary["found"], 0);
    assert_eq!(summary["patients_failed"], 1, "{summary}");
    let events = ran.events()?;
    let [patient] = *patients(&events) else {
        return Err(format!("one patient is told of: {}", ran.out).into());
    };
    assert_eq!(patient["error"], summary["error"]);
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(
        status["exports"][0]["last_run"]["outcome"], "stopped",
        "{status}"
    );
    assert_eq!(status["exports"][0]["last_run"]["error"], summary["error"]);
    Ok(())
}

#[test]
fn status_shows_what_was_exported() -> Test {
    let scene = made(15)?;
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["exports"], serde_json::json!([]));
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    let status = scene.json(&["status"])?.exits(0).summary()?;
    let export = &status["exports"][0];
    let place = scene.path().canonicalize()?.join("out");
    assert_eq!(export["destination"], format!("file:{}", place.display()));
    assert_eq!(
        (&export["patients"], &export["objects"]),
        (&anonymous_patients(&scene)?.into(), &15.into())
    );
    assert_eq!(export["bytes"], status["bytes"]);
    let run = &export["last_run"];
    assert_eq!(
        (&run["outcome"], &run["sent"], &run["failed"]),
        (&"done".into(), &15.into(), &0.into())
    );
    assert!(
        export["last"]
            .as_str()
            .is_some_and(|last| last.ends_with('Z')),
        "{export}"
    );
    let human = scene.run(&["-p", "project", "status"])?.exits(0);
    assert!(human.out.contains("1 patient, 15 objects"), "{}", human.out);
    Ok(())
}

/// Export needs nothing of `private/`.
#[test]
fn export_works_without_access_to_the_lookup_store() -> Test {
    let scene = made(6)?;
    fs::rename(
        scene.project().join("private"),
        scene.path().join("elsewhere"),
    )?;
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    assert_copy_of_public(&scene, "out")?;
    assert!(!scene.project().join("private").exists());
    Ok(())
}

#[test]
fn export_journal_can_be_in_another_directory() -> Test {
    let scene = made(3)?;
    let place = scene.path().join("notes");
    scene.set("export.journal", &place.to_string_lossy())?;
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    assert!(place.is_dir() && !scene.project().join("export").exists());
    Ok(())
}

#[test]
fn concurrent_exports_to_one_directory_do_not_interfere() -> Test {
    let scene = made(60)?;
    let mut first = scene
        .command(&[
            "-p", "project", "--format", "json", "export", "file:out", "--all",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(first.stdout.take().ok_or("no pipe")?);
    let mut line = String::new();
    out.read_line(&mut line)?;
    let second = scene.json(&["export", "file:out", "--all"])?;
    // Exit code 0 if the first export has already finished.
    assert!(matches!(second.code, Some(0 | 4)), "{second:?}");
    out.read_to_string(&mut line)?;
    assert!(first.wait()?.success());
    assert_copy_of_public(&scene, "out")
}

/// Exports and sends the signal once objects arrive. Returns the exit code and the last line, or `None`
/// if the export finished first.
#[cfg(unix)]
fn export_and_signal(scene: &Scene, signal: rustix::process::Signal) -> Test<Option<(i32, Value)>> {
    use rustix::process::{Pid, kill_process};

    let mut child = scene
        .command(&[
            "-p", "project", "--format", "json", "export", "file:out", "--all",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let work = scene.path().join("out");
    crate::shared::wait::until("objects come", std::time::Duration::from_mins(1), || {
        Ok(work.is_dir() && fs::read_dir(&work)?.count() > 1)
    })?;
    let pid = Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    kill_process(pid, signal)?;
    let mut out = String::new();
    child
        .stdout
        .take()
        .ok_or("no pipe")?
        .read_to_string(&mut out)?;
    let code = child.wait()?.code().ok_or("it was killed")?;
    let last: Value = serde_json::from_str(out.lines().last().ok_or("nothing was said")?)?;
    Ok(if last["interrupted"] == false {
        None
    } else {
        Some((code, last))
    })
}

#[cfg(unix)]
#[test]
fn a_signal_ends_an_export_with_a_summary_and_the_next_export_continues() -> Test {
    use rustix::process::Signal;

    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let scene = Scene::new()?;
        scene.cts_with_long_paths("in", 3, 400)?;
        scene.run(&["init", "project"])?.exits(0);
        scene.json(&["import", "in"])?.exits(0);
        // On a busy machine the signal may come too late; then try again.
        let mut cut = None;
        for _ in 0..20 {
            cut = export_and_signal(&scene, signal)?;
            if cut.is_some() {
                break;
            }
            fs::remove_dir_all(scene.path().join("out"))?;
        }
        let (ended, last) = cut.ok_or("it was always through before")?;
        assert_eq!(ended, code, "{last}");
        let count = |field: &str| last[field].as_u64().unwrap_or_default();
        assert_eq!(last["event"], "summary");
        let sum = count("sent") + count("skipped") + count("failed") + count("left");
        assert_eq!(count("found"), sum, "{last}");
        let rest = scene
            .json(&["export", "file:out", "--all"])?
            .exits(0)
            .summary()?;
        assert_eq!(rest["skipped"], last["sent"], "{rest}");
        assert_copy_of_public(&scene, "out")?;
    }
    Ok(())
}

/// The peer accepts the connection and never responds; the timeouts are an hour.
#[cfg(unix)]
#[test]
fn a_signal_ends_an_export_to_a_silent_node() -> Test {
    use rustix::process::{Pid, Signal, kill_process};

    let scene = made(2)?;
    for timeout in ["acse", "dimse", "network"] {
        let key = format!("timeouts.{timeout}");
        scene.set(&key, "3600")?;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let place = format!("SILENT@{}", listener.local_addr()?);
    let child = scene
        .command(&[
            "-p", "project", "--format", "json", "export", &place, "--all",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let connection = listener.accept()?;
    let pid = Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    kill_process(pid, Signal::INT)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(130));
    let out = String::from_utf8(output.stdout)?;
    let last: Value = serde_json::from_str(out.lines().last().ok_or("nothing was said")?)?;
    assert_eq!(
        (&last["interrupted"], &last["sent"]),
        (&true.into(), &0.into())
    );
    drop(connection);
    Ok(())
}

/// A peer that accepts C-ECHO and stops reading at the first object, which it reports to `it_came`.
#[cfg(unix)]
fn stop_reading_at_data(stream: TcpStream, it_came: &mpsc::Sender<()>) -> Test {
    let verification = uid("1.2.840.10008.1.1")?;
    let supported = SupportedContexts::new()
        .with(verification, vec![uid("1.2.840.10008.1.2")?])
        .with(uid(XA)?, vec![uid(EXPLICIT)?]);
    let acceptor = Acceptor::new("CHOKES".parse()?, supported);
    let mut association = acceptor.accept(stream)?;
    loop {
        match receive_command(&mut association, LONG)? {
            Incoming::Message {
                context,
                command: Request(request),
            } if request.operation == Operation::Echo => {
                let answer = Response(request.response(Status::SUCCESS));
                send(&mut association, context, &answer, LONG)?;
            }
            Incoming::Release => return Ok(association.release(LONG)?),
            _ => break,
        }
    }
    association.receive(LONG)?;
    it_came.send(())?;
    // Keeps the connection open without reading until the test ends.
    loop {
        thread::park();
    }
}

/// The signal comes in the middle of an object that the peer does not read.
#[cfg(unix)]
#[test]
fn a_signal_ends_an_export_in_the_middle_of_a_large_object() -> Test {
    use rustix::process::{Pid, Signal, kill_process};

    let scene = Scene::new()?;
    let mut file = BufWriter::new(File::create(scene.path().join("large.dcm"))?);
    LargeImage::new(Place::new(7), 60).write_to(&mut file)?;
    file.flush()?;
    scene
        .run(&["init", "project", "--modalities", "XA"])?
        .exits(0);
    scene.json(&["import", "large.dcm"])?.exits(0);
    for timeout in ["acse", "dimse", "network"] {
        let key = format!("timeouts.{timeout}");
        scene.set(&key, "3600")?;
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let place = format!("CHOKES@{}", listener.local_addr()?);
    let (it_came, came) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A failure shows in the output of the export.
            let _ = stop_reading_at_data(stream, &it_came);
        }
    });
    let child = scene
        .command(&[
            "-p", "project", "--format", "json", "export", &place, "--all",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    came.recv_timeout(LONG)?;
    let pid = Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    kill_process(pid, Signal::INT)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(130));
    let out = String::from_utf8(output.stdout)?;
    let last: Value = serde_json::from_str(out.lines().last().ok_or("nothing was said")?)?;
    assert_eq!(
        (&last["interrupted"], &last["sent"], &last["left"]),
        (&true.into(), &0.into(), &1.into())
    );
    Ok(())
}
