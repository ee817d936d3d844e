//! The values that the index captures, where instances differ, and the way back to studies.

use std::ops::ControlFlow;

use super::{Outcome, Store, assign, import, new_instance, phi, study_rows, uid, wanted};
use crate::{
    Clash, ClashKind, LookupStore, NewInstance, Phi, Space, StudyConflict, StudyRow, Wanted,
};

/// An instance of patient `P`, of a study with series and instance.
fn instance(patient: &str, study: &str, number: u32) -> Wanted {
    let series = format!("{study}.0");
    wanted(patient, study, &series, &format!("{study}.0.{number}"))
}

fn with_accessions(mut wanted: Wanted, accessions: &[&str]) -> Wanted {
    wanted.accessions = accessions.iter().map(|text| phi(text)).collect();
    wanted
}

/// Assigns an instance, and sets what is captured of it.
fn assigned(
    store: &dyn LookupStore,
    wanted: &Wanted,
    set: impl FnOnce(&mut NewInstance),
) -> Outcome<NewInstance> {
    let names = assign(store, wanted)?;
    let mut new = new_instance(wanted, names);
    let texts: Vec<&str> = wanted
        .accessions
        .iter()
        .map(|text| text.expose().as_str())
        .collect();
    new.study.accession = (!texts.is_empty()).then(|| phi(&texts.join("\\")));
    set(&mut new);
    Ok(new)
}

fn named(name: &'static str) -> impl FnOnce(&mut NewInstance) {
    move |new| new.patient.name = phi(name)
}

/// Commits each instance in a group of its own, in this order.
fn commit_each(store: &dyn LookupStore, instances: Vec<NewInstance>) -> Outcome {
    for new in instances {
        let group = store.commit(&[new])?;
        store.settle(group, &[])?;
    }
    Ok(())
}

fn clashes(store: &dyn LookupStore) -> Outcome<Vec<Clash>> {
    let mut clashes = Vec::new();
    store.clashes(&mut |clash| {
        clashes.push(clash);
        ControlFlow::Continue(())
    })?;
    for kind in ClashKind::ALL {
        let listed = clashes.iter().filter(|clash| clash.kind == kind).count();
        assert_eq!(store.clash_count(kind)?, listed as u64, "{kind:?}");
    }
    Ok(clashes)
}

fn originals(clash: &Clash) -> Vec<&str> {
    let values = clash.values.iter();
    values
        .map(|value| value.original.expose().as_str())
        .collect()
}

fn names_of(rows: &[StudyRow]) -> Vec<&str> {
    let names = rows
        .iter()
        .map(|row| row.patient_phi.name.expose().as_str());
    names.collect()
}

pub(super) fn values_are_those_of_the_instance_assigned_first(store: &dyn LookupStore) -> Outcome {
    let mut all = Vec::new();
    for (study, number, name) in [("1", 1, "A"), ("2", 1, "B"), ("1", 2, "C"), ("3", 1, "D")] {
        let wanted = with_accessions(instance("P", study, number), &[name]);
        let new = assigned(store, &wanted, |new| {
            new.patient.name = phi(name);
            new.patient.sex = Some(phi(name));
            new.study.source = phi(name);
            new.study.description = Some(phi(name));
            new.series.description = Some(phi(name));
        })?;
        all.push(new);
    }
    all.reverse();
    commit_each(store, all)?;
    let rows = study_rows(store)?;
    assert_eq!(names_of(&rows), ["A", "B", "D"]);
    let uids: Vec<&str> = rows
        .iter()
        .map(|row| row.study_uid.expose().as_str())
        .collect();
    assert_eq!(uids, ["1", "2", "3"]);
    assert!(rows.is_sorted_by_key(|row| row.first_seen));
    assert_eq!(rows[0].phi.source, phi("A"));
    assert_eq!(rows[0].phi.description, Some(phi("A")));
    assert_eq!(rows[0].patient_phi.sex, Some(phi("A")));
    assert_eq!(rows[0].phi.accession, Some(phi("A\\C")));
    assert_eq!(rows[0].accession.as_deref(), Some("1\\3"));
    let patient = store.patient(&rows[0].patient)?.ok_or("no patient")?;
    assert_eq!(patient.phi.name, phi("A"));
    assert_eq!(
        super::series_rows(store, &uid(1))?[0].phi.description,
        Some(phi("A"))
    );
    // A later session goes on behind them.
    import(store, &[instance("P", "1", 3), instance("P", "4", 1)])?;
    assert_eq!(names_of(&study_rows(store)?), ["A", "B", "D", "DOE^JANE"]);
    Ok(())
}

