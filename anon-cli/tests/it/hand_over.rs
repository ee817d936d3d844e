//! Two processes on one project, and signals.
//!
//! A process whose output is not read blocks once the pipe is full, while it holds the project.
//! So both processes are certain to run at the same time.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::init::SCRIPT;
use crate::support::{Run, Scene, Test, mode, pause};

/// More events than fit into a pipe.
pub(crate) const MANY: u32 = 600;

/// A command that has started and is blocked because its output is not read.
pub(crate) struct StalledCommand {
    child: Child,
    out: BufReader<ChildStdout>,
    first: String,
}

impl StalledCommand {
    pub(crate) fn start(mut command: Command) -> Test<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut first = String::new();
        out.read_line(&mut first)?;
        Ok(Self { child, out, first })
    }

    pub(crate) fn signal(&self, signal: Signal) -> Test {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)?;
        // Gives the process time to handle the signal while its output is blocked.
        pause(Duration::from_millis(200));
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Test<Run> {
        self.out.read_to_string(&mut self.first)?;
        let mut err = String::new();
        self.child
            .stderr
            .take()
            .ok_or("no pipe")?
            .read_to_string(&mut err)?;
        let code = self.child.wait()?.code();
        let out = self.first;
        Ok(Run { code, out, err })
    }
}

fn import(scene: &Scene, path: &str) -> Command {
    scene.command(&["-p", "project", "--format", "json", "import", path])
}

#[test]
fn a_second_import_hands_its_work_to_the_first() -> Test {
    let scene = Scene::new()?;
    scene.cts_with_long_paths("in", 7, MANY)?;
    scene.put("more/a.dcm", &ct_small(&Place::new(99).patient(500)))?;
    scene.write("more/b.txt", b"nothing")?;
    scene.ultrasound("more/c")?;
    let first = StalledCommand::start(import(&scene, "in"))?;
    let socket = scene.project().join("private/control.sock");
    assert_eq!(mode(&socket)?, 0o600);
    let second = scene.json(&["import", "more"])?.exits(1);
    let summary = second.summary()?;
    assert_eq!(
        (
            &summary["found"],
            &summary["stored"],
            &summary["quarantined"]
        ),
        (&json!(3), &json!(1), &json!({"Invalid_Storage_Class": 1}))
    );
    let events = second.events()?;
    let stored = events.iter().find(|event| event["source"] == "more/a.dcm");
    let output = stored
        .and_then(|event| event["output"].as_str())
        .ok_or("no output")?;
    assert!(
        scene.public()?.contains_key(output),
        "acknowledged and there"
    );
    // Read-only commands run beside both and see what was acknowledged.
    let patient = output.split('/').next().ok_or("no patient")?;
    let list = scene.json(&["quarantine", "list"])?.exits(0).events()?;
    let entry = list.first().and_then(|event| event["entry"].as_str());
    let entry = entry.ok_or("no entry")?;
    for args in [
        &["status"][..],
        &["patients"],
        &["index"],
        &["reidentify", patient],
        &["quarantine", "show", entry],
    ] {
        scene.json(args)?.exits(0);
    }
    let known = scene.json(&["reidentify", patient])?.exits(0);
    let original = Place::new(99).patient(500).patient_id();
    assert!(known.out.contains(&original), "{}", known.out);
    let shown = scene
        .json(&["quarantine", "show", entry])?
        .exits(0)
        .events()?;
    assert_eq!(shown.first(), list.first());
    // A deletion is visible to both processes.
    let deleted = scene.json(&["delete", "--patient", patient])?.exits(0);
    assert_eq!(deleted.summary()?["instances"], 1);
    assert!(!scene.public()?.contains_key(output));
    scene.json(&["delete", "--patient", patient])?.exits(1);
    let first = first.finish()?.exits(0).summary()?;
    assert_eq!(first["stored"], MANY);
    assert_eq!(scene.public()?.len(), MANY as usize);
    assert!(!socket.exists());
    Ok(())
}

