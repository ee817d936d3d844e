//! The patient of an object, the pseudonyms it requests, and the checks before an output is
//! written.

use anon_engine::policy::{BurnedIn, Dates, MissingPatientId, PatientKey, StorageClasses};
use anon_engine::{Category, Policy, Source, plan};
use anon_model::Phi;
use anon_script::rules::Action;
use dicom_core::Tag;

use super::build::{
    CT, EXPLICIT, Enc, IMPLICIT, Lengths, Object, Outcome, Table, holds, names, read, rsna_v17,
    run, value,
};

const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);

fn file(object: &Object) -> Vec<u8> {
    object.part10(EXPLICIT)
}

fn base() -> Object {
    Object::new(Enc::Explicit)
}

#[test]
fn a_missing_or_empty_required_attribute_is_named() {
    for (tag, name) in [
        (Tag(0x0008, 0x0016), "SOPClassUID"),
        (Tag(0x0008, 0x0018), "SOPInstanceUID"),
        (Tag(0x0020, 0x000D), "StudyInstanceUID"),
        (Tag(0x0020, 0x000E), "SeriesInstanceUID"),
    ] {
        for object in [base().without(tag), base().element(tag, "UI", b"\0\0")] {
            let refusal = run(&Table::new().policy(), &file(&object)).expect_err(name);
            assert_eq!(refusal.category, Category::MissingAttributes);
            assert_eq!(refusal.reason, format!("missing or empty: {name}"));
        }
    }
}

#[test]
fn sop_classes_outside_the_project_are_refused() {
    let mut policy = Table::new().policy();
    policy.storage_classes = StorageClasses::Only([CT.to_owned()].into());
    assert!(run(&policy, &file(&base())).is_ok());
    let mr = "1.2.840.10008.5.1.4.1.1.4";
    let object = base().text(Tag(0x0008, 0x0016), "UI", mr);
    let refusal = run(&policy, &file(&object)).expect_err("not in the project");
    assert_eq!(refusal.category, Category::InvalidStorageClass);
    assert_eq!(refusal.sop_class.as_deref(), Some(mr));
    let object = base().text(Tag(0x0008, 0x0016), "UI", "CANARY");
    let refusal = run(&Table::new().policy(), &file(&object)).expect_err("no UID");
    assert_eq!(
        (refusal.category, refusal.sop_class),
        (Category::InvalidStorageClass, None)
    );
    assert!(!refusal.reason.contains("CANARY"));
}

#[test]
fn burned_in_text_goes_to_quarantine_unless_accepted() -> Outcome {
    let says = base().text(Tag(0x0028, 0x0301), "CS", "YES");
    let saved = base().text(Tag(0x0008, 0x0008), "CS", "DERIVED\\SECONDARY\\SCREEN SAVE");
    for object in [says, saved] {
        let policy = Table::new().policy();
        let refusal = run(&policy, &file(&object)).expect_err("burned in");
        assert_eq!(refusal.category, Category::BurnedIn);
        run(&policy.with_burned_in(BurnedIn::Accept), &file(&object))?;
    }
    let sc = base().text(Tag(0x0008, 0x0016), "UI", "1.2.840.10008.5.1.4.1.1.7");
    for (object, unknown) in [
        (sc.clone(), true),
        (sc.text(Tag(0x0028, 0x0301), "CS", "NO"), false),
        (base(), false),
    ] {
        let policy = Table::new().policy();
        let bytes = file(&object);
        assert_eq!(
            plan(&policy, Source::part10(&bytes))?
                .warnings()
                .burned_in_unknown,
            unknown
        );
    }
    Ok(())
}

