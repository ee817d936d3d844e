//! [`ObjectFacts`]: what the rules of a CTP script read of a DICOM file.

use std::collections::HashMap;
use std::path::Path as FilePath;

use anon_script::Tag;
use anon_script::ctp::{Facts, Moment, Path, PrivateElement, Step};
use anyhow::Context as _;
use dicom_core::header::Header as _;
use dicom_core::value::Value;
use dicom_core::{PrimitiveValue, VR};
use dicom_object::mem::InMemElement;
use dicom_object::{FileDicomObject, InMemDicomObject};

use super::explained::{parsed, read};
use crate::clock;

/// The creators of private blocks stand in these elements of their group (PS3.5 section 7.8.1).
const CREATORS: std::ops::RangeInclusive<u16> = 0x10..=0xFF;

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// The root data set of a file, and its file meta information.
#[derive(Debug)]
pub(super) struct ObjectFacts {
    object: FileDicomObject<InMemDicomObject>,
    meta: HashMap<Tag, String>,
    now: Moment,
}

impl ObjectFacts {
    /// Reads a file of at most 1 GiB.
    pub(super) fn open(path: &FilePath) -> anyhow::Result<Self> {
        let object = parsed(&read(path)?).context("cannot read the file as DICOM")?;
        let meta = object.meta().to_element_iter();
        let meta = meta
            .filter_map(|element| {
                let text = element.value().to_raw_str().ok()?;
                Some((element.tag(), trimmed(&text).to_owned()))
            })
            .collect();
        Ok(Self {
            object,
            meta,
            now: moment(&clock::now()),
        })
    }

    /// Returns true if the root data set has this element.
    pub(super) fn has_element(&self, tag: Tag) -> bool {
        self.object.get(tag).is_some()
    }

    /// Returns a private element of the root data set by its creator. `None` if its block has none.
    pub(super) fn private_step(&self, tag: Tag) -> Option<Step> {
        let [block, element] = tag.1.to_be_bytes();
        let creator = creator(&self.object, tag)?;
        (tag.0 % 2 == 1 && block > 0).then_some(Step::Private {
            group: tag.0,
            creator,
            element,
        })
    }
}

impl Facts for ObjectFacts {
    fn text(&self, path: &Path) -> Option<String> {
        if let [Step::Tag(tag)] = path.steps.as_slice()
            && tag.0 < 8
        {
            return self.meta.get(tag).cloned();
        }
        // Rules are explained for the root: there is no other data set to begin in.
        let (last, sequences) = path.steps.split_last()?;
        let mut data_set: &InMemDicomObject = &self.object;
        for step in sequences {
            data_set = find(data_set, step)?.items()?.first()?;
        }
        text(data_set, find(data_set, last)?)
    }

    fn has(&self, tag: Tag) -> bool {
        self.has_element(tag)
    }

    fn is_item(&self) -> bool {
        false
    }

    fn now(&self) -> Moment {
        self.now
    }
}

/// Returns an element of a data set.
fn find<'d>(data_set: &'d InMemDicomObject, step: &Step) -> Option<&'d InMemElement> {
    match step {
        Step::Tag(tag) => data_set.get(*tag),
        Step::Private {
            group,
            creator,
            element,
        } => {
            let is_creator = |block: &u16| {
                let found = data_set.get(Tag(*group, *block));
                found.is_some_and(|found| creator_of(found).as_deref() == Some(creator))
            };
            let block = CREATORS.into_iter().find(is_creator)?;
            data_set.get(Tag(*group, (block << 8) | u16::from(*element)))
        }
    }
}

fn creator_of(element: &InMemElement) -> Option<String> {
    let text = element.value().to_raw_str().ok()?;
    Some(trimmed(&text).to_owned())
}

/// Returns the creator of the block that a private element stands in.
fn creator(data_set: &InMemDicomObject, tag: Tag) -> Option<String> {
    creator_of(data_set.get(Tag(tag.0, tag.1 >> 8))?)
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|char| char <= ' ')
}

fn trimmed_at_end(text: &str) -> &str {
    text.trim_end_matches(|char| char <= ' ')
}

/// Returns the text of an element as CTP gives it to a function.
fn text(data_set: &InMemDicomObject, element: &InMemElement) -> Option<String> {
    let value = match element.value() {
        Value::Primitive(value) => value,
        Value::Sequence(_) | Value::PixelSequence(_) => return None,
    };
    let tag = element.tag();
    if tag == PIXEL_DATA {
        return None;
    }
    let [block, low] = tag.1.to_be_bytes();
    let known = (tag.0 % 2 == 1 && block > 0)
        .then(|| PrivateElement::find(tag.0, &creator(data_set, tag)?, low))
        .flatten();
    match known {
        Some(known) => private_text(known.vr, value),
        None => Some(standard_text(element.vr(), value)),
    }
}

