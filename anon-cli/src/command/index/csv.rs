//! The index as CSV: UTF-8, RFC 4180, without formulas.
//!
//! A text that a spreadsheet could take for a formula gets an apostrophe in front, and so does a text
//! that starts with an apostrophe. Some programs also end cells at semicolons, tabs or line ends, so each
//! piece after one of these is escaped the same way. To restore a text, split it at semicolons, tabs and
//! line ends, and remove one apostrophe from the start of each piece that has one.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};

use super::OnRow;
use super::columns::DATE_OFFSET;

/// Writes the rows that `rows` passes on. Returns their number.
pub(super) fn write(
    file: File,
    captions: &[&str],
    rows: impl FnOnce(OnRow<'_>) -> anyhow::Result<u64>,
) -> anyhow::Result<u64> {
    let mut csv = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(BufWriter::new(file));
    csv.write_record(captions)?;
    let count = rows(&mut |study| {
        // A negative date offset is not escaped: it is our own number.
        for (column, cell) in study.cells().iter().enumerate() {
            if column == DATE_OFFSET {
                csv.write_field(cell)?;
            } else {
                csv.write_field(&*escaped(cell))?;
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

/// Characters that some programs treat as the end of a cell. The comma is quoted and not among them.
const CELL_ENDS: [char; 4] = [';', '\t', '\r', '\n'];

/// Characters that start a formula, in ASCII and full width.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Escapes a text so that a spreadsheet does not run it.
fn escaped(cell: &str) -> Cow<'_, str> {
    if !cell.split(CELL_ENDS).any(needs_escape) {
        return Cow::Borrowed(cell);
    }
    let mut safe = String::with_capacity(cell.len() + 2);
    for piece in cell.split_inclusive(CELL_ENDS) {
        if needs_escape(piece.trim_end_matches(CELL_ENDS)) {
            safe.push('\'');
        }
        safe.push_str(piece);
    }
    Cow::Owned(safe)
}

/// Returns true if a piece starts a formula after any invisible characters, or starts with an apostrophe.
fn needs_escape(piece: &str) -> bool {
    let is_invisible = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
    };
    piece.starts_with('\'')
        || piece
            .trim_start_matches(is_invisible)
            .starts_with(FORMULA_STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Restores a text as the module page says.
    fn restored(cell: &str) -> String {
        let pieces = cell.split_inclusive(CELL_ENDS);
        pieces
            .map(|piece| piece.strip_prefix('\'').unwrap_or(piece))
            .collect()
    }

    #[test]
    fn formulas_get_an_apostrophe() {
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
            assert_eq!(escaped(cell), safe, "{cell:?}");
            assert_eq!(restored(safe), cell, "{cell:?}");
        }
    }

    /// Tries every text of four characters from an alphabet with one of each kind.
    #[test]
    fn no_escaped_text_is_a_formula_and_all_can_be_restored() {
        let alphabet = ['=', '－', '\'', ' ', '\t', ';', '\n', '\u{200b}', 'a', ','];
        for number in 0..10_usize.pow(4) {
            let digits = [1, 10, 100, 1000].map(|place| number / place % 10);
            let cell: String = digits.iter().map(|digit| alphabet[*digit]).collect();
            let safe = escaped(&cell);
            assert_eq!(restored(&safe), cell, "{cell:?}");
            for piece in safe.split(CELL_ENDS) {
                let shown = piece.trim_start_matches([' ', '\u{200b}']);
                assert!(
                    !shown.starts_with(FORMULA_STARTS),
                    "{cell:?} became {safe:?}"
                );
            }
        }
    }
}
