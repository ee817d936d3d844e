//! The long values of a data set: values of [`BULK`] bytes or more, and encapsulated pixel data.

use std::collections::BTreeMap;

use super::data_set::{AnyInput, DataSet};
use crate::deid::plan::BULK;
use crate::limits::Limits;
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;
use crate::read::scan::{ElementContent, Encoding, Header, ITEM_HEADER, ScanError, Token, Walk};
use crate::refusal::Refusal;

/// Bytes that are compared at once.
const STEP: u64 = 64 << 10;

/// Where a long value is.
#[derive(Clone)]
pub(super) struct LongValue {
    pub(super) begin: u64,
    end: u64,
    /// Offset and length of the value, or of each fragment.
    parts: Vec<(u64, u32)>,
    /// True if its VR is one of binary values (PS3.5 section 6.2).
    pub(super) is_binary: bool,
}

/// Tags and item numbers, from the root to an element.
type ElementPath = [u32];

/// The long values of a stored object.
pub(super) struct LongValues(BTreeMap<Vec<u32>, LongValue>);

impl LongValues {
    pub(super) fn of(data_set: &DataSet<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let mut values = BTreeMap::new();
        let encoding = data_set.syntax.encoding;
        let walk = Walk::new(data_set.input(), data_set.begin, encoding, limits);
        each_long_value(
            walk,
            |_| true,
            |path, value| {
                values.insert(path.to_vec(), value.clone());
                Ok(())
            },
        )?;
        Ok(Self(values))
    }

    pub(super) fn get(&self, path: &ElementPath) -> Option<&LongValue> {
        self.0.get(path)
    }

    /// Returns true if a long value is somewhere in this sequence.
    pub(super) fn has_below(&self, path: &ElementPath) -> bool {
        let next = self.0.range(path.to_vec()..).next();
        next.is_some_and(|(found, _)| found.starts_with(path))
    }
}

/// Calls `each` with every long value of a data set, in its order, up to the first fault. Enters only
/// the sequences that `enter` chooses.
pub(super) fn each_long_value<I: Input>(
    mut walk: Walk<I>,
    enter: impl Fn(&ElementPath) -> bool,
    mut each: impl FnMut(&ElementPath, &LongValue) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut header = Header::NONE;
    let mut path = Vec::new();
    // The number of items of each open sequence so far.
    let mut items: Vec<u32> = Vec::new();
    loop {
        let token = walk.next(&mut header);
        // The plan tolerates some errors, such as bytes after the pixel data. From the first one on,
        // everything counts in the digest.
        match token.unwrap_or(Token::End) {
            Token::End => return Ok(()),
            Token::Item { .. } => {
                let count = items.last_mut().map_or(0, |count| {
                    *count += 1;
                    *count
                });
                path.push(count);
            }
            Token::ItemEnd { .. } => {
                path.pop();
            }
            Token::SequenceEnd { .. } => {
                path.pop();
                items.pop();
            }
            Token::Element => {
                path.push(header.number);
                match long_content(&mut walk, &header)? {
                    Some(LongContent::Sequence(inner)) if enter(&path) => {
                        walk.enter(&header, inner)?;
                        items.push(0);
                        continue;
                    }
                    Some(LongContent::Sequence(_)) => walk.skip(&header)?,
                    Some(LongContent::Value(value)) => each(&path, &value)?,
                    None => walk.skip_value(&header),
                }
                path.pop();
            }
        }
    }
}

enum LongContent {
    Sequence(Encoding),
    Value(LongValue),
}

/// Returns what an element holds, if that is long, and moves behind a value. Elements that rules remove
/// may hold anything, so what cannot be parsed and has a length is not long.
fn long_content<I: Input>(
    walk: &mut Walk<I>,
    header: &Header,
) -> Result<Option<LongContent>, ScanError> {
    if !header.is_undefined() && header.len < BULK {
        return Ok(None);
    }
    let content = match walk.content(header) {
        Ok(content) => content,
        Err(_) if !header.is_undefined() => return Ok(None),
        Err(error) => return Err(error),
    };
    let known = dictionary::vr(header.tag()).unwrap_or(header.vr);
    let mut value = LongValue {
        begin: header.value,
        end: header.value,
        parts: Vec::new(),
        is_binary: !(known.is_text() || known == Vr::UI),
    };
    match content {
        ElementContent::Sequence(inner) => return Ok(Some(LongContent::Sequence(inner))),
        ElementContent::Value => {
            value.end = header.end();
            value.parts.push((header.value, header.len));
            walk.skip_value(header);
        }
        ElementContent::Fragments => {
            let parts = &mut value.parts;
            walk.fragments(header, |at, len| parts.push((at + ITEM_HEADER, len)))?;
            value.end = walk.position();
            value.is_binary = true;
        }
    }
    Ok(Some(LongContent::Value(value)))
}

/// The result of comparing a long value with the stored one.
pub(super) enum Comparison {
    /// It is stored unchanged. The stored value ends where `end` is in this one; what follows was not
    /// copied.
    Equal {
        end: u64,
    },
    Differ,
    /// The stored value is no copy.
    OtherLength,
}

/// Compares a long value with the stored one. An odd length is even in the stored object (PS3.5 section
/// 7.1.1), and bytes behind the last pixel are not stored.
pub(super) fn compare(
    (ours, value): (&mut AnyInput<'_>, &LongValue),
    (theirs, stored): (&mut AnyInput<'_>, &LongValue),
) -> Result<Comparison, Refusal> {
    if value.parts.len() != stored.parts.len() {
        return Ok(Comparison::OtherLength);
    }
    let mut end = value.end;
    for ((at, len), (stored_at, stored_len)) in value.parts.iter().zip(&stored.parts) {
        let mut len = *len;
        if len.checked_add(len % 2) != Some(*stored_len) {
            if value.parts.len() > 1 || *stored_len > len {
                return Ok(Comparison::OtherLength);
            }
            // Its last byte may be padding.
            len = stored_len.saturating_sub(1);
            end = value.begin + u64::from(len);
        }
        if !have_equal_bytes((&mut *ours, *at), (&mut *theirs, *stored_at), len)? {
            return Ok(Comparison::Differ);
        }
    }
    Ok(Comparison::Equal { end })
}

fn have_equal_bytes(
    (ours, at): (&mut AnyInput<'_>, u64),
    (theirs, stored_at): (&mut AnyInput<'_>, u64),
    len: u32,
) -> Result<bool, Refusal> {
    let mut done = 0;
    while done < u64::from(len) {
        let step = STEP.min(u64::from(len) - done);
        let want = usize::try_from(step).unwrap_or(0);
        let our_bytes = read(ours, at + done, want)?;
        if our_bytes != read(theirs, stored_at + done, want)? {
            return Ok(false);
        }
        done += step;
    }
    Ok(true)
}

pub(super) fn read<'i>(
    input: &'i mut AnyInput<'_>,
    at: u64,
    want: usize,
) -> Result<&'i [u8], Refusal> {
    let bytes = input.exact(at, want);
    Ok(bytes.map_err(|failed| ScanError::input(failed, at))?)
}
