//! [`KeyList`]: accession numbers or patient ids from a file, to search for one by one.

mod decode;
mod table;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::exit::Failure;

/// The most characters of an entry. A Patient ID has at most 64 (VR LO). An Accession Number has at
/// most 16 (VR SH, PS3.5 section 6.2), but longer ones are in use.
const MAX_CHARACTERS: usize = 64;

/// The most bytes of a list.
const MAX_BYTES: u64 = 64 << 20;

/// The first bytes of a ZIP archive, such as an .xlsx workbook, and of an old .xls workbook.
const ZIP: &[u8] = b"PK\x03\x04";
const COMPOUND_FILE: &[u8] = b"\xD0\xCF\x11\xE0";

/// What the entries of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKey {
    AccessionNumber,
    PatientId,
}

impl ListKey {
    /// Returns the words for a number of such entries.
    pub(crate) fn counted(self, count: usize) -> String {
        match (self, count) {
            (Self::AccessionNumber, 1) => "1 accession number".to_owned(),
            (Self::AccessionNumber, count) => format!("{count} accession numbers"),
            (Self::PatientId, 1) => "1 patient id".to_owned(),
            (Self::PatientId, count) => format!("{count} patient ids"),
        }
    }

    /// Returns the headers under which a column is found without `--column`: lowercase, without
    /// other characters than letters. `PHI-…` are the columns of our own index.
    fn headers(self) -> &'static [&'static str] {
        match self {
            Self::AccessionNumber => &[
                "accession",
                "accessionnumber",
                "accessionno",
                "accessionnr",
                "phiaccession",
            ],
            Self::PatientId => &["patientid", "phipatientid", "mrn"],
        }
    }
}

/// An entry that cannot be searched for. The reason contains no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RefusedEntry {
    /// Its line in the file, or its row in the workbook, counted from 1.
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// An entry of a file before it is checked.
#[derive(Debug, PartialEq, Eq)]
struct RawEntry {
    line: u64,
    text: Result<String, String>,
}

/// An entry that can be searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListEntry {
    /// Its first line in the file, or its first row in the workbook, counted from 1.
    pub(crate) line: u64,
    pub(crate) text: String,
}

/// The entries of a file, each once and in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyList {
    pub(crate) entries: Vec<ListEntry>,
    pub(crate) refused: Vec<RefusedEntry>,
}

impl KeyList {
    /// Reads a list. A file `.csv` or `.xlsx` is a table with a header, of which `column` or the first
    /// column with a known header is read. Any other file has one entry a line.
    ///
    /// # Errors
    /// A failure if the file cannot be read, has no entry, or has no such column. No message contains an
    /// entry.
    pub(crate) fn read(file: &Path, key: ListKey, column: Option<&str>) -> anyhow::Result<Self> {
        let bytes = read_bytes(file)?;
        let is_named = |name: &str| {
            file.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case(name))
        };
        let entries = if bytes.starts_with(ZIP) {
            table::of_workbook(&bytes, key, column)?
        } else if bytes.starts_with(COMPOUND_FILE) || is_named("xlsx") {
            return Err(Failure::configuration(
                "the list is not an .xlsx workbook: save it as .xlsx without a password",
            ));
        } else if is_named("csv") {
            table::of_csv(&decode::text(&bytes), key, column)?
        } else if column.is_some() {
            return Err(Failure::configuration(
                "--column is for a list in a .csv or .xlsx file: this one has one entry a line",
            ));
        } else {
            lines(&decode::text(&bytes))
        };
        let list = Self::checked(entries);
        if list.entries.is_empty() && list.refused.is_empty() {
            return Err(Failure::configuration("the list has no entries"));
        }
        Ok(list)
    }

    /// Separates the entries that can be searched for from the others.
    fn checked(raw: Vec<RawEntry>) -> Self {
        let mut seen = BTreeSet::new();
        let mut list = Self::default();
        for RawEntry { line, text } in raw {
            match text.and_then(|text| check(&text).map_err(str::to_owned)) {
                Ok(entry) if entry.is_empty() || seen.contains(&entry) => {}
                Ok(text) => {
                    seen.insert(text.clone());
                    list.entries.push(ListEntry { line, text });
                }
                Err(reason) => list.refused.push(RefusedEntry { line, reason }),
            }
        }
        list
    }
}

fn read_bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || Failure::CannotRun(format!("cannot read {}", file.display()));
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::configuration(
            "the list is larger than 64 MiB: split it",
        ));
    }
    Ok(bytes)
}

/// Returns an entry for each line.
fn lines(text: &str) -> Vec<RawEntry> {
    let lines = (1..).zip(text.lines());
    lines
        .map(|(line, text)| RawEntry {
            line,
            text: Ok(text.to_owned()),
        })
        .collect()
}

/// Removes outer blanks from an entry, and checks that it is a single value of its VR and no wildcard
/// (PS3.5 section 6.2, PS3.4 section C.2.2.2.4).
fn check(text: &str) -> Result<String, &'static str> {
    let entry = text.trim();
    if entry.contains(['*', '?']) {
        Err("it has a wildcard (* or ?)")
    } else if entry.contains('\\') {
        Err("it has a backslash")
    } else if entry.chars().any(char::is_control) {
        Err("it has a control character")
    } else if entry.contains(char::REPLACEMENT_CHARACTER) {
        Err("it has a character that cannot be read")
    } else if entry.chars().count() > MAX_CHARACTERS {
        Err("it is longer than 64 characters")
    } else {
        Ok(entry.to_owned())
    }
}

#[cfg(test)]
mod tests;
