//! `anon import` with malformed files: each gets a reason or a valid output, in limited memory, and
//! nothing outside the project is written.

use std::collections::BTreeMap;
use std::process::Command;

use anon_engine::testing::files::{DataSet, Form, Head, Place, Syntax, Value, ct_small};
use dicom_core::{Tag, VR};

use crate::support::{Scene, Test, finish, tree};

/// Limit of the memory that the process may write, in KiB. Address space (`ulimit -v`) is not it: each thread reserves
/// 128 MiB of it for its allocator.
const MEMORY: u32 = 512 << 10;

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const SOP_UID: Tag = Tag(0x0008, 0x0018);
const NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const STUDY_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_UID: Tag = Tag(0x0020, 0x000E);
const ROWS: Tag = Tag(0x0028, 0x0010);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);

/// Replaces one element by others.
fn instead(object: &DataSet, tag: Tag, others: &[(Tag, [u8; 2], Value)]) -> DataSet {
    let mut set = DataSet::new();
    for element in object.elements() {
        if element.tag == tag {
            for (tag, vr, value) in others {
                set = set.push_raw(*tag, *vr, value.clone());
            }
        } else {
            set = set.push_raw(element.tag, element.vr, element.value.clone());
        }
    }
    set
}

fn written(object: &DataSet) -> Vec<u8> {
    object.write(Syntax::ExplicitLittle)
}

/// The object with 200,000 nested sequences behind it, none of which has an end delimiter.
fn nested(object: &DataSet) -> Vec<u8> {
    let sequence = b"\x40\x00\x30\xA7SQ\0\0\xFF\xFF\xFF\xFF";
    let item = b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF";
    let levels = [&sequence[..], item].concat().repeat(200_000);
    [written(&object.clone().without(PIXELS)), levels].concat()
}

