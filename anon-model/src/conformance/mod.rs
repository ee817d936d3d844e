//! What every [`LookupStore`] must do, ours or yours: call [`check`] from a test.
//!
//! ```
//! use anon_model::{MemoryStore, conformance};
//!
//! conformance::check(|identity| Ok(Box::new(MemoryStore::new(identity)?)))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "a suite of tests: a panic is how a case fails"
)]

mod adopting;
mod pages;

use std::error::Error;
use std::ops::ControlFlow;

use crate::{
    AdoptError, AssignError, Assigned, Conflict, Counts, Fingerprint, Group, Identity, LookupStore,
    Names, NewInstance, PatientPhi, Phi, RulesRecord, SeriesPhi, SeriesRow, SiteId, Space,
    StudyConflict, StudyPhi, StudyRow, Totals, UidRoot, Wanted,
};

/// What a case ends with.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

type Store = Box<dyn LookupStore>;

/// Runs every case, each on a new store with V17's sequential scheme.
///
/// # Errors
/// If the store fails where it must not.
///
/// # Panics
/// If the store does not do what it must.
pub fn check(mut make: impl FnMut(Identity) -> Outcome<Store>) -> Outcome {
    let cases: &[fn(&dyn LookupStore) -> Outcome] = &[
        numbers_are_v17s,
        one_uid_in_two_roles,
        reference_that_arrives_later,
        failures_do_not_reuse_numbers,
        contradictions_are_refused,
        contradictions_in_flight_are_refused,
        study_conflict_first,
        copies_and_conflicts,
        counts_change_at_commit_only,
        unpublished_instances_leave,
        intents_wait_for_settling,
        rows_of_the_index,
        retrieval_progress,
        deleting_a_study,
        deleting_a_patient,
        deleting_keeps_what_others_use,
        deleting_while_busy,
        adopting_pairs,
        adopting::studies,
        adopting::all_or_nothing,
        adopting::contradictions,
        adopting::numbers_are_not_given_again,
        adopting::rows_stay_until_deleted,
        pages::sorted,
        pages::searched,
        pages::while_rows_change,
        ways_back,
        rules_are_kept,
    ];
    for case in cases {
        case(&*make(identity()?)?)?;
    }
    Ok(())
}

/// The identity of the cases: the site and root of V17's own tests.
///
/// # Errors
/// Never: the texts are fixed.
pub fn identity() -> Outcome<Identity> {
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    Ok(Identity::new(SiteId::new("99.99")?, root)?)
}

const PREFIX: &str = "1.2.826.0.1.3680043.10.474.99.99";

fn phi(text: &str) -> Phi<String> {
    Phi::new(text.to_owned())
}

/// An instance that wants pseudonyms.
fn wanted(patient: &str, study: &str, series: &str, instance: &str) -> Wanted {
    Wanted {
        patient: phi(patient),
        study: phi(study),
        series: phi(series),
        instance: phi(instance),
        fingerprint: Fingerprint {
            length: 100,
            digest: [1; 16],
        },
        ..Wanted::default()
    }
}

fn with_uids(mut wanted: Wanted, uids: &[&str]) -> Wanted {
    wanted.uids = uids.iter().map(|uid| phi(uid)).collect();
    wanted
}

fn with_accession(mut wanted: Wanted, accession: &str) -> Wanted {
    wanted.accessions = vec![phi(accession)];
    wanted
}

/// What the engine commits for an instance.
fn new_instance(wanted: &Wanted, names: Names) -> NewInstance {
    let filed_under = names.filed_under.clone();
    NewInstance {
        patient_key: filed_under.unwrap_or_else(|| wanted.patient.clone()),
        study_uid: wanted.study.clone(),
        series_uid: wanted.series.clone(),
        instance_uid: wanted.instance.clone(),
        names,
        fingerprint: wanted.fingerprint,
        patient: PatientPhi {
            id: wanted.patient.clone(),
            name: phi("DOE^JANE"),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            source: phi("/in/1"),
            date: Some(phi("20240229")),
            date_offset: -7,
            accession: wanted.accessions.first().cloned(),
            description: None,
        },
        series: SeriesPhi {
            description: None,
            modality: Some(phi("CT")),
        },
        output_bytes: 10,
    }
}

