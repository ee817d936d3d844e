//! The fingerprint of a data set: its length, and a digest of everything but long values that the
//! output holds unchanged.
//!
//! It tells a second copy of an object from another object with the same SOP Instance UID. What it
//! leaves out, mostly pixel data, is compared with the stored object when a copy arrives (see
//! [`repeat`](crate::deid::repeat)): hashing it at first arrival would cost every import. Values that are
//! removed or replaced cannot be read back, so they are hashed. The digest is XXH3-128, which is fast.
//! It need not be cryptographic: if somebody makes two objects with one digest, their own second
//! object is taken for a copy.

use anon_model::{DigestVersion, Fingerprint};
use twox_hash::XxHash3_128;

use crate::read::input::Input;
use crate::read::scan::ScanError;
use crate::refusal::Refusal;

const STEP: usize = 64 << 10;

/// Returns the fingerprint of the data set from `begin` to the end of the input, without the ranges
/// that its version leaves out.
pub(crate) fn of<I: Input>(
    mut input: I,
    begin: u64,
    left_out: &[(u64, u64)],
    version: DigestVersion,
) -> Result<Fingerprint, Refusal> {
    let end = input.len();
    let mut digest = XxHash3_128::new();
    let mut at = begin;
    for (bulk_begin, bulk_end) in left_out.iter().copied().chain([(end, end)]) {
        while at < bulk_begin {
            let left = usize::try_from(bulk_begin - at).unwrap_or(usize::MAX);
            let want = left.min(STEP);
            let bytes = input
                .exact(at, want)
                .map_err(|failed| ScanError::input(failed, at))?;
            digest.write(bytes);
            at += want as u64;
        }
        // A long sequence contains the ranges of its own bulk values: never go back.
        at = at.max(bulk_end);
    }
    Ok(Fingerprint {
        length: end - begin,
        digest: digest.finish_128().to_le_bytes(),
        version,
    })
}