#[test]
fn quarantine_retry_and_clear_run_beside_an_import() -> Test {
    let scene = Scene::new()?;
    for n in 0..3 {
        let object = ct_small(&Place::nth(9, n, 5)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
        scene.put(&format!("held/{n}"), &object)?;
    }
    scene.write("held/text", b"nothing")?;
    scene.json(&["import", "held", "held/text"])?.exits(1);
    scene.set("burned_in", "accept")?;
    scene.cts_with_long_paths("in", 7, MANY)?;
    let import = StalledCommand::start(import(&scene, "in"))?;
    let retry = ["quarantine", "retry", "--category"];
    let unknown = [&retry[..], &["Nonsense"]].concat();
    scene.json(&unknown)?.exits(3);
    let retried = scene.json(&[&retry[..], &["Burned_In"]].concat())?.exits(0);
    assert_eq!(retried.summary()?["stored"], 3);
    let stored = retried.events()?;
    let public = scene.public()?;
    for event in stored.iter().filter(|event| event["event"] == "instance") {
        let output = event["output"].as_str().ok_or("no output")?;
        assert!(public.contains_key(output), "acknowledged and there");
    }
    scene.json(&["quarantine", "clear", "ffff"])?.exits(3);
    let cleared = scene.json(&["quarantine", "clear", "--all"])?.exits(0);
    assert_eq!(cleared.summary()?["entries"], 1);
    let left = scene.json(&["quarantine", "list"])?.exits(0).summary()?;
    assert_eq!(left["entries"], 0);
    assert_eq!(import.finish()?.exits(0).summary()?["stored"], MANY);
    assert_eq!(scene.public()?.len(), MANY as usize + 3);
    Ok(())
}

#[test]
fn quarantine_accept_runs_beside_an_import() -> Test {
    let scene = Scene::new()?;
    let burned = ct_small(&Place::nth(9, 1, 5)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    scene.put("held/1", &burned)?;
    scene.json(&["import", "held"])?.exits(1);
    scene.cts_with_long_paths("in", 7, MANY)?;
    let import = StalledCommand::start(import(&scene, "in"))?;
    let accept = |entry: &str| scene.json(&["quarantine", "accept", entry, "--reason", "seen"]);
    accept("ffff")?.exits(3);
    let list = scene.json(&["quarantine", "list"])?.events()?;
    let entry = list[0]["entry"].as_str().ok_or("no entry")?;
    let accepted = accept(entry)?.exits(0);
    assert_eq!(accepted.summary()?["stored"], 1);
    let output = accepted.events()?[0]["output"].clone();
    let output = output.as_str().ok_or("no output")?;
    assert!(
        scene.public()?.contains_key(output),
        "acknowledged and there"
    );
    assert_eq!(
        scene.json(&["quarantine", "list"])?.summary()?["entries"],
        0
    );
    assert_eq!(import.finish()?.exits(0).summary()?["stored"], MANY);
    Ok(())
}

#[test]
fn settings_are_changed_beside_an_import_and_their_effect_is_said() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    scene.cts_with_long_paths("in", 7, MANY)?;
    let first = StalledCommand::start(import(&scene, "in"))?;
    let changed = scene.json(&["config", "set", "name", "WARD"])?.exits(0);
    assert_eq!(changed.summary()?["effect"], "restart");
    let human = ["-p", "project", "config", "add", "modalities", "US"];
    let human = scene.run(&human)?.exits(0);
    assert!(human.err.contains("is started again"), "{}", human.err);
    let again = scene.json(&["config", "set", "name", "WARD"])?.exits(0);
    assert_eq!(again.summary()?.get("effect"), None, "nothing was changed");
    let file = scene.project().join("project.toml");
    let text = fs::read_to_string(&file)?;
    assert!(text.contains("WARD") && text.contains("\"US\""), "{text}");
    // What decides which pseudonyms are given cannot change under the holder.
    let pid = first.child.id().to_string();
    let refused = scene.json(&["config", "set", "site_id", "6"])?.exits(3);
    assert!(refused.err.contains(&pid), "{}", refused.err);
    assert_eq!(fs::read_to_string(&file)?, text);
    // Another script counts from the next start on, and is accepted then.
    scene.write("my.script", SCRIPT.as_bytes())?;
    let script = ["config", "set", "script", "my.script"];
    let changed = scene.json(&script)?.exits(0).summary()?;
    assert_eq!(
        (&changed["value"], &changed["effect"]),
        (&json!("anonymizer.script"), &json!("restart"))
    );
    assert_eq!(first.finish()?.exits(0).summary()?["stored"], MANY);
    scene.put("more/a.dcm", &ct_small(&Place::new(99).patient(500)))?;
    let next = scene.json(&["import", "more"])?.exits(0).summary()?;
    assert_eq!(next["stored"], 1, "with the new rules");
    Ok(())
}

/// Each command reads the settings, changes a list and writes them. No change is lost.
#[test]
fn settings_changed_by_many_commands_at_once_are_all_kept() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let modalities = ["US", "XA", "RF", "MG", "NM", "PT", "OT", "SC"];
    let mut running = Vec::new();
    for modality in modalities {
        let args = ["-p", "project", "config", "add", "modalities", modality];
        running.push(scene.command(&args).stderr(Stdio::piped()).spawn()?);
    }
    for child in running {
        let ended = child.wait_with_output()?;
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{err}");
    }
    let got = scene.json(&["config", "get", "modalities"])?.exits(0);
    let got = got.summary()?["value"].to_string();
    for modality in modalities {
        assert!(got.contains(modality), "{modality} is lost: {got}");
    }
    Ok(())
}

#[test]
fn the_first_import_waits_for_work_handed_over_to_it() -> Test {
    let scene = Scene::new()?;
    scene.cts_with_long_paths("in", 7, MANY)?;
    scene.cts_with_long_paths("more", 8, MANY)?;
    let first = StalledCommand::start(import(&scene, "in"))?;
    let second = StalledCommand::start(import(&scene, "more"))?;
    // The first process has finished its own files; the second is blocked.
    let reader = std::thread::spawn(move || first.finish().map_err(|error| error.to_string()));
    let second = second.finish()?.exits(0).summary()?;
    let first = reader.join().map_err(|_| "a panic")??.exits(0).summary()?;
    assert_eq!(
        (&first["stored"], &second["stored"]),
        (&json!(MANY), &json!(MANY))
    );
    assert_eq!(scene.json(&["status"])?.summary()?["instances"], 2 * MANY);
    Ok(())
}

