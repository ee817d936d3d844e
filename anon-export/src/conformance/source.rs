//! The conformance suite for [`Source`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::ControlFlow;

use super::{bytes, key};
use crate::{Error, KeyPart, ObjectKey, Source, SourceObject};

/// An object of the source under test.
type Object = (ObjectKey, Vec<u8>);

/// Checks every promise of [`Source`].
///
/// `make` returns a source with exactly the objects that it gets. It is called several times, and
/// earlier sources may still be in use.
///
/// # Panics
/// At the first broken promise.
///
/// # Examples
/// ```
/// use anon_export::MemorySource;
///
/// anon_export::conformance::check_source(|objects| {
///     let mut source = MemorySource::new();
///     for (key, bytes) in objects {
///         source.insert(key.clone(), bytes.as_slice());
///     }
///     source
/// });
/// ```
pub fn check_source<S: Source>(make: impl Fn(&[(ObjectKey, Vec<u8>)]) -> S) {
    let none = make(&[]);
    assert_eq!(patients(&none), [], "the patients of an empty source");
    has_nothing_of(&none, &key("S-1", 1, 1));

    let objects = objects();
    let source = make(&objects);
    lists_every_patient_once(&source, &objects);
    lists_the_objects_of_one_patient(&source, &objects);
    stops_when_the_callback_breaks(&source);
    finds_patients_and_studies(&source, &objects);
    has_nothing_of(&source, &key("S-9", 1, 1));
    has_no_other_object(&source, &objects);
    opens_from_the_first_byte(&source, &objects);
    serves_many_threads(&source, &objects);
}

/// Objects of three patients. The name of one patient begins with that of another.
fn objects() -> Vec<Object> {
    let keys = [
        key("S-1", 1, 1),
        key("S-1", 1, 2),
        key("S-1", 2, 1),
        key("S-10", 1, 1),
        key("a.b-c_d 1", 1, 1),
    ];
    let lengths = [0, 1, 300_000, 131, 1 << 20];
    let seeds = 1..;
    let objects = keys.into_iter().zip(lengths).zip(seeds);
    objects
        .map(|((key, len), seed)| (key, bytes(len, seed)))
        .collect()
}

fn of_patient<'o>(objects: &'o [Object], patient: &'o KeyPart) -> impl Iterator<Item = &'o Object> {
    objects
        .iter()
        .filter(move |(key, _)| key.patient() == patient)
}

fn distinct_patients(objects: &[Object]) -> BTreeSet<KeyPart> {
    objects
        .iter()
        .map(|(key, _)| key.patient().clone())
        .collect()
}

#[track_caller]
fn patients(source: &dyn Source) -> Vec<KeyPart> {
    let mut all = Vec::new();
    let result = source.patients(&mut |patient| {
        all.push(patient);
        ControlFlow::Continue(())
    });
    if let Err(error) = result {
        panic!("listing the patients: {error:?}");
    }
    all.sort();
    all
}

#[track_caller]
fn listed(source: &dyn Source, patient: &KeyPart) -> BTreeMap<ObjectKey, SourceObject> {
    let mut all = BTreeMap::new();
    let result = source.objects(patient, &mut |object| {
        let twice = all.insert(object.key.clone(), object);
        assert_eq!(twice, None, "an object is listed twice");
        ControlFlow::Continue(())
    });
    if let Err(error) = result {
        panic!("listing the objects of {patient}: {error:?}");
    }
    all
}

#[track_caller]
fn state(source: &dyn Source, key: &ObjectKey) -> SourceObject {
    match source.state(key) {
        Ok(object) => object,
        Err(error) => panic!("the state of {key}: {error:?}"),
    }
}

#[track_caller]
fn read(source: &dyn Source, key: &ObjectKey) -> Vec<u8> {
    let mut body = match source.open(key) {
        Ok(body) => body,
        Err(error) => panic!("opening {key}: {error:?}"),
    };
    let mut bytes = Vec::new();
    if let Err(error) = body.read_to_end(&mut bytes) {
        panic!("reading {key}: {error:?}");
    }
    bytes
}

