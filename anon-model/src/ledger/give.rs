//! Giving pseudonyms: assign, abandon, adopt, and the way back.

use crate::identity::uid::COUNTER_DIGITS;
use crate::ledger::Ledger;
use crate::ledger::fault::Fault;
use crate::ledger::flight::Place;
use crate::ledger::pending::Given;
use crate::ledger::records::{Key, Kind, Pair, PairId};
use crate::ledger::state::State;
use crate::ledger::tables::{Snapshot, Tables};
use crate::{
    AdoptError, AssignError, Assigned, BackendError, Conflict, Counts, Names, Phi, Space,
    StudyConflict, Uid, Wanted,
};

/// Numbers stay below this, so that every UID fits in 64 characters.
pub(super) const MAX_NUMBER: u64 = 10_u64.pow(COUNTER_DIGITS) - 1;

/// Longest LO value in characters (PS3.5 section 6.2).
const MAX_LO: usize = 64;

/// Longest SH value in characters (PS3.5 section 6.2).
const MAX_SH: usize = 16;

/// A UID in another role, and its place among the pending pairs if it is new.
type Reference = (PairId, Option<usize>);

/// An instance whose relations have been looked at.
struct Looked {
    /// Of study, series and instance, in this order. None is none but for the two before it.
    own: [Option<PairId>; 3],
    patient: Option<PairId>,
    filed_under: Option<Phi<String>>,
    duplicate: bool,
}

impl<T: Tables> Ledger<T> {
    pub(crate) fn assign(&self, wanted: &Wanted) -> Result<Assigned, AssignError> {
        let mut state = self.lock_to_change()?;
        let looked = self.look(&mut state, wanted)?;
        let before = state.pending.len();
        let given = self.give_all(&mut state, wanted, &looked);
        let (names, place, references) = match given {
            Ok(given) => given,
            Err(error) => {
                take_back(&mut state, before);
                return Err(error);
            }
        };
        if looked.duplicate {
            return Ok(Assigned::Duplicate(names));
        }
        for (uid, new) in references {
            match new {
                Some(new) => state.refer_first(new, place.study),
                None => state.refer(uid, place.study)?,
            }
        }
        state.flight.add(place, wanted.fingerprint);
        Ok(Assigned::New(names))
    }

    /// Looks whether the instance contradicts what is known. Gives nothing.
    fn look(&self, state: &mut State<T::Snapshot>, wanted: &Wanted) -> Result<Looked, AssignError> {
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
        let duplicate = match instance {
            Some(instance) => self.look_at_instance(state, instance, series, wanted)?,
            None => false,
        };
        Ok(Looked {
            own: [study, series, instance],
            patient,
            filed_under,
            duplicate,
        })
    }

    /// True if the instance is stored already.
    fn look_at_instance(
        &self,
        state: &mut State<T::Snapshot>,
        instance: PairId,
        series: Option<PairId>,
        wanted: &Wanted,
    ) -> Result<bool, AssignError> {
        let flying = state.flight.series_of(instance);
        let stored = state.snapshot.instance(instance)?;
        let stored = stored.map(|member| (member.series, member.fingerprint));
        let Some((known, fingerprint)) = stored.or(flying) else {
            return Ok(false);
        };
        if Some(known) != series {
            return Err(Conflict::InstanceOfOtherSeries {
                instance: self.name_of(state, instance)?,
                known: self.name_of(state, known)?,
            }
            .into());
        }
        if fingerprint != wanted.fingerprint {
            return Err(Conflict::InstanceDiffers {
                instance: self.name_of(state, instance)?,
            }
            .into());
        }
        Ok(stored.is_some())
    }

