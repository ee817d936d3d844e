//! Objects with very many UIDs: as many as objects have use for are taken, more are refused.

use anon_engine::{Category, Policy};
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{Enc, IMPLICIT, Lengths, Object, Outcome, Table, run};

const REFERENCES: Tag = Tag(0x0008, 0x1140);
const REFERENCED_CLASS: Tag = Tag(0x0008, 0x1150);
const REFERENCED_INSTANCE: Tag = Tag(0x0008, 0x1155);
const FAILED_INSTANCES: Tag = Tag(0x0008, 0x0058);
const ACCESSION: Tag = Tag(0x0008, 0x0050);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

fn policy() -> Policy {
    Table::new()
        .keeping(&[REFERENCES, REFERENCED_CLASS])
        .with(FAILED_INSTANCES, Action::Uid)
        .with(REFERENCED_INSTANCE, Action::Uid)
        .policy()
}

/// An object with one more element.
fn with(tag: Tag, value: Vec<u8>) -> Vec<u8> {
    Object::new(Enc::Implicit).raw(tag, value).part10(IMPLICIT)
}

/// An object with a list of this many UIDs of usual length.
fn list(count: usize) -> Vec<u8> {
    let uids: Vec<String> = (0..count)
        .map(|n| format!("1.2.840.113619.2.55.3.{n}"))
        .collect();
    let text = uids.join("\\");
    with(
        FAILED_INSTANCES,
        Enc::Implicit.text(FAILED_INSTANCES, "UI", &text),
    )
}

/// An object that refers to this many instances, whose UIDs begin with `root`.
fn references(count: usize, root: &str) -> Vec<u8> {
    let e = Enc::Implicit;
    let items: Vec<Vec<u8>> = (0..count)
        .map(|n| {
            let class = e.text(REFERENCED_CLASS, "UI", "1.2.840.10008.5.1.4.1.1.2");
            let instance = e.text(REFERENCED_INSTANCE, "UI", &format!("{root}.{n}"));
            [class, instance].concat()
        })
        .collect();
    with(REFERENCES, e.sequence(REFERENCES, &items, Lengths::Defined))
}

#[track_caller]
fn refused(bytes: &[u8], words: &str) {
    let refusal = run(&policy(), bytes).expect_err("too many");
    assert_eq!(refusal.category, Category::StorageError, "{refusal}");
    assert!(refusal.reason.contains(words), "{refusal}");
}

#[test]
fn list_of_ten_thousand_uids_is_taken_and_a_longer_one_is_refused() -> Outcome {
    run(&policy(), &list(10_000))?;
    refused(&list(10_001), "more values than this program accepts");
    let uids = "1.2\\".repeat(250_000);
    let same = Enc::Implicit.text(FAILED_INSTANCES, "UI", &uids);
    refused(
        &with(FAILED_INSTANCES, same),
        "more values than this program accepts",
    );
    Ok(())
}

#[test]
fn object_that_refers_to_thousands_of_instances_is_taken() -> Outcome {
    for count in [1, 5_000, 20_000] {
        run(
            &policy(),
            &references(count, "1.2.840.113619.2.55.3.604688119"),
        )?;
    }
    Ok(())
}

#[test]
fn object_with_more_uids_than_its_length_needs_is_refused() {
    let words = "more different UIDs and accession numbers";
    refused(&references(50_001, "1.2.840.113619"), words);
    // Many UIDs that are shorter than those of the world.
    let uids: Vec<String> = (0..9_000).map(|n| format!("1.{n}")).collect();
    let short = Enc::Implicit.text(FAILED_INSTANCES, "UI", &uids.join("\\"));
    refused(&with(FAILED_INSTANCES, short), words);
    let numbers: Vec<String> = (0..9_000).map(|n| n.to_string()).collect();
    let numbers = Enc::Implicit.text(ACCESSION, "SH", &numbers.join("\\"));
    refused(&with(ACCESSION, numbers), words);
}

#[test]
fn dates_and_accession_numbers_are_bounded_in_number() {
    let words = "more values than this program accepts";
    for (tag, vr, one) in [(STUDY_DATE, "DA", "20240101\\"), (ACCESSION, "SH", "A\\")] {
        let value = Enc::Implicit.text(tag, vr, &one.repeat(10_000));
        refused(&with(tag, value), words);
    }
}
