//! Compares a repeat of an instance with the object that is stored.
//!
//! ```text
//! same transfer syntax    long values that the stored object holds unchanged ── left out ─┐
//!                         everything else ── hashed ──► digest == that of the record? ◄───┘
//! another one             every element of both outputs
//! ```
//!
//! The digest of a record covers everything but the long values that were copied to the output. Which
//! they were depends on the rules of that day, so the stored object decides: a value that it holds
//! unchanged is equal, and is left out; any other is hashed, as it was then. A changed value is hashed
//! too, and the digests differ.

mod data_set;
mod elements;
mod long_values;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::collections::BTreeSet;

use anon_model::{DigestVersion, Fingerprint, Names};

use self::data_set::{DataSet, DataSetBytes, body_input};
use self::elements::are_equal;
use self::long_values::{Comparison, LongValues, compare, each_long_value};
use crate::deid::plan::{Plan, fingerprint};
use crate::read::scan::Walk;
use crate::read::source::Source;
use crate::refusal::Refusal;

/// What a repeat of a stored instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The same content, in the same transfer syntax.
    Same,
    /// The same content, in another transfer syntax.
    SameInOtherSyntax,
    /// Other content.
    Other,
    /// In another transfer syntax, and compressed pixel data cannot be compared.
    Incomparable {
        /// The transfer syntax of the stored object.
        stored: String,
    },
}

impl Plan<'_> {
    /// Compares this object with the stored one, whose fingerprint was recorded. `names` returns the
    /// pseudonyms that this object gets, or `None` if one of its originals is new.
    ///
    /// # Errors
    /// [`Refusal`] if one of the objects cannot be read.
    pub(crate) fn compare(
        &self,
        stored: Source<'_>,
        recorded: &Fingerprint,
        names: impl FnOnce() -> Option<Names>,
    ) -> Result<Repeat, Refusal> {
        let limits = &self.policy.limits;
        let stored = DataSet::of(DataSetBytes::Source(stored), limits, self.scratch)?;
        if stored.syntax.uid == self.syntax.uid {
            return self.compare_bytes(&stored, recorded);
        }
        if !(self.syntax.is_native() && stored.syntax.is_native()) {
            return Ok(Repeat::Incomparable {
                stored: stored.syntax.uid,
            });
        }
        let Some(names) = names() else {
            return Ok(Repeat::Other);
        };
        let output = self.apply(&names)?;
        let output = DataSet::of(DataSetBytes::Output(&output), limits, self.scratch)?;
        Ok(
            if are_equal(&output, &stored, (limits, self.policy.rules.inserts()))? {
                Repeat::SameInOtherSyntax
            } else {
                Repeat::Other
            },
        )
    }

    /// Returns true if this object has the fingerprint that was recorded, in the version of the record.
    ///
    /// # Errors
    /// [`Refusal`] if this object cannot be read.
    pub(crate) fn has_fingerprint(&self, recorded: &Fingerprint) -> Result<bool, Refusal> {
        let own = match recorded.version {
            DigestVersion::V1 => {
                let input = body_input(&self.body);
                fingerprint::of(input, self.begin, &self.bulk, DigestVersion::V1)?
            }
            DigestVersion::V2 => self.fingerprint(),
        };
        Ok(own == *recorded)
    }

    /// Compares two objects in one transfer syntax.
    fn compare_bytes(
        &self,
        stored: &DataSet<'_>,
        recorded: &Fingerprint,
    ) -> Result<Repeat, Refusal> {
        let body = || body_input(&self.body);
        if recorded.length != self.fingerprint().length {
            return Ok(Repeat::Other);
        }
        let limits = &self.policy.limits;
        let known = LongValues::of(stored, limits)?;
        let walk = Walk::new(body(), self.begin, self.syntax.encoding, limits);
        let (mut ours, mut theirs) = (body(), stored.input());
        let mut equal = Vec::new();
        let mut binary_differs = false;
        // An element that stands twice is stored once.
        let mut seen = BTreeSet::new();
        each_long_value(
            walk,
            |path| known.has_below(path),
            |path, value| {
                let Some(stored) = known.get(path).filter(|_| seen.insert(path.to_vec())) else {
                    return Ok(());
                };
                match compare((&mut ours, value), (&mut theirs, stored))? {
                    Comparison::Equal { end } => equal.push((value.begin, end)),
                    Comparison::Differ | Comparison::OtherLength => {
                        let begin = |range: &(u64, u64)| range.0;
                        let copied = self.copied.binary_search_by_key(&value.begin, begin);
                        binary_differs |= copied.is_ok() && value.is_binary && stored.is_binary;
                    }
                }
                Ok(())
            },
        )?;
        let is_same = match recorded.version {
            // No value of 4 KiB or more was hashed, and other rules may have replaced texts. Binary values
            // that this plan copies were copied then, so these can be compared.
            DigestVersion::V1 => !binary_differs && self.has_fingerprint(recorded)?,
            DigestVersion::V2 => {
                fingerprint::of(body(), self.begin, &equal, DigestVersion::V2)? == *recorded
            }
        };
        Ok(if is_same { Repeat::Same } else { Repeat::Other })
    }
}
