//! [`Remarks`]: what a data manager should know about stored objects, counted.
//!
//! A remark has a reason and the tag of an element, never a value. An object carries its remarks
//! from its plan to the index; the sums of many objects have the same type.

use std::collections::BTreeMap;

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RemarkKind {
    /// A value became empty because its rule could not deal with it.
    Emptied,
    /// The source is not encoded as PS3.5 requires, and the output is.
    Mended,
    /// The bytes of the pixels do not agree with the attributes that describe them.
    Pixels,
    /// A text lost words that can identify.
    Cleaned,
}

impl RemarkKind {
    /// Returns its name in JSON: `emptied`, `mended`, `pixels` or `cleaned`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emptied => "emptied",
            Self::Mended => "mended",
            Self::Pixels => "pixels",
            Self::Cleaned => "cleaned",
        }
    }
}

/// Why a remark was made.
///
/// Stores keep the number of a reason. A number stays with its reason for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum RemarkReason {
    /// A value to be moved as a date is not a date or date-time (PS3.5 section 6.2).
    NotADate = 1,
    /// A date would move outside the years 1 to 9999.
    DateOutOfRange = 2,
    /// A value to be rounded as an age is not an age (PS3.5 section 6.2).
    NotAnAge = 3,
    /// A kept value cannot be one of the value representation that PS3.6 gives its element.
    NotOfItsVr = 4,
    /// Bytes behind the last element are no element, and are left out.
    TrailingBytes = 101,
    /// Elements stood before or behind their place (PS3.5 section 7.1).
    OutOfOrder = 102,
    /// An element stood twice with the same bytes (PS3.5 section 7.1).
    Repeated = 103,
    /// The letters of an element named no value representation (PS3.5 section 7.1.2).
    UnknownVr = 104,
    /// The delimiter behind encapsulated pixel data was missing or damaged (PS3.5 section A.4).
    NoDelimiter = 105,
    /// A term of Specific Character Set was misspelled (PS3.3 section C.12.1.1.2).
    Misspelled = 106,
    /// Text in a single-byte character set had no escape sequence (PS3.5 section 6.1.2.5). The output
    /// keeps its bytes; the index has what they mean.
    NoEscape = 107,
    /// A date had the form of ACR-NEMA (PS3.5 section 6.2).
    OldDate = 108,
    /// The data set had another encoding than its transfer syntax (PS3.5 section 10).
    OtherEncoding = 109,
    /// The file meta information named two transfer syntaxes (PS3.10 section 7.1).
    TwoSyntaxes = 110,
    /// The file had an extension that its DICOMDIR does not have (PS3.10 section 8.2).
    OtherName = 111,
    /// Native pixel data has fewer bytes than its rows, columns, samples, frames and bits need.
    PixelsTooShort = 201,
    /// Native pixel data had more bytes than its rows, columns, samples, frames and bits need. The
    /// bytes behind the last pixel are left out.
    PixelsTooLong = 202,
    /// A text lost the words that can identify a person, and keeps the rest (PS3.15 section E.3.5).
    WordsRemoved = 301,
}

