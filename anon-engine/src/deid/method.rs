//! The elements by which an output says that it is de-identified (PS3.15 section E.1.1): (0012,0062)
//! to (0012,0064) of the Patient Module (PS3.3 section C.7.1.1), and a private block in group 0013.

use anon_script::object::{Insert, InsertValue};
use dicom_core::Tag;

use crate::deid::eval;
use crate::deid::policy::Policy;
use crate::deid::template::{Edit, EditValue, Template};
use crate::read::dictionary::Vr;
use crate::read::scan::Encoding;
use crate::read::text::Charset;
use crate::refusal::{Category, Refusal};

const METHOD_CODES: Tag = Tag(0x0012, 0x0064);

/// Tells in few steps that an element is not replaced by an inserted one: a bit for each tag, of a private
/// one for its group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InsertFilter(u64);

impl InsertFilter {
    pub(crate) fn of(inserts: &[Insert]) -> Self {
        let bits = inserts.iter().map(|insert| Self::bit(insert.tag));
        Self(bits.fold(0, |all, bit| all | bit))
    }

    #[inline]
    fn bit(Tag(group, element): Tag) -> u64 {
        let low = if group % 2 == 1 {
            group
        } else {
            group ^ element
        };
        1 << (low & 63)
    }

    /// Returns true if [`is_replaced`] must be asked.
    #[inline]
    pub(crate) fn may_be_replaced(self, tag: Tag) -> bool {
        self.0 & Self::bit(tag) != 0
    }
}

/// Returns true for the root elements that the inserted ones replace, and for the rest of their private
/// blocks, which would otherwise be read under our private creator (PS3.5 section 7.8.1).
#[inline(never)]
pub(crate) fn is_replaced(inserts: &[Insert], tag: Tag) -> bool {
    if tag.0.is_multiple_of(2) {
        return inserts.iter().any(|insert| insert.tag == tag);
    }
    inserts.iter().any(|insert| {
        let Tag(group, element) = insert.tag;
        let is_block = matches!(element, 0x10..=0xFF) && tag.1 >> 8 == element;
        group == tag.0 && (element == tag.1 || is_block)
    })
}

/// Returns true if a text can be written as one value in any character set: printable ASCII without
/// a backslash, which separates values (PS3.5 section 6.4).
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |is, byte| {
        is & matches!(byte, b' '..=b'[' | b']'..=b'~')
    })
}

/// Checks that the texts of the policy fit their elements.
pub(crate) fn check(policy: &Policy) -> Result<(), Refusal> {
    let method = policy.rules.method();
    let short = |text: &str, most: usize| is_plain(text) && text.len() <= most;
    let codes = method
        .codes
        .iter()
        .all(|(value, meaning)| short(value, 16) && short(meaning, 64));
    // An SH value has at most 16 characters (PS3.5 section 6.2), but V17 writes longer project names
    // into one, so they are accepted.
    if short(&policy.site_id, 64)
        && short(&policy.project_name, 64)
        && short(&method.text, 64)
        && codes
    {
        return Ok(());
    }
    let reason = "the site id, the project name or the method of the script is too long, or is not \
                  plain ASCII without a backslash";
    Err(Refusal::new(Category::StorageError, reason))
}

/// Appends an inserted element. Returns `None` if it is too long.
pub(crate) fn insert(
    template: &mut Template,
    policy: &Policy,
    encoding: Encoding,
    insert: &Insert,
) -> Option<()> {
    let (tag, vr) = (insert.tag, Vr::of(insert.vr.to_bytes()));
    let mut text = |text: &str| template.element(encoding, tag, vr, text.as_bytes());
    match &insert.value {
        InsertValue::Text(fixed) => text(fixed),
        InsertValue::MethodText => text(&policy.rules.method().text),
        InsertValue::SiteId => text(&policy.site_id),
        InsertValue::ProjectName => text(&policy.project_name),
        InsertValue::MethodCodes => codes(template, policy, encoding),
        InsertValue::Computed(computed) => {
            let mut value = Vec::new();
            let charset = Charset::default();
            // A value that does not fit its VR is left out.
            let Some(()) = eval::text::encode(&mut value, computed, vr, encoding, &charset) else {
                return Some(());
            };
            template.element(encoding, tag, vr, &value)
        }
        InsertValue::Patient => {
            template.edit(Edit {
                tag,
                vr,
                encoding,
                value: EditValue::Patient,
            });
            Some(())
        }
    }
}

/// Appends De-identification Method Code Sequence (0012,0064), if the rules claim a code. Its items
/// are code sequence macros (PS3.3 section 8.8).
fn codes(template: &mut Template, policy: &Policy, encoding: Encoding) -> Option<()> {
    let codes = &policy.rules.method().codes;
    if codes.is_empty() {
        return Some(());
    }
    let mut items = Vec::new();
    let mut item = Vec::new();
    for (value, meaning) in codes {
        item.clear();
        for (element, vr, text) in [
            (0x0100, Vr::SH, &**value),
            (0x0102, Vr::SH, "DCM"),
            (0x0104, Vr::LO, &**meaning),
        ] {
            let tag = Tag(0x0008, element);
            crate::deid::template::put_element(&mut item, encoding, tag, vr, text.as_bytes())?;
        }
        items.extend_from_slice(&encoding.put_tag(crate::read::scan::ITEM));
        items.extend_from_slice(&encoding.put_u32(u32::try_from(item.len()).ok()?));
        items.extend_from_slice(&item);
    }
    template.element(encoding, METHOD_CODES, Vr::SQ, &items)
}
