//! Commits, settling, and the history of the rules.

use super::{Outcome, assign, commit, import, new_instance, phi, wanted};
use crate::{LookupStore, Names, RemarkReason, RulesRecord, Totals, Wanted};

pub(super) fn totals_change_with_a_commit(store: &dyn LookupStore) -> Outcome {
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
    // The patient without an id is counted, because it has a row.
    import(store, &[wanted("", "2.1", "2.2", "2.3")])?;
    let totals = store.totals()?;
    assert_eq!(
        [totals.patients, totals.studies, totals.instances],
        [2, 2, 2]
    );
    let unassigned = new_instance(&wanted("X", "9.1", "9.2", "9.3"), Names::default());
    assert!(store.commit(&[unassigned]).is_err(), "never assigned");
    assert_eq!(store.totals()?, totals);
    Ok(())
}

pub(super) fn unpublished_instances_are_removed(store: &dyn LookupStore) -> Outcome {
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
    assert_eq!(again, names, "the pseudonyms stay assigned");
    Ok(())
}

pub(super) fn remarks_are_summed_over_the_instances_in_the_index(
    store: &dyn LookupStore,
) -> Outcome {
    const CONTENT_DATE: u32 = 0x0008_0023;
    let sum = || -> Outcome<Vec<(u32, u64)>> {
        let remarks = store.remarks()?;
        Ok(remarks.iter().map(|one| (one.tag, one.count)).collect())
    };
    let remarked = |wanted: &Wanted, tags: &[u32]| -> Outcome<_> {
        let mut instance = new_instance(wanted, assign(store, wanted)?);
        for tag in tags {
            instance.remarks.add(RemarkReason::NotADate, *tag);
        }
        Ok(instance)
    };
    let first = wanted("P", "1.1", "1.2", "1.3");
    let second = wanted("P", "2.1", "2.2", "2.3");
    let lost = wanted("P", "1.1", "1.2", "1.4");
    let group = store.commit(&[
        remarked(&first, &[CONTENT_DATE, CONTENT_DATE])?,
        remarked(&second, &[CONTENT_DATE, 1])?,
        remarked(&lost, &[CONTENT_DATE, 2])?,
    ])?;
    assert_eq!(sum()?, [(1, 1), (2, 1), (CONTENT_DATE, 4)]);
    store.settle(group, &[2])?;
    assert_eq!(sum()?, [(1, 1), (CONTENT_DATE, 3)], "unpublished");
    import(store, &[wanted("P", "1.1", "1.2", "1.5")])?;
    assert_eq!(sum()?, [(1, 1), (CONTENT_DATE, 3)], "without remarks");
    let study = store.study(&super::uid(1))?.ok_or("no study")?;
    assert_eq!(study.study_uid, first.study);
    let deleted = store.delete_study(&study.study)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(sum()?, [(1, 1), (CONTENT_DATE, 1)], "deleted");
    Ok(())
}

pub(super) fn intents_stay_until_settled(store: &dyn LookupStore) -> Outcome {
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

pub(super) fn rules_history_is_kept(store: &dyn LookupStore) -> Outcome {
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
