//! Whoever can write a project, or a directory above it, decides what is removed and where objects are
//! sent. Such a project is refused, with the line to run.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anon_engine::testing::files::{Place, ct_small};

use crate::init::SCRIPT;
use crate::support::{Run, Scene, Test, chmod, finish, mode};

/// A user and a group that nobody has.
const JANE: u32 = 54_321;
const GROUP: u32 = 54_322;

/// Returns true if this test can run commands as another user.
#[expect(clippy::print_stderr, reason = "says why a test does nothing")]
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: not root");
    }
    is_root
}

/// A scene whose directory another user can reach, with a copy of the binary that this user can run.
fn reachable() -> Test<Scene> {
    let scene = Scene::new()?;
    chmod(scene.path(), 0o755)?;
    let (built, binary) = (Path::new(env!("CARGO_BIN_EXE_anon")), binary(&scene));
    if fs::hard_link(built, &binary).is_err() {
        fs::copy(built, &binary)?;
    }
    Ok(scene)
}

fn binary(scene: &Scene) -> PathBuf {
    scene.path().join("anon")
}

/// Returns a command that another user runs in `directory`, which becomes this user's home.
fn as_jane(scene: &Scene, directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary(scene));
    command
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .uid(JANE)
        .gid(JANE);
    command
}

/// Makes a directory of the other user.
fn home_of_jane(scene: &Scene) -> Test<PathBuf> {
    let home = scene.path().join("jane");
    fs::create_dir(&home)?;
    chown(&home, Some(JANE), Some(JANE))?;
    Ok(home)
}

fn with_image() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    Ok(scene)
}

/// Commands that read, write, send and change settings.
const COMMANDS: [&[&str]; 9] = [
    &["import", "in"],
    &["status"],
    &["index"],
    &["export", "file:out", "--all"],
    &["config", "get", "burned_in"],
    &["config", "set", "burned_in", "accept"],
    &["delete", "--patient", "5-000001"],
    &["serve", "--port", "0"],
    &["quarantine", "list"],
];

#[track_caller]
fn all_refuse(scene: &Scene, words: &[&str]) -> Test {
    for args in COMMANDS {
        let ran = scene.json(args)?.exits(4);
        for word in words {
            assert!(ran.err.contains(word), "{args:?}: no {word}: {}", ran.err);
        }
    }
    assert!(!scene.path().join("out").exists());
    Ok(())
}

/// Runs the first line of a message that begins with two blanks, as a user would paste it.
fn paste(scene: &Scene, ran: &Run) -> Test {
    let line = ran.err.lines().find_map(|line| line.strip_prefix("  "));
    let line = line.ok_or("there is no line to run")?;
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(scene.path());
    finish(&mut shell)?.exits(0);
    Ok(())
}

#[test]
fn a_project_that_others_can_write_is_refused_until_the_line_is_run() -> Test {
    let scene = with_image()?;
    scene.json(&["export", "file:first", "--all"])?.exits(0);
    scene.write("project/anonymizer.script", SCRIPT.as_bytes())?;
    for name in [
        "",
        "project.toml",
        "anonymizer.script",
        "store.mark",
        "export",
    ] {
        let path = scene.project().join(name);
        for wide in [0o020, 0o002] {
            chmod(&path, mode(&path)? | wide)?;
            all_refuse(&scene, &["can be written by others", "chmod go-w"])?;
            paste(&scene, &scene.json(&["status"])?)?;
            scene.json(&["status"])?.exits(0);
        }
    }
    Ok(())
}

/// The umask of many Linux desktops.
#[test]
fn a_project_made_under_umask_002_is_used_and_an_older_one_gets_one_line() -> Test {
    let scene = Scene::new()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.write("my.script", SCRIPT.as_bytes())?;
    let anon = |args: &str| -> Test<Run> {
        let line = format!("umask 002; exec '{}' {args}", env!("CARGO_BIN_EXE_anon"));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &line])
            .current_dir(scene.path())
            .env_remove("ANON_PROJECT")
            .env("XDG_STATE_HOME", scene.path().join(".state"))
            .env("XDG_CONFIG_HOME", scene.path().join(".config"));
        finish(&mut shell)
    };
    anon("init data/trial --script my.script")?.exits(0);
    anon("-p data/trial import in")?.exits(0);
    anon("-p data/trial export file:out --all")?.exits(0);
    anon("-p data/trial status")?.exits(0);
    let trial = scene.path().join("data/trial");
    let names = [
        "",
        "project.toml",
        "anonymizer.script",
        "store.mark",
        "export",
    ];
    for name in names {
        let path = trial.join(name);
        assert_eq!(mode(&path)? & 0o022, 0, "{name}");
        chmod(&path, mode(&path)? | 0o020)?;
    }
    let ran = anon("-p data/trial status")?.exits(4);
    paste(&scene, &ran)?;
    anon("-p data/trial status")?.exits(0);
    Ok(())
}

