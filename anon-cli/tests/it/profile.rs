//! Profiles of PS3.15 in projects, from `init --profile` to the outputs.

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::{Tag, VR};
use dicom_object::DefaultDicomObject;
use serde_json::Value;

use crate::support::{Scene, Test};

const USUAL: &str = "basic+clean-descriptors+modified-dates+patient-characteristics";

const DESCRIPTION: Tag = Tag(0x0008, 0x1030);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

/// A project with this profile, and one object with a name in its description.
fn imported(profile: &str) -> Test<Scene> {
    let scene = Scene::new()?;
    let object = ct_small(&Place::nth(7, 1, 5))
        .put(Tag(0x0010, 0x0010), VR::PN, "Zaphodius^Beeblebrox")
        .put(STUDY_DATE, VR::DA, "20240131")
        .put(Tag(0x0010, 0x1010), VR::AS, "093Y")
        .put(DESCRIPTION, VR::LO, "CT CHEST of Zaphodius with contrast");
    scene.put("in/one", &object)?;
    let args = [
        "init",
        "project",
        "--profile",
        profile,
        "--modalities",
        "all",
    ];
    scene.run(&args)?.exits(0);
    Ok(scene)
}

fn output(scene: &Scene) -> Test<DefaultDicomObject> {
    let public = scene.public()?;
    let bytes = public.values().next().ok_or("nothing is stored")?;
    assert!(
        !bytes
            .windows(9)
            .any(|part| part.eq_ignore_ascii_case(b"zaphodius")),
        "a name is in the output"
    );
    Ok(dicom_object::from_reader(bytes.as_slice())?)
}

fn text(object: &DefaultDicomObject, tag: Tag) -> Test<String> {
    Ok(object.element(tag)?.to_str()?.trim().to_owned())
}

fn codes(object: &DefaultDicomObject) -> Test<Vec<String>> {
    let items = object
        .element(Tag(0x0012, 0x0064))?
        .items()
        .ok_or("no items")?;
    let code = |item: &dicom_object::InMemDicomObject| -> Test<String> {
        Ok(item
            .element(Tag(0x0008, 0x0100))?
            .to_str()?
            .trim()
            .to_owned())
    };
    items.iter().map(code).collect()
}

#[test]
fn a_project_with_a_profile_keeps_descriptions_and_loses_names() -> Test {
    let scene = imported(USUAL)?;
    let ran = scene.json(&["import", "in"])?.exits(0);
    let remarks = ran.summary()?["remarks"].clone();
    let is_description = |remark: &Value| {
        remark["reason"] == "words_removed" && remark["keyword"] == "StudyDescription"
    };
    let remarks = remarks.as_array().ok_or("no remarks")?;
    assert!(remarks.iter().any(is_description), "{remarks:?}");
    let object = output(&scene)?;
    assert_eq!(text(&object, DESCRIPTION)?, "CT CHEST of with contrast");
    assert_eq!(text(&object, Tag(0x0010, 0x1010))?, "090Y");
    assert_ne!(text(&object, STUDY_DATE)?, "20240131");
    assert_eq!(text(&object, Tag(0x0028, 0x0303))?, "MODIFIED");
    assert_eq!(codes(&object)?, ["113100", "113105", "113107", "113108"]);
    assert!(
        object.element(Tag(0x0013, 0x0010)).is_err(),
        "no private block"
    );
    assert_eq!(
        text(&object, Tag(0x0010, 0x0010))?,
        text(&object, Tag(0x0010, 0x0020))?,
        "the pseudonym of the patient"
    );
    // The profile moves dates by a secret; V17's formula can be undone.
    let dates = scene
        .run(&["-p", "project", "config", "get", "dates"])?
        .exits(0);
    assert_eq!(dates.out.trim(), "keyed");
    Ok(())
}

#[test]
fn the_basic_profile_keeps_no_description_and_no_date() -> Test {
    let scene = imported("basic")?;
    scene.run(&["-p", "project", "import", "in"])?.exits(0);
    let object = output(&scene)?;
    assert!(object.element(DESCRIPTION).is_err());
    assert_eq!(text(&object, STUDY_DATE)?, "");
    assert_eq!(codes(&object)?, ["113100"]);
    Ok(())
}

