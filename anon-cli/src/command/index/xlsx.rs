//! The index as a workbook: V17's columns, every cell a text, so that nothing in it is run, turned
//! into a number or made a link.
//!
//! Rows are written as they come; what is in memory does not grow with them. A sheet that is full
//! is followed by another one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rust_xlsxwriter::{Format, IgnoreError, Workbook};

use super::{COLUMNS, Row};

/// Rows a sheet may have.
pub(super) const SHEET_ROWS: u32 = 1_048_576;

/// UTF-16 code units a cell may have.
const CELL: usize = 32_767;

/// Where a cell was cut.
const CUT: &str = "… [cut]";

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) studies: u64,
    /// Cells that were cut.
    pub(super) cut: u64,
}

/// Writes the rows that `rows` shows, `sheet_rows` a sheet with the header. Unnamed files in `tmp`
/// hold them until the end.
pub(super) fn write(
    file: File,
    tmp: &Path,
    sheet_rows: u32,
    rows: impl FnOnce(Row<'_>) -> anyhow::Result<u64>,
) -> anyhow::Result<Done> {
    let mut workbook = Workbook::new();
    workbook.set_tempdir(tmp)?;
    let mut sheets = Sheets {
        text: Format::new().set_num_format("@"),
        sheet_rows,
        count: 0,
        next: sheet_rows,
        cut: 0,
    };
    sheets.add(&mut workbook)?;
    let studies = rows(&mut |study| sheets.row(&mut workbook, &study.cells()))?;
    let mut file = BufWriter::new(file);
    workbook.save_to_writer(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(Done {
        studies,
        cut: sheets.cut,
    })
}

struct Sheets {
    text: Format,
    sheet_rows: u32,
    count: usize,
    /// The next row of the last sheet.
    next: u32,
    cut: u64,
}

impl Sheets {
    fn add(&mut self, workbook: &mut Workbook) -> anyhow::Result<()> {
        let sheet = workbook.add_worksheet_with_constant_memory()?;
        self.count += 1;
        sheet.set_name(match self.count {
            1 => "Index".to_owned(),
            count => format!("Index {count}"),
        })?;
        sheet.set_freeze_panes(1, 0)?;
        let last = u16::try_from(COLUMNS.len())?.saturating_sub(1);
        sheet.ignore_error_range(0, 0, SHEET_ROWS - 1, last, IgnoreError::NumberStoredAsText)?;
        for (column, caption) in (0..).zip(COLUMNS) {
            sheet.write_string(0, column, caption)?;
        }
        self.next = 1;
        Ok(())
    }

    fn row(&mut self, workbook: &mut Workbook, cells: &[String]) -> anyhow::Result<()> {
        if self.next >= self.sheet_rows {
            self.add(workbook)?;
        }
        let sheet = workbook.worksheet_from_index(self.count.saturating_sub(1))?;
        for (column, cell) in (0..).zip(cells) {
            if cell.is_empty() {
                continue;
            }
            let fitting = fit(cell);
            self.cut += u64::from(fitting.is_some());
            let cell = fitting.as_deref().unwrap_or(cell);
            sheet.write_string_with_format(self.next, column, cell, &self.text)?;
        }
        self.next += 1;
        Ok(())
    }
}

/// The beginning of a text that is too long for a cell.
fn fit(text: &str) -> Option<String> {
    // A character has no more code units than bytes.
    if text.len() <= CELL || text.encode_utf16().count() <= CELL {
        return None;
    }
    let room = CELL - CUT.encode_utf16().count();
    let mut units = 0;
    let mut short: String = text
        .chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= room
        })
        .collect();
    short.push_str(CUT);
    Some(short)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::command::index::Line;

    fn line(name: &str) -> Line {
        anon_model::StudyRow {
            patient: "5-000001".into(),
            patient_phi: anon_model::PatientPhi {
                name: name.to_owned().into(),
                ..anon_model::PatientPhi::default()
            },
            ..anon_model::StudyRow::default()
        }
        .into()
    }

    /// The texts of a sheet, as a spreadsheet shows them, by row and column.
    fn written(names: &[&str], sheet_rows: u32) -> (Done, Vec<Vec<String>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.xlsx");
        let file = File::create(&path).unwrap();
        let done = write(file, dir.path(), sheet_rows, |row| {
            for name in names {
                row(line(name))?;
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
                // The third column is the name.
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
        assert_eq!(done, Done { studies: 5, cut: 0 });
        assert_eq!(sheets, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
        let (_, sheets) = written(&names[..4], 3);
        assert_eq!(sheets.len(), 2, "no empty sheet");
        let (_, sheets) = written(&[], 3);
        assert_eq!(sheets, [Vec::<String>::new()]);
    }

    #[test]
    fn texts_stay_as_they_are_or_are_cut_where_it_shows() {
        let full = "x".repeat(CELL);
        let wide = "\u{1F600}".repeat(CELL / 2 + 1);
        let (done, sheets) = written(&[&full, &format!("{full}y"), &wide], SHEET_ROWS);
        assert_eq!(done.cut, 2);
        let texts = &sheets[0];
        assert_eq!(texts[0], full);
        for text in &texts[1..] {
            assert!(text.ends_with(CUT));
            assert!(text.encode_utf16().count() <= CELL);
        }
        // What a workbook cannot hold is written so that spreadsheets show what it was.
        let (_, sheets) = written(&["a\u{1}b", "  a ", "a\nb", "_x0041_"], SHEET_ROWS);
        assert_eq!(sheets[0], ["a_x0001_b", "  a ", "a\nb", "_x005F_x0041_"]);
    }
}
