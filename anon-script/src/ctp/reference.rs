//! References to elements: [`Path`].

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::StandardDataDictionary;

use super::expression::trim;
use super::names::NAMES;
use crate::syntax::{hex_tag, private_tag};

/// The words that CTP shortens in the keywords of PS3.6.
const SHORTENED: [(&str, &str); 9] = [
    ("Seq", "Sequence"),
    ("Ref", "Referenced"),
    ("LUT", "LookupTable"),
    ("SPS", "ScheduledProcedureStep"),
    ("PPS", "PerformedProcedureStep"),
    ("AET", "ApplicationEntityTitle"),
    ("AET", "AETitle"),
    ("Datetime", "DateTime"),
    ("Phone", "Telephone"),
];

/// The longest name, in bytes, and the most places in it where one of these words may stand.
const MAX_NAME: usize = 128;
const MAX_PLACES: usize = 8;

/// Which data set a path begins in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum From {
    /// The data set that holds the element of the rule: the root, or an item.
    Here,
    /// The data set that holds the sequence of that item. For the root, the root.
    Enclosing,
    /// The root data set.
    Root,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "elements have a tag, or stand in a private block"
)]
pub enum Step {
    /// An element.
    Tag(Tag),
    /// An element of the first block of this creator (PS3.5 section 7.8.1). Creators are compared exactly.
    Private {
        /// The group, odd.
        group: u16,
        /// The private creator.
        creator: String,
        /// The low byte of the element.
        element: u8,
    },
}

/// An element, by the way to it. All steps but the last are sequences, of which the first item is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Path {
    /// Where it begins.
    pub from: From,
    /// At least one step.
    pub steps: Vec<Step>,
}

impl Path {
    /// An element of a data set.
    pub fn element(from: From, tag: Tag) -> Self {
        Self {
            from,
            steps: vec![Step::Tag(tag)],
        }
    }

    /// Parses a reference. `this` is the element of the rule. `None` if a name in it is unknown.
    pub(super) fn parse(
        text: &str,
        this: &Step,
        alias: impl Fn(&str) -> Option<Step>,
    ) -> Option<Self> {
        let text = trim(text);
        let here = |step: Step| Self {
            from: From::Here,
            steps: vec![step],
        };
        if text == "this" {
            return Some(here(this.clone()));
        }
        let (from, path) = match text.strip_prefix("root:") {
            Some(path) => (From::Root, path),
            None => (From::Here, text),
        };
        let steps: Option<Vec<Step>> = path
            .trim_end_matches("::")
            .split("::")
            .map(|name| step(name, &alias))
            .collect();
        steps.map(|steps| Self { from, steps })
    }

    /// Returns the tag, if it is a plain tag of the data set at hand.
    pub(super) fn plain(&self) -> Option<Tag> {
        match (self.from, self.steps.as_slice()) {
            (From::Here, [Step::Tag(tag)]) => Some(*tag),
            _ => None,
        }
    }
}

fn step(text: &str, alias: impl Fn(&str) -> Option<Step>) -> Option<Step> {
    let text = trim(text);
    let stripped = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    let inner = match stripped('{', '}') {
        Some(name) => name,
        None => stripped('[', ']')
            .or_else(|| stripped('(', ')'))
            .map_or(text, trim),
    };
    if let Some(tag) = keyword(inner).or_else(|| hex_tag(inner)) {
        return Some(Step::Tag(tag));
    }
    alias(&inner.to_lowercase()).or_else(|| {
        let (group, creator, element) = private_tag(inner)?;
        Some(Step::Private {
            group,
            creator,
            element,
        })
    })
}

/// Returns the tag of a name: CTP's own, the keyword of PS3.6, or a keyword as CTP shortens it.
pub(super) fn keyword(name: &str) -> Option<Tag> {
    if let Ok(at) = NAMES.binary_search_by_key(&name, |(name, _)| name) {
        return NAMES.get(at).map(|(_, tag)| *tag);
    }
    let is_word = name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let places = (0..name.len()).filter(|at| shortened_at(name, *at).next().is_some());
    if name.is_empty() || !is_word || places.count() > MAX_PLACES {
        return None;
    }
    let tag = lengthened("", name).or_else(|| lengthened("", name.strip_suffix("Retired")?))?;
    // CTP does not shorten the names of the file meta information.
    let is_meta = tag.0 == 0x0002;
    (!is_meta || StandardDataDictionary.by_name(name).is_some()).then_some(tag)
}

