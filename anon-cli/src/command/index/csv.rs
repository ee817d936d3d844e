//! The index as CSV: V17's columns, UTF-8, RFC 4180, and nothing that a spreadsheet would run.

use std::borrow::Cow;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;

use super::Line;
use crate::exit::Failure;
use crate::platform;

/// V17's, in its order.
const COLUMNS: [&str; 12] = [
    "ANON-PatientID",
    "ANON-PatientName",
    "PHI-PatientName",
    "PHI-PatientID",
    "DateOffset",
    "PHI-StudyDate",
    "ANON-Accession",
    "PHI-Accession",
    "ANON-StudyInstanceUID",
    "PHI-StudyInstanceUID",
    "Number of Series",
    "Number of Instances",
];

type Row<'r> = &'r mut dyn FnMut(Line) -> anyhow::Result<()>;

/// Writes the rows that `rows` shows, all of them or no file; how many there were.
pub(super) fn write(
    path: &Path,
    rows: impl FnOnce(Row<'_>) -> anyhow::Result<u64>,
) -> anyhow::Result<u64> {
    let failed = || Failure::CannotRun(format!("cannot write {}", path.display()));
    let mut name = path.file_name().with_context(failed)?.to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let written = to_file(&fresh, rows).and_then(|count| {
        fs::rename(&fresh, path)?;
        Ok(count)
    });
    if written.is_err() {
        // The first error is the one to tell. What is left holds originals, and is private.
        let _ = fs::remove_file(&fresh);
    }
    written.with_context(failed)
}

fn to_file(path: &Path, rows: impl FnOnce(Row<'_>) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let file = platform::private_file(path)?;
    let mut csv = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(BufWriter::new(file));
    csv.write_record(COLUMNS)?;
    let count = rows(&mut |study| {
        let cells = [
            study.anon_patient_id,
            study.anon_patient_name,
            study.patient_name,
            study.patient_id,
            study.date_offset.to_string(),
            study.study_date,
            study.anon_accession,
            study.accession,
            study.anon_study_uid,
            study.study_uid,
            study.series.to_string(),
            study.instances.to_string(),
        ];
        // Date offsets are numbers of ours and may be negative: they stay numbers.
        let safe = cells.iter().enumerate().map(|(column, cell)| match column {
            4 => Cow::Borrowed(cell.as_str()),
            _ => harmless(cell),
        });
        for cell in safe {
            csv.write_field(&*cell)?;
        }
        csv.write_record(None::<&[u8]>)?;
        Ok(())
    })?;
    let mut buffer = csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
    buffer.flush()?;
    buffer.get_ref().sync_all()?;
    Ok(count)
}

/// A text that a spreadsheet takes for text: what begins like a formula is put behind an
/// apostrophe.
fn harmless(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_put_behind_an_apostrophe() {
        for (cell, safe) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("Doe^Jane", "Doe^Jane"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), safe);
        }
    }

    #[test]
    fn a_failed_row_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.csv");
        let result = write(&path, |_| anyhow::bail!("no"));
        assert!(result.is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
