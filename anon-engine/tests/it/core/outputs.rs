//! What every output contains, and how rules change values.

use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{
    CT, EXPLICIT, Enc, Lengths, Object, Outcome, Table, holds, part10, read, run, value,
};

const REMOVED: Tag = Tag(0x0012, 0x0062);
const METHOD: Tag = Tag(0x0012, 0x0063);
const CODES: Tag = Tag(0x0012, 0x0064);

/// 10.1 #5: V17 kept preamble, AE title and implementation identifiers of the source.
#[test]
fn f05_preamble_and_file_meta_are_new() -> Outcome {
    let output = run(
        &Table::new().policy(),
        &Object::new(Enc::Explicit).part10(EXPLICIT),
    )?;
    assert_eq!(output[..132], [vec![0; 128], b"DICM".to_vec()].concat());
    assert!(!holds(&output, b"CANARY"));
    let object = read(&output)?;
    let meta = object.meta();
    assert_eq!(meta.media_storage_sop_class_uid(), CT);
    assert_eq!(meta.media_storage_sop_instance_uid(), "9.3");
    assert_eq!(meta.transfer_syntax(), EXPLICIT);
    assert_eq!(
        meta.implementation_class_uid(),
        "1.2.826.0.1.3680043.10.474.3"
    );
    assert_eq!(
        meta.implementation_version_name
            .as_deref()
            .map(str::trim_end),
        Some("ANON_0_1")
    );
    assert_eq!(meta.source_application_entity_title, None);
    assert_eq!(meta.information_version, [0, 1]);
    Ok(())
}

#[test]
fn every_output_states_its_deidentification_method() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let input = Object::new(enc)
            .text(REMOVED, "CS", "NO")
            .text(METHOD, "LO", "CANARY")
            .raw(
                CODES,
                enc.sequence(
                    CODES,
                    &[enc.text(Tag(8, 0x100), "SH", "CANARY")],
                    Lengths::Undefined,
                ),
            )
            .text(Tag(0x0013, 0x0010), "LO", "CANARY")
            .text(Tag(0x0013, 0x1001), "SH", "CANARY")
            .text(Tag(0x0013, 0x1077), "SH", "CANARY")
            .part10(syntax);
        let policy = Table::new().otherwise(Action::Keep).policy();
        let output = run(&policy, &input)?;
        assert!(!holds(&output, b"CANARY"), "{enc:?}");
        for (tag, expect) in [
            (REMOVED, "YES"),
            (METHOD, "TABLE"),
            (Tag(0x0013, 0x0010), "RSNA"),
            (Tag(0x0013, 0x1001), "123456789"),
            (Tag(0x0013, 0x1003), "PROJECT"),
        ] {
            assert_eq!(value(&output, tag)?, expect, "{enc:?} {tag}");
        }
        assert!(read(&output)?.element(CODES).is_err());
    }
    Ok(())
}

/// 10.1 #8: V17 wrote three method codes whatever the script did.
#[test]
fn f08_codes_are_written_where_the_rules_claim_them() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let mut table = Table::new();
        table.method.codes = vec![
            (
                "113100".into(),
                "Basic Application Confidentiality Profile".into(),
            ),
            ("113107".into(), "Retain Longitudinal".into()),
        ];
        let output = run(&table.policy(), &Object::new(enc).part10(syntax))?;
        let object = read(&output)?;
        let items = object.element(CODES)?.items().ok_or("no items")?;
        assert_eq!(items.len(), 2);
        assert_eq!(items[1].element(Tag(8, 0x100))?.to_str()?, "113107");
        assert_eq!(items[1].element(Tag(8, 0x102))?.to_str()?.trim_end(), "DCM");
        assert_eq!(
            items[0].element(Tag(8, 0x104))?.to_str()?.trim_end(),
            "Basic Application Confidentiality Profile"
        );
    }
    Ok(())
}

#[test]
fn inserted_elements_keep_the_tag_order() -> Outcome {
    let late = Tag(0x0013, 0x2001);
    let input = Object::new(Enc::Explicit)
        .text(Tag(0x0012, 0x0061), "LO", "before")
        .text(Tag(0x0012, 0x0071), "LO", "between")
        .text(late, "LO", "after")
        .part10(EXPLICIT);
    let policy = Table::new().otherwise(Action::Keep).policy();
    let output = run(&policy, &input)?;
    let object = read(&output)?;
    let tags: Vec<Tag> = object.iter().map(dicom_core::header::Header::tag).collect();
    let mut sorted = tags.clone();
    sorted.sort();
    assert_eq!(tags, sorted);
    // dicom-object sorts elements. Our own reader refuses unordered ones, so it shows the order.
    assert_eq!(run(&policy, &output)?.len(), output.len());
    Ok(())
}

