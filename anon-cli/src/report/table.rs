//! [`Table`]: aligned columns of text.

use crate::report::escaped;

/// A table with columns as wide as their widest cell, printed in blocks of bounded size.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    headers: Vec<&'static str>,
    has_headers: bool,
}

/// The rows of a block, which are aligned with each other. An index can have millions of rows.
const BLOCK_ROWS: usize = 1000;

impl Table {
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self {
            rows: Vec::new(),
            widths: headers
                .iter()
                .map(|header| header.chars().count())
                .collect(),
            headers: headers.to_vec(),
            has_headers: false,
        }
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

    /// Returns the lines of the remaining rows, with the headers if they were not returned before.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        if !std::mem::replace(&mut self.has_headers, true) {
            lines.push(self.pad(self.headers.iter().copied()));
        }
        let rows = std::mem::take(&mut self.rows);
        for row in &rows {
            lines.push(self.pad(row.iter().map(String::as_str)));
        }
        lines
    }

    fn pad<'c>(&self, cells: impl Iterator<Item = &'c str>) -> String {
        let mut line = String::new();
        for (cell, width) in cells.zip(&self.widths) {
            line.push_str(cell);
            let missing = width.saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', missing + 2));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["patient", "n"]);
        assert!(table.row(["1".into(), "10".into()]).is_none());
        assert!(table.row(["12345678".into(), "2".into()]).is_none());
        assert_eq!(
            table.finish(),
            ["patient   n", "1         10", "12345678  2"]
        );
    }
}
