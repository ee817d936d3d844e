//! Reads one column of a table.

use std::fmt::Write as _;

use anon_model::java_index::{Limits, ReadError, read_column};

use super::{ListKey, RawEntry};
use crate::exit::Failure;

/// The delimiters of a CSV file. Spreadsheets write semicolons where the comma is the decimal sign.
const DELIMITERS: [u8; 3] = *b",;\t";

/// Words of headers. Only a header that consists of them is printed: without a header row, the first
/// row contains values, which may identify.
const HEADER_WORDS: [&str; 25] = [
    "accession",
    "age",
    "birth",
    "comment",
    "date",
    "description",
    "dob",
    "exam",
    "gender",
    "id",
    "institution",
    "modality",
    "mrn",
    "name",
    "no",
    "nr",
    "number",
    "order",
    "patient",
    "phi",
    "series",
    "sex",
    "site",
    "study",
    "uid",
];

/// Reads a column of a CSV file.
///
/// A row with another number of cells than the header is refused: its cells may belong to other columns.
pub(super) fn of_csv(
    text: &str,
    key: ListKey,
    column: Option<&str>,
) -> anyhow::Result<Vec<RawEntry>> {
    // A quote that is never closed would swallow rows.
    if !text.matches('"').count().is_multiple_of(2) {
        return Err(Failure::configuration(
            "a quotation mark in the list has no counterpart: correct the file",
        ));
    }
    let mut rows = rows(text, delimiter(text))?.into_iter();
    let Some((_, headers)) = rows.next() else {
        return Ok(Vec::new());
    };
    let column = choose(&headers, key, column)?;
    let entries = rows.map(|(line, cells)| RawEntry {
        line,
        text: match cells.get(column) {
            Some(cell) if cells.len() == headers.len() => Ok(cell.clone()),
            _ => Err("its row has another number of cells than the header".to_owned()),
        },
    });
    Ok(entries.collect())
}

/// Returns the delimiter that splits the header into the most cells.
fn delimiter(text: &str) -> u8 {
    let count = |delimiter: u8| {
        let mut reader = reader(text, delimiter);
        let header = reader.records().next();
        header.and_then(Result::ok).map_or(0, |header| header.len())
    };
    // The last of equal ones wins: the comma.
    let by_count = DELIMITERS.into_iter().rev();
    by_count.max_by_key(|d| count(*d)).unwrap_or(b',')
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// Returns the rows that have a cell that is not blank, each with its first line.
fn rows(text: &str, delimiter: u8) -> anyhow::Result<Vec<(u64, Vec<String>)>> {
    let mut rows = Vec::new();
    let mut line = 1;
    let mut rest = text;
    for record in reader(text, delimiter).into_records() {
        // The error of csv may contain a value.
        let record = record.map_err(|_| Failure::configuration("the list is not a CSV file"))?;
        // The position is that of the end of the record before, which empty lines may follow.
        let start = record.position().map_or(0, csv::Position::byte);
        let begin = usize::try_from(start).ok().and_then(|at| text.get(at..));
        let begin = begin.unwrap_or_default().trim_start_matches('\n');
        let passed = rest.len().saturating_sub(begin.len());
        let passed = rest.get(..passed).unwrap_or_default();
        line += u64::try_from(passed.matches('\n').count()).unwrap_or(0);
        rest = begin;
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push((line, record.iter().map(str::to_owned).collect()));
        }
    }
    Ok(rows)
}

/// Reads a column of a workbook.
pub(super) fn of_workbook(
    bytes: &[u8],
    key: ListKey,
    column: Option<&str>,
) -> anyhow::Result<Vec<RawEntry>> {
    let mut failure = None;
    let cells = read_column(bytes, &Limits::default(), &mut |headers| {
        choose(headers, key, column)
            .map_err(|error| failure = Some(error))
            .ok()
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let cells = cells.map_err(|error| Failure::configuration(problem(&error)))?;
    let entries = cells.unwrap_or_default().into_iter();
    let entries = entries.map(|cell| RawEntry {
        line: u64::from(cell.row),
        text: cell.text.map_err(|reason| format!("its cell {reason}")),
    });
    Ok(entries.collect())
}

fn problem(error: &ReadError) -> String {
    match error {
        ReadError::Damaged => "the workbook is damaged: save the list again".to_owned(),
        ReadError::Sheets { visible } => format!(
            "the workbook has {visible} visible sheets: save the list as a workbook with one sheet"
        ),
        error => error.to_string(),
    }
}

/// Returns the position of the column to read.
fn choose(headers: &[String], key: ListKey, column: Option<&str>) -> anyhow::Result<usize> {
    let Some(name) = column else {
        let is_known = |header: &String| key.headers().contains(&letters(header).as_str());
        return headers.iter().position(is_known).ok_or_else(|| {
            Failure::configuration(format!(
                "no column of the list has a known header: choose one with --column. The columns are {}",
                listed(headers)
            ))
        });
    };
    let lower = |text: &str| text.trim().to_lowercase();
    let named: Vec<usize> = (0..)
        .zip(headers)
        .filter(|(_, header)| lower(header) == lower(name))
        .map(|(position, _)| position)
        .collect();
    match named.as_slice() {
        [position] => Ok(*position),
        [] => Err(Failure::configuration(format!(
            "the list has no column {name}; the columns are {}",
            listed(headers)
        ))),
        _ => Err(Failure::configuration(format!(
            "the list has {} columns {name}: rename all but one",
            named.len()
        ))),
    }
}

/// Returns the letters of a header in lower case.
fn letters(header: &str) -> String {
    let letters = header.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Lists the headers that are certain to be headers, and the positions of the others.
fn listed(headers: &[String]) -> String {
    let mut list = String::new();
    for (position, header) in (1..).zip(headers) {
        let separator = if position == 1 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = if is_header(header) {
            write!(list, "{separator}{}", header.trim())
        } else {
            write!(list, "{separator}(column {position}, not shown)")
        };
    }
    list
}

/// Returns true if a text consists of words of headers, and has no more digits than a header has.
fn is_header(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let mut spaced = String::new();
    for (before, c) in std::iter::once(' ').chain(text.chars()).zip(text.chars()) {
        if before.is_lowercase() && c.is_uppercase() {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase());
    }
    let words = spaced.split(|c: char| !c.is_alphabetic());
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    digits <= 2 && words.peek().is_some() && words.all(|word| HEADER_WORDS.contains(&word))
}
