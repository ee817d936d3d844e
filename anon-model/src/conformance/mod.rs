//! The conformance suite of [`LookupStore`], for the stores of this crate and for yours: call [`check`]
//! from a test.
//!
//! ```
//! use anon_model::{MemoryStore, conformance};
//!
//! conformance::check(|identity| Ok(Box::new(MemoryStore::new(identity)?)))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "a suite of tests: a case fails by a panic"
)]

mod adopting;
mod assigning;
mod captured;
mod deleting;
mod index;
mod outputs;
mod pages;
mod transactions;

use std::error::Error;
use std::ops::ControlFlow;

use crate::{
    AssignError, Assigned, Conflict, Dates, DigestVersion, Fingerprint, Group, Identity,
    LookupStore, Names, NewInstance, PatientPhi, Phi, Remarks, Scheme, Secret, SeriesPhi,
    SeriesRow, SiteId, StudyPhi, StudyRow, UidRoot, Wanted,
};

/// The result of a case.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

type Store = Box<dyn LookupStore>;

type Make<'m> = dyn FnMut(Identity) -> Outcome<Store> + 'm;

/// Runs every case, each on a new store: one with the keyed scheme, all others with V17's sequential
/// scheme.
///
/// # Errors
/// If a call fails that must succeed.
///
/// # Panics
/// If a call returns the wrong result.
pub fn check(mut make: impl FnMut(Identity) -> Outcome<Store>) -> Outcome {
    let cases: &[fn(&dyn LookupStore) -> Outcome] = &[
        assigning::pseudonyms_are_numbered_as_in_v17,
        assigning::a_uid_has_one_pseudonym_in_every_role,
        assigning::a_referenced_instance_keeps_its_pseudonym_when_it_arrives,
        assigning::numbers_of_abandoned_instances_are_not_reused,
        assigning::names_that_rules_compute_are_kept_and_never_shared,
        assigning::contradictions_to_the_index_are_refused,
        assigning::contradictions_to_uncommitted_instances_are_refused,
        assigning::a_study_conflict_can_be_filed_under_the_first_patient,
        assigning::copies_are_duplicates_and_other_content_is_refused,
        assigning::a_digest_is_compared_with_one_of_its_version,
        assigning::a_repeat_with_new_originals_is_no_duplicate_and_leaves_nothing,
        transactions::totals_change_with_a_commit,
        transactions::unpublished_instances_are_removed,
        transactions::an_instance_is_replaced_under_its_pseudonyms,
        transactions::nothing_replaces_an_instance_that_was_deleted,
        transactions::a_replacement_that_is_not_published_leaves_the_instance_before,
        transactions::intents_stay_until_settled,
        transactions::remarks_are_summed_over_the_instances_in_the_index,
        captured::values_are_those_of_the_instance_assigned_first,
        captured::no_study_has_the_name_of_another,
        captured::a_patient_does_not_keep_the_name_of_a_deleted_study,
        captured::accession_numbers_have_the_order_of_assignment_within_a_group,
        captured::clashes_are_found_and_end_with_their_studies,
        captured::a_pseudonym_leads_to_its_studies,
        index::rows_of_the_index,
        index::series_and_counts_of_a_study,
        index::visits_end_at_break,
        index::progress_of_a_retrieve,
        outputs::outputs_have_the_digest_of_their_original,
        outputs::digest_of_a_replaced_output_has_another_version,
        deleting::deleting_a_study,
        deleting::deleting_a_patient,
        deleting::deleting_keeps_pseudonyms_that_others_use,
        deleting::deleting_while_instances_are_processed,
        assigning::pairs_are_adopted,
        adopting::studies_are_adopted_once,
        adopting::instances_of_adopted_studies,
        adopting::all_or_nothing,
        adopting::contradicting_pairs_are_refused,
        adopting::contradicting_offsets_are_refused,
        adopting::uncommitted_instances_delay_adoption,
        adopting::numbers_are_not_assigned_again,
        adopting::rows_stay_until_deleted,
        adopting::deleted_pseudonyms_are_not_adopted_again,
        pages::sorted,
        pages::searched,
        pages::while_rows_change,
        assigning::both_sides_of_a_pair_are_found,
        transactions::rules_history_is_kept,
    ];
    for case in cases {
        case(&*make(identity()?)?)?;
    }
    captured::clashes_do_not_depend_on_the_order_of_commits(&mut make)?;
    outputs::stores_have_different_digests(&*make(identity()?)?, &*make(identity()?)?)?;
    outputs::output_that_is_made_again_has_another_version(&*make(keyed_identity()?)?)?;
    deleting::computed_pseudonyms_come_back_to_their_original(&*make(keyed_identity()?)?)
}

/// The identity of the case with keyed pseudonyms.
fn keyed_identity() -> Outcome<Identity> {
    let secret = Secret::new([7; 32]);
    let (site, root) = (
        SiteId::new("99.99")?,
        UidRoot::new("1.2.826.0.1.3680043.10.474")?,
    );
    let (scheme, dates) = (Scheme::Keyed(secret.clone()), Dates::Keyed(secret));
    Ok(Identity::with_schemes(site, root, scheme, dates)?)
}

/// Returns the identity for the cases: site and root as in V17's tests.
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

/// A request for the pseudonyms of an instance.
fn wanted(patient: &str, study: &str, series: &str, instance: &str) -> Wanted {
    Wanted {
        patient: phi(patient),
        study: phi(study),
        series: phi(series),
        instance: phi(instance),
        fingerprint: Fingerprint {
            length: 100,
            digest: [1; 16],
            version: DigestVersion::V2,
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

/// The instance that the engine commits.
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
        accessions: wanted.accessions.clone(),
        series: SeriesPhi {
            description: None,
            modality: Some(phi("CT")),
        },
        output_bytes: 10,
        remarks: Remarks::default(),
        replaces: None,
    }
}

fn assign(store: &dyn LookupStore, wanted: &Wanted) -> Outcome<Names> {
    match store.assign(wanted)? {
        Assigned::New(names) => Ok(names),
        Assigned::Duplicate(_) => Err("a new instance was reported as a duplicate".into()),
    }
}

fn commit(store: &dyn LookupStore, wanted: &[Wanted]) -> Outcome<(Group, Vec<Names>)> {
    let mut names = Vec::new();
    let mut group = Vec::new();
    for wanted in wanted {
        let assigned = assign(store, wanted)?;
        group.push(new_instance(wanted, assigned.clone()));
        names.push(assigned);
    }
    Ok((store.commit(&group)?, names))
}

/// Assigns, commits and settles instances.
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