/// A file's name, its bytes, and the expected result: a quarantine category, `stored` or `ignored`.
type Case = (String, Vec<u8>, &'static str);

/// An image of the `n`th patient.
fn image(n: u32) -> DataSet {
    ct_small(&Place::new(9).patient(n))
}

/// Files that are not DICOM, or incomplete.
fn incomplete() -> Vec<Case> {
    let headless = |n, head| image(n).write_as(&Form::new(Syntax::ExplicitLittle).head(head));
    let text = b"Seen by Dr. Who, no image.\n".to_vec();
    let mut cases = vec![
        ("text".to_owned(), text, "ignored"),
        ("empty".to_owned(), Vec::new(), "ignored"),
        ("zeros".to_owned(), vec![0; 4096], "ignored"),
    ];
    for (n, name, head) in [
        (1, "no preamble", Head::NoPreamble),
        (2, "no meta", Head::NoMeta),
        (3, "a data set alone", Head::DataSet),
    ] {
        cases.push((name.to_owned(), headless(n, head), "stored"));
    }
    let whole = written(&image(4));
    for at in [1, 100, 131, 132, 140, 300, whole.len() / 2, whole.len() - 1] {
        let expected = if at < 132 {
            "ignored"
        } else {
            "DICOM_Read_Error"
        };
        cases.push((format!("cut at {at}"), whole[..at].to_vec(), expected));
    }
    cases
}

/// Files that contradict themselves.
fn broken() -> Vec<Case> {
    let rows = |word: u16| (ROWS, *b"US", Value::U16(vec![word]));
    let four_gb = Value::Claimed {
        length: 0xFFFF_FFFE,
        bytes: vec![1; 1024],
    };
    [
        (
            "letters that are no VR",
            instead(&image(11), ROWS, &[(ROWS, *b"zz", "ab".into())]),
        ),
        (
            "text for a number",
            instead(&image(12), ROWS, &[(ROWS, *b"LO", "ab".into())]),
        ),
        (
            "4 GB in 1 KB",
            instead(&image(13), PIXELS, &[(PIXELS, *b"OW", four_gb)]),
        ),
        (
            "duplicate tags",
            instead(&image(14), ROWS, &[rows(1), rows(2)]),
        ),
    ]
    .into_iter()
    .map(|(name, object)| (name.to_owned(), written(&object), "DICOM_Read_Error"))
    .chain([(
        "200,000 nested sequences".to_owned(),
        nested(&image(16)),
        "DICOM_Read_Error",
    )])
    .collect()
}

/// Files with invalid values, which are replaced or kept.
fn odd() -> Vec<Case> {
    let latin = Value::Exact(b"M\xFCller^J\xE9r\xF4me".to_vec());
    let rows = (ROWS, *b"US", Value::U16(vec![1]));
    let late = (Tag(0x0018, 0x0010), *b"LO", Value::from("late"));
    let set = |n, characters: &str| {
        let object = image(n).put(CHARACTER_SET, VR::CS, characters);
        object.put(NAME, VR::PN, latin.clone())
    };
    [
        (
            "tags out of order",
            instead(&image(15).without(late.0), ROWS, &[rows, late]),
        ),
        ("an unknown character set", set(21, "ISO_IR 999")),
        ("another character set than it says", set(22, "ISO_IR 192")),
        (
            "a path in SOP Instance UID",
            image(23).put(SOP_UID, VR::UI, "../../instance"),
        ),
        (
            "a path in Series Instance UID",
            image(24).put(SERIES_UID, VR::UI, "../../series"),
        ),
        (
            "a path in Study Instance UID",
            image(25).put(STUDY_UID, VR::UI, "../../study"),
        ),
        (
            "a path in Patient ID",
            image(26).put(PATIENT_ID, VR::LO, "../../patient"),
        ),
        (
            "a root in Patient ID",
            image(27).put(PATIENT_ID, VR::LO, "/etc/patient"),
        ),
    ]
    .into_iter()
    .map(|(name, object)| (name.to_owned(), written(&object), "stored"))
    .collect()
}

#[test]
fn bad_files_are_quarantined_with_a_reason_and_write_nothing_outside_the_project() -> Test {
    let scene = Scene::new()?;
    let cases = [incomplete(), broken(), odd()].concat();
    for (name, bytes, _) in &cases {
        scene.write(&format!("in/{name}"), bytes)?;
    }
    scene.write("outside/x", b"as it was")?;
    let outside = || -> Test<BTreeMap<String, Vec<u8>>> {
        let mut files = tree(scene.path())?;
        files.retain(|name, _| !name.starts_with("project/"));
        Ok(files)
    };
    let before = outside()?;
    let run = format!(
        "ulimit -d {MEMORY}; exec '{}' -p project --format json import in --jobs 2 --site-id 7",
        env!("CARGO_BIN_EXE_anon")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &run]).current_dir(scene.path());
    let ran = finish(&mut command)?.exits(1);
    assert!(!ran.err.contains("internal error"), "{}", ran.err);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["found"], &summary["failed"]),
        (&cases.len().into(), &0.into())
    );
    let mut outcomes = BTreeMap::new();
    for event in ran.events()? {
        let Some(source) = event["source"].as_str() else {
            continue;
        };
        let stored = event["outcome"] == "stored";
        let reason = event["reason"].as_str().unwrap_or_default();
        // The reason is a sentence, not one word.
        assert!(stored || reason.split(' ').count() > 3, "{event}");
        let outcome = if event["category"].is_null() {
            &event["outcome"]
        } else {
            &event["category"]
        };
        outcomes.insert(
            source.to_owned(),
            outcome.as_str().unwrap_or_default().to_owned(),
        );
    }
    let expected = cases
        .iter()
        .map(|(name, _, expected)| (format!("in/{name}"), (*expected).to_owned()));
    let expected: BTreeMap<_, _> = expected.collect();
    assert_eq!(outcomes, expected);
    assert!(outside()? == before, "a file outside the project");
    let at_the_top = std::fs::read_dir(scene.project())?.count();
    assert_eq!(at_the_top, 4, "project.toml, store.mark, private, public");
    for (name, bytes) in scene.public()? {
        assert!(
            name.starts_with("7-") && name.split('/').count() == 4,
            "{name}"
        );
        dicom_object::from_reader(&*bytes).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
