//! What the tests of V17 demand of receiving and queries (spec of V17, sections 9.2 to 9.4).
//! Export and retrieve are in `v17_peers.rs`, other queries in `query.rs` and `servers.rs`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use anon_model::{DiskOptions, DiskStore, Identity, Phi, PhiIndex};
use dicom_core::{Tag, VR};
use dicom_object::OpenFileOptions;
use serde_json::{Value, json};

use crate::archive::{Archive, Behaviour};
use crate::serving::{CT, STORED, Serving, item, scu, statuses, text};
use crate::support::{Scene, Test};

pub(crate) const CR: &str = "1.2.840.10008.5.1.4.1.1.1";
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const SC: &str = "1.2.840.10008.5.1.4.1.1.7";
/// The prefix of every new UID of the project.
const ROOT: &str = "1.2.3.7";

pub(crate) fn made(modalities: &str) -> Test<Scene> {
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
pub(crate) fn image(place: &Place, class: &str, modality: &str) -> DataSet {
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

pub(crate) fn index(scene: &Scene) -> Test<Vec<Value>> {
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

/// 9.2, 1 to 3: one image in a new project gets the first pseudonyms; the index holds its values.
#[test]
fn one_image_gets_the_first_pseudonyms_and_an_index_row() -> Test {
    for (class, modality) in [(CR, "CR"), (CT, "CT"), (MR, "MR")] {
        let scene = made("CR,CT,MR")?;
        let serving = Serving::start(&scene, &[])?;
        let place = Place::new(3);
        let object = image(&place, class, modality)
            .put(Tag(0x0008, 0x1030), VR::LO, "Study description")
            .put(Tag(0x0008, 0x103E), VR::LO, "Series description")
            .put(Tag(0x0010, 0x2160), VR::SH, "Ethnic group");
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
        assert_eq!(
            value(Tag(0x0008, 0x103E))?.trim_end(),
            "Series description",
            "{modality}: it is kept"
        );
        let offset = assert_captured(&scene, &object)?;
        assert_eq!(row["date_offset"], offset, "{modality}");
        let [before, after] = [text(&object, DATE), value(DATE)?].map(|date| day(&date));
        assert_eq!(after - before, i64::from(offset), "{modality}");
        assert_ne!(offset, 0, "{modality}");
    }
    Ok(())
}

const DATE: Tag = Tag(0x0008, 0x0020);

/// Returns the day number of a date of eight digits in the Gregorian calendar.
fn day(date: &str) -> i64 {
    let number: i64 = date.trim().parse().unwrap_or_default();
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    // Counts years from March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

/// Asserts that the lookup store holds the values of the first study, also those that no command shows.
/// Returns the days by which its dates were shifted.
fn assert_captured(scene: &Scene, object: &DataSet) -> Test<i32> {
    let identity = Identity::new("7".parse()?, "1.2.3".parse()?)?;
    let file = scene.project().join("private/lookup.redb");
    let store = DiskStore::open_read_only(&file, identity, &DiskOptions::default())?;
    let row = store.study(&format!("{ROOT}.1"))?.ok_or("no study")?;
    let mut series = Vec::new();
    store.series(&row.study, &mut |row| {
        series.push(row);
        ControlFlow::Continue(())
    })?;
    let [only] = series.as_slice() else {
        return Err(format!("{} series", series.len()).into());
    };
    assert_eq!((&*only.series, only.instances), (&*format!("{ROOT}.2"), 1));
    let (patient, study) = (&row.patient_phi, &row.phi);
    let shown = |value: &Option<Phi<String>>| value.as_ref().map(|value| value.expose().clone());
    for (what, tag, found) in [
        (
            "name",
            Tag(0x0010, 0x0010),
            Some(patient.name.expose().clone()),
        ),
        ("id", Tag(0x0010, 0x0020), Some(patient.id.expose().clone())),
        (
            "birth date",
            Tag(0x0010, 0x0030),
            shown(&patient.birth_date),
        ),
        ("sex", Tag(0x0010, 0x0040), shown(&patient.sex)),
        (
            "ethnic group",
            Tag(0x0010, 0x2160),
            shown(&patient.ethnic_group),
        ),
        ("study date", DATE, shown(&study.date)),
        ("accession", Tag(0x0008, 0x0050), shown(&study.accession)),
        (
            "description",
            Tag(0x0008, 0x1030),
            shown(&study.description),
        ),
        (
            "study UID",
            Tag(0x0020, 0x000D),
            Some(row.study_uid.expose().clone()),
        ),
        (
            "series UID",
            Tag(0x0020, 0x000E),
            Some(only.series_uid.expose().clone()),
        ),
        (
            "series description",
            Tag(0x0008, 0x103E),
            shown(&only.phi.description),
        ),
        ("modality", Tag(0x0008, 0x0060), shown(&only.phi.modality)),
    ] {
        assert_eq!(found, Some(text(object, tag)), "{what}");
    }
    assert!(!text(object, Tag(0x0010, 0x0030)).is_empty());
    assert_eq!((row.series, row.instances, row.target), (1, 1, 0));
    Ok(study.date_offset)
}

/// Returns the last UID components of study, series and instance of each output, by instance.
fn numbers(scene: &Scene, patient: &str) -> Test<Vec<[u32; 3]>> {
    let prefix = format!("{ROOT}.");
    let number =
        |uid: &str| -> Test<u32> { Ok(uid.strip_prefix(&prefix).ok_or("a UID of ours")?.parse()?) };
    let mut all = Vec::new();
    for name in scene.public()?.keys() {
        let name = name.trim_end_matches(".dcm");
        if let [whose, study, series, instance] = name.split('/').collect::<Vec<_>>()[..]
            && whose == patient
        {
            all.push([number(study)?, number(series)?, number(instance)?]);
        }
    }
    all.sort_unstable_by_key(|[.., instance]| *instance);
    Ok(all)
}

/// 9.2, 4 and 5: the second patient, and more instances of a series, get the next numbers. The Frame
/// of Reference UID of V17's images takes a number, too.
#[test]
fn pseudonyms_are_numbered_in_order_of_arrival() -> Test {
    let scene = made("CR,CT,MR")?;
    let serving = Serving::start(&scene, &[])?;
    // V17's CR images have no Frame of Reference UID.
    let cr = |place: &Place| image(place, CR, "CR").without(Tag(0x0020, 0x0052));
    let (ct, mr) = (Place::new(3), Place::new(3).patient(2));
    let objects = [ct_small(&ct), image(&mr, MR, "MR")];
    send(&serving, &objects, Syntax::ExplicitLittle)?;
    assert_eq!(numbers(&scene, "7-000001")?, [[1, 2, 3]]);
    assert_eq!(numbers(&scene, "7-000002")?, [[5, 6, 7]]);
    serving.stop()?.exits(143);

    let scene = made("CR,CT,MR")?;
    let serving = Serving::start(&scene, &[])?;
    let four: Vec<_> = (1..=4).map(|n| ct_small(&ct.instance(n))).collect();
    send(&serving, &four, Syntax::ExplicitLittle)?;
    assert_eq!(
        numbers(&scene, "7-000001")?,
        [[1, 2, 3], [1, 2, 5], [1, 2, 6], [1, 2, 7]]
    );
    let row = index(&scene)?.into_iter().next().ok_or("no study")?;
    assert_eq!((&row["series"], &row["instances"]), (&json!(1), &json!(4)));
    serving.stop()?.exits(143);

    // 6: a study of three series, and another of the same patient.
    let scene = made("CR,CT,MR")?;
    let serving = Serving::start(&scene, &[])?;
    let mut objects: Vec<_> = (1..=3).map(|n| cr(&ct.series(n))).collect();
    objects.push(ct_small(&ct.study(2)));
    send(&serving, &objects, Syntax::ExplicitLittle)?;
    assert_eq!(
        numbers(&scene, "7-000001")?,
        [[1, 2, 3], [1, 4, 5], [1, 6, 7], [8, 9, 10]]
    );
    let counts: Vec<_> = index(&scene)?
        .iter()
        .map(|row| (row["series"].clone(), row["instances"].clone()))
        .collect();
    assert_eq!(counts, [(json!(3), json!(3)), (json!(1), json!(1))]);
    assert_eq!(
        std::fs::read_dir(scene.project().join("public"))?.count(),
        1
    );
    serving.stop()?.exits(143);
    Ok(())
}

/// 9.4, 11: a query for all studies returns each once, with the values of its images.
#[test]
fn find_all_lists_each_study_with_its_values() -> Test {
    let scene = made("CR,CT,MR")?;
    let described = |object: DataSet, words: &str| object.put(Tag(0x0008, 0x1030), VR::LO, words);
    let (ct, mr) = (Place::new(3), Place::new(3).patient(2));
    let mut objects = vec![described(ct_small(&ct), "Thorax")];
    for n in 1..=3 {
        objects.push(described(image(&mr.series(n), MR, "MR"), "Head"));
    }
    let archive = Archive::start(Behaviour::default(), objects.clone())?;
    let args = ["find", &archive.node(), "--study-date", "19000101-"];
    let events = scene.json(&args)?.exits(0).events()?;
    let found: Vec<_> = events.iter().filter(|e| e["event"] == "study").collect();
    let wanted = [(objects.first(), "CT", 1), (objects.last(), "MR", 3)];
    assert_eq!(found.len(), wanted.len(), "{events:?}");
    for (event, (object, modality, series)) in found.iter().zip(wanted) {
        let object = object.ok_or("an object")?;
        for (field, tag) in [
            ("patient_name", Tag(0x0010, 0x0010)),
            ("patient_id", Tag(0x0010, 0x0020)),
            ("study_uid", Tag(0x0020, 0x000D)),
            ("study_date", DATE),
            ("description", Tag(0x0008, 0x1030)),
            ("accession", Tag(0x0008, 0x0050)),
        ] {
            assert_eq!(event[field], text(object, tag), "{field}: {event}");
        }
        assert_eq!(event["modalities"], json!([modality]));
        assert_eq!(
            (&event["series"], &event["instances"]),
            (&json!(series), &json!(series))
        );
    }
    Ok(())
}

/// 9.2, 4 to 6, and 9.4, 12 to 14: patients, studies and series are counted as they arrive.
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
    // A patient that is sent again gets a new pseudonym.
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

/// 9.2, 7 to 13, and 9.4, 7 to 10: an object is stored in the transfer syntax it was sent in.
#[test]
fn objects_keep_their_transfer_syntax() -> Test {
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
fn an_object_without_patient_id_gets_the_shared_patient() -> Test {
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
