//! Reads the sheet as rows of cells.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxError};

use super::{COLUMNS, Limits, ReadError};

/// The name of the sheet to choose among several.
const SHEET: &str = "index";

/// A cell converted to text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Cell {
    #[default]
    Empty,
    Text(String),
    /// A day without a time, as YYYYMMDD.
    Day(String),
    /// The cell cannot be converted, for this reason.
    Bad(&'static str),
}

/// A row that is not empty.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Its number in the spreadsheet.
    pub(super) number: u32,
    pub(super) cells: [Cell; COLUMNS.len()],
    /// True if it has more cells than there are columns.
    pub(super) more: bool,
}

/// Checks the header, and returns the rows below it.
pub(super) fn rows(bytes: &[u8], limits: &Limits) -> Result<Vec<Row>, ReadError> {
    // The workbook is untrusted, and calamine may have a bug that panics.
    let read = || read(bytes, limits);
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(ReadError::Damaged))
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Row>, ReadError> {
    let mut rows = Vec::new();
    let mut header = None;
    let mut row = Row::default();
    each_cell(bytes, &mut |number, column, value| {
        if number > row.number {
            end_row(&mut row, &mut header, &mut rows, limits)?;
            row.number = number;
        }
        let value = text(value);
        if value == Cell::Empty {
            return Ok(());
        }
        match row.cells.get_mut(column) {
            Some(place) if *place == Cell::Empty => *place = value,
            Some(_) => return Err(ReadError::Damaged),
            None => row.more = true,
        }
        Ok(())
    })?;
    end_row(&mut row, &mut header, &mut rows, limits)?;
    Ok(rows)
}

/// Passes each cell of the chosen sheet to `on_cell`: the number of its row, counted from 1, its
/// column, counted from 0, and its value. Row numbers never decrease.
pub(super) fn each_cell(
    bytes: &[u8],
    on_cell: &mut dyn FnMut(u32, usize, &DataRef<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheet = choose(&workbook)?;
    let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(damaged)?;
    let mut last = 0;
    while let Some(cell) = cells.next_cell().map_err(damaged)? {
        let (row, column) = cell.get_position();
        let number = row.checked_add(1).ok_or(ReadError::Damaged)?;
        let column = usize::try_from(column).map_err(|_| ReadError::Damaged)?;
        if number < last {
            return Err(ReadError::Damaged);
        }
        last = number;
        on_cell(number, column, cell.get_value())?;
    }
    Ok(())
}

fn choose(workbook: &Xlsx<Cursor<&[u8]>>) -> Result<String, ReadError> {
    let visible = |sheet: &&calamine::Sheet| {
        sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible
    };
    let sheets: Vec<_> = workbook.sheets_metadata().iter().filter(visible).collect();
    let chosen = match *sheets {
        [only] => Some(only),
        _ => sheets
            .iter()
            .find(|sheet| sheet.name.eq_ignore_ascii_case(SHEET))
            .copied(),
    };
    let visible = sheets.len();
    Ok(chosen.ok_or(ReadError::Sheets { visible })?.name.clone())
}

/// Ends a row: checks the first one, which is the header, and adds the others to `rows`.
fn end_row(
    row: &mut Row,
    header: &mut Option<()>,
    rows: &mut Vec<Row>,
    limits: &Limits,
) -> Result<(), ReadError> {
    let row = std::mem::take(row);
    let empty = !row.more && row.cells.iter().all(|cell| *cell == Cell::Empty);
    if empty {
        return Ok(());
    }
    if header.is_none() {
        *header = Some(());
        return check_header(&row);
    }
    if rows.len() >= limits.max_rows {
        return Err(ReadError::TooLarge {
            what: "its rows",
            limit: limits.max_rows as u64,
        });
    }
    rows.push(row);
    Ok(())
}

/// Checks the first row. The error contains none of its cells, because they may be originals.
fn check_header(row: &Row) -> Result<(), ReadError> {
    let places = row.cells.iter().zip(COLUMNS).zip(1..);
    for ((cell, expected), column) in places {
        let same = match cell {
            Cell::Text(text) => text.trim().replace('_', "-").eq_ignore_ascii_case(expected),
            _ => false,
        };
        if !same {
            return Err(ReadError::Header { column, expected });
        }
    }
    if row.more {
        return Err(ReadError::MoreColumns);
    }
    Ok(())
}

pub(super) fn text(value: &DataRef<'_>) -> Cell {
    let of = |text: &str| {
        let text = text.trim_matches([' ', '\0']);
        if text.is_empty() {
            Cell::Empty
        } else {
            Cell::Text(text.to_owned())
        }
    };
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::String(text) => of(text),
        DataRef::SharedString(text) => of(text),
        DataRef::Int(number) => Cell::Text(number.to_string()),
        DataRef::Float(number) => number_text(*number),
        DataRef::DateTime(day) if day.is_datetime() && day.as_f64().fract() == 0.0 => {
            let (year, month, day, ..) = day.to_ymd_hms_milli();
            Cell::Day(format!("{year:04}{month:02}{day:02}"))
        }
        DataRef::DateTime(_) | DataRef::DateTimeIso(_) | DataRef::DurationIso(_) => {
            Cell::Bad("holds a date or a time: make it text")
        }
        DataRef::Bool(_) => Cell::Bad("holds a truth value: make it text"),
        DataRef::Error(_) => Cell::Bad("holds the error of a formula"),
    }
}

/// Converts a number. A whole number has no decimal point.
fn number_text(number: f64) -> Cell {
    /// Spreadsheets keep only 15 digits of a number.
    const LOST: f64 = 1e15;
    if number.abs() >= LOST || !number.is_finite() {
        return Cell::Bad("holds a number of more than 15 digits, and the last of them are lost");
    }
    Cell::Text(if number == 0.0 {
        "0".to_owned()
    } else {
        number.to_string()
    })
}

/// Drops the error of calamine: its message may contain values of the workbook.
fn damaged(_: XlsxError) -> ReadError {
    ReadError::Damaged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_converted_to_what_the_user_typed() {
        for (number, text) in [
            (999.0, "999"),
            (0.0, "0"),
            (-0.0, "0"),
            (-12.0, "-12"),
            (1.5, "1.5"),
            (20_040_119.0, "20040119"),
            (999_999_999_999_999.0, "999999999999999"),
        ] {
            assert_eq!(number_text(number), Cell::Text(text.to_owned()));
        }
        for number in [1e15, -1e15, f64::NAN, f64::INFINITY] {
            assert!(matches!(number_text(number), Cell::Bad(_)), "{number}");
        }
    }
}
