//! Assigning pseudonyms, adopting single pairs, and looking up both sides of a pair.

use crate::identity::uid::COUNTER_DIGITS;
use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::pending::PendingPair;
use crate::ledger::records::{Key, Pair, PairId, PairKind};
use crate::ledger::reservations::InstanceIds;
use crate::ledger::state::LedgerState;
use crate::ledger::tables::{Snapshot, Tables};
use crate::{
    AdoptError, AssignError, Assigned, BackendError, Conflict, Counts, InstanceConflict, Names,
    Phi, Remedy, Space, StudyConflict, Uid, Wanted,
};

/// The highest number. Every UID with it fits in 64 characters (PS3.5 section 9.1).
pub(super) const MAX_NUMBER: u64 = 10_u64.pow(COUNTER_DIGITS) - 1;

/// Longest LO value in characters (PS3.5 section 6.2).
const MAX_LO: usize = 64;

/// Longest SH value in characters (PS3.5 section 6.2).
const MAX_SH: usize = 16;

/// A UID that is not the study, series or instance UID, or a new accession number; and its position
/// among the pending pairs if it is new.
type Reference = (PairId, Option<usize>);

/// An instance that contradicts nothing the store knows.
struct CheckedInstance {
    /// The ids of study, series and instance UID. `None` where that UID has no pseudonym yet.
    uids: [Option<PairId>; 3],
    patient: Option<PairId>,
    filed_under: Option<Phi<String>>,
    is_duplicate: bool,
}

impl<T: Tables> Ledger<T> {
    pub(crate) fn assign(&self, wanted: &Wanted) -> Result<Assigned, AssignError> {
        let mut state = self.lock_to_change()?;
        let checked = self.check(&mut state, wanted)?;
        let before = state.pending.len();
        let assigned = self.assign_all(&mut state, wanted, &checked);
        let (names, ids, references) = match assigned {
            Ok(assigned) => assigned,
            Err(error) => {
                undo(&mut state, before);
                return Err(error);
            }
        };
        if checked.is_duplicate {
            if state.pending.len() == before {
                return Ok(Assigned::Duplicate(names));
            }
            // No study would refer to its new pairs, so no deletion would find them.
            undo(&mut state, before);
            let instance = names.instance;
            return Err(Conflict::InstanceDiffers { instance }.into());
        }
        // A scheme that computes pseudonyms gives a deleted study its old directory.
        if state.is_being_removed(&names.patient, &names.study) {
            undo(&mut state, before);
            return Err(BackendError::from(LedgerError::BeingRemoved).into());
        }
        for (uid, position) in references {
            match position {
                Some(position) => state.pending.set_referrer(position, ids.study),
                None => state.add_reference(uid, ids.study)?,
            }
        }
        let arrival = state.next_arrival();
        state.reservations.add(ids, wanted.fingerprint, arrival);
        Ok(Assigned::New(names))
    }

    /// Checks that the instance contradicts nothing the store knows. Changes nothing.
    fn check(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        wanted: &Wanted,
    ) -> Result<CheckedInstance, AssignError> {
        let mut patient = self.patient_id(state, &wanted.patient)?;
        let study = state.id(self.key(Space::Uid, wanted.study.expose()))?;
        let series = state.id(self.key(Space::Uid, wanted.series.expose()))?;
        let instance = state.id(self.key(Space::Uid, wanted.instance.expose()))?;
        let mut filed_under = None;
        if let Some(study) = study
            && let Some(known) = state.patient_of(study)?
            && Some(known) != patient
        {
            if wanted.study_conflict == StudyConflict::Refuse {
                return Err(Conflict::StudyOfOtherPatient {
                    study: self.name_of(state, study)?,
                    known: self.name_of(state, known)?,
                    now: patient.map(|id| self.name_of(state, id)).transpose()?,
                }
                .into());
            }
            filed_under = Some(original_of(state, known)?);
            patient = Some(known);
        }
        if let Some(series) = series
            && let Some(known) = state.study_of(series)?
            && Some(known) != study
        {
            return Err(Conflict::SeriesOfOtherStudy {
                series: self.name_of(state, series)?,
                known: self.name_of(state, known)?,
            }
            .into());
        }
        let is_duplicate = match instance {
            Some(instance) => self.is_stored(state, instance, series, wanted)?,
            None => nothing_stored(wanted)?,
        };
        Ok(CheckedInstance {
            uids: [study, series, instance],
            patient,
            filed_under,
            is_duplicate,
        })
    }

