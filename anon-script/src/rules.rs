//! What to do with each data element: [`Action`], and the trait [`Rules`] that answers it.

use std::fmt;
use std::sync::Arc;

use dicom_core::Tag;

/// What is done with one data element.
///
/// Rules are total: an element that no rule names gets [`Action::Remove`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an engine must meet every action: a new one is a breaking change on purpose"
)]
pub enum Action {
    /// The value stays as it is. A sequence stays, and the rules are applied to each item.
    Keep,
    /// The element goes, with all that it contains.
    Remove,
    /// The element stays with a zero-length value; a sequence with no items.
    Empty,
    /// Each value is replaced by the pseudonym of the UID.
    Uid,
    /// The value is replaced by the pseudonym of the patient.
    Patient,
    /// Each value is replaced by the pseudonym of the accession number.
    Accession,
    /// Each date, or the date part of each date-time, is moved by the patient's offset.
    ShiftDate,
    /// Each age is rounded to a multiple of `width` (1 to 999), half to even.
    RoundAge {
        /// The multiple, in the age's own unit.
        width: u16,
    },
    /// The value is replaced by this text, in the data set's own character set.
    Replace(Arc<str>),
}

/// The place of a data element that a rule is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Element {
    /// The tag.
    pub tag: Tag,
    /// Nesting depth: 0 in the root data set, 1 in an item of a sequence of the root, and so on.
    pub depth: u16,
}

impl Element {
    /// An element of the root data set.
    pub const fn root(tag: Tag) -> Self {
        Self { tag, depth: 0 }
    }

    /// An element `depth` items deep.
    pub const fn nested(tag: Tag, depth: u16) -> Self {
        Self { tag, depth }
    }
}

/// What an output says of how it was de-identified: (0012,0063) and (0012,0064).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Method {
    /// De-identification Method (0012,0063), LO, at most 64 characters of the default repertoire.
    pub text: Arc<str>,
    /// Items of De-identification Method Code Sequence (0012,0064): code value and meaning, all of
    /// coding scheme DCM (PS3.16 CID 7050). Empty: no sequence is written.
    pub codes: Vec<(Arc<str>, Arc<str>)>,
}

impl Method {
    /// A method with this text and no codes.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            codes: Vec::new(),
        }
    }
}

/// Total rules: an action for every data element.
///
/// Implementations are pure and cheap: `action` is called once for every element of every object.
pub trait Rules: Send + Sync + fmt::Debug {
    /// The action for an element. Total: never "no rule".
    fn action(&self, element: Element) -> &Action;

    /// What an output says of how it was de-identified.
    fn method(&self) -> &Method;

    /// The name by which people know these rules, such as `rsna-v17` or a file name.
    fn name(&self) -> &str;

    /// The text the rules were made from, in a form that makes the same rules again.
    fn text(&self) -> &str;

    /// SHA-256 of what the rules do. Two rule sets with one digest do the same to every object.
    fn digest(&self) -> [u8; 32];
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Rules>();
};
