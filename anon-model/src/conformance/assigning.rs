//! Assigning and adopting pseudonyms, and finding both sides of a pair.

use super::{
    Outcome, PREFIX, assign, conflict, import, new_instance, phi, uid, wanted, with_accession,
    with_uids,
};
use crate::{
    AdoptError, AssignError, Assigned, Conflict, Counts, DigestVersion, Fingerprint, GivenNames,
    LookupStore, Phi, Space, StudyConflict, Wanted,
};

pub(super) fn pseudonyms_are_numbered_as_in_v17(store: &dyn LookupStore) -> Outcome {
    assert!(!store.is_frozen()?, "no pseudonym is assigned yet");
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
    // In a known series only the instance gets a number. Without a patient id: the default patient.
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
    // In a new series of a known study, series and instance get numbers.
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
    patient_numbers_grow_past_six_digits(store)
}

fn patient_numbers_grow_past_six_digits(store: &dyn LookupStore) -> Outcome {
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

pub(super) fn a_uid_has_one_pseudonym_in_every_role(store: &dyn LookupStore) -> Outcome {
    // Study, series and frame of reference have one UID (fault 10).
    let names = import(
        store,
        &[with_uids(wanted("P", "1.1", "1.1", "1.3"), &["1.1", "1.5"])],
    )?;
    let names = &names[0];
    assert_eq!(names.study, names.series);
    assert_eq!(names.study, names.uids[0]);
    let distinct = [&names.study, &names.instance, &names.uids[1]];
    assert_eq!(distinct, [&uid(1), &uid(2), &uid(3)]);
    // The SOP instance has the UID of its study.
    let odd = import(store, &[wanted("P", "1.1", "1.1", "1.1")])?;
    assert_eq!(odd[0].instance, uid(1));
    assert_eq!(store.totals()?.instances, 2);
    Ok(())
}

pub(super) fn a_referenced_instance_keeps_its_pseudonym_when_it_arrives(
    store: &dyn LookupStore,
) -> Outcome {
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

pub(super) fn numbers_of_abandoned_instances_are_not_reused(store: &dyn LookupStore) -> Outcome {
    let failed = wanted("P", "1.1", "1.2", "1.3");
    assert_eq!(assign(store, &failed)?.instance, uid(3));
    store.abandon(&failed);
    let next = import(store, &[wanted("P", "1.1", "1.2", "1.4")])?;
    assert_eq!(next[0].instance, uid(4));
    let again = import(store, &[failed])?;
    assert_eq!(again[0].instance, uid(3), "one original, one pseudonym");
    Ok(())
}

pub(super) fn names_that_rules_compute_are_kept_and_never_shared(
    store: &dyn LookupStore,
) -> Outcome {
    let given = |name: &str, uids: [&str; 3]| {
        let [study, series, instance] = uids.map(|uid| Some(uid.to_owned()));
        GivenNames {
            patient: Some(name.to_owned()),
            study,
            series,
            instance,
        }
    };
    let with = |wanted: Wanted, given: GivenNames| Wanted { given, ..wanted };
    let first = with(
        wanted("P", "1.1", "1.2", "1.3"),
        given("TRIAL-7", ["8.1", "8.2", "8.3"]),
    );
    let names = import(store, std::slice::from_ref(&first))?;
    let names = [
        &names[0].patient,
        &names[0].study,
        &names[0].series,
        &names[0].instance,
    ];
    assert_eq!(names, ["TRIAL-7", "8.1", "8.2", "8.3"]);
    assert_eq!(store.originals("TRIAL-7")?, [(Space::Patient, phi("P"))]);
    assert_eq!(store.originals("8.3")?, [(Space::Uid, phi("1.3"))]);
    // The same names again, and a second instance of the series.
    let second = with(
        wanted("P", "1.1", "1.2", "1.4"),
        given("TRIAL-7", ["8.1", "8.2", "8.4"]),
    );
    assert_eq!(import(store, &[second])?[0].instance, "8.4");

    let refused = |wanted: Wanted, given: GivenNames| -> Outcome<Conflict> {
        let before = store.counts()?;
        let refused = store.assign(&with(wanted, given));
        assert_eq!(store.counts()?, before, "nothing is left");
        match refused {
            Err(AssignError::Conflict(conflict)) => Ok(conflict),
            other => Err(format!("not refused: {other:?}").into()),
        }
    };
    let other = || wanted("Q", "2.1", "2.2", "2.3");
    let taken = refused(other(), given("TRIAL-7", ["9.1", "9.2", "9.3"]))?;
    assert!(matches!(
        taken,
        Conflict::GivenTaken {
            space: Space::Patient
        }
    ));
    let taken = refused(other(), given("TRIAL-8", ["9.1", "9.2", "8.3"]))?;
    assert!(matches!(taken, Conflict::GivenTaken { space: Space::Uid }));
    let differs = refused(
        wanted("P", "1.1", "1.2", "1.5"),
        given("TRIAL-9", ["8.1", "8.2", "8.5"]),
    )?;
    let known = "TRIAL-7".to_owned();
    let space = Space::Patient;
    assert_eq!(differs, Conflict::GivenDiffers { space, known });
    for patient in ["99.99-000005", "", "a/b", ".."] {
        let form = refused(other(), given(patient, ["9.1", "9.2", "9.3"]))?;
        assert!(
            matches!(
                form,
                Conflict::GivenForm {
                    space: Space::Patient
                }
            ),
            "{patient}"
        );
    }
    let form = refused(other(), given("TRIAL-8", ["9.1", "9.2", "no uid"]))?;
    assert!(matches!(form, Conflict::GivenForm { space: Space::Uid }));
    // The project's own pseudonyms go on beside them.
    let names = import(store, &[other()])?;
    assert_eq!(
        (&*names[0].patient, &names[0].study),
        ("99.99-000001", &uid(1))
    );
    Ok(())
}

pub(super) fn contradictions_to_the_index_are_refused(store: &dyn LookupStore) -> Outcome {
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
        "a refused instance gets no pseudonyms"
    );
    Ok(())
}

pub(super) fn contradictions_to_uncommitted_instances_are_refused(
    store: &dyn LookupStore,
) -> Outcome {
    let first = wanted("P", "1.1", "1.2", "1.3");
    let second = wanted("P", "1.1", "1.2", "1.4");
    assign(store, &first)?;
    assign(store, &second)?;
    let other = wanted("Q", "1.1", "1.2", "1.5");
    conflict(store, &other)?;
    store.abandon(&first);
    conflict(store, &other)?;
    store.abandon(&second);
    // A second abandon does not release the relations of another instance.
    assign(store, &first)?;
    store.abandon(&second);
    conflict(store, &other)?;
    store.abandon(&first);
    import(store, &[other])?;
    conflict(store, &first)?;
    Ok(())
}

pub(super) fn a_study_conflict_can_be_filed_under_the_first_patient(
    store: &dyn LookupStore,
) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let mut other = wanted("Q", "1.1", "1.2", "1.4");
    other.study_conflict = StudyConflict::First;
    let names = import(store, &[other.clone()])?;
    assert_eq!(names[0].patient, "99.99-000001");
    assert_eq!(names[0].filed_under, Some(phi("P")));
    assert_eq!(store.totals()?.patients, 1);
    let Assigned::Duplicate(again) = store.assign(&other)? else {
        return Err("a copy was assigned as a new instance".into());
    };
    assert_eq!(again.patient, "99.99-000001");
    Ok(())
}

