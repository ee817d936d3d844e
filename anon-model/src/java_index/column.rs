//! Reads one column of any workbook, under the limits of an index.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::DataRef;

use super::sheet::{Cell, each_cell, text};
use super::{Limits, ReadError, package};

/// The most columns of a worksheet.
const MAX_COLUMNS: usize = 16_384;

/// The most characters of a cell. A workbook stores a repeated text once, so that a small file could
/// otherwise fill the memory.
const MAX_CHARACTERS: usize = 256;

/// A cell of a column that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct ColumnCell {
    /// The number of its row in the spreadsheet, counted from 1.
    pub row: u32,
    /// Its text as typed, or why it has no reliable text. The reason contains no value.
    pub text: Result<String, &'static str>,
}

/// Reads the cells of one column. The sheet is the only visible one, or the one called `Index`.
///
/// The first row that is not empty is the header. `choose` gets its cells and returns the position
/// of the column. The result is `None` if `choose` returns `None`.
///
/// A whole number becomes its digits. A number that may be shown with leading zeros, a fraction, a
/// date, a truth value and an error have no reliable text.
///
/// # Errors
/// [`ReadError`] if the file is no workbook, or exceeds the limits.
pub fn read_column(
    source: impl Read,
    limits: &Limits,
    choose: &mut dyn FnMut(&[String]) -> Option<usize>,
) -> Result<Option<Vec<ColumnCell>>, ReadError> {
    let bytes = package::read(source, limits)?;
    let mut reader = ColumnReader {
        choose,
        shows_leading_zeros: package::shows_leading_zeros(&bytes),
        max_rows: limits.max_rows,
        headers: Vec::new(),
        header_row: None,
        is_header_complete: false,
        column: None,
        cells: Vec::new(),
    };
    // The workbook is untrusted, and calamine may have a bug that panics.
    let read = || -> Result<_, ReadError> {
        each_cell(&bytes, &mut |row, column, value| {
            reader.cell(row, column, value)
        })?;
        reader.end_header();
        Ok(reader.column.map(|_| reader.cells))
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(ReadError::Damaged))
}

struct ColumnReader<'c> {
    choose: &'c mut dyn FnMut(&[String]) -> Option<usize>,
    shows_leading_zeros: bool,
    max_rows: usize,
    headers: Vec<String>,
    header_row: Option<u32>,
    is_header_complete: bool,
    /// The column that `choose` returned.
    column: Option<usize>,
    cells: Vec<ColumnCell>,
}

impl ColumnReader<'_> {
    fn cell(&mut self, row: u32, column: usize, value: &DataRef<'_>) -> Result<(), ReadError> {
        let Some(text) = self.text(value) else {
            return Ok(());
        };
        if row == *self.header_row.get_or_insert(row) {
            return self.add_header(column, text.unwrap_or_default());
        }
        self.end_header();
        if self.column != Some(column) {
            return Ok(());
        }
        if self.cells.last().is_some_and(|last| last.row == row) {
            return Err(ReadError::Damaged);
        }
        if self.cells.len() >= self.max_rows {
            return Err(ReadError::TooLarge {
                what: "its rows",
                limit: self.max_rows as u64,
            });
        }
        self.cells.push(ColumnCell { row, text });
        Ok(())
    }

    fn add_header(&mut self, column: usize, text: String) -> Result<(), ReadError> {
        if column >= MAX_COLUMNS {
            return Err(ReadError::Damaged);
        }
        if self.headers.len() <= column {
            self.headers.resize(column + 1, String::new());
        }
        if let Some(header) = self.headers.get_mut(column) {
            *header = text;
        }
        Ok(())
    }

    fn end_header(&mut self) {
        if !self.is_header_complete {
            self.is_header_complete = true;
            self.column = (self.choose)(&self.headers);
        }
    }

    /// Returns the text of a cell. `None` if it is empty.
    fn text(&self, value: &DataRef<'_>) -> Option<Result<String, &'static str>> {
        let is_number = matches!(value, DataRef::Int(_) | DataRef::Float(_));
        let typed = match value {
            DataRef::String(text) => Some(text.as_str()),
            DataRef::SharedString(text) => Some(*text),
            _ => None,
        };
        Some(match text(value) {
            Cell::Empty => return None,
            Cell::Text(_) if is_number && self.shows_leading_zeros => {
                Err("holds a number that may be shown with leading zeros: make it text")
            }
            Cell::Text(number) if is_number && number.contains('.') => {
                Err("holds a fraction: make it text")
            }
            Cell::Text(text) => {
                let typed = typed.unwrap_or(&text);
                if typed.chars().count() > MAX_CHARACTERS {
                    Err("is too long")
                } else {
                    Ok(typed.to_owned())
                }
            }
            Cell::Day(_) => Err("holds a date: make it text"),
            Cell::Bad(reason) => Err(reason),
        })
    }
}
