//! [`Table`]: aligned columns of text, or one record after the other where the terminal is narrow.

use crate::platform;
use crate::report::escaped;
use crate::report::words::wrapped_to;

/// A table with columns as wide as their widest cell, printed in blocks of bounded size.
///
/// On a terminal it fits the width: the last column wraps between words; else columns that
/// [`may_drop`](Table::may_drop) names are left out; else each row becomes a record with a line for
/// each column.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    headers: Vec<&'static str>,
    /// Columns that can be left out, the first one first.
    optional: Vec<&'static str>,
    /// Columns that were left out.
    dropped: Vec<&'static str>,
    /// The columns of the terminal. `None`: any width fits.
    columns: Option<usize>,
    printed: Printed,
}

/// What the last block was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Printed {
    Nothing,
    Rows,
    Records,
}

/// The rows of a block, which are aligned with each other. An index can have millions of rows.
const BLOCK_ROWS: usize = 1000;

/// The blanks between two columns.
const GAP: usize = 2;

/// The least width of a last column that wraps.
const LEAST_WRAPPED: usize = 24;

impl Table {
    /// Returns a table for standard output.
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self::with_columns(headers, platform::columns_of_stdout())
    }

    /// Returns a table for a terminal of this width.
    fn with_columns(headers: &[&'static str], columns: Option<usize>) -> Self {
        let width = |header: &&str| header.chars().count();
        Self {
            rows: Vec::new(),
            widths: headers.iter().map(width).collect(),
            headers: headers.to_vec(),
            optional: Vec::new(),
            dropped: Vec::new(),
            columns,
            printed: Printed::Nothing,
        }
    }

    /// Sets the columns that are left out on a narrow terminal, the first one first.
    pub(crate) fn may_drop(mut self, headers: &[&'static str]) -> Self {
        self.optional = headers.to_vec();
        self
    }

    /// Returns the columns that were left out.
    pub(crate) fn dropped(&self) -> &[&'static str] {
        &self.dropped
    }

    /// Adds a row. Returns the lines of a block when it is complete.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> Option<Vec<String>> {
        let cells: Vec<String> = cells
            .into_iter()
            .map(|cell| escaped(&cell).into_owned())
            .collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
        (self.rows.len() >= BLOCK_ROWS).then(|| self.finish())
    }

    /// Returns the lines of the remaining rows, with the headers before the first one. Returns
    /// nothing for a table without rows.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Vec::new();
        }
        let shown = self.shown();
        match self.last_width(&shown) {
            Some(last) => self.aligned(&rows, &shown, last),
            None => self.records(&rows),
        }
    }

    /// Returns the columns to show: all, or fewer if the table is too wide with them and fits
    /// without.
    fn shown(&mut self) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.headers.len()).collect();
        let mut dropped = Vec::new();
        for &header in &self.optional {
            if self.last_width(&shown).is_some() {
                break;
            }
            shown.retain(|&column| self.headers.get(column) != Some(&header));
            dropped.push(header);
        }
        if self.last_width(&shown).is_none() {
            return (0..self.headers.len()).collect();
        }
        for header in dropped {
            if !self.dropped.contains(&header) {
                self.dropped.push(header);
            }
        }
        shown
    }

    fn width(&self, column: usize) -> usize {
        self.widths.get(column).copied().unwrap_or_default()
    }

    /// Returns the width for the last of these columns. `None` if they do not fit.
    fn last_width(&self, shown: &[usize]) -> Option<usize> {
        let Some((&last, others)) = shown.split_last() else {
            return Some(0);
        };
        let wanted = self.width(last);
        let Some(columns) = self.columns else {
            return Some(wanted);
        };
        let others: usize = others.iter().map(|&column| self.width(column) + GAP).sum();
        let room = columns.saturating_sub(others);
        (room >= wanted.min(LEAST_WRAPPED) && (room >= wanted || self.can_wrap(last)))
            .then_some(room.min(wanted))
    }

    /// Returns true if the cells of a column are texts. A UID or a number never wraps.
    fn can_wrap(&self, column: usize) -> bool {
        matches!(self.headers.get(column), Some(&("reason" | "name")))
    }

    fn aligned(&mut self, rows: &[Vec<String>], shown: &[usize], last: usize) -> Vec<String> {
        let mut lines = Vec::with_capacity(rows.len() + 1);
        if self.printed != Printed::Rows {
            let headers = shown.iter().filter_map(|&at| self.headers.get(at).copied());
            self.pad(&headers.collect::<Vec<_>>(), shown, last, &mut lines);
        }
        for row in rows {
            let cells = shown
                .iter()
                .filter_map(|&at| row.get(at).map(String::as_str));
            self.pad(&cells.collect::<Vec<_>>(), shown, last, &mut lines);
        }
        self.printed = Printed::Rows;
        lines
    }

    /// Adds the lines of one row: more than one if its last cell wraps.
    fn pad(&self, cells: &[&str], shown: &[usize], last: usize, lines: &mut Vec<String>) {
        let Some((last_cell, others)) = cells.split_last() else {
            return;
        };
        let mut line = String::new();
        for (cell, &column) in others.iter().zip(shown) {
            line.push_str(cell);
            let missing = self.width(column).saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', missing + GAP));
        }
        let indent = " ".repeat(line.chars().count());
        for part in wrapped_to(last_cell, last.max(1), last.max(1)) {
            let text = format!("{line}{part}");
            lines.push(text.trim_end().to_owned());
            line.clone_from(&indent);
        }
    }

    /// Returns each row as lines of `header  value`. Values that are empty are left out.
    fn records(&mut self, rows: &[Vec<String>]) -> Vec<String> {
        let label = |header: &&str| header.chars().count();
        let label = self.headers.iter().map(label).max().unwrap_or_default() + GAP;
        let room = self.columns.unwrap_or(usize::MAX).saturating_sub(label);
        let mut lines = Vec::new();
        for row in rows {
            if self.printed != Printed::Nothing {
                lines.push(String::new());
            }
            self.printed = Printed::Records;
            for (header, cell) in self.headers.iter().zip(row) {
                let mut label_text = format!("{header:label$}");
                for part in wrapped_to(cell, room.max(1), room.max(1)) {
                    if !part.is_empty() {
                        lines.push(format!("{label_text}{part}"));
                    }
                    label_text = " ".repeat(label);
                }
            }
        }
        lines
    }
}

