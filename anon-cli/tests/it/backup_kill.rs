//! SIGKILL of a backup and of a restore before each of their changes of the file system: a backup is
//! whole or has no name, and a project is the old or the restored one.

use std::fs;
use std::process::Command;

use anon_engine::testing::files::{Place, ct_small};
use serde_json::Value;

use crate::support::{Run, Scene, Test, finish};

/// The calls that change names or make changes durable. `?` stands before those that not every
/// processor has.
const CALLS: &str = "?rename,?renameat,?renameat2,?link,?linkat,?unlink,?unlinkat,?mkdir,?mkdirat,?rmdir,\
                     fsync,fdatasync,ftruncate";

const SKIPPED: &str = "skipped: strace is not here, or may not trace";

fn has_strace() -> bool {
    let traced = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    traced.is_ok_and(|status| status.success())
}

/// Runs a command that is killed before its nth call. Returns `None` if it was killed.
fn killed_at(scene: &Scene, nth: u32, args: &[&str]) -> Test<Option<Run>> {
    let inject = format!("inject={CALLS}:signal=KILL:when={nth}");
    let plain = scene.command(args);
    let mut command = Command::new("strace");
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={CALLS}"),
            "-e",
            &inject,
        ])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(scene.path())
        .env_remove("ANON_PROJECT")
        .env("XDG_STATE_HOME", scene.path().join(".state"));
    let run = finish(&mut command)?;
    Ok(run.code.is_some_and(|code| code != 137).then_some(run))
}

fn copy(scene: &Scene, from: &str, to: &str) -> Test {
    let status = Command::new("cp")
        .args(["-a", from, to])
        .current_dir(scene.path())
        .status()?;
    assert!(status.success());
    Ok(())
}

fn in_place(scene: &Scene, place: &str, args: &[&str]) -> Test<Value> {
    let mut all = vec!["-p", place, "--format", "json"];
    all.extend(args);
    scene.run(&all)?.exits(0).summary()
}

/// Makes `project` with patients A and B, `b1`, its backup after A, and C to import.
fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
        scene.put(
            &format!("{name}/1"),
            &ct_small(&Place::new(3).patient(number).study(number)),
        )?;
    }
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    scene.set("dates", "keyed")?;
    scene.json(&["import", "a"])?.exits(0);
    scene.json(&["backup", "b1"])?.exits(0);
    scene.set("name", "LATER")?;
    scene.json(&["import", "b"])?.exits(0);
    Ok(scene)
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_project_or_the_restored_one() -> Test {
    if !has_strace() {
        eprintln!("{SKIPPED}");
        return Ok(());
    }
    let scene = made()?;
    let (mut old, mut new) = (0, 0);
    for nth in 1.. {
        let place = format!("at{nth}");
        copy(&scene, "project", &place)?;
        let args = ["-p", &place, "restore", "b1", "--yes"];
        let done = killed_at(&scene, nth, &args)?
            .map(|run| run.exits(0))
            .is_some();
        let status = in_place(&scene, &place, &["status"])?;
        match (status["instances"].as_u64(), status["name"].as_str()) {
            (Some(2), Some("LATER")) if !done => old += 1,
            (Some(1), Some("MY_PROJECT")) => new += 1,
            _ => return Err(format!("killed at {nth}: {status}").into()),
        }
        in_place(&scene, &place, &["import", "c"])?;
        let public = scene.path().join(&place).join("public");
        let mut patients = Vec::new();
        for entry in fs::read_dir(public)? {
            patients.push(entry?.file_name());
        }
        patients.sort();
        assert_eq!(
            patients,
            ["5-000001", "5-000002", "5-000003"],
            "killed at {nth}"
        );
        let private = scene.path().join(&place).join("private");
        assert!(!private.join("restore").exists(), "killed at {nth}");
        fs::remove_dir_all(scene.path().join(&place))?;
        if done {
            break;
        }
    }
    assert!(old > 5 && new > 5, "{old} {new}");
    Ok(())
}

#[test]
fn a_restore_into_a_new_place_that_is_killed_is_finished_or_begun_again() -> Test {
    if !has_strace() {
        eprintln!("{SKIPPED}");
        return Ok(());
    }
    let scene = made()?;
    for nth in 1.. {
        let place = format!("at{nth}");
        let args = ["-p", &place, "restore", "b1", "--yes"];
        let done = killed_at(&scene, nth, &args)?
            .map(|run| run.exits(0))
            .is_some();
        // A command before the next restore finishes what was decided.
        let looked = scene.run(&["-p", &place, "--format", "json", "status"])?;
        if looked.code == Some(0) {
            assert_eq!(looked.summary()?["instances"], 1, "killed at {nth}");
        } else {
            let restored = in_place(&scene, &place, &["restore", "b1", "--yes"])?;
            assert_eq!(restored["instances"], 1, "killed at {nth}");
        }
        in_place(&scene, &place, &["import", "c"])?;
        let status = in_place(&scene, &place, &["status"])?;
        assert_eq!(status["instances"], 2, "killed at {nth}");
        fs::remove_dir_all(scene.path().join(&place))?;
        if done {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn a_backup_that_is_killed_is_whole_or_has_no_name() -> Test {
    if !has_strace() {
        eprintln!("{SKIPPED}");
        return Ok(());
    }
    let scene = made()?;
    for nth in 1.. {
        let (file, place) = (format!("file{nth}"), format!("place{nth}"));
        let args = ["-p", "project", "backup", &file];
        let done = killed_at(&scene, nth, &args)?
            .map(|run| run.exits(0))
            .is_some();
        let path = scene.path().join(&file);
        if !path.exists() {
            assert!(!done);
            scene.json(&["backup", &file])?.exits(0);
            assert!(!scene.path().join(format!("{file}.new")).exists(), "{nth}");
        }
        let restored = in_place(&scene, &place, &["restore", &file])?;
        assert_eq!(restored["instances"], 2, "killed at {nth}");
        assert!(!scene.project().join("private/backup/lookup.redb").exists() || !done);
        fs::remove_dir_all(scene.path().join(&place))?;
        if done {
            break;
        }
    }
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["instances"], 2);
    Ok(())
}
