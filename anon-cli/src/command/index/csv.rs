//! The index as CSV: V17's columns, UTF-8, RFC 4180, and nothing that a spreadsheet would run.
//!
//! A text that a spreadsheet could take for a formula is put behind an apostrophe, and so is one
//! that begins with an apostrophe. A program that takes semicolons, tabs or line ends for the ends
//! of cells finds more beginnings: what stands behind them in a text is treated alike. Whoever
//! wants the texts as they were splits a cell at semicolons, tabs and line ends and takes one
//! apostrophe off the front of each piece that has one.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};

use super::{COLUMNS, DATE_OFFSET, Row};

/// Writes the rows that `rows` shows; how many there were.
pub(super) fn write(
    file: File,
    rows: impl FnOnce(Row<'_>) -> anyhow::Result<u64>,
) -> anyhow::Result<u64> {
    let mut csv = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(BufWriter::new(file));
    csv.write_record(COLUMNS)?;
    let count = rows(&mut |study| {
        // Date offsets are numbers of ours and may be negative: they stay numbers.
        for (column, cell) in study.cells().iter().enumerate() {
            if column == DATE_OFFSET {
                csv.write_field(cell)?;
            } else {
                csv.write_field(&*harmless(cell))?;
            }
        }
        csv.write_record(None::<&[u8]>)?;
        Ok(())
    })?;
    let mut buffer = csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
    buffer.flush()?;
    buffer.get_ref().sync_all()?;
    Ok(count)
}

/// What some program takes for the end of a cell, besides the comma, which is quoted.
const ENDS: [char; 4] = [';', '\t', '\r', '\n'];

/// What begins a formula, in ASCII and in full width.
const SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A text that a spreadsheet takes for text.
fn harmless(cell: &str) -> Cow<'_, str> {
    if !cell.split(ENDS).any(is_harmful) {
        return Cow::Borrowed(cell);
    }
    let mut safe = String::with_capacity(cell.len() + 2);
    for piece in cell.split_inclusive(ENDS) {
        if is_harmful(piece.trim_end_matches(ENDS)) {
            safe.push('\'');
        }
        safe.push_str(piece);
    }
    Cow::Owned(safe)
}

/// True if a piece begins a formula, whatever spaces and marks without a shape come before it, or
/// looks like one that was made harmless.
fn is_harmful(piece: &str) -> bool {
    let shapeless = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
    };
    piece.starts_with('\'') || piece.trim_start_matches(shapeless).starts_with(SIGNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the module says.
    fn as_it_was(cell: &str) -> String {
        let pieces = cell.split_inclusive(ENDS);
        pieces
            .map(|piece| piece.strip_prefix('\'').unwrap_or(piece))
            .collect()
    }

    #[test]
    fn formulas_are_put_behind_an_apostrophe() {
        for (cell, safe) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\u{a0}\u{3000}=1", "'\u{a0}\u{3000}=1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            ("\0=1", "'\0=1"),
            ("\t=1", "\t'=1"),
            ("\r=1", "\r'=1"),
            ("\n =1", "\n' =1"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠A", "'＠A"),
            ("Doe;=1", "Doe;'=1"),
            ("'s Gravenhage", "''s Gravenhage"),
            ("Doe^Jane", "Doe^Jane"),
            ("Doe; Jane", "Doe; Jane"),
            ("1-2=3", "1-2=3"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), safe, "{cell:?}");
            assert_eq!(as_it_was(safe), cell, "{cell:?}");
        }
    }

    /// Every text of four characters of an alphabet that has one of each sort.
    #[test]
    fn no_text_begins_a_formula_and_each_comes_back() {
        let alphabet = ['=', '－', '\'', ' ', '\t', ';', '\n', '\u{200b}', 'a', ','];
        for number in 0..10_usize.pow(4) {
            let digits = [1, 10, 100, 1000].map(|place| number / place % 10);
            let cell: String = digits.iter().map(|digit| alphabet[*digit]).collect();
            let safe = harmless(&cell);
            assert_eq!(as_it_was(&safe), cell, "{cell:?}");
            for piece in safe.split(ENDS) {
                let shown = piece.trim_start_matches([' ', '\u{200b}']);
                assert!(!shown.starts_with(SIGNS), "{cell:?} became {safe:?}");
            }
        }
    }
}
