//! Every encoding of a data set is read, and written in the same transfer syntax.

use anon_engine::Category;
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{
    BIG, DEFLATED, EXPLICIT, Enc, IMPLICIT, JPEG, Lengths, Object, Outcome, Table, UNDEFINED,
    data_set_of, deflate, holds, part10, read, run, run_as, value,
};

const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const UID_IN_ITEM: Tag = Tag(0x0008, 0x1155);
const COMMENT: Tag = Tag(0x0020, 0x4000);
const UNKNOWN: Tag = Tag(0x0029, 0x1010);

fn table() -> Table {
    Table::new()
        .keeping(&[SEQUENCE, UNKNOWN, Tag(0x0029, 0x0010), Tag(0x0028, 0x0010)])
        .with(UID_IN_ITEM, Action::Uid)
}

fn with_sequence(enc: Enc, lengths: Lengths) -> Object {
    let item = |uid: &str| {
        let mut item = enc.text(Tag(0x0008, 0x0000), "UL", "\0\0\0\0");
        item.extend(enc.text(Tag(0x0008, 0x1155), "UI", uid));
        item.extend(enc.text(Tag(0x0010, 0x0010), "PN", "CANARY^NESTED"));
        item.extend(enc.text(COMMENT, "LT", "CANARY in an item"));
        item
    };
    let items = [item("1.2.3.900"), item("1.2.3.9000"), Vec::new()];
    Object::new(enc)
        .raw(SEQUENCE, enc.sequence(SEQUENCE, &items, lengths))
        .element(PIXELS, "OW", vec![0xAB; 300])
}

#[test]
fn every_uncompressed_syntax_and_length_form_round_trips() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let input = with_sequence(enc, lengths).part10(syntax);
            let output = run(&table().policy(), &input)?;
            assert!(!holds(&output, b"CANARY"), "{enc:?} {lengths:?}");
            let object = read(&output)?;
            assert_eq!(object.meta().transfer_syntax(), syntax);
            let items = object.element(SEQUENCE)?.items().ok_or("no items")?;
            assert_eq!(items.len(), 3, "{enc:?} {lengths:?}");
            let uid = items[0].element(UID_IN_ITEM)?.to_str()?;
            assert_eq!(uid.trim_end_matches('\0'), "9.100");
            let uid = items[1].element(UID_IN_ITEM)?.to_str()?;
            assert_eq!(uid.trim_end_matches('\0'), "9.101");
            assert!(items[1].element(COMMENT).is_err());
            assert_eq!(object.element(PIXELS)?.to_bytes()?.as_ref(), [0xAB; 300]);
        }
    }
    Ok(())
}

#[test]
fn a_bare_data_set_is_read_in_the_given_transfer_syntax() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let data_set = with_sequence(enc, Lengths::Defined).data_set();
        let alone = run_as(&table().policy(), &data_set, Some(syntax))?;
        assert_eq!(alone, run(&table().policy(), &part10(syntax, &data_set))?);
    }
    Ok(())
}

#[test]
fn files_without_preamble_or_file_meta_are_read() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let object = with_sequence(enc, Lengths::Defined);
        let whole = object.part10(syntax);
        let expect = run(&table().policy(), &whole)?;
        let data_set = object.data_set();
        let zeros = [vec![0; 128], b"DICM".to_vec(), data_set.clone()].concat();
        let mut heads = vec![
            ("no preamble", whole[132..].to_vec()),
            ("mark at the start", whole[128..].to_vec()),
            ("no meta", zeros),
            ("nothing", data_set),
        ];
        let mut wrong = whole.clone();
        wrong[140] ^= 0xFF;
        heads.push(("wrong group length", wrong));
        for (name, input) in heads {
            assert_eq!(run(&table().policy(), &input)?, expect, "{enc:?}, {name}");
        }
    }
    Ok(())
}

#[test]
fn deflated_input_gives_deflated_output() -> Outcome {
    let data_set = with_sequence(Enc::Explicit, Lengths::Defined).data_set();
    let plain = run(&table().policy(), &part10(EXPLICIT, &data_set))?;
    let input = part10(DEFLATED, &deflate(&data_set)?);
    let output = run(&table().policy(), &input)?;
    assert_eq!(inflate(data_set_of(&output)?)?, data_set_of(&plain)?);
    assert_eq!(output.len() % 2, 0);
    assert_eq!(read(&output)?.meta().transfer_syntax(), DEFLATED);
    let inflated = (data_set.len() as u32).to_le_bytes();
    for end in [vec![0], [vec![7; 4], inflated.to_vec()].concat()] {
        assert_eq!(
            run(&table().policy(), &[input.clone(), end].concat())?,
            output
        );
    }
    Ok(())
}

