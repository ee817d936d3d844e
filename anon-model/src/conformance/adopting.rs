//! Adopting studies that another program de-identified.

use super::{Outcome, assign, import, new_instance, phi, study_rows, uid, wanted, with_accession};
use crate::{
    AdoptError, Adopted, Adopting, Assigned, Counts, ExternalStudy, LookupStore, NotAdopted,
    PatientPhi, Remedy, Space, StudyPhi, Totals,
};

/// A study of patient `number` with the pseudonym `uid(study)`, whose dates moved by `days`.
fn external_study(number: u32, study: u64, days: i32) -> ExternalStudy {
    let id = phi(&format!("J{number}"));
    ExternalStudy {
        patient_key: id.clone(),
        patient_name: format!("99.99-{number:06}"),
        study_uid: phi(&format!("9.{study}")),
        study_name: uid(study),
        accession_name: study.to_string(),
        patient: PatientPhi {
            id,
            name: phi("ROE^JO"),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            source: phi("elsewhere"),
            date: Some(phi("20040119")),
            date_offset: days,
            accession: Some(phi(&format!("A{study}"))),
            description: None,
        },
    }
}

fn adopt_with(
    store: &dyn LookupStore,
    studies: &[ExternalStudy],
    adopting: Adopting,
) -> Outcome<Vec<Result<Adopted, NotAdopted>>> {
    Ok(store.adopt_studies(studies, &[], adopting)?)
}

/// Adopts studies, none of which may be refused.
fn adopt(store: &dyn LookupStore, studies: &[ExternalStudy]) -> Outcome<Vec<Adopted>> {
    let results = adopt_with(store, studies, Adopting::AllOrNothing)?;
    Ok(results.into_iter().collect::<Result<_, _>>()?)
}

/// Two studies of patient 17 and one of patient 3.
fn three_studies() -> [ExternalStudy; 3] {
    [
        external_study(17, 40, -70),
        external_study(17, 6786, -70),
        external_study(3, 12, -5),
    ]
}

pub(super) fn studies_are_adopted_once(store: &dyn LookupStore) -> Outcome {
    let all = three_studies();
    let repeated = [&all[..], &all[..1]].concat();
    let checked = adopt_with(store, &repeated, Adopting::Nothing)?;
    assert_eq!(checked.iter().filter(|result| result.is_ok()).count(), 4);
    assert!(!store.is_frozen()?, "`Adopting::Nothing` changes nothing");
    let new = [Adopted::New; 3];
    assert_eq!(
        adopt(store, &repeated)?,
        [&new[..], &[Adopted::Known]].concat()
    );
    assert_eq!(adopt(store, &repeated)?, [Adopted::Known; 4]);
    let rows = study_rows(store)?;
    let brief = rows
        .iter()
        .map(|row| (row.patient.as_str(), row.study.clone()));
    let expected = [
        ("99.99-000003", uid(12)),
        ("99.99-000017", uid(40)),
        ("99.99-000017", uid(6786)),
    ];
    assert!(brief.eq(expected), "{rows:?}");
    assert_eq!(rows[1].accession.as_deref(), Some("40"));
    assert_eq!(
        (rows[1].phi.date_offset, rows[1].series, rows[1].instances),
        (-70, 0, 0)
    );
    let totals = Totals {
        patients: 2,
        studies: 3,
        ..Totals::default()
    };
    assert_eq!(store.totals()?, totals, "no instance is stored yet");
    let counts = Counts {
        patients: 2,
        uids: 3,
        accessions: 3,
    };
    assert_eq!(store.counts()?, counts);
    Ok(())
}

pub(super) fn instances_of_adopted_studies(store: &dyn LookupStore) -> Outcome {
    adopt(store, &three_studies())?;
    // Instances of an adopted study, of a new study of an adopted patient, and of a new patient.
    let old = with_accession(wanted("J17", "9.40", "1.2", "1.3"), "A40");
    let later = wanted("J17", "2.1", "2.2", "2.3");
    let other = wanted("P", "3.1", "3.2", "3.3");
    let names = import(store, &[old.clone(), later, other])?;
    assert_eq!(names[0].patient, "99.99-000017");
    assert_eq!([&names[0].study, &names[0].accessions[0]], [&uid(40), "40"]);
    let offsets = names.iter().map(|names| names.date_offset);
    assert!(offsets.eq([Some(-70), Some(-70), None]));
    assert_eq!(names[2].patient, "99.99-000018");
    let Assigned::Duplicate(names) = store.assign(&old)? else {
        return Err("a copy was assigned as a new instance".into());
    };
    assert_eq!(
        names.date_offset,
        Some(-70),
        "a duplicate has the offset too"
    );
    let totals = store.totals()?;
    assert_eq!(
        [totals.patients, totals.studies, totals.instances],
        [3, 5, 3]
    );
    let first = store.study(&uid(40))?.ok_or("no row")?;
    assert_eq!((first.instances, first.phi.source), (1, phi("elsewhere")));
    Ok(())
}

