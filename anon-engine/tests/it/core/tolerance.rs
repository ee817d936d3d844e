//! What DCMTK and GDCM read although it is not as PS3.5 requires is stored as PS3.5 requires, unless
//! something could hide in it. A strict policy refuses it.

use anon_engine::policy::Strictness;
use anon_engine::{Policy, Source, plan};
use anon_model::{RemarkKind, RemarkReason};
use anon_script::rules::Action;
use dicom_core::Tag;
use proptest::prelude::*;

use super::build::{
    BIG, EXPLICIT, Enc, JPEG, Lengths, Object, Outcome, Table, UNDEFINED, holds, part10, read, run,
};

const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const INSTITUTION: Tag = Tag(0x0008, 0x0080);
const STATION: Tag = Tag(0x0008, 0x1010);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const REFERENCE: Tag = Tag(0x0008, 0x1155);
const PRIVATE: Tag = Tag(0x0009, 0x1001);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const REPRESENTATION: Tag = Tag(0x0028, 0x0103);
const PADDING: Tag = Tag(0x0028, 0x0120);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const MPEG: &str = "1.2.840.10008.1.2.4.102";

/// Letters of writers that do not know the VR.
const PLACEHOLDERS: [&str; 4] = ["??", "  ", "\0\0", " \0"];

fn keep_all() -> Policy {
    Table::new().otherwise(Action::Keep).policy()
}

/// The tags and reasons of what was mended, with their counts.
fn remarks(policy: &Policy, file: &[u8]) -> Outcome<Vec<(RemarkReason, u32, u64)>> {
    let plan = plan(policy, Source::part10(file))?;
    let remarks = plan.remarks().iter();
    let mended = remarks.filter(|remark| remark.reason.kind() == RemarkKind::Mended);
    Ok(mended
        .map(|remark| (remark.reason, remark.tag, remark.count))
        .collect())
}

/// Returns the output, after checking that mending is noted and that the strict policy refuses the
/// object.
#[track_caller]
fn mended(policy: &Policy, file: &[u8]) -> Outcome<Vec<u8>> {
    assert_ne!(remarks(policy, file)?, []);
    let strict = policy.clone().with_strictness(Strictness::Strict);
    let refusal = run(&strict, file).expect_err("strict");
    assert!(refusal.reason.contains("strictness = "), "{refusal}");
    Ok(run(policy, file)?)
}

/// The bytes of an element with these letters and a length of 16 bits.
fn short(enc: Enc, tag: Tag, letters: &str, value: &[u8]) -> Vec<u8> {
    let mut out = enc.element(tag, "LO", value);
    drop(out.splice(4..6, letters.bytes()));
    out
}

/// The bytes of an element with these letters and a length of 32 bits.
fn long(enc: Enc, tag: Tag, letters: &str, value: &[u8]) -> Vec<u8> {
    let mut out = enc.element(tag, "UT", value);
    drop(out.splice(4..6, letters.bytes()));
    out
}

#[test]
fn an_element_without_a_vr_gets_that_of_ps3_6() -> Outcome {
    let items = |enc: Enc| enc.item(&enc.text(REFERENCE, "UI", "1.2.9"), Lengths::Defined);
    for (enc, syntax) in [(Enc::Explicit, EXPLICIT), (Enc::Big, BIG)] {
        for (tag, vr, value) in [
            (MANUFACTURER, "LO", b"ACME".to_vec()),
            (MANUFACTURER, "LO", Vec::new()),
            (Tag(0x0018, 0x1111), "DS", b"1.5 ".to_vec()),
            (Tag(0x0008, 0x0032), "TM", b"120000".to_vec()),
            (FRAMES, "IS", b"1 ".to_vec()),
            (Tag(0x0028, 0x0011), "US", vec![1, 0]),
            (Tag(0x0028, 0x9001), "UL", vec![1, 0, 0, 1]),
            (Tag(0x0018, 0x9074), "DT", b"20220101".to_vec()),
            (SEQUENCE, "SQ", items(enc)),
            // Of no VR that PS3.6 lists, or of a length that it cannot have.
            (PRIVATE, "UN", b"ab".to_vec()),
            (Tag(0x0028, 0x9001), "UN", vec![1, 0]),
        ] {
            let expect = Object::new(enc).element(tag, vr, &value).part10(syntax);
            let expect = run(&keep_all(), &expect)?;
            for letters in PLACEHOLDERS {
                for bytes in [
                    short(enc, tag, letters, &value),
                    long(enc, tag, letters, &value),
                ] {
                    let odd = Object::new(enc).raw(tag, bytes).part10(syntax);
                    let output = mended(&keep_all(), &odd)?;
                    assert!(output == expect, "{tag} {letters:?} {enc:?}");
                }
            }
        }
    }
    Ok(())
}

