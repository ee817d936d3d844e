//! What identifies the patient, the people and the places of one object: [`Identifiers`].

use std::fmt;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::words::{Words, segments};
use super::{fold, vocabulary};
use crate::object::{ObjectHeader, SeenElement};

/// Elements whose whole value is an identifier.
const IDS: &[Tag] = &[
    tags::PATIENT_ID,
    Tag(0x0010, 0x1000),
    tags::ISSUER_OF_PATIENT_ID,
    tags::ACCESSION_NUMBER,
    tags::STUDY_ID,
    tags::ADMISSION_ID,
    Tag(0x0038, 0x0011),
    tags::SERVICE_EPISODE_ID,
    Tag(0x0010, 0x1090),
    tags::REQUESTED_PROCEDURE_ID,
    tags::SCHEDULED_PROCEDURE_STEP_ID,
    tags::PERFORMED_PROCEDURE_STEP_ID,
    tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
    tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
    Tag(0x0010, 0x1050),
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::PATIENT_TELEPHONE_NUMBERS,
    tags::REFERRING_PHYSICIAN_TELEPHONE_NUMBERS,
    tags::ORDER_CALLBACK_PHONE_NUMBER,
    tags::PERSON_TELEPHONE_NUMBERS,
    tags::PATIENT_TELECOM_INFORMATION,
    tags::PERSON_TELECOM_INFORMATION,
    tags::DEVICE_SERIAL_NUMBER,
    tags::PLATE_ID,
    tags::DETECTOR_ID,
    tags::GANTRY_ID,
    tags::CASSETTE_ID,
    tags::GENERATOR_ID,
    tags::DEVICE_ID,
    tags::DEVICE_LABEL,
    Tag(0x0040, 0x050A),
    tags::UNIQUE_DEVICE_IDENTIFIER,
];

/// Elements that name places, organizations and machines, with words of their own beside terms.
const PLACES: &[Tag] = &[
    tags::INSTITUTION_NAME,
    tags::INSTITUTION_ADDRESS,
    tags::INSTITUTIONAL_DEPARTMENT_NAME,
    tags::STATION_NAME,
    tags::PERFORMED_STATION_NAME,
    tags::SCHEDULED_STATION_NAME,
    tags::PATIENT_INSTITUTION_RESIDENCE,
    tags::CURRENT_PATIENT_LOCATION,
    tags::PERFORMED_LOCATION,
    tags::SCHEDULED_PROCEDURE_STEP_LOCATION,
    tags::REFERRING_PHYSICIAN_ADDRESS,
    tags::RESPONSIBLE_ORGANIZATION,
    tags::ORDER_ENTERER_LOCATION,
    tags::PATIENT_ADDRESS,
    tags::PERSON_ADDRESS,
    tags::REGION_OF_RESIDENCE,
    tags::COUNTRY_OF_RESIDENCE,
    tags::REQUESTING_SERVICE,
    tags::VERIFYING_ORGANIZATION,
    tags::MILITARY_RANK,
    tags::BRANCH_OF_SERVICE,
    tags::CLINICAL_TRIAL_SITE_NAME,
    tags::CLINICAL_TRIAL_SITE_ID,
];

/// The months in English, German, Spanish and French, folded.
const MONTHS: [&[&str]; 12] = [
    &["jan", "january", "januar", "janner", "enero", "janvier"],
    &["feb", "february", "februar", "febrero", "fevrier"],
    &["mar", "march", "marz", "maerz", "marzo", "mars"],
    &["apr", "april", "abril", "avril"],
    &["may", "mai", "mayo"],
    &["jun", "june", "juni", "junio", "juin"],
    &["jul", "july", "juli", "julio", "juillet"],
    &["aug", "august", "agosto", "aout"],
    &["sep", "sept", "september", "septiembre", "septembre"],
    &["oct", "october", "okt", "oktober", "octubre", "octobre"],
    &["nov", "november", "noviembre", "novembre"],
    &[
        "dec",
        "december",
        "dez",
        "dezember",
        "diciembre",
        "decembre",
    ],
];

