//! `anon backup` and `anon restore`: no pseudonym and no way back is lost with a disk, nothing is given
//! twice afterwards, and a bad file changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use serde_json::Value;

use crate::init::SCRIPT;
use crate::serving::{STORED, Serving, cts, scu, statuses};
use crate::support::{Run, Scene, Test, finish, tree};

fn backup(scene: &Scene, file: &str) -> Test<Value> {
    scene.json(&["backup", file])?.exits(0).summary()
}

fn restore_run(scene: &Scene, place: &str, file: &str) -> Test<Run> {
    scene.run(&["-p", place, "--format", "json", "restore", file, "--yes"])
}

fn restore(scene: &Scene, place: &str, file: &str) -> Test<Value> {
    restore_run(scene, place, file)?.exits(0).summary()
}

/// Copies outputs into the project at another place.
fn copy_outputs(scene: &Scene, place: &str, outputs: &BTreeMap<String, Vec<u8>>) -> Test {
    for (name, bytes) in outputs {
        scene.write(&format!("{place}/public/{name}"), bytes)?;
    }
    Ok(())
}

/// Makes a project with patients A and B, a backup after A, and C to import.
fn with_backup_after_a(scene: &Scene, scheme: &str) -> Test {
    scene.put("a/1", &ct_small(&Place::new(3)))?;
    scene.put("b/1", &ct_small(&Place::new(4).patient(2)))?;
    scene.put("c/1", &ct_small(&Place::new(5).patient(3)))?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    scene.set("pseudonyms", scheme)?;
    scene.json(&["import", "a"])?.exits(0);
    backup(scene, "b1")?;
    scene.json(&["import", "b"])?.exits(0);
    assert_eq!(scene.public()?.len(), 2);
    Ok(())
}

fn of(place: &str, scene: &Scene) -> Test<BTreeMap<String, Vec<u8>>> {
    tree(&scene.path().join(place).join("public"))
}

fn in_place(scene: &Scene, place: &str, args: &[&str]) -> Test<Run> {
    let mut all = vec!["-p", place, "--format", "json"];
    all.extend(args);
    scene.run(&all)
}

#[test]
fn a_backup_beside_a_receiver_has_the_way_back_of_every_output_of_that_time() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    let serving = Serving::start(&scene, &[])?;
    let (node, sender, items) = (serving.node(), scu("SENDER")?, cts(7, 400)?);
    let sending =
        thread::spawn(move || statuses(&sender, &node, items).map_err(|error| error.to_string()));
    let mut seen = vec![BTreeMap::new()];
    while !sending.is_finished() {
        let outputs = scene.public()?;
        if outputs.len() > seen[seen.len() - 1].len() && seen.len() < 12 {
            let made = backup(&scene, &format!("b{}", seen.len()))?;
            assert!(made["instances"].as_u64() >= Some(outputs.len() as u64));
            seen.push(outputs);
        }
    }
    let sent = sending.join().map_err(|_| "the sender panicked")??;
    assert!(sent.iter().all(|status| *status == STORED));
    serving.stop()?.exits(143);
    assert!(seen.len() > 2, "{} backups", seen.len());
    assert!(seen[1].len() < 400);
    for (number, outputs) in seen.iter().enumerate().skip(1) {
        let place = format!("place{number}");
        copy_outputs(&scene, &place, outputs)?;
        let restored = restore(&scene, &place, &format!("b{number}"))?;
        assert_eq!(restored["without_record"], 0, "{restored}");
        let status = in_place(&scene, &place, &["status"])?.exits(0).summary()?;
        assert!(status["instances"].as_u64() >= Some(outputs.len() as u64));
    }
    Ok(())
}

