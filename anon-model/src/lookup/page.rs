//! Pages of a list: [`PageQuery`] in, [`Page`] out.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use crate::{PatientRow, Phi, StudyRow};

/// The rows on a page if a query does not say.
const DEFAULT_LIMIT: NonZeroUsize = NonZeroUsize::new(50).expect("50 is not 0");

/// What a list of patients is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PatientSort {
    /// The pseudonym.
    #[default]
    Pseudonym,
    /// The original Patient ID.
    PatientId,
    /// The original Patient's Name.
    PatientName,
    /// The number of studies.
    Studies,
    /// The number of instances.
    Instances,
}

/// What a list of studies is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StudySort {
    /// The patient's pseudonym.
    #[default]
    Patient,
    /// The order in which the studies entered the index.
    FirstSeen,
    /// The original Study Date.
    StudyDate,
    /// The original Accession Number.
    Accession,
    /// The original Patient ID.
    PatientId,
    /// The original Patient's Name.
    PatientName,
    /// The number of instances.
    Instances,
}

/// The direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum SortDirection {
    /// Lowest first. A missing value is lower than every other value.
    #[default]
    Ascending,
    /// Highest first.
    Descending,
}

/// Where a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum SearchScope {
    /// In pseudonyms and originals.
    #[default]
    All,
    /// In pseudonyms only: the result does not show which of them an original has.
    Pseudonyms,
}

/// Selects and sorts the rows of a list, and one page of them.
///
/// Letters compare without case, and runs of digits by their number: `P9` comes before `P10`. Rows
/// with the same sort value are in the order of their pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery<S> {
    /// What the list is sorted by.
    pub sort: S,
    /// The direction, of equal rows too.
    pub direction: SortDirection,
    /// Words that a row must contain, in any case and order, each in any of these: the pseudonyms
    /// of patient, study and accession number; the original Patient ID, Patient's Name, Accession
    /// Number and Study Instance UID. Empty: all rows.
    pub search: Phi<String>,
    /// Where the words are looked for.
    pub scope: SearchScope,
    /// The rows on a page; 50 by default.
    pub limit: NonZeroUsize,
    /// The page starts after this row. `None`: at the first row.
    pub after: Option<Cursor>,
}

/// Selects a page of patients.
pub type PatientQuery = PageQuery<PatientSort>;

/// Selects a page of studies.
pub type StudyQuery = PageQuery<StudySort>;

impl<S: Default> Default for PageQuery<S> {
    fn default() -> Self {
        Self {
            sort: S::default(),
            direction: SortDirection::default(),
            search: Phi::default(),
            scope: SearchScope::default(),
            limit: DEFAULT_LIMIT,
            after: None,
        }
    }
}

/// A position in a sorted list: the row that has this value and pseudonym.
///
/// It names a row and not an offset. If rows are added or deleted between two pages, the second
/// page still repeats no row and skips none, even if the named row itself was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The row's value of the sort key, as text; empty if it has none.
    pub value: Phi<String>,
    /// The row's pseudonym, which no other row of the list has.
    pub pseudonym: String,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<R> {
    /// The rows, at most [`PageQuery::limit`].
    pub rows: Vec<R>,
    /// How many rows match the search, on all pages together.
    pub matches: u64,
    /// Where the next page starts. `None` on the last page.
    pub next: Option<Cursor>,
}

/// A row that can be listed by a sort key of type `S`.
pub(crate) trait Listed<S> {
    /// The pseudonym of the row itself.
    fn pseudonym(&self) -> &str;

    /// The value to sort by, numbers in decimal.
    fn sort_value(&self, sort: S) -> String;

    /// The pseudonyms, in which every search looks.
    fn pseudonyms(&self) -> Vec<&str>;

    /// The originals in which a search looks.
    fn originals(&self) -> Vec<&str>;
}

fn text(value: Option<&Phi<String>>) -> &str {
    value.map_or("", |value| value.expose())
}

impl Listed<PatientSort> for PatientRow {
    fn pseudonym(&self) -> &str {
        &self.pseudonym
    }

    fn sort_value(&self, sort: PatientSort) -> String {
        match sort {
            PatientSort::Pseudonym => self.pseudonym.clone(),
            PatientSort::PatientId => self.phi.id.expose().clone(),
            PatientSort::PatientName => self.phi.name.expose().clone(),
            PatientSort::Studies => self.studies.to_string(),
            PatientSort::Instances => self.instances.to_string(),
        }
    }

    fn pseudonyms(&self) -> Vec<&str> {
        vec![&self.pseudonym]
    }

    fn originals(&self) -> Vec<&str> {
        vec![self.phi.id.expose(), self.phi.name.expose()]
    }
}

impl Listed<StudySort> for StudyRow {
    fn pseudonym(&self) -> &str {
        &self.study
    }

    fn sort_value(&self, sort: StudySort) -> String {
        match sort {
            StudySort::Patient => self.patient.clone(),
            StudySort::FirstSeen => self.first_seen.to_string(),
            StudySort::StudyDate => text(self.phi.date.as_ref()).to_owned(),
            StudySort::Accession => text(self.phi.accession.as_ref()).to_owned(),
            StudySort::PatientId => self.patient_phi.id.expose().clone(),
            StudySort::PatientName => self.patient_phi.name.expose().clone(),
            StudySort::Instances => self.instances.to_string(),
        }
    }

