//! Specific Character Set (0008,0005), spelled as PS3.3 section C.12.1.1.2 defines it and otherwise.

use anon_engine::{Policy, Source, plan};
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{
    EXPLICIT, Enc, Lengths, Object, Outcome, Table, holds, names, part10, read, run, value,
};

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const COMMENT: Tag = Tag(0x0020, 0x4000);
const LATIN_1: &[u8] = b"Gr\xFCn";
const UTF_8: &[u8] = b"Gr\xC3\xBCn";

/// The patient's name as the index gets it, and the output.
fn name_and_output(policy: &Policy, object: &Object) -> Outcome<(String, Vec<u8>)> {
    let file = object.part10(EXPLICIT);
    let plan = plan(policy, Source::part10(&file))?;
    let name = plan.captured().patient.name.expose().clone();
    Ok((name, plan.apply(&names(plan.wanted()))?.to_vec()?))
}

fn object(character_set: &str, name: &[u8]) -> Object {
    Object::new(Enc::Explicit)
        .text(CHARACTER_SET, "CS", character_set)
        .element(Tag(0x0010, 0x0010), "PN", name)
}

#[test]
fn misspelled_character_sets_are_understood_and_corrected() -> Outcome {
    let policy = Table::new()
        .with(COMMENT, Action::Replace("Grün".into()))
        .keeping(&[SEQUENCE])
        .policy();
    for (misspelled, defined, bytes) in [
        ("UTF-8", "ISO_IR 192", UTF_8),
        ("UTF8", "ISO_IR 192", UTF_8),
        ("utf-8", "ISO_IR 192", UTF_8),
        ("ISO-IR 192", "ISO_IR 192", UTF_8),
        ("ISO_IR_192", "ISO_IR 192", UTF_8),
        ("ISO IR 192", "ISO_IR 192", UTF_8),
        ("iso_ir 192", "ISO_IR 192", UTF_8),
        ("ISO 2022 IR 192", "ISO_IR 192", UTF_8),
        ("ISO IR 100", "ISO_IR 100", LATIN_1),
        ("ISO-IR 100", "ISO_IR 100", LATIN_1),
        ("ISO_IR_100", "ISO_IR 100", LATIN_1),
        ("ISO_IR100", "ISO_IR 100", LATIN_1),
        ("iso_ir 100", "ISO_IR 100", LATIN_1),
        ("ISO_2022_IR_100", "ISO 2022 IR 100", LATIN_1),
    ] {
        let comment = |object: Object| object.text(COMMENT, "LT", "CANARY");
        let (name, output) = name_and_output(&policy, &comment(object(misspelled, bytes)))?;
        assert_eq!(name, "Grün", "{misspelled}");
        assert_eq!(value(&output, CHARACTER_SET)?, defined, "{misspelled}");
        let (_, expect) = name_and_output(&policy, &comment(object(defined, bytes)))?;
        assert!(output == expect, "{misspelled} is {defined}");

        // An item has a character set of its own.
        let mut item = Enc::Explicit.text(CHARACTER_SET, "CS", misspelled);
        item.extend(Enc::Explicit.text(COMMENT, "LT", "CANARY"));
        let sequence = Enc::Explicit.sequence(SEQUENCE, &[item], Lengths::Defined);
        let outer = object("ISO_IR 144", b"Green").raw(SEQUENCE, sequence);
        let output = run(&policy, &outer.part10(EXPLICIT))?;
        assert!(holds(&output, bytes), "{misspelled} in an item");
        let output = read(&output)?;
        let item = &output.element(SEQUENCE)?.items().ok_or("no items")?[0];
        assert_eq!(item.element(CHARACTER_SET)?.to_str()?.trim_end(), defined);
    }
    Ok(())
}

#[test]
fn character_sets_that_are_not_understood_stay_as_they_are() -> Outcome {
    let policy = Table::new().policy();
    for unknown in [
        "XXX XXXX",
        "ISO-8859-1",
        "UTF-16",
        "ISO IR 100\\FOO",
        "ISO_IR 999",
    ] {
        let (name, output) = name_and_output(&policy, &object(unknown, LATIN_1))?;
        assert_eq!(name, "Grün", "{unknown}");
        assert_eq!(value(&output, CHARACTER_SET)?, unknown);
    }
    Ok(())
}

#[test]
fn the_rules_decide_about_a_misspelled_character_set() -> Outcome {
    for (action, expect) in [
        (Action::Remove, None),
        (Action::Empty, Some("")),
        (Action::Replace("ISO_IR 6".into()), Some("ISO_IR 6")),
    ] {
        let policy = Table::new().with(CHARACTER_SET, action.clone()).policy();
        let (name, output) = name_and_output(&policy, &object("UTF-8", UTF_8))?;
        assert_eq!(name, "Grün", "{action:?}");
        assert_eq!(
            value(&output, CHARACTER_SET).ok().as_deref(),
            expect,
            "{action:?}"
        );
    }
    Ok(())
}

/// A misspelled character set is an element as any other: it may not have two values.
#[test]
fn a_repeated_character_set_is_refused() {
    let policy = Table::new().policy();
    for second in ["UTF8", "ISO_IR 192"] {
        let twice = [
            Enc::Explicit.text(CHARACTER_SET, "CS", second),
            object("UTF-8", UTF_8).data_set(),
        ];
        let refusal = run(&policy, &part10(EXPLICIT, &twice.concat())).expect_err(second);
        assert_eq!(refusal.tag, Some(CHARACTER_SET));
    }
}
