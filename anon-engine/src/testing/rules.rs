//! [`PlainRules`]: a few fixed rules for tests that are not about rules.

use anon_script::rules::{Action, Element, Method, Rules};
use dicom_core::Tag;

/// Rules that replace what identifies a [`Place`](super::files::Place) and keep the rest of the
/// groups 0008, 0018, 0020, 0028 and 7FE0.
#[derive(Debug)]
pub struct PlainRules {
    method: Method,
}

impl Default for PlainRules {
    fn default() -> Self {
        Self {
            method: Method::new("PLAIN RULES FOR TESTS"),
        }
    }
}

impl Rules for PlainRules {
    fn action(&self, element: Element) -> &Action {
        match element.tag {
            Tag(0x0010, 0x0010 | 0x0020) => &Action::Patient,
            Tag(0x0008, 0x0018 | 0x1155) | Tag(0x0020, 0x000D | 0x000E | 0x0052 | 0x0200) => {
                &Action::Uid
            }
            Tag(0x0008, 0x0050) => &Action::Accession,
            Tag(0x0008, 0x0020..=0x0023 | 0x002A) => &Action::ShiftDate,
            Tag(0x0008, 0x0005 | 0x0008 | 0x0016 | 0x0060 | 0x1150 | 0x1140)
            | Tag(0x0018 | 0x0028 | 0x7FE0, _) => &Action::Keep,
            Tag(0x0020, element) if element != 0x4000 => &Action::Keep,
            _ => &Action::Remove,
        }
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn name(&self) -> &'static str {
        "plain"
    }

    fn text(&self) -> &'static str {
        "plain rules for tests"
    }

    fn digest(&self) -> [u8; 32] {
        [7; 32]
    }
}