/// 10.2 #11: V17 treated a patient ID with a leading space as the ID without it.
#[test]
fn f11_patient_keys_are_decoded_and_trimmed() -> Outcome {
    for (charset, id, key) in [
        ("", &b" 12345 "[..], "12345"),
        ("", b"\0\0 12345\0", "12345"),
        ("ISO_IR 100", b"M\xFCller", "Müller"),
        ("ISO_IR 192", "Müller".as_bytes(), "Müller"),
        ("\\ISO 2022 IR 87", b"\x1B$B;3ED\x1B(B", "山田"),
        ("ISO_IR 192", b"\xFF\xFE", "\u{FFFD}\u{FF}\u{FE}"),
    ] {
        let object = base()
            .text(Tag(0x0008, 0x0005), "CS", charset)
            .element(PATIENT_ID, "LO", id);
        let bytes = file(&object);
        let policy = Table::new().policy();
        let plan = plan(&policy, Source::part10(&bytes))?;
        assert_eq!(plan.wanted().patient.expose(), key, "{charset}");
    }
    Ok(())
}

#[test]
fn the_issuer_distinguishes_patients_if_configured() -> Outcome {
    let policy = Table::new()
        .policy()
        .with_patient_key(PatientKey::IdAndIssuer);
    let key = |issuer: &str| -> Outcome<String> {
        let bytes = file(&base().text(Tag(0x0010, 0x0021), "LO", issuer));
        Ok(plan(&policy, Source::part10(&bytes))?
            .wanted()
            .patient
            .expose()
            .clone())
    };
    assert_eq!(key("")?, "12345");
    assert_ne!(key("A")?, key("B")?);
    let forged = base().element(PATIENT_ID, "LO", b"12345\x1FA ");
    let refusal = run(&policy, &file(&forged)).expect_err("a separator in the id");
    assert_eq!(refusal.category, Category::CapturePhiError);
    Ok(())
}

#[test]
fn objects_without_a_patient_share_a_pseudonym_or_are_refused() -> Outcome {
    for object in [
        base().without(PATIENT_ID),
        base().element(PATIENT_ID, "LO", b"  "),
    ] {
        let bytes = file(&object);
        let policy = Table::new().policy();
        let plan = plan(&policy, Source::part10(&bytes))?;
        assert!(plan.warnings().shared_patient);
        assert_eq!(plan.wanted().patient.expose(), "");
        let output = run(&policy, &bytes)?;
        assert_eq!(value(&output, Tag(0x0008, 0x0020))?, "20000101");
        let strict = policy
            .clone()
            .with_missing_patient_id(MissingPatientId::Quarantine);
        let refusal = run(&strict, &bytes).expect_err("no patient");
        assert_eq!(refusal.category, Category::MissingAttributes);
    }
    Ok(())
}

/// 10.1 #1: V17 left names in kept sequences.
#[test]
fn f01_nested_names_and_ids_become_the_patients_pseudonym() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let mut item = enc.text(Tag(0x0010, 0x0010), "PN", "CANARY^A");
        item.extend(enc.text(PATIENT_ID, "LO", "CANARY"));
        let input = Object::new(enc)
            .raw(SEQUENCE, enc.sequence(SEQUENCE, &[item], Lengths::Defined))
            .part10(syntax);
        for action in [Action::Keep, Action::Patient, Action::Replace("x".into())] {
            let policy = Table::new()
                .keeping(&[SEQUENCE])
                .with(PATIENT_ID, action.clone())
                .with(Tag(0x0010, 0x0010), action)
                .policy();
            let output = run(&policy, &input)?;
            assert!(!holds(&output, b"CANARY"));
            let object = read(&output)?;
            let item = &object.element(SEQUENCE)?.items().ok_or("no items")?[0];
            for tag in [Tag(0x0010, 0x0010), PATIENT_ID] {
                assert_eq!(item.element(tag)?.to_str()?.trim_end(), "123456789-000001");
                assert_eq!(value(&output, tag)?, "123456789-000001");
            }
        }
    }
    Ok(())
}

/// V17's step 6: name and ID are set in the root, whatever the rules say.
#[test]
fn missing_patient_name_and_id_are_inserted() -> Outcome {
    let object = base().without(PATIENT_ID).without(Tag(0x0010, 0x0010));
    let policy = Table::new()
        .with(PATIENT_ID, Action::Remove)
        .with(Tag(0x0010, 0x0010), Action::Empty)
        .policy();
    for input in [file(&object), file(&base())] {
        let output = run(&policy, &input)?;
        assert_eq!(value(&output, PATIENT_ID)?, "123456789-000001");
        assert_eq!(value(&output, Tag(0x0010, 0x0010))?, "123456789-000001");
    }
    Ok(())
}

