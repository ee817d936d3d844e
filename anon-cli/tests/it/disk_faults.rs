//! A disk that cannot grow, and a source that cannot be read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Run, Scene, Test, finish};

/// Imports with a file size limit of `blocks` blocks of 512 bytes.
fn limited(scene: &Scene, blocks: u64) -> Test<Run> {
    let run = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec '{}' -p project --format json import in --jobs 2",
        env!("CARGO_BIN_EXE_anon")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &run]).current_dir(scene.path());
    finish(&mut command)
}

#[test]
fn import_stops_when_the_lookup_store_cannot_grow_and_a_second_import_finishes() -> Test {
    const FILES: u32 = 400;
    let scene = Scene::new()?;
    scene.cts(FILES)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in/000/00000.dcm"])?.exits(0);
    let store = scene.project().join("private/lookup.redb");
    let blocks = fs::metadata(&store)?.len() / 512;
    let ran = limited(&scene, blocks)?.exits(4);
    let summary = ran.summary()?;
    let why = summary["error"].as_str().ok_or("no error")?;
    assert!(why.split(' ').count() > 2, "{why}");
    let public = scene.public()?;
    for event in ran.events()? {
        let output = event["output"].as_str();
        assert!(output.is_none_or(|it| public.contains_key(it)), "{event}");
    }
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["instances"], public.len());
    let rest = scene.json(&["import", "in"])?.exits(0).summary()?;
    assert_eq!(rest["stored"], FILES as usize - public.len());
    assert_eq!(rest["duplicates"], public.len());
    assert_eq!(scene.public()?.len(), FILES as usize);
    Ok(())
}

#[test]
fn import_reports_an_unreadable_file_and_stores_the_rest() -> Test {
    // A Linux file that reports 4,096 bytes and fails when it is read.
    let broken = Path::new("/sys/class/net/lo/speed");
    if !broken.is_file() || fs::read(broken).is_ok() {
        eprintln!("skipped: no file here gives a read error");
        return Ok(());
    }
    let scene = Scene::new()?;
    scene.cts(3)?;
    symlink(broken, scene.path().join("in/000/00001a.dcm"))?;
    let ran = scene.json(&["import", "in"])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(
        (
            &summary["stored"],
            &summary["failed"],
            &summary["quarantined"]
        ),
        (&json!(3), &json!(1), &json!({}))
    );
    let events = ran.events()?;
    let failed = events.iter().find(|event| event["outcome"] == "failed");
    let failed = failed.ok_or("no failed event")?;
    assert_eq!(failed["source"], "in/000/00001a.dcm");
    let reason = failed["reason"].as_str().ok_or("no reason")?;
    assert!(reason.contains("read"), "{reason}");
    Ok(())
}