    fn pseudonyms(&self) -> Vec<&str> {
        let accession = self.accession.as_deref();
        vec![&self.patient, &self.study, accession.unwrap_or_default()]
    }

    fn originals(&self) -> Vec<&str> {
        vec![
            self.patient_phi.id.expose(),
            self.patient_phi.name.expose(),
            text(self.phi.accession.as_ref()),
            self.study_uid.expose(),
        ]
    }
}

/// Builds a page from the rows of a list, which may come in any order.
pub(crate) struct PageBuilder<'q, S, R> {
    query: &'q PageQuery<S>,
    /// In lower case.
    words: Vec<String>,
    after: Option<SortKey>,
    /// The first rows after the cursor.
    rows: BTreeMap<SortKey, R>,
    matches: u64,
    has_more: bool,
}

impl<'q, S: Copy, R: Listed<S>> PageBuilder<'q, S, R> {
    pub(crate) fn new(query: &'q PageQuery<S>) -> Self {
        let words = query.search.expose().to_lowercase();
        Self {
            query,
            words: words.split_whitespace().map(str::to_owned).collect(),
            after: query.after.clone().map(SortKey::from),
            rows: BTreeMap::new(),
            matches: 0,
            has_more: false,
        }
    }

    pub(crate) fn add(&mut self, row: R) {
        if !self.is_match(&row) {
            return;
        }
        self.matches += 1;
        let key = SortKey {
            value: row.sort_value(self.query.sort),
            pseudonym: row.pseudonym().to_owned(),
        };
        let descending = self.query.direction == SortDirection::Descending;
        let is_on_earlier_page = self.after.as_ref().is_some_and(|after| {
            if descending {
                key >= *after
            } else {
                key <= *after
            }
        });
        if is_on_earlier_page {
            return;
        }
        self.rows.insert(key, row);
        if self.rows.len() > self.query.limit.get() {
            self.has_more = true;
            if descending {
                self.rows.pop_first();
            } else {
                self.rows.pop_last();
            }
        }
    }

    fn is_match(&self, row: &R) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let mut texts = row.pseudonyms();
        if self.query.scope == SearchScope::All {
            texts.extend(row.originals());
        }
        let texts: Vec<_> = texts.iter().map(|text| text.to_lowercase()).collect();
        let contains = |word: &String| texts.iter().any(|text| text.contains(word));
        self.words.iter().all(contains)
    }

    pub(crate) fn finish(self) -> Page<R> {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        if self.query.direction == SortDirection::Descending {
            rows.reverse();
        }
        let last = rows.last().filter(|_| self.has_more);
        Page {
            next: last.map(|(key, _)| Cursor::from(key.clone())),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            matches: self.matches,
        }
    }
}

/// The position of a row in an ascending list.
#[derive(Clone)]
struct SortKey {
    value: String,
    pseudonym: String,
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        natural(&self.value, &other.value)
            .then_with(|| natural(&self.pseudonym, &other.pseudonym))
            // Pseudonyms that differ only in case or leading zeros still need an order.
            .then_with(|| self.pseudonym.cmp(&other.pseudonym))
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SortKey {}

impl From<Cursor> for SortKey {
    fn from(cursor: Cursor) -> Self {
        Self {
            value: cursor.value.into_exposed(),
            pseudonym: cursor.pseudonym,
        }
    }
}

impl From<SortKey> for Cursor {
    fn from(key: SortKey) -> Self {
        Self {
            value: Phi::new(key.value),
            pseudonym: key.pseudonym,
        }
    }
}

/// Compares texts without case, and runs of digits by their number.
fn natural(mut left: &str, mut right: &str) -> Ordering {
    loop {
        let (left_number, right_number) = (digits(left), digits(right));
        if !left_number.is_empty() && !right_number.is_empty() {
            left = left.get(left_number.len()..).unwrap_or_default();
            right = right.get(right_number.len()..).unwrap_or_default();
            let (a, b) = (
                left_number.trim_start_matches('0'),
                right_number.trim_start_matches('0'),
            );
            match a.len().cmp(&b.len()).then_with(|| a.cmp(b)) {
                Ordering::Equal => continue,
                different => return different,
            }
        }
        let (mut left_chars, mut right_chars) = (left.chars(), right.chars());
        match (left_chars.next(), right_chars.next()) {
            (Some(a), Some(b)) => match a.to_lowercase().cmp(b.to_lowercase()) {
                Ordering::Equal => (left, right) = (left_chars.as_str(), right_chars.as_str()),
                different => return different,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

/// The ASCII digits at the start of a text.
fn digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_compare_without_case_and_digits_by_number() {
        let sorted = [
            "",
            "7",
            "8",
            "10",
            "99-000009",
            "99-1000000",
            "A",
            "a2",
            "A10",
            "B",
            "É",
        ];
        for (at, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                assert_eq!(natural(left, right), at.cmp(&other), "{left} and {right}");
            }
        }
        for (left, right) in [("007", "7"), ("P-é-07", "p-É-7")] {
            assert_eq!(natural(left, right), Ordering::Equal, "{left} and {right}");
        }
    }
}
