//! Values that became empty are counted in the summary of each command, and in `anon status`.

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use dicom_core::{Tag, VR};
use serde_json::{Value, json};

use crate::archive::{Archive, Behaviour};
use crate::query::made;
use crate::serving::{STORED, Serving, item, scu, statuses};
use crate::support::{Run, Scene, Test};

const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
const AGE: Tag = Tag(0x0010, 0x1010);

/// An image of one study, with a date and an age that cannot be read.
fn odd(n: u32) -> DataSet {
    ct_small(&Place::nth(7, n, 5))
        .put(STUDY_DATE, VR::DA, "2 MARCH")
        .put(AGE, VR::AS, "43 YEARS")
}

fn emptied(tag: &str, keyword: &str, reason: &str, count: u64) -> Value {
    json!({"kind": "emptied", "tag": tag, "keyword": keyword, "reason": reason, "count": count})
}

fn both(count: u64) -> Value {
    json!([
        emptied("00080020", "StudyDate", "not_a_date", count),
        emptied("00101010", "PatientAge", "not_an_age", count),
    ])
}

fn status(scene: &Scene) -> Test<Value> {
    let summary = scene.json(&["status"])?.exits(0).summary()?;
    Ok(summary["remarks"].clone())
}

#[track_caller]
fn says(ran: &Run, line: &str) {
    assert!(ran.out.lines().any(|it| it == line), "{line}: {}", ran.out);
}

#[test]
fn import_and_status_count_the_values_that_became_empty() -> Test {
    let scene = Scene::new()?;
    for n in 0..3 {
        scene.put(&format!("in/{n}"), &odd(n))?;
    }
    scene.put("in/4", &ct_small(&Place::nth(7, 9, 5)))?;
    let ran = scene.json(&["import", "in"])?.exits(0);
    assert_eq!(ran.summary()?["remarks"], both(3));
    let events = ran.events()?;
    let event = |name: &str| {
        let mut events = events.iter();
        events.find(|event| event["source"] == name).cloned()
    };
    assert_eq!(event("in/0").ok_or("no event")?["remarks"], both(1));
    assert!(event("in/4").ok_or("no event")?["remarks"].is_null());
    assert_eq!(status(&scene)?, both(3));
    // Nothing is stored, so nothing is counted again.
    let again = scene.json(&["import", "in"])?.exits(0).summary()?;
    assert_eq!(again["remarks"], json!([]));
    assert_eq!(status(&scene)?, both(3));
    Ok(())
}

#[test]
fn import_counts_what_it_mended_and_strictness_quarantines_it() -> Test {
    const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
    let scene = Scene::new()?;
    let image = |n| ct_small(&Place::nth(7, n, 5)).without(MANUFACTURER);
    for n in 0..2 {
        let late = image(n).push(MANUFACTURER, VR::LO, "ACME");
        scene.put(&format!("in/{n}"), &late)?;
    }
    let blank = image(3).with(DataSet::new().push_raw(MANUFACTURER, *b"  ", "ACME"));
    scene.put("in/3", &blank)?;
    let ran = scene.json(&["import", "in"])?.exits(0);
    let mended = |reason: &str, count: u64| {
        let (tag, keyword) = ("00080070", "Manufacturer");
        json!({"kind": "mended", "tag": tag, "keyword": keyword, "reason": reason, "count": count})
    };
    let expected = json!([mended("out_of_order", 2), mended("unknown_vr", 1)]);
    assert_eq!(ran.summary()?["remarks"], expected);
    assert_eq!(status(&scene)?, expected);
    let ran = scene.run(&["-p", "project", "status"])?.exits(0);
    let line = "Manufacturer: 2 elements were out of order and were moved to their places";
    says(&ran, line);

    let strict = Scene::new()?;
    strict.put("in/0", &image(0).push(MANUFACTURER, VR::LO, "ACME"))?;
    strict.put("in/1", &image(1))?;
    strict.run(&["init", "project"])?.exits(0);
    strict.set("strictness", "strict")?;
    let summary = strict.json(&["import", "in"])?.exits(1).summary()?;
    assert_eq!(summary["quarantined"], json!({"DICOM_Read_Error": 1}));
    assert_eq!(summary["stored"], 1);
    Ok(())
}