impl RemarkReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: &[Self] = &[
        Self::NotADate,
        Self::DateOutOfRange,
        Self::NotAnAge,
        Self::NotOfItsVr,
        Self::TrailingBytes,
        Self::OutOfOrder,
        Self::Repeated,
        Self::UnknownVr,
        Self::NoDelimiter,
        Self::Misspelled,
        Self::NoEscape,
        Self::OldDate,
        Self::OtherEncoding,
        Self::TwoSyntaxes,
        Self::OtherName,
        Self::PixelsTooShort,
        Self::PixelsTooLong,
        Self::WordsRemoved,
    ];

    /// Returns its kind, its name, and the sentences about one case and about many.
    #[expect(clippy::too_many_lines, reason = "a table")]
    const fn row(self) -> (RemarkKind, &'static str, &'static str, &'static str) {
        match self {
            Self::NotADate => (
                RemarkKind::Emptied,
                "not_a_date",
                "value was no date and is empty",
                "values were no dates and are empty",
            ),
            Self::DateOutOfRange => (
                RemarkKind::Emptied,
                "date_out_of_range",
                "date would move outside the years 1 to 9999 and is empty",
                "dates would move outside the years 1 to 9999 and are empty",
            ),
            Self::NotAnAge => (
                RemarkKind::Emptied,
                "not_an_age",
                "value was no age and is empty",
                "values were no ages and are empty",
            ),
            Self::NotOfItsVr => (
                RemarkKind::Emptied,
                "not_of_its_vr",
                "value did not fit its element and is empty",
                "values did not fit their element and are empty",
            ),
            Self::TrailingBytes => (
                RemarkKind::Mended,
                "trailing_bytes",
                "object ended with bytes that are not DICOM; they are left out",
                "objects ended with bytes that are not DICOM; they are left out",
            ),
            Self::OutOfOrder => (
                RemarkKind::Mended,
                "out_of_order",
                "element was out of order and was moved to its place",
                "elements were out of order and were moved to their places",
            ),
            Self::Repeated => (
                RemarkKind::Mended,
                "repeated",
                "element was repeated with the same bytes and is written once",
                "elements were repeated with the same bytes and are written once",
            ),
            Self::UnknownVr => (
                RemarkKind::Mended,
                "unknown_vr",
                "element had no valid value representation; a valid one was written",
                "elements had no valid value representation; valid ones were written",
            ),
            Self::NoDelimiter => (
                RemarkKind::Mended,
                "no_delimiter",
                "image lacked the end of its compressed pixels and has it",
                "images lacked the end of their compressed pixels and have it",
            ),
            Self::Misspelled => (
                RemarkKind::Mended,
                "misspelled",
                "character set was misspelled and is corrected",
                "character sets were misspelled and are corrected",
            ),
            Self::NoEscape => (
                RemarkKind::Mended,
                "no_escape",
                "object has text without the escape sequence of its character set",
                "objects have text without the escape sequence of their character set",
            ),
            Self::OldDate => (
                RemarkKind::Mended,
                "old_date",
                "date had the form of ACR-NEMA and has that of DICOM",
                "dates had the form of ACR-NEMA and have that of DICOM",
            ),
            Self::OtherEncoding => (
                RemarkKind::Mended,
                "other_encoding",
                "object was not encoded as its transfer syntax said",
                "objects were not encoded as their transfer syntax said",
            ),
            Self::TwoSyntaxes => (
                RemarkKind::Mended,
                "two_syntaxes",
                "object named two transfer syntaxes, and the first counts",
                "objects named two transfer syntaxes, and the first counts",
            ),
            Self::OtherName => (
                RemarkKind::Mended,
                "other_name",
                "file had another extension than its DICOMDIR says",
                "files had another extension than their DICOMDIR says",
            ),
            Self::PixelsTooShort => (
                RemarkKind::Pixels,
                "pixels_too_short",
                "image has fewer bytes of pixels than its rows, columns and frames need; it is kept as it is",
                "images have fewer bytes of pixels than their rows, columns and frames need; they are kept as they are",
            ),
            Self::PixelsTooLong => (
                RemarkKind::Pixels,
                "pixels_too_long",
                "image had more bytes of pixels than its rows, columns and frames need; the rest is left out",
                "images had more bytes of pixels than their rows, columns and frames need; the rest is left out",
            ),
            Self::WordsRemoved => (
                RemarkKind::Cleaned,
                "words_removed",
                "text lost words that can identify a person",
                "texts lost words that can identify a person",
            ),
        }
    }

    /// Returns what a remark with this reason is about.
    pub const fn kind(self) -> RemarkKind {
        self.row().0
    }

    /// Returns its name in JSON, such as `not_a_date`.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// Returns the reason with this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|reason| reason.name() == name).copied()
    }

    /// Returns a sentence about `count` cases without the name of the element, such as `12 values
    /// were no dates and are empty`.
    pub fn sentence(self, count: u64) -> String {
        let (_, _, one, many) = self.row();
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// Returns the number under which stores keep it.
    pub(crate) const fn code(self) -> u16 {
        self as u16
    }

    /// Returns the reason with this number. `None` if a later version of this crate added it.
    pub(crate) fn of_code(code: u16) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|reason| reason.code() == code).copied()
    }
}