    /// Returns true if the instance is stored already, and it does not replace that one.
    ///
    /// # Errors
    /// If it is known under another series or with other content.
    fn is_stored(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        instance: PairId,
        series: Option<PairId>,
        wanted: &Wanted,
    ) -> Result<bool, AssignError> {
        let reserved = state.reservations.series_of(instance);
        let stored = state.snapshot.instance(instance)?;
        let stored = stored.map(|member| (member.series, member.fingerprint));
        let Some((known, fingerprint)) = stored.or(reserved) else {
            return nothing_stored(wanted);
        };
        if Some(known) != series {
            return Err(Conflict::InstanceOfOtherSeries {
                instance: self.name_of(state, instance)?,
                known: self.name_of(state, known)?,
            }
            .into());
        }
        if stored.is_some() && wanted.instance_conflict == InstanceConflict::Replace {
            return Ok(false);
        }
        if !fingerprint.agrees_with(&wanted.fingerprint) {
            return Err(Conflict::InstanceDiffers {
                instance: self.name_of(state, instance)?,
            }
            .into());
        }
        Ok(stored.is_some())
    }

    /// Assigns every pseudonym of an instance, in V17's order.
    fn assign_all(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        wanted: &Wanted,
        checked: &CheckedInstance,
    ) -> Result<(Names, InstanceIds, Vec<Reference>), AssignError> {
        let (patient, patient_name) = match (checked.patient, &checked.filed_under) {
            (Some(id), Some(_)) => (id, self.name_of(state, id)?),
            (_, _) => self.assign_patient(state, wanted)?,
        };
        let [study, series, instance] = checked.uids;
        let given = &wanted.given;
        let (study, study_name) =
            self.assign_checked_uid(state, &wanted.study, study, given.study.as_deref())?;
        let (series, series_name) =
            self.assign_checked_uid(state, &wanted.series, series, given.series.as_deref())?;
        let (instance, instance_name) =
            self.assign_checked_uid(state, &wanted.instance, instance, given.instance.as_deref())?;
        let mut names = Names {
            patient: patient_name,
            study: study_name,
            series: series_name,
            instance: instance_name,
            uids: Vec::with_capacity(wanted.uids.len()),
            accessions: Vec::with_capacity(wanted.accessions.len()),
            filed_under: checked.filed_under.clone(),
            date_offset: state.offset(patient)?,
        };
        let mut references = Vec::with_capacity(wanted.uids.len());
        for uid in &wanted.uids {
            let position = state.pending.len();
            let (id, name) = self.assign_original(state, Space::Uid, uid)?;
            names.uids.push(name);
            if ![study, series, instance].contains(&id) {
                let is_new = state.pending.len() > position;
                references.push((id, is_new.then_some(position)));
            }
        }
        for accession in &wanted.accessions {
            let position = state.pending.len();
            let (id, name) = self.assign_original(state, Space::Accession, accession)?;
            names.accessions.push(name);
            // A new accession number refers to this study. Later studies that have it are added when
            // they are committed.
            if state.pending.len() > position {
                references.push((id, Some(position)));
            }
        }
        let ids = InstanceIds {
            patient,
            study,
            series,
            instance,
        };
        Ok((names, ids, references))
    }

    fn assign_patient(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        wanted: &Wanted,
    ) -> Result<(PairId, String), AssignError> {
        let original = &wanted.patient;
        if original.expose().is_empty() {
            return Ok((PairId::NO_PATIENT, self.identity.default_patient()));
        }
        let Some(given) = &wanted.given.patient else {
            return self.assign_original(state, Space::Patient, original);
        };
        let key = self.key(Space::Patient, original.expose());
        let known = state.id(key)?;
        self.assign_given(state, (Space::Patient, original), (key, known), given)
    }

    /// Returns the pseudonym of an original, a new one if it has none.
    fn assign_original(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
    ) -> Result<(PairId, String), AssignError> {
        let key = self.key(space, original.expose());
        let known = state.id(key)?;
        self.assign_key(state, space, original, key, known)
    }

