//! An export never overwrites an object that another original made: the store that exported A is gone,
//! another one gave A's pseudonyms to B.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use anon_engine::testing::files::{Place, ct_small};
use serde_json::Value;

use crate::shared::servers::{ServerKind, Setup};
use crate::support::{Run, Scene, Test, tree};

type Files = BTreeMap<String, Vec<u8>>;

/// A project with patient A. B waits to be imported.
fn with_a() -> Test<Scene> {
    let scene = Scene::new()?;
    for n in 0..3 {
        scene.put(&format!("a/{n}"), &ct_small(&Place::new(3).instance(n + 1)))?;
        let b = Place::new(4).patient(2).instance(n + 1);
        scene.put(&format!("b/{n}"), &ct_small(&b))?;
    }
    scene.json(&["import", "a", "--site-id", "5"])?.exits(0);
    Ok(scene)
}

/// Whether the journal of exports is there after the store was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JournalState {
    Kept,
    Lost,
}

/// Loses the lookup store and `public/`, and imports B, who gets the pseudonyms of A.
fn lose_the_store(scene: &Scene, journal: JournalState) -> Test {
    let names: Vec<String> = scene.public()?.into_keys().collect();
    let project = scene.project();
    let aside = scene.path().join("aside");
    let has_journal = project.join("export").is_dir();
    if has_journal {
        fs::rename(project.join("export"), &aside)?;
    }
    fs::remove_file(project.join("private/lookup.redb"))?;
    fs::remove_dir_all(project.join("public"))?;
    fs::remove_file(project.join("store.mark"))?;
    scene.json(&["import", "b"])?.exits(0);
    let reused: Vec<String> = scene.public()?.into_keys().collect();
    assert_eq!(reused, names, "B has the pseudonyms of A");
    if has_journal && journal == JournalState::Kept {
        fs::rename(&aside, project.join("export"))?;
    } else if has_journal {
        fs::remove_dir_all(&aside)?;
    }
    Ok(())
}

const OTHER_ORIGINAL: &str = "an object of another original under this name";
const OTHER_OBJECT: &str = "another object under this name";

/// Asserts that nothing was sent, and that the patient's error has these words and says what to do.
#[track_caller]
fn assert_refused(ran: Run, words: &str) -> Test {
    let ran = ran.exits(1);
    let summary = ran.summary()?;
    let counts = ["sent", "skipped", "failed", "patients_failed"].map(|it| &summary[it]);
    assert_eq!(
        counts,
        [0, 0, 3, 1].map(Value::from).each_ref(),
        "{summary}"
    );
    let events = ran.events()?;
    let patient = events.iter().find(|event| event["event"] == "patient");
    let error = patient.and_then(|it| it["error"].as_str());
    let error = error.ok_or("no error")?;
    assert!(error.contains(words), "{error}");
    assert!(error.contains("--replace"), "{error}");
    Ok(())
}

fn directory(scene: &Scene) -> Test<Files> {
    let mut there = tree(&scene.path().join("out"))?;
    there.retain(|name, _| !name.starts_with(".anon-export"));
    Ok(there)
}

#[test]
fn object_of_another_original_stays_in_a_directory() -> Test {
    for (journal, words) in [
        (JournalState::Kept, OTHER_ORIGINAL),
        (JournalState::Lost, OTHER_OBJECT),
    ] {
        let scene = with_a()?;
        scene.json(&["export", "file:out", "--all"])?.exits(0);
        let of_a = directory(&scene)?;
        assert!(of_a == scene.public()?);
        lose_the_store(&scene, journal)?;
        for more in [&[][..], &["--again"], &["--dry-run"]] {
            let args = [&["export", "file:out", "--all"], more].concat();
            // A dry run reads no bytes: what has to be compared counts as sent.
            if journal == JournalState::Kept || more != ["--dry-run"] {
                assert_refused(scene.json(&args)?, words)?;
            }
            assert!(
                directory(&scene)? == of_a,
                "{journal:?} {more:?}: A's bytes"
            );
        }
        let args = ["export", "file:out", "--all", "--replace"];
        let replaced = scene.json(&args)?.exits(0).summary()?;
        assert_eq!(replaced["sent"], 3, "{replaced}");
        assert!(directory(&scene)? == scene.public()?, "the user wished it");
    }
    Ok(())
}