fn lists_every_patient_once(source: &dyn Source, objects: &[Object]) {
    let expected: Vec<_> = distinct_patients(objects).into_iter().collect();
    for _ in 0..2 {
        assert_eq!(patients(source), expected, "every patient once");
    }
}

fn lists_the_objects_of_one_patient(source: &dyn Source, objects: &[Object]) {
    for patient in distinct_patients(objects) {
        let listed = listed(source, &patient);
        let keys: BTreeSet<_> = listed.keys().collect();
        let expected: BTreeSet<_> = of_patient(objects, &patient).map(|(key, _)| key).collect();
        assert_eq!(keys, expected, "the objects of {patient}");
        for (key, bytes) in of_patient(objects, &patient) {
            let now = state(source, key);
            assert_eq!(now.len, bytes.len() as u64, "the length of {key}");
            assert_eq!(now, state(source, key), "{key} did not change");
            assert_eq!(listed.get(key), Some(&now), "{key} as listed and as it is");
        }
    }
}

fn stops_when_the_callback_breaks(source: &dyn Source) {
    let mut calls = 0;
    let result = source.patients(&mut |_| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert!(result.is_ok(), "stopping a list of patients: {result:?}");
    assert_eq!(calls, 1, "patients listed until it stopped");
    calls = 0;
    let result = source.objects(key("S-1", 1, 1).patient(), &mut |_| {
        calls += 1;
        if calls == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(result.is_ok(), "stopping a list of objects: {result:?}");
    assert_eq!(calls, 2, "objects listed until it stopped");
}

fn finds_patients_and_studies(source: &dyn Source, objects: &[Object]) {
    for (key, _) in objects {
        let [patient, study, series, _] = key.parts();
        let has_patient = source.has_patient(patient);
        assert!(
            matches!(has_patient, Ok(true)),
            "{patient}: {has_patient:?}"
        );
        let has_study = source.has_study(patient, study);
        assert!(matches!(has_study, Ok(true)), "{study}: {has_study:?}");
        let has_study = source.has_study(patient, series);
        assert!(
            matches!(has_study, Ok(false)),
            "an unknown study: {has_study:?}"
        );
    }
}

/// Checks that the source has neither this object nor its patient.
fn has_nothing_of(source: &dyn Source, key: &ObjectKey) {
    let [patient, study, ..] = key.parts();
    assert_eq!(
        listed(source, patient).len(),
        0,
        "objects of an unknown patient"
    );
    let has_patient = source.has_patient(patient);
    assert!(
        matches!(has_patient, Ok(false)),
        "an unknown patient: {has_patient:?}"
    );
    let has_study = source.has_study(patient, study);
    assert!(
        matches!(has_study, Ok(false)),
        "an unknown study: {has_study:?}"
    );
    is_vanished(source, key);
}

fn has_no_other_object(source: &dyn Source, objects: &[Object]) {
    for (existing, _) in objects {
        let [patient, study, series, _] = existing.parts();
        let [.., instance] = key("S-1", 7, 7).parts().clone();
        let missing = [patient.clone(), study.clone(), series.clone(), instance];
        is_vanished(source, &ObjectKey::of(missing));
    }
}

#[track_caller]
fn is_vanished(source: &dyn Source, key: &ObjectKey) {
    match source.state(key) {
        Err(Error::Vanished) => {}
        other => panic!("the state of an object that does not exist: {other:?}"),
    }
    match source.open(key).map(|_| ()) {
        Err(Error::Vanished) => {}
        other => panic!("opening an object that does not exist: {other:?}"),
    }
}

fn opens_from_the_first_byte(source: &dyn Source, objects: &[Object]) {
    for (key, bytes) in objects {
        for _ in 0..2 {
            assert!(read(source, key) == *bytes, "the bytes of {key}");
        }
    }
}

fn serves_many_threads(source: &dyn Source, objects: &[Object]) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                opens_from_the_first_byte(source, objects);
                lists_every_patient_once(source, objects);
            });
        }
    });
}
