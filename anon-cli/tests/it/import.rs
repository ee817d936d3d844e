//! `anon import`: which files it reads, what it reports, how it ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small, secondary_capture};
use dicom_core::{Tag, VR};
use serde_json::json;

use crate::init::SCRIPT;
use crate::support::{Scene, Test};

#[test]
fn import_reports_every_file_and_a_consistent_summary() -> Test {
    let scene = Scene::new()?;
    scene.cts(3)?;
    scene.write("in/readme.txt", b"no image at all")?;
    scene.write("in/.hidden.dcm", b"x")?;
    scene.write("in/old.zip", b"PK\x03\x04")?;
    scene.ultrasound("in/us.dcm")?;
    let ran = scene.json(&["import", "in"])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(summary["command"], "import");
    for (field, value) in [
        ("found", 7),
        ("stored", 3),
        ("duplicates", 0),
        ("ignored", 3),
        ("archives", 1),
    ] {
        assert_eq!(summary[field], value, "{field}: {summary}");
    }
    assert_eq!(summary["quarantined"], json!({"Invalid_Storage_Class": 1}));
    assert_eq!(summary["failed"], 0);
    assert!(summary["seconds"].is_f64() && summary["bytes_in"].is_u64());
    let public = scene.public()?;
    let mut outcomes = BTreeMap::new();
    for event in ran.events()?.iter().filter(|e| e["event"] == "instance") {
        let source = event["source"].as_str().ok_or("no source")?.to_owned();
        let outcome = event["outcome"].as_str().ok_or("no outcome")?.to_owned();
        let output = event["output"].as_str();
        assert_eq!(output.is_some(), outcome == "stored", "{event}");
        assert_eq!(event["patient"].is_string(), outcome == "stored", "{event}");
        assert_eq!(
            event["entry"].is_string(),
            outcome == "quarantined",
            "{event}"
        );
        assert_eq!(event["reason"].is_null(), outcome == "stored", "{event}");
        assert!(
            output.is_none_or(|output| public.contains_key(output)),
            "{event}"
        );
        outcomes.insert(source, outcome);
    }
    let expected = [
        ("in/.hidden.dcm", "ignored"),
        ("in/000/00000.dcm", "stored"),
        ("in/000/00001.dcm", "stored"),
        ("in/000/00002.dcm", "stored"),
        ("in/old.zip", "ignored"),
        ("in/readme.txt", "ignored"),
        ("in/us.dcm", "quarantined"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(outcomes, expected);
    assert_eq!(public.len(), 3);
    let again = scene.json(&["import", "in"])?.exits(1).summary()?;
    assert_eq!(
        (&again["stored"], &again["duplicates"]),
        (&json!(0), &json!(3))
    );
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["instances"], 3);
    assert_eq!(status["quarantined"], summary["quarantined"]);
    Ok(())
}

#[test]
fn import_shows_commands_that_accept_refused_classes() -> Test {
    let scene = Scene::new()?;
    scene.ultrasound("in/us.dcm")?;
    let ran = scene.run(&["-p", "project", "import", "in"])?.exits(1);
    assert!(ran.out.contains("Ultrasound"), "{}", ran.out);
    for command in [
        "anon -p project config add modalities US",
        "anon -p project quarantine retry --category Invalid_Storage_Class",
    ] {
        assert!(
            ran.out.lines().any(|line| line.trim() == command),
            "{}",
            ran.out
        );
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        scene.run(&words)?.exits(0);
    }
    assert_eq!(scene.public()?.len(), 1);
    let status = scene.json(&["status"])?.summary()?;
    assert_eq!(
        status["quarantined"],
        json!({}),
        "cleared once it is stored"
    );
    Ok(())
}

#[test]
fn import_output_does_not_depend_on_jobs() -> Test {
    let mut first = None;
    for jobs in ["1", "4"] {
        let scene = Scene::new()?;
        scene.cts(60)?;
        scene
            .json(&["import", "in", "--jobs", jobs, "--site-id", "7"])?
            .exits(0);
        let public = scene.public()?;
        assert_eq!(public.len(), 60);
        assert!(
            first.get_or_insert_with(|| public.clone()) == &public,
            "--jobs {jobs}"
        );
    }
    Ok(())
}

#[test]
fn import_follows_file_links_but_no_directory_links_or_devices() -> Test {
    let scene = Scene::new()?;
    scene.put("elsewhere/a.dcm", &ct_small(&Place::new(1)))?;
    scene.put("elsewhere/deep/b.dcm", &ct_small(&Place::new(2)))?;
    scene.put("in/.git/c.dcm", &ct_small(&Place::new(3)))?;
    symlink(
        scene.path().join("elsewhere/a.dcm"),
        scene.path().join("in/a"),
    )?;
    symlink(
        scene.path().join("elsewhere/deep"),
        scene.path().join("in/deep"),
    )?;
    symlink(scene.path().join("nowhere"), scene.path().join("in/lost"))?;
    symlink(scene.path().join("in"), scene.path().join("link"))?;
    let fifo = std::process::Command::new("mkfifo")
        .arg(scene.path().join("in/fifo"))
        .status()?;
    assert!(fifo.success());
    let ran = scene.json(&["import", "link"])?.exits(1);
    let outcomes: Vec<(String, String)> = ran
        .events()?
        .iter()
        .filter(|event| event["event"] == "instance")
        .map(|event| (event["source"].to_string(), event["outcome"].to_string()))
        .collect();
    let text = |s: &str| format!("\"{s}\"");
    let mut outcomes = outcomes;
    outcomes.sort();
    assert_eq!(
        outcomes,
        [
            (text("link/a"), text("stored")),
            (text("link/fifo"), text("ignored")),
            (text("link/lost"), text("failed")),
        ]
    );
    assert_eq!(ran.summary()?["directories_passed"], 2);
    Ok(())
}

#[test]
fn import_skips_the_project_itself() -> Test {
    let scene = Scene::new()?;
    scene.cts(2)?;
    scene.json(&["import", "."])?.exits(0);
    let again = scene.json(&["import", "."])?.exits(0).summary()?;
    assert_eq!(
        (&again["found"], &again["duplicates"]),
        (&json!(2), &json!(2))
    );
    let inside = scene
        .json(&["import", "project/public"])?
        .exits(0)
        .summary()?;
    assert_eq!(inside["found"], 0);
    // Nor through a DICOMDIR next to it.
    let public = scene.public()?;
    let output = public.keys().next().ok_or("no output")?;
    let name = format!("project\\public\\{}", output.replace('/', "\\"));
    scene.put("DICOMDIR", &dicomdir(&[&name]))?;
    let beside = scene.json(&["import", "DICOMDIR"])?.exits(0).summary()?;
    assert_eq!(
        (&beside["found"], &beside["ignored"], &beside["duplicates"]),
        (&json!(2), &json!(2), &json!(0))
    );
    Ok(())
}

#[test]
fn import_says_when_it_creates_a_project() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    let args = ["-p", "project", "import", "in", "--site-id", "5"];
    let told = |err: &str| {
        err.lines()
            .any(|line| line.starts_with("created the project ") && line.ends_with("site id 5"))
    };
    let first = scene.run(&args)?.exits(0);
    assert!(told(&first.err), "{}", first.err);
    let second = scene.run(&args)?.exits(0);
    assert!(!told(&second.err), "{}", second.err);
    Ok(())
}

