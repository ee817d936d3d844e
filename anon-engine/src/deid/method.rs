//! The elements by which an output says that it is de-identified (PS3.15 section E.1.1): (0012,0062)
//! to (0012,0064) of the Patient Module (PS3.3 section C.7.1.1), and a private block in group 0013.

use dicom_core::Tag;

use crate::deid::policy::Policy;
use crate::deid::template::{Edit, EditValue, Template};
use crate::read::dictionary::Vr;
use crate::read::scan::Encoding;
use crate::refusal::{Category, Refusal};

/// The private creator of V17, written to (0013,0010).
pub const PRIVATE_CREATOR: &str = "RSNA";

pub(crate) const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
pub(crate) const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const IDENTITY_REMOVED: Tag = Tag(0x0012, 0x0062);
const METHOD: Tag = Tag(0x0012, 0x0063);
const METHOD_CODES: Tag = Tag(0x0012, 0x0064);
const CREATOR: Tag = Tag(0x0013, 0x0010);
const SITE: Tag = Tag(0x0013, 0x1001);
const PROJECT: Tag = Tag(0x0013, 0x1003);

/// The elements that are written into every root data set, in the order of tags (PS3.5 section 7.1).
pub(crate) const INSERTED: [Tag; 8] = [
    PATIENT_NAME,
    PATIENT_ID,
    IDENTITY_REMOVED,
    METHOD,
    METHOD_CODES,
    CREATOR,
    SITE,
    PROJECT,
];

/// Returns true for the root elements that [`INSERTED`] replaces, and for the rest of our private
/// block, which would otherwise be read under our private creator (PS3.5 section 7.8.1).
#[inline]
pub(crate) fn is_replaced(tag: Tag) -> bool {
    match tag.0 {
        0x0010 => matches!(tag.1, 0x0010 | 0x0020),
        0x0012 => matches!(tag.1, 0x0062..=0x0064),
        0x0013 => tag.1 == 0x0010 || tag.1 & 0xFF00 == 0x1000,
        _ => false,
    }
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

/// Appends one of [`INSERTED`].
pub(crate) fn insert(
    template: &mut Template,
    policy: &Policy,
    encoding: Encoding,
    tag: Tag,
) -> Option<()> {
    let mut text = |vr, text: &str| template.element(encoding, tag, vr, text.as_bytes());
    match tag {
        IDENTITY_REMOVED => text(Vr::CS, "YES"),
        METHOD => text(Vr::LO, &policy.rules.method().text),
        CREATOR => text(Vr::LO, PRIVATE_CREATOR),
        SITE => text(Vr::SH, &policy.site_id),
        PROJECT => text(Vr::SH, &policy.project_name),
        METHOD_CODES => codes(template, policy, encoding),
        _ => {
            let vr = if tag == PATIENT_NAME { Vr::PN } else { Vr::LO };
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