/// That PS3.6 says time does not make a name a time.
#[test]
fn a_value_without_a_vr_that_does_not_fit_that_of_ps3_6_is_emptied() -> Outcome {
    let reason = RemarkReason::NotOfItsVr;
    for (enc, syntax) in [(Enc::Explicit, EXPLICIT), (Enc::Big, BIG)] {
        for (tag, vr) in [(Tag(0x0008, 0x0030), "TM"), (Tag(0x0018, 0x5100), "CS")] {
            let expect = Object::new(enc).element(tag, vr, []).part10(syntax);
            let expect = run(&keep_all(), &expect)?;
            for letters in ["??", "  ", "\0\0", "ZZ"] {
                let odd = short(enc, tag, letters, b"Doe^John");
                let file = Object::new(enc).raw(tag, odd).part10(syntax);
                assert!(mended(&keep_all(), &file)? == expect, "{letters:?} {tag}");
                let policy = keep_all();
                let plan = plan(&policy, Source::part10(&file))?;
                let number = u32::from(tag.0) << 16 | u32::from(tag.1);
                let found = plan.remarks().iter().find(|it| it.reason == reason);
                assert_eq!(found.map(|it| (it.tag, it.count)), Some((number, 1)));
            }
        }
    }
    // Lower case letters name the VR.
    let lower = short(Enc::Explicit, Tag(0x0018, 0x5100), "cs", b"head first");
    let file = Object::new(Enc::Explicit).raw(Tag(0x0018, 0x5100), lower);
    let output = mended(&keep_all(), &file.part10(EXPLICIT))?;
    assert!(holds(&output, b"head first"));
    Ok(())
}

#[test]
fn a_number_without_a_vr_is_signed_as_its_pixels_are() -> Outcome {
    for (representation, vr) in [(0, "US"), (1, "SS")] {
        let object = |bytes| {
            Object::new(Enc::Explicit)
                .element(REPRESENTATION, "US", [representation, 0])
                .raw(PADDING, bytes)
                .part10(EXPLICIT)
        };
        let expect = run(
            &keep_all(),
            &object(Enc::Explicit.element(PADDING, vr, [0x30, 0xF8])),
        )?;
        let odd = object(short(Enc::Explicit, PADDING, "  ", &[0x30, 0xF8]));
        assert!(mended(&keep_all(), &odd)? == expect, "{vr}");
    }
    Ok(())
}

#[test]
fn elements_without_a_vr_may_follow_each_other_and_end_an_item() -> Outcome {
    let e = Enc::Explicit;
    for lengths in [Lengths::Defined, Lengths::Undefined] {
        let object = |vr: [&str; 3]| {
            let item = [
                short(e, MANUFACTURER, vr[0], b"ACME"),
                short(e, INSTITUTION, vr[0], b"PLACE "),
                short(e, STATION, vr[1], b"CT1 "),
                short(e, REFERENCE, vr[2], b"1.2.9\0"),
            ];
            let bytes = e.sequence(SEQUENCE, &[item.concat()], lengths);
            Object::new(e).raw(SEQUENCE, bytes).part10(EXPLICIT)
        };
        let expect = run(&keep_all(), &object(["LO", "SH", "UI"]))?;
        for letters in PLACEHOLDERS {
            let output = mended(&keep_all(), &object([letters; 3]))?;
            assert!(output == expect, "{letters:?} {lengths:?}");
        }
    }
    Ok(())
}

#[test]
fn an_element_without_a_vr_may_be_the_last_or_stand_before_one_out_of_order() -> Outcome {
    let e = Enc::Explicit;
    let file = |late: &[u8], letters: &str| {
        let last = short(e, STATION, letters, b"CT1 ");
        let object = Object::new(e).raw(PIXELS, [&last[..], late].concat());
        object.part10(EXPLICIT)
    };
    let late = e.text(MANUFACTURER, "LO", "ACME");
    for late in [&b""[..], &late[..], &[0; 2], &[0; 100]] {
        let expect = run(&keep_all(), &file(late, "SH"))?;
        assert!(
            mended(&keep_all(), &file(late, "??"))? == expect,
            "{late:?}"
        );
    }
    Ok(())
}

