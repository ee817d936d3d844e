//! SIGKILL in the middle of exports: no object at the destination is partial, and a second run sends
//! only what neither the journal nor the listing shows as sent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use dicom_object::{InMemDicomObject, open_file};
use serde_json::json;

use crate::shared::servers::{Server, ServerKind, Setup};
use crate::support::{Scene, Test, pause, tree};

const FILES: u32 = 150;
const KILLS: u64 = 60;

/// Returns the complete objects at the destination.
fn there(scene: &Scene) -> Test<BTreeMap<String, Vec<u8>>> {
    let to = scene.path().join("out");
    if !to.exists() {
        return Ok(BTreeMap::new());
    }
    let mut there = tree(&to)?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    Ok(there)
}

fn kill(scene: &Scene, to: &str, turn: u64) -> Test {
    let mut child = scene
        .command(&["-p", "project", "--format", "json", "export", to, "--all"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut said = String::new();
    if turn.is_multiple_of(3) {
        out.read_line(&mut said)?;
    }
    // A pause of another length each time.
    pause(Duration::from_micros(turn * 7919 % 60_000));
    child.kill()?;
    child.wait()?;
    out.read_to_string(&mut said)?;
    Ok(())
}

#[test]
fn export_to_a_directory_survives_kills() -> Test {
    let scene = Scene::new()?;
    scene.cts(FILES)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    let public = scene.public()?;
    for turn in 0..KILLS {
        kill(&scene, "file:out", turn)?;
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
        // Starts with an empty destination and the old journal: the listing decides.
        fs::remove_dir_all(scene.path().join("out"))?;
    }
    Ok(())
}

/// Returns the received objects by SOP Instance UID.
fn received(server: &Server) -> Test<BTreeMap<String, Vec<InMemDicomObject>>> {
    let mut all = BTreeMap::<String, Vec<InMemDicomObject>>::new();
    for path in server.received()? {
        let object = open_file(path)?;
        let instance = object.meta().media_storage_sop_instance_uid();
        let instance = instance.trim_end_matches('\0').to_owned();
        all.entry(instance).or_default().push(object.into_inner());
    }
    Ok(all)
}

/// A receiver without C-FIND: only the journal knows what was sent. At most the object in transfer at a
/// kill arrives twice.
#[test]
fn export_to_a_node_survives_kills() -> Test {
    const NODE_KILLS: u64 = 24;
    let Some(server) = ServerKind::Storescp.start(&Setup::default())? else {
        return Ok(());
    };
    let scene = Scene::new()?;
    scene.cts(FILES)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    scene.set("export.associations", "1")?;
    let place = format!("{}@{}", server.title(), server.address());
    for turn in 0..NODE_KILLS {
        kill(&scene, &place, turn)?;
    }
    let told = scene.json(&["export", &place, "--all", "--dry-run"])?;
    let told = told.exits(0).summary()?;
    let last = scene
        .json(&["export", &place, "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&last["sent"], &last["skipped"]),
        (&told["sent"], &told["skipped"])
    );
    let again = scene
        .json(&["export", &place, "--all"])?
        .exits(0)
        .summary()?;
    assert_eq!(
        (&again["sent"], &again["skipped"]),
        (&json!(0), &json!(FILES))
    );
    let received = received(&server)?;
    let public = scene.public()?;
    assert_eq!(received.len(), public.len(), "exactly the set");
    for name in public.keys() {
        let ours = open_file(scene.project().join("public").join(name))?.into_inner();
        let instance = name
            .rsplit('/')
            .next()
            .and_then(|it| it.strip_suffix(".dcm"));
        let there = received
            .get(instance.ok_or("a name")?)
            .ok_or("it is not there")?;
        assert!(
            there.iter().all(|it| *it == ours),
            "{name} is there as something else"
        );
    }
    let twice = received.values().map(|all| all.len() - 1).sum::<usize>();
    assert!(twice as u64 <= NODE_KILLS, "{twice} objects came twice");
    Ok(())
}