#[test]
fn large_deflated_objects_use_a_scratch_file_or_are_refused() -> Outcome {
    let mut policy = table().policy();
    policy.limits.max_inflated_in_memory = 100_000;
    let noise: Vec<u8> = (0..400_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let data_set = Object::new(Enc::Explicit)
        .element(PIXELS, "OW", &noise)
        .data_set();
    let input = part10(DEFLATED, &deflate(&data_set)?);
    let file = {
        use std::io::Write;
        let mut file = tempfile::tempfile()?;
        file.write_all(&input)?;
        file
    };
    let dir = tempfile::tempdir()?;
    let source = anon_engine::Source::file(&file, input.len() as u64);
    let refusal = anon_engine::plan(&policy, source).expect_err("no scratch");
    assert_eq!(refusal.category, Category::DicomReadError);
    let plan = anon_engine::plan(&policy, source.with_scratch(dir.path()))?;
    let output = plan.apply(&super::build::names(plan.wanted()))?.to_vec()?;
    assert!(holds(&inflate(data_set_of(&output)?)?, &noise));
    Ok(())
}

#[test]
fn a_deflate_bomb_is_refused() -> Outcome {
    let mut policy = table().policy();
    policy.limits.max_inflated = 3 << 20;
    for (data, problem) in [
        (deflate(&vec![0; 4 << 20])?, "beyond the limits"),
        (deflate(b"half")?[..3].to_vec(), "not complete"),
        (vec![0xFF; 64], "damaged"),
        ([deflate(b"")?, b"CANARY".to_vec()].concat(), "bytes after"),
    ] {
        let refusal = run(&policy, &part10(DEFLATED, &data)).expect_err(problem);
        assert!(refusal.reason.contains(problem), "{refusal}");
    }
    Ok(())
}

fn inflate(bytes: &[u8]) -> Outcome<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

fn fragments(sizes: &[usize]) -> Vec<u8> {
    let mut out = Enc::Explicit.header(PIXELS, "OB", UNDEFINED);
    out.extend(Enc::Explicit.header(Tag(0xFFFE, 0xE000), "", 0));
    for size in sizes {
        out.extend(Enc::Explicit.item(&vec![0xCD; *size], Lengths::Defined));
    }
    out.extend(Enc::Explicit.header(Tag(0xFFFE, 0xE0DD), "", 0));
    out
}

#[test]
fn pixel_fragments_are_kept_and_elements_after_them_follow_the_rules() -> Outcome {
    let after = Tag(0xFFFA, 0xFFFA);
    let vendors = "1.2.3.4.999";
    let policy = table().policy();
    let policy = policy.with_transfer_syntaxes([vendors.to_owned()].into());
    for syntax in [JPEG, "1.2.840.10008.1.2.4.201", vendors] {
        let pixels = fragments(&[10, 70_000, 4]);
        let input = Object::new(Enc::Explicit)
            .raw(PIXELS, pixels.clone())
            .raw(
                after,
                Enc::Explicit.sequence(
                    after,
                    &[Enc::Explicit.text(COMMENT, "LT", "CANARY")],
                    Lengths::Undefined,
                ),
            )
            .element(Tag(0xFFFC, 0xFFFC), "OB", b"CANARY")
            .part10(syntax);
        let output = run(&policy, &input)?;
        assert!(output.ends_with(&pixels), "{syntax}");
        assert!(!holds(&output, b"CANARY"), "{syntax}");
    }
    Ok(())
}

#[test]
fn odd_fragments_are_padded_if_no_offset_changes() -> Outcome {
    let input = |sizes: &[usize]| {
        Object::new(Enc::Explicit)
            .raw(PIXELS, fragments(sizes))
            .part10(JPEG)
    };
    let output = run(&table().policy(), &input(&[10, 7]))?;
    let mut even = fragments(&[10, 8]);
    let last = even.len() - 9;
    even[last] = 0;
    assert!(output.ends_with(&even));
    let refusal = run(&table().policy(), &input(&[7, 10])).expect_err("offsets");
    assert_eq!(refusal.tag, Some(PIXELS));
    Ok(())
}

/// A UN value of undefined length is in implicit VR little endian (PS3.5 section 6.2.2).
#[test]
fn sequences_under_un_follow_the_rules() -> Outcome {
    for (enc, syntax) in [(Enc::Explicit, EXPLICIT), (Enc::Big, BIG)] {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let mut item = Enc::Implicit.text(UID_IN_ITEM, "UI", "1.2.3.900");
            item.extend(Enc::Implicit.text(Tag(0x0010, 0x0010), "PN", "CANARY^X"));
            item.extend(Enc::Implicit.text(COMMENT, "LT", "CANARY"));
            let sequence = Enc::Implicit.sequence(UNKNOWN, &[item], lengths);
            let mut bytes = enc.header(UNKNOWN, "UN", UNDEFINED);
            if lengths == Lengths::Defined {
                bytes = enc.header(UNKNOWN, "UN", sequence.len() as u32 - 8);
            }
            bytes.extend(&sequence[8..]);
            let input = Object::new(enc)
                .text(Tag(0x0029, 0x0010), "LO", "MAKER")
                .raw(UNKNOWN, bytes)
                .part10(syntax);
            let output = run(&table().policy(), &input)?;
            assert!(!holds(&output, b"CANARY"), "{enc:?} {lengths:?}");
            assert!(holds(&output, b"9.100"), "{enc:?} {lengths:?}");
            // The content is still implicit and its lengths are right, so it can be read again.
            let again = run(&table().policy(), &output)?;
            assert_eq!(again.len(), output.len());
        }
    }
    Ok(())
}

