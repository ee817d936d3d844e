//! [`StoreMark`]: what a project knows of its lookup store without opening it.
//!
//! A project keeps the mark outside of the directory that holds the store, so that an older copy of the
//! store does not bring an older mark along. It is a text of seven lines, each ended by LF:
//!
//! ```text
//! anon store mark 1      the version of this format
//! store 9f86d08…         id of the store, 32 hex digits
//! group 1207             the store has committed this transaction
//! patients 1024          no higher number was given to a patient,
//! uids 70000             to a UID,
//! accessions 4100        to an accession number
//! check 2c26b46b…        BLAKE3 of the lines above: its first 16 hex digits
//! ```
//!
//! It holds nothing of an original.

use crate::stores::disk::position::{Numbers, Position, StoreId};

/// The version that this program writes.
const VERSION: u64 = 1;

/// The first word of the first line.
const TITLE: &str = "anon store mark";

/// What is known of a lookup store without opening it. The [module page](self) has its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreMark {
    /// The id of the store.
    pub store: StoreId,
    /// A transaction that the store has committed. A copy without it is older.
    pub group: u64,
    /// The store commits no number above these.
    pub ceilings: Numbers,
}

/// Why a text is not a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MarkError {
    /// It was changed or cut off.
    #[error("the mark is damaged")]
    Damaged,
    /// A newer version of this program wrote it.
    #[error("the mark has version {found}, and this program knows {VERSION}: use a newer one")]
    Newer {
        /// Its version.
        found: u64,
    },
}

/// Why a store is not the one that a mark was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreMismatch {
    /// It is another store.
    #[error("the mark was made of another lookup store")]
    Foreign,
    /// It is an older copy.
    #[error("the lookup store is an older copy: it ends at group {found}, and had reached {known}")]
    Older {
        /// The last group of the copy.
        found: u64,
        /// A group that the store had committed.
        known: u64,
    },
}

impl StoreMark {
    /// Checks that a store is the one that this mark was made of, and no older copy of it.
    ///
    /// # Errors
    /// [`StoreMismatch`].
    pub fn check(&self, store: &Position) -> Result<(), StoreMismatch> {
        if self.store != store.store {
            return Err(StoreMismatch::Foreign);
        }
        if self.group > store.group {
            return Err(StoreMismatch::Older {
                found: store.group,
                known: self.group,
            });
        }
        Ok(())
    }

    /// Returns the text of the mark.
    pub fn to_text(&self) -> String {
        let Numbers {
            patients,
            uids,
            accessions,
        } = self.ceilings;
        let (store, group) = (self.store, self.group);
        let lines = format!(
            "{TITLE} {VERSION}\nstore {store}\ngroup {group}\npatients {patients}\nuids {uids}\n\
             accessions {accessions}\n"
        );
        let digest = blake3::hash(lines.as_bytes()).to_hex();
        let check = digest.as_str().split_at(16).0;
        format!("{lines}check {check}\n")
    }

    /// Reads the text of a mark.
    ///
    /// # Errors
    /// [`MarkError`].
    pub fn parse(text: &str) -> Result<Self, MarkError> {
        let mut lines = text.lines();
        let mut field = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            let value = line.and_then(|value| value.strip_prefix(' '));
            value.ok_or(MarkError::Damaged)
        };
        let number = |value: &str| value.parse().map_err(|_| MarkError::Damaged);
        let found = number(field(TITLE)?)?;
        if found > VERSION {
            return Err(MarkError::Newer { found });
        }
        let mark = Self {
            store: StoreId::parse(field("store")?).ok_or(MarkError::Damaged)?,
            group: number(field("group")?)?,
            ceilings: Numbers {
                patients: number(field("patients")?)?,
                uids: number(field("uids")?)?,
                accessions: number(field("accessions")?)?,
            },
        };
        // The text of a mark has one form, so this compares the checksum too.
        if mark.to_text() == text {
            Ok(mark)
        } else {
            Err(MarkError::Damaged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../../tests/data/store-1.mark");

    fn mark() -> StoreMark {
        let id = "000102030405060708090a0b0c0d0e0f";
        StoreMark {
            store: StoreId::parse(id).unwrap(),
            group: 1207,
            ceilings: Numbers {
                patients: 1024,
                uids: 70_000,
                accessions: 4100,
            },
        }
    }

    #[test]
    fn a_mark_of_version_1_reads_as_it_was_written() {
        assert_eq!(mark().to_text(), GOLDEN);
        assert_eq!(StoreMark::parse(GOLDEN), Ok(mark()));
    }

    #[test]
    fn a_mark_that_was_changed_or_cut_off_is_damaged() {
        for length in 0..GOLDEN.len() {
            let cut = StoreMark::parse(&GOLDEN[..length]);
            assert_eq!(cut, Err(MarkError::Damaged), "cut at {length}");
        }
        for changed in [
            GOLDEN.replace("1024", "1023"),
            GOLDEN.replace("1207", "01207"),
            GOLDEN.replace('\n', "\r\n"),
            format!("{GOLDEN}\n"),
        ] {
            assert_eq!(StoreMark::parse(&changed), Err(MarkError::Damaged));
        }
        let newer = GOLDEN.replace("mark 1", "mark 2");
        let found = 2;
        assert_eq!(StoreMark::parse(&newer), Err(MarkError::Newer { found }));
    }

    #[test]
    fn an_older_and_another_store_differ_from_the_mark() {
        let store = |id: &str, group| Position {
            store: StoreId::parse(id).unwrap(),
            group,
            numbers: Numbers::default(),
        };
        let id = "000102030405060708090a0b0c0d0e0f";
        assert_eq!(mark().check(&store(id, 1207)), Ok(()));
        assert_eq!(mark().check(&store(id, 9999)), Ok(()), "it went on");
        let (found, known) = (1206, 1207);
        let older = StoreMismatch::Older { found, known };
        assert_eq!(mark().check(&store(id, 1206)), Err(older));
        let other = "000102030405060708090a0b0c0d0e00";
        let foreign = Err(StoreMismatch::Foreign);
        assert_eq!(mark().check(&store(other, 1207)), foreign);
    }
}
