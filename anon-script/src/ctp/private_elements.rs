//! [`PrivateElement`]: what is known of private elements.

use std::collections::HashMap;
use std::sync::LazyLock;

/// CTP's list of private elements: group, creator, low byte, VR, and its code.
const LIST: &str = include_str!("private_elements.tsv");

static ELEMENTS: LazyLock<HashMap<(u16, String, u8), PrivateElement>> =
    LazyLock::new(|| LIST.lines().filter_map(entry).collect());

/// A private element that CTP knows.
///
/// ```
/// use anon_script::ctp::PrivateElement;
///
/// let known = PrivateElement::find(0x0019, "GEMS_ACQU_01", 0x23).expect("TableSpeed is listed");
/// assert_eq!((known.vr, known.is_safe), ("DS", true));
/// assert!(PrivateElement::find(0x0019, "NOBODY", 0x23).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrivateElement {
    /// Its VR.
    pub vr: &'static str,
    /// True if it holds nothing that identifies a person: CTP's code `K`.
    pub is_safe: bool,
}

impl PrivateElement {
    /// Returns what is known of an element, by its group, its creator in any case, and its low byte.
    pub fn find(group: u16, creator: &str, element: u8) -> Option<Self> {
        let key = (group, creator.to_uppercase(), element);
        ELEMENTS.get(&key).copied()
    }
}

fn entry(line: &'static str) -> Option<((u16, String, u8), PrivateElement)> {
    let mut fields = line.split('\t');
    let group = u16::from_str_radix(fields.next()?, 16).ok()?;
    let creator = fields.next()?.to_uppercase();
    let element = u8::from_str_radix(fields.next()?, 16).ok()?;
    let vr = fields.next()?;
    let is_safe = fields.next()? == "K";
    Some(((group, creator, element), PrivateElement { vr, is_safe }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        assert_eq!(ELEMENTS.len(), LIST.lines().count());
    }
}