/// A node cannot be asked: the journal tells.
#[test]
fn object_of_another_original_is_not_sent_to_a_node() -> Test {
    let Some(server) = ServerKind::Storescp.start(&Setup::default())? else {
        return Ok(());
    };
    let scene = with_a()?;
    let place = format!("{}@{}", server.title(), server.address());
    scene.json(&["export", &place, "--all"])?.exits(0);
    let received = || -> Test<Files> {
        let files = server.received()?.into_iter();
        let read = |path: std::path::PathBuf| Ok((path.display().to_string(), fs::read(path)?));
        files.map(read).collect()
    };
    let of_a = received()?;
    assert_eq!(of_a.len(), 3);
    lose_the_store(&scene, JournalState::Kept)?;
    for more in [&[][..], &["--again"]] {
        let args = [&["export", &place, "--all"], more].concat();
        assert_refused(scene.json(&args)?, OTHER_ORIGINAL)?;
        assert!(received()? == of_a, "{more:?}: A's bytes");
    }
    let args = ["export", &place, "--all", "--replace"];
    let replaced = scene.json(&args)?.exits(0).summary()?;
    assert_eq!(replaced["sent"], 3, "{replaced}");
    Ok(())
}

/// The journal is lost too: the metadata of the objects tells.
#[cfg(feature = "s3")]
#[test]
fn object_of_another_original_stays_in_s3() -> Test {
    use crate::export_s3::export;
    use crate::s3_servers::{BUCKET, S3Server};

    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    let scene = with_a()?;
    scene.set("name", "TRIAL")?;
    scene.set("s3.endpoint", &server.endpoint())?;
    scene.set("s3.bucket", BUCKET)?;
    let keys = [("AWS_ACCESS_KEY_ID", "K"), ("AWS_SECRET_ACCESS_KEY", "S")];
    export(&scene, &[], &keys)?.exits(0);
    let of_a = scene.public()?;
    let stored = || -> Test<Files> {
        let names = of_a.keys();
        let read = |name: &String| Ok((name.clone(), server.object(&format!("TRIAL/{name}"))?));
        names.map(read).collect()
    };
    assert!(stored()? == of_a, "nothing is added to the bytes");
    lose_the_store(&scene, JournalState::Lost)?;
    for more in [&[][..], &["--again"], &["--dry-run"]] {
        assert_refused(export(&scene, more, &keys)?, OTHER_ORIGINAL)?;
        assert!(stored()? == of_a, "{more:?}: A's bytes");
    }
    let replaced = export(&scene, &["--replace"], &keys)?.exits(0).summary()?;
    assert_eq!(replaced["sent"], 3, "{replaced}");
    assert!(stored()? == scene.public()?);
    // Now they are known to be of B.
    fs::remove_dir_all(scene.project().join("export"))?;
    let again = export(&scene, &[], &keys)?.exits(0).summary()?;
    assert_eq!(again["skipped"], 3, "{again}");
    Ok(())
}

fn touch_all(scene: &Scene) -> Test {
    for name in scene.public()?.into_keys() {
        let path = scene.project().join("public").join(name);
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        File::options()
            .write(true)
            .open(path)?
            .set_modified(later)?;
    }
    Ok(())
}

#[test]
fn objects_whose_times_changed_are_not_sent_again() -> Test {
    let Some(server) = ServerKind::Storescp.start(&Setup::default())? else {
        return Ok(());
    };
    let scene = with_a()?;
    let node = format!("{}@{}", server.title(), server.address());
    for to in ["file:out", &node] {
        scene.json(&["export", to, "--all"])?.exits(0);
    }
    touch_all(&scene)?;
    for to in ["file:out", &node] {
        let again = scene.json(&["export", to, "--all"])?.exits(0).summary()?;
        assert_eq!(
            [&again["sent"], &again["skipped"]],
            [0, 3].map(Value::from).each_ref()
        );
    }
    Ok(())
}