/// Returns the shortened words at a byte of a name.
fn shortened_at(
    name: &str,
    at: usize,
) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let rest = name.get(at..).unwrap_or("");
    SHORTENED
        .iter()
        .filter(move |(short, _)| rest.starts_with(short))
}

/// Looks up a name whose beginning is done, with each shortened word of the rest as it is or lengthened.
fn lengthened(done: &str, rest: &str) -> Option<Tag> {
    let next = (0..rest.len()).find(|at| shortened_at(rest, *at).next().is_some());
    let Some(at) = next else {
        let entry = StandardDataDictionary.by_name(&format!("{done}{rest}"))?;
        return Some(entry.tag());
    };
    // As it is first: most keywords of PS3.6 are names of CTP.
    let (before, after) = rest.split_at_checked(at + 1)?;
    lengthened(&format!("{done}{before}"), after).or_else(|| {
        shortened_at(rest, at).find_map(|(short, long)| {
            let (before, after) = (rest.get(..at)?, rest.get(at + short.len()..)?);
            lengthened(&format!("{done}{before}{long}"), after)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ctp_and_of_the_standard_are_known() {
        let table = [
            ("PatientID", Some(Tag(0x0010, 0x0020))),
            ("RefImageSeq", Some(Tag(0x0008, 0x1140))),
            ("ReferencedImageSequence", Some(Tag(0x0008, 0x1140))),
            ("RefSOPInstanceUID", Some(Tag(0x0008, 0x1155))),
            ("ImagePosition", Some(Tag(0x0020, 0x0032))),
            ("ImagePositionPatient", Some(Tag(0x0020, 0x0032))),
            ("OperatorName", Some(Tag(0x0008, 0x1070))),
            ("PPSStartDate", Some(Tag(0x0040, 0x0244))),
            ("PatientPhoneNumbers", Some(Tag(0x0010, 0x2154))),
            ("StationAET", Some(Tag(0x0008, 0x0055))),
            ("RequestingPhysician", Some(Tag(0x0032, 0x1032))),
            ("TransferSyntaxUID", Some(Tag(0x0002, 0x0010))),
            ("SourceAET", None),
            ("NoSuchName", None),
            ("", None),
            ("Patient ID", None),
        ];
        for (name, expected) in table {
            assert_eq!(keyword(name), expected, "{name}");
        }
        assert!(NAMES.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn a_name_of_many_short_words_is_looked_up_in_bounded_time() {
        assert_eq!(keyword(&"SeqRefLUTSPSPPSAET".repeat(200)), None);
    }

    #[test]
    fn references_are_read_as_ctp_reads_them() {
        let this = Step::Tag(Tag(0x0010, 0x0010));
        let alias = |name: &str| (name == "mine").then_some(Step::Tag(Tag(0x0009, 0x1001)));
        let read = |text: &str| Path::parse(text, &this, alias);
        let here = |tag| Some(Path::element(From::Here, tag));
        let id = Tag(0x0010, 0x0020);
        for text in [
            "PatientID",
            " (PatientID) ",
            "[ PatientID ]",
            "{PatientID}",
            "100020",
            "10,20",
            "PatientID::",
        ] {
            assert_eq!(read(text), here(id), "{text}");
        }
        assert_eq!(read("this"), here(Tag(0x0010, 0x0010)));
        assert_eq!(read("MINE"), here(Tag(0x0009, 0x1001)));
        for text in [
            "",
            "THIS",
            "::PatientID",
            "\"PatientID\"",
            "{ PatientID }",
            "RefImageSeq::this",
            "0008[X]01",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let path = read("root:RefImageSeq::0009[A]1").expect("a path");
        assert_eq!((path.from, path.steps.len()), (From::Root, 2));
    }
}
