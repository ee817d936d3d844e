//! `reason.json`, version 1.
//!
//! ```text
//! {
//!   "version": 1,
//!   "category": "Missing_Attributes",      the directory's name
//!   "sha256": "9f86d081…",                 of the original's bytes, 64 hexadecimal digits
//!   "reason": "has no StudyDate …",        our own words, no value of the data set
//!   "tag": "00080020" | null,              the element that caused the refusal
//!   "offset": 1234 | null,                 its offset in bytes
//!   "sop_class": "1.2.840…" | null,        for Invalid_Storage_Class only
//!   "length": 527416,                      of the original, in bytes
//!   "transfer_syntax": "1.2.840…" | null,  null: a DICOM file (PS3.10 section 7), or not DICOM
//!   "original": "copied" | "referenced" | "recorded",
//!   "source": "/in/IM0001" | null          the origin; may identify, so it stays in private/
//! }
//! ```
//!
//! A reader ignores unknown fields and refuses another version.

use anon_model::Phi;
use dicom_core::Tag;
use serde::{Deserialize, Serialize};

use super::{Entry, EntryId, Kept, QuarantineError};
use crate::refusal::{Category, digest_from_text};

/// The version of `reason.json` that is written.
pub const VERSION: u32 = 1;

/// The most bytes that are read of a `reason.json`.
pub(super) const MAX_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Json {
    version: u32,
    category: String,
    sha256: String,
    reason: String,
    tag: Option<String>,
    offset: Option<u64>,
    sop_class: Option<String>,
    length: u64,
    transfer_syntax: Option<String>,
    original: String,
    source: Option<String>,
}

const KEPT: [(Kept, &str); 3] = [
    (Kept::Copied, "copied"),
    (Kept::Referenced, "referenced"),
    (Kept::Recorded, "recorded"),
];

pub(super) fn write(entry: &Entry) -> Vec<u8> {
    let name = KEPT.iter().find(|(kept, _)| *kept == entry.kept);
    let json = Json {
        version: VERSION,
        category: entry.id.category().name().to_owned(),
        sha256: entry.id.digest_text(),
        reason: entry.reason.clone(),
        tag: entry
            .tag
            .map(|Tag(group, element)| format!("{group:04X}{element:04X}")),
        offset: entry.offset,
        sop_class: entry.sop_class.clone(),
        length: entry.length,
        transfer_syntax: entry.transfer_syntax.clone(),
        original: name.map_or_else(String::new, |(_, name)| (*name).to_owned()),
        source: entry.source.as_ref().map(|source| source.expose().clone()),
    };
    let mut bytes = serde_json::to_vec_pretty(&json).expect("text and numbers are JSON");
    bytes.push(b'\n');
    bytes
}

pub(super) fn read(bytes: &[u8], id: EntryId) -> Result<Entry, QuarantineError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let wrong = |problem| QuarantineError::Format { entry: id, problem };
    let found: Version = serde_json::from_slice(bytes).map_err(|_| wrong("cannot be read"))?;
    if found.version != VERSION {
        return Err(wrong("is of another version of this program"));
    }
    let json: Json = serde_json::from_slice(bytes).map_err(|_| wrong("cannot be read"))?;
    let kept = KEPT.iter().find(|(_, name)| *name == json.original);
    let (kept, _) = kept.ok_or_else(|| wrong("does not say what is kept"))?;
    if Category::named(&json.category) != Some(id.category())
        || digest_from_text(&json.sha256) != Some(*id.digest())
    {
        return Err(wrong("is of another entry"));
    }
    let tag = json.tag.as_deref().map(tag_of);
    if tag == Some(None) {
        return Err(wrong("names no element"));
    }
    Ok(Entry {
        id,
        reason: json.reason,
        tag: tag.flatten(),
        offset: json.offset,
        sop_class: json.sop_class,
        length: json.length,
        transfer_syntax: json.transfer_syntax,
        kept: *kept,
        source: json.source.map(Phi::new),
    })
}

fn tag_of(text: &str) -> Option<Tag> {
    let part = |range: std::ops::Range<usize>| u16::from_str_radix(text.get(range)?, 16).ok();
    (text.len() == 8).then_some(())?;
    Some(Tag(part(0..4)?, part(4..8)?))
}
