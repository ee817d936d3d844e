//! A lookup store that is older than its project, or of another project, is refused: it would give
//! pseudonyms of one patient to another. `--raise-counters` goes on above every number that was given.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;

use anon_engine::testing::files::{Place, ct_small};
use serde_json::Value;

use crate::support::{Scene, Test, mode, tree};

fn store(scene: &Scene) -> PathBuf {
    scene.project().join("private/lookup.redb")
}

fn mark(scene: &Scene) -> PathBuf {
    scene.project().join("store.mark")
}

/// Makes a project with patient A, and returns a copy of its lookup store, made before patient B came.
fn with_older_copy(scene: &Scene) -> Test<Vec<u8>> {
    scene.put("a/1", &ct_small(&Place::new(3)))?;
    scene.put("b/1", &ct_small(&Place::new(4).patient(2)))?;
    scene.put("c/1", &ct_small(&Place::new(5).patient(3)))?;
    scene.json(&["import", "a", "--site-id", "5"])?.exits(0);
    let older = fs::read(store(scene))?;
    scene.json(&["import", "b"])?.exits(0);
    assert_eq!(patients(scene)?, ["5-000001", "5-000002"]);
    Ok(older)
}

fn patients(scene: &Scene) -> Test<Vec<String>> {
    Ok(scene.patients()?.into_iter().collect())
}

fn put_back(scene: &Scene, bytes: &[u8]) -> Test {
    scene.write("project/private/lookup.redb", bytes)?;
    Ok(())
}

fn empty_public(scene: &Scene) -> Test {
    let public = scene.project().join("public");
    fs::remove_dir_all(&public)?;
    fs::create_dir(&public)?;
    Ok(())
}

/// Runs commands that open the lookup store. All refuse with these words, and change no output.
#[track_caller]
fn all_refuse(scene: &Scene, words: &str) -> Test {
    let before = (scene.public()?, fs::read(mark(scene)).ok());
    for args in [
        &["status"][..],
        &["patients"],
        &["studies"],
        &["index"],
        &["reidentify", "5-000001"],
        &["find", "PACS@127.0.0.1:1", "--patient-id", "1"],
        &["import", "c"],
        &["serve", "--port", "0"],
        &["delete", "--patient", "5-000001"],
        &["quarantine", "retry"],
    ] {
        let ran = scene.json(args)?.exits(4);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        let command = format!(
            "anon -p {} status --raise-counters",
            scene.project().display()
        );
        assert!(ran.err.contains(&command), "{args:?}: {}", ran.err);
    }
    assert!((scene.public()?, fs::read(mark(scene)).ok()) == before);
    Ok(())
}

#[test]
fn an_older_lookup_store_is_refused_by_every_command_that_opens_it() -> Test {
    let scene = Scene::new()?;
    let older = with_older_copy(&scene)?;
    let newest = fs::read(store(&scene))?;
    put_back(&scene, &older)?;
    all_refuse(&scene, "is an older copy")?;
    // It opens the store to accept the rules.
    let ran = scene
        .json(&["config", "set", "script", "rsna-v17"])?
        .exits(4);
    assert!(ran.err.contains("is an older copy"), "{}", ran.err);
    put_back(&scene, &newest)?;
    scene.json(&["import", "c"])?.exits(0);
    assert_eq!(patients(&scene)?, ["5-000001", "5-000002", "5-000003"]);
    Ok(())
}

/// Nothing but the group shows it: the copy has given the same numbers.
#[test]
fn a_copy_from_before_a_deletion_is_refused() -> Test {
    let scene = Scene::new()?;
    with_older_copy(&scene)?;
    let older = fs::read(store(&scene))?;
    scene.json(&["delete", "--patient", "5-000002"])?.exits(0);
    put_back(&scene, &older)?;
    all_refuse(&scene, "is an older copy")
}

