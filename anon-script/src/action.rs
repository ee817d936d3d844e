//! What to do with each data element: [`Action`], and the place of an element: [`Element`].

use std::sync::Arc;

use dicom_core::{Tag, VR};

/// What is done with one data element.
///
/// Rules are total: an element that no rule names gets [`Action::Remove`].
///
/// An action is for values of certain VRs, named below. An engine that meets another value does not
/// keep it: `anon-engine` empties what it cannot change (a date that is none), and refuses the
/// object if that is not safe (an action on the value of a sequence).
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
    /// Each value is replaced by the pseudonym of the UID. For UI. UIDs of the standard itself
    /// (1.2.840.10008) stay.
    Uid,
    /// The value is replaced by the pseudonym of the patient. For PN, LO, SH.
    Patient,
    /// Each value is replaced by the pseudonym of the accession number. For SH, LO.
    Accession,
    /// Each date, or the date part of each date-time, is moved by the patient's offset. For DA, DT.
    ShiftDate,
    /// Each age is rounded to a multiple of `width` (1 to 999), half to even. For AS.
    RoundAge {
        /// The multiple, in the age's own unit.
        width: u16,
    },
    /// The value is replaced by this text, in the data set's own character set. The object is refused
    /// if the text does not fit the VR.
    Replace(Arc<str>),
    /// As [`Replace`](Self::Replace), for a text that was computed from the object: the element is
    /// emptied, with a remark, if the text does not fit the VR.
    Computed(Arc<str>),
    /// As [`Computed`](Self::Computed), for what is left of a text without the words that can identify.
    /// An engine counts it.
    Cleaned(Arc<str>),
    /// A sequence is replaced by one item with these elements, sorted by tag.
    Item(Arc<[ItemElement]>),
    /// More than the tag decides: [`ObjectRules::decide`](crate::ObjectRules::decide) is asked.
    Decide,
}

/// An element of an item that rules write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "rules make them")]
pub struct ItemElement {
    /// The tag.
    pub tag: Tag,
    /// The VR, which is not SQ unless the value is [`ItemValue::Item`].
    pub vr: VR,
    /// The value.
    pub value: ItemValue,
}

/// The value of an [`ItemElement`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an engine must meet every value")]
pub enum ItemValue {
    /// A text of ASCII characters, with backslashes between values; numbers in decimal.
    Text(Arc<str>),
    /// A sequence with one item.
    Item(Arc<[ItemElement]>),
}

/// The place of a data element that a rule is asked about.
///
/// An engine asks once for each element of an object, in the order of the data set, and for a
/// sequence before its items:
///
/// ```text
/// (0008,0020) StudyDate                      Element { tag: (0008,0020), depth: 0 }
/// (0008,1115) ReferencedSeriesSequence       Element { tag: (0008,1115), depth: 0 }
///   item 1, item 2
///     (0020,000E) SeriesInstanceUID          Element { tag: (0020,000E), depth: 1 }   once an item
/// ```
///
/// * If the action of a sequence is [`Action::Keep`], its items stay and their elements are asked
///   about. If it is [`Action::Remove`] or [`Action::Empty`], nothing in it is asked about. Every
///   other action on a sequence refuses the object.
/// * The answer depends on the tag and the depth alone. The value, the VR, the number of the item
///   and the sequences around it are not shown: two objects with the same elements are treated
///   alike.
/// * Private elements have odd groups. Their creator is not shown either, and the same tag means
///   something else under another creator (PS3.5 section 7.8.1). Remove them unless every object
///   comes from one device.
/// * Group 60xx (overlays) and 50xx (curves) repeat: match `group & 0xFF00`.
///
/// An engine does not ask about elements that it writes itself or never writes. For `anon-engine`
/// these are, in the root, SOP Class UID (kept), SOP Instance, Study Instance and Series Instance
/// UID, Patient's Name and Patient ID (pseudonyms), (0012,0062) to (0012,0064) and its private block
/// in group 0013; and at every depth group lengths, groups 0000 to 0003, and trailing padding
/// (dropped).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Element {
    /// The tag.
    pub tag: Tag,
    /// Nesting depth: 0 in the root data set, 1 in an item of a sequence of the root, and so on.
    pub depth: u16,
    /// What the rules know of the way to the data set that holds the element.
    pub state: State,
}

/// Stands for the sequences that lead to a data set. Rules with several tables choose one by it.
///
/// The root has the state of [`ObjectRules::root`](crate::ObjectRules::root), the items of a sequence that of [`Rules::items`](crate::Rules::items). An
/// engine hands the number on and does not interpret it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the number has a meaning for the rules alone"
)]
pub struct State(pub u32);

impl Element {
    /// An element of the root data set.
    #[inline]
    pub const fn root(tag: Tag) -> Self {
        Self::nested(tag, 0)
    }

    /// An element `depth` items deep.
    #[inline]
    pub const fn nested(tag: Tag, depth: u16) -> Self {
        Self {
            tag,
            depth,
            state: State(0),
        }
    }

    /// The element in a data set with this state.
    #[must_use]
    #[inline]
    pub const fn in_state(self, state: State) -> Self {
        Self { state, ..self }
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