#[test]
fn a_project_that_moves_to_another_place_keeps_every_pseudonym() -> Test {
    for scheme in ["sequential", "keyed"] {
        let scene = Scene::new()?;
        with_backup_after_a(&scene, scheme)?;
        let made = backup(&scene, "b2")?;
        assert_eq!(
            (&made["patients"], &made["instances"]),
            (&2.into(), &2.into())
        );
        copy_outputs(&scene, "moved", &scene.public()?)?;
        let restored = restore(&scene, "moved", "b2")?;
        assert_eq!(restored["replaced"], Value::Null);
        assert_eq!(restored["without_record"], 0);
        assert_eq!(restored["without_file"], 0);
        let before = of("moved", &scene)?;
        for known in ["a", "b"] {
            let again = in_place(&scene, "moved", &["import", known])?
                .exits(0)
                .summary()?;
            assert_eq!(again["duplicates"], 1, "{scheme}");
        }
        for patient in scene.patients()? {
            let found = in_place(&scene, "moved", &["reidentify", &patient])?
                .exits(0)
                .summary()?;
            assert_eq!(found["found"], 1);
        }
        in_place(&scene, "moved", &["import", "c"])?.exits(0);
        let after = of("moved", &scene)?;
        assert_eq!(after.len(), 3);
        assert!(
            before
                .iter()
                .all(|(name, bytes)| after.get(name) == Some(bytes))
        );
        in_place(&scene, "moved", &["status"])?.exits(0);
        let audit = fs::read_to_string(scene.path().join("moved/private/audit.jsonl"))?;
        for command in ["backup", "restore"] {
            assert!(
                audit.contains(&format!("\"command\":\"{command}\"")),
                "{audit}"
            );
        }
    }
    Ok(())
}

