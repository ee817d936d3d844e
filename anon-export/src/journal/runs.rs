//! The start and the end of each export.

use std::io::{self, Write};
use std::time::SystemTime;

use super::patient::open_and_truncate;
use super::{RUNS, error_field, error_of, line, time};
use crate::Error;
use crate::platform::{self, Dir};
use crate::report::{Counts, ExportReport};

/// How an export ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunOutcome {
    /// All selected objects were processed.
    Done,
    /// It was cancelled.
    Cancelled,
    /// An error ended it.
    Stopped,
}

impl RunOutcome {
    /// Returns its name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Done, Self::Cancelled, Self::Stopped]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

/// The end of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEnd {
    /// When it ended.
    pub when: SystemTime,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Its counts.
    pub report: ExportReport,
    /// The error that ended it, as a text without originals.
    pub error: Option<String>,
}

/// An export that was recorded in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunStatus {
    /// When it began.
    pub began: SystemTime,
    /// Who ran it.
    pub who: String,
    /// `None` if it still runs or was killed.
    pub end: Option<RunEnd>,
}

/// Appends a line durably after the last valid line.
pub(super) fn append(directory: &Dir, text: &str) -> io::Result<()> {
    let bytes = platform::read(directory, RUNS)?.unwrap_or_default();
    let whole = line::each(&bytes, |_| {});
    let mut file = open_and_truncate(directory, RUNS, whole as u64)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if whole == 0 {
        directory.sync()?;
    }
    Ok(())
}

/// Formats the line for the end of an export.
pub(super) fn end(when: &str, report: &ExportReport, error: Option<&Error>) -> String {
    let outcome = match error {
        None => RunOutcome::Done,
        Some(Error::Cancelled) => RunOutcome::Cancelled,
        Some(_) => RunOutcome::Stopped,
    };
    let counts = &report.counts;
    let numbers = [
        report.patients,
        report.patients_failed,
        counts.found,
        counts.sent,
        counts.skipped,
        counts.failed,
        counts.left,
        counts.bytes_sent,
    ]
    .map(|number| number.to_string());
    let error = error_field(error);
    let mut fields = vec!["end", when, outcome.name()];
    fields.extend(numbers.iter().map(String::as_str));
    fields.push(&error);
    line::write(&fields)
}

/// Returns the last export, if there was one.
pub(super) fn last(directory: &Dir) -> io::Result<Option<RunStatus>> {
    let mut last: Option<RunStatus> = None;
    let bytes = platform::read(directory, RUNS)?.unwrap_or_default();
    line::each(&bytes, |fields| match fields {
        ["begin", when, who] => {
            last = time(when).map(|began| RunStatus {
                began,
                who: (*who).to_owned(),
                end: None,
            });
        }
        ["end", when, outcome, rest @ ..] => {
            // Version 1 has no error.
            let (numbers, error) = match rest.split_at_checked(END_NUMBERS) {
                Some((numbers, [error])) => (numbers, error_of(error)),
                _ => (rest, None),
            };
            if let Some(last) = &mut last {
                last.end = ended(when, outcome, numbers, error);
            }
        }
        _ => {}
    });
    Ok(last)
}

/// The numbers in a line for the end of an export.
const END_NUMBERS: usize = 8;

fn ended(when: &str, outcome: &str, numbers: &[&str], error: Option<String>) -> Option<RunEnd> {
    let numbers: Option<Vec<u64>> = numbers.iter().map(|number| number.parse().ok()).collect();
    let [
        patients,
        patients_failed,
        found,
        sent,
        skipped,
        failed,
        left,
        bytes_sent,
    ] = *numbers?
    else {
        return None;
    };
    let counts = Counts {
        found,
        sent,
        skipped,
        failed,
        left,
        bytes_sent,
        ..Counts::default()
    };
    let report = ExportReport {
        counts,
        patients,
        patients_failed,
        ..ExportReport::default()
    };
    Some(RunEnd {
        when: time(when)?,
        outcome: RunOutcome::of(outcome)?,
        report,
        error,
    })
}
