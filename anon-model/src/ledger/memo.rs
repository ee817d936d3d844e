//! [`Memo`]: the keys of texts hashed lately. Most UIDs of an instance were hashed for the one
//! before it, and its own is hashed again at commit.

use crate::ledger::records::Key;

/// Texts held: 4096 of at most [`LONGEST`] bytes.
const SLOTS: usize = 1 << 12;

/// Longer texts are hashed each time, so that memory is bounded.
const LONGEST: usize = 128;

/// A direct-mapped cache from a text to its key. It compares the whole text: two texts that meet in
/// a slot only push each other out.
pub(crate) struct Memo {
    slots: Vec<Slot>,
}

#[derive(Clone, Default)]
struct Slot {
    text: String,
    label: u8,
    key: Key,
}

impl Memo {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
        }
    }

    /// The key of a text, hashed if it is not held.
    pub(crate) fn key(&mut self, label: u8, text: &str, hash: impl FnOnce() -> Key) -> Key {
        let slot = match self.slots.get_mut(place(label, text)) {
            Some(slot) if text.len() <= LONGEST && !text.is_empty() => slot,
            _ => return hash(),
        };
        if slot.label != label || slot.text != text {
            slot.key = hash();
            slot.label = label;
            slot.text.clear();
            slot.text.push_str(text);
        }
        slot.key
    }
}

/// UIDs that are met together mostly differ near their ends.
fn place(label: u8, text: &str) -> usize {
    let mut mixed = u64::from(label) << 32 | text.len() as u64;
    for word in text.as_bytes().rchunks(8).take(3) {
        let mut bytes = [0_u8; 8];
        for (byte, from) in bytes.iter_mut().zip(word) {
            *byte = *from;
        }
        mixed =
            (mixed.rotate_left(23) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    usize::try_from(mixed >> 40).unwrap_or(0) & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_the_key_of_label_and_text() {
        let mut memo = Memo::new();
        let long = "1".repeat(LONGEST + 1);
        for round in 0..3 {
            for number in 0..20_000_u32 {
                let text = format!("1.2.{number}");
                let expected = Key::from(number) << 2 | Key::from(number % 3);
                let label = u8::try_from(number % 3).unwrap();
                assert_eq!(
                    memo.key(label, &text, || expected),
                    expected,
                    "round {round}, {text}"
                );
            }
        }
        assert_eq!(memo.key(0, "a", || 1), 1);
        assert_eq!(memo.key(0, "a", || 2), 1, "held");
        assert_eq!(memo.key(1, "a", || 3), 3, "another space");
        assert_eq!(memo.key(0, &long, || 4), 4);
        assert_eq!(memo.key(0, &long, || 5), 5, "too long to hold");
        assert!(memo.slots.iter().all(|slot| slot.text.len() <= LONGEST));
    }
}