    /// Returns the pseudonym of a UID that [`Ledger::check`] has looked up under the same lock. Only
    /// a pair that was added since can have changed the result.
    fn assign_checked_uid(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        original: &Phi<String>,
        checked: Option<PairId>,
        given: Option<&str>,
    ) -> Result<(PairId, String), AssignError> {
        let key = self.key(Space::Uid, original.expose());
        let known = checked.or_else(|| state.pending.id(key));
        match given {
            Some(given) => self.assign_given(state, (Space::Uid, original), (key, known), given),
            None => self.assign_key(state, Space::Uid, original, key, known),
        }
    }

    /// Makes a pseudonym that the rules computed that of an original.
    fn assign_given(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        (space, original): (Space, &Phi<String>),
        (key, known): (Key, Option<PairId>),
        given: &str,
    ) -> Result<(PairId, String), AssignError> {
        if let Some(id) = known {
            let known = self.name_of_known(state, id, space, original)?;
            if known != given {
                return Err(Conflict::GivenDiffers { space, known }.into());
            }
            return Ok((id, known));
        }
        // A number could be assigned to another original later.
        if check_form(space, given).is_err() || self.identity.number(space, given).is_some() {
            return Err(Conflict::GivenForm { space }.into());
        }
        if self.pair_with_name(state, space, given)?.is_some()
            || self.is_deleted(state, space, original, given)?
        {
            return Err(Conflict::GivenTaken { space }.into());
        }
        let kind = self.unnumbered(space, original, given);
        let counter = state.meta.counter(space, kind);
        *counter += 1;
        let id = PairId::new(space, kind, *counter);
        *state.meta.count(space) += 1;
        state.pending.push_new(PendingPair {
            id,
            key,
            pair: Pair {
                original: original.clone(),
                external: (kind == PairKind::External).then(|| given.to_owned()),
                referrer: None,
            },
            name: Some(self.name_key(space, given)),
        });
        Ok((id, given.to_owned()))
    }

    fn assign_key(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
        key: Key,
        known: Option<PairId>,
    ) -> Result<(PairId, String), AssignError> {
        if let Some(id) = known {
            return Ok((id, self.name_of_known(state, id, space, original)?));
        }
        let computed = self.identity.computed(space, original.expose());
        let name_key = match &computed {
            Some(name) => {
                let name_key = self.name_key(space, name);
                if state.name(name_key)?.is_some() {
                    return Err(Conflict::Collision { space }.into());
                }
                Some(name_key)
            }
            None => None,
        };
        let kind = match computed {
            Some(_) => PairKind::Computed,
            None => PairKind::Numbered,
        };
        let counter = state.meta.counter(space, kind);
        if *counter >= MAX_NUMBER {
            return Err(BackendError::from(LedgerError::Exhausted).into());
        }
        *counter += 1;
        let id = PairId::new(space, kind, *counter);
        *state.meta.count(space) += 1;
        let name = computed.unwrap_or_else(|| self.identity.numbered(space, id.number()));
        state.pending.push_new(PendingPair {
            id,
            key,
            pair: Pair {
                original: original.clone(),
                external: None,
                referrer: None,
            },
            name: name_key,
        });
        Ok((id, name))
    }

    fn patient_id(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        original: &Phi<String>,
    ) -> Result<Option<PairId>, BackendError> {
        if original.expose().is_empty() {
            return Ok(Some(PairId::NO_PATIENT));
        }
        state.id(self.key(Space::Patient, original.expose()))
    }

    /// Returns the pseudonym of an original with this id, without its pair if it is computed.
    fn name_of_known(
        &self,
        state: &LedgerState<T::Snapshot>,
        id: PairId,
        space: Space,
        original: &Phi<String>,
    ) -> Result<String, BackendError> {
        if id.kind() != PairKind::Computed {
            return self.name_of(state, id);
        }
        let computed = self.identity.computed(space, original.expose());
        Ok(computed.ok_or(LedgerError::MissingRow)?)
    }

    pub(super) fn name_of(
        &self,
        state: &LedgerState<T::Snapshot>,
        id: PairId,
    ) -> Result<String, BackendError> {
        if id.kind() == PairKind::Numbered {
            return Ok(self.identity.numbered(id.space(), id.number()));
        }
        let pair = state.pair(id)?.ok_or(LedgerError::MissingRow)?;
        self.pair_name(id, &pair)
    }