/// The old place gave numbers after the backup, and exported them: nothing in the new place shows it.
#[test]
fn without_the_outputs_the_numbers_go_on_well_above_those_of_the_backup() -> Test {
    let scene = Scene::new()?;
    with_backup_after_a(&scene, "sequential")?;
    let restored = restore(&scene, "other", "b1")?;
    assert!(
        restored["above"]["patients"].as_u64() > Some(1000),
        "{restored}"
    );
    assert_eq!(restored["without_file"], 1);
    in_place(&scene, "other", &["import", "c"])?.exits(0);
    let new = of("other", &scene)?;
    let old = scene.public()?;
    let names = |outputs: &BTreeMap<String, Vec<u8>>| {
        let parts = outputs.keys().flat_map(|path| path.split('/'));
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let old = names(&old);
    assert!(
        names(&new).iter().all(|name| !old.contains(name)),
        "{new:?}"
    );
    Ok(())
}

#[test]
fn in_the_same_place_no_number_is_given_again_and_no_output_is_overwritten() -> Test {
    let scene = Scene::new()?;
    with_backup_after_a(&scene, "sequential")?;
    let newest = fs::read(scene.project().join("private/lookup.redb"))?;
    let outputs = scene.public()?;
    let restored = restore(&scene, "project", "b1")?;
    assert_eq!(restored["without_record"], 1, "B came after the backup");
    assert_eq!(restored["instances"], 1);
    assert_eq!(restored["above"]["patients"], 2);
    let before = restored["replaced"].as_str().ok_or("not said where")?;
    assert!(fs::read(Path::new(before).join("private/lookup.redb"))? == newest);
    scene.json(&["import", "b", "c"])?.exits(0);
    let patients: Vec<String> = scene.patients()?.into_iter().collect();
    assert_eq!(patients, ["5-000001", "5-000002", "5-000003", "5-000004"]);
    let after = scene.public()?;
    assert!(
        outputs
            .iter()
            .all(|(name, bytes)| after.get(name) == Some(bytes))
    );
    let again = scene.json(&["import", "a"])?.exits(0).summary()?;
    assert_eq!(again["duplicates"], 1);
    // Every other copy is an older one, also the newest of before.
    scene.write("project/private/lookup.redb", &newest)?;
    let refused = scene.json(&["status"])?.exits(4);
    assert!(refused.err.contains("is an older copy"), "{}", refused.err);
    Ok(())
}

#[test]
fn a_keyed_project_gives_what_came_after_the_backup_its_pseudonyms_again() -> Test {
    let scene = Scene::new()?;
    with_backup_after_a(&scene, "keyed")?;
    let outputs = scene.public()?;
    let restored = restore(&scene, "project", "b1")?;
    assert_eq!(restored["without_record"], 1);
    let again = scene.json(&["import", "b"])?.exits(0).summary()?;
    assert_eq!(again["stored"], 1, "{again}");
    assert!(scene.public()? == outputs, "the same names and bytes");
    // Another object with the same SOP Instance UID is not written over it.
    restore(&scene, "project", "b1")?;
    let other = ct_small(&Place::new(4).patient(2)).put(Tag(8, 0x103E), VR::LO, "OTHER");
    scene.put("d/1", &other)?;
    let ran = scene.json(&["import", "d"])?;
    assert_ne!(ran.summary()?["stored"], 1, "{}", ran.out);
    assert!(scene.public()? == outputs);
    Ok(())
}

#[test]
fn a_lost_or_damaged_lookup_store_is_restored_above_every_number_that_was_given() -> Test {
    for damaged in [None, Some(&b"no store"[..])] {
        let scene = Scene::new()?;
        with_backup_after_a(&scene, "sequential")?;
        fs::remove_dir_all(scene.project().join("public"))?;
        fs::remove_file(scene.project().join("private/lookup.redb"))?;
        if let Some(bytes) = damaged {
            scene.write("project/private/lookup.redb", bytes)?;
            #[cfg(unix)]
            crate::support::chmod(&scene.project().join("private/lookup.redb"), 0o600)?;
        }
        let restored = restore(&scene, "project", "b1")?;
        assert_eq!(restored["above"]["patients"], 2, "{restored}");
        scene.json(&["import", "c"])?.exits(0);
        let patients: Vec<String> = scene.patients()?.into_iter().collect();
        assert_eq!(patients, ["5-000003"]);
    }
    Ok(())
}

#[test]
fn settings_script_secret_journals_and_quarantine_come_back() -> Test {
    let scene = Scene::new()?;
    scene.write("rules.xml", SCRIPT.as_bytes())?;
    scene
        .run(&["init", "project", "--site-id", "5", "--script", "rules.xml"])?
        .exits(0);
    scene.set("dates", "keyed")?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.ultrasound("in/2")?;
    scene.json(&["import", "in"])?.exits(1);
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    let made = backup(&scene, "small")?;
    assert_eq!(made["destinations"], 1);
    assert_eq!(
        (&made["quarantined"], &made["quarantine_left_out"]),
        (&0.into(), &1.into())
    );
    let all = ["backup", "large", "--with-quarantine"];
    let made = scene.json(&all)?.exits(0).summary()?;
    assert_eq!(
        (&made["quarantined"], &made["quarantine_left_out"]),
        (&1.into(), &0.into())
    );
    copy_outputs(&scene, "other", &scene.public()?)?;
    restore(&scene, "other", "large")?;
    for file in ["project.toml", "anonymizer.script", "private/secret.key"] {
        let [old, new] = ["project", "other"].map(|it| fs::read(scene.path().join(it).join(file)));
        assert!(old? == new?, "{file}");
    }
    let listed = in_place(&scene, "other", &["quarantine", "list"])?
        .exits(0)
        .summary()?;
    assert_eq!(listed["entries"], 1);
    let status = in_place(&scene, "other", &["status"])?.exits(0).summary()?;
    assert_eq!(status["exports"][0]["objects"], 1, "{status}");
    // A second restore doubles nothing, and removes nothing.
    restore(&scene, "other", "small")?;
    let again = in_place(&scene, "other", &["status"])?.exits(0).summary()?;
    assert_eq!(again["exports"][0]["objects"], 1);
    assert_eq!(again["quarantined"], status["quarantined"]);
    Ok(())
}

#[test]
fn a_damaged_cut_or_newer_backup_is_refused_and_nothing_is_touched() -> Test {
    let scene = Scene::new()?;
    with_backup_after_a(&scene, "sequential")?;
    let whole = fs::read(scene.path().join("b1"))?;
    let text = b"anon backup 1 ";
    let at = whole
        .windows(text.len())
        .rposition(|it| it == text)
        .ok_or("no comment")?;
    let mut newer = whole.clone();
    newer[at + 12] = b'2';
    let mut bad = vec![
        (newer, "use a newer one"),
        (Vec::new(), "damaged"),
        (b"PK".to_vec(), "damaged"),
        ([&whole[..], b"x"].concat(), "damaged"),
    ];
    let last = whole.len() - 1;
    for part in 0..12 {
        bad.push((whole[..last * part / 11].to_vec(), "damaged"));
        let mut flipped = whole.clone();
        flipped[last * part / 11] ^= 1;
        bad.push((flipped, "damaged"));
    }
    let before = tree(&scene.project())?;
    for (bytes, word) in bad {
        scene.write("bad", &bytes)?;
        for place in ["project", "new"] {
            let refused = restore_run(&scene, place, "bad")?.exits(4);
            assert!(refused.err.contains(word), "{}", refused.err);
            assert!(
                refused.err.contains("nothing was changed"),
                "{}",
                refused.err
            );
        }
        assert!(!scene.path().join("new").exists());
    }
    assert!(tree(&scene.project())? == before);
    restore(&scene, "new", "b1")?;
    Ok(())
}

#[test]
fn a_project_in_use_and_another_project_are_not_replaced() -> Test {
    let scene = Scene::new()?;
    with_backup_after_a(&scene, "sequential")?;
    let serving = Serving::start(&scene, &[])?;
    let refused = restore_run(&scene, "project", "b1")?.exits(4);
    assert!(refused.err.contains("in use"), "{}", refused.err);
    serving.stop()?.exits(143);
    // The same site id, as V17's half-hour clock gives it, and another store.
    for site in ["5", "6"] {
        let place = format!("site{site}");
        scene
            .run(&["-p", &place, "import", "c", "--site-id", site])?
            .exits(0);
        let before = tree(&scene.path().join(&place))?;
        let refused = restore_run(&scene, &place, "b1")?.exits(4);
        assert!(
            refused.err.contains("of another project"),
            "{}",
            refused.err
        );
        assert!(tree(&scene.path().join(&place))? == before);
    }
    // One of a project without pseudonyms, over one that has given some.
    scene.run(&["init", "empty", "--site-id", "5"])?.exits(0);
    in_place(&scene, "empty", &["backup", "b-empty"])?.exits(0);
    let refused = restore_run(&scene, "project", "b-empty")?.exits(4);
    assert!(
        refused.err.contains("before the project gave"),
        "{}",
        refused.err
    );
    restore(&scene, "empty-again", "b-empty")?;
    in_place(&scene, "empty-again", &["import", "c"])?.exits(0);
    Ok(())
}

#[test]
fn a_backup_overwrites_nothing_and_is_not_written_into_the_project() -> Test {
    let scene = Scene::new()?;
    with_backup_after_a(&scene, "sequential")?;
    let first = fs::read(scene.path().join("b1"))?;
    fs::create_dir(scene.path().join("dir"))?;
    for (file, words) in [
        ("b1", "exists"),
        ("dir", "is a directory"),
        ("no/such/file", "no directory"),
        ("project/file", "inside the project"),
        ("project/public/file", "inside the project"),
        ("dir/../project/private/file", "inside the project"),
    ] {
        let refused = scene.json(&["backup", file])?.exits(4);
        assert!(refused.err.contains(words), "{file}: {}", refused.err);
    }
    assert!(fs::read(scene.path().join("b1"))? == first);
    assert_eq!(fs::read_dir(scene.path().join("dir"))?.count(), 0);
    scene.set("public_dir", "../outputs")?;
    let refused = scene.json(&["backup", "outputs/file"])?;
    assert_ne!(refused.code, Some(0));
    fs::create_dir_all(scene.path().join("outputs"))?;
    scene.json(&["backup", "outputs/file"])?.exits(4);
    Ok(())
}

#[cfg(unix)]
#[test]
fn whatever_the_umask_only_the_owner_can_read_a_backup_and_what_is_restored() -> Test {
    use crate::support::mode;

    for umask in ["0", "077"] {
        let scene = Scene::new()?;
        with_backup_after_a(&scene, "keyed")?;
        let anon = env!("CARGO_BIN_EXE_anon");
        let script = format!(
            "umask {umask}; '{anon}' -p project backup file && '{anon}' -p new restore file && \
             '{anon}' -p project restore file"
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .current_dir(scene.path())
            .env("XDG_STATE_HOME", scene.path().join(".state"))
            .env_remove("ANON_PROJECT");
        let ran = finish(&mut shell)?.exits(0);
        assert!(ran.err.contains("holds originals"), "{}", ran.err);
        assert_eq!(mode(&scene.path().join("file"))?, 0o600);
        for place in ["new", "project"] {
            let root = scene.path().join(place);
            let mut waiting = vec![root.join("private")];
            while let Some(path) = waiting.pop() {
                let expected = if path.is_dir() { 0o700 } else { 0o600 };
                // What was replaced is as it was, in a directory of mode 0700.
                if !path.ends_with("project.toml") && !path.ends_with("lock") {
                    assert_eq!(mode(&path)?, expected, "{}", path.display());
                }
                if path.is_dir() {
                    for entry in fs::read_dir(&path)? {
                        waiting.push(entry?.path());
                    }
                }
            }
            assert_eq!(mode(&root.join("store.mark"))?, 0o600);
        }
    }
    Ok(())
}

/// Writes an archive as a backup is one, with these members.
fn forged(scene: &Scene, members: &[(&str, &[u8])]) -> Test {
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, stored)?;
        zip.write_all(bytes)?;
    }
    zip.set_comment(format!("anon backup 1 {}", "0".repeat(64)))?;
    let mut bytes = zip.finish()?.into_inner();
    bytes.truncate(bytes.len() - 64);
    let digest = blake3::hash(&bytes).to_hex();
    bytes.extend(digest.as_bytes());
    scene.write("forged", &bytes)?;
    Ok(())
}

