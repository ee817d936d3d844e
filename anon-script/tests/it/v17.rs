//! Compares the built-in `rsna-v17` with the default script of V17.
//!
//! `v17/kept.txt` lists the elements that the script keeps, and [`OPERATIONS`] its operations.
//! [`default_script`] writes a script of the same form: a kept element is a row with en="F" and no
//! text, an operation or a removal is a row with en="T", and rows `k` and `r` follow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::StandardDataDictionary;

use anon_script::{Action, Dialect, Row, RuleSet, Rules as _, Severity, Stays, Tag, builtin, load};

const KEPT: &str = include_str!("v17/kept.txt");
const PAGE: &str = include_str!("../../src/builtin.rs");

const OPERATIONS: [(&str, &str); 7] = [
    (
        "@hashdate(this,PatientID)",
        "00080020 00080021 00080022 00080023 00080024 00080025 0008002A 00181078 00181079 00189369 \
         0018936A 00189516 00189517",
    ),
    (
        "@empty()",
        "00120010 00120020 00120021 00120030 00120031 00120040 00120042 00120050 00120060 00120081 \
         00189367 00189371 00200010",
    ),
    (
        "@uid",
        "00080018 0020000D 0020000E 00200052 00200200 00209161 00209164 00281199 00281214",
    ),
    ("@ptid", "00100010 00100020"),
    ("@acc", "00080050"),
    ("@round(this,5)", "00101010"),
    ("YES", "00120062"),
];

/// Elements that V17's script removes by a row: the first and the last of each group are enough.
const REMOVED: &str = "00080014 00081040 00100030 00104000 00181000 00181030 00204000 00321032 \
                       00380010 00400275 0040A730 00880140 20100010 30060020 40000010";

fn kept() -> Vec<Tag> {
    let mut tags = Vec::new();
    for line in KEPT.lines() {
        let (group, elements) = line.split_once(':').expect("a line begins with its group");
        let number = |text: &str| u16::from_str_radix(text, 16).expect("a number in hex");
        tags.extend(
            elements
                .split_whitespace()
                .map(|element| Tag(number(group), number(element))),
        );
    }
    tags
}

fn operations() -> BTreeMap<String, &'static str> {
    OPERATIONS
        .iter()
        .flat_map(|(operation, tags)| tags.split_whitespace().map(|tag| (tag.into(), *operation)))
        .collect()
}

/// A script of the form of V17's own. `enabled` is the attribute `en` of the rows that keep.
fn default_script(enabled: &str, hash_date: &str) -> String {
    let operations = operations();
    let mut rows: BTreeMap<String, (&str, &str)> = REMOVED
        .split_whitespace()
        .map(|tag| (tag.to_owned(), ("T", "@remove()")))
        .collect();
    for Tag(group, element) in kept() {
        let tag = format!("{group:04X}{element:04X}");
        let row = match operations.get(&tag) {
            Some(operation) if operation.starts_with("@hashdate") => ("T", hash_date),
            Some(operation) => ("T", *operation),
            None => (enabled, ""),
        };
        rows.insert(tag, row);
    }
    let mut text = String::from("<script>\n");
    for (tag, (en, operation)) in rows {
        writeln!(
            text,
            "<e en=\"{en}\" t=\"{tag}\" n=\"Name\">{operation}</e>"
        )
        .expect("a String");
    }
    for group in ["0018", "0020", "0028"] {
        writeln!(text, "<k en=\"F\" t=\"{group}\">Keep group {group}</k>").expect("a String");
    }
    for (en, name) in [
        ("T", "curves"),
        ("T", "overlays"),
        ("T", "privategroups"),
        ("F", "unspecifiedelements"),
    ] {
        writeln!(text, "<r en=\"{en}\" t=\"{name}\">Remove {name}</r>").expect("a String");
    }
    text.push_str("</script>\n");
    text
}

/// The tags in the first column of the table on the page of `builtin`.
fn tabled() -> Vec<Tag> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("//! | ("));
    let cells = rows.filter_map(|row| row.split('|').next());
    let mut tags: Vec<Tag> = cells
        .flat_map(|cell| {
            cell.split('(').map(|tag| {
                tag.chars()
                    .filter(char::is_ascii_hexdigit)
                    .take(8)
                    .collect::<String>()
            })
        })
        .filter_map(|tag| {
            Some(Tag(
                u16::from_str_radix(tag.get(..4)?, 16).ok()?,
                u16::from_str_radix(tag.get(4..8)?, 16).ok()?,
            ))
        })
        // This row of the table is about V17's output, not about its script.
        .filter(|tag| *tag != Tag(0x0012, 0x0064))
        .collect();
    tags.sort_unstable();
    tags
}

fn built_in() -> RuleSet {
    builtin("rsna-v17").expect("a built-in rule set")
}

fn from_v17() -> RuleSet {
    load(&default_script("F", "@hashdate(this,PatientID)"), None)
        .expect("V17's script is without error")
        .rules
}

