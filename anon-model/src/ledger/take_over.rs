//! Taking over what another program gave: pairs, rows and offsets, in one batch.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use crate::ledger::Ledger;
use crate::ledger::fault::Fault;
use crate::ledger::give::{MAX_NUMBER, check_form};
use crate::ledger::pending::Given;
use crate::ledger::records::{Kind, Meta, Pair, PairId};
use crate::ledger::state::State;
use crate::ledger::tables::{Snapshot, Tables};
use crate::ledger::write::take;
use crate::{AdoptError, Adopted, Adopting, BackendError, GivenStudy, NotAdopted, Phi, Space};

/// The numbers of UIDs rise to a multiple of this, and by at least this, above those adopted.
const ROOM: u64 = 1_000_000;

/// Studies read at once.
const PAGE: usize = 256;

/// What of the batch is not in the tables and not in the state yet.
#[derive(Default)]
struct Fresh {
    /// Of each pair, its pseudonym.
    names: BTreeMap<PairId, String>,
    /// Of each study, its patient and accession number, and its place among the studies given.
    studies: BTreeMap<PairId, PairId>,
    rows: Vec<(PairId, PairId, Option<PairId>, usize)>,
    offsets: BTreeMap<PairId, i32>,
}

/// One side of a pair is known, or neither.
enum Seen {
    Known(PairId),
    Free(PairId),
}

impl Seen {
    const fn id(&self) -> PairId {
        match self {
            Self::Known(id) | Self::Free(id) => *id,
        }
    }
}

/// A study of which nothing contradicts what is known.
struct Sound {
    patient: Seen,
    study: Seen,
    accession: Option<Seen>,
    /// True if the index has a row of the study.
    has_row: bool,
    /// Days to be noted, if they are not yet.
    offset: Option<i32>,
}