#[test]
fn file_meta_without_a_vr_is_read() -> Outcome {
    let object = Object::new(Enc::Explicit);
    let expect = run(&keep_all(), &object.part10(EXPLICIT))?;
    for (vr, letters) in [
        ("UI", "??"),
        ("UI", "  "),
        ("UI", "\0\0"),
        // NULs before a length of 32 bits are an implicit element without a value.
        ("OB", "??"),
        ("OB", "  "),
    ] {
        let mut file = object.part10(EXPLICIT);
        for at in 144..file.len() - 6 {
            let is_of_meta = file[at..].starts_with(&[2, 0]) && file[at + 3] == 0;
            if is_of_meta && file[at + 4..].starts_with(vr.as_bytes()) {
                file[at + 4..at + 6].copy_from_slice(letters.as_bytes());
            }
        }
        assert!(mended(&keep_all(), &file)? == expect, "{vr} {letters:?}");
    }
    Ok(())
}

#[test]
fn what_is_removed_never_refuses_an_object_for_its_vr() -> Outcome {
    let e = Enc::Explicit;
    let policy = Table::new().policy();
    let expect = run(&policy, &Object::new(e).part10(EXPLICIT))?;
    for tag in [STATION, PRIVATE, SEQUENCE, Tag(0x0008, 0x9999)] {
        for letters in PLACEHOLDERS {
            for value in [&b"CANARY"[..], b"", &[0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0]] {
                for bytes in [short(e, tag, letters, value), long(e, tag, letters, value)] {
                    let object = Object::new(e).raw(tag, bytes).part10(EXPLICIT);
                    assert!(run(&policy, &object)? == expect, "{tag} {letters:?}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn an_element_whose_length_can_be_read_in_two_ways_is_refused() {
    let e = Enc::Explicit;
    // Read as 16 bits the value is empty and a group length follows; read as 32 bits it has 16 bytes.
    let inner = [
        &[0x10, 0, 0, 0][..],
        b"UL\x04\0\0\0\0\0",
        &e.text(Tag(0x0010, 0x0010), "PN", ""),
    ]
    .concat();
    assert_eq!(inner.len(), 20);
    let bytes = [&[0x09, 0, 1, 0x10, 0, 0, 0, 0][..], &inner].concat();
    let object = Object::new(e)
        .without(Tag(0x0010, 0x0010))
        .raw(PRIVATE, bytes);
    for policy in [keep_all(), Table::new().policy()] {
        let refusal = run(&policy, &object.part10(EXPLICIT)).expect_err("two ways");
        assert!(refusal.reason.contains("unknown value representation"));
    }
    // Neither length ends at a header.
    let object = Object::new(e).raw(
        MANUFACTURER,
        short(e, MANUFACTURER, "??", b"AC")[..9].to_vec(),
    );
    assert!(run(&keep_all(), &object.part10(EXPLICIT)).is_err());
}

#[test]
fn an_implicit_item_is_not_taken_for_one_without_vrs() -> Outcome {
    let e = Enc::Explicit;
    let implicit = Enc::Implicit.element(Tag(0x0066, 0x0016), "OF", vec![0; 65_536]);
    let inner = e.sequence(SEQUENCE, &[implicit], Lengths::Defined);
    let object = Object::new(e).raw(SEQUENCE, inner).part10(EXPLICIT);
    let output = read(&run(&keep_all(), &object)?)?;
    let item = &output.element(SEQUENCE)?.items().ok_or("no items")?[0];
    let value = item.element(Tag(0x0066, 0x0016))?;
    assert_eq!(value.to_bytes()?.len(), 65_536);
    // The same letters, and a length that reads right as an explicit one only.
    let odd = short(e, MANUFACTURER, "\0\0", b"ACME");
    let object = Object::new(e)
        .raw(SEQUENCE, e.sequence(SEQUENCE, &[odd], Lengths::Undefined))
        .element(PIXELS, "OW", vec![1; 400_000]);
    let output = read(&mended(&keep_all(), &object.part10(EXPLICIT))?)?;
    let item = &output.element(SEQUENCE)?.items().ok_or("no items")?[0];
    assert_eq!(item.element(MANUFACTURER)?.to_str()?, "ACME");
    Ok(())
}

/// The elements of an object with a sequence, each apart.
fn parts(enc: Enc, lengths: Lengths) -> Vec<Vec<u8>> {
    let item = |n: u8| {
        [
            enc.text(MANUFACTURER, "LO", &format!("ITEM {n}")),
            enc.text(REFERENCE, "UI", "1.2.9"),
        ]
    };
    let pixels = enc.element(PIXELS, "OW", vec![7; 6_000]);
    vec![
        enc.text(Tag(0x0008, 0x0005), "CS", "ISO_IR 100"),
        enc.text(Tag(0x0008, 0x0016), "UI", super::build::CT),
        enc.text(Tag(0x0008, 0x0018), "UI", "1.2.3.4.5"),
        enc.text(Tag(0x0008, 0x0020), "DA", "20220101"),
        enc.element(Tag(0x0008, 0x0050), "SH", b"ACC\xE9"),
        enc.text(Tag(0x0008, 0x0060), "CS", "CT"),
        enc.text(MANUFACTURER, "LO", "ACME"),
        enc.sequence(SEQUENCE, &[item(1).concat(), item(2).concat()], lengths),
        enc.text(Tag(0x0010, 0x0010), "PN", "Doe^Jane"),
        enc.text(Tag(0x0010, 0x0020), "LO", "12345"),
        enc.text(Tag(0x0020, 0x000D), "UI", "1.2.3"),
        enc.text(Tag(0x0020, 0x000E), "UI", "1.2.3.4"),
        pixels,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn elements_in_any_order_are_stored_in_order(
        order in Just((0..13_usize).collect::<Vec<_>>()).prop_shuffle(),
        repeated in proptest::option::of(0..13_usize),
        form in 0..3_usize,
        undefined in any::<bool>(),
    ) {
        let (enc, syntax) = Enc::ALL[form];
        let lengths = if undefined { Lengths::Undefined } else { Lengths::Defined };
        let parts = parts(enc, lengths);
        let expect = run(&keep_all(), &part10(syntax, &parts.concat())).expect("in order");
        let mut shuffled: Vec<Vec<u8>> = order.iter().map(|n| parts[*n].clone()).collect();
        // An element that stands twice with the same bytes is stored once.
        shuffled.extend(repeated.map(|n| parts[n].clone()));
        let output = run(&keep_all(), &part10(syntax, &shuffled.concat()));
        prop_assert_eq!(output.expect("out of order"), expect);
    }
}

#[test]
fn elements_of_an_item_are_stored_in_order() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let elements = [
                enc.text(MANUFACTURER, "LO", "ACME"),
                enc.text(STATION, "SH", "CT1"),
                enc.text(REFERENCE, "UI", "1.2.9"),
            ];
            let nested = |order: [usize; 3]| {
                let item: Vec<u8> = order.iter().flat_map(|n| elements[*n].clone()).collect();
                let inner = enc.sequence(SEQUENCE, &[item.clone(), item], lengths);
                let outer = enc.sequence(SEQUENCE, &[inner, Vec::new()], lengths);
                Object::new(enc).raw(SEQUENCE, outer).part10(syntax)
            };
            let expect = run(&keep_all(), &nested([0, 1, 2]))?;
            for order in [[2, 1, 0], [1, 0, 2], [0, 2, 1], [2, 0, 1]] {
                let output = mended(&keep_all(), &nested(order))?;
                assert!(output == expect, "{enc:?} {lengths:?} {order:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_element_of_an_item_with_two_values_is_refused() {
    let e = Enc::Explicit;
    let item = [
        e.text(REFERENCE, "UI", "1.2.9"),
        e.text(MANUFACTURER, "LO", "ACME"),
        e.text(REFERENCE, "UI", "1.2.8"),
    ];
    let bytes = e.sequence(SEQUENCE, &[item.concat()], Lengths::Undefined);
    let object = Object::new(e).raw(SEQUENCE, bytes).part10(EXPLICIT);
    let refusal = run(&keep_all(), &object).expect_err("two values");
    assert!(refusal.reason.contains("stands twice"), "{refusal}");
}

#[test]
fn nothing_hides_between_elements_that_are_out_of_order() -> Outcome {
    let e = Enc::Explicit;
    let late = e.text(MANUFACTURER, "LO", "ACME");
    for (name, hidden) in [
        ("bytes that are no element", b"CANARY CANARY 12".to_vec()),
        ("a length beyond the end", e.header(STATION, "LO", 60_000)),
        ("zeros", vec![0; 16]),
        ("an item", e.item(b"CANARY12", Lengths::Defined)),
    ] {
        let bytes = [late.clone(), hidden, late.clone()].concat();
        let object = Object::new(e).raw(PIXELS, bytes).part10(EXPLICIT);
        assert!(run(&keep_all(), &object).is_err(), "{name}");
    }
    // Elements that the rules remove are removed wherever they stand.
    let bytes = [
        late,
        e.text(STATION, "SH", "CANARY"),
        e.text(Tag(0x0008, 0x0022), "DA", "20220101"),
    ];
    let object = Object::new(e).raw(PIXELS, bytes.concat()).part10(EXPLICIT);
    let policy = Table::new().keeping(&[MANUFACTURER]).policy();
    let output = mended(&policy, &object)?;
    assert!(holds(&output, b"ACME") && !holds(&output, b"CANARY"));
    Ok(())
}

/// Compressed pixel data of these frames, and what stands behind the last fragment.
fn compressed(frames: &[&[u8]], end: &[u8]) -> Object {
    let e = Enc::Explicit;
    let mut out = e.header(PIXELS, "OB", UNDEFINED);
    out.extend(e.item(&[], Lengths::Defined));
    for frame in frames {
        out.extend(e.item(frame, Lengths::Defined));
    }
    out.extend(end);
    Object::new(e).raw(PIXELS, out)
}

#[test]
fn whole_fragments_without_their_delimiter_are_stored_with_it() -> Outcome {
    let e = Enc::Explicit;
    let frame: &[u8] = &[0xFF, 0xD8, 1, 2, 0xFF, 0xD9];
    let padded: &[u8] = &[0xFF, 0xD8, 1, 0xFF, 0xD9, 0];
    let (cut, rest): (&[u8], &[u8]) = (&[0xFF, 0xD8, 1, 2], &[3, 4, 0xFF, 0xD9]);
    let wavelet: &[u8] = &[0xFF, 0x4F, 0xFF, 0x51, 1, 2, 0xFF, 0xD9];
    let delimiter = e.header(SEQUENCE_END, "", 0);
    let ends = [
        Vec::new(),
        delimiter[..4].to_vec(),
        delimiter[..7].to_vec(),
        vec![0; 8],
        vec![0; 500],
        e.header(SEQUENCE_END, "", 4),
        e.header(SEQUENCE_END, "", UNDEFINED),
        e.header(Tag(0xFFFE, 0xE00D), "", 0),
        b"CANARY12".to_vec(),
    ];
    for (frames, number, syntax) in [
        (&[frame][..], "", JPEG),
        (&[padded], "1", JPEG),
        (&[frame, padded], "2", JPEG),
        (&[cut, rest], "1", JPEG),
        (&[cut, rest, frame], "2", JPEG),
        (&[cut, &[5, 6], rest, cut, rest], "2", JPEG),
        (&[wavelet, wavelet], "2", JPEG_2000),
        (&[frame, frame], "2", RLE),
        (&[&[1, 2, 3, 4]], "1", RLE),
    ] {
        let file = |end: &[u8]| {
            let object = compressed(frames, end).text(FRAMES, "IS", number);
            object.part10(syntax)
        };
        let expect = run(&keep_all(), &file(&delimiter))?;
        for end in &ends {
            let output = mended(&keep_all(), &file(end))?;
            assert!(output == expect, "{number} {syntax} {end:?}");
        }
    }
    Ok(())
}

#[test]
fn fragments_that_may_not_be_all_are_refused() {
    let e = Enc::Explicit;
    let (cut, rest): (&[u8], &[u8]) = (&[0xFF, 0xD8, 1, 2], &[3, 4, 0xFF, 0xD9]);
    let frame: &[u8] = &[0xFF, 0xD8, 1, 2, 0xFF, 0xD9];
    for (name, frames, number, syntax, end) in [
        ("fewer than frames", &[frame][..], "2", JPEG, Vec::new()),
        ("fewer than frames", &[frame], "2", RLE, Vec::new()),
        ("half of the frames", &[cut, rest], "2", JPEG, Vec::new()),
        ("no image begins", &[rest], "1", JPEG, Vec::new()),
        ("more than frames", &[frame, frame], "1", JPEG, Vec::new()),
        ("cut in a frame", &[cut, rest, cut], "2", JPEG, Vec::new()),
        ("more than frames", &[frame, frame], "1", RLE, Vec::new()),
        (
            "no end of the image",
            &[&[0xFF, 0xD8, 1, 2]],
            "1",
            JPEG,
            Vec::new(),
        ),
        ("a stream of many frames", &[frame], "25", MPEG, Vec::new()),
        ("no number", &[frame], "many", JPEG, Vec::new()),
        ("none", &[], "1", JPEG, Vec::new()),
        (
            "cut in a header",
            &[frame],
            "1",
            JPEG,
            e.header(ITEM, "", 6)[..5].to_vec(),
        ),
        (
            "cut behind a header",
            &[frame],
            "1",
            JPEG,
            e.header(ITEM, "", 6),
        ),
        (
            "an element",
            &[frame],
            "1",
            JPEG,
            e.text(Tag(0xFFFC, 0xFFF0), "LO", "CANARY"),
        ),
    ] {
        let object = compressed(frames, &end).text(FRAMES, "IS", number);
        assert!(run(&keep_all(), &object.part10(syntax)).is_err(), "{name}");
        // What is removed need not be whole.
        if end.is_empty() && !frames.is_empty() {
            let policy = Table::new().with(PIXELS, Action::Remove).policy();
            assert!(run(&policy, &object.part10(syntax)).is_ok(), "{name}");
        }
    }
    // Inside an item, elements would follow.
    let mut icon = e.header(PIXELS, "OB", UNDEFINED);
    icon.extend(e.item(&[], Lengths::Defined));
    icon.extend(e.item(frame, Lengths::Defined));
    let bytes = e.sequence(SEQUENCE, &[icon], Lengths::Defined);
    let object = Object::new(e).raw(SEQUENCE, bytes).part10(EXPLICIT);
    assert!(run(&keep_all(), &object).is_err());
}

#[test]
fn each_thing_that_is_mended_is_counted_once() -> Outcome {
    use RemarkReason::{NoDelimiter, OldDate, OutOfOrder, Repeated, UnknownVr};
    let e = Enc::Explicit;
    let item = [
        e.text(REFERENCE, "UI", "1.2.9"),
        short(e, MANUFACTURER, "  ", b"ACME"),
        short(e, STATION, "??", b"CT1 "),
        e.text(REFERENCE, "UI", "1.2.9"),
    ];
    let item = item.concat();
    let late = e.sequence(SEQUENCE, &[item.clone(), item], Lengths::Defined);
    let frame: &[u8] = &[0xFF, 0xD8, 1, 2, 0xFF, 0xD9];
    let object = compressed(&[frame], &[])
        .raw(Tag(0x0020, 0x4000), late)
        .text(Tag(0x0008, 0x0020), "DA", "1993.01.05");
    let expect = [
        (OutOfOrder, 0x0008_0070, 2),
        (OutOfOrder, 0x0008_1140, 1),
        (Repeated, 0x0008_1155, 2),
        (UnknownVr, 0x0008_0070, 2),
        (UnknownVr, 0x0008_1010, 2),
        (NoDelimiter, 0x7FE0_0010, 1),
        (OldDate, 0x0008_0020, 1),
    ];
    assert_eq!(remarks(&keep_all(), &object.part10(JPEG))?, expect);
    Ok(())
}

#[test]
fn a_strict_policy_refuses_what_would_be_mended_and_nothing_else() -> Outcome {
    let e = Enc::Explicit;
    let charset = Tag(0x0008, 0x0005);
    let name = Tag(0x0010, 0x0010);
    let without_escape = Object::new(e)
        .text(charset, "CS", "\\ISO 2022 IR 100")
        .element(name, "PN", b"J\xE9r\xF4me");
    let two_metas = {
        let second = e.text(Tag(2, 0x10), "UI", JPEG);
        part10(EXPLICIT, &[second, Object::new(e).data_set()].concat())
    };
    for file in [
        without_escape.part10(EXPLICIT),
        Object::new(e).text(charset, "CS", "UTF-8").part10(EXPLICIT),
        Object::new(e)
            .text(Tag(8, 0x20), "DA", "1993.01.05")
            .part10(EXPLICIT),
        Object::new(Enc::Implicit).part10(EXPLICIT),
        two_metas,
    ] {
        mended(&Table::new().policy(), &file)?;
    }
    let strict = keep_all().with_strictness(Strictness::Strict);
    for (enc, syntax) in Enc::ALL {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let file = part10(syntax, &parts(enc, lengths).concat());
            assert_eq!(run(&strict, &file)?, run(&keep_all(), &file)?);
        }
    }
    Ok(())
}