    /// Gives everything a pseudonym, in V17's order.
    fn give_all(
        &self,
        state: &mut State<T::Snapshot>,
        wanted: &Wanted,
        looked: &Looked,
    ) -> Result<(Names, Place, Vec<Reference>), AssignError> {
        let (patient, patient_name) = match (looked.patient, &looked.filed_under) {
            (Some(id), Some(_)) => (id, self.name_of(state, id)?),
            (_, _) => self.give_patient(state, &wanted.patient)?,
        };
        let [study, series, instance] = looked.own;
        let (study, study_name) = self.give_own(state, &wanted.study, study)?;
        let (series, series_name) = self.give_own(state, &wanted.series, series)?;
        let (instance, instance_name) = self.give_own(state, &wanted.instance, instance)?;
        let own = [study, series, instance];
        let mut names = Names {
            patient: patient_name,
            study: study_name,
            series: series_name,
            instance: instance_name,
            uids: Vec::with_capacity(wanted.uids.len()),
            accessions: Vec::with_capacity(wanted.accessions.len()),
            filed_under: looked.filed_under.clone(),
            date_offset: state.offset(patient)?,
        };
        let mut references = Vec::with_capacity(wanted.uids.len());
        for uid in &wanted.uids {
            let place = state.pending.len();
            let (id, name) = self.give(state, Space::Uid, uid)?;
            names.uids.push(name);
            if !own.contains(&id) {
                let new = (state.pending.len() > place).then_some(place);
                references.push((id, new));
            }
        }
        for accession in &wanted.accessions {
            let (_, name) = self.give(state, Space::Accession, accession)?;
            names.accessions.push(name);
        }
        let place = Place {
            patient,
            study,
            series,
            instance,
        };
        Ok((names, place, references))
    }

    fn give_patient(
        &self,
        state: &mut State<T::Snapshot>,
        original: &Phi<String>,
    ) -> Result<(PairId, String), AssignError> {
        if original.expose().is_empty() {
            return Ok((PairId::NO_PATIENT, self.identity.default_patient()));
        }
        self.give(state, Space::Patient, original)
    }

    /// The pseudonym of an original, a new one if it has none.
    fn give(
        &self,
        state: &mut State<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
    ) -> Result<(PairId, String), AssignError> {
        let key = self.key(space, original.expose());
        let known = state.id(key)?;
        self.give_for(state, space, original, key, known)
    }

    /// [`Ledger::give`] for a UID that was looked for under the same lock: only what was given
    /// since can have changed the answer.
    fn give_own(
        &self,
        state: &mut State<T::Snapshot>,
        original: &Phi<String>,
        looked: Option<PairId>,
    ) -> Result<(PairId, String), AssignError> {
        let key = self.key(Space::Uid, original.expose());
        let known = looked.or_else(|| state.pending.id(key));
        self.give_for(state, Space::Uid, original, key, known)
    }

    fn give_for(
        &self,
        state: &mut State<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
        key: Key,
        known: Option<PairId>,
    ) -> Result<(PairId, String), AssignError> {
        if let Some(id) = known {
            let name = match id.kind() {
                Kind::Computed => self
                    .identity
                    .computed(space, original.expose())
                    .ok_or(Fault::Dangling)
                    .map_err(BackendError::from)?,
                Kind::Numbered | Kind::Given => self.name_of(state, id)?,
            };
            return Ok((id, name));
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
            Some(_) => Kind::Computed,
            None => Kind::Numbered,
        };
        let counter = state.meta.counter(space, kind);
        if *counter >= MAX_NUMBER {
            return Err(BackendError::from(Fault::Exhausted).into());
        }
        *counter += 1;
        let id = PairId::new(space, kind, *counter);
        *state.meta.count(space) += 1;
        let name = computed.unwrap_or_else(|| self.identity.numbered(space, id.number()));
        state.pending.push_new(Given {
            id,
            key,
            pair: Pair {
                original: original.clone(),
                given: None,
                referrer: None,
            },
            name: name_key,
        });
        Ok((id, name))
    }

    fn patient_id(
        &self,
        state: &mut State<T::Snapshot>,
        original: &Phi<String>,
    ) -> Result<Option<PairId>, BackendError> {
        if original.expose().is_empty() {
            return Ok(Some(PairId::NO_PATIENT));
        }
        state.id(self.key(Space::Patient, original.expose()))
    }

