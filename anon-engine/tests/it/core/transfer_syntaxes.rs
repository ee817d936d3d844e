//! Which transfer syntax an object is in, and which pixel data it may then have.

use dicom_core::Tag;

use super::build::{
    BIG, DEFLATED, EXPLICIT, Enc, IMPLICIT, JPEG, Object, Outcome, Table, UNDEFINED, deflate,
    part10, read, run,
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
