//! [`Canaries`]: unique tokens planted in a data set, so that a test can search outputs for them.

use std::collections::{HashMap, HashSet};

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::data_set::{DataSet, Value};
use super::modules::tag;

/// One token and the element that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    path: Vec<Tag>,
    vr: [u8; 2],
    token: Vec<u8>,
}

impl Canary {
    /// The tags from the root down to the element.
    pub fn path(&self) -> &[Tag] {
        &self.path
    }

    /// The element's own tag.
    pub fn tag(&self) -> Tag {
        self.path.last().copied().unwrap_or(Tag(0, 0))
    }

    /// The two letters of the element's VR.
    pub const fn vr(&self) -> [u8; 2] {
        self.vr
    }

    /// The bytes that only this element holds.
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// Returns true if these bytes hold the token.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        bytes
            .windows(self.token.len())
            .any(|window| window == self.token)
    }
}

/// The tokens planted in one data set.
///
/// A token is a valid value of its VR (PS3.5 section 6.2), or the start of one. Dates are at least
/// 4,000 days apart, so that a shift of up to ten years cannot turn one into another.
///
/// Some elements get no token, because none fits or the object would change its kind: binary
/// numbers, AS, AT, Specific Character Set, SOP Class UID, Number of Frames, Burned In Annotation,
/// pixel data.
#[derive(Debug, Clone, Default)]
pub struct Canaries {
    planted: Vec<Canary>,
    dates: i64,
}

impl Canaries {
    /// Replaces the value of every element on every level by a token.
    pub fn plant(data_set: &mut DataSet) -> Self {
        Self::plant_where(data_set, |_| true)
    }

    /// As [`Canaries::plant`], but only in elements whose path `wanted` accepts.
    pub fn plant_where(data_set: &mut DataSet, wanted: impl Fn(&[Tag]) -> bool) -> Self {
        let mut canaries = Self::default();
        canaries.walk(data_set, &mut Vec::new(), &wanted);
        canaries
    }

    /// Adds to `base` every missing element of the data dictionary (PS3.6; groups 0008 to FFFC
    /// without repeating groups), in the root and in an item of a sequence that `rsna-v17` keeps.
    /// Plants a token in each.
    pub fn in_every_standard_element(base: DataSet) -> (DataSet, Self) {
        let mut item = DataSet::new();
        let mut root = base;
        for (number, vr) in standard_elements() {
            if vr == VR::SQ {
                continue;
            }
            item.set(number, vr, "");
            if root.get(number).is_none() {
                root.set(number, vr, "");
            }
        }
        let mut root = root.sequence(tag(0x0018_9346), vec![item]);
        let canaries = Self::plant(&mut root);
        (root, canaries)
    }