/// Words in names that name nobody.
const NOBODY: &[&str] = &[
    "admin",
    "anon",
    "anonym",
    "anonymized",
    "anonymised",
    "anonymous",
    "doctor",
    "firstname",
    "lastname",
    "name",
    "none",
    "null",
    "operator",
    "patient",
    "phantom",
    "physician",
    "radiologist",
    "removed",
    "resident",
    "tech",
    "technician",
    "technologist",
    "test",
    "unknown",
    "user",
];

/// Words by which an organization is known, although each word of its name is a term.
const ORGANIZATION: &[&str] = &[
    "hospital",
    "clinic",
    "institute",
    "university",
    "center",
    "centre",
    "foundation",
    "krankenhaus",
    "klinik",
    "klinikum",
    "hopital",
    "memorial",
];

/// The longest identifier that is compared, in bytes of its folded form. A longer one is cut.
const MAX_KEY: usize = 64;

/// The fewest letters of a word that is found in other words, or with one letter wrong.
const LONG: usize = 6;

/// The identifiers of one object, taken from all its elements.
///
/// They are parts of person names, numbers of the patient, the study and the devices, places,
/// organizations and dates. They are found in any case, with or without diacritics and separators.
/// One of six letters and more is also found inside other words, and with one letter wrong.
/// `Debug` shows none of them.
#[derive(Default)]
pub struct Identifiers {
    /// Folded, sorted, each once.
    keys: Vec<Key>,
    /// Which first bytes occur in `keys`.
    filter: Filter,
    /// Words of letters that are compared with one letter wrong.
    spelled: Vec<Vec<char>>,
    /// Four digits, or nothing. Too common for texts that are no descriptions.
    year_of_birth: String,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    text: String,
    /// Found inside words; else only as whole words or numbers.
    inside: bool,
}

impl fmt::Debug for Identifiers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identifiers")
            .finish_non_exhaustive()
    }
}

impl Identifiers {
    /// Takes the identifiers from all elements of a header, nested and private ones too.
    pub fn of(header: &ObjectHeader) -> Self {
        let mut identifiers = Self::default();
        let (mut dates, mut born) = (Vec::new(), None);
        for element in header.elements() {
            let Some(text) = header.text(element).filter(|text| !text.is_empty()) else {
                continue;
            };
            match element.vr {
                VR::DA if element.tag == tags::PATIENT_BIRTH_DATE && born.is_none() => {
                    born = date_of(text);
                }
                VR::DA | VR::DT => dates.extend(text.split('\\').filter_map(date_of)),
                _ => {
                    let parent = element
                        .parent
                        .and_then(|parent| header.elements().get(parent as usize));
                    identifiers.add(element, parent.map(|parent| parent.tag), text);
                }
            }
        }
        identifiers.add_dates(dates, born);
        identifiers.finish();
        identifiers
    }

    /// True if one of them stands in a text.
    pub fn occur_in(&self, text: &str) -> bool {
        let words = Words::of(text);
        let mut gone = vec![false; words.runs.len()];
        self.mark(&words, &mut gone);
        self.mark_misspelled(&words, &mut gone);
        gone.contains(&true)
    }

    /// Adds what an element in a sequence with the tag `parent` holds.
    fn add(&mut self, element: &SeenElement, parent: Option<Tag>, text: &str) {
        match element.vr {
            VR::LO | VR::UC if element.tag == tags::CODE_MEANING => match parent {
                Some(tags::PERSON_IDENTIFICATION_CODE_SEQUENCE) => self.add_name(text),
                Some(tags::INSTITUTION_CODE_SEQUENCE) => self.add_place(text),
                _ => {}
            },
            VR::PN => self.add_name(text),
            VR::UI if element.parent.is_none() => {
                text.split('\\').for_each(|uid| self.add_uid(uid));
            }
            VR::AE => text.split('\\').for_each(|title| self.add_id(title)),
            VR::LO | VR::SH | VR::ST | VR::LT | VR::UT | VR::UC | VR::CS | VR::UN | VR::UR => {
                if IDS.contains(&element.tag) {
                    text.split('\\').for_each(|id| self.add_id(id));
                } else if PLACES.contains(&element.tag) {
                    text.split('\\').for_each(|place| self.add_place(place));
                }
            }
            _ => {}
        }
    }

