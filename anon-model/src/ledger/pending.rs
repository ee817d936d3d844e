//! [`Pending`]: the pairs made since the last commit, which are not durable yet.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::Space;
use crate::ledger::records::{Key, Pair, PairId, PairKind};

/// Uses a keyed hash as its own hash value.
#[derive(Default)]
pub(crate) struct PassThroughHasher(u64);

impl Hasher for PassThroughHasher {
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

/// A map with keyed hashes as keys. Incoming data cannot be chosen to make them collide.
pub(crate) type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<PassThroughHasher>>;

/// A pair that is not durable yet, with the keys to find it by.
#[derive(Debug, Clone)]
pub(crate) struct PendingPair {
    pub(crate) id: PairId,
    pub(crate) key: Key,
    pub(crate) pair: Pair,
    /// The key of its pseudonym, unless the pseudonym follows from the id.
    pub(crate) name: Option<Key>,
}

/// Pairs and references that are not durable yet, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pairs: Vec<PendingPair>,
    ids: KeyMap<PairId>,
    names: KeyMap<PairId>,
    references: BTreeSet<(PairId, PairId)>,
    /// The first numbered UID among the pairs. The tables hold none from here on.
    first_new_uid: Option<PairId>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.references.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn pairs(&self) -> &[PendingPair] {
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

    /// Returns the pair with an id. A linear search: for messages, re-identification, and pseudonyms of
    /// other programs, which are committed soon after they are adopted.
    pub(crate) fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs
            .iter()
            .find(|pending| pending.id == id)
            .map(|pending| &pending.pair)
    }

    pub(crate) fn push(&mut self, pair: PendingPair) {
        self.ids.insert(pair.key, pair.id);
        if let Some(name) = pair.name {
            self.names.insert(name, pair.id);
        }
        self.pairs.push(pair);
    }

    /// Adds a pair whose number was taken from a counter.
    pub(crate) fn push_new(&mut self, pair: PendingPair) {
        if (pair.id.space(), pair.id.kind()) == (Space::Uid, PairKind::Numbered) {
            self.first_new_uid.get_or_insert(pair.id);
        }
        self.push(pair);
    }

    /// Returns true if a UID is certainly not in the tables.
    pub(crate) fn is_new(&self, uid: PairId) -> bool {
        (uid.space(), uid.kind()) == (Space::Uid, PairKind::Numbered)
            && self.first_new_uid.is_some_and(|first| uid >= first)
    }

    /// Sets the first study that refers to the UID of the pair at `position`.
    pub(crate) fn set_referrer(&mut self, position: usize, study: PairId) {
        if let Some(pending) = self.pairs.get_mut(position) {
            pending.pair.referrer = Some(study);
        }
    }

    /// Adds a further study that refers to a UID.
    pub(crate) fn add_reference(&mut self, uid: PairId, study: PairId) {
        self.references.insert((uid, study));
    }

    /// Removes and returns the newest pairs, so that `length` pairs stay.
    pub(crate) fn truncate(&mut self, length: usize) -> Vec<PendingPair> {
        let removed = self.pairs.split_off(length.min(self.pairs.len()));
        for pair in &removed {
            self.ids.remove(&pair.key);
            if let Some(name) = pair.name {
                self.names.remove(&name);
            }
        }
        removed
    }

    /// Puts pairs that could not be written back in front of the pairs made since.
    pub(crate) fn restore(&mut self, unwritten: &Self) {
        let newer = std::mem::take(&mut self.pairs);
        for pair in unwritten.pairs.iter().cloned().chain(newer) {
            self.push(pair);
        }
        self.references.extend(&unwritten.references);
        self.first_new_uid = unwritten.first_new_uid.or(self.first_new_uid);
    }
}
