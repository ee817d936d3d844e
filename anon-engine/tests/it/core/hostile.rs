//! Damaged and hostile bytes are refused fast, with an offset, and without a panic.

use anon_engine::Category;
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{
    DEFLATED, EXPLICIT, Enc, IMPLICIT, JPEG, Lengths, Object, Outcome, Table, UNDEFINED, holds,
    part10, run, run_as,
};

const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);

fn keep_all() -> anon_engine::Policy {
    Table::new().otherwise(Action::Keep).policy()
}

/// One object with all kinds of elements, in three encodings and deflated.
fn small_objects() -> Outcome<Vec<Vec<u8>>> {
    let mut objects = Vec::new();
    for (enc, syntax) in Enc::ALL {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let inner = enc.sequence(
                SEQUENCE,
                &[enc.text(Tag(0x0008, 0x1155), "UI", "1.2.9")],
                lengths,
            );
            let object = Object::new(enc)
                .raw(
                    SEQUENCE,
                    enc.sequence(SEQUENCE, &[inner, Vec::new()], lengths),
                )
                .text(Tag(0x0009, 0x0010), "LO", "MAKER")
                .element(
                    Tag(0x0009, 0x1010),
                    "UN",
                    Enc::Implicit.item(&[], Lengths::Defined),
                )
                .element(PIXELS, "OW", [1, 2, 3, 4]);
            objects.push(object.part10(syntax));
            if enc == Enc::Explicit {
                use std::io::Write;
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(&object.data_set())?;
                objects.push(part10(DEFLATED, &encoder.finish()?));
                let mut fragments = enc.header(PIXELS, "OB", UNDEFINED);
                fragments.extend(enc.item(&[], Lengths::Defined));
                fragments.extend(enc.item(&[1, 2, 3, 4], Lengths::Defined));
                fragments.extend(enc.header(Tag(0xFFFE, 0xE0DD), "", 0));
                objects.push(object.raw(PIXELS, fragments).part10(JPEG));
            }
        }
    }
    Ok(objects)
}

/// How the reasons for refusing a cut object begin; the offset follows.
const BEGINNINGS: [&str; 5] = [
    "the object is cut short or damaged: ",
    "the deflated data set is ",
    "the file ",
    "the transfer syntax is missing",
    "missing or empty: ",
];

