//! Deleting studies and patients.

use super::{
    Outcome, assign, conflict, import, new_instance, phi, uid, wanted, with_accession, with_uids,
};
use crate::{AdoptError, AssignError, LookupStore, Remedy, Space};

pub(super) fn deleting_a_study(store: &dyn LookupStore) -> Outcome {
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
    assert_eq!(again[0].study, uid(8), "new numbers");
    assert_eq!(again[0].uids[0], uid(4), "other UIDs stay");
    assert_eq!(again[0].accessions[0], "1");
    assert_eq!(again[0].patient, "99.99-000001");
    Ok(())
}

pub(super) fn deleting_a_patient(store: &dyn LookupStore) -> Outcome {
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

pub(super) fn deleting_keeps_pseudonyms_that_others_use(store: &dyn LookupStore) -> Outcome {
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

pub(super) fn deleting_while_instances_are_processed(store: &dyn LookupStore) -> Outcome {
    import(store, &[wanted("P", "1.1", "1.2", "1.3")])?;
    let uncommitted = wanted("P", "1.1", "1.2", "1.4");
    let names = assign(store, &uncommitted)?;
    assert!(store.delete_study(&uid(1)).is_err(), "not committed");
    let group = store.commit(&[new_instance(&uncommitted, names)])?;
    assert!(store.delete_study(&uid(1)).is_err(), "not settled");
    assert_eq!(store.totals()?.instances, 2);
    store.settle(group, &[])?;
    // An instance of another study keeps the patient's pseudonym.
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

/// With keyed pseudonyms an original gets its own again, and nobody else gets them.
pub(super) fn computed_pseudonyms_come_back_to_their_original(store: &dyn LookupStore) -> Outcome {
    let first = wanted("P", "1.1", "1.2", "1.3");
    let before = import(store, std::slice::from_ref(&first))?.remove(0);
    let deleted = store
        .delete_patient(&before.patient)?
        .ok_or("not deleted")?;
    // Until its files are removed, a new object would be stored among them and removed with them.
    let counts = store.counts()?;
    match store.assign(&first) {
        Err(AssignError::Backend(error)) => assert_eq!(error.remedy, Remedy::Retry),
        other => return Err(format!("{other:?} while files are being removed").into()),
    }
    assert_eq!(store.counts()?, counts, "nothing was assigned");
    store.settle(deleted.removal.group, &[])?;
    for (space, name) in [
        (Space::Patient, &before.patient),
        (Space::Uid, &before.study),
    ] {
        let refused = store.adopt(space, &phi("7.7"), name);
        assert!(
            matches!(&refused, Err(AdoptError::PseudonymDeleted { pseudonym }) if pseudonym == name),
            "{refused:?}"
        );
    }
    store.adopt(Space::Patient, &phi("P"), &before.patient)?;
    let again = import(store, &[first])?.remove(0);
    assert_eq!(again, before);
    Ok(())
}
