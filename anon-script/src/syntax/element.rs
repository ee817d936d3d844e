//! References to elements in the arguments of a call: [`ElementRef`].
//!
//! ```text
//! element = "this" | [ "root:" ] id { "::" id }
//! id      = keyword | 1*8 hex | [ hex ] "," hex | private | any of these in {}, [] or ()
//! private = hex "[" creator "]" [ hex ]
//! ```

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::StandardDataDictionary;

/// A reference to an element: `this`, a keyword, a tag, a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElementRef {
    /// True if it begins with `root:`.
    pub root: bool,
    /// The steps from the root data set. All but the last are sequences.
    pub path: Vec<Id>,
}

/// One step of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these four")]
pub enum Id {
    /// `this`: the element of the rule.
    This,
    /// A tag, or the keyword of one (PS3.6).
    Tag(Tag),
    /// A name that is no keyword of PS3.6. It may be an alias or a keyword of CTP's toolkit.
    Name(String),
    /// `gggg[creator]ee`.
    Private {
        /// The group.
        group: u16,
        /// The private creator.
        creator: String,
        /// The low byte of the element. 0 if it is missing.
        element: u8,
    },
}

impl ElementRef {
    /// Parses a reference. `None` if the text is not one.
    ///
    /// ```
    /// use anon_script::{Tag, syntax::{ElementRef, Id}};
    ///
    /// let found = ElementRef::parse("root:PatientID").expect("a keyword");
    /// assert!(found.root);
    /// assert_eq!(found.path, [Id::Tag(Tag(0x0010, 0x0020))]);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (root, path) = match text.strip_prefix("root:") {
            Some(path) => (true, path),
            None => (false, text),
        };
        if path == "this" && !root {
            return Some(Self {
                root,
                path: vec![Id::This],
            });
        }
        let path: Option<Vec<Id>> = path.split("::").map(id).collect();
        path.map(|path| Self { root, path })
    }
}

fn id(text: &str) -> Option<Id> {
    let text = text.trim();
    let inner = [('{', '}'), ('[', ']'), ('(', ')')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
        .unwrap_or(text);
    if let Some(entry) = StandardDataDictionary.by_name(inner) {
        return Some(Id::Tag(entry.tag()));
    }
    if let Some((group, creator, element)) = private(inner) {
        return Some(Id::Private {
            group,
            creator,
            element,
        });
    }
    if let Some(tag) = hex_tag(inner) {
        return Some(Id::Tag(tag));
    }
    let is_name = !inner.is_empty()
        && inner
            .chars()
            .all(|char| char.is_alphanumeric() || matches!(char, '_' | '-' | ' '));
    is_name.then(|| Id::Name(inner.into()))
}

/// Parses `gggg[creator]ee`. The low byte may be missing.
pub(crate) fn private(text: &str) -> Option<(u16, String, u8)> {
    let (group, rest) = text.split_once('[')?;
    let (creator, element) = rest.rsplit_once(']')?;
    let group = group.strip_suffix(',').unwrap_or(group);
    let low = element.strip_prefix(',').unwrap_or(element);
    // `from_str_radix` would accept a sign.
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex(group) || !is_hex(low) {
        return None;
    }
    let group = u16::from_str_radix(group, 16).ok()?;
    let element = if low.is_empty() {
        0
    } else {
        u8::from_str_radix(low, 16).ok()?
    };
    (group % 2 == 1 && !creator.is_empty()).then(|| (group, creator.into(), element))
}

/// Parses 1 to 8 hexadecimal digits, or `gggg,eeee`.
pub(crate) fn hex_tag(text: &str) -> Option<Tag> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some((group, element)) = text.split_once(',') {
        let is_short = group.len() <= 4 && element.len() <= 4;
        if !is_short || !is_hex(group) || !is_hex(element) || element.is_empty() {
            return None;
        }
        let group = if group.is_empty() {
            0
        } else {
            u16::from_str_radix(group, 16).ok()?
        };
        return Some(Tag(group, u16::from_str_radix(element, 16).ok()?));
    }
    if text.is_empty() || text.len() > 8 || !is_hex(text) {
        return None;
    }
    let [a, b, c, d] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
    Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_tags_paths_and_private_blocks_are_references() {
        let tag = |text| match ElementRef::parse(text).map(|found| found.path) {
            Some(path) => match path.as_slice() {
                [Id::Tag(tag)] => Some(*tag),
                _ => None,
            },
            None => None,
        };
        for text in [
            "PatientID",
            "100020",
            "00100020",
            "0010,0020",
            "[0010,0020]",
            "(10,20)",
        ] {
            assert_eq!(tag(text), Some(Tag(0x0010, 0x0020)), "{text}");
        }
        let path = ElementRef::parse("AnatomicRegionSequence::CodeValue").expect("a path");
        assert_eq!(path.path.len(), 2);
        let block = ElementRef::parse("0009[GEMS_IDEN_01]27").expect("a block");
        let expect = Id::Private {
            group: 9,
            creator: "GEMS_IDEN_01".into(),
            element: 0x27,
        };
        assert_eq!(block.path, [expect]);
        assert_eq!(ElementRef::parse("a+b"), None);
    }
}
