//! Exports and lists in directories that other users can write to.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::export::made;
use crate::support::{Scene, Test, chmod, mode, tree};

/// A user that owns nothing.
const NEIGHBOUR: u32 = 12345;

/// Runs a command as another user. False, after a word, where that cannot be done.
fn as_neighbour(command: &[&str]) -> Test<bool> {
    if !rustix::process::geteuid().is_root() {
        writeln!(io::stderr(), "skipped: not root")?;
        return Ok(false);
    }
    let id = NEIGHBOUR.to_string();
    let ran = Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .args(command)
        .status();
    match ran {
        Ok(status) if status.success() => Ok(true),
        ran if std::env::var_os("ANON_REQUIRE_SERVERS").is_some_and(|value| !value.is_empty()) => {
            Err(format!("setpriv {command:?}: {ran:?}").into())
        }
        _ => {
            let why = "setpriv is not installed, or the neighbour cannot get here";
            writeln!(io::stderr(), "skipped: {why}")?;
            Ok(false)
        }
    }
}

fn text(path: &Path) -> Test<&str> {
    Ok(path.to_str().ok_or("a path in UTF-8")?)
}

/// A scene with a directory `shared` that everyone may write to, and files that nobody may delete.
fn shared(scene: &Scene) -> Test {
    chmod(scene.path(), 0o755)?;
    fs::create_dir(scene.path().join("shared"))?;
    chmod(&scene.path().join("shared"), 0o777)?;
    for name in ["valuable/0", "valuable/report.txt"] {
        scene.write(name, b"valuable")?;
    }
    Ok(())
}

#[test]
fn export_deletes_and_writes_nothing_through_a_link_of_a_neighbour() -> Test {
    let scene = made(3)?;
    shared(&scene)?;
    let valuable = scene.path().join("valuable");
    let patient = scene.patients()?.pop_first().ok_or("a patient")?;
    for name in [".anon-export", &patient] {
        let link = scene.path().join("shared").join(name);
        if !as_neighbour(&["ln", "-s", text(&valuable)?, text(&link)?])? {
            return Ok(());
        }
        for more in [&[][..], &["--dry-run"]] {
            let args = [&["export", "file:shared", "--patient", &patient], more].concat();
            let ran = scene.json(&args)?;
            if name == ".anon-export" {
                let summary = ran.exits(4).summary()?;
                let error = summary["error"].as_str().unwrap_or_default();
                assert!(error.contains("remove it and export again"), "{summary}");
            } else if more.is_empty() {
                let summary = ran.exits(1).summary()?;
                assert_eq!(summary["sent"], 0, "{summary}");
            }
            let left = tree(&valuable)?;
            assert!(left.keys().eq(["0", "report.txt"]), "{name}: {left:?}");
            assert!(left.values().all(|bytes| bytes == b"valuable"), "{name}");
        }
        fs::remove_file(link)?;
    }
    scene.json(&["export", "file:shared", "--all"])?.exits(0);
    Ok(())
}

#[test]
fn export_into_a_project_is_refused_in_every_spelling() -> Test {
    let scene = made(3)?;
    scene.run(&["init", "other"])?.exits(0);
    let elsewhere = scene.path().join("elsewhere");
    fs::create_dir(&elsewhere)?;
    for (link, target) in [
        ("elsewhere/private", "project/private"),
        ("elsewhere/other", "other/public"),
    ] {
        symlink(scene.path().join(target), scene.path().join(link))?;
    }
    let before = names(&scene)?;
    for destination in [
        "project",
        "project/new",
        "project/private/out",
        "nodir/../project/private/out",
        "elsewhere/../project/private/out",
        "elsewhere/private",
        "elsewhere/private/out",
        "elsewhere/private/../public",
        "other/private/out",
        "other/public",
        "elsewhere/other/out",
        "project/../other/out",
    ] {
        for more in [&[][..], &["--dry-run"]] {
            let to = format!("file:{destination}");
            let args = [&["export", &to, "--all"], more].concat();
            let ran = scene.json(&args)?.exits(3);
            assert!(ran.err.contains("file: "), "{destination}: {}", ran.err);
        }
    }
    assert_eq!(names(&scene)?, before, "nothing was made");
    let to = "file:elsewhere/../out";
    scene.json(&["export", to, "--all"])?.exits(0);
    Ok(())
}

/// Every path of the scene, except where the program keeps its list of projects.
fn names(scene: &Scene) -> Test<Vec<String>> {
    let listed = Command::new("find").arg(scene.path()).output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let mut names: Vec<_> = listed
        .lines()
        .filter(|line| !line.contains("/.state"))
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

#[test]
fn index_is_not_written_where_a_neighbour_can_replace_it_or_through_a_link() -> Test {
    let scene = made(2)?;
    shared(&scene)?;
    for option in ["--csv", "--xlsx"] {
        let refused = scene.json(&["index", option, "shared/index"])?.exits(4);
        assert!(refused.err.contains("chmod go-w"), "{}", refused.err);
    }
    assert_eq!(fs::read_dir(scene.path().join("shared"))?.count(), 0);
    // As /tmp is.
    chmod(&scene.path().join("shared"), 0o1777)?;
    let link = scene.path().join("shared/link");
    let file = scene.path().join("shared/file");
    let target = scene.path().join("valuable/report.txt");
    if !as_neighbour(&["ln", "-s", text(&target)?, text(&link)?])?
        || !as_neighbour(&["touch", text(&file)?])?
    {
        return Ok(());
    }
    for (name, words) in [
        ("shared/link", "not a regular file"),
        ("shared/file", "belongs to another user"),
    ] {
        for option in ["--csv", "--xlsx"] {
            let refused = scene.json(&["index", option, name])?.exits(4);
            assert!(refused.err.contains(words), "{}", refused.err);
        }
    }
    assert_eq!(fs::read(&target)?, b"valuable");
    assert_eq!(fs::metadata(&file)?.len(), 0);
    scene.json(&["index", "--csv", "shared/index"])?.exits(0);
    assert_eq!(mode(&scene.path().join("shared/index"))?, 0o600);
    assert_eq!(fs::read_dir(scene.path().join("shared"))?.count(), 3);
    Ok(())
}