#[test]
fn each_action_applies_to_each_kind_of_value() -> Outcome {
    let tag = Tag(0x0018, 0x0010);
    let keep = Action::Keep;
    let replace = |text: &str| Action::Replace(text.into());
    for (tag, vr, before, action, after) in [
        (tag, "LO", "agent", keep.clone(), Some("agent")),
        (tag, "LO", "agent", Action::Remove, None),
        (tag, "LO", "agent", Action::Empty, Some("")),
        (tag, "LO", "agent", replace("other"), Some("other")),
        (tag, "LO", "", replace("other"), Some("other")),
        (
            tag,
            "LO",
            "agent",
            Action::Patient,
            Some("123456789-000001"),
        ),
        (tag, "LO", "", Action::Patient, Some("")),
        // The input has a wrong VR; the output has the right one.
        (tag, "UN", "agent", replace("other"), Some("other")),
        (tag, "UN", "agent", keep.clone(), Some("agent")),
        (
            Tag(0x0010, 0x1010),
            "AS",
            "043Y",
            Action::RoundAge { width: 5 },
            Some("045Y"),
        ),
        (
            Tag(0x0010, 0x1010),
            "AS",
            "43 years",
            Action::RoundAge { width: 5 },
            Some(""),
        ),
        (
            Tag(0x0010, 0x1010),
            "AS",
            "999Y\\007Y",
            Action::RoundAge { width: 5 },
            Some("995Y\\005Y"),
        ),
        (
            Tag(0x0010, 0x1010),
            "AS",
            "",
            Action::RoundAge { width: 5 },
            Some(""),
        ),
        (
            Tag(0x0008, 0x0023),
            "DA",
            "2020.01.05",
            Action::ShiftDate,
            Some("20200924"),
        ),
        (
            Tag(0x0008, 0x0023),
            "DA",
            "18991231",
            Action::ShiftDate,
            Some("20000101"),
        ),
        (Tag(0x0008, 0x0023), "DA", "", Action::ShiftDate, Some("")),
        (Tag(0x0008, 0x1155), "UI", "", Action::Uid, Some("")),
        (Tag(0x0008, 0x0050), "SH", "", Action::Accession, Some("")),
    ] {
        let object = Object::new(Enc::Explicit).text(tag, vr, before);
        let policy = Table::new().with(tag, action.clone()).policy();
        let output = run(&policy, &object.part10(EXPLICIT))?;
        assert_eq!(
            value(&output, tag).ok().as_deref(),
            after,
            "{tag} {vr} {before:?} {action:?}"
        );
    }
    Ok(())
}

#[test]
fn replaced_numbers_are_written_in_their_binary_vr() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let rows = Tag(0x0028, 0x0010);
        let input = Object::new(enc).element(rows, "US", [7, 7]).part10(syntax);
        let policy = Table::new()
            .with(rows, Action::Replace("258".into()))
            .policy();
        let output = run(&policy, &input)?;
        assert_eq!(
            read(&output)?.element(rows)?.to_int::<u16>()?,
            258,
            "{enc:?}"
        );
    }
    Ok(())
}

#[test]
fn a_rule_that_does_not_fit_the_element_refuses_the_object() {
    let sequence = Tag(0x0008, 0x1140);
    let rows = Tag(0x0028, 0x0010);
    let e = Enc::Explicit;
    let item = e.text(Tag(0x0008, 0x1155), "UI", "1.2.9");
    let base = || {
        Object::new(e)
            .raw(
                sequence,
                e.sequence(sequence, std::slice::from_ref(&item), Lengths::Defined),
            )
            .element(rows, "US", [1, 0])
    };
    for (tag, action) in [
        (sequence, Action::Uid),
        (sequence, Action::ShiftDate),
        (sequence, Action::Replace("text".into())),
        (rows, Action::Replace("many".into())),
        (
            Tag(0x0008, 0x0060),
            Action::Replace("longer than 16 characters".into()),
        ),
    ] {
        let policy = Table::new().with(tag, action.clone()).policy();
        let refusal = run(&policy, &base().part10(EXPLICIT)).expect_err("does not fit");
        assert_eq!(
            refusal.category,
            anon_engine::Category::StorageError,
            "{action:?}"
        );
        assert_eq!(refusal.tag, Some(tag));
    }
}