#[test]
fn uids_that_are_kept_name_no_file() -> Test {
    let scene = imported("basic+uids")?;
    scene.run(&["-p", "project", "import", "in"])?.exits(0);
    let object = output(&scene)?;
    let instance = text(&object, Tag(0x0008, 0x0018))?
        .trim_end_matches('\0')
        .to_owned();
    assert_eq!(instance, Place::nth(7, 1, 5).instance_uid());
    let meta = object.meta().media_storage_sop_instance_uid();
    assert_eq!(meta.trim_end_matches('\0'), instance);
    let path = scene
        .public()?
        .into_keys()
        .next()
        .ok_or("nothing is stored")?;
    assert!(!path.contains(&instance), "{path}");
    // A repeat is found by its original.
    let again = scene.json(&["import", "in"])?.exits(0).summary()?;
    assert_eq!(again["duplicates"], 1);
    Ok(())
}

/// A project that moved dates by V17's formula cannot claim that they are modified.
#[test]
fn a_project_can_change_from_a_script_to_a_profile_and_back() -> Test {
    let scene = imported("basic")?;
    scene
        .run(&[
            "init",
            "other",
            "--script",
            "rsna-v17",
            "--modalities",
            "all",
        ])?
        .exits(0);
    scene
        .run(&[
            "-p",
            "other",
            "config",
            "set",
            "profile",
            "basic+modified-dates",
        ])?
        .exits(0);
    scene.run(&["-p", "other", "import", "in"])?.exits(0);
    let file = crate::support::tree(&scene.path().join("other/public"))?;
    let bytes = file.values().next().ok_or("nothing is stored")?;
    let object = dicom_object::from_reader(bytes.as_slice())?;
    assert_eq!(codes(&object)?, ["113100"]);
    let ran = scene.run(&[
        "-p",
        "other",
        "config",
        "set",
        "profile",
        "basic+modified-date",
    ])?;
    assert!(ran.exits(3).err.contains("did you mean modified-dates?"));
    scene
        .run(&["-p", "other", "config", "set", "profile", ""])?
        .exits(0);
    let profile = scene
        .run(&["-p", "other", "config", "get", "profile"])?
        .exits(0);
    assert_eq!(profile.out.trim(), "");
    Ok(())
}

#[test]
fn a_profile_and_a_script_exclude_each_other() -> Test {
    let scene = Scene::new()?;
    let args = [
        "init",
        "project",
        "--profile",
        "basic",
        "--script",
        "rsna-v17",
    ];
    scene.run(&args)?.exits(2);
    let ran = scene.run(&[
        "init",
        "project",
        "--profile",
        "basic+full-dates+modified-dates",
    ])?;
    assert!(ran.exits(3).err.contains("exclude each other"));
    assert!(!scene.project().exists());
    Ok(())
}

#[test]
fn profile_show_lists_what_becomes_of_each_attribute() -> Test {
    let scene = Scene::new()?;
    let ran = scene.json(&["profile", "show", USUAL])?.exits(0);
    let summary = ran.summary()?;
    assert_eq!(summary["profile"], USUAL);
    assert_eq!(summary["edition"], "2026d");
    assert_eq!(
        summary["codes"],
        serde_json::json!(["113100", "113105", "113107", "113108"])
    );
    let events = ran.events()?;
    let action = |tag: &str| {
        let mut events = events.iter();
        let row = events.find(|event| event["tag"] == tag)?;
        row["action"].as_str().map(str::to_owned)
    };
    for (tag, expect) in [
        ("00100010", "pseudonym"),
        ("00080020", "moved"),
        ("0020000D", "new UID"),
        ("00104000", "kept, words of the vocabulary"),
        ("00080080", "removed, or as its SOP class requires"),
    ] {
        assert_eq!(action(tag).as_deref(), Some(expect), "{tag}");
    }
    let people = scene.run(&["profile", "show", "basic+device"])?.exits(0);
    assert!(
        people
            .out
            .contains("device keeps names and serial numbers of devices")
    );
    Ok(())
}