    /// Adds the parts of a person name, of all its component groups.
    fn add_name(&mut self, name: &str) {
        for group in name.split(['=', '\\']) {
            let words = Words::of(group);
            for word in &words.runs {
                let part = words.folded(word);
                let letters = part.chars().count();
                let particle = letters < 4 && vocabulary::is_term(part);
                if letters > 1 && !particle && !NOBODY.contains(&part) {
                    self.push(part);
                    self.push(&umlauts(words.written(word)));
                }
            }
            for pair in words.runs.windows(2) {
                if let [first, second] = pair {
                    let (first, second) = (words.folded(first), words.folded(second));
                    if !NOBODY.contains(&first) && !NOBODY.contains(&second) {
                        self.push_if_long(&format!("{first}{second}"));
                        self.push_if_long(&format!("{second}{first}"));
                    }
                }
            }
        }
    }

    /// Adds a UID that is not one of the standard.
    fn add_uid(&mut self, uid: &str) {
        if !uid.starts_with("1.2.840.10008.") {
            self.push_if_long(&uid.replace('.', ""));
        }
    }

    /// Adds an identifier as a whole, and its parts that are long or hold digits.
    fn add_id(&mut self, id: &str) {
        let words = Words::of(id);
        let whole = words.folded.as_str();
        let letters = whole.chars().count();
        let digits = whole.chars().all(char::is_numeric);
        let plain = !digits && is_all_terms(&words) || NOBODY.contains(&whole);
        if plain || letters < if digits { 4 } else { 3 } {
            return;
        }
        self.push(whole);
        self.push_if_long(whole.trim_start_matches('0'));
        for part in words.runs.iter().map(|word| words.folded(word)) {
            let digits = part.bytes().any(|byte| byte.is_ascii_digit());
            if part.len() >= if digits { 4 } else { LONG } && !vocabulary::is_listed(part) {
                self.push(part);
            }
        }
    }

    /// Adds the words of a place that are no terms, and the whole.
    fn add_place(&mut self, place: &str) {
        let words = Words::of(place);
        let mut parts = words.runs.iter().map(|word| words.folded(word));
        for (word, part) in words.runs.iter().zip(parts.clone()) {
            let letters = part.chars().count();
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            let kept = vocabulary::is_listed(part) || letters < if digits { 4 } else { 3 };
            if !kept && !NOBODY.contains(&part) {
                self.push(part);
                self.push(&umlauts(words.written(word)));
            }
        }
        let organization = parts.any(|part| ORGANIZATION.contains(&part));
        if words.runs.len() > 1 && (organization || !is_all_terms(&words)) {
            self.push_if_long(&words.folded);
        }
    }

    /// Adds dates as digits in the orders in use. Separators are not compared.
    fn add_dates(&mut self, mut dates: Vec<[u8; 8]>, born: Option<[u8; 8]>) {
        dates.extend(born);
        dates.sort_unstable();
        dates.dedup();
        for date in &dates {
            let text = std::str::from_utf8(date).unwrap_or_default();
            let (year, month, day) = parts_of_date(text);
            for whole in [[year, month, day], [day, month, year], [month, day, year]] {
                self.push(&whole.concat());
            }
            let [short_month, short_day] = [month, day].map(|part| part.trim_start_matches('0'));
            if short_month.len() + short_day.len() < 4 {
                self.push(&[short_day, short_month, year].concat());
                self.push(&[short_month, short_day, year].concat());
            }
            if born == Some(*date) {
                self.add_birth_date(year, month, day);
            }
        }
    }

    /// Adds the birth date with two digits of the year, and with the name of the month.
    fn add_birth_date(&mut self, year: &str, month: &str, day: &str) {
        let short = year.get(2..).unwrap_or_default();
        year.clone_into(&mut self.year_of_birth);
        for whole in [
            [short, month, day],
            [day, month, short],
            [month, day, short],
        ] {
            self.push(&whole.concat());
        }
        let number: Option<usize> = month.parse().ok();
        let names = number.and_then(|number| MONTHS.get(number.checked_sub(1)?));
        for name in names.copied().unwrap_or_default() {
            for day in [day, day.trim_start_matches('0')] {
                self.push(&[day, name, year].concat());
                self.push(&[name, day, year].concat());
            }
        }
    }