    pub(super) fn name_of(
        &self,
        state: &State<T::Snapshot>,
        id: PairId,
    ) -> Result<String, BackendError> {
        if id.kind() == Kind::Numbered {
            return Ok(self.identity.numbered(id.space(), id.number()));
        }
        let pair = state.pair(id)?.ok_or(Fault::Dangling)?;
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
            state.flight.remove(study, series, instance);
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
                Some(_) => (Kind::Numbered, None),
                None if computed.as_deref() == Some(pseudonym) => {
                    (Kind::Computed, Some(self.name_key(space, pseudonym)))
                }
                None => (Kind::Given, Some(self.name_key(space, pseudonym))),
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
            state.pending.push(Given {
                id: PairId::new(space, kind, number),
                key,
                pair: Pair {
                    original: original.clone(),
                    given: (kind == Kind::Given).then(|| pseudonym.to_owned()),
                    referrer: None,
                },
                name,
            });
        }
        self.flush()?;
        Ok(())
    }

    /// True if neither side is taken, false if the pair is there already.
    fn is_free(
        &self,
        state: &mut State<T::Snapshot>,
        space: Space,
        original: &Phi<String>,
        pseudonym: &str,
    ) -> Result<bool, AdoptError> {
        let known = match space {
            Space::Patient => self.patient_id(state, original)?,
            Space::Uid | Space::Accession if original.expose().is_empty() => {
                let problem = "an empty original has no pseudonym of its own";
                return Err(AdoptError::Form { problem });
            }
            Space::Uid | Space::Accession => state.id(self.key(space, original.expose()))?,
        };
        if let Some(id) = known {
            let held = self.name_of(state, id)?;
            return if held == pseudonym {
                Ok(false)
            } else {
                Err(AdoptError::OriginalTaken { pseudonym: held })
            };
        }
        if self.named(state, space, pseudonym)?.is_some() {
            return Err(AdoptError::PseudonymTaken {
                pseudonym: pseudonym.to_owned(),
            });
        }
        Ok(true)
    }

    /// The pair with a pseudonym.
    fn named(
        &self,
        state: &State<T::Snapshot>,
        space: Space,
        pseudonym: &str,
    ) -> Result<Option<(PairId, Phi<String>)>, BackendError> {
        let id = match self.identity.number(space, pseudonym) {
            Some(0) if space == Space::Patient => {
                return Ok(Some((PairId::NO_PATIENT, Phi::default())));
            }
            Some(number) if number > MAX_NUMBER => return Ok(None),
            Some(number) => Some(PairId::new(space, Kind::Numbered, number)),
            None => state.name(self.name_key(space, pseudonym))?,
        };
        let Some(id) = id else { return Ok(None) };
        Ok(state.pair(id)?.map(|pair| (id, pair.original)))
    }

    /// The id of a durable pair with a pseudonym.
    pub(crate) fn durable_id(
        &self,
        snapshot: &T::Snapshot,
        space: Space,
        pseudonym: &str,
    ) -> Result<Option<PairId>, BackendError> {
        match self.identity.number(space, pseudonym) {
            Some(number) if number > MAX_NUMBER => Ok(None),
            Some(number) => Ok(Some(PairId::new(space, Kind::Numbered, number))),
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
        id.map(|id| self.name_of(&state, id)).transpose()
    }

    pub(crate) fn originals(
        &self,
        pseudonym: &str,
    ) -> Result<Vec<(Space, Phi<String>)>, BackendError> {
        let state = self.lock()?;
        let mut originals = Vec::new();
        for space in [Space::Patient, Space::Uid, Space::Accession] {
            if let Some((_, original)) = self.named(&state, space, pseudonym)? {
                originals.push((space, original));
            }
        }
        Ok(originals)
    }

    pub(crate) fn counts(&self) -> Result<Counts, BackendError> {
        Ok(self.lock()?.meta.counts)
    }
}

fn original_of<S: Snapshot>(state: &State<S>, id: PairId) -> Result<Phi<String>, BackendError> {
    if id == PairId::NO_PATIENT {
        return Ok(Phi::default());
    }
    let pair = state.pair(id)?.ok_or(Fault::Dangling)?;
    Ok(pair.original)
}

/// Nothing was given after all: nobody has seen the numbers.
fn take_back<S: Snapshot>(state: &mut State<S>, length: usize) {
    for given in state.pending.truncate(length) {
        let space = given.id.space();
        *state.meta.counter(space, given.id.kind()) -= 1;
        *state.meta.count(space) -= 1;
    }
}

/// Checks that a given pseudonym can stand in an object and in a path.
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