#[test]
fn links_in_the_place_of_what_decides_are_not_followed() -> Test {
    for name in [
        "project.toml",
        "store.mark",
        "private",
        "private/logs",
        "private/lookup.redb",
    ] {
        let scene = with_image()?;
        let (path, aside) = (scene.project().join(name), scene.path().join("aside"));
        fs::rename(&path, &aside)?;
        symlink(&aside, &path)?;
        let ran = scene.json(&["import", "in"])?.exits(4);
        assert!(ran.err.contains("symbolic link"), "{name}: {}", ran.err);
    }
    Ok(())
}

#[test]
fn a_directory_above_that_others_can_write_is_refused() -> Test {
    let scene = with_image()?;
    chmod(scene.path(), 0o777)?;
    all_refuse(
        &scene,
        &["can put another project in the place of", "chmod go-w"],
    )?;
    let ran = scene.run(&["init", "other"])?.exits(4);
    assert!(!scene.path().join("other").exists(), "{}", ran.err);
    // Others cannot replace what is not theirs in a directory such as /tmp.
    chmod(scene.path(), 0o1777)?;
    scene.json(&["status"])?.exits(0);
    chmod(scene.path(), 0o777)?;
    paste(&scene, &scene.json(&["status"])?)?;
    scene.json(&["status"])?.exits(0);
    Ok(())
}

#[test]
fn a_script_elsewhere_that_others_can_write_is_refused() -> Test {
    let scene = with_image()?;
    let script = scene.write("my.script", SCRIPT.as_bytes())?;
    let toml = fs::read_to_string(scene.project().join("project.toml"))?;
    let named = format!("script = {:?}", script.to_string_lossy());
    let toml = toml.replace("script = \"rsna-v17\"", &named);
    scene.write("project/project.toml", toml.as_bytes())?;
    let import = ["import", "in", "--accept-new-rules"];
    scene.json(&import)?.exits(0);
    chmod(&script, 0o666)?;
    let ran = scene.json(&import)?.exits(4);
    assert!(ran.err.contains("chmod go-w"), "{}", ran.err);
    Ok(())
}