pub(super) fn all_or_nothing(store: &dyn LookupStore) -> Outcome {
    let mut bad = external_study(2, 20, -1);
    bad.study_name = "no uid".into();
    let all = [external_study(1, 10, -1), bad, external_study(3, 30, -1)];
    let refused = adopt_with(store, &all, Adopting::AllOrNothing)?;
    assert!(matches!(
        refused[1],
        Err(NotAdopted::Pair {
            space: Space::Uid,
            problem: AdoptError::Form { .. }
        })
    ));
    assert!(!store.is_frozen()?, "nothing was adopted");
    assert_eq!(store.counts()?, Counts::default());
    assert!(study_rows(store)?.is_empty());
    assert_eq!(store.pseudonym(Space::Patient, &phi("J1"))?, None);
    let adopted = adopt_with(store, &all, Adopting::WhatCanBe)?;
    let adopted: Vec<bool> = adopted.iter().map(Result::is_ok).collect();
    assert_eq!(adopted, [true, false, true]);
    assert_eq!(study_rows(store)?.len(), 2);
    Ok(())
}

/// Checks that a study is refused for this reason, and changes nothing.
fn check_refused(store: &dyn LookupStore, study: ExternalStudy, expect: &str) -> Outcome {
    let counts = store.counts()?;
    let result = adopt_with(store, &[study], Adopting::WhatCanBe)?.pop();
    let refused = result.ok_or("no result")?.err().ok_or(expect.to_owned())?;
    assert_eq!(refused.to_string(), expect);
    assert_eq!(store.counts()?, counts, "{expect}");
    Ok(())
}

/// A study of the patient that was imported here with an offset of -7 days.
fn study_of_imported_patient(study: u64, days: i32) -> ExternalStudy {
    ExternalStudy {
        patient_key: phi("P"),
        patient_name: "99.99-000001".into(),
        ..external_study(41, study, days)
    }
}

pub(super) fn contradicting_pairs_are_refused(store: &dyn LookupStore) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    adopt(store, &[external_study(40, 40, -70)])?;
    let check = |change: &dyn Fn(&mut ExternalStudy), expect: &str| {
        let mut study = external_study(41, 41, -70);
        change(&mut study);
        check_refused(store, study, expect)
    };
    check(
        &|study| study.patient_key = phi("J40"),
        "patient: this original already has the pseudonym 99.99-000040",
    )?;
    check(
        &|study| study.patient_name = "99.99-000040".into(),
        "patient: the pseudonym 99.99-000040 belongs to another original",
    )?;
    check(
        &|study| study.study_uid = phi("9.40"),
        &format!("study: this original already has the pseudonym {}", uid(40)),
    )?;
    let expect = format!(
        "study: the pseudonym {} belongs to another original",
        uid(3)
    );
    check(&|study| study.study_name = uid(3), &expect)?;
    check(
        &|study| study.accession_name = "40".into(),
        "accession number: the pseudonym 40 belongs to another original",
    )?;
    check(
        &|study| (study.study_uid, study.study_name) = (phi("9.40"), uid(40)),
        "the study belongs to patient 99.99-000040",
    )?;
    check(
        &|study| study.patient_key = phi(""),
        "patient: this original already has the pseudonym 99.99-000000",
    )?;
    check(
        &|study| study.patient_name = "99.99-000000".into(),
        "patient: the pseudonym 99.99-000000 belongs to another original",
    )?;
    check(
        &|study| study.study_name = uid(999_999_999_999_999),
        "study: the number in the pseudonym is too high",
    )
}

pub(super) fn contradicting_offsets_are_refused(store: &dyn LookupStore) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    adopt(store, &[external_study(40, 40, -70)])?;
    check_refused(
        store,
        external_study(40, 41, 70),
        "the dates of patient 99.99-000040 already move by -70 days",
    )?;
    check_refused(
        store,
        study_of_imported_patient(41, -70),
        "the dates of patient 99.99-000001 already move by -7 days",
    )?;
    // A study that agrees is adopted. The patient without an id has no offset.
    let mut shared = external_study(0, 42, 12);
    shared.patient_key = phi("");
    let agree = [study_of_imported_patient(41, -7), shared];
    assert_eq!(adopt(store, &agree)?, [Adopted::New; 2]);
    let names = assign(store, &wanted("", "5.1", "5.2", "5.3"))?;
    assert_eq!(
        (names.patient.as_str(), names.date_offset),
        ("99.99-000000", None)
    );
    let names = assign(store, &wanted("P", "6.1", "6.2", "6.3"))?;
    assert_eq!(names.date_offset, Some(-7));
    Ok(())
}

pub(super) fn uncommitted_instances_delay_adoption(store: &dyn LookupStore) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let next = wanted("P", "6.1", "6.2", "6.3");
    assign(store, &next)?;
    let studies = [study_of_imported_patient(43, -7)];
    let busy = store.adopt_studies(&studies, &[], Adopting::AllOrNothing);
    assert_eq!(busy.err().map(|error| error.remedy), Some(Remedy::Retry));
    store.abandon(&next);
    assert_eq!(adopt(store, &studies)?, [Adopted::New]);
    Ok(())
}