#[test]
fn import_of_a_missing_path_creates_no_project() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    let ran = scene
        .run(&["-p", "project", "import", "in", "PATIENT^DOE"])?
        .exits(4);
    assert!(ran.err.contains("cannot import PATIENT^DOE"), "{}", ran.err);
    assert!(!scene.project().exists());
    let none = scene.run(&["import", "in"])?.exits(3);
    assert!(none.err.contains("anon init"), "{}", none.err);
    Ok(())
}

#[test]
fn import_refuses_options_that_contradict_the_project() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    scene.write("my.script", SCRIPT.as_bytes())?;
    let first = [
        "import",
        "in",
        "--modalities",
        "all",
        "--script",
        "my.script",
    ];
    scene.json(&first)?.exits(0);
    scene.json(&first)?.exits(0);
    let ran = scene
        .json(&["import", "in", "--modalities", "CT"])?
        .exits(3);
    assert!(
        ran.err
            .contains("  anon -p project config set modalities CT"),
        "{}",
        ran.err
    );
    Ok(())
}

/// Returns a DICOMDIR that references these files.
fn dicomdir(names: &[&str]) -> DataSet {
    let record = |name: &&str| {
        DataSet::new()
            .put(Tag(0x0004, 0x1410), VR::US, vec![0xFFFF_u16])
            .put(Tag(0x0004, 0x1430), VR::CS, "IMAGE")
            .put(Tag(0x0004, 0x1500), VR::CS, *name)
    };
    DataSet::new()
        .put(Tag(0x0008, 0x0016), VR::UI, "1.2.840.10008.1.3.10")
        .put(Tag(0x0008, 0x0018), VR::UI, "1.2.3.4")
        .sequence(
            Tag(0x0004, 0x1220),
            names.iter().map(record).collect::<Vec<_>>(),
        )
}

