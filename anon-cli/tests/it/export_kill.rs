//! SIGKILL in the middle of exports: nothing half is at the destination, a second run sends what is
//! missing and nothing that the journal or the listing could have told.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Scene, Test, tree};

const FILES: u32 = 150;
const KILLS: u64 = 60;

/// What is at the destination, and what is whole of it.
fn there(scene: &Scene) -> Test<BTreeMap<String, Vec<u8>>> {
    let to = scene.path().join("out");
    if !to.exists() {
        return Ok(BTreeMap::new());
    }
    let mut there = tree(&to)?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    Ok(there)
}

fn kill(scene: &Scene, turn: u64) -> Test {
    let mut child = scene
        .command(&[
            "-p", "project", "--format", "json", "export", "file:out", "--all",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut said = String::new();
    if turn.is_multiple_of(3) {
        out.read_line(&mut said)?;
    }
    // Nothing is ever sent: this is a pause, of another length each time.
    let pause = Duration::from_micros(turn * 7919 % 60_000);
    let _ = crossbeam_channel::never::<()>().recv_timeout(pause);
    child.kill()?;
    child.wait()?;
    out.read_to_string(&mut said)?;
    Ok(())
}

#[test]
fn killed_at_any_moment() -> Test {
    let scene = Scene::new()?;
    scene.cts(FILES)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    let public = scene.public()?;
    for turn in 0..KILLS {
        kill(&scene, turn)?;
        let before = there(&scene)?;
        for (name, bytes) in &before {
            assert_eq!(
                Some(bytes),
                public.get(name),
                "{name} is half there after kill {turn}"
            );
        }
        if turn % 4 != 3 {
            continue;
        }
        let summary = scene
            .json(&["export", "file:out", "--all"])?
            .exits(0)
            .summary()?;
        let sent = FILES as usize - before.len();
        assert_eq!(summary["sent"], sent, "after kill {turn}: {summary}");
        assert_eq!(summary["skipped"], before.len(), "{summary}");
        assert!(there(&scene)? == public, "after kill {turn}");
        let left = fs::read_dir(scene.path().join("out/.anon-export"))?.count();
        assert_eq!(left, 1, "the lock alone");
        let status = scene.json(&["status"])?.exits(0).summary()?;
        assert_eq!(status["exports"][0]["objects"], FILES, "{status}");
        // Anew, with the journal of before: the listing decides.
        fs::remove_dir_all(scene.path().join("out"))?;
    }
    Ok(())
}
