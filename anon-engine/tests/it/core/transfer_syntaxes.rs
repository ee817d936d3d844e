//! Which transfer syntax an object is in, and which pixel data it may then have.

use anon_engine::Category;
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{
    BIG, DEFLATED, EXPLICIT, Enc, IMPLICIT, JPEG, Lengths, Object, Outcome, Table, UNDEFINED,
    deflate, holds, part10, read, run, run_as, value,
};

const PIXELS: Tag = Tag(0x7FE0, 0x0010);

/// File meta information as elements, in this encoding.
fn file_meta(enc: Enc, syntax: &str) -> Vec<u8> {
    let mut meta = enc.element(Tag(2, 1), "OB", [0, 1]);
    meta.extend(enc.text(Tag(2, 3), "UI", "1.2.3.4.999"));
    meta.extend(enc.text(Tag(2, 0x10), "UI", syntax));
    meta.extend(enc.text(Tag(2, 0x16), "AE", "CANARY_AE"));
    let length = enc.four(meta.len() as u32);
    [enc.element(Tag(2, 0), "UL", length), meta].concat()
}

/// Encapsulated pixel data with an empty Basic Offset Table and one fragment (PS3.5 section A.4).
fn fragments() -> Vec<u8> {
    let mut out = Enc::Explicit.header(PIXELS, "OB", UNDEFINED);
    out.extend(Enc::Explicit.header(Tag(0xFFFE, 0xE000), "", 0));
    out.extend(Enc::Explicit.header(Tag(0xFFFE, 0xE000), "", 4));
    out.extend([0xFF, 0xD8, 0xFF, 0xD9]);
    out.extend(Enc::Explicit.header(Tag(0xFFFE, 0xE0DD), "", 0));
    out
}

/// Standard transfer syntaxes with encapsulated pixel data (PS3.6 annex A).
const COMPRESSED: [&str; 7] = [
    JPEG,
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.8.1",
];

const SYNTAXES: [&str; 6] = [
    IMPLICIT,
    EXPLICIT,
    BIG,
    DEFLATED,
    JPEG,
    "1.2.840.10008.1.2.4.90",
];

/// PS3.10 section 7.1 has one run of group 0002. What follows it belongs to the data set, where group
/// 0002 says nothing and is not written.
#[test]
fn the_first_file_meta_names_the_transfer_syntax() -> Outcome {
    let policy = Table::new().policy();
    let native = |enc: Enc| {
        Object::new(enc)
            .element(PIXELS, "OW", [0xAB; 300])
            .data_set()
    };
    let compressed = Object::new(Enc::Explicit)
        .raw(PIXELS, fragments())
        .data_set();
    for (enc, first, data_set) in [
        (Enc::Implicit, IMPLICIT, native(Enc::Implicit)),
        (Enc::Explicit, EXPLICIT, native(Enc::Explicit)),
        (Enc::Big, BIG, native(Enc::Big)),
        (Enc::Explicit, JPEG, compressed),
        (Enc::Explicit, DEFLATED, native(Enc::Explicit)),
    ] {
        let deflated = first == DEFLATED;
        let file = |data_set: &[u8]| -> Outcome<Vec<u8>> {
            Ok(if deflated {
                part10(first, &deflate(data_set)?)
            } else {
                part10(first, data_set)
            })
        };
        let expect = run(&policy, &file(&data_set)?)?;
        assert_eq!(read(&expect)?.meta().transfer_syntax(), first);
        let second_in = if deflated {
            vec![enc]
        } else {
            vec![enc, Enc::Explicit]
        };
        for second_in in second_in {
            for second in SYNTAXES.iter().chain(&["", "no UID"]) {
                let input = [file_meta(second_in, second), data_set.clone()].concat();
                let output = run(&policy, &file(&input)?)?;
                assert!(
                    output == expect,
                    "{first}, then {second:?} in {second_in:?}"
                );
            }
        }
    }
    Ok(())
}

/// If the first run of group 0002 names none, the bytes decide, as for a file without any.
#[test]
fn an_empty_transfer_syntax_is_not_replaced_by_a_second_one() -> Outcome {
    let policy = Table::new().policy();
    let data_set = Object::new(Enc::Explicit).data_set();
    let expect = run(&policy, &part10(EXPLICIT, &data_set))?;
    for second in SYNTAXES {
        let input = [file_meta(Enc::Explicit, second), data_set.clone()].concat();
        assert!(run(&policy, &part10("", &input))? == expect, "{second}");
    }
    Ok(())
}

/// Native pixel data, in the shortest and in a long form.
fn native(enc: Enc) -> [Object; 3] {
    [0, 4, 5_000].map(|len| Object::new(enc).element(PIXELS, "OW", vec![1; len]))
}

/// PS3.5 section A.4: a reader looks for fragments and does not find them.
#[test]
fn native_pixels_in_a_compressed_syntax_are_refused() -> Outcome {
    let policy = Table::new().policy();
    let removing = Table::new().with(PIXELS, Action::Remove).policy();
    for syntax in COMPRESSED {
        for object in native(Enc::Explicit) {
            let input = object.part10(syntax);
            let refusal = run(&policy, &input).expect_err(syntax);
            assert_eq!(refusal.category, Category::DicomReadError, "{syntax}");
            assert_eq!(refusal.tag, Some(PIXELS), "{syntax}");
            assert!(refusal.reason.contains("not compressed"), "{refusal}");
            let transferred = run_as(&policy, &object.data_set(), Some(syntax));
            assert_eq!(transferred.expect_err(syntax), refusal);
            assert!(run(&removing, &input).is_ok(), "{syntax}: it is removed");
        }
    }
    // A private syntax may have either form, and JPIP has no pixel data.
    for syntax in [
        "1.2.3.4.999",
        "1.2.840.10008.1.2.4.94",
        "1.2.840.10008.1.2.4.204",
    ] {
        let policy = policy
            .clone()
            .with_transfer_syntaxes([syntax.to_owned()].into());
        for object in native(Enc::Explicit) {
            run(&policy, &object.part10(syntax))?;
        }
    }
    Ok(())
}

