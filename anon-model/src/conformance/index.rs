//! The rows of the index, and the progress of a retrieve.

use std::ops::ControlFlow;

use super::{Outcome, import, phi, series_rows, study_rows, uid, wanted, with_accession};
use crate::LookupStore;

pub(super) fn rows_of_the_index(store: &dyn LookupStore) -> Outcome {
    assert!(study_rows(store)?.is_empty());
    // The first study gets its second series after the second study. One study has no accession
    // number (fault 15), one no patient id.
    import(
        store,
        &[with_accession(wanted("P", "1.1", "1.2", "1.3"), "A")],
    )?;
    import(store, &[wanted("P", "2.1", "2.2", "2.3")])?;
    import(
        store,
        &[with_accession(wanted("P", "1.1", "1.4", "1.5"), "OTHER")],
    )?;
    import(
        store,
        &[with_accession(wanted("", "3.1", "3.2", "3.3"), "A")],
    )?;
    let rows = study_rows(store)?;
    let brief: Vec<_> = rows
        .iter()
        .map(|r| {
            (
                r.patient.as_str(),
                r.study_uid.expose().as_str(),
                r.accession.as_deref(),
                r.series,
                r.instances,
            )
        })
        .collect();
    let expected = [
        ("99.99-000000", "3.1", Some("1"), 1, 1),
        ("99.99-000001", "1.1", Some("1\\2"), 2, 2),
        ("99.99-000001", "2.1", None, 1, 1),
    ];
    assert_eq!(brief, expected);
    assert_eq!(rows[1].phi.date_offset, -7);
    assert_eq!(rows[1].patient_phi.name, phi("DOE^JANE"));
    assert_eq!(rows[1].study, uid(1));
    assert_eq!(store.study(&uid(1))?.as_ref(), Some(&rows[1]));
    assert_eq!(store.study(&uid(2))?, None, "a series is no study");
    Ok(())
}

pub(super) fn series_and_counts_of_a_study(store: &dyn LookupStore) -> Outcome {
    import(
        store,
        &[
            wanted("P", "1.1", "1.2", "1.3"),
            wanted("P", "1.1", "1.4", "1.5"),
            wanted("P", "2.1", "2.2", "2.3"),
        ],
    )?;
    let series = series_rows(store, &uid(1))?;
    let brief: Vec<_> = series
        .iter()
        .map(|r| (r.series_uid.expose().as_str(), r.instances))
        .collect();
    assert_eq!(brief, [("1.2", 1), ("1.4", 1)]);
    assert_eq!(series[0].series, uid(2));
    assert_eq!(series[0].phi.modality, Some(phi("CT")));
    for other in [&*uid(2), "99.99-000001", "no UID"] {
        assert_eq!(series_rows(store, other)?, [], "{other} is no study");
    }
    let patient = store.patient("99.99-000001")?.ok_or("no patient")?;
    assert_eq!(
        [patient.studies, patient.series, patient.instances],
        [2, 3, 3]
    );
    Ok(())
}

pub(super) fn visits_end_at_break(store: &dyn LookupStore) -> Outcome {
    import(
        store,
        &[
            wanted("P", "1.1", "1.2", "1.3"),
            wanted("P", "1.1", "1.4", "1.5"),
            wanted("Q", "2.1", "2.2", "2.3"),
        ],
    )?;
    let mut seen = 0;
    store.series(&uid(1), &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })?;
    assert_eq!(seen, 1, "series");
    let mut seen = 0;
    store.studies(&mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })?;
    assert_eq!(seen, 1, "studies");
    let mut seen = 0;
    store.patients(&mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })?;
    assert_eq!(seen, 1, "patients");
    Ok(())
}

pub(super) fn progress_of_a_retrieve(store: &dyn LookupStore) -> Outcome {
    let (study, series) = (phi("1.1"), phi("1.2"));
    assert_eq!(store.expect_instances(&study, 3)?, 3);
    assert!(!store.study_imported(&study)?);
    import(
        store,
        &[
            wanted("P", "1.1", "1.2", "1.3"),
            wanted("P", "1.1", "1.2", "1.4"),
        ],
    )?;
    assert!(
        !store.study_imported(&study)?,
        "nothing is recorded for an unknown study"
    );
    assert_eq!(store.expect_instances(&study, 3)?, 1);
    assert!(!store.study_imported(&study)?);
    assert!(!store.series_complete(&study, &series, 3)?);
    import(store, &[wanted("P", "1.1", "1.2", "1.5")])?;
    assert!(store.study_imported(&study)?);
    assert!(store.series_complete(&study, &series, 3)?);
    assert!(!store.series_complete(&phi("9"), &series, 1)?);
    assert!(!store.series_complete(&study, &phi("9"), 1)?);
    assert_eq!(store.expect_instances(&study, 2)?, -1);
    assert_eq!(store.stored_instances(&study)?, 3);
    assert_eq!(store.stored_instances(&phi("9"))?, 0);
    Ok(())
}
