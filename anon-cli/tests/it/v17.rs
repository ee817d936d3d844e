//! What the tests of V17 ask of its network (spec of V17, sections 9.2 to 9.5), asked of ours.
//! What they ask of queries and moves is in `query.rs` and `servers.rs`.

use std::collections::BTreeSet;

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use dicom_core::{Tag, VR};
use dicom_object::OpenFileOptions;
use serde_json::{Value, json};

use crate::serving::{CT, STORED, Serving, item, scu, statuses, text};
use crate::support::{Scene, Test};

const CR: &str = "1.2.840.10008.5.1.4.1.1.1";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const SC: &str = "1.2.840.10008.5.1.4.1.1.7";
/// What every UID of the project begins with.
const ROOT: &str = "1.2.3.7";

fn made(modalities: &str) -> Test<Scene> {
    let scene = Scene::new()?;
    scene
        .run(&[
            "init",
            "project",
            "--site-id",
            "7",
            "--uid-root",
            "1.2.3",
            "--modalities",
            modalities,
        ])?
        .exits(0);
    Ok(scene)
}

/// A small image of another class.
fn image(place: &Place, class: &str, modality: &str) -> DataSet {
    ct_small(place).put(Tag(0x0008, 0x0016), VR::UI, class).put(
        Tag(0x0008, 0x0060),
        VR::CS,
        modality,
    )
}

fn send(serving: &Serving, objects: &[DataSet], syntax: Syntax) -> Test {
    let items = objects.iter().map(|object| item(object, syntax));
    let answers = statuses(
        &scu("SENDER")?,
        &serving.node(),
        items.collect::<Test<Vec<_>>>()?,
    )?;
    assert_eq!(answers, vec![STORED; objects.len()]);
    Ok(())
}

fn index(scene: &Scene) -> Test<Vec<Value>> {
    let events = scene.json(&["index"])?.exits(0).events()?;
    Ok(events
        .into_iter()
        .filter(|event| event["event"] == "study")
        .collect())
}

fn totals(scene: &Scene) -> Test<[u64; 4]> {
    let summary = scene.json(&["status"])?.exits(0).summary()?;
    let total = |name: &str| summary[name].as_u64().unwrap_or(u64::MAX);
    Ok([
        total("patients"),
        total("studies"),
        total("series"),
        total("instances"),
    ])
}

/// 9.2, 1 to 3: each alone in a project of its own, under the first names; the index has what came.
#[test]
fn one_image_has_the_first_names_and_is_in_the_index() -> Test {
    for (class, modality) in [(CR, "CR"), (CT, "CT"), (MR, "MR")] {
        let scene = made("CR,CT,MR")?;
        let serving = Serving::start(&scene, &[])?;
        let place = Place::new(3);
        let object = image(&place, class, modality);
        send(
            &serving,
            std::slice::from_ref(&object),
            Syntax::ExplicitLittle,
        )?;
        serving.stop()?.exits(143);
        let public = scene.public()?;
        let (name, bytes) = public.first_key_value().ok_or("nothing is stored")?;
        assert_eq!(public.len(), 1);
        assert_eq!(
            *name,
            format!("7-000001/{ROOT}.1/{ROOT}.2/{ROOT}.3.dcm"),
            "{modality}"
        );
        let clean = OpenFileOptions::new().from_reader(&**bytes)?;
        let value = |tag: Tag| -> Test<String> { Ok(clean.element(tag)?.to_str()?.into_owned()) };
        for (tag, expected) in [
            (Tag(0x0008, 0x0016), class),
            (Tag(0x0008, 0x0060), modality),
            (Tag(0x0010, 0x0020), "7-000001"),
            (Tag(0x0020, 0x0052), "1.2.3.7.4"),
        ] {
            assert_eq!(
                value(tag)?.trim_end_matches('\0'),
                expected,
                "{modality}: {tag}"
            );
        }
        let row = index(&scene)?.into_iter().next().ok_or("no study")?;
        for (field, expected) in [
            ("anon_patient_id", "7-000001".to_owned()),
            ("patient_name", place.patient_name()),
            ("patient_id", place.patient_id()),
            ("study_date", text(&object, Tag(0x0008, 0x0020))),
            ("accession", place.accession()),
            ("anon_accession", "1".to_owned()),
            ("study_uid", place.study_uid()),
            ("anon_study_uid", format!("{ROOT}.1")),
        ] {
            assert_eq!(row[field], expected, "{modality} {field}: {row}");
        }
        assert_eq!((&row["series"], &row["instances"]), (&json!(1), &json!(1)));
    }
    Ok(())
}

