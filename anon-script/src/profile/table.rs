//! The rows of Table E.1-1 (PS3.15 section E.1), and what they say with options.

use std::collections::HashMap;

use dicom_core::Tag;

use super::options::{Options, ProfileOption};

/// What a row says of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// X: it goes.
    Remove,
    /// Z: it stays without a value.
    Empty,
    /// D: it gets a dummy.
    Dummy,
    /// U: its UIDs get pseudonyms; a sequence of references stays.
    Uid,
    /// K: it stays.
    Keep,
    /// C of the dates: it moves.
    Shift,
    /// C of the other options: it stays without what identifies.
    Clean,
    /// Several actions, of which the type of the attribute chooses one.
    Alternatives {
        /// True if an attribute that is not required goes; otherwise it is emptied.
        removes: bool,
    },
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    basic: Verdict,
    /// A bit for each letter of the options, in the order of [`LETTERS`].
    options: u16,
}

/// The letters of the options in the data.
const LETTERS: &[u8] = b"UDdIPpFMTSG";

/// The rows by tag.
#[derive(Debug)]
pub(super) struct Table(HashMap<Tag, Row>);

impl Table {
    pub(super) fn new() -> Self {
        let lines = include_str!("e1_1.txt").lines();
        Self(lines.filter_map(row).collect())
    }

    /// Returns the attributes that it lists.
    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> {
        let mut tags: Vec<Tag> = self.0.keys().copied().collect();
        tags.sort_unstable();
        tags.into_iter()
    }

    /// Returns what the table says of an attribute without options. `None` if it does not list it.
    pub(super) fn basic(&self, tag: Tag) -> Option<Verdict> {
        self.0.get(&tag).map(|row| row.basic)
    }

    /// Returns what the table says of an attribute. `None` if it does not list it.
    pub(super) fn verdict(&self, tag: Tag, options: &Options) -> Option<Verdict> {
        let row = self.0.get(&tag)?;
        let has = |letter: u8, option: ProfileOption| {
            let at = LETTERS.iter().position(|known| *known == letter);
            at.is_some_and(|at| row.options >> at & 1 == 1) && options.has(option)
        };
        // A date that stays with its device would tell by how much the others moved.
        Some(if has(b'M', ProfileOption::ModifiedDates) {
            Verdict::Shift
        } else if has(b'F', ProfileOption::FullDates)
            || has(b'U', ProfileOption::Uids)
            || has(b'D', ProfileOption::Device)
            || has(b'I', ProfileOption::Institution)
            || has(b'P', ProfileOption::PatientCharacteristics)
        {
            Verdict::Keep
        } else if has(b'd', ProfileOption::Device)
            || has(b'p', ProfileOption::PatientCharacteristics)
            || has(b'T', ProfileOption::CleanDescriptors)
        {
            Verdict::Clean
        } else {
            row.basic
        })
    }
}

fn row(line: &str) -> Option<(Tag, Row)> {
    let mut parts = line.split(' ');
    let tag = tag(parts.next()?)?;
    let basic = match parts.next()? {
        "X" => Verdict::Remove,
        "Z" => Verdict::Empty,
        "D" => Verdict::Dummy,
        "U" => Verdict::Uid,
        several => Verdict::Alternatives {
            removes: several.starts_with('X'),
        },
    };
    let letters = parts.next().unwrap_or_default().bytes();
    let bits = letters.filter_map(|letter| LETTERS.iter().position(|known| *known == letter));
    let options = bits.fold(0, |all, bit| all | 1 << bit);
    Some((tag, Row { basic, options }))
}

/// Reads eight hexadecimal digits.
pub(super) fn tag(digits: &str) -> Option<Tag> {
    let (group, element) = digits.split_at_checked(4)?;
    let number = |digits| u16::from_str_radix(digits, 16).ok();
    (element.len() == 4).then_some(Tag(number(group)?, number(element)?))
}