#[test]
fn a_cut_object_is_refused_or_gives_a_shorter_output() -> Outcome {
    for object in small_objects()? {
        let whole = run(&keep_all(), &object)?;
        for cut in 0..object.len() {
            match run(&keep_all(), &object[..cut]) {
                // A cut between two elements cannot be noticed.
                Ok(output) => assert!(output.len() < whole.len(), "cut at {cut}"),
                Err(refusal) => {
                    assert!(!refusal.reason.contains("CANARY"));
                    let says = |words: &&str| refusal.reason.starts_with(words);
                    assert!(BEGINNINGS.iter().any(says), "{}", refusal.reason);
                    assert!(refusal.offset.is_none_or(|at| at <= object.len() as u64));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_length_beyond_the_end_is_refused_with_its_offset() {
    for (enc, syntax) in Enc::ALL {
        for (vr, len) in [
            ("OB", 0xFFFF_FFFE_u32),
            ("OW", 0x8000_0000),
            ("SQ", 0xFFFF_FFF0),
            ("UT", 4096),
        ] {
            for tag in [SEQUENCE, PIXELS, Tag(0x0009, 0x1001)] {
                let mut bytes = enc.header(tag, vr, len);
                bytes.extend([0; 16]);
                let object = Object::new(enc).raw(tag, bytes).part10(syntax);
                let refusal = run(&keep_all(), &object).expect_err("too long");
                assert_eq!(
                    refusal.category,
                    Category::DicomReadError,
                    "{enc:?} {vr} {tag}"
                );
                let place = refusal.offset.expect("a place");
                assert!(place < object.len() as u64, "{enc:?} {vr} {tag}");
            }
        }
        let mut item = enc.header(SEQUENCE, "SQ", UNDEFINED);
        item.extend(enc.header(Tag(0xFFFE, 0xE000), "", 0xFFFF_FFFE));
        let object = Object::new(enc).raw(SEQUENCE, item).part10(syntax);
        assert!(run(&keep_all(), &object).is_err());
    }
}

#[test]
fn nesting_depth_is_limited() {
    for lengths in [Lengths::Defined, Lengths::Undefined] {
        for (depth, fits) in [(60, true), (64, true), (65, false)] {
            let e = Enc::Explicit;
            let mut content = Vec::new();
            for _ in 0..depth {
                content = e.sequence(SEQUENCE, &[content], lengths);
            }
            let object = Object::new(e).raw(SEQUENCE, content).part10(EXPLICIT);
            assert_eq!(
                run(&keep_all(), &object).is_ok(),
                fits,
                "{lengths:?} {depth}"
            );
        }
    }
}

#[test]
fn two_hundred_thousand_sequences_are_read_no_further_than_the_limit() {
    for (enc, syntax) in Enc::ALL {
        let mut opening = enc.header(SEQUENCE, "SQ", UNDEFINED);
        opening.extend(enc.header(Tag(0xFFFE, 0xE000), "", UNDEFINED));
        let bomb = Object::new(enc)
            .raw(SEQUENCE, opening.repeat(200_000))
            .part10(syntax);
        for policy in [keep_all(), Table::new().policy()] {
            let refusal = run(&policy, &bomb).expect_err("too deep");
            assert!(refusal.reason.contains("too deep"), "{refusal}");
            // Nothing far beyond the depth limit was read.
            let levels = usize::from(policy.limits.max_depth) + 2;
            let looked_at = 1_000 + levels * opening.len();
            assert!(
                refusal.offset.is_some_and(|at| at < looked_at as u64),
                "{refusal:?}"
            );
        }
    }
}

#[test]
fn counts_and_memory_are_limited() {
    let e = Enc::Explicit;
    let items = e.sequence(SEQUENCE, &vec![Vec::new(); 5_000], Lengths::Defined);
    let object = Object::new(e).raw(SEQUENCE, items).part10(EXPLICIT);
    let mut policy = keep_all();
    policy.limits.max_elements = 4_000;
    assert!(
        run(&policy, &object)
            .expect_err("count")
            .reason
            .contains("too many")
    );

    let uids = "1.2\\".repeat(20_000);
    let object = Object::new(e)
        .raw(
            Tag(0x0040, 0xA124),
            e.text(Tag(0x0040, 0xA124), "UC", &uids),
        )
        .part10(EXPLICIT);
    let mut policy = Table::new().with(Tag(0x0040, 0xA124), Action::Uid).policy();
    policy.limits.max_value_bytes = 10_000;
    let refusal = run(&policy, &object).expect_err("value");
    assert!(
        refusal.reason.contains("longer than the limit"),
        "{refusal}"
    );
}

#[test]
fn elements_with_two_values_are_refused_if_they_are_kept() -> Outcome {
    let e = Enc::Explicit;
    let rows = Tag(0x0028, 0x0010);
    let one = e.element(rows, "US", [1, 0]);
    let other = e.element(rows, "US", [2, 0]);
    let between = e.text(Tag(0x0018, 0x0010), "LO", "late");
    for bytes in [
        [one.clone(), other.clone()].concat(),
        [other.clone(), one.clone(), one.clone()].concat(),
        [one.clone(), between, other].concat(),
        // The same value with another VR.
        [one, e.element(rows, "SS", [1, 0])].concat(),
    ] {
        let object = Object::new(e).raw(rows, bytes).part10(EXPLICIT);
        let refusal = run(&keep_all(), &object).expect_err("two values");
        assert_eq!(refusal.category, Category::DicomReadError);
        assert!(refusal.reason.contains("stands twice"), "{refusal}");
        // If the rules remove them, their order does not matter.
        run(&Table::new().policy(), &object)?;
    }
    for tag in [
        Tag(0x0010, 0x0020),
        Tag(0x0020, 0x000D),
        Tag(0x0008, 0x0005),
    ] {
        let twice = [e.text(tag, "LO", "1.2"), e.text(tag, "LO", "1.3")].concat();
        let object = Object::new(e).raw(tag, twice).part10(EXPLICIT);
        assert!(run(&Table::new().policy(), &object).is_err(), "{tag}");
    }
    Ok(())
}

#[test]
fn trailing_bytes_other_than_zeros_are_refused() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let object = Object::new(enc).part10(syntax);
        let expect = run(&keep_all(), &object)?;
        for zeros in [1, 7, 8, 9, 100_000] {
            let padded = [object.clone(), vec![0; zeros]].concat();
            assert_eq!(run(&keep_all(), &padded)?, expect, "{enc:?} {zeros}");
        }
        for garbage in [
            &b"JUNK"[..],
            b"CANARY of some length",
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ] {
            let spoiled = [object.clone(), garbage.to_vec()].concat();
            let refusal = run(&keep_all(), &spoiled).expect_err("garbage");
            assert!(!refusal.reason.contains("CANARY"));
        }
        let second = [object.clone(), object].concat();
        assert!(
            run(&keep_all(), &second).is_err(),
            "{enc:?}: a second file behind"
        );
    }
    Ok(())
}

/// Each element without a VR has a second length, which ends among the zeros: the zeros are searched
/// once, not for each element.
#[test]
fn elements_without_a_vr_before_many_zeros_are_refused_fast() {
    let e = Enc::Explicit;
    let mut unknown = e.element(Tag(0x0009, 0x1001), "LO", []);
    unknown[4..6].copy_from_slice(b"??");
    // The bytes of this tag are a length of 65,545.
    let pair = [unknown, e.element(Tag(0x0009, 0x0001), "LO", [])].concat();
    let mut object = Object::new(e).part10(EXPLICIT);
    object.extend(pair.repeat(3_000));
    object.resize(object.len() + (4 << 20), 0);
    object.push(1);
    let refusal = run(&Table::new().policy(), &object).expect_err("one byte behind zeros");
    assert!(refusal.reason.starts_with(BEGINNINGS[0]), "{refusal}");
}

#[test]
fn files_that_do_not_look_like_dicom_are_foreign() {
    let cases: [&[u8]; 5] = [
        b"",
        b"hello",
        &[0; 500],
        b"\x89PNG\r\n\x1A\n",
        &[0xFF; 1000],
    ];
    for bytes in cases {
        let refusal = run(&keep_all(), bytes).expect_err("foreign");
        assert_eq!(refusal.category, Category::InvalidDicom);
        assert!(refusal.foreign);
    }
    let refusal = run(&keep_all(), &[vec![0; 128], b"DICM".to_vec()].concat()).expect_err("empty");
    assert!(!refusal.foreign);
    let refusal = run(&keep_all(), &part10("not a uid", &[])).expect_err("syntax");
    assert_eq!(refusal.category, Category::DicomReadError);
}

#[test]
fn unclosed_sequences_and_misplaced_delimiters_are_refused() {
    let e = Enc::Explicit;
    let cases = [
        ("sequence not closed", e.header(SEQUENCE, "SQ", UNDEFINED)),
        (
            "element in a sequence",
            [
                e.header(SEQUENCE, "SQ", UNDEFINED),
                e.text(Tag(0x0008, 0x1155), "UI", "1.2"),
            ]
            .concat(),
        ),
        ("item at the root", e.item(&[], Lengths::Defined)),
        (
            "delimiter with a length",
            [e.header(Tag(0xFFFE, 0xE0DD), "", 4), vec![0; 4]].concat(),
        ),
        (
            "text of undefined length",
            e.header(SEQUENCE, "UT", UNDEFINED),
        ),
        (
            "item ends the sequence",
            [
                e.header(SEQUENCE, "SQ", UNDEFINED),
                e.header(Tag(0xFFFE, 0xE000), "", UNDEFINED),
                e.header(Tag(0xFFFE, 0xE0DD), "", 0),
            ]
            .concat(),
        ),
        ("no item in a sequence", e.element(SEQUENCE, "SQ", [0; 12])),
        (
            "text where items belong",
            e.element(SEQUENCE, "LT", b"CANARY CANARY "),
        ),
    ];
    for (name, bytes) in cases {
        let object = Object::new(e).raw(SEQUENCE, bytes).part10(EXPLICIT);
        let refusal = run(&keep_all(), &object).expect_err(name);
        assert_eq!(refusal.category, Category::DicomReadError, "{name}");
    }
    // Fragments without a sequence delimiter.
    let mut fragments = e.header(PIXELS, "OB", UNDEFINED);
    fragments.extend(e.item(&[], Lengths::Defined));
    let object = Object::new(e).raw(PIXELS, fragments).part10(JPEG);
    assert!(run(&keep_all(), &object).is_err());
}

#[test]
fn a_long_implicit_value_does_not_hide_what_follows() {
    // The first element of an item looks implicit, with a length that fits by chance.
    let e = Enc::Explicit;
    let mut item = e.text(Tag(0x0008, 0x1155), "UI", "1.2.9");
    item[4..6].copy_from_slice(&[0, 0]);
    item[6..8].copy_from_slice(&[8, 0]);
    let mut object = Object::new(e)
        .raw(SEQUENCE, e.sequence(SEQUENCE, &[item], Lengths::Undefined))
        .text(Tag(0x0010, 0x2180), "SH", "CANARY");
    object = object.element(PIXELS, "OW", vec![0; 600_000]);
    let policy = Table::new()
        .keeping(&[SEQUENCE, Tag(0x0008, 0x1155)])
        .policy();
    if let Ok(output) = run(&policy, &object.part10(EXPLICIT)) {
        assert!(!holds(&output, b"CANARY"));
    }
    // A short text whose length covers the next element, up to zeros that look like padding.
    let i = Enc::Implicit;
    let laterality = Tag(0x0020, 0x0060);
    let swallowed = [i.text(Tag(0x0020, 0x4000), "LT", "CANARY"), vec![0; 90_000]].concat();
    let bytes = [i.header(laterality, "CS", 80_000), swallowed].concat();
    let policy = Table::new().keeping(&[laterality]).policy();
    let refusal = run(
        &policy,
        &Object::new(i).raw(laterality, bytes).part10(IMPLICIT),
    );
    assert_eq!(refusal.expect_err("swallowed").tag, Some(laterality));
}

#[test]
fn damaged_objects_are_refused_or_give_readable_outputs() -> Outcome {
    let objects = small_objects()?;
    let mut seed = 0x2545_F491_u32;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    for round in 0..4_000_usize {
        let mut bytes = objects[round % objects.len()].clone();
        for _ in 0..=random() % 4 {
            let at = random() as usize % bytes.len();
            match random() % 3 {
                0 => bytes[at] = random() as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes[at] ^= 1 << (random() % 8),
            }
        }
        let policy = if round % 2 == 0 {
            keep_all()
        } else {
            Table::new().policy()
        };
        match run(&policy, &bytes) {
            // The output can be read again.
            Ok(output) => {
                run(&policy, &output).map_err(|refusal| format!("round {round}: {refusal}"))?;
            }
            Err(refusal) => assert!(!refusal.reason.contains("CANARY")),
        }
        let _ = run_as(&policy, &bytes, Some(IMPLICIT));
    }
    Ok(())
}