    fn push_if_long(&mut self, text: &str) {
        if letters(text) >= LONG || is_unspaced(text) {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        let unspaced = is_unspaced(text);
        let letters = letters(text);
        if letters > 1 {
            let end = text.floor_char_boundary(MAX_KEY);
            self.keys.push(Key {
                text: text.get(..end).unwrap_or_default().to_owned(),
                inside: letters >= LONG || unspaced,
            });
        }
    }

    fn finish(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        for key in &self.keys {
            self.filter.insert(key.text.as_bytes());
            let letters = key.text.chars().count();
            if (LONG..=64).contains(&letters) && key.text.chars().all(char::is_alphabetic) {
                self.spelled.push(key.text.chars().collect());
            }
        }
    }

    /// Marks the words that hold an identifier, or a part of it.
    pub(super) fn mark(&self, words: &Words<'_>, gone: &mut [bool]) {
        let edges = edges(words);
        let mut begin = 0;
        for (at, _) in words.folded.char_indices() {
            while words
                .runs
                .get(begin)
                .is_some_and(|word| word.folded.end <= at)
            {
                begin += 1;
            }
            let Some(end) = self.longest_at(words, &edges, at) else {
                continue;
            };
            let touched = words.runs.iter().zip(gone.iter_mut()).skip(begin);
            for (_, gone) in touched.take_while(|(word, _)| word.folded.start < end) {
                *gone = true;
            }
        }
    }

    /// Marks the year of birth.
    pub(super) fn mark_year_of_birth(&self, words: &Words<'_>, gone: &mut [bool]) {
        for (word, gone) in words.runs.iter().zip(gone) {
            *gone |= !self.year_of_birth.is_empty() && words.folded(word) == self.year_of_birth;
        }
    }

    /// Returns the end of the longest identifier that begins here in the folded text.
    ///
    /// The keys are sorted. The greatest one that is not above the text is the longest that may
    /// begin it. Where it differs, the next to try is no longer than what both share.
    fn longest_at(&self, words: &Words<'_>, edges: &[bool], at: usize) -> Option<usize> {
        let mut rest = words.folded.get(at..)?.as_bytes();
        if !self.filter.may_begin(rest) {
            return None;
        }
        rest = rest.get(..MAX_KEY).unwrap_or(rest);
        while rest.len() > 1 {
            let above = self.keys.partition_point(|key| key.text.as_bytes() <= rest);
            let key = self.keys.get(above.checked_sub(1)?)?;
            let text = key.text.as_bytes();
            let shared = text
                .iter()
                .zip(rest)
                .take_while(|(one, other)| one == other)
                .count();
            let end = at + text.len();
            let whole = || edges.get(at) == Some(&true) && edges.get(end) == Some(&true);
            if shared == text.len() && (key.inside || whole()) {
                return Some(end);
            }
            rest = rest.get(..shared.min(text.len() - 1))?;
        }
        None
    }

    /// Marks the words that are an identifier with one letter wrong.
    ///
    /// Marks all words if there is more to compare than a text of this length may cost.
    pub(super) fn mark_misspelled(&self, words: &Words<'_>, gone: &mut [bool]) {
        let mut budget = 4096 + 64 * words.folded.len();
        let mut letters = Vec::new();
        for (word, gone) in words.runs.iter().zip(gone.iter_mut()) {
            let folded = words.folded(word);
            if *gone || self.spelled.is_empty() || !(LONG..256).contains(&folded.len()) {
                continue;
            }
            letters.clear();
            letters.extend(folded.chars());
            if letters.len() < LONG || vocabulary::is_term(folded) {
                continue;
            }
            budget = budget.saturating_sub(self.spelled.len());
            *gone = self
                .spelled
                .iter()
                .any(|spelled| is_one_edit_away(spelled, &letters));
            if budget == 0 {
                break;
            }
        }
        if budget == 0 {
            gone.fill(true);
        }
    }
}

/// Returns the number of characters of a folded text. Most are ASCII.
fn letters(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// True if a folded text has a character of a script without blanks.
fn is_unspaced(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(fold::is_unspaced)
}

/// True if one letter was added, left out, replaced, or changed places with the next.
fn is_one_edit_away(one: &[char], other: &[char]) -> bool {
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    match (one.get(same..), other.get(same..)) {
        (Some([a, b, one @ ..]), Some([c, d, other @ ..])) if [a, b] == [d, c] && one == other => {
            true
        }
        (Some([_, one @ ..]), Some([_, other @ ..])) if one == other => true,
        (Some([_, one @ ..]), Some(other)) if one == other => true,
        (Some(one), Some([_, other @ ..])) => one == other,
        (one, other) => one == other,
    }
}

/// Where words and numbers begin and end in the folded text.
fn edges(words: &Words<'_>) -> Vec<bool> {
    let mut edges = vec![false; words.folded.len() + 1];
    for word in &words.runs {
        let mut at = word.folded.start;
        for segment in segments(words.folded(word)) {
            if let Some(edge) = edges.get_mut(at) {
                *edge = true;
            }
            at += segment.len();
        }
        if let Some(edge) = edges.get_mut(at) {
            *edge = true;
        }
    }
    edges
}

/// Returns the digits of year, month and day.
fn date_of(text: &str) -> Option<[u8; 8]> {
    let digits = text.bytes().filter(u8::is_ascii_digit).take(8);
    let mut date = [0; 8];
    let mut count = 0;
    for (place, digit) in date.iter_mut().zip(digits) {
        *place = digit;
        count += 1;
    }
    (count == 8).then_some(date)
}

fn parts_of_date(date: &str) -> (&str, &str, &str) {
    let part = |range| date.get(range).unwrap_or_default();
    (part(0..4), part(4..6), part(6..8))
}

fn is_all_terms(words: &Words<'_>) -> bool {
    words
        .runs
        .iter()
        .all(|word| vocabulary::is_term(words.folded(word)))
}

/// Returns the folded word with `ae`, `oe`, `ue` for umlauts, as names are spelled where there are none.
fn umlauts(word: &str) -> String {
    let mut spelled = String::with_capacity(word.len() + 2);
    for character in word.chars() {
        match character {
            'ä' | 'Ä' => spelled.push_str("ae"),
            'ö' | 'Ö' | 'ø' | 'Ø' => spelled.push_str("oe"),
            'ü' | 'Ü' => spelled.push_str("ue"),
            'å' | 'Å' => spelled.push_str("aa"),
            _ => fold::push(character, &mut spelled),
        }
    }
    spelled
}

/// A set of the three first bytes of keys, which may hold more than were put in.
struct Filter([u64; 64]);

impl Default for Filter {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Filter {
    fn insert(&mut self, text: &[u8]) {
        match text {
            [first, second] => (0..=u8::MAX).for_each(|third| self.set(*first, *second, third)),
            [first, second, third, ..] => self.set(*first, *second, *third),
            _ => {}
        }
    }

    fn set(&mut self, first: u8, second: u8, third: u8) {
        let (cell, bit) = Self::place(first, second, third);
        self.0
            .iter_mut()
            .skip(cell)
            .take(1)
            .for_each(|cell| *cell |= bit);
    }

    fn may_begin(&self, text: &[u8]) -> bool {
        let (cell, bit) = match text {
            [first, second] => Self::place(*first, *second, 0),
            [first, second, third, ..] => Self::place(*first, *second, *third),
            _ => return false,
        };
        self.0.get(cell).is_some_and(|cell| cell & bit != 0)
    }

    fn place(first: u8, second: u8, third: u8) -> (usize, u64) {
        let hash = usize::from(first) * 961 + usize::from(second) * 31 + usize::from(third);
        ((hash >> 6) & 63, 1 << (hash & 63))
    }
}
