//! [`StoredOutput`]: which original each output of a patient was made from, as keyed digests.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::ledger::error::LedgerError;
use crate::ledger::records::{InstanceRecord, IntentRecord, PairId};
use crate::ledger::tables::{Snapshot, Tables};
use crate::ledger::{Access, Ledger};
use crate::{BackendError, DigestVersion, OutputDigest, Space, StoredOutput};

/// The context of the derived key of these digests. Another key than that of the hashes: digests leave
/// the site.
const KEY_CONTEXT: &str = "anon-model origin of outputs 1";

/// Rows that are read at once, which bounds the memory of a visit.
const PAGE: usize = 256;

/// What a digest is of. The first byte that is hashed.
const ORIGINAL: u8 = 0;
const VERSION: u8 = 1;
/// The version while a file is being replaced: the file is still the one before, or the new one.
const UNSETTLED_VERSION: u8 = 2;

impl<T: Tables> Ledger<T> {
    pub(crate) fn outputs(&self, patient: &str, visit: &mut Visit<'_>) -> Result<(), BackendError> {
        let visited = self.visit_outputs(patient, visit);
        if self.access == Access::Read {
            // The next call may come hours later.
            let mut state = self.state.lock().map_err(|_| LedgerError::Poisoned)?;
            state.snapshot.release();
        }
        visited
    }

    fn visit_outputs(&self, patient: &str, visit: &mut Visit<'_>) -> Result<(), BackendError> {
        let (snapshot, replaced) = {
            let state = self.lock()?;
            (
                Arc::clone(&state.snapshot),
                being_replaced(state.open.values()),
            )
        };
        let Some(patient) = self.durable_id(&snapshot, Space::Patient, patient)? else {
            return Ok(());
        };
        let walk = Walk {
            ledger: self,
            key: blake3::derive_key(KEY_CONTEXT, self.tables.hash_key()),
            snapshot: &*snapshot,
            replaced,
        };
        let patient_name = self.durable_name(&snapshot, patient)?;
        let mut after = None;
        loop {
            let page = snapshot.studies(patient, after, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (_, study) in page {
                if walk.study(&patient_name, study, visit)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
}

/// Receives outputs until it breaks.
type Visit<'v> = dyn FnMut(StoredOutput) -> ControlFlow<()> + 'v;

/// A walk over the outputs of a patient.
struct Walk<'w, T: Tables> {
    ledger: &'w Ledger<T>,
    key: [u8; 32],
    snapshot: &'w T::Snapshot,
    replaced: BTreeSet<PairId>,
}

impl<T: Tables> Walk<'_, T> {
    fn study(
        &self,
        patient: &str,
        study: PairId,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, BackendError> {
        let study_name = self.ledger.durable_name(self.snapshot, study)?;
        let mut after = None;
        loop {
            let page = self.snapshot.series_of(study, after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after = Some(*last);
            for series in page {
                let series_name = self.ledger.durable_name(self.snapshot, series)?;
                let names = [patient, &study_name, &series_name];
                if self.series(names, series, visit)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }

    fn series(
        &self,
        names: [&str; 3],
        series: PairId,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, BackendError> {
        let mut after = None;
        loop {
            let page = self.snapshot.members(series, after, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after = Some(*last);
            for (group, instances) in page {
                for instance in instances {
                    // It may have been removed since.
                    let record = self.snapshot.instance(instance)?;
                    let Some(record) = record.filter(|record| record.series == series) else {
                        continue;
                    };
                    let output = self.output(names, instance, group, &record)?;
                    if visit(output).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
    }

    fn output(
        &self,
        [patient, study, series]: [&str; 3],
        instance: PairId,
        group: u64,
        record: &InstanceRecord,
    ) -> Result<StoredOutput, BackendError> {
        let pair = self.snapshot.pair(instance)?;
        let pair = pair.ok_or(LedgerError::MissingRow)?;
        let name = self.ledger.pair_name(instance, &pair)?;
        let is_replaced = self.replaced.contains(&instance);
        Ok(StoredOutput {
            names: [patient.into(), study.into(), series.into(), name],
            digest: OutputDigest {
                original: original_digest(&self.key, pair.original.expose()),
                version: version_digest(&self.key, group, record, is_replaced),
            },
        })
    }
}

/// Returns the instances whose files may still be the ones before.
fn being_replaced<'i>(open: impl Iterator<Item = &'i IntentRecord>) -> BTreeSet<PairId> {
    let replacements = open.filter_map(|intent| match intent {
        IntentRecord::Replace(replacement) => Some(replacement.output.instance),
        IntentRecord::Publish(_) | IntentRecord::Remove(_) => None,
    });
    replacements.collect()
}

fn original_digest(key: &[u8; 32], original: &str) -> u128 {
    let mut hasher = labelled(key, ORIGINAL);
    hasher.update(original.as_bytes());
    u128::from_be_bytes(head(&hasher))
}

/// The group tells apart two outputs of an original that was deleted and imported again under other
/// rules, if a scheme gave it the same pseudonyms.
fn version_digest(key: &[u8; 32], group: u64, record: &InstanceRecord, is_replaced: bool) -> u64 {
    let label = if is_replaced {
        UNSETTLED_VERSION
    } else {
        VERSION
    };
    let fingerprint = &record.fingerprint;
    let digest_version = match fingerprint.version {
        DigestVersion::V1 => 1,
        DigestVersion::V2 => 2,
    };
    let mut hasher = labelled(key, label);
    hasher.update(&group.to_le_bytes());
    hasher.update(&fingerprint.length.to_le_bytes());
    hasher.update(&[digest_version]);
    hasher.update(&fingerprint.digest);
    hasher.update(&record.bytes.to_le_bytes());
    u64::from_be_bytes(head(&hasher))
}

fn labelled(key: &[u8; 32], label: u8) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[label]);
    hasher
}

fn head<const N: usize>(hasher: &blake3::Hasher) -> [u8; N] {
    let hash = hasher.finalize();
    hash.as_bytes().first_chunk().copied().unwrap_or([0; N])
}