/// Returns one record: a line for each field, with its label. Long values wrap between words.
pub(crate) fn record(fields: impl IntoIterator<Item = (&'static str, String)>) -> Vec<String> {
    let (headers, cells): (Vec<&'static str>, Vec<String>) = fields.into_iter().unzip();
    let mut table = Table::new(&headers);
    let cells = cells.iter().map(|cell| escaped(cell).into_owned());
    table.records(&[cells.collect()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(table: &mut Table, rows: &[[&str; N]]) -> Vec<String> {
        for row in rows {
            assert!(table.row(row.map(str::to_owned)).is_none());
        }
        table.finish()
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::with_columns(&["patient", "n"], None);
        assert_eq!(
            rows(&mut table, &[["1", "10"], ["12345678", "2"]]),
            ["patient   n", "1         10", "12345678  2"]
        );
        // The headers are printed once.
        assert_eq!(rows(&mut table, &[["3", "4"]]), ["3         4"]);
    }

    #[test]
    fn a_table_without_rows_has_no_lines() {
        assert!(Table::with_columns(&["patient"], None).finish().is_empty());
    }

    #[test]
    fn a_reason_wraps_between_words_below_itself() {
        let mut table = Table::with_columns(&["entry", "reason"], Some(32));
        assert_eq!(
            rows(&mut table, &[["0123", "the project does not include it"]]),
            [
                "entry  reason",
                "0123   the project does not",
                "       include it"
            ]
        );
    }

    #[test]
    fn columns_are_left_out_where_the_terminal_is_narrow() {
        let headers = ["patient", "accession", "n"];
        let mut table = Table::with_columns(&headers, Some(20)).may_drop(&["accession"]);
        assert_eq!(
            rows(&mut table, &[["5-000001", "1234567890", "1"]]),
            ["patient   n", "5-000001  1"]
        );
        assert_eq!(table.dropped(), ["accession"]);
        let mut table = Table::with_columns(&headers, Some(40)).may_drop(&["accession"]);
        assert_eq!(
            rows(&mut table, &[["5-000001", "1234567890", "1"]]).len(),
            2
        );
        assert!(table.dropped().is_empty());
    }

    #[test]
    fn rows_that_do_not_fit_become_records() {
        let mut table = Table::with_columns(&["patient", "sex", "study"], Some(24));
        assert_eq!(
            rows(
                &mut table,
                &[
                    ["5-000001", "", "1.2.826.0.1.3680043"],
                    ["Ambersmith Caspian", "M", "1"]
                ]
            ),
            [
                "patient  5-000001",
                "study    1.2.826.0.1.3680043",
                "",
                "patient  Ambersmith",
                "         Caspian",
                "sex      M",
                "study    1",
            ]
        );
    }
}