#[test]
fn import_of_a_dicomdir_stores_the_files_it_references() -> Test {
    let scene = Scene::new()?;
    let names = ["IMG\\A1", "IMG\\A2", "IMG\\GONE"];
    for (n, name) in (1..).zip(names).take(2) {
        scene.put(
            &format!("cd/{}", name.replace('\\', "/")),
            &ct_small(&Place::new(n)),
        )?;
    }
    scene.put("cd/IMG/UNLISTED", &ct_small(&Place::new(9)))?;
    scene.put("cd/DICOMDIR", &dicomdir(&names))?;
    let ran = scene.json(&["import", "cd/DICOMDIR"])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["stored"], &summary["failed"], &summary["ignored"]),
        (&json!(2), &json!(1), &json!(1)),
        "{}",
        ran.out
    );
    let lost = ran
        .events()?
        .into_iter()
        .find(|event| event["outcome"] == "failed");
    let lost = lost.ok_or("no failed event")?;
    assert_eq!(lost["source"], "cd/IMG/GONE");
    assert!(
        lost["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("missing"))
    );
    let whole = scene.json(&["import", "cd"])?.exits(0).summary()?;
    assert_eq!(
        (&whole["stored"], &whole["ignored"]),
        (&json!(1), &json!(1))
    );
    Ok(())
}

#[test]
fn a_file_that_a_dicomdir_names_is_quarantined_if_it_is_no_dicom() -> Test {
    let scene = Scene::new()?;
    scene.write("cd/IMG/A1", b"no image")?;
    scene.put("cd/DICOMDIR", &dicomdir(&["IMG\\A1"]))?;
    let named = scene.json(&["import", "cd/DICOMDIR"])?.exits(1).summary()?;
    assert_eq!(named["quarantined"], json!({"Invalid_DICOM": 1}));
    // Found in a directory, it is like any other file.
    let found = scene.json(&["import", "cd"])?.exits(0).summary()?;
    assert_eq!(found["ignored"], 2);
    Ok(())
}

#[test]
fn import_prints_each_warning_once() -> Test {
    let scene = Scene::new()?;
    for n in 0..3 {
        let object = ct_small(&Place::nth(5, n, 1)).without(Tag(0x0010, 0x0020));
        scene.put(&format!("in/{n}"), &object)?;
        let place = Place::nth(6, n, 1).patient(2);
        let object = secondary_capture(&place).without(Tag(0x0028, 0x0301));
        scene.put(&format!("in/sc{n}"), &object)?;
    }
    let args = ["-p", "project", "import", "in", "--modalities", "all"];
    let ran = scene.run(&args)?.exits(0);
    let warnings: Vec<&str> = ran
        .err
        .lines()
        .filter(|l| l.starts_with("warning"))
        .collect();
    assert_eq!(warnings.len(), 2, "{}", ran.err);
    assert!(
        warnings
            .iter()
            .all(|warning| warning.starts_with("warning: 3 ")),
        "{warnings:?}"
    );
    let again = ["-p", "again", "--format", "json"];
    let summary = scene.run(&[&again[..], &args[2..]].concat())?.exits(0);
    let summary = summary.summary()?;
    let counts = (&summary["shared_patient"], &summary["burned_in_unknown"]);
    assert_eq!(counts, (&json!(3), &json!(3)));
    let quiet = scene
        .run(&["-q", "-p", "project", "import", "in"])?
        .exits(0);
    assert_eq!(quiet.err, "");
    Ok(())
}