#[test]
fn people_read_which_values_became_empty() -> Test {
    let scene = Scene::new()?;
    scene.put("in/0", &odd(0))?;
    scene.put("in/1", &odd(1).put(STUDY_TIME, VR::LO, "Noon"))?;
    let ran = scene.run(&["-p", "project", "import", "in"])?.exits(0);
    for ran in [ran, scene.run(&["-p", "project", "status"])?.exits(0)] {
        says(&ran, "StudyDate: 2 values were no dates and are empty");
        says(&ran, "PatientAge: 2 values were no ages and are empty");
        says(
            &ran,
            "StudyTime: 1 value did not fit its element and is empty",
        );
    }
    Ok(())
}

#[test]
fn deleting_a_study_takes_its_remarks_from_the_status() -> Test {
    let scene = Scene::new()?;
    scene.put("in/0", &odd(0))?;
    scene.put("in/1", &odd(40))?;
    let ran = scene.json(&["import", "in"])?.exits(0);
    assert_eq!(status(&scene)?, both(2));
    let patient = ran.events()?[0]["patient"].clone();
    let patient = patient.as_str().ok_or("no patient")?;
    scene.json(&["delete", "--patient", patient])?.exits(0);
    assert_eq!(status(&scene)?, both(1));
    Ok(())
}

#[test]
fn serve_and_retrieve_count_the_values_that_became_empty() -> Test {
    let scene = made()?;
    let objects: Vec<_> = (0..3).map(odd).collect();
    let uid = Place::nth(7, 0, 5).study_uid();
    let archive = Archive::start(Behaviour::default(), objects)?;
    let mut serving = Serving::start(&scene, &[])?;
    archive.sends_to("ANONYMIZER", serving.port);
    // One instance arrives by C-STORE first. The retrieve does not count it.
    let first = item(&odd(0), Syntax::ExplicitLittle)?;
    assert_eq!(
        statuses(&scu("CT_1")?, &serving.node(), vec![first])?,
        [STORED]
    );
    serving.next()?;
    let node = archive.node();
    let args = ["retrieve", &node, "--study-uid", &uid];
    let ran = scene.json(&args)?.exits(0);
    assert_eq!(ran.summary()?["remarks"], both(2));
    let ran = serving.stop()?.exits(143);
    assert_eq!(ran.summary()?["remarks"], both(3));
    assert_eq!(status(&scene)?, both(3));
    Ok(())
}

#[test]
fn people_read_which_pixels_do_not_fit_their_image() -> Test {
    let scene = Scene::new()?;
    let image =
        |n, rows: u16| ct_small(&Place::nth(7, n, 5)).put(Tag(0x0028, 0x0010), VR::US, rows);
    scene.put("in/long", &image(0, 1))?;
    scene.put("in/short", &image(1, 9999))?;
    let mut behind = ct_small(&Place::nth(7, 2, 5)).write(Syntax::ExplicitLittle);
    behind.extend(b"\r\nconnection closed\r\n");
    scene.write("in/behind", &behind)?;
    let ran = scene.run(&["-p", "project", "import", "in"])?.exits(0);
    for line in [
        "PixelData: 1 image had more bytes of pixels than its rows, columns and frames need; the rest \
         is left out",
        "PixelData: 1 image has fewer bytes of pixels than its rows, columns and frames need; it is \
         kept as it is",
        "1 object ended with bytes that are not DICOM; they are left out",
    ] {
        says(&ran, line);
    }
    for (name, bytes) in scene.public()? {
        let whole = !bytes.ends_with(b"closed\r\n");
        assert!(whole, "{name}");
    }
    Ok(())
}
