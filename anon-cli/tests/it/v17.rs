//! What the tests of V17 ask of its network (spec of V17, sections 9.2 to 9.5), asked of ours.
//! What they ask of queries and moves is in `query.rs` and `servers.rs`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use anon_model::{DiskOptions, DiskStore, Identity, LookupStore, Phi};
use dicom_core::{Tag, VR};
use dicom_object::OpenFileOptions;
use serde_json::{Value, json};

use crate::archive::{Archive, Manners};
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
        let offset = is_captured(&scene, &object)?;
        assert_eq!(row["date_offset"], offset, "{modality}");
        let [before, after] = [text(&object, DATE), value(DATE)?].map(|date| day(&date));
        assert_eq!(after - before, i64::from(offset), "{modality}");
        assert_ne!(offset, 0, "{modality}");
    }
    Ok(())
}

const DATE: Tag = Tag(0x0008, 0x0020);

/// The number of a day, by the Gregorian calendar; its date has eight digits.
fn day(date: &str) -> i64 {
    let number: i64 = date.trim().parse().unwrap_or_default();
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    // Years begin in March: a day is added at the end of them.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

/// What the lookup store has of the first study is what came, also what no command shows. Gives the
/// days by which its dates were moved.
fn is_captured(scene: &Scene, object: &DataSet) -> Test<i32> {
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

/// The numbers of the UIDs of outputs, in the order of their numbers: study, series, instance.
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

/// 9.2, 4 and 5: the second patient, and more of one series, have the numbers that come next. V17's
/// images have a frame of reference, which takes one, too.
#[test]
fn the_next_names_follow_the_first() -> Test {
    let scene = made("CR,CT,MR")?;
    let serving = Serving::start(&scene, &[])?;
    // V17's CR images have none.
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

/// 9.4, 11: all studies are asked for; each comes once, as its images have it.
#[test]
fn a_query_for_all_gives_each_study_as_it_is() -> Test {
    let scene = made("CR,CT,MR")?;
    let described = |object: DataSet, words: &str| object.put(Tag(0x0008, 0x1030), VR::LO, words);
    let (ct, mr) = (Place::new(3), Place::new(3).patient(2));
    let mut objects = vec![described(ct_small(&ct), "Thorax")];
    for n in 1..=3 {
        objects.push(described(image(&mr.series(n), MR, "MR"), "Head"));
    }
    let archive = Archive::start(Manners::default(), objects.clone())?;
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

/// Who is exported, and what is there of each: studies, series, images.
type Going<'g> = (&'g str, [u64; 3]);

/// 9.4, 15 to 19: patients are exported, one, two and four at a time; all of them is there, and nothing
/// else. Another project stands for the PACS.
#[test]
fn patients_are_exported_whole() -> Test {
    let scene = made("CR,CT,MR")?;
    let series = |patient: u32, study: u32, count: u32, class: &str, modality: &str| -> Vec<_> {
        let place = Place::new(3).patient(patient).study(study);
        (1..=count)
            .map(|n| image(&place.series(n), class, modality))
            .collect()
    };
    let ct = |patient: u32| {
        let place = Place::new(3).patient(patient);
        (1..=4).map(|n| ct_small(&place.instance(n))).collect()
    };
    let mr = Place::new(3).patient(4);
    let mrs = (0..11).map(|n| image(&mr.series(n % 3 + 1).instance(n + 1), MR, "MR"));
    // In this order they get their numbers, 7-000001 the first.
    let patients: [Vec<DataSet>; 6] = [
        series(1, 1, 3, CR, "CR"),
        ct(2),
        [ct(3), series(3, 2, 3, CR, "CR")].concat(),
        mrs.collect(),
        series(5, 1, 1, CR, "CR"),
        series(6, 1, 1, MR, "MR"),
    ];
    for (n, object) in patients.concat().iter().enumerate() {
        scene.put(&format!("in/{n:02}.dcm"), object)?;
    }
    scene.json(&["import", "in"])?.exits(0);

    let table: [&[Going<'_>]; 5] = [
        &[("7-000001", [1, 3, 3])],
        &[("7-000002", [1, 1, 4])],
        &[("7-000003", [2, 4, 7])],
        &[("7-000001", [1, 3, 3]), ("7-000004", [1, 3, 11])],
        &[
            ("7-000001", [1, 3, 3]),
            ("7-000004", [1, 3, 11]),
            ("7-000005", [1, 1, 1]),
            ("7-000006", [1, 1, 1]),
        ],
    ];
    for going in table {
        let pacs = made("CR,CT,MR")?;
        let serving = Serving::start(&pacs, &[])?;
        let node = serving.node().to_string();
        let mut args = vec!["export", &node];
        for (patient, _) in going {
            args.extend(["--patient", patient]);
        }
        let ran = scene.json(&args)?.exits(0);
        let files: u64 = going.iter().map(|(_, [.., images])| images).sum();
        let summary = ran.summary()?;
        for (field, count) in [
            ("patients", going.len() as u64),
            ("found", files),
            ("sent", files),
            ("failed", 0),
            ("left", 0),
        ] {
            assert_eq!(summary[field], count, "{field}: {summary}");
        }
        let told = ran.events()?;
        let told: Vec<_> = told.iter().filter(|e| e["event"] == "patient").collect();
        assert_eq!(told.len(), going.len(), "each is told of once");
        assert_eq!(pacs.public()?.len() as u64, files, "files at the PACS");
        let rows = index(&pacs)?;
        for (patient, counts) in going {
            let of_patient = rows.iter().filter(|row| row["patient_id"] == *patient);
            let sum = of_patient.fold([0; 3], |[studies, series, images], row| {
                let number = |field: &str| row[field].as_u64().unwrap_or_default();
                [
                    studies + 1,
                    series + number("series"),
                    images + number("instances"),
                ]
            });
            assert_eq!(sum, *counts, "{patient}");
            let event = told
                .iter()
                .find(|e| e["patient"] == *patient)
                .ok_or("told")?;
            assert_eq!(
                (&event["sent"], &event["error"]),
                (&json!(counts[2]), &json!(null))
            );
        }
        serving.stop()?.exits(143);
    }
    Ok(())
}

/// 9.5, 4: a study that is not there has no series, and nothing of it comes, at whatever level.
#[test]
fn a_study_that_is_not_there_is_told_as_such() -> Test {
    let scene = made("CT")?;
    let serving = Serving::start(&scene, &[])?;
    let archive = Archive::start(Manners::default(), vec![ct_small(&Place::new(3))])?;
    archive.knows("ANONYMIZER", serving.port);
    let node = archive.node();
    for level in ["study", "series", "instance"] {
        let args = [
            "retrieve",
            &node,
            "--study-uid",
            "1.2.3.4",
            "--level",
            level,
        ];
        let ran = scene.json(&args)?.exits(5);
        let events = ran.events()?;
        let study = events.first().ok_or("a study")?;
        let error = study["error"].as_str().unwrap_or_default();
        assert!(error.contains("has nothing of it"), "{level}: {study}");
        for field in ["expected", "stored", "failed"] {
            assert_eq!(study[field], 0, "{level} {field}: {study}");
        }
    }
    let asked = archive.asked();
    assert!(
        !asked.iter().any(|line| line.starts_with("C-MOVE")),
        "{asked:?}"
    );
    assert!(scene.public()?.is_empty());
    serving.stop()?.exits(143);
    Ok(())
}

/// 9.5, 20: three studies of which nothing comes, with a network timeout of a second: it ends, and each
/// is told of.
#[test]
fn a_retrieve_of_many_that_do_not_come_ends() -> Test {
    let scene = made("CT")?;
    scene
        .json(&["config", "set", "timeouts.network", "1"])?
        .exits(0);
    let serving = Serving::start(&scene, &[])?;
    let manners = Manners {
        withholds: usize::MAX,
        ..Manners::default()
    };
    let objects = (1..=3).map(|n| ct_small(&Place::new(3).patient(n)));
    let archive = Archive::start(manners, objects.collect())?;
    archive.knows("ANONYMIZER", serving.port);
    let args = [
        "retrieve",
        &archive.node(),
        "--study-date",
        "19000101-",
        "--level",
        "study",
    ];
    let ran = scene.json(&args)?.exits(5);
    let summary = ran.summary()?;
    assert_eq!(
        (&summary["studies"], &summary["complete"]),
        (&json!(3), &json!(0))
    );
    for event in ran.events()?.iter().take(3) {
        assert_eq!(
            (&event["expected"], &event["failed"]),
            (&json!(1), &json!(1)),
            "{event}"
        );
        assert!(event["error"].is_string(), "{event}");
        assert_eq!(
            event["missing"].as_array().map(Vec::len),
            Some(1),
            "{event}"
        );
    }
    serving.stop()?.exits(143);
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
