//! [`Pending`]: pairs given but not durable yet. Small: what was given since the last commit.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::Space;
use crate::ledger::records::{Key, Kind, Pair, PairId};

/// Passes a keyed hash through as it is.
#[derive(Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        let [low, high] = [key, key >> 64].map(|part| part & u128::from(u64::MAX));
        self.0 = u64::try_from(low ^ high).unwrap_or(0);
    }
}

/// A map whose keys are keyed hashes: nobody outside can choose them to collide.
pub(crate) type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<Same>>;

/// A pair with its key.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) id: PairId,
    pub(crate) key: Key,
    pub(crate) pair: Pair,
    /// The key of its pseudonym, if that does not follow from the id.
    pub(crate) name: Option<Key>,
}

/// Pairs and references given but not durable yet, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pairs: Vec<Given>,
    ids: KeyMap<PairId>,
    names: KeyMap<PairId>,
    references: BTreeSet<(PairId, PairId)>,
    /// The first numbered UID given. Those from here on are not in the tables.
    floor: Option<PairId>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.references.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn pairs(&self) -> &[Given] {
        &self.pairs
    }

    pub(crate) fn references(&self) -> &BTreeSet<(PairId, PairId)> {
        &self.references
    }

    pub(crate) fn id(&self, key: Key) -> Option<PairId> {
        self.ids.get(&key).copied()
    }

    pub(crate) fn name(&self, key: Key) -> Option<PairId> {
        self.names.get(&key).copied()
    }

    /// A pair by its id. Walks: asked only by messages and by re-identification.
    pub(crate) fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs
            .iter()
            .find(|given| given.id == id)
            .map(|given| &given.pair)
    }

    pub(crate) fn push(&mut self, given: Given) {
        self.ids.insert(given.key, given.id);
        if let Some(name) = given.name {
            self.names.insert(name, given.id);
        }
        self.pairs.push(given);
    }

    /// A pair whose number was counted up for it.
    pub(crate) fn push_new(&mut self, given: Given) {
        let sort = (given.id.space(), given.id.kind());
        if sort == (Space::Uid, Kind::Numbered) {
            self.floor.get_or_insert(given.id);
        }
        self.push(given);
    }

    /// True if a UID is certainly not in the tables.
    pub(crate) fn is_new(&self, uid: PairId) -> bool {
        let sort = (uid.space(), uid.kind());
        sort == (Space::Uid, Kind::Numbered) && self.floor.is_some_and(|floor| uid >= floor)
    }

    /// Notes the first study that names a UID given after the first `place` pairs.
    pub(crate) fn refer_first(&mut self, place: usize, study: PairId) {
        if let Some(given) = self.pairs.get_mut(place) {
            given.pair.referrer = Some(study);
        }
    }

    /// Notes that a study refers to a UID.
    pub(crate) fn refer(&mut self, uid: PairId, study: PairId) {
        self.references.insert((uid, study));
    }

    /// Takes back the newest pairs, down to `length`.
    pub(crate) fn truncate(&mut self, length: usize) -> Vec<Given> {
        let removed = self.pairs.split_off(length.min(self.pairs.len()));
        for given in &removed {
            self.ids.remove(&given.key);
            if let Some(name) = given.name {
                self.names.remove(&name);
            }
        }
        removed
    }

    /// What could not be written comes back, before what was given since.
    pub(crate) fn put_back(&mut self, unwritten: &Self) {
        let newer = std::mem::take(&mut self.pairs);
        for given in unwritten.pairs.iter().cloned().chain(newer) {
            self.push(given);
        }
        self.references.extend(&unwritten.references);
        self.floor = unwritten.floor.or(self.floor);
    }
}