pub(super) fn numbers_are_not_assigned_again(store: &dyn LookupStore) -> Outcome {
    let mut nameless = external_study(7, 6786, -1);
    // Without an original there is no pair, but the number is reserved.
    nameless.study.accession = None;
    nameless.accession_name = "77".into();
    let mut refused = external_study(9, 6000, -1);
    refused.study_uid = phi("");
    refused.accession_name = "78".into();
    let used = [
        (Space::Patient, "99.99-000012".to_owned()),
        (Space::Uid, "not ours".to_owned()),
        (Space::Accession, "J-1".to_owned()),
    ];
    store.adopt_studies(&[nameless, refused], &used, Adopting::WhatCanBe)?;
    let new = with_accession(wanted("P", "1.1", "1.2", "1.3"), "B");
    let names = import(store, &[new])?;
    assert_eq!(names[0].patient, "99.99-000013");
    assert_eq!(names[0].accessions[0], "79");
    assert_eq!(
        names[0].study,
        uid(2_000_001),
        "series and instances of the other program have numbers too"
    );
    Ok(())
}

pub(super) fn rows_stay_until_deleted(store: &dyn LookupStore) -> Outcome {
    adopt(
        store,
        &[external_study(4, 40, -70), external_study(4, 41, -70)],
    )?;
    // Removing an unpublished instance does not remove its adopted study.
    let unpublished = wanted("J4", "9.40", "1.2", "1.3");
    let names = assign(store, &unpublished)?;
    let group = store.commit(&[new_instance(&unpublished, names)])?;
    assert_eq!(store.totals()?.patients, 1);
    store.settle(group, &[0])?;
    let totals = Totals {
        patients: 1,
        studies: 2,
        ..Totals::default()
    };
    assert_eq!(store.totals()?, totals);
    assert_eq!(study_rows(store)?.len(), 2);
    let deleted = store.delete_study(&uid(40))?.ok_or("not deleted")?;
    assert_eq!((deleted.totals.studies, deleted.totals.patients), (1, 0));
    store.settle(deleted.removal.group, &[])?;
    let patient = store.patient("99.99-000004")?.ok_or("no patient")?;
    assert_eq!((patient.studies, patient.instances), (1, 0));
    let deleted = store.delete_patient("99.99-000004")?.ok_or("not deleted")?;
    assert_eq!((deleted.totals.studies, deleted.totals.patients), (1, 1));
    store.settle(deleted.removal.group, &[])?;
    assert!(study_rows(store)?.is_empty());
    // The same original gets a new number, and the offset is deleted with the patient.
    let names = assign(store, &wanted("J4", "5.1", "5.2", "5.3"))?;
    assert_eq!(
        (names.patient.as_str(), names.date_offset),
        ("99.99-000005", None)
    );
    Ok(())
}

/// Deletes all that was adopted, then adopts its pseudonyms for another original and for the same
/// one.
pub(super) fn deleted_pseudonyms_are_not_adopted_again(store: &dyn LookupStore) -> Outcome {
    let mut external = external_study(5, 50, -70);
    (external.patient_name, external.study_name) = ("JAVA-5".into(), "1.7.5".into());
    let all = [external_study(4, 40, -70), external];
    adopt(store, &all)?;
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let patients = [
        ("99.99-000004", "J4"),
        ("JAVA-5", "J5"),
        ("99.99-000005", "P"),
    ];
    for (patient, own) in patients {
        let deleted = store.delete_patient(patient)?.ok_or(patient)?;
        store.settle(deleted.removal.group, &[])?;
        for original in ["Q", own] {
            let refused = store.adopt(Space::Patient, &phi(original), patient);
            let Err(AdoptError::PseudonymDeleted { pseudonym }) = refused else {
                return Err(format!("{patient} was adopted for {original}: {refused:?}").into());
            };
            assert_eq!(pseudonym, patient);
        }
    }
    let deleted = |name: &str| {
        format!(
            "the pseudonym {name} was deleted from this project, or may have been before its lookup \
             store was upgraded, and is never given again: leave it out, and the original gets a new \
             pseudonym, or adopt it into a new project"
        )
    };
    for study in all {
        let expect = format!("patient: {}", deleted(&study.patient_name));
        check_refused(store, study.clone(), &expect)?;
        let (number, name) = (study.study_name.clone(), study.patient_name.clone());
        let other_study = ExternalStudy {
            patient_key: phi("Q"),
            study_uid: phi("9.9"),
            patient_name: "99.99-000002".into(),
            ..study
        };
        check_refused(store, other_study, &format!("study: {}", deleted(&number)))?;
        assert_eq!(store.originals(&name)?, []);
    }
    // Numbers of UIDs that an object was given, and a number that nobody was given yet.
    let refused = store.adopt(Space::Uid, &phi("7.7"), &uid(2_000_002));
    assert!(matches!(refused, Err(AdoptError::PseudonymDeleted { .. })));
    store.adopt(Space::Patient, &phi("Q"), "99.99-000002")?;
    let names = assign(store, &wanted("P", "1.1", "1.2", "1.3"))?;
    assert_eq!(
        [names.patient, names.study],
        ["99.99-000006".to_owned(), uid(2_000_004)],
        "the same original gets new numbers"
    );
    Ok(())
}
