//! Judges a repeat: an object whose SOP instance is stored already.
//!
//! A repeat with the same content is a duplicate. Long values that the output holds unchanged, such as
//! pixel data, take no part in the fingerprint, so they are compared with the stored object. Only if the
//! store cannot read its objects back, the fingerprint decides.

use anon_model::{BackendError, Conflict, LookupStore, Names, Remedy, Space, StoredInstance};

use crate::deid::output_path::OutputPath;
use crate::deid::plan::{Plan, Warnings};
use crate::deid::repeat::Repeat;
use crate::error::Error;
use crate::keep::store::StoredObject;
use crate::refusal::{Category, Refusal};
use crate::run::core::Core;

/// Unsure means refuse: the fingerprint alone does not cover what only the file holds.
const MISSING: &str = "the stored file of this instance is missing, so the object cannot be compared \
                       with it: accept this entry to store it in the place of the missing file";

/// Returns the pseudonyms of patient, study, series and instance if the object is a duplicate.
///
/// # Errors
/// [`Error::Refused`] if the content differs or cannot be compared; otherwise if a store fails, or if
/// the stored instance was deleted meanwhile.
pub(crate) fn judge(core: &Core, plan: &Plan<'_>) -> Result<([String; 4], Warnings), Error> {
    let refused = |reason: String| Refusal::new(Category::CapturePhiError, reason);
    let Some(stored) = core.lookups.stored_instance(&plan.wanted().instance)? else {
        // The next attempt finds it deleted, and stores the object.
        let reason = "the stored instance was deleted while its repeat was processed; try again";
        return Err(BackendError::new(Remedy::Retry, reason).into());
    };
    let path = OutputPath::new(stored.names.each_ref().map(String::as_str))?;
    let Some(object) = core.store.stored(&path).map_err(Error::Store)? else {
        return Err(refused(MISSING.to_owned()).into());
    };
    let [.., instance] = &stored.names;
    let mut warnings = plan.warnings();
    match compare(core, plan, &stored, &object)? {
        Repeat::Same => {}
        Repeat::SameInOtherSyntax => warnings.other_transfer_syntax = true,
        Repeat::Other => {
            let instance = instance.clone();
            return Err(refused(Conflict::InstanceDiffers { instance }.to_string()).into());
        }
        Repeat::Incomparable { stored: syntax } => {
            let reason = format!(
                "instance {instance} is stored already in transfer syntax {syntax}, and this object \
                 has {}; compressed pixel data is not decoded, so the two are not compared: clear \
                 this entry to keep the stored one, or accept it to replace the stored one",
                plan.transfer_syntax()
            );
            return Err(refused(reason).into());
        }
    }
    Ok((stored.names, warnings))
}

/// Compares an object with the stored one.
fn compare(
    core: &Core,
    plan: &Plan<'_>,
    stored: &StoredInstance,
    object: &StoredObject,
) -> Result<Repeat, Error> {
    let recorded = &stored.fingerprint;
    let mut failed = None;
    let names = || {
        let names = names_of(&*core.lookups, plan, stored);
        names.unwrap_or_else(|error| {
            failed = Some(error);
            None
        })
    };
    let compared = match object.source() {
        Some(source) => plan.compare(source, recorded, names),
        None => plan
            .has_fingerprint(recorded)
            .map(|is_same| if is_same { Repeat::Same } else { Repeat::Other }),
    };
    if let Some(error) = failed {
        return Err(error.into());
    }
    compared.map_err(|refusal| {
        let [.., instance] = &stored.names;
        let reason =
            format!("instance {instance} is stored already, and cannot be compared: {refusal}");
        Refusal::new(Category::StorageError, reason).into()
    })
}

/// Returns the pseudonyms of an object whose instance is stored. `None` if one of its originals has
/// none: then the content differs.
fn names_of(
    lookups: &dyn LookupStore,
    plan: &Plan<'_>,
    stored: &StoredInstance,
) -> Result<Option<Names>, BackendError> {
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
