//! What someone meets who uses the command for the first time: paths, hints, counts, empty lists.

use std::fmt::Write as _;

use anon_engine::testing::files::{Place, Syntax, ct_small};
use dicom_core::{Tag, VR};
use serde_json::json;

use crate::init::SCRIPT;
use crate::support::{Scene, Test, finish};

#[test]
fn a_path_that_was_typed_is_shown_and_others_are_numbered() -> Test {
    let scene = Scene::new()?;
    let cut = ct_small(&Place::new(1)).write(Syntax::ExplicitLittle);
    scene.write("in/DOE_JANE.dcm", cut.get(..900).ok_or("short")?)?;
    scene.run(&["init", "project"])?.exits(0);
    for args in [
        &["import", "in", "gone/DOE.dcm"][..],
        &["import-java-index", "gone/DOE.xlsx"],
        &["find", "QUERY", "--accession-file", "gone/DOE.txt"],
        &[
            "script",
            "explain",
            "rsna-v17",
            "PatientID",
            "--with",
            "gone/DOE.dcm",
        ],
        &["index", "--csv", "gone/DOE.csv"],
    ] {
        let ran = scene.json(args)?.exits(4);
        assert!(ran.err.contains("gone/DOE."), "{args:?}: {}", ran.err);
        assert!(
            ran.summary()?["error"]
                .as_str()
                .is_some_and(|error| error.contains("gone/DOE."))
        );
    }
    let typed = scene.run(&["-p", "project", "import", "in/DOE_JANE.dcm"])?;
    assert!(
        typed.out.contains("in/DOE_JANE.dcm: quarantined"),
        "{}",
        typed.out
    );
    // Below a directory the caller did not type the name.
    let below = scene.run(&["-p", "project", "import", "in"])?;
    assert!(below.out.contains("file 1: quarantined"), "{}", below.out);
    assert!(!below.out.contains("DOE"), "{}", below.out);
    Ok(())
}

/// Each hint is a line of its own, which a shell takes as it stands, from where the command was typed.
#[test]
fn hints_are_commands_with_the_same_project() -> Test {
    let scene = Scene::new()?;
    scene
        .run(&["init", "my project", "--site-id", "5"])?
        .exits(0);
    scene.put("in/1", &ct_small(&Place::new(2)))?;
    scene.ultrasound("in/us")?;
    let project = ["-p", "my project"];
    let hints = |args: &[&str]| -> Test<Vec<String>> {
        let ran = scene.run(&[&project, args].concat())?;
        let lines = ran.err.lines().chain(ran.out.lines());
        let hints = lines.filter_map(|line| line.strip_prefix("  anon "));
        Ok(hints.map(str::to_owned).collect())
    };
    for (args, hint) in [
        (
            &["import", "in"][..],
            "-p 'my project' config add modalities US",
        ),
        (&["quarantine", "list"], "-p 'my project' quarantine show "),
        (
            &["delete", "--patient", "5-000009"],
            "-p 'my project' patients",
        ),
        (&["delete", "--study", "1.2"], "-p 'my project' studies"),
        (
            &["quarantine", "show", "ffff"],
            "-p 'my project' quarantine list",
        ),
        (
            &["export", "QUERY", "--all"],
            "-p 'my project' config add node.QUERY.use export",
        ),
        (
            &["import", "in", "--name", "X Y"],
            "-p 'my project' config set name 'X Y'",
        ),
        (
            &["config", "set", "modalities", "RM"],
            "-p 'my project' list modalities",
        ),
        (&["config", "set", "site_id", "7"], "init NEW --from "),
    ] {
        let shown = hints(args)?;
        assert!(
            shown.iter().any(|line| line.starts_with(hint)),
            "{args:?}: {shown:?}"
        );
    }
    // The hints of the import work as they are.
    let mut anon = String::new();
    for hint in hints(&["import", "in"])?
        .iter()
        .filter(|hint| !hint.contains("list"))
    {
        write!(anon, "'{}' {hint} && ", env!("CARGO_BIN_EXE_anon"))?;
    }
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &format!("{anon} true")])
        .current_dir(scene.path());
    let ran = finish(&mut shell)?.exits(0);
    assert!(ran.out.contains("1 stored"), "{}", ran.out);
    Ok(())
}