/// An output names its transfer syntax: a UID of the source in its place would be kept.
#[test]
fn a_transfer_syntax_that_ps3_6_does_not_list_is_refused_unless_the_settings_name_it() -> Outcome {
    let object = Object::new(Enc::Explicit);
    for syntax in [
        "1.2.3.4.999",
        // The Study Instance UID.
        "1.2.3",
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.1.2.1.7",
    ] {
        let policy = Table::new().policy();
        for refusal in [
            run(&policy, &object.part10(syntax)),
            run_as(&policy, &object.data_set(), Some(syntax)),
        ] {
            let refusal = refusal.expect_err(syntax);
            assert_eq!(refusal.category, Category::DicomReadError, "{syntax}");
            assert_eq!(refusal.tag, Some(Tag(2, 0x10)), "{syntax}");
            assert!(!refusal.reason.contains(syntax), "{refusal}");
        }
        let named = policy.with_transfer_syntaxes([syntax.to_owned()].into());
        let output = run(&named, &object.part10(syntax))?;
        assert!(holds(&output, syntax.as_bytes()), "{syntax}");
    }
    for (syntax, _) in anon_model::modality::transfer_syntaxes() {
        if let Err(refusal) = run(&Table::new().policy(), &object.part10(syntax)) {
            assert_ne!(refusal.tag, Some(Tag(2, 0x10)), "{syntax}");
        }
    }
    Ok(())
}

#[test]
fn encapsulated_pixels_in_an_uncompressed_syntax_are_refused() -> Outcome {
    let policy = Table::new().policy();
    let object = Object::new(Enc::Explicit).raw(PIXELS, fragments());
    let deflated = part10(DEFLATED, &deflate(&object.data_set())?);
    for input in [object.part10(EXPLICIT), object.part10(IMPLICIT), deflated] {
        let refusal = run(&policy, &input).expect_err("no compressed transfer syntax");
        assert_eq!(refusal.category, Category::DicomReadError);
        assert_eq!(refusal.tag, Some(PIXELS));
    }
    for syntax in COMPRESSED {
        run(&policy, &object.part10(syntax))?;
    }
    Ok(())
}

/// DCMTK does not open a compressed file whose pixel data has a defined length.
#[test]
fn a_rule_cannot_empty_compressed_pixel_data() -> Outcome {
    let object = Object::new(Enc::Explicit).raw(PIXELS, fragments());
    for action in [Action::Empty, Action::Replace("".into())] {
        let policy = Table::new().with(PIXELS, action).policy();
        for syntax in COMPRESSED {
            let refusal = run(&policy, &object.part10(syntax)).expect_err(syntax);
            assert!(refusal.reason.contains("remove it instead"), "{refusal}");
        }
    }
    let policy = Table::new().with(PIXELS, Action::Empty).policy();
    for (enc, syntax) in Enc::ALL {
        for object in native(enc) {
            let output = run(&policy, &object.part10(syntax))?;
            assert_eq!(value(&output, PIXELS)?, "", "{syntax}");
        }
    }
    Ok(())
}

/// The pixel data of an icon (PS3.3 section C.7.6.1.1.6) may be native in a compressed object, and
/// readers accept the opposite too. Float Pixel Data is never encapsulated (PS3.5 section 8.2).
#[test]
fn icons_and_float_pixels_may_differ_from_the_transfer_syntax() -> Outcome {
    const ICONS: Tag = Tag(0x0088, 0x0200);
    const FLOAT: Tag = Tag(0x7FE0, 0x0008);
    let policy = Table::new().keeping(&[ICONS, FLOAT]).policy();
    let e = Enc::Explicit;
    let icon = |pixels: Vec<u8>| e.sequence(ICONS, &[pixels], Lengths::Defined);
    let icons = [icon(e.element(PIXELS, "OW", [1; 4])), icon(fragments())];
    for (syntax, pixels) in [
        (JPEG, fragments()),
        (EXPLICIT, e.element(PIXELS, "OW", [1; 4])),
    ] {
        for icon in &icons {
            let object = Object::new(e).raw(ICONS, icon.clone());
            for object in [object.clone(), object.raw(PIXELS, pixels.clone())] {
                let output = run(&policy, &object.part10(syntax))?;
                assert!(holds(&output, icon), "{syntax}");
            }
        }
        let object = Object::new(e).element(FLOAT, "OF", [0; 4]);
        run(&policy, &object.part10(syntax))?;
        let mut encapsulated = e.header(FLOAT, "OF", UNDEFINED);
        encapsulated.extend(&fragments()[12..]);
        let object = Object::new(e).raw(FLOAT, encapsulated);
        let refusal = run(&policy, &object.part10(syntax)).expect_err("float fragments");
        assert_eq!(refusal.tag, Some(FLOAT));
    }
    Ok(())
}