    /// Iterates over the canaries in the order of the elements.
    pub fn iter(&self) -> std::slice::Iter<'_, Canary> {
        self.planted.iter()
    }

    /// Returns the number of canaries.
    pub fn len(&self) -> usize {
        self.planted.len()
    }

    /// Returns true if no element could hold a token.
    pub fn is_empty(&self) -> bool {
        self.planted.is_empty()
    }

    /// Returns the canaries whose token is in these bytes.
    pub fn found_in<'c>(&'c self, bytes: &[u8]) -> Vec<&'c Canary> {
        // Thousands of tokens have only a few lengths, so the bytes are searched once for each
        // length.
        let mut windows: HashMap<usize, HashSet<&[u8]>> = HashMap::new();
        let is_in = |canary: &&Canary| {
            let length = canary.token.len();
            let windows = windows.entry(length);
            let windows = windows.or_insert_with(|| bytes.windows(length).collect());
            windows.contains(canary.token())
        };
        self.iter().filter(is_in).collect()
    }

    fn walk(
        &mut self,
        data_set: &mut DataSet,
        path: &mut Vec<Tag>,
        wanted: &dyn Fn(&[Tag]) -> bool,
    ) {
        for element in data_set.elements_mut() {
            path.push(element.tag);
            match &mut element.value {
                Value::Items(sequence) => {
                    for item in &mut sequence.items {
                        self.walk(item, path, wanted);
                    }
                }
                value @ Value::Bytes(_)
                    if !WITHOUT_TOKEN.contains(&element.tag) && wanted(path) =>
                {
                    if let Some((text, token)) = self.next(element.vr) {
                        *value = Value::Bytes(text.into_bytes());
                        self.planted.push(Canary {
                            path: path.clone(),
                            vr: element.vr,
                            token: token.into_bytes(),
                        });
                    }
                }
                _ => {}
            }
            path.pop();
        }
    }

    /// Returns the next value of this VR, and the part of it that is the token.
    fn next(&mut self, vr: [u8; 2]) -> Option<(String, String)> {
        let number = self.planted.len();
        let whole = |text: String| Some((text.clone(), text));
        match &vr {
            b"UI" => whole(format!("2.25.7700{number:06}77")),
            b"TM" => whole(format!("120000.{number:06}")),
            b"DS" => whole(format!("77.{number:06}")),
            b"IS" => whole(format!("77{number:06}")),
            b"DA" => whole(self.date()?),
            b"DT" => {
                let date = self.date()?;
                Some((format!("{date}120000"), date))
            }
            b"AE" | b"CS" | b"LO" | b"LT" | b"PN" | b"SH" | b"ST" | b"UC" | b"UR" | b"UT" => {
                whole(format!("CNRY{number:06}Q"))
            }
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"UN" => {
                let token = format!("CNRY{number:06}Q");
                Some((format!("{token:<16}"), token))
            }
            _ => None,
        }
    }

    /// Returns an unused date from 1901 on; `None` after the year 9900.
    fn date(&mut self) -> Option<String> {
        let (year, month, day) = civil(-25_202 + self.dates * 4_000);
        self.dates += 1;
        (year <= 9_900).then(|| format!("{year:04}{month:02}{day:02}"))
    }
}

impl<'c> IntoIterator for &'c Canaries {
    type Item = &'c Canary;
    type IntoIter = std::slice::Iter<'c, Canary>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Elements that get no token: see [`Canaries`].
const WITHOUT_TOKEN: [Tag; 5] = [
    tag(0x0008_0005),
    tag(0x0008_0016),
    tag(0x0028_0008),
    tag(0x0028_0301),
    tag(0x7FE0_0010),
];

/// The groups that have elements in the data dictionary (PS3.6), without repeating groups.
const GROUPS: [u16; 68] = [
    0x0008, 0x0010, 0x0012, 0x0014, 0x0016, 0x0018, 0x0020, 0x0022, 0x0024, 0x0028, 0x0032, 0x0034,
    0x0038, 0x003A, 0x0040, 0x0042, 0x0044, 0x0046, 0x0048, 0x0050, 0x0052, 0x0054, 0x0060, 0x0062,
    0x0064, 0x0066, 0x0068, 0x006A, 0x0070, 0x0072, 0x0074, 0x0076, 0x0078, 0x0080, 0x0082, 0x0088,
    0x0100, 0x0400, 0x1000, 0x1010, 0x2000, 0x2010, 0x2020, 0x2030, 0x2040, 0x2050, 0x2100, 0x2110,
    0x2120, 0x2130, 0x2200, 0x3002, 0x3004, 0x3006, 0x3008, 0x300A, 0x300C, 0x300E, 0x3010, 0x4000,
    0x4008, 0x4010, 0x4FFE, 0x5200, 0x5400, 0x5600, 0x7FE0, 0xFFFC,
];

/// Returns every standard element of those groups with its VR.
fn standard_elements() -> impl Iterator<Item = (Tag, VR)> {
    GROUPS
        .into_iter()
        .flat_map(|group| (1..=u16::MAX).map(move |element| Tag(group, element)))
        .filter_map(|number| {
            let entry = StandardDataDictionary.by_tag(number)?;
            match entry.vr() {
                VirtualVr::Exact(vr) => Some((number, vr)),
                VirtualVr::Ox | VirtualVr::Px => Some((number, VR::OB)),
                _ => None,
            }
        })
}

/// Returns year, month and day of a number of days since 1 January 1970 (Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut rest) = (1970, days);
    while rest < 0 {
        year -= 1;
        rest += 365 + i64::from(is_leap(year));
    }
    while rest >= 365 + i64::from(is_leap(year)) {
        rest -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}
