//! [`Mended`]: where a source is read although it is not encoded as PS3.5 requires.

use anon_model::{RemarkReason, Remarks};

use crate::read::dictionary;
use crate::read::scan::ScanError;
use crate::refusal::Refusal;

/// What was mended in one object.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    pub(crate) remarks: Remarks,
    /// The reason, element and offset of the first remark.
    first: Option<(RemarkReason, u32, u64)>,
}

impl Mended {
    /// Adds an element, or with number 0 the whole object, and its offset. An element that PS3.6 does
    /// not list counts as the whole object: its tag may be letters of a value.
    #[cold]
    pub(crate) fn add(&mut self, reason: RemarkReason, number: u32, at: u64) {
        self.first.get_or_insert((reason, number, at));
        self.remarks.add(reason, dictionary::number_to_show(number));
    }

    /// Returns the refusal of the first thing that was mended, for a strict policy.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let (reason, number, at) = self.first?;
        let tag = (number != 0).then(|| dictionary::tag(number));
        let mut refusal = Refusal::from(ScanError::new(problem(reason), tag, at));
        refusal
            .reason
            .push_str("; strictness = \"tolerant\" stores it as PS3.5 requires");
        Some(refusal)
    }
}

fn problem(reason: RemarkReason) -> &'static str {
    match reason {
        RemarkReason::TrailingBytes => "the bytes after the last element are not an element",
        RemarkReason::OutOfOrder => "an element is out of order",
        RemarkReason::Repeated => "an element stands twice",
        RemarkReason::UnknownVr => "an element has an unknown value representation",
        RemarkReason::NoDelimiter => "the end of the compressed pixel data is missing or damaged",
        RemarkReason::Misspelled => "Specific Character Set is misspelled",
        RemarkReason::NoEscape => "text stands without the escape sequence of its character set",
        RemarkReason::OldDate => "a date has the form of ACR-NEMA",
        RemarkReason::OtherEncoding => "the data set is not encoded as its transfer syntax says",
        RemarkReason::TwoSyntaxes => "the file meta information names two transfer syntaxes",
        RemarkReason::OtherName => "the file has another name than its DICOMDIR gives it",
        _ => "the object is not encoded as PS3.5 requires",
    }
}