fn assign(store: &dyn LookupStore, wanted: &Wanted) -> Outcome<Names> {
    match store.assign(wanted)? {
        Assigned::New(names) => Ok(names),
        Assigned::Duplicate(_) => Err("a new instance was taken for a copy".into()),
    }
}

fn commit(store: &dyn LookupStore, wanted: &[Wanted]) -> Outcome<(Group, Vec<Names>)> {
    let mut names = Vec::new();
    let mut group = Vec::new();
    for wanted in wanted {
        let given = assign(store, wanted)?;
        group.push(new_instance(wanted, given.clone()));
        names.push(given);
    }
    Ok((store.commit(&group)?, names))
}

/// Imports instances to the end.
fn import(store: &dyn LookupStore, wanted: &[Wanted]) -> Outcome<Vec<Names>> {
    let (group, names) = commit(store, wanted)?;
    store.settle(group, &[])?;
    Ok(names)
}

fn conflict(store: &dyn LookupStore, wanted: &Wanted) -> Outcome<Conflict> {
    match store.assign(wanted) {
        Err(AssignError::Conflict(conflict)) => Ok(conflict),
        Err(AssignError::Backend(error)) => Err(error.into()),
        Ok(_) => Err("a contradicting instance was not refused".into()),
    }
}

fn series_rows(store: &dyn LookupStore, study: &str) -> Outcome<Vec<SeriesRow>> {
    let mut rows = Vec::new();
    store.series(study, &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn study_rows(store: &dyn LookupStore) -> Outcome<Vec<StudyRow>> {
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn uid(number: u64) -> String {
    format!("{PREFIX}.{number}")
}

fn numbers_are_v17s(store: &dyn LookupStore) -> Outcome {
    assert!(!store.is_frozen()?, "nothing is given yet");
    let ct = with_accession(
        with_uids(wanted("1CT1", "1.1", "1.2", "1.3"), &["1.4"]),
        "A",
    );
    let mr = with_accession(
        with_uids(wanted("4MR1", "2.1", "2.2", "2.3"), &["2.4"]),
        "B",
    );
    let names = import(store, &[ct, mr])?;
    let texts: Vec<_> = names
        .iter()
        .map(|n| {
            [
                &n.patient,
                &n.study,
                &n.series,
                &n.instance,
                &n.uids[0],
                &n.accessions[0],
            ]
        })
        .collect();
    let [u1, u2, u3, u4, u5, u6, u7, u8] = [1, 2, 3, 4, 5, 6, 7, 8].map(uid);
    let [p1, p2] = ["99.99-000001", "99.99-000002"].map(str::to_owned);
    let [a1, a2] = ["1", "2"].map(str::to_owned);
    assert_eq!(
        texts,
        [
            [&p1, &u1, &u2, &u3, &u4, &a1],
            [&p2, &u5, &u6, &u7, &u8, &a2]
        ]
    );
    // A known study and series: only the instance takes a number. No patient: the default one.
    let names = import(
        store,
        &[
            wanted("1CT1", "1.1", "1.2", "1.9"),
            wanted("", "3.1", "3.2", "3.3"),
        ],
    )?;
    assert_eq!(names[0].instance, uid(9));
    assert_eq!(names[1].patient, "99.99-000000");
    assert_eq!(names[1].study, uid(10));
    // A new series of a known study: the series and the instance.
    let names = import(store, &[wanted("1CT1", "1.1", "1.7", "1.8")])?;
    let texts = [&names[0].study, &names[0].series, &names[0].instance];
    assert_eq!(texts, [&uid(1), &uid(13), &uid(14)]);
    let counts = Counts {
        patients: 2,
        uids: 14,
        accessions: 2,
    };
    assert_eq!(store.counts()?, counts);
    assert!(store.is_frozen()?);
    six_digits_become_seven(store)
}

fn six_digits_become_seven(store: &dyn LookupStore) -> Outcome {
    store.adopt(Space::Patient, &Phi::new("LATE".into()), "99.99-999998")?;
    let names = import(
        store,
        &[
            wanted("NEXT1", "7.1", "7.2", "7.3"),
            wanted("NEXT2", "8.1", "8.2", "8.3"),
        ],
    )?;
    let patients = [&names[0].patient, &names[1].patient];
    assert_eq!(patients, ["99.99-999999", "99.99-1000000"]);
    let originals = store.originals(patients[1])?;
    assert_eq!(originals, [(Space::Patient, Phi::new("NEXT2".into()))]);
    Ok(())
}

fn one_uid_in_two_roles(store: &dyn LookupStore) -> Outcome {
    // Study and series under one UID, then the frame of reference too (fault 10).
    let names = import(
        store,
        &[with_uids(wanted("P", "1.1", "1.1", "1.3"), &["1.1", "1.5"])],
    )?;
    let names = &names[0];
    assert_eq!(names.study, names.series);
    assert_eq!(names.study, names.uids[0]);
    let distinct = [&names.study, &names.instance, &names.uids[1]];
    assert_eq!(distinct, [&uid(1), &uid(2), &uid(3)]);
    // The SOP instance under the UID of its own study.
    let odd = import(store, &[wanted("P", "1.1", "1.1", "1.1")])?;
    assert_eq!(odd[0].instance, uid(1));
    assert_eq!(store.totals()?.instances, 2);
    Ok(())
}

fn reference_that_arrives_later(store: &dyn LookupStore) -> Outcome {
    let referring = with_uids(wanted("P", "1.1", "1.2", "1.3"), &["2.1", "2.2", "2.3"]);
    let first = import(store, &[referring])?;
    assert!(!store.has_instance(&phi("2.3"))?, "only referred to");
    let arrived = import(store, &[wanted("P", "2.1", "2.2", "2.3")])?;
    let roles = [&arrived[0].study, &arrived[0].series, &arrived[0].instance];
    assert_eq!(
        roles,
        [&first[0].uids[0], &first[0].uids[1], &first[0].uids[2]]
    );
    assert!(store.has_instance(&phi("2.3"))?);
    assert!(store.has_instance(&phi("1.3"))?);
    assert!(!store.has_instance(&phi("1.1"))?);
    Ok(())
}

fn failures_do_not_reuse_numbers(store: &dyn LookupStore) -> Outcome {
    let failed = wanted("P", "1.1", "1.2", "1.3");
    assert_eq!(assign(store, &failed)?.instance, uid(3));
    store.abandon(&failed);
    let next = import(store, &[wanted("P", "1.1", "1.2", "1.4")])?;
    assert_eq!(next[0].instance, uid(4));
    let again = import(store, &[failed])?;
    assert_eq!(again[0].instance, uid(3), "one original, one pseudonym");
    Ok(())
}

fn contradictions_are_refused(store: &dyn LookupStore) -> Outcome {
    import(
        store,
        &[
            wanted("P", "1.1", "1.2", "1.3"),
            wanted("Q", "2.1", "2.2", "2.3"),
        ],
    )?;
    let counts = store.counts()?;
    let known = Conflict::StudyOfOtherPatient {
        study: uid(1),
        known: "99.99-000001".to_owned(),
        now: Some("99.99-000002".to_owned()),
    };
    assert_eq!(conflict(store, &wanted("Q", "1.1", "1.2", "1.9"))?, known);
    let unknown = Conflict::StudyOfOtherPatient {
        study: uid(1),
        known: "99.99-000001".to_owned(),
        now: None,
    };
    assert_eq!(conflict(store, &wanted("R", "1.1", "1.2", "1.9"))?, unknown);
    let series = Conflict::SeriesOfOtherStudy {
        series: uid(2),
        known: uid(1),
    };
    assert_eq!(conflict(store, &wanted("Q", "2.1", "1.2", "1.9"))?, series);
    let instance = Conflict::InstanceOfOtherSeries {
        instance: uid(3),
        known: uid(2),
    };
    assert_eq!(
        conflict(store, &wanted("Q", "2.1", "2.2", "1.3"))?,
        instance
    );
    assert_eq!(
        store.counts()?,
        counts,
        "refused instances are given nothing"
    );
    Ok(())
}

fn contradictions_in_flight_are_refused(store: &dyn LookupStore) -> Outcome {
    let first = wanted("P", "1.1", "1.2", "1.3");
    let second = wanted("P", "1.1", "1.2", "1.4");
    assign(store, &first)?;
    assign(store, &second)?;
    let other = wanted("Q", "1.1", "1.2", "1.5");
    conflict(store, &other)?;
    store.abandon(&first);
    conflict(store, &other)?;
    store.abandon(&second);
    // Letting go twice lets go of nothing more.
    assign(store, &first)?;
    store.abandon(&second);
    conflict(store, &other)?;
    store.abandon(&first);
    import(store, &[other])?;
    conflict(store, &first)?;
    Ok(())
}

fn study_conflict_first(store: &dyn LookupStore) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let mut other = wanted("Q", "1.1", "1.2", "1.4");
    other.study_conflict = StudyConflict::First;
    let names = import(store, &[other.clone()])?;
    assert_eq!(names[0].patient, "99.99-000001");
    assert_eq!(names[0].filed_under, Some(phi("P")));
    assert_eq!(store.totals()?.patients, 1);
    let Assigned::Duplicate(again) = store.assign(&other)? else {
        return Err("a copy was taken for new".into());
    };
    assert_eq!(again.patient, "99.99-000001");
    Ok(())
}

fn copies_and_conflicts(store: &dyn LookupStore) -> Outcome {
    let first = with_uids(wanted("P", "1.1", "1.2", "1.3"), &["1.4"]);
    let names = assign(store, &first)?;
    let mut differs = first.clone();
    differs.fingerprint.length += 1;
    let refusal = Conflict::InstanceDiffers { instance: uid(3) };
    assert_eq!(conflict(store, &differs)?, refusal, "in flight");
    let group = store.commit(&[new_instance(&first, names.clone())])?;
    store.settle(group, &[])?;
    assert_eq!(conflict(store, &differs)?, refusal, "stored");
    assert_eq!(store.assign(&first)?, Assigned::Duplicate(names));
    assert_eq!(store.totals()?.instances, 1);
    Ok(())
}

fn counts_change_at_commit_only(store: &dyn LookupStore) -> Outcome {
    let first = wanted("P", "1.1", "1.2", "1.3");
    let names = assign(store, &first)?;
    assert_eq!(store.totals()?, Totals::default());
    assert!(!store.has_instance(&first.instance)?);
    let group = store.commit(&[new_instance(&first, names)])?;
    store.settle(group, &[])?;
    let totals = Totals {
        patients: 1,
        studies: 1,
        series: 1,
        instances: 1,
        bytes: 10,
    };
    assert_eq!(store.totals()?, totals);
    // The patient without an id is not counted, as in V17.
    import(store, &[wanted("", "2.1", "2.2", "2.3")])?;
    let totals = store.totals()?;
    assert_eq!(
        [totals.patients, totals.studies, totals.instances],
        [1, 2, 2]
    );
    let unassigned = new_instance(&wanted("X", "9.1", "9.2", "9.3"), Names::default());
    assert!(store.commit(&[unassigned]).is_err(), "never assigned");
    assert_eq!(store.totals()?, totals);
    Ok(())
}

fn unpublished_instances_leave(store: &dyn LookupStore) -> Outcome {
    let kept = wanted("P", "1.1", "1.2", "1.3");
    let lost = [
        wanted("P", "1.1", "1.2", "1.4"),
        wanted("Q", "2.1", "2.2", "2.3"),
    ];
    import(store, &[kept])?;
    let before = store.totals()?;
    let (group, names) = commit(store, &lost)?;
    assert_eq!(store.totals()?.instances, 3);
    store.settle(group, &[0, 1])?;
    assert_eq!(store.totals()?, before);
    assert_eq!(store.stored_instances(&phi("1.1"))?, 1);
    assert!(store.patient("99.99-000002")?.is_none());
    assert!(store.unsettled()?.is_empty());
    store.settle(group, &[0])?;
    assert_eq!(store.totals()?, before, "settling twice changes nothing");
    let again = import(store, &lost)?;
    assert_eq!(again, names, "the pseudonyms stay given");
    Ok(())
}

fn intents_wait_for_settling(store: &dyn LookupStore) -> Outcome {
    let (first, names) = commit(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let (second, _) = commit(store, &[wanted("P", "1.1", "1.2", "1.4")])?;
    assert!(first < second);
    let open = store.unsettled()?;
    assert_eq!(
        open.iter().map(|intent| intent.group).collect::<Vec<_>>(),
        [first, second]
    );
    let path = [
        &names[0].patient,
        &names[0].study,
        &names[0].series,
        &names[0].instance,
    ];
    assert_eq!(open[0].outputs[0].each_ref(), path);
    store.settle(first, &[])?;
    assert_eq!(store.unsettled()?.len(), 1);
    store.settle(second, &[])?;
    store.flush()?;
    assert!(store.unsettled()?.is_empty());
    Ok(())
}

fn rows_of_the_index(store: &dyn LookupStore) -> Outcome {
    assert!(study_rows(store)?.is_empty());
    // The second study comes before the first has its second series; one has no accession number
    // (fault 15), one no patient.
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
        ("99.99-000001", "1.1", Some("1"), 2, 2),
        ("99.99-000001", "2.1", None, 1, 1),
    ];
    assert_eq!(brief, expected);
    assert_eq!(rows[1].phi.date_offset, -7);
    assert_eq!(rows[1].patient_phi.name, phi("DOE^JANE"));
    assert_eq!(rows[1].study, uid(1));
    assert_eq!(store.study(&uid(1))?.as_ref(), Some(&rows[1]));
    assert_eq!(store.study(&uid(2))?, None, "a series is no study");
    let series = series_rows(store, &uid(1))?;
    let brief: Vec<_> = series
        .iter()
        .map(|r| (r.series_uid.expose().as_str(), r.instances))
        .collect();
    assert_eq!(brief, [("1.2", 1), ("1.4", 1)]);
    assert_eq!(series[0].series, uid(2));
    assert_eq!(series[0].phi.modality, Some(phi("CT")));
    for none in [&*uid(2), "99.99-000001", "no UID"] {
        assert_eq!(series_rows(store, none)?, [], "{none} is no study");
    }
    let mut seen = 0;
    store.series(&uid(1), &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })?;
    assert_eq!(seen, 1, "a visit ends when it is told to");
    let patient = store.patient("99.99-000001")?.ok_or("no patient")?;
    assert_eq!(
        [patient.studies, patient.series, patient.instances],
        [2, 3, 3]
    );
    let mut seen = 0;
    store.patients(&mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })?;
    assert_eq!(seen, 1, "a visit ends when it is told to");
    Ok(())
}

