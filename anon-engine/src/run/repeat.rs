//! Judges a repeat: an object whose SOP instance is stored already.
//!
//! A repeat with the same content is a duplicate. Long values that the output holds unchanged, such as
//! pixel data, take no part in the fingerprint, so they are compared with the stored object.

use anon_model::{Conflict, LookupStore, Names, Space, StoredInstance};

use crate::deid::output_path::OutputPath;
use crate::deid::plan::{Plan, Warnings};
use crate::deid::repeat::Repeat;
use crate::error::Error;
use crate::refusal::{Category, Refusal};
use crate::run::core::Core;

/// Returns the pseudonyms of patient, study, series and instance if the object is a duplicate.
/// `conflict` is that of the lookup store, if the fingerprints differ.
///
/// # Errors
/// [`Error::Refused`] if the content differs or cannot be compared; otherwise if a store fails.
pub(crate) fn judge(
    core: &Core,
    plan: &Plan<'_>,
    conflict: Option<&Conflict>,
) -> Result<([String; 4], Warnings), Error> {
    let lookups = &*core.lookups;
    let refused = |reason: String| Refusal::new(Category::CapturePhiError, reason);
    let differs = |instance: &str| {
        let instance = instance.to_owned();
        refused(Conflict::InstanceDiffers { instance }.to_string())
    };
    let Some(stored) = lookups.stored_instance(&plan.wanted().instance)? else {
        // Another object with this UID is being processed, or was just deleted.
        let reason = "another object with this SOP Instance UID is being processed: try again";
        let reason = conflict.map_or_else(|| reason.to_owned(), ToString::to_string);
        return Err(refused(reason).into());
    };
    let path = OutputPath::new(stored.names.each_ref().map(String::as_str))?;
    let [.., instance] = &stored.names;
    let mut warnings = plan.warnings();
    let Some(object) = core.store.stored(&path).map_err(Error::Store)? else {
        tracing::warn!(
            "the file of a stored instance is missing: its repeat is not compared with it"
        );
        return match conflict {
            None => Ok((stored.names, warnings)),
            Some(_) => Err(differs(instance).into()),
        };
    };
    let names = || names_of(lookups, plan, &stored).ok().flatten();
    let compared = plan.compare(object.source(), &stored.fingerprint, names);
    let compared = compared.map_err(|refusal| {
        let reason =
            format!("instance {instance} is stored already, and cannot be compared: {refusal}");
        Refusal::new(Category::StorageError, reason)
    });
    match compared? {
        Repeat::Same => {}
        Repeat::SameInOtherSyntax => warnings.other_transfer_syntax = true,
        Repeat::Other => return Err(differs(instance).into()),
        Repeat::Incomparable { stored: syntax } => {
            let reason = format!(
                "instance {instance} is stored already in transfer syntax {syntax}, and this object \
                 has {}; compressed pixel data is not decoded, so the two are not compared: clear \
                 this entry to keep the stored one, or delete its study and retry the entry",
                plan.transfer_syntax()
            );
            return Err(refused(reason).into());
        }
    }
    Ok((stored.names, warnings))
}

/// Returns the pseudonyms of an object whose instance is stored. `None` if one of its originals has
/// none: then the content differs.
fn names_of(
    lookups: &dyn LookupStore,
    plan: &Plan<'_>,
    stored: &StoredInstance,
) -> Result<Option<Names>, anon_model::BackendError> {
    let wanted = plan.wanted();
    let all = |space, originals: &[anon_model::Phi<String>]| {
        let names = originals
            .iter()
            .map(|original| lookups.pseudonym(space, original));
        names.collect::<Result<Option<Vec<String>>, _>>()
    };
    let (uids, accessions) = (
        all(Space::Uid, &wanted.uids)?,
        all(Space::Accession, &wanted.accessions)?,
    );
    let [patient, study, series, instance] = stored.names.clone();
    let date_offset = lookups.study(&study)?.map(|row| row.phi.date_offset);
    let (Some(uids), Some(accessions)) = (uids, accessions) else {
        return Ok(None);
    };
    Ok(Some(Names {
        patient,
        study,
        series,
        instance,
        uids,
        accessions,
        filed_under: None,
        date_offset,
    }))
}