    pub(crate) fn abandon(&self, wanted: &Wanted) -> Result<(), BackendError> {
        let mut state = self.lock_to_change()?;
        let keys = [&wanted.study, &wanted.series, &wanted.instance]
            .map(|uid| self.key(Space::Uid, uid.expose()));
        let mut ids = [None; 3];
        for (id, key) in ids.iter_mut().zip(keys) {
            *id = state.id(key)?;
        }
        if let [Some(study), Some(series), Some(instance)] = ids {
            state.reservations.remove(study, series, instance);
        }
        Ok(())
    }

    pub(crate) fn adopt(
        &self,
        space: Space,
        original: &Phi<String>,
        pseudonym: &str,
    ) -> Result<(), AdoptError> {
        check_form(space, pseudonym)?;
        {
            let mut state = self.lock_to_change()?;
            if !self.is_free(&mut state, space, original, pseudonym)? {
                return Ok(());
            }
            let key = self.key(space, original.expose());
            let number = self.identity.number(space, pseudonym);
            let computed = self.identity.computed(space, original.expose());
            let (kind, name) = match number {
                Some(_) => (PairKind::Numbered, None),
                None if computed.as_deref() == Some(pseudonym) => {
                    (PairKind::Computed, Some(self.name_key(space, pseudonym)))
                }
                None => (PairKind::External, Some(self.name_key(space, pseudonym))),
            };
            let counter = state.meta.counter(space, kind);
            let number = match number {
                Some(number) if number > MAX_NUMBER => {
                    let problem = "the number in the pseudonym is too high";
                    return Err(AdoptError::Form { problem });
                }
                Some(number) => number,
                None => *counter + 1,
            };
            *counter = number.max(*counter);
            *state.meta.count(space) += 1;
            state.pending.push(PendingPair {
                id: PairId::new(space, kind, number),
                key,
                pair: Pair {
                    original: original.clone(),
                    external: (kind == PairKind::External).then(|| pseudonym.to_owned()),
                    referrer: None,
                },
                name,
            });
        }
        self.flush()?;
        Ok(())
    }

    /// Returns true if neither side has a pair, false if this pair already exists.
    ///
    /// # Errors
    /// If one side belongs to another pair.
    fn is_free(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
        pseudonym: &str,
    ) -> Result<bool, AdoptError> {
        let known = match space {
            Space::Patient => self.patient_id(state, original)?,
            Space::Uid | Space::Accession if original.expose().is_empty() => {
                let problem = "an empty original cannot have a pseudonym";
                return Err(AdoptError::Form { problem });
            }
            Space::Uid | Space::Accession => state.id(self.key(space, original.expose()))?,
        };
        if let Some(id) = known {
            let known = self.name_of(state, id)?;
            return if known == pseudonym {
                Ok(false)
            } else {
                Err(AdoptError::OriginalTaken { pseudonym: known })
            };
        }
        if self.pair_with_name(state, space, pseudonym)?.is_some() {
            return Err(AdoptError::PseudonymTaken {
                pseudonym: pseudonym.to_owned(),
            });
        }
        if self.is_deleted(state, space, original, pseudonym)? {
            return Err(AdoptError::PseudonymDeleted {
                pseudonym: pseudonym.to_owned(),
            });
        }
        Ok(true)
    }

    /// Returns true if a pseudonym was deleted and this original cannot have it. A pseudonym that
    /// the scheme computes from the original is its own, also after a deletion.
    pub(super) fn is_deleted(
        &self,
        state: &LedgerState<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
        pseudonym: &str,
    ) -> Result<bool, BackendError> {
        match self.identity.number(space, pseudonym) {
            Some(number) if number > MAX_NUMBER => Ok(false),
            Some(number) => {
                let id = PairId::new(space, PairKind::Numbered, number);
                state.snapshot.is_deleted(id)
            }
            None if self.unnumbered(space, original, pseudonym) == PairKind::Computed => Ok(false),
            None => {
                let name = self.name_key(space, pseudonym);
                state.snapshot.is_name_deleted(name)
            }
        }
    }