#[test]
fn raised_counters_never_give_a_pseudonym_again_also_if_the_outputs_are_gone() -> Test {
    let scene = Scene::new()?;
    let older = with_older_copy(&scene)?;
    let newest = fs::read(store(&scene))?;
    let used = names(&scene)?;
    put_back(&scene, &older)?;
    empty_public(&scene)?;
    all_refuse(&scene, "is an older copy")?;
    let raised = scene.json(&["status", "--raise-counters"])?.exits(0);
    assert!(
        raised.err.contains("above 2 for patients"),
        "{}",
        raised.err
    );
    scene.json(&["import", "b", "c"])?.exits(0);
    assert_eq!(patients(&scene)?, ["5-000003", "5-000004"]);
    assert!(names(&scene)?.is_disjoint(&used));
    let accessions = scene.json(&["studies"])?.exits(0).events()?;
    let accessions: Vec<&Value> = accessions.iter().map(|study| &study["accession"]).collect();
    assert!(accessions.contains(&&Value::from("3")), "{accessions:?}");
    // A is known as before.
    scene.put("a/2", &ct_small(&Place::new(3).study(2)))?;
    scene.json(&["import", "a/2"])?.exits(0);
    assert!(patients(&scene)?.contains(&"5-000001".to_owned()));
    let audit = fs::read_to_string(scene.project().join("private/audit.jsonl"))?;
    assert!(audit.contains("\"command\":\"raise-counters\""), "{audit}");
    // The copy made before the counters were raised lacks the numbers given since.
    put_back(&scene, &newest)?;
    all_refuse(&scene, "is an older copy")
}

/// The names of outputs and of directories above them, below that of the patient.
fn names(scene: &Scene) -> Test<BTreeSet<String>> {
    let public = scene.public()?;
    let names = public.keys().flat_map(|path| path.split('/').skip(1));
    Ok(names.map(str::to_owned).collect())
}