#[test]
fn each_uid_is_requested_once_and_in_order() -> Outcome {
    let frame = Tag(0x0020, 0x0052);
    let list = Tag(0x0008, 0x1155);
    let object = base()
        .text(list, "UI", "1.2.3\\9.8.7\\\\1.2.840.10008.1.2\\9.8.7 ")
        .text(frame, "UI", "../../x")
        .text(Tag(0x0008, 0x0050), "SH", "A1\\\\A2\\A1");
    let policy = Table::new()
        .with(list, Action::Uid)
        .with(frame, Action::Uid)
        .policy();
    let bytes = file(&object);
    let plan = plan(&policy, Source::part10(&bytes))?;
    let wanted = plan.wanted();
    let texts = |list: &[Phi<String>]| list.iter().map(|t| t.expose().clone()).collect::<Vec<_>>();
    assert_eq!(texts(&wanted.uids), ["9.8.7", "../../x"]);
    assert_eq!(texts(&wanted.accessions), ["A1", "A2"]);
    assert_eq!(wanted.study.expose(), "1.2.3");
    let output = plan.apply(&names(wanted))?.to_vec()?;
    assert_eq!(
        value(&output, list)?,
        "9.1\\9.100\\\\1.2.840.10008.1.2\\9.100"
    );
    assert_eq!(value(&output, frame)?, "9.101");
    assert_eq!(value(&output, Tag(0x0008, 0x0050))?, "1\\\\2\\1");
    Ok(())
}

#[test]
fn hundreds_of_uids_get_their_own_pseudonyms() -> Outcome {
    let list = Tag(0x0008, 0x1155);
    let uids: Vec<String> = (0..400).map(|n| format!("1.9.{}", n % 150)).collect();
    let object = base().text(list, "UI", &uids.join("\\"));
    let policy = Table::new().with(list, Action::Uid).policy();
    let bytes = file(&object);
    let plan = plan(&policy, Source::part10(&bytes))?;
    assert_eq!(plan.wanted().uids.len(), 150);
    let output = plan.apply(&names(plan.wanted()))?.to_vec()?;
    let expect: Vec<String> = (0..400).map(|n| format!("9.{}", 100 + n % 150)).collect();
    assert_eq!(value(&output, list)?, expect.join("\\"));
    Ok(())
}

#[test]
fn dates_shift_by_the_offset_of_the_root_patient() -> Outcome {
    let date = Tag(0x0008, 0x0023);
    let date_time = Tag(0x0008, 0x002A);
    let mut item = Enc::Explicit.text(date, "DA", "20220101");
    item.extend(Enc::Explicit.text(PATIENT_ID, "LO", "67890"));
    let object = base()
        .text(date, "DA", "20220101\\\\2022\\99991231")
        .text(date_time, "DT", "20220101123059.5+0100")
        .raw(
            SEQUENCE,
            Enc::Explicit.sequence(SEQUENCE, &[item], Lengths::Defined),
        );
    let table = Table::new()
        .with(date, Action::ShiftDate)
        .with(date_time, Action::ShiftDate);
    let policy = table.keeping(&[SEQUENCE]).policy();
    let output = run(&policy, &file(&object))?;
    assert_eq!(value(&output, date)?, "20220921\\\\\\");
    assert_eq!(value(&output, date_time)?, "20220921123059.5+0100");
    let dates = read(&output)?;
    let nested = &dates.element(SEQUENCE)?.items().ok_or("no items")?[0];
    assert_eq!(nested.element(date)?.to_str()?, "20220921");

    let bytes = file(&object);
    let planned = plan(&policy, Source::part10(&bytes))?;
    let mut names = names(planned.wanted());
    assert_eq!(planned.apply(&names)?.date_offset(), 263);
    names.filed_under = Some(Phi::new("67890".to_owned()));
    let clean = planned.apply(&names)?;
    assert_eq!(clean.date_offset(), 1322);
    names.date_offset = Some(-77);
    assert_eq!(planned.apply(&names)?.date_offset(), -77, "given days win");
    names.date_offset = None;
    assert_eq!(value(&clean.to_vec()?, Tag(0x0008, 0x0020))?, "20250815");
    let keyed = policy.clone().with_dates(Dates::Keyed([3; 32]));
    let keyed = run(&keyed, &bytes)?;
    assert_ne!(value(&keyed, Tag(0x0008, 0x0020))?, "20220921");
    Ok(())
}