fn retrieval_progress(store: &dyn LookupStore) -> Outcome {
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
        "nothing was noted of an unknown study"
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

fn deleting_a_study(store: &dyn LookupStore) -> Outcome {
    let first = with_accession(with_uids(wanted("P", "1.1", "1.2", "1.3"), &["7.7"]), "A");
    import(store, &[first.clone(), wanted("P", "2.1", "2.2", "2.3")])?;
    assert_eq!(store.delete_study("no such study")?, None);
    assert_eq!(store.delete_study(&uid(2))?, None, "a series is no study");
    let deleted = store.delete_study(&uid(1))?.ok_or("not deleted")?;
    assert_eq!(
        deleted.removal.directories,
        [["99.99-000001".to_owned(), uid(1)]]
    );
    assert_eq!([deleted.totals.patients, deleted.totals.studies], [0, 1]);
    assert_eq!(
        store.unsettled_removals()?,
        std::slice::from_ref(&deleted.removal)
    );
    store.settle(deleted.removal.group, &[])?;
    assert!(store.unsettled_removals()?.is_empty());
    assert_eq!(store.originals(&uid(1))?, []);
    assert!(!store.has_instance(&first.instance)?);
    let again = import(store, &[first])?;
    assert_eq!(again[0].study, uid(8), "fresh numbers");
    assert_eq!(again[0].uids[0], uid(4), "other UIDs stay");
    assert_eq!(again[0].accessions[0], "1");
    assert_eq!(again[0].patient, "99.99-000001");
    Ok(())
}

fn deleting_a_patient(store: &dyn LookupStore) -> Outcome {
    let all = [
        wanted("P", "1.1", "1.2", "1.3"),
        wanted("P", "2.1", "2.2", "2.3"),
    ];
    import(store, &all)?;
    import(store, &[wanted("Q", "3.1", "3.2", "3.3")])?;
    let deleted = store.delete_patient("99.99-000001")?.ok_or("not deleted")?;
    assert_eq!(deleted.removal.directories.len(), 2);
    assert_eq!([deleted.totals.patients, deleted.totals.instances], [1, 2]);
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(store.counts()?.patients, 1);
    assert_eq!(store.counts()?.uids, 3);
    let again = import(store, &all)?;
    assert_eq!(again[0].patient, "99.99-000003");
    assert_eq!(again[0].study, uid(10));
    Ok(())
}

fn deleting_keeps_what_others_use(store: &dyn LookupStore) -> Outcome {
    let image = wanted("P", "1.1", "1.2", "1.3");
    let report = with_uids(wanted("P", "2.1", "2.2", "2.3"), &["1.3"]);
    let own = with_uids(wanted("P", "1.1", "1.2", "1.4"), &["1.3", "1.2"]);
    import(store, &[image.clone(), report, own])?;
    let deleted = store.delete_study(&uid(1))?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    let again = import(store, &[image])?;
    assert_eq!(again[0].instance, uid(3), "the report refers to it");
    assert_eq!(again[0].series, uid(9), "only its own study referred to it");
    Ok(())
}

fn deleting_while_busy(store: &dyn LookupStore) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let flying = wanted("P", "1.1", "1.2", "1.4");
    let names = assign(store, &flying)?;
    assert!(store.delete_study(&uid(1)).is_err(), "in flight");
    let group = store.commit(&[new_instance(&flying, names)])?;
    assert!(store.delete_study(&uid(1)).is_err(), "not settled");
    assert_eq!(store.totals()?.instances, 2);
    store.settle(group, &[])?;
    // Another study of the patient is on its way: the patient's pseudonym stays.
    let other = with_uids(wanted("P", "5.1", "1.1", "5.3"), &["1.3"]);
    conflict(store, &wanted("P", "5.1", "1.2", "5.3"))?;
    let names = assign(store, &other)?;
    assert!(store.delete_study(&uid(1))?.is_some());
    let group = store.commit(&[new_instance(&other, names.clone())])?;
    store.settle(group, &[])?;
    assert_eq!([&names.series, &names.uids[0]], [&uid(1), &uid(3)]);
    assert_eq!(store.pseudonym(Space::Uid, &phi("1.1"))?, Some(uid(1)));
    assert_eq!(
        store.patient(&names.patient)?.map(|row| row.instances),
        Some(1)
    );
    Ok(())
}