#[test]
fn the_list_has_as_many_elements_as_v17s_script() {
    let tags = kept();
    assert_eq!(tags.len(), 1_470);
    assert_eq!(operations().len(), 40);
    for (group, count) in [
        (0x0008, 23),
        (0x0010, 12),
        (0x0012, 16),
        (0x0018, 807),
        (0x0020, 99),
        (0x0022, 174),
        (0x0024, 101),
        (0x0028, 227),
        (0x7FE0, 8),
        (0xFFFE, 3),
    ] {
        assert_eq!(
            tags.iter().filter(|tag| tag.0 == group).count(),
            count,
            "{group:04X}"
        );
    }
}

#[test]
fn the_default_script_compiles_without_warnings() {
    let text = default_script("F", "@hashdate(this,PatientID)");
    let compiled = load(&text, None).expect("V17's script is without error");
    assert_eq!(compiled.dialect, Dialect::Rsna);
    assert_eq!(compiled.warnings, []);
}

/// V17 and the built-in rules differ exactly in the elements that the page of `builtin` names.
#[test]
fn the_page_lists_every_difference_from_v17() {
    let (theirs, ours) = (from_v17(), built_in());
    // Every element of the groups that have a row. No other group has rules.
    let rows = theirs.rows().iter().chain(ours.rows());
    let groups: BTreeSet<u16> = rows.map(|row| row.tag.0).collect();
    let differ: Vec<Tag> = groups
        .into_iter()
        .flat_map(|group| (0..=u16::MAX).map(move |element| Tag(group, element)))
        .filter(|tag| {
            let element = anon_script::Element::root(*tag);
            theirs.action(element) != ours.action(element)
        })
        .collect();
    assert_eq!(differ, tabled());
    let expect = |tag: &Tag| {
        if *tag == Tag(0x0018, 0x9623) {
            Action::ShiftDate
        } else {
            Action::Uid
        }
    };
    for tag in &differ {
        let element = anon_script::Element::root(*tag);
        assert_eq!(theirs.action(element), &Action::Keep, "{tag}");
        assert_eq!(ours.action(element), &expect(tag), "{tag}");
    }
}

/// Without the differences, the digest is that of V17's rules.
#[test]
fn without_the_differences_the_digest_is_that_of_v17() {
    let ours = built_in();
    let deviating = tabled();
    let rows = ours.rows().iter().map(|row| {
        let action = if deviating.contains(&row.tag) {
            Action::Keep
        } else {
            row.action.clone()
        };
        Row::new(row.tag, action)
    });
    let back = RuleSet::new("back", ours.method().clone(), rows.collect()).expect("nine groups");
    assert_eq!(back.digest(), from_v17().digest());
    assert_ne!(ours.digest(), from_v17().digest());
}

/// The scripts of 17.3.9 (every row with en="T") and V18 (`@hashdate` without arguments).
#[test]
fn scripts_of_later_versions_compile_to_the_same_rules() {
    let first = from_v17().digest();
    for (enabled, hash_date) in [
        ("T", "@hashdate(this,PatientID)"),
        ("T", "@hashdate"),
        ("F", "@hashdate()"),
        ("F", "@hashdate(this)"),
    ] {
        let compiled = load(&default_script(enabled, hash_date), None).expect(hash_date);
        assert_eq!(compiled.rules.digest(), first, "{enabled} {hash_date}");
    }
}

#[test]
fn the_text_of_the_built_in_rules_compiles_to_the_same_rules() {
    let ours = built_in();
    let again = load(ours.text(), None).expect("our own text is without error");
    assert!(
        again
            .warnings
            .iter()
            .all(|warning| warning.severity == Severity::Warning)
    );
    assert_eq!(again.warnings, []);
    assert_eq!(again.rules.digest(), ours.digest());
    assert_eq!(again.rules.text(), ours.text());
}

#[test]
fn the_kept_times_texts_and_uids_are_those_of_v17() {
    let stays = Stays::of(&built_in());
    let tag = |text: &str| {
        Tag(
            u16::from_str_radix(&text[..4], 16).expect("hex"),
            u16::from_str_radix(&text[4..], 16).expect("hex"),
        )
    };
    let times: Vec<Tag> = "00080030 00080031 00080032 00080033 00080034 00080035 00180027 00180035 00181042 00181043 00181072 00181073"
        .split_whitespace().map(tag).collect();
    assert_eq!(stays.times, times);
    assert_eq!(stays.dates, []);
    assert_eq!(stays.names, []);
    assert_eq!(stays.uids, []);
    // PS3.6 lists every element that V17 keeps.
    assert_eq!(stays.unknown, []);
    assert_eq!(stays.shifted.len(), 13 + 1);
    for text in ["00081030", "0008103E", "00180010", "00240044", "00189908"] {
        assert!(stays.free_text.contains(&tag(text)), "{text}");
    }
    let of_vr = |vr: VR| {
        let is_of = |tag: &&Tag| {
            let entry = StandardDataDictionary.by_tag(**tag);
            entry.is_some_and(|entry| entry.vr().exact() == Some(vr))
        };
        stays.free_text.iter().filter(is_of).count()
    };
    let counts = [VR::LT, VR::ST, VR::UT, VR::UC, VR::LO].map(of_vr);
    assert_eq!(counts, [7, 4, 8, 2, 89]);
    let theirs = Stays::of(&from_v17());
    assert_eq!(theirs.dates, [Tag(0x0018, 0x9623)]);
    assert_eq!(theirs.uids.len(), 5);
}