pub(super) fn copies_are_duplicates_and_other_content_is_refused(
    store: &dyn LookupStore,
) -> Outcome {
    let first = with_uids(wanted("P", "1.1", "1.2", "1.3"), &["1.4"]);
    let names = assign(store, &first)?;
    let mut differs = first.clone();
    differs.fingerprint.length += 1;
    let refusal = Conflict::InstanceDiffers { instance: uid(3) };
    assert_eq!(conflict(store, &differs)?, refusal, "not committed");
    let group = store.commit(&[new_instance(&first, names.clone())])?;
    store.settle(group, &[])?;
    assert_eq!(conflict(store, &differs)?, refusal, "stored");
    assert_eq!(store.assign(&first)?, Assigned::Duplicate(names.clone()));
    assert_eq!(store.totals()?.instances, 1);
    let stored = store
        .stored_instance(&first.instance)?
        .ok_or("not stored")?;
    assert_eq!(stored.fingerprint, first.fingerprint);
    let path = [names.patient, names.study, names.series, names.instance];
    assert_eq!(stored.names, path);
    assert_eq!(store.stored_instance(&phi("1.2"))?, None, "a series");
    Ok(())
}

/// Digests of two versions cannot be compared, so a repeat of an earlier record is no conflict.
pub(super) fn a_digest_is_compared_with_one_of_its_version(store: &dyn LookupStore) -> Outcome {
    let mut earlier = wanted("P", "1.1", "1.2", "1.3");
    earlier.fingerprint.version = DigestVersion::V1;
    import(store, std::slice::from_ref(&earlier))?;
    let mut again = earlier.clone();
    again.fingerprint = Fingerprint {
        digest: [9; 16],
        version: DigestVersion::V2,
        ..earlier.fingerprint
    };
    assert!(matches!(store.assign(&again)?, Assigned::Duplicate(_)));
    again.fingerprint.length += 2;
    let refusal = Conflict::InstanceDiffers { instance: uid(3) };
    assert_eq!(conflict(store, &again)?, refusal);
    earlier.fingerprint.digest = [9; 16];
    assert_eq!(conflict(store, &earlier)?, refusal);
    let stored = store
        .stored_instance(&earlier.instance)?
        .ok_or("not stored")?;
    assert_eq!(stored.fingerprint.version, DigestVersion::V1);
    Ok(())
}

/// No study would refer to the new pairs, so they would stay when the instance is deleted.
pub(super) fn a_repeat_with_new_originals_is_no_duplicate_and_leaves_nothing(
    store: &dyn LookupStore,
) -> Outcome {
    let first = with_uids(wanted("P", "1.1", "1.2", "1.3"), &["1.4"]);
    let names = import(store, std::slice::from_ref(&first))?;
    let counts = store.counts()?;
    let other = with_accession(with_uids(first.clone(), &["1.4", "1.5"]), "A");
    let refusal = Conflict::InstanceDiffers { instance: uid(3) };
    assert_eq!(conflict(store, &other)?, refusal);
    assert_eq!(store.counts()?, counts);
    assert_eq!(store.pseudonym(Space::Uid, &phi("1.5"))?, None);
    assert_eq!(store.pseudonym(Space::Accession, &phi("A"))?, None);
    assert_eq!(store.assign(&first)?, Assigned::Duplicate(names[0].clone()));
    let next = import(store, &[wanted("P", "1.1", "1.2", "1.6")])?;
    assert_eq!(next[0].instance, uid(5), "no number was used up");
    Ok(())
}

pub(super) fn pairs_are_adopted(store: &dyn LookupStore) -> Outcome {
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
    assert_eq!(
        names[1].patient, "99.99-000018",
        "the counter rises above an adopted number"
    );
    assert_eq!(store.originals("J-41")?, [(Space::Accession, phi("A"))]);
    Ok(())
}

pub(super) fn both_sides_of_a_pair_are_found(store: &dyn LookupStore) -> Outcome {
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