/// The form of ACR-NEMA (a note in PS3.5 section 6.2) is a date everywhere that a date is; it is
/// written as PS3.5 demands. V17 writes 20000101 for it.
#[test]
fn dates_with_dots_move_and_lose_their_dots() -> Outcome {
    let study_date = Tag(0x0008, 0x0020);
    let date = Tag(0x0008, 0x0023);
    let policy = Table::new()
        .with(date, Action::ShiftDate)
        .keeping(&[SEQUENCE])
        .policy();
    for (original, moved) in [
        ("2022.01.01", "20220921"),
        ("2022.01.01\\20220101", "20220921\\20220921"),
        ("2022.01.01\\no date\\2022.02.30", "20220921\\\\"),
        ("1899.12.31", "20000101"),
        ("2022-01-01", ""),
        ("01.01.2022", ""),
        ("2022.1.1", ""),
        ("yesterday.", ""),
    ] {
        for enc in [Enc::Explicit, Enc::Implicit] {
            let item = enc.text(date, "DA", original);
            let object = Object::new(enc)
                .text(study_date, "DA", original)
                .raw(SEQUENCE, enc.sequence(SEQUENCE, &[item], Lengths::Defined));
            let syntax = if enc == Enc::Explicit {
                EXPLICIT
            } else {
                IMPLICIT
            };
            let output = run(&policy, &object.part10(syntax))?;
            assert_eq!(value(&output, study_date)?, moved, "{original}");
            let nested = read(&output)?;
            let nested = &nested.element(SEQUENCE)?.items().ok_or("no items")?[0];
            assert_eq!(
                nested.element(date)?.to_str()?.trim_end(),
                moved,
                "{original}"
            );
        }
    }
    Ok(())
}

/// Damages pseudonyms in one way.
type Spoil = fn(&mut anon_model::Names);

#[test]
fn malformed_pseudonyms_from_a_callers_store_are_refused() -> Outcome {
    let bytes = file(&base());
    let policy = Table::new().policy();
    let plan = plan(&policy, Source::part10(&bytes))?;
    let good = names(plan.wanted());
    let cases: [(&str, Spoil); 8] = [
        ("patient leaves", |n| n.patient = "..".into()),
        ("patient is a path", |n| n.patient = "a/b".into()),
        ("patient has values", |n| n.patient = "a\\b".into()),
        ("patient is empty", |n| n.patient.clear()),
        ("study is no UID", |n| n.study = "x".into()),
        ("instance is too long", |n| n.instance = "1".repeat(65)),
        ("too many UIDs", |n| n.uids.push("1.2".into())),
        ("too few accessions", |n| n.accessions.clear()),
    ];
    for (case, spoil) in cases {
        let mut bad = good.clone();
        spoil(&mut bad);
        let refusal = plan.apply(&bad).expect_err(case);
        assert_eq!(refusal.category, Category::StorageError, "{case}");
        let mut out = vec![1];
        assert!(plan.apply_into(&bad, &mut out).is_err(), "{case}");
    }
    let path = plan.apply(&good)?.path().to_string();
    assert_eq!(path, "123456789-000001/9.1/9.2/9.3.dcm");
    Ok(())
}