#[test]
fn each_quarantined_object_says_what_to_do() -> Test {
    let scene = Scene::new()?;
    let yes = ct_small(&Place::new(1)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    scene.put("in/burned", &yes)?;
    scene.ultrasound("in/us")?;
    scene.write("in/text", b"no sign of it")?;
    scene.write(
        "in/cut",
        ct_small(&Place::new(2))
            .write(Syntax::ExplicitLittle)
            .get(..900)
            .ok_or("short")?,
    )?;
    let summary = scene.json(&["import", "in"])?.exits(1).summary()?;
    assert!(
        summary["advice"]
            .as_array()
            .is_some_and(|lines| lines.len() > 3),
        "{summary}"
    );
    let entries = scene.json(&["quarantine", "list"])?.events()?;
    for entry in entries.iter().filter(|event| event["event"] == "entry") {
        let id = entry["entry"].as_str().ok_or("no id")?;
        let shown = scene.json(&["quarantine", "show", id])?.exits(0).events()?;
        let advice = shown[0]["advice"].as_array().ok_or("no advice")?;
        let words = advice[0].as_str().ok_or("no text")?;
        assert!(words.starts_with("what to do: "), "{entry}: {words}");
        let last = advice
            .last()
            .and_then(|line| line.as_str())
            .ok_or("no text")?;
        assert!(
            last.starts_with("  anon -p project quarantine clear "),
            "{last}"
        );
    }
    Ok(())
}

#[test]
fn counts_are_singular_and_plural_and_empty_lists_say_so() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    let says = |args: &[&str], words: &str| -> Test {
        let ran = scene.run(&[&["-p", "project"], args].concat())?;
        assert!(ran.out.contains(words), "{args:?}: {}", ran.out);
        Ok(())
    };
    says(&["patients"], "no patients yet")?;
    says(&["studies"], "no studies yet")?;
    says(&["index"], "no studies yet")?;
    says(&["quarantine", "list"], "the quarantine is empty")?;
    says(
        &["quarantine", "list", "--category", "Burned_In"],
        "no entry of Burned_In",
    )?;
    says(&["status"], "0 patients, 0 studies, 0 series, 0 instances")?;
    scene.put("in/1", &ct_small(&Place::new(1)))?;
    says(&["import", "in"], "1 file: 1 stored, 0 duplicates")?;
    says(&["import", "in"], "1 file: 0 stored, 1 duplicate,")?;
    says(&["status"], "1 patient, 1 study, 1 series, 1 instance")?;
    says(&["studies"], "1 study")?;
    says(
        &["delete", "--patient", "5-000001"],
        "deleted 1 study with 1 instance",
    )?;
    says(
        &["script", "check", "rsna-v17"],
        "1467 rules, dialect rsna; 0 errors, 0 warnings",
    )?;
    Ok(())
}

/// Editors find a problem by `file:line:column`, whichever command reports it.
#[test]
fn problems_of_a_script_have_one_form_of_places() -> Test {
    let scene = Scene::new()?;
    let bad = SCRIPT.replacen("@ptid", "@ptidd", 1);
    scene.write("bad.script", bad.as_bytes())?;
    let checked = scene.run(&["script", "check", "bad.script"])?.exits(3);
    let place = checked
        .out
        .lines()
        .find(|line| line.contains("error["))
        .ok_or("no error")?;
    assert!(place.starts_with("bad.script:7:"), "{place}");
    let made = scene
        .run(&["init", "project", "--script", "bad.script"])?
        .exits(3);
    assert!(made.err.contains(place), "{}\n{place}", made.err);
    scene.run(&["init", "project"])?.exits(0);
    let set = scene
        .run(&["-p", "project", "config", "set", "script", "bad.script"])?
        .exits(3);
    assert!(set.err.contains(place), "{}\n{place}", set.err);
    Ok(())
}

#[test]
fn a_pixel_script_of_ctp_is_recognised() -> Test {
    let scene = Scene::new()?;
    let pixels = "the top of the image\n{ Modality.equals(\"US\") }\n(0,0,640,40)\n";
    scene.write("pixels.script", pixels.as_bytes())?;
    for args in [
        &["script", "check", "pixels.script"][..],
        &["init", "project", "--script", "pixels.script"],
    ] {
        let ran = scene.run(args)?.exits(3);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("it is a pixel script"), "{said}");
        assert!(said.contains("pixels.script:2:1: error[S037]"), "{said}");
    }
    Ok(())
}

#[test]
fn the_notice_of_rsna_v17_comes_once_a_project() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    let notice = |args: &[&str]| -> Test<usize> {
        let ran = scene.run(&[&["-p", "project"], args].concat())?.exits(0);
        Ok(ran.err.matches("rsna-v17 keeps times").count())
    };
    assert_eq!(notice(&["import", "in"])?, 1);
    assert_eq!(notice(&["import", "in"])?, 0);
    assert_eq!(notice(&["status"])?, 0);
    // Dates of a project with keyed dates cannot be reversed.
    scene.run(&["init", "keyed"])?.exits(0);
    scene
        .run(&["-p", "keyed", "config", "set", "dates", "keyed"])?
        .exits(0);
    let copy = scene.run(&["init", "copy", "--from", "keyed"])?.exits(0);
    assert!(
        copy.err.contains("free text") && !copy.err.contains("formula"),
        "{}",
        copy.err
    );
    Ok(())
}

#[test]
fn recent_projects_are_listed_for_their_user_alone() -> Test {
    let scene = Scene::new()?;
    for name in ["one", "two"] {
        scene
            .run(&["init", name, "--name", name, "--site-id", "5"])?
            .exits(0);
    }
    scene.run(&["-p", "one", "status"])?.exits(0);
    let listed = scene
        .run(&["--format", "json", "list", "projects"])?
        .exits(0);
    let events = listed.events()?;
    let names: Vec<_> = events
        .iter()
        .filter_map(|event| event["name"].as_str())
        .collect();
    assert_eq!(names, ["one", "two"], "{}", listed.out);
    assert_eq!(events[0]["directory"], json!(scene.path().join("one")));
    let file = scene.path().join(".state/anon/projects.json");
    assert_eq!(crate::support::mode(&file)?, 0o600);
    std::fs::remove_dir_all(scene.path().join("two"))?;
    let gone = scene.run(&["list", "projects"])?.exits(0);
    assert!(gone.out.contains("(not there)"), "{}", gone.out);
    // If the list cannot be stored, the command works as usual.
    let mut command = scene.command(&["-p", "one", "status"]);
    finish(command.env("XDG_STATE_HOME", "/proc/nowhere"))?.exits(0);
    Ok(())
}