fn adopting_pairs(store: &dyn LookupStore) -> Outcome {
    let (patient, study) = (phi("4711"), phi("1.1"));
    store.adopt(Space::Patient, &patient, "99.99-000017")?;
    store.adopt(Space::Patient, &patient, "99.99-000017")?;
    store.adopt(Space::Uid, &study, &uid(6786))?;
    store.adopt(Space::Uid, &phi("1.9"), &uid(12))?;
    store.adopt(Space::Accession, &phi("A"), "J-41")?;
    let taken = store.adopt(Space::Patient, &patient, "99.99-000018");
    assert!(
        matches!(taken, Err(AdoptError::OriginalTaken { pseudonym }) if pseudonym == "99.99-000017")
    );
    let taken = store.adopt(Space::Accession, &phi("B"), "J-41");
    assert!(matches!(taken, Err(AdoptError::PseudonymTaken { .. })));
    let taken = store.adopt(Space::Patient, &phi("X"), "99.99-000000");
    assert!(matches!(taken, Err(AdoptError::PseudonymTaken { .. })));
    for (space, bad) in [
        (Space::Uid, "1.02"),
        (Space::Accession, "12345678901234567"),
        (Space::Patient, ""),
        (Space::Patient, "../up"),
        (Space::Patient, ".."),
        (Space::Accession, "a\\b"),
    ] {
        let refused = store.adopt(space, &phi("Z"), bad);
        assert!(matches!(refused, Err(AdoptError::Form { .. })), "{bad}");
    }
    let arriving = with_accession(wanted("4711", "1.1", "1.2", "1.3"), "A");
    let names = import(
        store,
        &[
            arriving,
            with_accession(wanted("N", "2.1", "2.2", "2.3"), "B"),
        ],
    )?;
    assert_eq!(names[0].patient, "99.99-000017");
    assert_eq!(
        [&names[0].study, &names[0].series],
        [&uid(6786), &uid(6787)]
    );
    assert_eq!(names[0].accessions[0], "J-41");
    assert_eq!(names[1].patient, "99.99-000018", "counters rise above");
    assert_eq!(store.originals("J-41")?, [(Space::Accession, phi("A"))]);
    Ok(())
}