    /// Returns the pair with a pseudonym.
    fn pair_with_name(
        &self,
        state: &LedgerState<T::Snapshot>,
        space: Space,
        pseudonym: &str,
    ) -> Result<Option<(PairId, Phi<String>)>, BackendError> {
        let id = match self.identity.number(space, pseudonym) {
            Some(0) if space == Space::Patient => {
                return Ok(Some((PairId::NO_PATIENT, Phi::default())));
            }
            Some(number) if number > MAX_NUMBER => return Ok(None),
            Some(number) => Some(PairId::new(space, PairKind::Numbered, number)),
            None => state.name(self.name_key(space, pseudonym))?,
        };
        let Some(id) = id else { return Ok(None) };
        Ok(state.pair(id)?.map(|pair| (id, pair.original)))
    }

    /// Returns the id of the durable pair with a pseudonym.
    pub(crate) fn durable_id(
        &self,
        snapshot: &T::Snapshot,
        space: Space,
        pseudonym: &str,
    ) -> Result<Option<PairId>, BackendError> {
        match self.identity.number(space, pseudonym) {
            Some(number) if number > MAX_NUMBER => Ok(None),
            Some(number) => Ok(Some(PairId::new(space, PairKind::Numbered, number))),
            None => snapshot.name(self.name_key(space, pseudonym)),
        }
    }

    pub(crate) fn pseudonym(
        &self,
        space: Space,
        original: &Phi<String>,
    ) -> Result<Option<String>, BackendError> {
        let mut state = self.lock()?;
        let id = match space {
            Space::Patient => self.patient_id(&mut state, original)?,
            Space::Uid | Space::Accession => state.id(self.key(space, original.expose()))?,
        };
        id.map(|id| self.name_of_known(&state, id, space, original))
            .transpose()
    }

    pub(crate) fn originals(
        &self,
        pseudonym: &str,
    ) -> Result<Vec<(Space, Phi<String>)>, BackendError> {
        let state = self.lock()?;
        let mut originals = Vec::new();
        for space in [Space::Patient, Space::Uid, Space::Accession] {
            if let Some((_, original)) = self.pair_with_name(&state, space, pseudonym)? {
                originals.push((space, original));
            }
        }
        Ok(originals)
    }

    pub(crate) fn counts(&self) -> Result<Counts, BackendError> {
        Ok(self.lock()?.meta.counts)
    }
}

fn original_of<S: Snapshot>(
    state: &LedgerState<S>,
    id: PairId,
) -> Result<Phi<String>, BackendError> {
    if id == PairId::NO_PATIENT {
        return Ok(Phi::default());
    }
    let pair = state.pair(id)?.ok_or(LedgerError::MissingRow)?;
    Ok(pair.original)
}

/// Removes the pairs after the first `length` and lowers the counters again. No caller has seen the
/// numbers.
fn undo<S: Snapshot>(state: &mut LedgerState<S>, length: usize) {
    for pair in state.pending.truncate(length) {
        let space = pair.id.space();
        *state.meta.counter(space, pair.id.kind()) -= 1;
        *state.meta.count(space) -= 1;
    }
}

/// Checks that a pseudonym from outside is valid as a value and in a path.
pub(super) fn check_form(space: Space, pseudonym: &str) -> Result<(), AdoptError> {
    let problem = match space {
        Space::Uid if Uid::new(pseudonym).is_err() => "the pseudonym is not a UID",
        Space::Uid => return Ok(()),
        _ if pseudonym.is_empty() => "the pseudonym is empty",
        _ if pseudonym.trim() != pseudonym => "the pseudonym has spaces at an end",
        _ if pseudonym.chars().any(|c| c.is_control() || c == '\\') => {
            "the pseudonym holds a backslash or a control character"
        }
        Space::Accession if pseudonym.chars().count() > MAX_SH => {
            "the pseudonym has more than 16 characters"
        }
        Space::Patient if pseudonym.chars().count() > MAX_LO => {
            "the pseudonym has more than 64 characters"
        }
        Space::Patient if pseudonym.contains('/') || matches!(pseudonym, "." | "..") => {
            "the pseudonym cannot be the name of a directory"
        }
        _ => return Ok(()),
    };
    Err(AdoptError::Form { problem })
}

/// Returns false: nothing that is stored is repeated.
///
/// # Errors
/// If the instance was to replace one. The next attempt stores it as a new one.
fn nothing_stored(wanted: &Wanted) -> Result<bool, AssignError> {
    if wanted.instance_conflict == InstanceConflict::Replace {
        let reason = "the instance was deleted while another was to replace it; try again";
        return Err(BackendError::new(Remedy::Retry, reason).into());
    }
    Ok(false)
}