#[test]
fn big_endian_items_under_un_are_refused() {
    let hidden = Enc::Big.item(&Enc::Big.text(COMMENT, "LT", "CANARY"), Lengths::Defined);
    let input = Object::new(Enc::Explicit)
        .element(UNKNOWN, "UN", hidden)
        .part10(EXPLICIT);
    let refusal = run(&table().policy(), &input).expect_err("big endian items");
    assert!(
        refusal.reason.contains("unknown element at byte"),
        "{refusal}"
    );
}

/// Items in a value that is no sequence are elements to which no rule was applied.
#[test]
fn items_in_a_value_that_is_no_sequence_are_refused() {
    const KEPT: Tag = Tag(0x0018, 0x1020);
    const TABLE: Tag = Tag(0x0028, 0x1201);
    let policy = table().keeping(&[KEPT, TABLE]).policy();
    for (enc, syntax) in Enc::ALL {
        let hidden = enc.text(Tag(0x0010, 0x0010), "PN", "CANARY^X");
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let item = enc.item(&hidden, lengths);
            for (tag, vr) in [(KEPT, "LO"), (KEPT, "OB"), (KEPT, "UT"), (TABLE, "OW")] {
                let input = Object::new(enc)
                    .element(tag, vr, item.clone())
                    .part10(syntax);
                let refusal = run(&policy, &input).expect_err("items in a value");
                assert_eq!(refusal.tag, Some(tag), "{enc:?} {lengths:?} {vr}");
            }
        }
        // The padding byte counts too: the output must be a valid input.
        let odd = enc.item(b"CANARY", Lengths::Defined);
        let input = Object::new(enc)
            .element(TABLE, "OW", &odd[..odd.len() - 1])
            .part10(syntax);
        let refusal = run(&policy, &input).expect_err("an item without its last byte");
        assert_eq!(refusal.tag, Some(TABLE), "{enc:?}");
        // If the rules remove the element, its content does not matter.
        let item = enc.item(&hidden, Lengths::Defined);
        let input = Object::new(enc).element(COMMENT, "LT", item).part10(syntax);
        let output = run(&policy, &input).expect("it is removed");
        assert!(!holds(&output, b"CANARY"), "{enc:?}");
    }
}

#[test]
fn only_pixel_data_may_be_encapsulated() {
    const TABLE: Tag = Tag(0x0028, 0x1201);
    let mut bytes = Enc::Explicit.header(TABLE, "OW", UNDEFINED);
    bytes.extend(&fragments(&[4])[12..]);
    let input = Object::new(Enc::Explicit).raw(TABLE, bytes).part10(JPEG);
    let refusal = run(&table().keeping(&[TABLE]).policy(), &input).expect_err("fragments");
    assert_eq!(refusal.tag, Some(TABLE));
    assert!(run(&table().policy(), &input).is_ok(), "it is removed");
}

#[test]
fn an_item_longer_than_its_un_value_is_refused() {
    let item = Enc::Implicit.item(
        &Enc::Implicit.text(COMMENT, "LT", "CANARY"),
        Lengths::Defined,
    );
    let input = Object::new(Enc::Explicit)
        .element(UNKNOWN, "UN", &item[..item.len() - 2])
        .part10(EXPLICIT);
    let refusal = run(&table().policy(), &input).expect_err("a cut item");
    assert!(
        refusal.reason.contains("unknown element at byte"),
        "{refusal}"
    );
}

