//! Every command that stores objects counts the clashes that they bring.

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use dicom_core::{Tag, VR};
use serde_json::json;

use crate::archive::{Archive, Behaviour};
use crate::serving::{STORED, Serving, item, scu, statuses};
use crate::support::{Run, Scene, Test};

const NAME: Tag = Tag(0x0010, 0x0010);
const BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const ACCESSION: Tag = Tag(0x0008, 0x0050);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

fn ct(place: &Place, [name, born, accession, date]: [&str; 4]) -> DataSet {
    ct_small(place)
        .put(NAME, VR::PN, name)
        .put(BIRTH_DATE, VR::DA, born)
        .put(ACCESSION, VR::SH, accession)
        .put(STUDY_DATE, VR::DA, date)
}

/// One image each of two patients.
fn agreeing() -> [DataSet; 2] {
    let other = Place::new(4).patient(2);
    [
        ct(&Place::new(3), ["ROE^JO", "19500101", "A1", "20190304"]),
        ct(&other, ["DOE^JANE", "19600101", "A2", "20190304"]),
    ]
}

/// An image of the first study with another name, birth date and study date, and with the accession
/// number of the other patient.
fn clashing(place: &Place) -> DataSet {
    ct(place, ["ROE^JOE", "19500102", "A2", "20190305"])
}

fn second_of_the_study() -> Place {
    Place::new(3).instance(2)
}

/// A project that holds the images that agree.
fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    for (name, object) in ["in/1", "in/2"].iter().zip(&agreeing()) {
        scene.put(name, object)?;
    }
    let made = scene.json(&["import", "in", "--site-id", "5"])?.exits(0);
    assert_eq!(made.summary()?["clashes"]["patient_names"], 0);
    Ok(scene)
}

/// Checks that a run counts one clash of each kind, and says so.
#[track_caller]
fn check(ran: &Run) -> Test {
    let expected = json!({
        "patient_names": 1, "birth_dates": 1, "accessions": 1, "study_dates": 1,
        "accession_patients": 1,
    });
    let summary = ran.summary()?;
    assert_eq!(summary["clashes"], expected, "{summary}");
    let warning = "1 patient with several names";
    assert!(ran.err.contains(warning), "{}", ran.err);
    Ok(())
}

/// Returns the only entry of the quarantine.
fn entry(scene: &Scene) -> Test<String> {
    let listed = scene.json(&["quarantine", "list"])?.exits(0);
    assert_eq!(listed.summary()?["entries"], 1);
    let id = listed.events()?[0]["entry"].as_str().map(str::to_owned);
    Ok(id.ok_or("no entry")?)
}

#[test]
fn serve_counts_the_clashes_of_what_it_receives() -> Test {
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    let object = clashing(&second_of_the_study());
    let items = vec![item(&object, Syntax::ExplicitLittle)?];
    assert_eq!(statuses(&scu("CT_7")?, &serving.node(), items)?, [STORED]);
    check(&serving.stop()?.exits(143))
}

#[test]
fn retrieve_counts_the_clashes_of_what_it_brings() -> Test {
    let scene = made()?;
    let mut objects = agreeing().to_vec();
    objects.push(clashing(&second_of_the_study()));
    let archive = Archive::start(Behaviour::default(), objects)?;
    let node = archive.node();
    let dates = ["--study-date", "20190301-20190331", "--via", "get"];
    let args = [&["retrieve", &node][..], &dates].concat();
    let ran = scene.json(&args)?.exits(0);
    assert_eq!(scene.public()?.len(), 3);
    check(&ran)
}

#[test]
fn quarantine_retry_counts_the_clashes_of_what_it_stores() -> Test {
    let scene = made()?;
    let change = |what| scene.json(&["config", what, "modalities", "CT"]);
    change("remove")?.exits(0);
    scene.put("more/3", &clashing(&second_of_the_study()))?;
    let refused = scene.json(&["import", "more"])?.exits(1).summary()?;
    assert_eq!(refused["clashes"]["patient_names"], 0, "nothing is stored");
    change("add")?.exits(0);
    check(&scene.json(&["quarantine", "retry"])?.exits(0))
}

#[test]
fn quarantine_accept_counts_the_clashes_of_the_object() -> Test {
    let scene = made()?;
    let burned_in = Tag(0x0028, 0x0301);
    let object = clashing(&second_of_the_study()).put(burned_in, VR::CS, "YES");
    scene.put("more/3", &object)?;
    scene.json(&["import", "more"])?.exits(1);
    let id = entry(&scene)?;
    let args = ["quarantine", "accept", &id, "--reason", "a scale bar"];
    check(&scene.json(&args)?.exits(0))?;
    assert_eq!(scene.public()?.len(), 3);
    Ok(())
}

/// The values of the object that was there before are known, and so are those of the new one.
#[test]
fn quarantine_accept_counts_the_clashes_of_an_object_that_replaces_another() -> Test {
    let scene = made()?;
    scene.put("more/1", &clashing(&Place::new(3)))?;
    scene.json(&["import", "more"])?.exits(1);
    let id = entry(&scene)?;
    let args = ["quarantine", "accept", &id, "--reason", "a correction"];
    check(&scene.json(&args)?.exits(0))?;
    assert_eq!(scene.public()?.len(), 2);
    Ok(())
}
