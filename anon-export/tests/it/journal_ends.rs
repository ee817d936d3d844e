//! The end of the last export of each patient, as the journal records it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anon_export::journal::patients;
use anon_export::{BackendError, Cancel, Error, KeyPart, ObjectKey, Remedy, Selection};

use crate::journal::{ADDRESS, JournalFixture};
use crate::support::{FaultySink, key, keys, without_backoff};

/// The last error of a patient stands until an export of it succeeds. An export that finds
/// everything writes nothing.
#[test]
fn the_last_error_of_each_patient_is_recorded() {
    let is_faulty = Arc::new(AtomicBool::new(true));
    let enabled = Arc::clone(&is_faulty);
    let sink = FaultySink::new(move |key, _| {
        let fails = enabled.load(Ordering::Relaxed) && key.patient().as_str() == "S-1";
        fails.then(|| BackendError::new(Remedy::Skip, "the node said no").into())
    });
    let fixture = JournalFixture::new(&keys(3, 4), sink);
    let of = |patient: usize| {
        let mut all = patients(&fixture.journal(), ADDRESS).expect("a status");
        assert_eq!(all.len(), 3);
        all.swap_remove(patient)
    };
    fixture.export();
    let failed = of(1);
    assert!(!failed.is_complete() && of(0).is_complete() && of(2).is_complete());
    assert_eq!((failed.objects, of(0).objects), (0, 4));
    let end = failed.last_export.expect("an end");
    assert_eq!((end.counts.found, end.counts.failed), (4, 4));
    assert!(end.error.is_some_and(|it| it.contains("the node said no")));
    is_faulty.store(false, Ordering::Relaxed);
    fixture.export();
    let repaired = of(1);
    assert!(repaired.is_complete());
    assert_eq!(repaired.objects, 4);
    let file = fixture.destination_directory().join("patients/S-1");
    let before = fs::read(&file).expect("a file");
    fixture.export();
    assert!(fs::read(&file).expect("a file") == before);
}

/// A patient whose first study was denied. Later exports of it are not.
struct DeniedStudy {
    fixture: JournalFixture,
    /// Cancels the next export while it lists the destination.
    cancels: Arc<AtomicBool>,
    cancel: Cancel,
}

impl DeniedStudy {
    /// Exports the objects. Those of the first study fail this time.
    fn new(keys: &BTreeSet<ObjectKey>) -> Self {
        let denies = Arc::new(AtomicBool::new(true));
        let cancels = Arc::new(AtomicBool::new(false));
        let cancel = Cancel::new();
        let is_denied = Arc::clone(&denies);
        let first = study(0);
        let sink = FaultySink::new(move |key, _| {
            let fails = is_denied.load(Ordering::Relaxed) && key.parts()[1] == first;
            fails.then(|| BackendError::new(Remedy::Skip, "the node said no").into())
        });
        let (is_impatient, flag) = (Arc::clone(&cancels), cancel.clone());
        let sink = sink.with_list_fault(move |_, _| {
            if is_impatient.load(Ordering::Relaxed) {
                flag.cancel();
            }
            None
        });
        let fixture = JournalFixture::new(keys, sink);
        fixture.export();
        denies.store(false, Ordering::Relaxed);
        Self {
            fixture,
            cancels,
            cancel,
        }
    }

    fn export_study(&self, study: KeyPart) {
        let selection = Selection::of([], [study]);
        let fixture = &self.fixture;
        let ended = fixture.try_export_as(without_backoff(), &selection, &Cancel::new());
        ended.expect("an export");
    }

    #[track_caller]
    fn check_error_is_recorded(&self, expect: bool) {
        let mut all = patients(&self.fixture.journal(), ADDRESS).expect("a status");
        let end = all.swap_remove(0).last_export.expect("an end");
        let is_recorded = end.error.is_some_and(|it| it.contains("the node said no"));
        assert_eq!(is_recorded, expect);
    }
}

fn study(of: u32) -> KeyPart {
    let [_, study, ..] = key(0, of, 0).parts().clone();
    study
}

#[test]
fn cancelled_export_keeps_the_recorded_error() {
    let patient = DeniedStudy::new(&keys(1, 4));
    patient.check_error_is_recorded(true);
    patient.cancels.store(true, Ordering::Relaxed);
    let all = Selection::all();
    let fixture = &patient.fixture;
    let ended = fixture.try_export_as(without_backoff(), &all, &patient.cancel);
    let ended = ended.expect_err("it was cancelled");
    assert!(matches!(*ended.error, Error::Cancelled), "{ended:?}");
    patient.check_error_is_recorded(true);
    patient.cancels.store(false, Ordering::Relaxed);
    fixture.export();
    patient.check_error_is_recorded(false);
}

#[test]
fn export_of_one_study_keeps_the_recorded_error_of_the_patient() {
    let patient = DeniedStudy::new(&keys(1, 4));
    patient.export_study(study(1));
    patient.check_error_is_recorded(true);
    patient.fixture.export();
    patient.check_error_is_recorded(false);
}

#[test]
fn export_of_the_only_study_ends_the_recorded_error_of_the_patient() {
    let patient = DeniedStudy::new(&BTreeSet::from([key(0, 0, 0), key(0, 0, 1)]));
    patient.export_study(study(0));
    patient.check_error_is_recorded(false);
}