/// Imports the files one by one. Returns the outcome of the last, and what quarantine keeps of it.
fn outcome_of(files: &[&DataSet], setting: Option<(&str, &str)>) -> Test<String> {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    if let Some((key, value)) = setting {
        scene.set(key, value)?;
    }
    let mut outcome = String::new();
    for (n, object) in files.iter().enumerate() {
        let name = format!("in/{n}");
        scene.put(&name, object)?;
        let ran = scene.json(&["import", &name])?;
        let event = ran.events()?[0]["outcome"].clone();
        event.as_str().ok_or("no outcome")?.clone_into(&mut outcome);
    }
    let entries = scene.json(&["quarantine", "list"])?.exits(0).events()?;
    if let Some(kept) = entries[0]["kept"].as_str() {
        outcome = format!("{outcome}, {kept}");
    }
    Ok(outcome)
}

/// Guards against a setting that is read but not passed to the engine.
#[test]
fn settings_decide_whether_an_object_is_stored_or_quarantined() -> Test {
    const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
    let place = Place::new(3);
    let marked = ct_small(&place).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    let nameless = ct_small(&place).without(PATIENT_ID);
    let first = ct_small(&place);
    let moved = ct_small(&place.instance(2)).put(PATIENT_ID, VR::LO, "OTHER");
    let marked = &[&marked][..];
    for (key, value, files, without, with) in [
        (
            "burned_in",
            "accept",
            marked,
            "quarantined, copied",
            "stored",
        ),
        (
            "missing_patient_id",
            "quarantine",
            &[&nameless],
            "stored",
            "quarantined, copied",
        ),
        (
            "study_patient_conflict",
            "first",
            &[&first, &moved],
            "quarantined, copied",
            "stored",
        ),
        (
            "quarantine.files",
            "reference",
            marked,
            "quarantined, copied",
            "quarantined, referenced",
        ),
        (
            "quarantine.max_bytes",
            "100",
            marked,
            "quarantined, copied",
            "failed",
        ),
    ] {
        assert_eq!(outcome_of(files, None)?, without, "without {key}");
        assert_eq!(
            outcome_of(files, Some((key, value)))?,
            with,
            "{key} = {value}"
        );
    }
    Ok(())
}

#[test]
fn the_dialect_setting_applies_to_the_script() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    scene.write("my.script", SCRIPT.as_bytes())?;
    scene
        .run(&["init", "project", "--script", "my.script"])?
        .exits(0);
    for (dialect, code) in [("ctp", 3), ("rsna", 0), ("auto", 0)] {
        scene.set("dialect", dialect)?;
        scene.json(&["import", "in"])?.exits(code);
    }
    Ok(())
}