#[test]
fn root_gets_the_sudo_line_for_a_project_of_a_user_and_a_user_for_one_of_root() -> Test {
    if !is_root() {
        return Ok(());
    }
    let scene = reachable()?;
    let home = home_of_jane(&scene)?;
    finish(&mut as_jane(&scene, &home, &["init", "trial"]))?.exits(0);
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    let trial = home.join("trial");
    let trial = trial.to_str().ok_or("a path")?;
    for args in COMMANDS {
        let mut all = vec!["-p", trial];
        all.extend(args);
        let ran = scene.run(&all)?.exits(4);
        let line = format!("sudo -u '#{JANE}' anon -p {trial} {}", args.join(" "));
        assert!(ran.err.contains(&line), "{}", ran.err);
        assert!(
            ran.err.contains(&format!("chown -R 0 {trial}")),
            "{}",
            ran.err
        );
    }
    assert!(!Path::new(trial).join("private/lookup.redb").exists());
    // The other way round.
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    let project = scene.project();
    let project = project.to_str().ok_or("a path")?;
    let ran = finish(&mut as_jane(
        &scene,
        &home,
        &["-p", project, "config", "get"],
    ))?
    .exits(4);
    assert!(ran.err.contains("sudo -u root anon"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_project_above_that_belongs_to_another_user_is_not_taken() -> Test {
    if !is_root() {
        return Ok(());
    }
    let scene = reachable()?;
    let home = home_of_jane(&scene)?;
    finish(&mut as_jane(&scene, &home, &["init", "trial"]))?.exits(0);
    // As anyone could make one in /tmp.
    let open = scene.path().join("open");
    fs::create_dir(&open)?;
    fs::copy(home.join("trial/project.toml"), open.join("project.toml"))?;
    chown(open.join("project.toml"), Some(JANE), Some(JANE))?;
    chmod(&open, 0o1777)?;
    for above in [home.join("trial"), open] {
        scene.put("in/1", &ct_small(&Place::new(3)))?;
        let below = above.join("below");
        fs::create_dir(&below)?;
        for args in [
            &["import", "../in"][..],
            &["status"],
            &["list", "modalities"],
        ] {
            let ran = finish(scene.command(args).current_dir(&below))?.exits(4);
            assert!(ran.err.contains("is not taken"), "{args:?}: {}", ran.err);
        }
    }
    assert!(!home.join("trial/private/lookup.redb").exists());
    Ok(())
}

#[test]
fn an_account_that_only_exports_says_so_and_needs_nothing_of_private() -> Test {
    if !is_root() {
        return Ok(());
    }
    let scene = reachable()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    let home = home_of_jane(&scene)?;
    scene.set("export.journal", &home.join("sent").to_string_lossy())?;
    let project = scene.project();
    let project = project.to_str().ok_or("a path")?;
    let jane = |args: &[&str]| {
        let mut all = vec!["-p", project];
        all.extend(args);
        finish(&mut as_jane(&scene, &home, &all))
    };
    let export = ["export", "file:out", "--all"];
    let refused = jane(&export)?.exits(4);
    let line = format!("anon -p {project} config trust export");
    assert!(refused.err.contains(&line), "{}", refused.err);
    assert!(!home.join("out").exists());
    jane(&["config", "trust", "export"])?.exits(0);
    jane(&export)?.exits(0);
    assert!(home.join("out/5-000001").is_dir());
    // Everything else stays closed, and others than its owner must not be able to write it.
    jane(&["status"])?.exits(4);
    jane(&["config", "set", "burned_in", "accept"])?.exits(4);
    chmod(&scene.project(), 0o775)?;
    jane(&export)?.exits(4);
    Ok(())
}

#[test]
fn the_owner_says_that_another_account_writes_the_journals_of_exports() -> Test {
    if !is_root() {
        return Ok(());
    }
    let scene = with_image()?;
    let export = scene.project().join("export");
    fs::create_dir(&export)?;
    chown(&export, Some(JANE), None)?;
    let ran = scene.json(&["status"])?.exits(4);
    assert!(
        ran.err.contains(&format!("belongs to user {JANE}")),
        "{}",
        ran.err
    );
    scene.json(&["config", "trust", "export"])?.exits(0);
    scene.json(&["status"])?.exits(0);
    Ok(())
}

#[test]
fn a_shared_directory_is_used_by_those_who_trust_its_group() -> Test {
    if !is_root() {
        return Ok(());
    }
    let scene = reachable()?;
    let home = home_of_jane(&scene)?;
    let jane = |args: &[&str]| finish(&mut as_jane(&scene, &home, args));
    jane(&["init", "trial"])?.exits(0);
    let trial = home.join("trial");
    chown(&trial, Some(0), Some(GROUP))?;
    chown(trial.join("project.toml"), Some(0), Some(GROUP))?;
    chmod(&trial, 0o775)?;
    let status = ["-p", "trial", "status"];
    jane(&status)?.exits(4);
    // The exception of another user does not count.
    let root = trial.to_str().ok_or("a path")?;
    scene
        .run(&["-p", root, "config", "trust", "group"])?
        .exits(0);
    jane(&status)?.exits(4);
    jane(&["-p", "trial", "config", "trust", "group"])?.exits(0);
    jane(&status)?.exits(0);
    assert_eq!(mode(&home.join(".config/anon/trust.toml"))?, 0o600);
    // `private/` is for its owner alone all the same, and everybody is not a group.
    let ran = scene.run(&["-p", root, "status"])?.exits(4);
    assert!(ran.err.contains("private belongs to"), "{}", ran.err);
    chmod(&trial, 0o777)?;
    jane(&status)?.exits(4);
    chmod(&trial, 0o775)?;
    jane(&["-p", "trial", "config", "trust", "nobody"])?.exits(0);
    jane(&status)?.exits(4);
    Ok(())
}

#[test]
fn exceptions_that_others_can_write_are_refused() -> Test {
    let scene = with_image()?;
    let file = scene.path().join("settings/anon/trust.toml");
    let anon = |args: &[&str]| {
        let mut command = scene.command(args);
        finish(command.env("XDG_CONFIG_HOME", scene.path().join("settings")))
    };
    anon(&["-p", "project", "config", "trust", "group"])?.exits(0);
    anon(&["-p", "project", "status"])?.exits(0);
    chmod(&file, 0o666)?;
    let ran = anon(&["-p", "project", "status"])?.exits(4);
    paste(&scene, &ran)?;
    anon(&["-p", "project", "status"])?.exits(0);
    Ok(())
}

/// Whoever can write `public/` could have outputs written, read and removed elsewhere.
#[test]
fn links_in_public_are_not_followed_when_objects_are_stored_and_deleted() -> Test {
    for durability in ["full", "relaxed"] {
        let scene = with_image()?;
        scene.set("durability", durability)?;
        // Another study of the same patient.
        scene.put("b/1", &ct_small(&Place::new(4)))?;
        let outside = scene.path().join("outside");
        let patient = scene.project().join("public/5-000001");
        fs::rename(&patient, &outside)?;
        symlink(&outside, &patient)?;
        let before = crate::support::tree(&outside)?;
        assert_eq!(before.len(), 1);
        let ran = scene.json(&["import", "b"])?.exits(4);
        assert!(ran.out.contains("symbolic link"), "{}", ran.out);
        assert!(crate::support::tree(&outside)? == before, "{durability}");
        assert_eq!(scene.json(&["status"])?.exits(0).summary()?["instances"], 1);
        let ran = scene.json(&["delete", "--patient", "5-000001"])?.exits(4);
        assert!(ran.err.contains("symbolic link"), "{}", ran.err);
        assert!(crate::support::tree(&outside)? == before, "{durability}");
        // Once the directory is back, everything goes on.
        fs::remove_file(&patient)?;
        fs::rename(&outside, &patient)?;
        scene.json(&["delete", "--patient", "5-000001"])?;
        scene.json(&["import", "b"])?.exits(0);
        assert_eq!(scene.public()?.len(), 1);
    }
    Ok(())
}

#[test]
fn links_in_private_are_not_followed() -> Test {
    let scene = with_image()?;
    let other = scene.write("other", b"kept")?;
    scene.ultrasound("us/1")?;
    for name in [
        "lock",
        "audit.jsonl",
        "last_find.json",
        "logs/anon.log",
        "accepting",
    ] {
        let path = scene.project().join("private").join(name);
        let before = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        symlink(&other, &path)?;
        for args in [
            &["import", "us"][..],
            &["index"],
            &["delete", "--patient", "5-000001"],
        ] {
            let ran = scene.json(args)?;
            assert!(
                ran.err.contains("symbolic link") || name.starts_with("logs"),
                "{name}"
            );
            assert!(
                ran.code == Some(4) || name.starts_with("logs"),
                "{name}: {}",
                ran.err
            );
        }
        assert_eq!(fs::read(&other)?, b"kept", "{name}");
        fs::remove_file(&path)?;
        if let Some(before) = before {
            scene.write(&format!("project/private/{name}"), &before)?;
            chmod(&path, 0o600)?;
        }
    }
    // Originals are not copied to another place.
    let outside = scene.path().join("outside");
    fs::create_dir(&outside)?;
    let category = scene
        .project()
        .join("private/quarantine/Invalid_Storage_Class");
    let _ = fs::remove_dir_all(&category);
    symlink(&outside, &category)?;
    scene.json(&["import", "us"])?.exits(4);
    assert_eq!(fs::read_dir(&outside)?.count(), 0);
    Ok(())
}

#[test]
fn what_was_edited_is_readable_by_its_owner_alone() -> Test {
    let scene = with_image()?;
    let editor = scene.write("editor", b"#!/bin/sh\necho 'nonsense = [' > \"$1\"\n")?;
    chmod(&editor, 0o755)?;
    let mut edit = scene.command(&["-p", "project", "config", "edit"]);
    finish(edit.env("EDITOR", &editor))?.exits(3);
    let rejected = scene.project().join("project.toml.rejected");
    assert_eq!(mode(&rejected)?, 0o600);
    Ok(())
}

/// Whoever writes the settings would choose which variable of this account is sent, and where.
#[test]
#[cfg(feature = "s3")]
fn settings_of_another_user_do_not_choose_secrets_of_this_one() -> Test {
    use std::io::Write as _;
    if !is_root() {
        return Ok(());
    }
    let scene = reachable()?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    let home = home_of_jane(&scene)?;
    for (key, value) in [
        ("export.journal", &*home.join("sent").to_string_lossy()),
        ("s3.endpoint", "http://127.0.0.1:1"),
        ("s3.region", "eu-1"),
        ("s3.bucket", "images"),
        ("s3.access_key_env", "HOME"),
        ("s3.secret_key_env", "OTHER_SECRET"),
    ] {
        scene.set(key, value)?;
    }
    let project = scene.project();
    let project = project.to_str().ok_or("a path")?;
    let jane = |args: &[&str]| {
        let mut all = vec!["-p", project];
        all.extend(args);
        finish(as_jane(&scene, &home, &all).env("OTHER_SECRET", "x"))
    };
    jane(&["config", "trust", "export"])?.exits(0);
    let ran = jane(&["export", "s3", "--all"])?.exits(3);
    assert!(
        ran.err.contains("must not choose your secrets"),
        "{}",
        ran.err
    );
    let keys = home.join("keys");
    fs::File::create(&keys)?.write_all(b"access_key = A\nsecret_key = S\n")?;
    chmod(&keys, 0o600)?;
    chown(&keys, Some(JANE), None)?;
    // Nobody listens there.
    let ran = jane(&["export", "s3", "--all", "--credentials-file", "keys"])?;
    assert!(matches!(ran.code, Some(1 | 5)), "{}", ran.err);
    Ok(())
}
