//! Values that a rule could not deal with are counted by tag and reason.

use anon_engine::{Source, plan};
use anon_model::{Remark, RemarkReason};
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{EXPLICIT, Enc, Lengths, Object, Outcome, Table, names};

const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const CONTENT_DATE: Tag = Tag(0x0008, 0x0023);
const ACQUISITION: Tag = Tag(0x0008, 0x002A);
const TIME: Tag = Tag(0x0008, 0x0030);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const AGE: Tag = Tag(0x0010, 0x1010);

fn remark(reason: RemarkReason, tag: Tag, count: u64) -> Remark {
    let tag = u32::from(tag.0) << 16 | u32::from(tag.1);
    Remark { reason, tag, count }
}

fn remarks_on(table: Table, object: &Object) -> Outcome<Vec<Remark>> {
    let (policy, bytes) = (table.policy(), object.part10(EXPLICIT));
    let plan = plan(&policy, Source::part10(&bytes))?;
    let clean = plan.apply(&names(plan.wanted()))?;
    Ok(clean.remarks().iter().collect())
}

fn table() -> Table {
    Table::new()
        .with(CONTENT_DATE, Action::ShiftDate)
        .with(ACQUISITION, Action::ShiftDate)
        .with(AGE, Action::RoundAge { width: 5 })
        .keeping(&[TIME, SEQUENCE])
}

#[test]
fn dates_and_ages_that_cannot_be_read_are_counted_by_tag_and_reason() -> Outcome {
    let inner = Enc::Explicit.text(CONTENT_DATE, "DA", "yesterday");
    let items = Enc::Explicit.sequence(SEQUENCE, &[inner], Lengths::Defined);
    let object = Object::new(Enc::Explicit)
        .text(STUDY_DATE, "DA", "1981/03/02\\19810302\\01.02.1981")
        .text(CONTENT_DATE, "DA", "99991231\\unknown")
        .text(ACQUISITION, "DT", "19810302 12:30")
        .text(AGE, "AS", "043Y\\43 years")
        .raw(SEQUENCE, items);
    let found = remarks_on(table(), &object)?;
    let expected = [
        remark(RemarkReason::NotADate, STUDY_DATE, 2),
        remark(RemarkReason::NotADate, CONTENT_DATE, 2),
        remark(RemarkReason::NotADate, ACQUISITION, 1),
        remark(RemarkReason::DateOutOfRange, CONTENT_DATE, 1),
        remark(RemarkReason::NotAnAge, AGE, 1),
    ];
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn values_of_the_wrong_vr_are_counted() -> Outcome {
    let object = Object::new(Enc::Explicit).text(TIME, "PN", "Doe^Jane");
    let found = remarks_on(table(), &object)?;
    assert_eq!(found, [remark(RemarkReason::NotOfItsVr, TIME, 1)]);
    Ok(())
}

#[test]
fn values_that_are_empty_or_emptied_by_a_rule_are_not_counted() -> Outcome {
    let object = Object::new(Enc::Explicit)
        .text(STUDY_DATE, "DA", "19930105\\  ")
        .text(CONTENT_DATE, "DA", "yesterday")
        .text(ACQUISITION, "DT", "")
        .text(AGE, "AS", "    ");
    let table = table().with(CONTENT_DATE, Action::Empty);
    assert_eq!(remarks_on(table, &object)?, []);
    // The dates of a patient without an id are all replaced.
    let object = Object::new(Enc::Explicit).without(Tag(0x0010, 0x0020));
    assert_eq!(remarks_on(Table::new(), &object)?, []);
    Ok(())
}