#[test]
fn changed_rules_require_accept_new_rules() -> Test {
    let scene = Scene::new()?;
    scene.cts(2)?;
    scene.json(&["import", "in/000/00000.dcm"])?.exits(0);
    let file = scene.project().join("project.toml");
    let text = fs::read_to_string(&file)?.replace("\"rsna-v17\"", "\"other.script\"");
    scene.write("project/project.toml", text.as_bytes())?;
    scene.write("project/other.script", SCRIPT.as_bytes())?;
    let refused = scene.json(&["import", "in"])?.exits(3);
    assert!(
        refused.err.contains("--accept-new-rules"),
        "{}",
        refused.err
    );
    for args in [&["serve", "--port", "0"][..], &["quarantine", "retry"]] {
        let refused = scene.json(args)?.exits(3);
        let told = refused.err.contains("--accept-new-rules");
        assert!(told, "{args:?}: {}", refused.err);
    }
    assert_eq!(scene.public()?.len(), 1);
    scene
        .json(&["import", "in", "--accept-new-rules"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    scene.set("script", "rsna-v17")?;
    scene.json(&["import", "in"])?.exits(0);
    Ok(())
}

#[test]
fn import_with_an_invalid_script_creates_no_project() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    scene.write(
        "bad.script",
        SCRIPT.replace("@hashdate", "@hashdat").as_bytes(),
    )?;
    let ran = scene
        .json(&["import", "in", "--script", "bad.script"])?
        .exits(3);
    assert!(ran.err.contains("bad.script:6:"), "{}", ran.err);
    assert!(!scene.project().exists());
    Ok(())
}

#[test]
fn messages_and_log_contain_no_paths_and_no_patient_values() -> Test {
    let scene = Scene::new()?;
    let place = Place::new(3);
    scene.put("in/DOE^JANE/1.dcm", &ct_small(&place))?;
    let cut = ct_small(&place.instance(2)).write(Syntax::ExplicitLittle);
    scene.write("in/DOE^JANE/2.dcm", cut.get(..890).ok_or("short")?)?;
    let args = ["-vvv", "-p", "project", "import", "in"];
    let ran = scene.run(&args)?.exits(1);
    let log = fs::read_to_string(scene.project().join("private/logs/anon.log"))?;
    assert!(log.contains("file=2"), "{log}");
    for canary in ["DOE", "JANE", &place.patient_name(), &place.patient_id()] {
        for (name, text) in [("stdout", &ran.out), ("stderr", &ran.err), ("log", &log)] {
            assert!(!text.contains(canary), "{canary} in {name}: {text}");
        }
    }
    assert!(ran.out.contains("file 2: quarantined"), "{}", ran.out);
    assert!(ran.err.contains("--show-phi"), "{}", ran.err);
    // The text in brackets is the id of a quarantine entry.
    let entry = ran.out.split(['[', ']']).nth(1).ok_or("no entry")?;
    let shown = scene
        .run(&["-p", "project", "quarantine", "show", entry])?
        .exits(0);
    assert!(shown.out.contains("cut short"), "{}", shown.out);
    let shown = scene
        .run(&["--show-phi", "-p", "project", "import", "in"])?
        .exits(1);
    assert!(
        shown.out.contains("in/DOE^JANE/2.dcm: quarantined"),
        "{}",
        shown.out
    );
    Ok(())
}

/// What lies beside images on a medium.
const COMPANY: [(&str, &[u8]); 7] = [
    ("Thumbs.db", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"),
    ("autorun.inf", b"[autorun]\r\nopen=viewer.exe\r\n"),
    ("viewer.exe", b"MZ\x90\0\x03\0\0\0\x04\0\0\0"),
    // A ZIP file, but a program.
    (
        "viewer.jar",
        b"PK\x03\x04\x14\0\x08\0\x08\0................\0\0\0\0META-INF/MANIFEST.MF",
    ),
    ("report.pdf", b"%PDF-1.4\n"),
    ("empty", b""),
    ("zeros.dcm", &[0; 200]),
];

#[test]
fn ordinary_files_beside_the_images_are_ignored_unless_they_are_named() -> Test {
    let scene = Scene::new()?;
    scene.put("in/IM1", &ct_small(&Place::new(1)))?;
    for (name, bytes) in COMPANY {
        scene.write(&format!("in/{name}"), bytes)?;
    }
    let ran = scene.json(&["import", "in"])?.exits(0);
    let summary = ran.summary()?;
    assert_eq!(
        [
            &summary["stored"],
            &summary["ignored"],
            &summary["archives"]
        ],
        [&json!(1), &json!(7), &json!(0)]
    );
    let reasons = json!({
        "the file has no sign of DICOM": 5,
        "the file has no sign of DICOM, although its name ends in .dcm": 1,
        "the file is empty": 1,
    });
    assert_eq!(summary["ignored_reasons"], reasons);
    for event in ran.events()?.iter().filter(|e| e["outcome"] == "ignored") {
        assert!(event["reason"].is_string(), "{event}");
    }
    let args = ["-p", "project", "import", "in"];
    let human = scene.run(&args)?.exits(0);
    for line in [
        "ignored: the file has no sign of DICOM (5)",
        "ignored: the file is empty (1)",
    ] {
        assert!(human.out.lines().any(|it| it == line), "{}", human.out);
    }
    for (name, _) in COMPANY {
        let path = format!("in/{name}");
        let named = scene.json(&["import", &path])?.exits(1).summary()?;
        let expected = json!({"Invalid_DICOM": 1});
        assert_eq!(named["quarantined"], expected, "{name}");
    }
    Ok(())
}

#[test]
fn archives_are_known_by_their_content_and_said_not_to_be_read() -> Test {
    let scene = Scene::new()?;
    let mut tar = vec![b'x'; 257];
    tar.extend(b"ustar\x0000");
    tar.resize(1024, 0);
    scene.write("in/IMAGES", b"PK\x03\x04\x14\0\0\0")?;
    scene.write("in/backup.old", &tar)?;
    scene.write("in/scan.dcm", &[0x1F, 0x8B, 8, 0, 1, 2, 3])?;
    // An image whose name is that of an archive.
    scene.put("in/image.zip", &ct_small(&Place::new(1)))?;
    let ran = scene.json(&["import", "in"])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(
        [
            &summary["stored"],
            &summary["ignored"],
            &summary["archives"]
        ],
        [&json!(1), &json!(3), &json!(3)]
    );
    assert_eq!(summary["quarantined"], json!({}));
    let args = ["-p", "project", "import", "in"];
    let human = scene.run(&args)?.exits(1);
    for line in [
        "3 archives were not read: unpack them and import their files",
        "file 1: ignored: a zip archive: unpack it and import its files",
    ] {
        assert!(human.out.lines().any(|it| it == line), "{}", human.out);
    }
    let args = ["-p", "project", "import", "in/backup.old"];
    let human = scene.run(&args)?.exits(1);
    let line = "1 archive was not read: unpack it and import its files";
    assert!(human.out.lines().any(|it| it == line), "{}", human.out);
    Ok(())
}

/// A folder of thousands of refused files fills no terminal.
#[test]
fn people_see_ten_refused_files_of_each_kind_and_then_a_count() -> Test {
    let scene = Scene::new()?;
    for n in 0..13 {
        let object = ct_small(&Place::new(n)).without(Tag(0x0020, 0x000E));
        scene.put(&format!("in/{n:02}.dcm"), &object)?;
    }
    scene.ultrasound("in/us.dcm")?;
    let ran = scene.run(&["-p", "project", "import", "in"])?.exits(1);
    let listed = |category: &str| {
        let kind = format!(": quarantined ({category}): ");
        ran.out.lines().filter(|line| line.contains(&kind)).count()
    };
    assert_eq!(listed("Missing_Attributes"), 10, "{}", ran.out);
    assert_eq!(listed("Invalid_Storage_Class"), 1, "{}", ran.out);
    let rest = "quarantined (Missing_Attributes): further files are only counted";
    assert_eq!(ran.out.matches(rest).count(), 1, "{}", ran.out);
    assert!(
        ran.out.contains("quarantined: Missing_Attributes 13"),
        "{}",
        ran.out
    );
    let events = scene.json(&["import", "in"])?.exits(1).events()?;
    assert_eq!(events.len(), 15, "JSON has an event for each");
    Ok(())
}

/// The same image sent again in another encoding is a duplicate, and said to be one.
#[test]
fn a_duplicate_in_another_transfer_syntax_is_counted() -> Test {
    let scene = Scene::new()?;
    let object = ct_small(&Place::new(1));
    scene.write("one/1.dcm", &object.write(Syntax::ExplicitLittle))?;
    scene.write("two/1.dcm", &object.write(Syntax::ImplicitLittle))?;
    scene.json(&["import", "one"])?.exits(0);
    let summary = scene.json(&["import", "two"])?.exits(0).summary()?;
    assert_eq!(
        (&summary["duplicates"], &summary["other_transfer_syntax"]),
        (&json!(1), &json!(1))
    );
    Ok(())
}