#[test]
fn items_in_another_encoding_are_rewritten_in_the_transfer_syntax() -> Outcome {
    for (outer, inner, syntax) in [
        (Enc::Explicit, Enc::Implicit, EXPLICIT),
        (Enc::Implicit, Enc::Explicit, IMPLICIT),
    ] {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let mut item = inner.text(UID_IN_ITEM, "UI", "1.2.3.900");
            item.extend(inner.text(COMMENT, "LT", "CANARY"));
            item.extend(inner.element(Tag(0x0028, 0x0010), "US", [1, 2]));
            let deep = inner.text(UID_IN_ITEM, "UI", "1.2.3.901");
            let mut with_deep = inner.sequence(SEQUENCE, &[deep], lengths);
            with_deep.extend(item);
            let input = Object::new(outer)
                .raw(SEQUENCE, outer.sequence(SEQUENCE, &[with_deep], lengths))
                .part10(syntax);
            let output = run(&table().policy(), &input)?;
            assert!(!holds(&output, b"CANARY"));
            let object = read(&output)?;
            let item = &object.element(SEQUENCE)?.items().ok_or("no items")?[0];
            assert_eq!(item.element(Tag(0x0028, 0x0010))?.to_int::<u16>()?, 0x0201);
            assert_eq!(
                item.element(UID_IN_ITEM)?.to_str()?.trim_end_matches('\0'),
                "9.101"
            );
            let deep = &item.element(SEQUENCE)?.items().ok_or("no items")?[0];
            assert_eq!(
                deep.element(UID_IN_ITEM)?.to_str()?.trim_end_matches('\0'),
                "9.100"
            );
        }
    }
    Ok(())
}

/// The file meta names implicit little endian and the bytes are explicit, or the reverse.
#[test]
fn a_wrong_implicit_or_explicit_transfer_syntax_is_corrected() -> Outcome {
    for (enc, said, true_one) in [
        (Enc::Implicit, EXPLICIT, IMPLICIT),
        (Enc::Explicit, IMPLICIT, EXPLICIT),
    ] {
        let object = with_sequence(enc, Lengths::Defined);
        let output = run(&table().policy(), &object.part10(said))?;
        assert_eq!(output, run(&table().policy(), &object.part10(true_one))?);
    }
    let refusal = run(
        &table().policy(),
        &with_sequence(Enc::Implicit, Lengths::Defined).part10(JPEG),
    );
    assert_eq!(
        refusal.expect_err("JPEG is explicit").category,
        Category::DicomReadError
    );
    Ok(())
}

#[test]
fn an_invalid_vr_is_replaced_by_the_dictionarys() -> Outcome {
    let rows = Tag(0x0028, 0x0010);
    let element = |letters: &str| {
        let mut bytes = Enc::Explicit.element(rows, "US", [1, 2]);
        bytes[4..6].copy_from_slice(letters.as_bytes());
        Object::new(Enc::Explicit).raw(rows, bytes).part10(EXPLICIT)
    };
    for letters in ["us", "ZZ", "Us", "??", "  ", "\0\0"] {
        let output = run(&table().policy(), &element(letters))?;
        assert!(holds(&output, b"\x28\0\x10\0US\x02\0\x01\x02"), "{letters}");
    }
    for letters in ["ob", "zz", "1 ", "\0U"] {
        let refusal = run(&table().policy(), &element(letters)).expect_err(letters);
        assert_eq!(refusal.category, Category::DicomReadError);
        assert_eq!(refusal.tag, Some(rows));
    }
    Ok(())
}

#[test]
fn odd_value_lengths_are_padded_to_even() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let name = Tag(0x0008, 0x0060);
        let deep = enc.element(Tag(0x0008, 0x0060), "CS", "ABC");
        let input = Object::new(enc)
            .element(name, "CS", "CTX")
            .raw(SEQUENCE, enc.sequence(SEQUENCE, &[deep], Lengths::Defined))
            .element(PIXELS, "OB", [1, 2, 3])
            .part10(syntax);
        let output = run(&table().policy(), &input)?;
        assert_eq!(value(&output, name)?, "CTX");
        assert_eq!(output.len() % 2, 0);
        assert!(output.ends_with(&[1, 2, 3, 0]), "{enc:?}");
        let object = read(&output)?;
        let item = &object.element(SEQUENCE)?.items().ok_or("no items")?[0];
        assert_eq!(item.element(name)?.to_str()?, "ABC");
    }
    Ok(())
}
