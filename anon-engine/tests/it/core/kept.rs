//! A kept value fits its VR and VM: text is not kept under the tag of a number, time or code, and no
//! value holds other elements.

use anon_engine::{Source, plan};
use anon_model::RemarkReason;
use dicom_core::Tag;

use super::build::{
    EXPLICIT, Enc, IMPLICIT, Lengths, Object, Outcome, Table, data_set_of, holds, part10, read, run,
};

const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const INSTITUTION: Tag = Tag(0x0008, 0x0080);
const COMMENTS: Tag = Tag(0x0020, 0x4000);
const PRIVATE: Tag = Tag(0x0009, 0x1010);
const LUT_DATA: Tag = Tag(0x0028, 0x1201);

const TIME: Tag = Tag(0x0008, 0x0030);
const MODALITY: Tag = Tag(0x0008, 0x0060);
const THICKNESS: Tag = Tag(0x0018, 0x0050);
const BODY_PART: Tag = Tag(0x0018, 0x0015);
const ROWS: Tag = Tag(0x0028, 0x0010);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);

fn table() -> Table {
    Table::new()
        .keeping(&[TIME, MODALITY, THICKNESS, BODY_PART, ROWS, SEQUENCE])
        .keeping(&[
            MANUFACTURER,
            COMMENTS,
            PRIVATE,
            LUT_DATA,
            Tag(0x0009, 0x0010),
        ])
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
            (TIME, "TM", "CANARY^X"),
            (THICKNESS, "DS", "CANARY^X"),
            (THICKNESS, "DS", "1\\CANARY"),
            (MODALITY, "CS", "CANARY^X"),
            (BODY_PART, "CS", "The hand of CANARY"),
        ] {
            let is_code = matches!(tag, MODALITY | BODY_PART);
            if enc == Enc::Implicit && is_code && !matches!(letters, "CS" | "UT") {
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
fn a_length_that_takes_in_the_next_elements_is_refused() {
    for (enc, syntax) in Enc::ALL {
        let next = [
            enc.text(INSTITUTION, "LO", "CANARY HOSPITAL"),
            enc.text(Tag(0x0010, 0x0010), "PN", "CANARY^X"),
        ]
        .concat();
        for (tag, vr, own) in [
            (TIME, "TM", &b"12"[..]),
            (MODALITY, "CS", b"CT"),
            (MANUFACTURER, "LO", b"GE  "),
            (COMMENTS, "LT", b"text"),
            (THICKNESS, "DS", b"1.5 "),
            (ROWS, "US", &[2, 0]),
            (LUT_DATA, "OW", &[1, 2, 3, 4]),
            (PRIVATE, "UN", &[0, 0, 1, 2, 0, 3]),
            (PRIVATE, "LO", b"own "),
        ] {
            let mut bytes = enc.header(tag, vr, (own.len() + next.len()) as u32);
            bytes.extend(own);
            bytes.extend(&next);
            let deep = enc.sequence(SEQUENCE, std::slice::from_ref(&bytes), Lengths::Undefined);
            for (at, bytes) in [(tag, bytes), (SEQUENCE, deep)] {
                let input = Object::new(enc).raw(at, bytes).part10(syntax);
                let refusal = run(&table().policy(), &input).expect_err(vr);
                // Only elements of PS3.6 are named.
                let named = (tag != PRIVATE).then_some(tag);
                assert_eq!(refusal.tag, named, "{enc:?} {vr}");
                assert!(refusal.reason.contains("length is wrong"), "{refusal}");
            }
        }
    }
}

/// Small numbers look like implicit headers: samples of an ECG have pairs of them.
#[test]
fn samples_that_look_like_two_headers_are_kept() -> Outcome {
    let enc = Enc::Implicit;
    let samples = [
        enc.element(Tag(0x0020, 0x0032), "", [0; 40]),
        enc.element(Tag(0x0023, 0x0032), "", [0; 40]),
        vec![0; 40],
    ];
    let element = enc.element(LUT_DATA, "OW", samples.concat());
    let input = Object::new(enc).raw(LUT_DATA, element.clone());
    let output = run(&table().policy(), &input.part10(IMPLICIT))?;
    assert!(holds(&output, &element));
    Ok(())
}

/// Text with the bytes of a damaged header is emptied, even if no whole header is in it.
#[test]
fn text_with_control_characters_is_emptied_and_counted() -> Outcome {
    let long = [&b"CANARY ".repeat(10_000)[..], b"\0CANARY"].concat();
    for (enc, syntax) in Enc::ALL {
        for (tag, vr, value) in [
            (MANUFACTURER, "LO", &b"GE\x08\0CANARY"[..]),
            (MANUFACTURER, "LO", b"GE\0CANARY"),
            (MANUFACTURER, "LO", b"CANARY\r\nCANARY"),
            (MANUFACTURER, "UN", b"GE\0\0CANARY"),
            (COMMENTS, "LT", b"one\x0BCANARY"),
            (COMMENTS, "UT", &long),
        ] {
            let mut value = value.to_vec();
            value.resize(value.len().next_multiple_of(2), b' ');
            let inner = enc.element(tag, vr, &value);
            let deep = enc.sequence(SEQUENCE, std::slice::from_ref(&inner), Lengths::Undefined);
            for (at, bytes) in [(tag, inner), (SEQUENCE, deep)] {
                let input = Object::new(enc).raw(at, bytes).part10(syntax);
                let policy = table().policy();
                assert!(!holds(&run(&policy, &input)?, b"CANARY"), "{enc:?} {tag}");
                let plan = plan(&policy, Source::part10(&input))?;
                let number = u32::from(tag.0) << 16 | u32::from(tag.1);
                let found: Vec<_> = plan.remarks().iter().collect();
                assert_eq!(found.len(), 1, "{enc:?} {tag}");
                assert_eq!(found[0].reason, RemarkReason::NotOfItsVr);
                assert_eq!((found[0].tag, found[0].count), (number, 1));
            }
        }
    }
    Ok(())
}

/// No byte of a character is a control character in any set of PS3.3 section C.12.1.1.2.
#[test]
fn japanese_and_chinese_text_is_kept() -> Outcome {
    for (charset, text) in [
        (
            "\\ISO 2022 IR 87",
            &b"\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B"[..],
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xD4\xCF\xC0\xDE\x1B$B;3ED\x1B(J",
        ),
        (
            "\\ISO 2022 IR 149",
            b"\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7",
        ),
        ("GB18030", b"\xCD\xF5^\xD0\xA1\xB6\xAB\x81\x30\x89\x38"),
        ("GBK", b"\x81\x5C\xB6\xAB"),
        ("ISO_IR 192", "\u{738B}^\u{5C0F}\u{6771}".as_bytes()),
    ] {
        for (enc, syntax) in Enc::ALL {
            for times in [1, 40] {
                let mut text = text.repeat(times);
                text.resize(text.len().next_multiple_of(2), b' ');
                text.extend(b"\0\0");
                let element = enc.element(MANUFACTURER, "LO", &text);
                let data_set = Object::new(enc)
                    .text(Tag(0x0008, 0x0005), "CS", charset)
                    .raw(MANUFACTURER, element.clone())
                    .data_set();
                let output = run(&table().policy(), &part10(syntax, &data_set))?;
                assert!(holds(data_set_of(&output)?, &element), "{enc:?} {charset}");
            }
        }
    }
    Ok(())
}

#[test]
fn binary_values_of_a_wrong_length_are_emptied() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        for (tag, vr, value) in [
            (ROWS, "US", &b"CANARY"[..]),
            (ROWS, "UN", b"CANARY"),
            (Tag(0x0028, 0x0009), "AT", b"CANARY"),
        ] {
            let table = table().keeping(&[tag]);
            let input = Object::new(enc).element(tag, vr, value).part10(syntax);
            let output = run(&table.policy(), &input)?;
            assert!(!holds(&output, b"CANARY"), "{enc:?} {tag} {vr}");
        }
        // Three values of a look-up table's descriptor, and as many pointers as there are.
        for (tag, vr, len) in [
            (Tag(0x0028, 0x1101), "US", 6),
            (Tag(0x0028, 0x0009), "AT", 400),
            (LUT_DATA, "OW", 70_000),
        ] {
            let (table, value) = (table().keeping(&[tag]), vec![1; len]);
            let element = enc.element(tag, vr, &value);
            let input = Object::new(enc).raw(tag, element.clone()).part10(syntax);
            assert!(
                holds(&run(&table.policy(), &input)?, &element),
                "{enc:?} {tag}"
            );
        }
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
            (BODY_PART, "CS", "upper abdomen"),
            (BODY_PART, "CS", "WORD_OF_MORE_THAN_16_CHARACTERS"),
            (THICKNESS, "DS", "1.00000000000000000000000001"),
            (THICKNESS, "LO", "1.5e-3"),
            (THICKNESS, "DS", "NaN\\1\\+inf"),
            (ROWS, "IS", "512"),
        ] {
            if enc == Enc::Implicit && tag == ROWS {
                continue; // two binary numbers, where one may be
            }
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

/// Only pixel data is cut to the size of its image, so only that is not searched.
#[test]
fn a_wrong_length_beside_whole_pixels_is_refused() -> Outcome {
    let enc = Enc::Explicit;
    let name = enc.text(Tag(0x0010, 0x0010), "PN", "CANARY^X");
    let coefficients = |more: &[u8]| {
        let own = [1, 2, 3, 4, 5, 6, 7, 8];
        enc.element(Tag(0x7FE0, 0x0020), "OW", [&own, more].concat())
    };
    let object = |more: &[u8]| {
        Object::new(enc)
            .element(Tag(0x0028, 0x0002), "US", [1, 0])
            .element(ROWS, "US", [2, 0])
            .element(Tag(0x0028, 0x0011), "US", [2, 0])
            .element(Tag(0x0028, 0x0100), "US", [8, 0])
            .element(Tag(0x7FE0, 0x0010), "OB", [1, 2, 3, 4])
            .raw(Tag(0x7FE0, 0x0020), coefficients(more))
            .part10(EXPLICIT)
    };
    let policy = super::build::rsna_v17()?;
    let output = run(&policy, &object(&[]))?;
    assert!(super::build::holds(&output, &coefficients(&[])));
    let refusal = run(&policy, &object(&name)).expect_err("a wrong length");
    assert!(refusal.reason.contains("length is wrong"), "{refusal}");
    Ok(())
}