#[test]
fn the_index_captures_the_same_values_as_v17() -> Outcome {
    let object = base()
        .text(Tag(0x0008, 0x0005), "CS", "ISO_IR 100")
        .element(Tag(0x0010, 0x0010), "PN", b"M\xFCller^Eva ")
        .text(Tag(0x0010, 0x0030), "DA", "19700101")
        .text(Tag(0x0010, 0x0040), "CS", "F")
        .text(Tag(0x0008, 0x1030), "LO", "HEAD")
        .text(Tag(0x0008, 0x103E), "LO", "AX ");
    let bytes = file(&object);
    let policy = Table::new().policy();
    let plan = plan(&policy, Source::part10(&bytes))?;
    let captured = plan.captured();
    let text = |phi: &Option<Phi<String>>| phi.as_ref().map(|phi| phi.expose().clone());
    assert_eq!(captured.patient.name.expose(), "Müller^Eva");
    assert_eq!(captured.patient.id.expose(), "12345");
    assert_eq!(text(&captured.patient.sex).as_deref(), Some("F"));
    assert_eq!(
        text(&captured.patient.birth_date).as_deref(),
        Some("19700101")
    );
    assert_eq!(captured.patient.ethnic_group, None);
    assert_eq!(text(&captured.study.date).as_deref(), Some("20220101"));
    assert_eq!(text(&captured.study.accession).as_deref(), Some("ACC7"));
    assert_eq!(text(&captured.study.description).as_deref(), Some("HEAD"));
    assert_eq!(text(&captured.series.description).as_deref(), Some("AX"));
    assert_eq!(text(&captured.series.modality).as_deref(), Some("CT"));
    let printed = format!("{plan:?} {captured:?} {:?}", plan.wanted());
    for original in ["Eva", "12345", "1.2.3", "ACC7"] {
        assert!(!printed.contains(original), "{printed}");
    }
    Ok(())
}

#[test]
fn fingerprints_leave_out_large_kept_values_and_file_meta() -> Outcome {
    let pixels = Tag(0x7FE0, 0x0010);
    let of = |policy: &Policy, bytes: &[u8]| -> Outcome<_> {
        Ok(plan(policy, Source::part10(bytes))?.fingerprint())
    };
    let policy = Table::new().policy();
    let policy = policy.with_transfer_syntaxes(["1.2.3.4.5".to_owned()].into());
    let large = |byte| base().element(pixels, "OW", vec![byte; 70_000]);
    let one = of(&policy, &file(&large(1)))?;
    assert_eq!(one, of(&policy, &file(&large(2)))?);
    assert_eq!(one, of(&policy, &large(1).part10("1.2.3.4.5"))?);
    assert_ne!(
        one,
        of(
            &policy,
            &file(&large(1).text(Tag(0x0010, 0x0040), "CS", "F"))
        )?
    );
    let small = |byte| base().element(pixels, "OW", [byte; 700]);
    assert_ne!(
        of(&policy, &file(&small(1)))?,
        of(&policy, &file(&small(2)))?
    );
    Ok(())
}

#[test]
fn rsna_v17_applies_to_every_group() -> Outcome {
    let policy = rsna_v17()?;
    for (enc, syntax) in [(Enc::Explicit, EXPLICIT), (Enc::Implicit, IMPLICIT)] {
        let input = Object::new(enc)
            .text(Tag(0x0010, 0x1010), "AS", "043Y")
            .text(Tag(0x0012, 0x0010), "LO", "CANARY")
            .text(Tag(0x0010, 0x1000), "LO", "CANARY")
            .text(Tag(0x0009, 0x0010), "LO", "CANARY")
            .text(Tag(0x0009, 0x1010), "LO", "CANARY")
            .text(Tag(0x0020, 0x0010), "SH", "CANARY")
            .text(Tag(0x0010, 0x0030), "DA", "19700101")
            .part10(syntax);
        let output = run(&policy, &input)?;
        assert!(!holds(&output, b"CANARY") && !holds(&output, b"19700101"));
        for (tag, expect) in [
            (Tag(0x0010, 0x1010), "045Y"),
            (Tag(0x0012, 0x0010), ""),
            (Tag(0x0020, 0x0010), ""),
            (Tag(0x0008, 0x0020), "20220921"),
            (Tag(0x0008, 0x0050), "1"),
        ] {
            assert_eq!(value(&output, tag)?, expect, "{tag}");
        }
    }
    Ok(())
}
