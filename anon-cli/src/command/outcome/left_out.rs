//! Answers of a server to queries that were left out, and keys without an answer.

use anon_net::service::LeftOut;
use serde::Serialize;

use crate::command::Context;
use crate::node::Asked;

/// The number of answers that were left out, by reason.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct LeftOutCounts {
    without_study_uid: u32,
    invalid_study_uid: u32,
    other_study: u32,
    other_accession: u32,
    other_patient: u32,
    other_modality: u32,
}

impl From<LeftOut> for LeftOutCounts {
    fn from(left_out: LeftOut) -> Self {
        Self {
            without_study_uid: left_out.without_study_uid,
            invalid_study_uid: left_out.invalid_study_uid,
            other_study: left_out.other_study,
            other_accession: left_out.other_accession,
            other_patient: left_out.other_patient,
            other_modality: left_out.other_modality,
        }
    }
}

/// Prints how many answers were left out, and why.
pub(crate) fn warn_of_left_out(context: &Context<'_>, left_out: &LeftOut) {
    if let Some(text) = left_out_text(left_out) {
        context.report.warn(&text);
    }
}

fn left_out_text(left_out: &LeftOut) -> Option<String> {
    let reasons = [
        (left_out.without_study_uid, "without a Study Instance UID"),
        (
            left_out.invalid_study_uid,
            "with an invalid Study Instance UID",
        ),
        (left_out.other_study, "of another study than requested"),
        (
            left_out.other_accession,
            "with another accession number than requested",
        ),
        (
            left_out.other_patient,
            "with another patient id than requested",
        ),
        (
            left_out.other_modality,
            "of another modality than requested",
        ),
    ];
    let given = reasons.iter().filter(|(count, _)| *count > 0);
    let given: Vec<String> = given.map(|(count, why)| format!("{count} {why}")).collect();
    let total = left_out.total();
    let answers = if total == 1 { "answer" } else { "answers" };
    (total > 0).then(|| {
        format!(
            "left out {total} {answers} of the server: {}",
            given.join(", ")
        )
    })
}

/// How many positions are shown; JSON has all.
const PLACES_SHOWN: usize = 10;

/// Prints the places of keys. Their values can identify.
pub(crate) fn warn_of_places(context: &Context<'_>, what: &str, keys: &[Asked]) {
    for asked in keys.iter().take(PLACES_SHOWN) {
        let text = format!("{what}: {}", asked.place.words());
        context.report.warn(&text);
    }
    if let Some(more @ 1..) = keys.len().checked_sub(PLACES_SHOWN) {
        let text = format!("{what}: {more} more, see not_found with --format json");
        context.report.warn(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_were_left_out_are_told_with_their_reasons() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out_text(&left_out), None);
        left_out.invalid_study_uid = 1;
        assert_eq!(
            left_out_text(&left_out).as_deref(),
            Some("left out 1 answer of the server: 1 with an invalid Study Instance UID")
        );
        left_out.other_accession = 2;
        assert_eq!(
            left_out_text(&left_out).as_deref(),
            Some(
                "left out 3 answers of the server: 1 with an invalid Study Instance UID, 2 with another \
                 accession number than requested"
            )
        );
    }
}