#[test]
fn numbers_of_a_run_that_was_killed_are_not_given_again() -> Test {
    let scene = Scene::new()?;
    scene.put("first", &ct_small(&Place::new(9)))?;
    scene.put("c/1", &ct_small(&Place::new(5).patient(3)))?;
    scene.patients_of_one(60)?;
    scene.json(&["import", "first", "--site-id", "5"])?.exits(0);
    let older = fs::read(store(&scene))?;
    let known = patients(&scene)?;
    let mut child = scene
        .command(&["-p", "project", "--format", "json", "import", "in"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut lines = String::new();
    for _ in 0..20 {
        out.read_line(&mut lines)?;
    }
    child.kill()?;
    child.wait()?;
    out.read_to_string(&mut lines)?;
    let mut used = patients(&scene)?;
    // The older store has it.
    used.retain(|patient| !known.contains(patient));
    assert!(used.len() > 10, "{used:?}");
    put_back(&scene, &older)?;
    empty_public(&scene)?;
    all_refuse(&scene, "is an older copy")?;
    scene.json(&["status", "--raise-counters"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    let new = scene.patients()?;
    assert_eq!(new.len(), 60);
    assert!(used.iter().all(|patient| !new.contains(patient)), "{new:?}");
    Ok(())
}

#[test]
fn a_lost_lookup_store_is_begun_anew_above_every_number_that_was_given() -> Test {
    let scene = Scene::new()?;
    with_older_copy(&scene)?;
    fs::remove_file(store(&scene))?;
    empty_public(&scene)?;
    all_refuse(&scene, "private/lookup.redb is not there")?;
    assert!(!store(&scene).exists());
    scene.json(&["status", "--raise-counters"])?.exits(0);
    scene.json(&["import", "c"])?.exits(0);
    assert_eq!(patients(&scene)?, ["5-000003"]);
    Ok(())
}

#[test]
fn the_lookup_store_of_another_project_is_refused_also_with_raised_counters() -> Test {
    let scene = Scene::new()?;
    with_older_copy(&scene)?;
    let own = fs::read(store(&scene))?;
    // Another project with the same site id, whose store is as far as this one.
    scene
        .run(&["-p", "other", "import", "c", "b", "--site-id", "5"])?
        .exits(0);
    let other = fs::read(scene.path().join("other/private/lookup.redb"))?;
    put_back(&scene, &other)?;
    all_refuse(&scene, "is not the lookup store of this project")?;
    let refused = scene.json(&["status", "--raise-counters"])?.exits(4);
    assert!(
        refused.err.contains("put the right one back"),
        "{}",
        refused.err
    );
    put_back(&scene, &own)?;
    scene.json(&["status"])?.exits(0);
    Ok(())
}

#[test]
fn a_project_without_a_mark_gets_one_in_silence() -> Test {
    let scene = Scene::new()?;
    with_older_copy(&scene)?;
    #[cfg(unix)]
    assert_eq!(mode(&mark(&scene))?, 0o600);
    fs::remove_file(mark(&scene))?;
    let looked = scene.json(&["status"])?.exits(0);
    assert!(!looked.err.contains("mark"), "{}", looked.err);
    assert!(!mark(&scene).exists(), "status changes nothing");
    let ran = scene.json(&["import", "c"])?.exits(0);
    assert!(!ran.err.contains("mark"), "{}", ran.err);
    let text = fs::read_to_string(mark(&scene))?;
    assert!(text.contains("patients 3\n"), "{text}");
    Ok(())
}

#[test]
fn without_a_mark_outputs_and_exports_show_an_older_store() -> Test {
    let scene = Scene::new()?;
    let older = with_older_copy(&scene)?;
    scene.json(&["export", "file:out", "--all"])?.exits(0);
    fs::remove_file(mark(&scene))?;
    put_back(&scene, &older)?;
    all_refuse(&scene, "is an older copy")?;
    empty_public(&scene)?;
    all_refuse(&scene, "is an older copy")?;
    fs::remove_file(store(&scene))?;
    all_refuse(&scene, "private/lookup.redb is not there")?;
    scene.json(&["status", "--raise-counters"])?.exits(0);
    scene.json(&["import", "c"])?.exits(0);
    let new = patients(&scene)?;
    assert!(new.iter().all(|patient| &**patient > "5-000002"), "{new:?}");
    Ok(())
}

#[test]
fn a_damaged_mark_is_refused_until_a_new_one_is_made() -> Test {
    let scene = Scene::new()?;
    let older = with_older_copy(&scene)?;
    let used = names(&scene)?;
    let whole = fs::read_to_string(mark(&scene))?;
    let changed = whole.replace("patients 2", "patients 1");
    assert_ne!(changed, whole);
    for damaged in [&changed, "", "\u{0}\u{0}", &whole[..40]] {
        scene.write("project/store.mark", damaged.as_bytes())?;
        all_refuse(&scene, "store.mark is damaged")?;
    }
    scene.write("project/store.mark", whole.as_bytes())?;
    scene.json(&["status"])?.exits(0);

    // With an older store too: the outputs alone show what was given.
    scene.write("project/store.mark", b"no mark")?;
    put_back(&scene, &older)?;
    scene.json(&["status", "--raise-counters"])?.exits(0);
    let before = scene.patients()?;
    scene.json(&["import", "c"])?.exits(0);
    let new: Vec<String> = scene.patients()?.difference(&before).cloned().collect();
    assert!(new.len() == 1 && &*new[0] > "5-000002", "{new:?}");
    let outputs = tree(&scene.project().join("public").join(&new[0]))?;
    for name in outputs.keys().flat_map(|path| path.split('/')) {
        assert!(!used.contains(name), "{name}");
    }
    Ok(())
}

#[test]
fn a_keyed_project_refuses_an_older_and_a_lost_store_too() -> Test {
    let scene = Scene::new()?;
    scene.put("a", &ct_small(&Place::new(3)))?;
    scene.put("c", &ct_small(&Place::new(4).patient(2)))?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    scene.set("pseudonyms", "keyed")?;
    scene.json(&["import", "a"])?.exits(0);
    let older = fs::read(store(&scene))?;
    scene.json(&["import", "c"])?.exits(0);
    put_back(&scene, &older)?;
    all_refuse(&scene, "is an older copy")?;
    let before = scene.patients()?;
    scene.json(&["status", "--raise-counters"])?.exits(0);
    scene.json(&["import", "a"])?.exits(0);
    assert_eq!(
        scene.patients()?,
        before,
        "computed pseudonyms stay the same"
    );
    fs::remove_file(store(&scene))?;
    all_refuse(&scene, "private/lookup.redb is not there")
}

/// A frozen setting of a project that has given nothing begins a new store, whose mark is new too.
#[test]
fn a_new_site_id_of_an_unused_project_leaves_no_foreign_mark() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    fs::create_dir(scene.path().join("in"))?;
    scene.json(&["import", "in"])?.exits(0);
    assert!(mark(&scene).exists());
    scene.set("site_id", "6")?;
    scene.put("in/1", &ct_small(&Place::new(3)))?;
    scene.json(&["import", "in"])?.exits(0);
    assert_eq!(patients(&scene)?, ["6-000001"]);
    Ok(())
}