pub(super) fn no_study_has_the_name_of_another(store: &dyn LookupStore) -> Outcome {
    let all = [
        assigned(store, &instance("", "1", 1), named("ALPHA^ANNE"))?,
        assigned(store, &instance("", "2", 1), named("BETA^BOB"))?,
        assigned(store, &instance("P", "3", 1), named("GAMMA^CARL"))?,
        assigned(store, &instance("P", "4", 1), named("DELTA^DORA"))?,
    ];
    commit_each(store, all.to_vec())?;
    let rows = study_rows(store)?;
    let names = ["ALPHA^ANNE", "BETA^BOB", "GAMMA^CARL", "DELTA^DORA"];
    assert_eq!(names_of(&rows), names);
    assert_eq!(rows[3].patient_phi.id, phi("P"));
    let shared = store.patient("99.99-000000")?.ok_or("no patient")?;
    assert_eq!(shared.phi, crate::PatientPhi::default());
    // When the study is deleted that the patient's values are of, they are those of the other.
    let deleted = store.delete_study(&rows[2].study)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    let patient = store.patient(&rows[3].patient)?.ok_or("no patient")?;
    assert_eq!(
        (patient.phi.id, patient.phi.name),
        (phi("P"), phi("DELTA^DORA"))
    );
    assert_eq!(clashes(store)?, [], "one name is left");
    Ok(())
}

/// The first instance of the study names another patient, so a later one gives the patient's values.
pub(super) fn a_patient_does_not_keep_the_name_of_a_deleted_study(
    store: &dyn LookupStore,
) -> Outcome {
    let abandoned = instance("P", "1", 1);
    assign(store, &abandoned)?;
    let mut of_other = instance("Q", "1", 2);
    of_other.study_conflict = StudyConflict::First;
    let of_other = assigned(store, &of_other, named("OTHER^OLA"))?;
    store.abandon(&abandoned);
    let all = vec![
        of_other,
        assigned(store, &instance("P", "1", 3), named("GONE^GUS"))?,
        assigned(store, &instance("P", "2", 1), named(""))?,
    ];
    commit_each(store, all)?;
    let rows = study_rows(store)?;
    let patient = || -> Outcome<String> {
        let row = store.patient(&rows[0].patient)?.ok_or("no patient")?;
        Ok(row.phi.name.into_exposed())
    };
    assert_eq!(patient()?, "GONE^GUS");
    let deleted = store.delete_study(&rows[0].study)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(patient()?, "");
    Ok(())
}

/// Instances of a group are committed in any order.
pub(super) fn accession_numbers_have_the_order_of_assignment_within_a_group(
    store: &dyn LookupStore,
) -> Outcome {
    let mut all = Vec::new();
    for (number, accession) in (1..).zip(["A", "B", "C", "B"]) {
        let wanted = with_accessions(instance("P", "1", number), &[accession]);
        all.push(assigned(store, &wanted, |_| {})?);
    }
    // The second and the fourth have one number, and the fourth is committed first.
    all.swap(2, 3);
    all.swap(1, 2);
    let group = store.commit(&all)?;
    store.settle(group, &[])?;
    let row = study_rows(store)?.pop().ok_or("no row")?;
    assert_eq!(row.phi.accession, Some(phi("A\\B\\C")));
    Ok(())
}

pub(super) fn clashes_are_found_and_end_with_their_studies(store: &dyn LookupStore) -> Outcome {
    let born =
        |date: &'static str| move |new: &mut NewInstance| new.patient.birth_date = Some(phi(date));
    let dated = |date: &'static str| move |new: &mut NewInstance| new.study.date = Some(phi(date));
    let all = vec![
        // The same name, once with empty components; and none.
        assigned(store, &instance("P", "1", 1), named("ROE^JO"))?,
        assigned(store, &instance("P", "1", 2), named("ROE^JO^^"))?,
        assigned(store, &instance("P", "2", 1), named(""))?,
        assigned(
            store,
            &with_accessions(instance("P", "1", 3), &["A"]),
            born("19500102"),
        )?,
        assigned(
            store,
            &with_accessions(instance("P", "2", 2), &["A", "B"]),
            born("19500103"),
        )?,
        assigned(
            store,
            &with_accessions(instance("Q", "3", 1), &["A"]),
            dated("20240101"),
        )?,
        assigned(
            store,
            &with_accessions(instance("Q", "3", 2), &["A"]),
            dated("20240102"),
        )?,
    ];
    commit_each(store, all)?;
    let found = clashes(store)?;
    let kinds = |found: &[Clash]| found.iter().map(|clash| clash.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&found), ClashKind::ALL);
    let patient = "99.99-000001".to_owned();
    assert_eq!(
        (&found[0].pseudonym, &found[1].pseudonym),
        (&patient, &patient)
    );
    // The fourth and the fifth instance have the name of the default.
    assert_eq!(originals(&found[0]), ["ROE^JO", "DOE^JANE"]);
    assert_eq!(originals(&found[1]), ["19500102", "19500103"]);
    assert_eq!(found[1].values[1].studies.len(), 1);
    let of = |kind: ClashKind| {
        found
            .iter()
            .find(|clash| clash.kind == kind)
            .ok_or("no clash")
    };
    let accessions = of(ClashKind::Accessions)?;
    assert_eq!(originals(accessions), ["A", "B"]);
    assert_eq!(accessions.values[1].pseudonym.as_deref(), Some("2"));
    assert_eq!(accessions.patient.as_ref(), Some(&patient));
    assert_eq!(
        originals(of(ClashKind::StudyDates)?),
        ["20240101", "20240102"]
    );
    let patients = of(ClashKind::AccessionPatients)?;
    assert_eq!(
        (patients.pseudonym.as_str(), originals(patients)),
        ("1", vec!["P", "Q"])
    );
    // Every clash ends with the studies that have it.
    let rows = study_rows(store)?;
    let study = rows
        .iter()
        .find(|row| row.study_uid == phi("2"))
        .ok_or("no study")?;
    let deleted = store.delete_study(&study.study)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    let left = kinds(&clashes(store)?);
    let expected = [
        ClashKind::PatientNames,
        ClashKind::StudyDates,
        ClashKind::AccessionPatients,
    ];
    assert_eq!(left, expected);
    let deleted = store.delete_patient("99.99-000002")?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(kinds(&clashes(store)?), [ClashKind::PatientNames]);
    let deleted = store.delete_patient(&patient)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(clashes(store)?, []);
    Ok(())
}

