//! The index as an Excel workbook: every cell is a text. So no cell runs as a formula or
//! becomes a number or a link.
//!
//! Rows are written as they arrive, in constant memory. A full sheet is followed by another one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rust_xlsxwriter::{Format, IgnoreError, Workbook};

use super::OnRow;

/// The most rows of a sheet in Excel.
pub(super) const SHEET_ROWS: u32 = 1_048_576;

/// The most UTF-16 code units of a cell in Excel.
const MAX_CELL_UNITS: usize = 32_767;

/// The end of a truncated cell.
const CUT: &str = "… [cut]";

/// The content of a written workbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) studies: u64,
    /// Truncated cells.
    pub(super) cut: u64,
}

/// The columns of a workbook, and the rows of its sheets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'l> {
    pub(super) captions: &'l [&'l str],
    /// The most rows of a sheet, with the captions.
    pub(super) sheet_rows: u32,
}

/// Writes the rows that `rows` passes on. Buffers them in unnamed files in `tmp`.
pub(super) fn write(
    file: File,
    tmp: &Path,
    layout: Layout<'_>,
    rows: impl FnOnce(OnRow<'_>) -> anyhow::Result<u64>,
) -> anyhow::Result<Written> {
    let mut workbook = Workbook::new();
    workbook.set_tempdir(tmp)?;
    let mut sheets = SheetWriter {
        text: Format::new().set_num_format("@"),
        layout,
        count: 0,
        next: layout.sheet_rows,
        cut: 0,
    };
    sheets.add(&mut workbook)?;
    let studies = rows(&mut |study| sheets.row(&mut workbook, &study.cells()))?;
    let mut file = BufWriter::new(file);
    workbook.save_to_writer(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(Written {
        studies,
        cut: sheets.cut,
    })
}

struct SheetWriter<'l> {
    text: Format,
    layout: Layout<'l>,
    count: usize,
    /// The next row of the last sheet.
    next: u32,
    cut: u64,
}

impl SheetWriter<'_> {
    fn add(&mut self, workbook: &mut Workbook) -> anyhow::Result<()> {
        let sheet = workbook.add_worksheet_with_constant_memory()?;
        self.count += 1;
        sheet.set_name(match self.count {
            1 => "Index".to_owned(),
            count => format!("Index {count}"),
        })?;
        sheet.set_freeze_panes(1, 0)?;
        let last = u16::try_from(self.layout.captions.len())?.saturating_sub(1);
        sheet.ignore_error_range(0, 0, SHEET_ROWS - 1, last, IgnoreError::NumberStoredAsText)?;
        for (column, caption) in (0..).zip(self.layout.captions) {
            sheet.write_string(0, column, *caption)?;
        }
        self.next = 1;
        Ok(())
    }

    fn row(&mut self, workbook: &mut Workbook, cells: &[String]) -> anyhow::Result<()> {
        if self.next >= self.layout.sheet_rows {
            self.add(workbook)?;
        }
        let sheet = workbook.worksheet_from_index(self.count.saturating_sub(1))?;
        for (column, cell) in (0..).zip(cells) {
            if cell.is_empty() {
                continue;
            }
            let short = truncated(cell);
            self.cut += u64::from(short.is_some());
            let cell = short.as_deref().unwrap_or(cell);
            sheet.write_string_with_format(self.next, column, cell, &self.text)?;
        }
        self.next += 1;
        Ok(())
    }
}

/// Truncates a text that is too long for a cell. `None` if it fits.
fn truncated(text: &str) -> Option<String> {
    // A text has at most as many code units as bytes.
    if text.len() <= MAX_CELL_UNITS || text.encode_utf16().count() <= MAX_CELL_UNITS {
        return None;
    }
    let max_units = MAX_CELL_UNITS - CUT.encode_utf16().count();
    let mut units = 0;
    let mut short: String = text
        .chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= max_units
        })
        .collect();
    short.push_str(CUT);
    Some(short)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::command::index::{Columns, FurtherCells, IndexRow};

    fn index_row(name: &str) -> IndexRow {
        let row = anon_model::StudyRow {
            patient: "5-000001".into(),
            patient_phi: anon_model::PatientPhi {
                name: name.to_owned().into(),
                ..anon_model::PatientPhi::default()
            },
            ..anon_model::StudyRow::default()
        };
        IndexRow::new(row, FurtherCells::default())
    }

    /// Writes rows with these patient names. Returns the names in each sheet.
    fn written(names: &[&str], sheet_rows: u32) -> (Written, Vec<Vec<String>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.xlsx");
        let file = File::create(&path).unwrap();
        let layout = Layout {
            captions: &Columns::default().captions(),
            sheet_rows,
        };
        let done = write(file, dir.path(), layout, |row| {
            for name in names {
                row(index_row(name))?;
            }
            Ok(names.len() as u64)
        })
        .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let sheets = (1..)
            .map_while(|number| {
                let name = format!("xl/worksheets/sheet{number}.xml");
                let mut part = archive.by_name(&name).ok()?;
                let mut text = String::new();
                std::io::Read::read_to_string(&mut part, &mut text).unwrap();
                Some(text)
            })
            .map(|sheet| {
                // Column C is the patient name.
                let cells = sheet.split("<c r=\"C").skip(2);
                cells
                    .map(|cell| {
                        let text = cell.split_once("<t").unwrap().1.split_once('>').unwrap().1;
                        text.split_once("</t>").unwrap().0.to_owned()
                    })
                    .collect()
            })
            .collect();
        (done, sheets)
    }

    #[test]
    fn a_full_sheet_is_followed_by_another() {
        let names = ["a", "b", "c", "d", "e"];
        let (done, sheets) = written(&names, 3);
        assert_eq!(done, Written { studies: 5, cut: 0 });
        assert_eq!(sheets, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
        let (_, sheets) = written(&names[..4], 3);
        assert_eq!(sheets.len(), 2, "no empty sheet");
        let (_, sheets) = written(&[], 3);
        assert_eq!(sheets, [Vec::<String>::new()]);
    }

    #[test]
    fn long_texts_are_truncated_with_a_mark() {
        let full = "x".repeat(MAX_CELL_UNITS);
        let wide = "\u{1F600}".repeat(MAX_CELL_UNITS / 2 + 1);
        let (done, sheets) = written(&[&full, &format!("{full}y"), &wide], SHEET_ROWS);
        assert_eq!(done.cut, 2);
        let texts = &sheets[0];
        assert_eq!(texts[0], full);
        for text in &texts[1..] {
            assert!(text.ends_with(CUT));
            assert!(text.encode_utf16().count() <= MAX_CELL_UNITS);
        }
        // Control characters are escaped so that spreadsheets show the original text.
        let (_, sheets) = written(&["a\u{1}b", "  a ", "a\nb", "_x0041_"], SHEET_ROWS);
        assert_eq!(sheets[0], ["a_x0001_b", "  a ", "a\nb", "_x005F_x0041_"]);
    }
}