/// Neither the digests' key nor the digests are shown, and the journal holds no original.
#[test]
fn origins_are_in_the_journal_alone() -> Test {
    let scene = with_a()?;
    let ran = scene.json(&["export", "file:out", "--all"])?.exits(0);
    let journal = tree(&scene.project().join("export"))?;
    let lines: Vec<String> = journal
        .iter()
        .filter(|(name, _)| name.contains("patients/"))
        .flat_map(|(_, bytes)| {
            String::from_utf8_lossy(bytes)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|line| line.contains("\tput\t"))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let store = fs::read(scene.project().join("private/lookup.redb"))?;
    for line in &lines {
        let origin = line.rsplit('\t').next().ok_or("a field")?;
        assert_eq!((origin.len(), origin.find('.')), (49, Some(32)), "{line}");
        assert!(!ran.out.contains(origin) && !ran.err.contains(origin));
        let is_in = |bytes: &[u8]| {
            bytes
                .windows(origin.len())
                .any(|it| it == origin.as_bytes())
        };
        assert!(!is_in(&store), "it is derived, not stored");
        let objects = scene.public()?;
        assert!(
            !objects.values().any(|bytes| is_in(bytes)),
            "not in an object"
        );
    }
    Ok(())
}

/// An account that may read `public/` and write the journal, and nothing of `private/`.
#[cfg(unix)]
#[test]
fn account_without_lookups_exports_and_never_overwrites() -> Test {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt as _;

    use crate::support::{chmod, finish};

    const EXPORTER: u32 = 12_345;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a command as another user");
        return Ok(());
    }
    let scene = with_a()?;
    let journal = scene.path().join("journal");
    scene.set("export.journal", &journal.to_string_lossy())?;
    for name in ["journal", "out", ".state", "exporter"] {
        let path = scene.path().join(name);
        fs::create_dir_all(&path)?;
        chown(&path, Some(EXPORTER), Some(EXPORTER))?;
    }
    chmod(scene.path(), 0o755)?;
    let run = |args: &[&str]| -> Test<Option<Run>> {
        let mut command = scene.command(&[&["-p", "project", "--format", "json"], args].concat());
        command
            .uid(EXPORTER)
            .gid(EXPORTER)
            .env("XDG_CONFIG_HOME", scene.path().join("exporter"));
        match finish(&mut command) {
            // The directory of the program is closed to others.
            Err(error) if error.to_string().contains("Permission denied") => Ok(None),
            ran => Ok(Some(ran?)),
        }
    };
    let export = || run(&["export", "file:out", "--all"]);
    let Some(trusted) = run(&["config", "trust", "export"])? else {
        eprintln!("skipped: another user cannot run the program");
        return Ok(());
    };
    trusted.exits(0);
    let first = export()?.ok_or("it ran before")?;
    assert_eq!(first.exits(0).summary()?["sent"], 3);
    let again = export()?.ok_or("it ran before")?.exits(0);
    assert_eq!(again.summary()?["skipped"], 3);
    let of_a = directory(&scene)?;
    touch_all(&scene)?;
    let touched = export()?.ok_or("it ran before")?.exits(0);
    assert_eq!(touched.summary()?["skipped"], 3, "the bytes are equal");
    fs::rename(&journal, scene.path().join("kept"))?;
    fs::create_dir(&journal)?;
    lose_the_store(&scene, JournalState::Lost)?;
    fs::remove_dir(&journal)?;
    fs::rename(scene.path().join("kept"), &journal)?;
    assert_refused(export()?.ok_or("it ran before")?, OTHER_OBJECT)?;
    assert!(directory(&scene)? == of_a, "A's bytes");
    Ok(())
}