pub(super) fn clashes_do_not_depend_on_the_order_of_commits(make: &mut super::Make<'_>) -> Outcome {
    let mut results = Vec::new();
    for reversed in [false, true] {
        let store: Store = make(super::identity()?)?;
        let mut all = Vec::new();
        let cases = [
            ("", "A"),
            ("ROE^JO", "A"),
            ("", "B"),
            ("ROE^J", "A"),
            ("ROE^JO", "C"),
        ];
        for (number, (name, accession)) in (1..).zip(cases) {
            let wanted = with_accessions(instance("P", "1", number), &[accession]);
            all.push(assigned(&*store, &wanted, named(name))?);
        }
        if reversed {
            all.reverse();
        }
        commit_each(&*store, all)?;
        let found = clashes(&*store)?;
        let texts: Vec<Vec<String>> = found
            .iter()
            .map(|clash| originals(clash).into_iter().map(str::to_owned).collect())
            .collect();
        let row = study_rows(&*store)?.pop().ok_or("no row")?;
        results.push((
            texts,
            row.accession,
            row.phi.accession.map(Phi::into_exposed),
        ));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].0, [vec!["ROE^JO", "ROE^J"], vec!["A", "B", "C"]]);
    assert_eq!(results[0].1.as_deref(), Some("1\\2\\3"));
    Ok(())
}

pub(super) fn a_pseudonym_leads_to_its_studies(store: &dyn LookupStore) -> Outcome {
    let report = Wanted {
        uids: vec![phi("1.0.1"), phi("7.7")],
        ..with_accessions(instance("P", "2", 1), &["A", "B"])
    };
    let frame = Wanted {
        uids: vec![phi("7.7")],
        ..with_accessions(instance("Q", "3", 1), &["A"])
    };
    let item = with_accessions(instance("Q", "4", 1), &["ITEM"]);
    let mut item = assigned(store, &item, |_| {})?;
    item.accessions.clear();
    let image = assigned(store, &instance("P", "1", 1), |_| {})?;
    let all = vec![
        item,
        image,
        assigned(store, &report, |_| {})?,
        assigned(store, &frame, |_| {})?,
    ];
    commit_each(store, all)?;
    let studies = |space, original: &str| -> Outcome<Vec<String>> {
        let name = store
            .pseudonym(space, &phi(original))?
            .ok_or("no pseudonym")?;
        let mut uids = Vec::new();
        store.studies_with(space, &name, &mut |row| {
            uids.push(row.study_uid.into_exposed());
            ControlFlow::Continue(())
        })?;
        Ok(uids)
    };
    for (space, original, expect) in [
        (Space::Patient, "P", &["1", "2"][..]),
        (Space::Uid, "1", &["1"]),
        (Space::Uid, "1.0", &["1"]),
        (Space::Uid, "1.0.1", &["1", "2"]),
        (Space::Uid, "7.7", &["2", "3"]),
        (Space::Accession, "A", &["2", "3"]),
        (Space::Accession, "B", &["2"]),
        (Space::Accession, "ITEM", &["4"]),
    ] {
        assert_eq!(studies(space, original)?, expect, "{space:?} {original}");
    }
    let mut seen = 0;
    store.studies_with(Space::Accession, "no such number", &mut |_| {
        seen += 1;
        ControlFlow::Continue(())
    })?;
    assert_eq!(seen, 0);
    Ok(())
}
