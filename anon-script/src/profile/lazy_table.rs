//! [`LazyTable`]: codes by tag, computed a page at a time when one of its tags is first asked for.
//!
//! A profile decides about every attribute of PS3.6. Computing all codes before the first object would take longer
//! than most imports.

use std::fmt;
use std::sync::OnceLock;

use dicom_core::Tag;

const SPAN: usize = 256;
const GROUPS: usize = 1 << 16;

type Page = [u8; SPAN];
type Group = [OnceLock<Box<Page>>; SPAN];

/// Codes by tag.
pub(super) struct LazyTable {
    groups: Box<[OnceLock<Box<Group>>]>,
}

impl LazyTable {
    pub(super) fn new() -> Self {
        Self {
            groups: (0..GROUPS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the code of a tag.
    #[inline]
    pub(super) fn code(&self, tag: Tag, compute: impl Fn(Tag) -> u8) -> u8 {
        let [high, low] = tag.1.to_be_bytes();
        let Some(group) = self.groups.get(usize::from(tag.0)) else {
            return compute(tag);
        };
        let group = group.get_or_init(|| Box::new([const { OnceLock::new() }; SPAN]));
        let Some(page) = group.get(usize::from(high)) else {
            return compute(tag);
        };
        let page = page.get_or_init(|| {
            let tags = (0..=u8::MAX).map(|low| Tag(tag.0, u16::from_be_bytes([high, low])));
            let mut page = Box::new([0; SPAN]);
            for (code, tag) in page.iter_mut().zip(tags) {
                *code = compute(tag);
            }
            page
        });
        page.get(usize::from(low)).copied().unwrap_or_default()
    }
}

impl fmt::Debug for LazyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyTable")
    }
}
