//! The trait [`Rules`], which answers what to do with each data element.

use std::fmt;

pub use crate::action::{Action, Element, ItemElement, ItemValue, Method, State};
use crate::object::{Insert, Look, ObjectHeader, ObjectRules, Refused};

/// Total rules: an action for every data element.
///
/// Implementations are pure and cheap: `action` is called once for every element of every object,
/// on any thread. The same element always gets the same action, because what was made with rules is
/// filed under their [`digest`](Self::digest).
///
/// # Examples
/// A list of what stays. Everything else goes:
///
/// ```
/// use anon_script::{Action, Element, Method, Rules, Tag};
///
/// #[derive(Debug)]
/// struct KeepList {
///     method: Method,
/// }
///
/// impl Rules for KeepList {
///     fn action(&self, element: Element) -> &Action {
///         match element.tag {
///             Tag(0x0008, 0x0016 | 0x0060) => &Action::Keep, // SOP class, modality
///             Tag(0x0008, 0x0018 | 0x1155) => &Action::Uid,  // SOP Instance UIDs, referenced ones too
///             Tag(0x0020, 0x000D | 0x000E | 0x0052) => &Action::Uid,
///             Tag(0x0008, 0x0020..=0x0023) => &Action::ShiftDate,
///             Tag(0x0008, 0x1140) => &Action::Keep,          // a sequence: its items are asked about
///             Tag(0x0010, 0x1010) => &Action::RoundAge { width: 5 },
///             Tag(0x0020, 0x0011 | 0x0013) => &Action::Keep,
///             Tag(0x0028, _) | Tag(0x7FE0, 0x0010) => &Action::Keep,
///             _ => &Action::Remove,                          // private elements, overlays, all text
///         }
///     }
///     fn method(&self) -> &Method {
///         &self.method
///     }
///     fn name(&self) -> &str {
///         "keep-list"
///     }
///     fn text(&self) -> &str {
///         "keep-list 1"
///     }
///     fn digest(&self) -> [u8; 32] {
///         // Another value whenever `action` or `method` changes: a version number, or a hash.
///         let mut digest = [0; 32];
///         digest[0] = 1;
///         digest
///     }
/// }
///
/// let rules = KeepList { method: Method::new("KEEP LIST 1") };
/// assert_eq!(rules.action(Element::root(Tag(0x0010, 0x0030))), &Action::Remove);
/// assert_eq!(rules.action(Element::nested(Tag(0x0008, 0x1155), 1)), &Action::Uid);
/// ```
pub trait Rules: Send + Sync + fmt::Debug {
    /// The action for an element. Total: never "no rule".
    fn action(&self, element: Element) -> &Action;

    /// The state of the items of a sequence that stays. By default that of the data set around it.
    fn items(&self, sequence: Element) -> State {
        sequence.state
    }

    /// What the rules must see of an object before its first element is decided about. The default is
    /// nothing, and [`begin`](Self::begin) is not called.
    fn look(&self) -> Look {
        Look::Nothing
    }

    /// Begins an object. Called once an object, after the look.
    ///
    /// # Errors
    /// [`Refused`] if the object is not to be stored.
    fn begin<'r>(
        &'r self,
        header: &'r ObjectHeader,
    ) -> Result<Option<Box<dyn ObjectRules + 'r>>, Refused> {
        let _ = header;
        Ok(None)
    }

    /// The elements that are written into every root data set, sorted by tag. They replace those of the
    /// object. Group 0013 of [`Insert::BLOCK`] is private.
    fn inserts(&self) -> &[Insert] {
        Insert::RSNA
    }

    /// True if the rules alone decide about what identifies the object.
    ///
    /// By default they do not: Study, Series and SOP Instance UID of the root are always pseudonyms, and
    /// so are Patient's Name and Patient ID in items that stay, unless they are emptied. Paths and the
    /// index have pseudonyms in either case.
    fn decides_identity(&self) -> bool {
        false
    }

    /// What an output says of how it was de-identified.
    fn method(&self) -> &Method;

    /// The name by which people know these rules, such as `rsna-v17` or a file name.
    fn name(&self) -> &str;

    /// The text the rules were made from, in a form that makes the same rules again. It is stored
    /// with what the rules made.
    fn text(&self) -> &str;

    /// SHA-256 of what the rules do. Two rule sets with one digest do the same to every object, and
    /// rules that do something else have another digest.
    fn digest(&self) -> [u8; 32];
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Rules>();
};
