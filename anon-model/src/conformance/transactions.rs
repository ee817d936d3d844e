//! Commits, settling, and the history of the rules.

use super::{Outcome, assign, commit, conflict, import, new_instance, phi, wanted};
use crate::{
    AssignError, Conflict, Fingerprint, InstanceConflict, LookupStore, Names, NewInstance,
    RemarkReason, Remedy, RulesRecord, Totals, Wanted,
};

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

/// Imports an instance with a remark, and another of its series. Returns its pseudonyms, and a request
/// to replace it by other content.
pub(super) fn replaceable(store: &dyn LookupStore) -> Outcome<(Names, Wanted)> {
    let first = wanted("P", "1.1", "1.2", "1.3");
    let names = assign(store, &first)?;
    let mut instance = new_instance(&first, names.clone());
    instance.remarks.add(RemarkReason::NotADate, 1);
    let group = store.commit(&[instance])?;
    store.settle(group, &[])?;
    import(store, &[wanted("P", "1.1", "1.2", "1.4")])?;
    let mut other = first;
    other.fingerprint.digest = [2; 16];
    other.uids = vec![phi("9.9")];
    let refused = conflict(store, &other)?;
    let is_expected = matches!(refused, Conflict::InstanceDiffers { .. });
    assert!(is_expected, "{refused:?}");
    other.instance_conflict = InstanceConflict::Replace;
    Ok((names, other))
}

/// Returns the replacement that the engine commits: shorter, with another remark.
pub(super) fn replacement(wanted: &Wanted, names: Names) -> NewInstance {
    let mut instance = new_instance(wanted, names);
    instance.output_bytes = 7;
    instance.replaces = Some([9; 16]);
    instance.remarks.add(RemarkReason::NotADate, 2);
    instance
}

/// What the index holds of the instance and of all: its fingerprint, instances, bytes, remarks.
type Held = (Fingerprint, [u64; 2], Vec<u32>);

fn held(store: &dyn LookupStore) -> Outcome<Held> {
    let stored = store.stored_instance(&phi("1.3"))?.ok_or("no instance")?;
    let Totals {
        instances, bytes, ..
    } = store.totals()?;
    let remarks = store.remarks()?.iter().map(|remark| remark.tag).collect();
    Ok((stored.fingerprint, [instances, bytes], remarks))
}

/// Its new pairs would belong to no study.
pub(super) fn nothing_replaces_an_instance_that_was_deleted(store: &dyn LookupStore) -> Outcome {
    let (names, other) = replaceable(store)?;
    let deleted = store.delete_study(&names.study)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    let before = store.counts()?;
    let refused = store.assign(&other).err().ok_or("assigned")?;
    assert!(
        matches!(&refused, AssignError::Backend(error) if error.remedy == Remedy::Retry),
        "{refused:?}"
    );
    store.flush()?;
    assert_eq!(store.counts()?, before);
    Ok(())
}

pub(super) fn an_instance_is_replaced_under_its_pseudonyms(store: &dyn LookupStore) -> Outcome {
    let (names, other) = replaceable(store)?;
    let assigned = assign(store, &other)?;
    let path = |names: &Names| {
        let Names {
            patient,
            study,
            series,
            instance,
            ..
        } = names.clone();
        [patient, study, series, instance]
    };
    assert_eq!(path(&assigned), path(&names));
    let instance = replacement(&other, assigned.clone());
    let pair = [instance.clone(), instance.clone()];
    assert!(store.commit(&pair).is_err(), "it is not alone");
    let group = store.commit(&[instance])?;
    let open = store.unsettled()?;
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].group, open[0].replaces, &open[0].outputs),
        (group, Some([9; 16]), &vec![path(&names)])
    );
    let busy = store.delete_study(&names.study).err();
    assert_eq!(busy.map(|error| error.remedy), Some(Remedy::Retry));
    store.settle(group, &[])?;
    store.flush()?;
    assert!(store.unsettled()?.is_empty());
    assert_eq!(held(store)?, (other.fingerprint, [2, 17], vec![2]));
    // The new object is the duplicate now, and the old one is refused.
    let again = Wanted {
        instance_conflict: InstanceConflict::Refuse,
        ..other
    };
    let known = store.assign(&again)?;
    assert_eq!(known, crate::Assigned::Duplicate(assigned));
    conflict(store, &wanted("P", "1.1", "1.2", "1.3"))?;
    let deleted = store.delete_study(&names.study)?.ok_or("not deleted")?;
    assert_eq!((deleted.totals.instances, deleted.totals.bytes), (2, 17));
    Ok(())
}

pub(super) fn a_replacement_that_is_not_published_leaves_the_instance_before(
    store: &dyn LookupStore,
) -> Outcome {
    let (_, other) = replaceable(store)?;
    let before = held(store)?;
    assert_eq!(before.1, [2, 20]);
    let names = assign(store, &other)?;
    let group = store.commit(&[replacement(&other, names)])?;
    assert_ne!(held(store)?, before);
    assert!(store.settle(group, &[1]).is_err(), "it has one position");
    store.settle(group, &[0])?;
    assert_eq!(held(store)?, before);
    assert!(store.unsettled()?.is_empty());
    store.settle(group, &[0])?;
    assert_eq!(held(store)?, before, "settling twice changes nothing");
    import(store, &[wanted("P", "1.1", "1.2", "1.5")])?;
    assert_eq!(held(store)?.0, before.0);
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