/// 9.2, 4 to 6, and 9.4, 12 to 14: patients, studies and series as they come, counted.
#[test]
fn studies_and_series_are_counted() -> Test {
    let scene = made("CR,CT,MR")?;
    let serving = Serving::start(&scene, &[])?;
    let ct = Place::new(3);
    let cts: Vec<_> = (1..=4).map(|n| ct_small(&ct.instance(n))).collect();
    send(&serving, &cts, Syntax::ExplicitLittle)?;
    assert_eq!(totals(&scene)?, [1, 1, 1, 4]);
    // Another study of the same patient, of three series.
    let crs: Vec<_> = (1..=3)
        .map(|n| image(&ct.study(2).series(n), CR, "CR"))
        .collect();
    send(&serving, &crs, Syntax::ExplicitLittle)?;
    assert_eq!(totals(&scene)?, [1, 2, 4, 7]);
    // And another patient: three series, eleven images.
    let mr = Place::new(3).patient(2);
    let mrs: Vec<_> = (0..11)
        .map(|n| image(&mr.series(n % 3 + 1).instance(n + 1), MR, "MR"))
        .collect();
    send(&serving, &mrs, Syntax::ExplicitLittle)?;
    assert_eq!(totals(&scene)?, [2, 3, 7, 18]);
    let patients: BTreeSet<_> = scene
        .public()?
        .keys()
        .filter_map(|name| name.split('/').next().map(str::to_owned))
        .collect();
    assert_eq!(
        patients.into_iter().collect::<Vec<_>>(),
        ["7-000001", "7-000002"]
    );
    let counts: Vec<_> = index(&scene)?
        .iter()
        .map(|row| (row["series"].clone(), row["instances"].clone()))
        .collect();
    assert_eq!(
        counts,
        [
            (json!(1), json!(4)),
            (json!(3), json!(3)),
            (json!(3), json!(11))
        ]
    );

    // 14 to 16: deleted beside the receiver, study by study, then a patient.
    let studies: Vec<_> = index(&scene)?
        .iter()
        .filter_map(|row| row["anon_study_uid"].as_str().map(str::to_owned))
        .collect();
    for (study, left) in studies.iter().zip([[2, 2, 6, 14], [1, 1, 3, 11]]) {
        scene.json(&["delete", "--study", study])?.exits(0);
        assert_eq!(totals(&scene)?, left);
        assert_eq!(scene.public()?.len() as u64, left[3]);
    }
    scene.json(&["delete", "--patient", "7-000002"])?.exits(0);
    assert_eq!(totals(&scene)?, [0; 4]);
    assert!(index(&scene)?.is_empty());
    assert_eq!(
        std::fs::read_dir(scene.project().join("public"))?.count(),
        0,
        "no directories"
    );
    // What comes again has new numbers.
    send(&serving, &cts, Syntax::ExplicitLittle)?;
    assert!(
        scene
            .public()?
            .keys()
            .all(|name| name.starts_with("7-000003/"))
    );
    serving.stop()?.exits(143);
    Ok(())
}

/// 9.2, 7 to 13, and 9.4, 7 to 10: whatever the transfer syntax, the object is stored in it.
#[test]
fn every_transfer_syntax_stays_what_it_is() -> Test {
    let encapsulated = |uid| Syntax::Encapsulated(uid);
    for (class, modality, syntax) in [
        (MR, "MR", Syntax::ImplicitLittle),
        (MR, "MR", Syntax::ExplicitLittle),
        (MR, "MR", Syntax::ExplicitBig),
        (SC, "OT", encapsulated("1.2.840.10008.1.2.4.50")),
        (SC, "OT", encapsulated("1.2.840.10008.1.2.4.51")),
        (SC, "OT", encapsulated("1.2.840.10008.1.2.4.70")),
        (MR, "MR", encapsulated("1.2.840.10008.1.2.4.80")),
        (SC, "OT", encapsulated("1.2.840.10008.1.2.4.81")),
        (MR, "MR", encapsulated("1.2.840.10008.1.2.4.90")),
        (SC, "OT", encapsulated("1.2.840.10008.1.2.4.91")),
    ] {
        let what = syntax.uid();
        let scene = made("SC,MR")?;
        let serving = Serving::start(&scene, &[])?;
        let mut object = image(&Place::new(3), class, modality);
        let fragment = vec![0xFF, 0xD8, 1, 2, 3, 4, 0xFF, 0xD9];
        if matches!(syntax, Syntax::Encapsulated(_)) {
            let pixels = anon_engine::testing::files::Value::Fragments(vec![fragment.clone()]);
            object = object.put(Tag(0x7FE0, 0x0010), VR::OB, pixels);
        }
        send(&serving, &[object], syntax)?;
        serving.stop()?.exits(143);
        let public = scene.public()?;
        let (name, bytes) = public.first_key_value().ok_or("nothing is stored")?;
        assert_eq!(
            *name,
            format!("7-000001/{ROOT}.1/{ROOT}.2/{ROOT}.3.dcm"),
            "{what}"
        );
        let clean = OpenFileOptions::new().from_reader(&**bytes)?;
        let meta = clean.meta();
        let trimmed = |uid: &str| uid.trim_end_matches('\0').to_owned();
        assert_eq!(trimmed(&meta.transfer_syntax), what);
        assert_eq!(trimmed(&meta.media_storage_sop_class_uid), class, "{what}");
        assert_eq!(
            trimmed(&meta.implementation_class_uid),
            anon_engine::file_meta::IMPLEMENTATION_CLASS_UID,
            "{what}"
        );
        let method = clean.element(Tag(0x0012, 0x0063))?.to_str()?.into_owned();
        assert_eq!(method.trim(), "RSNA DICOM ANONYMIZER", "{what}");
        if matches!(syntax, Syntax::Encapsulated(_)) {
            let is_kept = bytes
                .windows(fragment.len())
                .any(|window| window == fragment);
            assert!(is_kept, "{what}: pixels are untouched");
        }
    }
    Ok(())
}

/// 9.2, 7: an object without Patient ID is stored under the shared patient.
#[test]
fn without_a_patient_id_it_is_the_shared_patient() -> Test {
    let scene = made("CT")?;
    let serving = Serving::start(&scene, &[])?;
    let object = ct_small(&Place::new(3)).without(Tag(0x0010, 0x0020));
    send(&serving, &[object], Syntax::ExplicitLittle)?;
    serving.stop()?.exits(143);
    assert!(
        scene
            .public()?
            .keys()
            .all(|name| name.starts_with("7-000000/"))
    );
    Ok(())
}