/// A remark, with the number of its cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a remark has no more parts")]
pub struct Remark {
    /// Why it was made.
    pub reason: RemarkReason,
    /// The tag: group in the upper 16 bits, element in the lower. 0 if it is about the whole object.
    pub tag: u32,
    /// The number of cases.
    pub count: u64,
}

/// Remarks on one object, or on many, by reason and tag. Takes no memory while it is empty.
///
/// # Examples
/// ```
/// use anon_model::{Remark, RemarkReason, Remarks};
///
/// let mut remarks = Remarks::default();
/// remarks.add(RemarkReason::NotADate, 0x0008_0023);
/// remarks.add(RemarkReason::NotADate, 0x0008_0023);
/// let mut sum = Remarks::default();
/// sum.add_all(&remarks);
/// let content_date = Remark { reason: RemarkReason::NotADate, tag: 0x0008_0023, count: 2 };
/// assert_eq!(sum.iter().collect::<Vec<_>>(), [content_date]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks(BTreeMap<(RemarkReason, u32), u64>);

/// The most tags that are kept apart. Hostile objects can have remarks on any number of tags.
const MAX_ENTRIES: usize = 1024;

impl Remarks {
    /// Counts one case.
    #[cold]
    pub fn add(&mut self, reason: RemarkReason, tag: u32) {
        self.add_cases(Remark {
            reason,
            tag,
            count: 1,
        });
    }

    /// Counts several cases. Beyond 1024 different remarks, cases are counted without their tag.
    pub fn add_cases(&mut self, remark: Remark) {
        let mut key = (remark.reason, remark.tag);
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key) {
            key.1 = 0;
        }
        let count = self.0.entry(key).or_default();
        *count = count.saturating_add(remark.count);
    }

    /// Counts the remarks of another object too.
    pub fn add_all(&mut self, others: &Self) {
        for remark in others.iter() {
            self.add_cases(remark);
        }
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the remarks, by reason, then by tag.
    pub fn iter(&self) -> impl Iterator<Item = Remark> {
        let entries = self.0.iter();
        entries.map(|((reason, tag), count)| Remark {
            reason: *reason,
            tag: *tag,
            count: *count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_reasons_are_distinct() {
        for (at, reason) in RemarkReason::ALL.iter().enumerate() {
            assert_eq!(RemarkReason::named(reason.name()), Some(*reason));
            assert_eq!(RemarkReason::of_code(reason.code()), Some(*reason));
            let before = at.checked_sub(1).and_then(|at| RemarkReason::ALL.get(at));
            assert!(
                before.is_none_or(|before| before < reason),
                "{reason:?} is out of order"
            );
        }
    }

    #[test]
    fn remarks_on_too_many_tags_are_counted_without_their_tag() {
        let mut remarks = Remarks::default();
        for tag in 1..=3000 {
            remarks.add(RemarkReason::NotADate, tag);
        }
        assert_eq!(remarks.iter().count(), MAX_ENTRIES + 1);
        let sum: u64 = remarks.iter().map(|remark| remark.count).sum();
        assert_eq!(sum, 3000);
    }

    #[test]
    fn one_case_is_told_in_the_singular() {
        let reason = RemarkReason::NotADate;
        assert_eq!(reason.sentence(1), "1 value was no date and is empty");
        assert_eq!(reason.sentence(12), "12 values were no dates and are empty");
    }
}
