//! Files that are full of UIDs take little memory and little space in the lookup store.

use std::fmt::Write as _;
use std::fs;

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use dicom_core::{Tag, VR};

use crate::large::run_measuring_memory;
use crate::support::{Scene, Test};

/// Elements whose UIDs the default rules replace.
const LISTS: [Tag; 4] = [
    Tag(0x0018, 0x991E),
    Tag(0x0020, 0x0200),
    Tag(0x0020, 0x9161),
    Tag(0x0028, 0x1199),
];

/// A sequence that the default rules keep.
const SEQUENCE: Tag = Tag(0x0018, 0x6011);

/// As many values as an element may have.
const MOST: u32 = 10_000;

/// Length of a file.
const FILE: usize = 2 << 20;

const FILES: u32 = 16;

/// Limit of resident memory, in bytes.
const RESIDENT: u64 = 256 << 20;

fn uid(file: u32, number: u32) -> String {
    format!("1.2.{file}.{}", 100_000 + number)
}

/// Returns a list of UIDs, the first of them with this number.
fn list(file: u32, first: u32, count: u32) -> String {
    let mut text = String::new();
    for number in first..first + count {
        let _ = write!(text, "{}\\", uid(file, number));
    }
    text.pop();
    text
}

/// Returns an object with 40,000 UIDs in lists, 9,900 in items, and lists of the same UIDs in further
/// items up to the length of a file.
fn full_of_uids(file: u32) -> DataSet {
    let [nested, ..] = LISTS;
    let mut object = ct_small(&Place::nth(9, file, 5));
    for (tag, first) in LISTS.into_iter().zip((0..).step_by(MOST as usize)) {
        object.set(tag, VR::UI, list(file, first, MOST));
    }
    let mut items: Vec<DataSet> = (4 * MOST..5 * MOST - 100)
        .map(|number| DataSet::new().put(nested, VR::UI, uid(file, number)))
        .collect();
    let again = list(file, 0, MOST);
    let rest = FILE - 5 * again.len() - items.len() * 20;
    for _ in 0..rest / again.len() {
        items.push(DataSet::new().put(nested, VR::UI, again.as_str()));
    }
    object.sequence(SEQUENCE, items)
}

#[test]
fn import_of_files_full_of_uids_takes_bounded_memory_and_space() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let mut written = 0;
    for file in 0..FILES {
        let bytes = full_of_uids(file).write(Syntax::ImplicitLittle);
        assert!(bytes.len() > FILE * 9 / 10, "{}", bytes.len());
        written += bytes.len() as u64;
        scene.write(&format!("in/{file}.dcm"), &bytes)?;
    }
    let import = ["-p", "project", "--format", "json", "import", "in"];
    let (ran, peak) = run_measuring_memory(&mut scene.command(&import))?;
    let summary = ran.exits(0).summary()?;
    assert_eq!(summary["stored"], FILES);
    println!("{peak} bytes of memory");
    assert!(peak > 0 && peak < RESIDENT, "{peak} bytes of memory");
    let store = fs::metadata(scene.project().join("private/lookup.redb"))?.len();
    println!("{store} bytes of lookups for {written} of input");
    assert!(store < 6 * written, "{store} for {written}");
    Ok(())
}

#[test]
fn import_refuses_lists_of_more_uids_than_any_object_has() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    for file in 0..4 {
        let object = ct_small(&Place::nth(9, file, 5)).put(LISTS[0], VR::UI, list(1, 0, MOST + 1));
        scene.write(
            &format!("in/{file}.dcm"),
            &object.write(Syntax::ImplicitLittle),
        )?;
    }
    let summary = scene.json(&["import", "in"])?.exits(1).summary()?;
    assert_eq!(summary["quarantined"]["Storage_Error"], 4, "{summary}");
    let listed = scene.json(&["quarantine", "list"])?;
    let says_so = listed.out.contains("more values than this program accepts");
    assert!(says_so, "{}", listed.out);
    let store = fs::metadata(scene.project().join("private/lookup.redb"))?.len();
    assert!(store < 4 << 20, "{store} bytes of lookups");
    Ok(())
}
