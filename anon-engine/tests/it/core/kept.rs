//! A kept value fits its VR: text is not kept under the tag of a number, time or code.

use dicom_core::Tag;

use super::build::{
    EXPLICIT, Enc, IMPLICIT, Lengths, Object, Outcome, Table, data_set_of, holds, part10, read, run,
};

const TIME: Tag = Tag(0x0008, 0x0030);
const MODALITY: Tag = Tag(0x0008, 0x0060);
const THICKNESS: Tag = Tag(0x0018, 0x0050);
const BODY_PART: Tag = Tag(0x0018, 0x0015);
const ROWS: Tag = Tag(0x0028, 0x0010);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);

fn table() -> Table {
    Table::new().keeping(&[TIME, MODALITY, THICKNESS, BODY_PART, ROWS, SEQUENCE])
}

#[test]
fn text_that_does_not_fit_its_tag_is_emptied() -> Outcome {
    let long = "CANARY ".repeat(150);
    let list = "1.5\\".repeat(20) + "CANARY";
    for (enc, syntax) in Enc::ALL {
        for (tag, letters, text) in [
            (TIME, "PN", "CANARY^X"),
            (TIME, "TM", long.as_str()),
            (TIME, "UN", "CANARY^X"),
            (MODALITY, "UT", long.as_str()),
            (MODALITY, "CS", long.as_str()),
            (THICKNESS, "DS", list.as_str()),
            (THICKNESS, "LO", "1.5\\CANARY"),
            (THICKNESS, "OB", "CANARY^X"),
        ] {
            if enc == Enc::Implicit && text.len() <= 64 {
                continue; // implicit VR has no VR to contradict the dictionary
            }
            let inner = enc.text(tag, letters, text);
            let deep = enc.sequence(SEQUENCE, std::slice::from_ref(&inner), Lengths::Undefined);
            for (name, at, bytes) in [("root", tag, inner), ("item", SEQUENCE, deep)] {
                let output = run(
                    &table().policy(),
                    &Object::new(enc).raw(at, bytes).part10(syntax),
                )?;
                assert!(!holds(&output, b"CANARY"), "{enc:?} {tag} {letters} {name}");
                let object = read(&output)?;
                let element = if name == "root" {
                    object.element(tag)?.clone()
                } else {
                    let items = object.element(SEQUENCE)?.items().ok_or("no items")?;
                    items[0].element(tag)?.clone()
                };
                assert!(element.to_bytes()?.is_empty(), "{enc:?} {tag} {name}");
                // The output is a valid input and keeps its length.
                assert_eq!(run(&table().policy(), &output)?.len(), output.len());
            }
        }
    }
    Ok(())
}

#[test]
fn a_length_that_swallows_the_next_element_is_emptied() -> Outcome {
    for tag in [TIME, MODALITY] {
        let enc = Enc::Implicit;
        let next = enc.text(Tag(0x0010, 0x0010), "PN", &"CANARY^X".repeat(8));
        let mut bytes = enc.header(tag, "", 2 + next.len() as u32);
        bytes.extend(b"12");
        bytes.extend(next);
        let input = Object::new(enc).raw(tag, bytes).part10(IMPLICIT);
        let output = run(&table().policy(), &input)?;
        assert!(!holds(&output, b"CANARY"), "{tag}");
    }
    Ok(())
}

#[test]
fn text_in_a_binary_value_is_refused() {
    for (letters, value) in [("LO", "CANARY"), ("PN", "CANARY^X"), ("UT", "CANARY")] {
        let input = Object::new(Enc::Explicit)
            .text(ROWS, letters, value)
            .part10(EXPLICIT);
        let refusal = run(&table().policy(), &input).expect_err(letters);
        assert_eq!(refusal.tag, Some(ROWS), "{letters}");
    }
}

/// Real files have such values, and no text can hide in them: they are kept byte for byte.
#[test]
fn harmless_nonconforming_values_are_kept() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        for (tag, letters, text) in [
            (TIME, "TM", "12:30:00.0000000000"),
            (MODALITY, "CS", "ct"),
            (MODALITY, "SH", "CT"),
            (BODY_PART, "CS", "Upper abdomen, with contrast"),
            (THICKNESS, "DS", "1.00000000000000000000000001"),
            (THICKNESS, "LO", "1.5e-3"),
            (THICKNESS, "DS", "NaN\\1\\+inf"),
            (ROWS, "IS", "512"),
        ] {
            let element = enc.text(tag, letters, text);
            let data_set = Object::new(enc).raw(tag, element.clone()).data_set();
            let output = run(&table().policy(), &part10(syntax, &data_set))?;
            assert!(
                holds(data_set_of(&output)?, &element),
                "{enc:?} {tag} {text}"
            );
        }
    }
    Ok(())
}

/// Contours are megabytes of decimal strings: they are kept, unless a name hides in them.
#[test]
fn long_lists_of_numbers_are_checked_to_the_end() -> Outcome {
    let list = "-123.456\\".repeat(20_000) + "7";
    for (at, expect) in [(None, true), (Some(10), false), (Some(100_001), false)] {
        let mut list = list.clone().into_bytes();
        if let Some(at) = at {
            list.splice(at..at, *b"CANARY");
        }
        let input = Object::new(Enc::Implicit)
            .element(THICKNESS, "DS", &list)
            .part10(IMPLICIT);
        let output = run(&table().policy(), &input)?;
        assert_eq!(holds(&output, &list), expect, "{at:?}");
        assert!(!holds(&output, b"CANARY"), "{at:?}");
    }
    let endless = vec![b'7'; 100_000];
    let input = Object::new(Enc::Implicit)
        .element(THICKNESS, "DS", &endless)
        .part10(IMPLICIT);
    assert!(!holds(&run(&table().policy(), &input)?, &endless));
    Ok(())
}