#[test]
fn a_backup_with_files_that_belong_to_no_project_is_refused() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    let settings = fs::read(scene.project().join("project.toml"))?;
    let manifest = br#"{"format":1,"program":"","made":"","name":"","site_id":"5","store":null,
                        "group":null,"quarantine_left_out":0}"#;
    let whole = [
        ("manifest.json", &manifest[..]),
        ("project.toml", &settings),
    ];
    for bad in [
        "../outside",
        "/tmp/outside",
        "public/5-000001/1/2/3.dcm",
        "private/lock",
        "private/tmp/file",
        "private/quarantine/../lock",
        "other.script",
        "private/lookup.redb",
    ] {
        forged(&scene, &[&whole[..], &[(bad, b"x")]].concat())?;
        let refused = restore_run(&scene, "new", "forged")?.exits(4);
        assert!(
            refused.err.contains("nothing was changed"),
            "{bad}: {}",
            refused.err
        );
        assert!(!scene.path().join("new").exists(), "{bad}");
    }
    for missing in [&whole[..1], &whole[1..]] {
        forged(&scene, missing)?;
        restore_run(&scene, "new", "forged")?.exits(4);
        assert!(!scene.path().join("new").exists());
    }
    forged(&scene, &whole)?;
    restore(&scene, "new", "forged")?;
    Ok(())
}

/// The fixture was made by the first version of this program that makes backups.
#[test]
fn a_backup_of_format_1_is_restored() -> Test {
    let scene = Scene::new()?;
    let fixture: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data/backup-1.zip"]
        .iter()
        .collect();
    let fixture = fixture.to_str().ok_or("a path")?;
    let restored = restore(&scene, "project", fixture)?;
    assert_eq!(
        (&restored["patients"], &restored["instances"]),
        (&1.into(), &1.into())
    );
    let found = scene
        .json(&["reidentify", "5-000001"])?
        .exits(0)
        .summary()?;
    assert_eq!(found["found"], 1);
    // Any program that reads ZIP archives can read it.
    let mut zip = zip::ZipArchive::new(fs::File::open(fixture)?)?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("manifest.json")?, &mut text)?;
    let manifest: Value = serde_json::from_str(&text)?;
    assert_eq!(
        (&manifest["format"], &manifest["site_id"]),
        (&1.into(), &"5".into())
    );
    Ok(())
}