fn ways_back(store: &dyn LookupStore) -> Outcome {
    let first = with_accession(wanted("P", "1.1", "1.2", "1.3"), "A");
    assert_eq!(store.pseudonym(Space::Uid, &phi("1.1"))?, None);
    assign(store, &first)?;
    assert_eq!(
        store.pseudonym(Space::Uid, &phi("1.1"))?,
        Some(uid(1)),
        "not durable yet"
    );
    assert_eq!(store.originals(&uid(1))?, [(Space::Uid, phi("1.1"))]);
    store.commit(&[])?;
    for (pseudonym, space, original) in [
        ("99.99-000001", Space::Patient, "P"),
        ("99.99-000000", Space::Patient, ""),
        ("1", Space::Accession, "A"),
        (uid(3).as_str(), Space::Uid, "1.3"),
    ] {
        assert_eq!(
            store.originals(pseudonym)?,
            [(space, phi(original))],
            "{pseudonym}"
        );
        let back = store.pseudonym(space, &phi(original))?;
        assert_eq!(back.as_deref(), Some(pseudonym));
    }
    for nothing in [
        "",
        "2",
        "01",
        "+1",
        "99.99-1",
        "99.99-000002",
        PREFIX,
        &uid(4),
    ] {
        assert_eq!(store.originals(nothing)?, [], "{nothing}");
    }
    Ok(())
}

fn rules_are_kept(store: &dyn LookupStore) -> Outcome {
    assert_eq!(store.rules()?, None);
    let record = |digest: u8, name: &str| RulesRecord {
        digest: [digest; 32],
        name: name.to_owned(),
        text: format!("text of {name}"),
        accepted: "2024-02-29T12:00:00Z".to_owned(),
    };
    store.accept_rules(&record(1, "a"))?;
    store.accept_rules(&record(1, "renamed"))?;
    store.accept_rules(&record(2, "b"))?;
    store.accept_rules(&record(1, "a"))?;
    assert_eq!(store.rules()?, Some(record(1, "a")));
    assert_eq!(
        store.rules_history()?,
        [record(1, "a"), record(2, "b"), record(1, "a")]
    );
    Ok(())
}
