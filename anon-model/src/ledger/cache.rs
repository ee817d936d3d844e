//! [`Cache`]: a bounded map that forgets. What it does not hold is looked up in the store.

/// Entries a place holds.
const WAYS: usize = 4;

/// [`WAYS`] as the counter in a place.
const WAYS_U8: u8 = 4;

/// A set-associative cache: a key may stand in one of four places, and a new key pushes out the
/// oldest there. No lists, one allocation, at the first entry, no bookkeeping on a hit.
pub(crate) struct Cache<V> {
    /// None, or `count` of them.
    sets: Vec<Set<V>>,
    /// A power of two.
    count: usize,
}

#[derive(Clone)]
struct Set<V> {
    entries: [Option<(u128, V)>; WAYS],
    next: u8,
}

impl<V: Copy> Cache<V> {
    /// A cache of about this many entries.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            sets: Vec::new(),
            count: (entries / WAYS).next_power_of_two(),
        }
    }

    fn set(&mut self, key: u128) -> Option<&mut Set<V>> {
        // Ids are counters: multiplied, all of their bits reach the place.
        let [low, high] = [key, key >> 64].map(|part| part & u128::from(u64::MAX));
        let folded = u64::try_from(low ^ high.rotate_left(20) & u128::from(u64::MAX)).unwrap_or(0);
        let mixed = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let place = usize::try_from(mixed).unwrap_or(0) & (self.count - 1);
        self.sets.get_mut(place)
    }

    pub(crate) fn get(&mut self, key: u128) -> Option<V> {
        let set = self.set(key)?;
        set.entries
            .iter()
            .flatten()
            .find(|(held, _)| *held == key)
            .map(|(_, value)| *value)
    }

    pub(crate) fn insert(&mut self, key: u128, value: V) {
        if self.sets.is_empty() {
            let empty = Set {
                entries: [None; WAYS],
                next: 0,
            };
            self.sets.resize(self.count, empty);
        }
        let Some(set) = self.set(key) else { return };
        let same = set
            .entries
            .iter()
            .position(|entry| entry.is_some_and(|(held, _)| held == key));
        let place = same.unwrap_or_else(|| {
            let place = usize::from(set.next);
            set.next = (set.next + 1) % WAYS_U8;
            place
        });
        if let Some(entry) = set.entries.get_mut(place) {
            *entry = Some((key, value));
        }
    }

    pub(crate) fn clear(&mut self) {
        for set in &mut self.sets {
            set.entries = [None; WAYS];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_newest_and_stays_small() {
        let mut cache = Cache::new(8);
        assert_eq!(cache.get(0), None);
        for key in 0..1000 {
            cache.insert(key, key * 2);
            assert_eq!(cache.get(key), Some(key * 2), "key {key}");
        }
        let held = (0..1000).filter(|key| cache.get(*key).is_some()).count();
        assert!((1..=8).contains(&held), "holds {held}");
        cache.insert(999, 1);
        assert_eq!(cache.get(999), Some(1));
        cache.clear();
        assert!((0..1000).all(|key| cache.get(key).is_none()));
    }
}