impl<T: Tables> Ledger<T> {
    pub(crate) fn adopt_studies(
        &self,
        studies: &[GivenStudy],
        used: &[(Space, String)],
        adopting: Adopting,
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock_to_change()?;
        let (pairs, meta) = (state.pending.len(), state.meta.clone());
        let mut fresh = Fresh::default();
        let answers = self.plan_all(&mut state, &mut fresh, studies, used);
        let leave = |state: &mut State<T::Snapshot>| {
            state.pending.truncate(pairs);
            state.meta = meta.clone();
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                leave(&mut state);
                return Err(error);
            }
        };
        let adopts = match adopting {
            Adopting::AllOrNothing => answers.iter().all(Result::is_ok),
            Adopting::WhatCanBe => true,
            Adopting::Nothing => false,
        };
        if !adopts {
            leave(&mut state);
            return Ok(answers);
        }
        let changes = state.meta != meta || !fresh.rows.is_empty() || !fresh.offsets.is_empty();
        if changes {
            let written = self.write_fresh(&mut state, &fresh, studies);
            if let Err(error) = written {
                leave(&mut state);
                return Err(error);
            }
        }
        Ok(answers)
    }

    fn write_fresh(
        &self,
        state: &mut State<T::Snapshot>,
        fresh: &Fresh,
        studies: &[GivenStudy],
    ) -> Result<(), BackendError> {
        let mut taken = take(state);
        let draft = &mut taken.draft;
        let mut edit = || {
            for (patient, study, accession, place) in &fresh.rows {
                let given = studies.get(*place).ok_or(Fault::Dangling)?;
                draft.add_study(*patient, *study, *accession, (&given.patient, &given.study))?;
                draft.batch.adopted.insert(*study, Some(()));
            }
            let offsets = fresh.offsets.iter().map(|(id, days)| (*id, Some(*days)));
            draft.batch.offsets.extend(offsets);
            self.tables.apply(&draft.batch)
        };
        let written = edit();
        self.conclude(state, taken, written, |state, ()| {
            if !fresh.offsets.is_empty() {
                state.offsets_changed();
            }
        })
    }

    fn plan_all(
        &self,
        state: &mut State<T::Snapshot>,
        fresh: &mut Fresh,
        studies: &[GivenStudy],
        used: &[(Space, String)],
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError> {
        for given in state.pending.pairs() {
            let name = self.pair_name(given.id, &given.pair)?;
            fresh.names.insert(given.id, name);
        }
        let mut answers = Vec::with_capacity(studies.len());
        for (place, given) in studies.iter().enumerate() {
            answers.push(match self.look_at_given(state, fresh, given) {
                Ok(sound) => Ok(self.plan(state, fresh, place, given, &sound)),
                Err(Refused::Because(why)) => Err(why),
                Err(Refused::Backend(error)) => return Err(error),
            });
            // Also those of a study that is refused: the other program has used them.
            self.rise_above(&mut state.meta, Space::Patient, &given.patient_name);
            self.rise_above(&mut state.meta, Space::Uid, &given.study_name);
            self.rise_above(&mut state.meta, Space::Accession, &given.accession_name);
        }
        for (space, name) in used {
            self.rise_above(&mut state.meta, *space, name);
        }
        Ok(answers)
    }

    /// Whether a study contradicts what is known. Changes nothing.
    fn look_at_given(
        &self,
        state: &mut State<T::Snapshot>,
        fresh: &Fresh,
        given: &GivenStudy,
    ) -> Result<Sound, Refused> {
        let (key, name) = (&given.patient_key, given.patient_name.as_str());
        let patient = self.see(state, fresh, Space::Patient, key, name)?;
        let study = self.see(
            state,
            fresh,
            Space::Uid,
            &given.study_uid,
            &given.study_name,
        )?;
        let original = given.study.accession.as_ref();
        let accession = match original.filter(|original| !original.expose().is_empty()) {
            Some(original) if !given.accession_name.is_empty() => {
                let name = given.accession_name.as_str();
                Some(self.see(state, fresh, Space::Accession, original, name)?)
            }
            _ => None,
        };
        let known = match &study {
            Seen::Known(id) => match fresh.studies.get(id) {
                Some(patient) => Some(*patient),
                None => state.patient_of(*id)?,
            },
            Seen::Free(_) => None,
        };
        if let Some(known) = known
            && known != patient.id()
        {
            let known = self.fresh_name(state, fresh, known)?;
            return Err(NotAdopted::StudyOfOtherPatient { known }.into());
        }
        let offset = self.offset_of(state, fresh, &patient, given)?;
        Ok(Sound {
            patient,
            study,
            accession,
            has_row: known.is_some(),
            offset,
        })
    }

    /// The days to be noted for a patient, if they are not yet.
    fn offset_of(
        &self,
        state: &mut State<T::Snapshot>,
        fresh: &Fresh,
        patient: &Seen,
        given: &GivenStudy,
    ) -> Result<Option<i32>, Refused> {
        let (id, days) = (patient.id(), given.study.date_offset);
        if id == PairId::NO_PATIENT {
            return Ok(None);
        }
        if let Seen::Free(_) = patient {
            return Ok(Some(days));
        }
        if state.flight.holds_patient(id) {
            return Err(BackendError::from(Fault::Busy).into());
        }
        let noted = match fresh.offsets.get(&id) {
            Some(held) => Some(*held),
            None => state.offset(id)?,
        };
        let differs = |held: i32| held != days;
        let held = match noted {
            Some(held) => Some(held).filter(|held| differs(*held)),
            None => other_offset(&*state.snapshot, id, days)?,
        };
        match (held, noted) {
            (Some(held), _) => {
                let patient = self.fresh_name(state, fresh, id)?;
                Err(NotAdopted::OtherOffset { patient, held }.into())
            }
            (None, Some(_)) => Ok(None),
            (None, None) => Ok(Some(days)),
        }
    }

    /// The place of a pair, known or to be.
    fn see(
        &self,
        state: &mut State<T::Snapshot>,
        fresh: &Fresh,
        space: Space,
        original: &Phi<String>,
        name: &str,
    ) -> Result<Seen, Refused> {
        let refused = |problem| Refused::from(NotAdopted::Pair { space, problem });
        let form = |problem| refused(AdoptError::Form { problem });
        check_form(space, name).map_err(refused)?;
        if original.expose().is_empty() {
            return match space {
                Space::Patient if name == self.identity.default_patient() => {
                    Ok(Seen::Known(PairId::NO_PATIENT))
                }
                Space::Patient => Err(refused(AdoptError::OriginalTaken {
                    pseudonym: self.identity.default_patient(),
                })),
                Space::Uid | Space::Accession => {
                    Err(form("an empty original has no pseudonym of its own"))
                }
            };
        }
        let key = self.key(space, original.expose());
        if let Some(id) = state.id(key)? {
            let pseudonym = self.fresh_name(state, fresh, id)?;
            return if pseudonym == name {
                Ok(Seen::Known(id))
            } else {
                Err(refused(AdoptError::OriginalTaken { pseudonym }))
            };
        }
        let taken = || {
            refused(AdoptError::PseudonymTaken {
                pseudonym: name.to_owned(),
            })
        };
        let Some(number) = self.identity.number(space, name) else {
            if state.name(self.name_key(space, name))?.is_some() {
                return Err(taken());
            }
            let kind = self.unnumbered(space, original, name);
            let next = *state.meta.counter(space, kind) + 1;
            return Ok(Seen::Free(PairId::new(space, kind, next)));
        };
        if number > MAX_NUMBER - 2 * ROOM {
            return Err(form("the number in the pseudonym is too high"));
        }
        let id = PairId::new(space, Kind::Numbered, number);
        let is_taken = fresh.names.contains_key(&id) || state.snapshot.pair(id)?.is_some();
        if is_taken || id == PairId::NO_PATIENT {
            return Err(taken());
        }
        Ok(Seen::Free(id))
    }

    fn unnumbered(&self, space: Space, original: &Phi<String>, name: &str) -> Kind {
        match self.identity.computed(space, original.expose()) {
            Some(computed) if computed == name => Kind::Computed,
            _ => Kind::Given,
        }
    }

    fn fresh_name(
        &self,
        state: &State<T::Snapshot>,
        fresh: &Fresh,
        id: PairId,
    ) -> Result<String, BackendError> {
        match fresh.names.get(&id) {
            Some(name) => Ok(name.clone()),
            None => self.name_of(state, id),
        }
    }

    /// Puts what is new of a study among the pending and the fresh.
    fn plan(
        &self,
        state: &mut State<T::Snapshot>,
        fresh: &mut Fresh,
        place: usize,
        given: &GivenStudy,
        sound: &Sound,
    ) -> Adopted {
        let mut answer = Adopted::Known;
        let pairs = [
            (
                Some(&sound.patient),
                Some(&given.patient_key),
                &given.patient_name,
            ),
            (
                Some(&sound.study),
                Some(&given.study_uid),
                &given.study_name,
            ),
            (
                sound.accession.as_ref(),
                given.study.accession.as_ref(),
                &given.accession_name,
            ),
        ];
        for pair in pairs {
            if let (Some(Seen::Free(id)), Some(original), name) = pair {
                self.push_given(state, *id, original, name);
                fresh.names.insert(*id, name.clone());
                answer = Adopted::New;
            }
        }
        let (patient, study) = (sound.patient.id(), sound.study.id());
        if let Some(days) = sound.offset {
            fresh.offsets.insert(patient, days);
            answer = Adopted::New;
        }
        if !sound.has_row {
            let accession = sound.accession.as_ref().map(Seen::id);
            fresh.studies.insert(study, patient);
            fresh.rows.push((patient, study, accession, place));
            answer = Adopted::New;
        }
        answer
    }

    fn push_given(
        &self,
        state: &mut State<T::Snapshot>,
        id: PairId,
        original: &Phi<String>,
        name: &str,
    ) {
        let (space, kind) = (id.space(), id.kind());
        let counter = state.meta.counter(space, kind);
        *counter = id.number().max(*counter);
        *state.meta.count(space) += 1;
        state.pending.push(Given {
            id,
            key: self.key(space, original.expose()),
            pair: Pair {
                original: original.clone(),
                given: (kind == Kind::Given).then(|| name.to_owned()),
                referrer: None,
            },
            name: (kind != Kind::Numbered).then(|| self.name_key(space, name)),
        });
    }

    /// Lets no number be given that another program has given.
    fn rise_above(&self, meta: &mut Meta, space: Space, name: &str) {
        let Some(number) = self.identity.number(space, name) else {
            return;
        };
        if number > MAX_NUMBER - 2 * ROOM {
            // Out of reach for a counter of ours that begins at one.
            return;
        }
        let above = match space {
            Space::Uid => (number / ROOM + 2) * ROOM,
            Space::Patient | Space::Accession => number,
        };
        let counter = meta.counter(space, Kind::Numbered);
        *counter = above.max(*counter);
    }
}

/// The days by which a study of the patient was moved, if they are others than these.
fn other_offset<S: Snapshot>(
    snapshot: &S,
    patient: PairId,
    days: i32,
) -> Result<Option<i32>, BackendError> {
    let mut after = None;
    loop {
        let page = snapshot.studies(patient, after, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(None);
        };
        after = Some(*last);
        for (_, study) in page {
            let held = snapshot.study(study)?.ok_or(Fault::Dangling)?;
            let held = held.phi.date_offset;
            if held != days {
                return Ok(Some(held));
            }
        }
    }
}

/// Why a study is not adopted: it contradicts, or the store failed.
enum Refused {
    Because(NotAdopted),
    Backend(BackendError),
}

impl From<NotAdopted> for Refused {
    fn from(why: NotAdopted) -> Self {
        Self::Because(why)
    }
}

impl From<BackendError> for Refused {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}