fn standard_text(vr: VR, value: &PrimitiveValue) -> String {
    let raw = || value.to_raw_str().into_owned();
    match vr {
        VR::PN => raw()
            .trim_end_matches(|char| char <= ' ' || char == '^')
            .to_owned(),
        VR::LT | VR::ST | VR::UT | VR::DA | VR::TM | VR::DT | VR::AS => {
            trimmed_at_end(&raw()).to_owned()
        }
        VR::AT => tags(value),
        VR::FL | VR::FD => floats(value),
        VR::OB | VR::OW | VR::OD | VR::OF | VR::OL | VR::OV | VR::UN => bytes(value),
        _ => trimmed(&raw()).to_owned(),
    }
}

/// Returns the text of a private element that CTP knows. Its padding stays.
fn private_text(vr: &str, value: &PrimitiveValue) -> Option<String> {
    let bytes = value.to_bytes();
    // A file in explicit VR has numbers here, one in implicit VR their bytes.
    let is_number = matches!(
        vr,
        "SL" | "UL" | "SS" | "US" | "FL" | "FD" | "OB" | "OW" | "AT" | "UN"
    );
    match vr {
        "SQ" => None,
        _ if is_number => Some(standard_text(vr.parse().ok()?, value)),
        _ if matches!(value, PrimitiveValue::U8(_)) => {
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => Some(value.to_raw_str().into_owned()),
    }
}

fn tags(value: &PrimitiveValue) -> String {
    let PrimitiveValue::Tags(tags) = value else {
        return trimmed(&value.to_raw_str()).to_owned();
    };
    let tags = tags.iter().map(|tag| format!("{:04X}{:04X}", tag.0, tag.1));
    tags.collect::<Vec<_>>().join("\\")
}

fn bytes(value: &PrimitiveValue) -> String {
    let bytes = value.to_bytes();
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().join("\\")
}

fn floats(value: &PrimitiveValue) -> String {
    let texts: Vec<String> = match value {
        PrimitiveValue::F32(numbers) => numbers
            .iter()
            .map(|number| java_float(&format!("{number:e}")))
            .collect(),
        PrimitiveValue::F64(numbers) => numbers
            .iter()
            .map(|number| java_float(&format!("{number:e}")))
            .collect(),
        _ => return trimmed(&value.to_raw_str()).to_owned(),
    };
    texts.join("\\")
}

/// Writes a number as Java does, from its shortest digits in the form `-1.5e3`: without an exponent from 0.001
/// up to 10,000,000.
fn java_float(scientific: &str) -> String {
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return match scientific {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            other => other.to_owned(),
        };
    };
    let is_plain = exponent
        .parse()
        .is_ok_and(|exponent: i32| (-3..7).contains(&exponent));
    if is_plain {
        // Two floats of 32 and 64 bits with the same shortest digits have the same decimal form.
        let number: f64 = scientific.parse().unwrap_or(0.0);
        return format!("{number:?}");
    }
    let fraction = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{fraction}E{exponent}")
}

/// Parses a time in the form of RFC 3339.
fn moment(text: &str) -> Moment {
    let field = |from: usize, to: usize| {
        text.get(from..to)
            .and_then(|digits| digits.parse::<u16>().ok())
    };
    let small = |from: usize| field(from, from + 2).and_then(|field| u8::try_from(field).ok());
    Moment {
        year: field(0, 4).unwrap_or(0),
        month: small(5).unwrap_or(0),
        day: small(8).unwrap_or(0),
        hour: small(11).unwrap_or(0),
        minute: small(14).unwrap_or(0),
        second: small(17).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_java_writes_them() {
        let table = [
            (1000.0, "1000.0"),
            (1.5, "1.5"),
            (1e-7, "1.0E-7"),
            (0.001, "0.001"),
            (123_456_789.25, "1.2345678925E8"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (0.0, "0.0"),
            (-2.5e10, "-2.5E10"),
        ];
        for (number, expected) in table {
            assert_eq!(java_float(&format!("{number:e}")), expected);
        }
        assert_eq!(java_float(&format!("{:e}", 0.1_f32)), "0.1");
    }

    #[test]
    fn the_time_is_read_from_the_clock() {
        let read = moment("2026-11-30T09:08:07Z");
        let fields = (
            read.year,
            read.month,
            read.day,
            read.hour,
            read.minute,
            read.second,
        );
        assert_eq!(fields, (2026, 11, 30, 9, 8, 7));
    }
}
