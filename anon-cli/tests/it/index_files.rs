//! `anon index` to files: their place, their permissions, and how a spreadsheet reads them.

use std::fs;
use std::io::Read as _;

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use serde_json::json;

use crate::support::{Scene, Test, mode};

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const ACCESSION: Tag = Tag(0x0008, 0x0050);
const NAME: Tag = Tag(0x0010, 0x0010);
const DESCRIPTION: Tag = Tag(0x0008, 0x1030);

/// A project with two studies; one patient name looks like a formula, the other like a link.
fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    let formula = ct_small(&Place::new(3)).put(NAME, VR::PN, "=1+1");
    let link = ct_small(&Place::new(3).patient(2)).put(NAME, VR::PN, "https://example.org/ <&>");
    scene.put("in/1", &formula)?;
    scene.put("in/2", &link.put(DESCRIPTION, VR::LO, "x"))?;
    let args = [
        "import",
        "in",
        "--site-id",
        "5",
        "--name",
        "TRIAL 7",
        "--jobs",
        "1",
    ];
    scene.json(&args)?.exits(0);
    Ok(scene)
}

/// Returns a part of a workbook by name.
fn part(bytes: &[u8], name: &str) -> Test<String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut text = String::new();
    zip.by_name(name)?.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn index_without_a_file_name_is_written_where_v17_writes_it() -> Test {
    let scene = made()?;
    let directory = scene.project().join("private/phi_export");
    let written = scene
        .json(&["index", "--csv", "--xlsx"])?
        .exits(0)
        .summary()?;
    assert_eq!(written["studies"], 2);
    for (field, name) in [
        ("csv", "5_TRIAL 7_PHI_2.csv"),
        ("xlsx", "5_TRIAL 7_PHI_2.xlsx"),
    ] {
        let path = directory.join(name);
        assert_eq!(written[field], json!(path), "{field}");
        assert_eq!(mode(&path)?, 0o600, "{field}");
    }
    // Written again over the existing files; no other file is left.
    scene.json(&["index", "--csv", "--xlsx"])?.exits(0);
    assert_eq!(fs::read_dir(&directory)?.count(), 2);
    assert_eq!(
        fs::read_dir(scene.project().join("private/tmp"))?.count(),
        0
    );
    Ok(())
}

#[test]
fn index_xlsx_contains_only_text_cells() -> Test {
    let scene = made()?;
    scene.json(&["index", "--xlsx", "index.xlsx"])?.exits(0);
    let path = scene.path().join("index.xlsx");
    assert_eq!(mode(&path)?, 0o600);
    let bytes = fs::read(&path)?;
    let sheet = part(&bytes, "xl/worksheets/sheet1.xml")?;
    assert!(
        !sheet.contains("<f>") && !sheet.contains("hyperlink"),
        "{sheet}"
    );
    let cells = sheet.matches("<c ").count();
    assert_eq!(sheet.matches("t=\"inlineStr\"").count(), cells, "{sheet}");
    assert_eq!(cells, 12 * 3, "{sheet}");
    for text in [
        "<t>=1+1</t>",
        "https://example.org/ &lt;&amp;&gt;",
        "<t>5-000001</t>",
        "<t>ANON-PatientID</t>",
    ] {
        assert!(sheet.contains(text), "{text}: {sheet}");
    }
    let names = zip::ZipArchive::new(std::io::Cursor::new(&bytes))?;
    assert!(
        names
            .file_names()
            .all(|name| name.is_ok_and(|name| !name.contains("_rels/sheet"))),
        "no links"
    );
    Ok(())
}

#[test]
fn index_reports_a_file_that_cannot_be_written() -> Test {
    let scene = made()?;
    for option in ["--csv", "--xlsx"] {
        scene.json(&["index", option, "missing/index"])?.exits(4);
        fs::create_dir(scene.path().join(option))?;
        let failed = scene
            .json(&["index", option, &format!("./{option}")])?
            .exits(4);
        assert!(!failed.err.contains("=1+1"), "{}", failed.err);
    }
    let left = fs::read_dir(scene.path())?.filter_map(Result::ok);
    let left: Vec<_> = left
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// A device or pipe is not replaced by a file of originals.
#[test]
#[cfg(unix)]
fn index_refuses_to_replace_a_device_or_pipe() -> Test {
    use std::os::unix::fs::FileTypeExt as _;

    let scene = made()?;
    let pipe = scene.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()?
            .success()
    );
    std::os::unix::fs::symlink("/dev/null", scene.path().join("null"))?;
    for name in ["pipe", "null"] {
        for option in ["--csv", "--xlsx"] {
            let refused = scene.json(&["index", option, name])?.exits(4);
            assert!(
                refused.err.contains("it is not a regular file"),
                "{}",
                refused.err
            );
        }
    }
    assert!(fs::symlink_metadata(pipe)?.file_type().is_fifo());
    assert!(fs::symlink_metadata(scene.path().join("null"))?.is_symlink());
    Ok(())
}

/// Names in several scripts, and studies without an accession number.
#[test]
fn index_csv_is_utf8_and_lists_every_study() -> Test {
    let scene = Scene::new()?;
    let names = ["Müller^Jérôme", "Yamada^Tarou=山田^太郎"];
    for (n, name) in (1..).zip(names) {
        let object = ct_small(&Place::new(3).patient(n))
            .put(CHARACTER_SET, VR::CS, "ISO_IR 192")
            .put(NAME, VR::PN, name)
            .without(ACCESSION);
        scene.put(&format!("in/{n}"), &object)?;
    }
    let args = ["import", "in", "--site-id", "5", "--jobs", "1"];
    scene.json(&args)?.exits(0);
    scene.json(&["index", "--csv", "index.csv"])?.exits(0);
    let text = String::from_utf8(fs::read(scene.path().join("index.csv"))?)?;
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows.len(), 2, "{text}");
    for (row, (n, name)) in rows.iter().zip((1..).zip(names)) {
        let place = Place::new(3).patient(n);
        assert_eq!(row[..2], [&*format!("5-{n:06}"); 2], "{text}");
        assert_eq!(row[2..4], [name, &*place.patient_id()], "{text}");
        assert_eq!(row[6..8], ["", ""], "no accession number: {text}");
        assert_eq!(row[9], place.study_uid(), "{text}");
    }
    Ok(())
}