#[test]
fn emptied_and_removed_sequences_leave_nothing() -> Outcome {
    let sequence = Tag(0x0008, 0x1140);
    for (enc, syntax) in Enc::ALL {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let inner = enc.sequence(
                sequence,
                &[enc.text(Tag(0x0020, 0x4000), "LT", "CANARY")],
                lengths,
            );
            let input = Object::new(enc)
                .raw(sequence, enc.sequence(sequence, &[inner], lengths))
                .part10(syntax);
            for (action, items) in [(Action::Empty, Some(0)), (Action::Remove, None)] {
                let output = run(&Table::new().with(sequence, action).policy(), &input)?;
                assert!(!holds(&output, b"CANARY"));
                let object = read(&output)?;
                let found = object
                    .element(sequence)
                    .ok()
                    .map(|s| s.items().map_or(0, <[_]>::len));
                assert_eq!(found, items, "{enc:?} {lengths:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn group_lengths_and_padding_are_removed_at_every_level() -> Outcome {
    let sequence = Tag(0x0008, 0x1140);
    let e = Enc::Explicit;
    let mut item = e.element(Tag(0x0008, 0x0000), "UL", [9, 9, 9, 9]);
    item.extend(e.text(Tag(0x0008, 0x1155), "UI", "1.2.9"));
    let mut data_set = Object::new(e)
        .element(Tag(0x0008, 0x0000), "UL", [9, 9, 9, 9])
        .raw(sequence, e.sequence(sequence, &[item], Lengths::Defined))
        .element(Tag(0x0010, 0x0000), "UL", [9, 9, 9, 9])
        .data_set();
    data_set.extend(e.element(Tag(0xFFFC, 0xFFFC), "OB", [9, 9, 9, 9]));
    data_set.extend([0; 777]);
    let policy = Table::new().otherwise(Action::Keep).policy();
    let output = run(&policy, &part10(EXPLICIT, &data_set))?;
    assert!(!holds(&output, &[9, 9, 9, 9]));
    let object = read(&output)?;
    assert_eq!(object.element(sequence)?.items().map(<[_]>::len), Some(1));
    Ok(())
}

#[test]
fn stray_delimiters_are_dropped() -> Outcome {
    let sequence = Tag(0x0008, 0x1140);
    let e = Enc::Explicit;
    let stray = e.header(Tag(0xFFFE, 0xE0DD), "", 0);
    let mut bytes = e.sequence(
        sequence,
        &[e.text(Tag(0x0008, 0x1155), "UI", "1.2.9")],
        Lengths::Defined,
    );
    let plain = Object::new(e).raw(sequence, bytes.clone());
    bytes.extend(&stray);
    let policy = Table::new()
        .keeping(&[sequence, Tag(0x0008, 0x1155)])
        .policy();
    let with_stray = Object::new(e).raw(sequence, bytes);
    assert_eq!(
        run(&policy, &with_stray.part10(EXPLICIT))?,
        run(&policy, &plain.part10(EXPLICIT))?
    );
    Ok(())
}

#[test]
fn long_kept_values_are_not_copied() -> Outcome {
    use std::io::Write;
    let pixels = vec![0x5A; 200_000];
    let bytes = Object::new(Enc::Explicit)
        .element(Tag(0x7FE0, 0x0010), "OW", &pixels)
        .part10(EXPLICIT);
    let policy = Table::new().policy();
    let plan = anon_engine::plan(&policy, anon_engine::Source::part10(&bytes))?;
    let names = super::build::names(plan.wanted());
    let clean = plan.apply(&names)?;
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    let referred = clean.segments().any(|segment| match segment {
        anon_engine::Segment::Bytes(part) => part.len() >= 200_000 && within(part),
        anon_engine::Segment::File { .. } => false,
    });
    assert!(referred);
    let mut file = tempfile::tempfile()?;
    file.write_all(&bytes)?;
    let source = anon_engine::Source::file(&file, bytes.len() as u64);
    let plan = anon_engine::plan(&policy, source)?;
    let clean = plan.apply(&names)?;
    let in_file = clean.segments().any(|segment| match segment {
        anon_engine::Segment::File { len, .. } => len >= 200_000,
        anon_engine::Segment::Bytes(_) => false,
    });
    assert!(in_file);
    Ok(())
}