#[test]
fn a_signal_ends_an_import_and_the_next_import_continues() -> Test {
    // Enough files to remain after the signal is handled.
    let many = 4 * MANY;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let scene = Scene::new()?;
        scene.cts_with_long_paths("in", 7, many)?;
        let import_in = StalledCommand::start(import(&scene, "in"))?;
        import_in.signal(signal)?;
        let ran = import_in.finish()?.exits(code);
        let summary = ran.summary()?;
        assert_eq!(summary["interrupted"], true);
        let stored = summary["stored"].as_u64().ok_or("a count")?;
        assert!((1..u64::from(many)).contains(&stored), "{summary}");
        let public = scene.public()?;
        for event in ran.events()? {
            let output = event["output"].as_str();
            assert!(
                output.is_none_or(|output| public.contains_key(output)),
                "{event}"
            );
        }
        assert_eq!(scene.json(&["status"])?.summary()?["instances"], stored);
        let rest = scene.json(&["import", "in"])?.exits(0).summary()?;
        assert_eq!(rest["duplicates"], stored);
        assert_eq!(rest["stored"], u64::from(many) - stored);
    }
    Ok(())
}

#[test]
fn a_signal_ends_a_quarantine_retry_and_the_next_continues() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let relaxed = ["config", "set", "durability", "relaxed"];
    scene.json(&relaxed)?.exits(0);
    // Twice what the pipe and the queue hold.
    let many = 2 * MANY;
    for n in 0..many {
        let object = ct_small(&Place::nth(7, n, 5)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
        scene.put(&format!("in/{n}"), &object)?;
    }
    let quarantined = scene.json(&["import", "in"])?.exits(1).summary()?;
    assert_eq!(quarantined["quarantined"], json!({"Burned_In": many}));
    let accept = ["config", "set", "burned_in", "accept"];
    scene.json(&accept)?.exits(0);
    let args = ["-p", "project", "--format", "json", "quarantine", "retry"];
    let retry = StalledCommand::start(scene.command(&args))?;
    retry.signal(Signal::INT)?;
    let summary = retry.finish()?.exits(130).summary()?;
    assert_eq!(summary["interrupted"], true, "{summary}");
    let stored = summary["stored"].as_u64().ok_or("a count")?;
    assert!((1..u64::from(many)).contains(&stored), "{summary}");
    let rest = scene.run(&args)?.exits(0).summary()?;
    assert_eq!(rest["stored"], u64::from(many) - stored);
    assert_eq!(scene.public()?.len(), many as usize);
    Ok(())
}

#[test]
fn import_exits_with_4_when_its_output_pipe_is_closed() -> Test {
    let scene = Scene::new()?;
    scene.cts_with_long_paths("in", 7, MANY)?;
    let StalledCommand { mut child, out, .. } = StalledCommand::start(import(&scene, "in"))?;
    drop(out);
    assert_eq!(child.wait()?.code(), Some(4));
    let stored = scene.json(&["status"])?.summary()?["instances"].clone();
    assert!(
        stored
            .as_u64()
            .is_some_and(|stored| stored < u64::from(MANY)),
        "{stored}"
    );
    // A read-only command ends without an error.
    let StalledCommand { mut child, out, .. } =
        StalledCommand::start(scene.command(&["-p", "project", "script", "show", "rsna-v17"]))?;
    drop(out);
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_signal_to_the_second_import_does_not_stop_the_first() -> Test {
    let scene = Scene::new()?;
    scene.cts_with_long_paths("in", 7, MANY)?;
    scene.cts_with_long_paths("more", 8, 3 * MANY)?;
    let holder = StalledCommand::start(import(&scene, "in"))?;
    let client = StalledCommand::start(import(&scene, "more"))?;
    client.signal(Signal::TERM)?;
    let client = client.finish()?.exits(143);
    let summary = client.summary()?;
    assert_eq!(summary["interrupted"], true, "{summary}");
    let ran = holder.finish()?.exits(0);
    let stored: Vec<Value> = ran.events()?;
    assert_eq!(stored.len(), MANY as usize + 1);
    Ok(())
}

#[test]
fn killing_the_second_import_does_not_stop_the_first() -> Test {
    let scene = Scene::new()?;
    scene.cts_with_long_paths("in", 7, MANY)?;
    scene.cts_with_long_paths("more", 8, 3 * MANY)?;
    let holder = StalledCommand::start(import(&scene, "in"))?;
    let mut client = StalledCommand::start(import(&scene, "more"))?;
    client.child.kill()?;
    client.child.wait()?;
    drop(client);
    let summary = holder.finish()?.exits(0).summary()?;
    assert_eq!(summary["stored"], MANY);
    Ok(())
}
