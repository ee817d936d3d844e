//! `anon export` to a directory: what is told, what is there, and what ends it.

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
use anon_net::{Association, Operation, Status, Supported};
use serde_json::Value;

use crate::serving::{EXPLICIT, LONG, uid};
use crate::support::{Scene, Test, tree};

/// X-Ray Angiographic Image Storage.
const XA: &str = "1.2.840.10008.5.1.4.1.1.12.1";

/// A project with so many images of five patients.
fn made(count: u32) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(count)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    Ok(scene)
}

/// The destination holds exactly what `public/` holds.
#[track_caller]
fn is_copy(scene: &Scene, to: &str) -> Test {
    let mut there = tree(&scene.path().join(to))?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    assert!(there == scene.public()?, "{to} is no copy of public/");
    Ok(())
}

/// How many patients have outputs.
fn anonymous_patients(scene: &Scene) -> Test<usize> {
    Ok(fs::read_dir(scene.project().join("public"))?.count())
}

fn patients(events: &[Value]) -> Vec<&Value> {
    events
        .iter()
        .filter(|event| event["event"] == "patient")
        .collect()
}

#[test]
fn everything_goes_and_goes_once() -> Test {
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
    is_copy(&scene, "out")?;
    let again = scene
        .json(&["export", "file:out", "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!((&again["sent"], &again["skipped"]), (&0.into(), &90.into()));
    // Without its journal the directory itself is asked.
    fs::remove_dir_all(scene.project().join("export"))?;
    let again = scene
        .json(&["export", "file:out", "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!((&again["sent"], &again["skipped"]), (&0.into(), &90.into()));
    Ok(())
}

#[test]
fn a_selection_goes() -> Test {
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
fn a_dry_run_sends_nothing() -> Test {
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
fn wrong_words_and_places_are_refused() -> Test {
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
            "no node is called NOWHERE",
        ),
        (
            &["export", "QUERY", "--all"],
            3,
            "anon config add node.QUERY.use export",
        ),
        (
            &["export", "ARCHIVE@127.0.0.1", "--all"],
            3,
            "names no port",
        ),
    ] {
        let ran = scene.json(args)?.exits(code);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
    // A place that cannot be made is told of each patient.
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
fn a_node_that_is_away_ends_with_5() -> Test {
    let scene = made(3)?;
    scene
        .json(&["config", "set", "export.attempts", "1"])?
        .exits(0);
    // Port 9 (discard) has no listener here, and a port that does says no DICOM.
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
    Ok(())
}

#[test]
fn status_tells_what_was_exported() -> Test {
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
    assert!(human.out.contains("patients, 15 objects"), "{}", human.out);
    Ok(())
}

/// Who may not see the lookups can export: nothing of `private/` is needed.
#[test]
fn an_account_without_access_to_the_lookups_exports() -> Test {
    let scene = made(6)?;
    fs::rename(
        scene.project().join("private"),
        scene.path().join("elsewhere"),
    )?;
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    is_copy(&scene, "out")?;
    assert!(!scene.project().join("private").exists());
    Ok(())
}

#[test]
fn the_journal_can_lie_elsewhere() -> Test {
    let scene = made(3)?;
    let place = scene.path().join("notes");
    scene
        .json(&["config", "set", "export.journal", &place.to_string_lossy()])?
        .exits(0);
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    assert!(place.is_dir() && !scene.project().join("export").exists());
    Ok(())
}

#[test]
fn two_exports_to_one_place_do_not_mix() -> Test {
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
    // If the first is through already there is nothing to do.
    assert!(matches!(second.code, Some(0 | 4)), "{second:?}");
    out.read_to_string(&mut line)?;
    assert!(first.wait()?.success());
    is_copy(&scene, "out")
}

/// Exports, and sends the signal when objects come: the exit code and the last line, or none if it was
/// through before the signal came.
#[cfg(unix)]
fn cut_short(scene: &Scene, signal: rustix::process::Signal) -> Test<Option<(i32, Value)>> {
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
fn a_signal_ends_it_in_order() -> Test {
    use rustix::process::Signal;

    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let scene = Scene::new()?;
        scene.crowd("in", 3, 400)?;
        scene.run(&["init", "project"])?.exits(0);
        scene.json(&["import", "in"])?.exits(0);
        // On a busy machine we may come too late: then anew.
        let mut cut = None;
        for _ in 0..20 {
            cut = cut_short(&scene, signal)?;
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
        is_copy(&scene, "out")?;
    }
    Ok(())
}

/// A peer that takes the connection and says nothing, for an hour: the end is not held up by it.
#[cfg(unix)]
#[test]
fn a_silent_peer_does_not_hold_up_the_end() -> Test {
    use rustix::process::{Pid, Signal, kill_process};

    let scene = made(2)?;
    for timeout in ["acse", "dimse", "network"] {
        let key = format!("timeouts.{timeout}");
        scene.json(&["config", "set", &key, "3600"])?.exits(0);
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

/// A peer that says yes to an echo, and takes no more of an image once it comes: `it_came` is told.
#[cfg(unix)]
fn chokes(stream: TcpStream, it_came: &mpsc::Sender<()>) -> Test {
    let verification = uid("1.2.840.10008.1.1")?;
    let supported = Supported::new()
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
    // Held, and not read, for as long as the test runs.
    loop {
        thread::park();
    }
}

/// Inside an object that the peer does not read: the end is not held up by either.
#[cfg(unix)]
#[test]
fn a_large_object_does_not_hold_up_the_end() -> Test {
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
        scene.json(&["config", "set", &key, "3600"])?.exits(0);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let place = format!("CHOKES@{}", listener.local_addr()?);
    let (it_came, came) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // What goes wrong shows in what is told.
            let _ = chokes(stream, &it_came);
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
