//! Reads the index of the Java anonymizer from its workbook, checks it, and adopts it into a store.
//!
//! ```text
//! .xlsx ──► JavaIndex::read ──► site id, UID root, rows ──► JavaIndex::take_into ──► Report
//!            under Limits        valid, or refused           one durable step
//! ```
//!
//! The workbook has one sheet, or several of which one is called `Index`. Its first row is a header
//! with exactly these captions, with `-` or `_`:
//!
//! ```text
//! ANON-PatientName  ANON-PatientID    PHI-PatientName  PHI-PatientID  DateOffset  ANON-StudyDate
//! PHI-StudyDate     ANON-Accession    PHI-Accession    ANON-StudyInstanceUID  PHI-StudyInstanceUID
//! ```
//!
//! Each row below it is a study. Cells are converted to text: a whole number loses its decimal
//! point, so that a cell 999.0 is the Patient ID `999`. A row is refused if a cell that should hold
//! text is a number with lost digits, a date, a truth value or an error. SPACE and NUL are trimmed
//! at both ends of a text.
//!
//! `DateOffset` is a number of days that Java *subtracted*; a store keeps days that were added.
//!
//! [`read_column`] reads one column of any other workbook, under the same limits.

mod column;
mod package;
mod row;
mod sheet;

use std::io::Read;

pub use self::column::{ColumnCell, read_column};
pub use self::row::RowProblem;
use self::row::{ParsedRow, parse};
use crate::settings::MissingPatientId;
use crate::{Adopted, Adopting, Adoption, BackendError, ExternalStudy, SiteId, Space, UidRoot};

/// The captions, in their order.
pub const COLUMNS: [&str; 11] = [
    "ANON-PatientName",
    "ANON-PatientID",
    "PHI-PatientName",
    "PHI-PatientID",
    "DateOffset",
    "ANON-StudyDate",
    "PHI-StudyDate",
    "ANON-Accession",
    "PHI-Accession",
    "ANON-StudyInstanceUID",
    "PHI-StudyInstanceUID",
];

/// Bounds on a workbook. A larger one is refused before memory is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the file. Default: 64 MiB.
    pub max_file_bytes: u64,
    /// Bytes of one part of the workbook after inflating. Default: 128 MiB. All parts together may
    /// have twice as many.
    pub max_part_bytes: u64,
    /// Rows. Default: 250,000.
    pub max_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            max_part_bytes: 128 << 20,
            max_rows: 250_000,
        }
    }
}

impl Limits {
    /// Sets the bytes of the file.
    #[must_use]
    pub fn with_max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }

    /// Sets the bytes of a part.
    #[must_use]
    pub fn with_max_part_bytes(mut self, bytes: u64) -> Self {
        self.max_part_bytes = bytes;
        self
    }

    /// Sets the number of rows.
    #[must_use]
    pub fn with_max_rows(mut self, rows: usize) -> Self {
        self.max_rows = rows;
        self
    }
}

/// Why a workbook is no index of the Java anonymizer. No message holds a value of the workbook.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the index cannot be read")]
    Io(#[source] std::io::Error),
    /// The file is of another kind.
    #[error(
        "this is not an .xlsx workbook: save an .xls, or one with a password, as .xlsx without a password"
    )]
    NotXlsx,
    /// The workbook is inconsistent or truncated.
    #[error("the workbook is damaged: export the index again")]
    Damaged,
    /// The workbook exceeds [`Limits`].
    #[error("the workbook is too large: {what} may have {limit}")]
    TooLarge {
        /// The part that is too large, with its unit.
        what: &'static str,
        /// Its limit.
        limit: u64,
    },
    /// There are several sheets, and none is called `Index`.
    #[error("the workbook has {visible} visible sheets and none of them is called Index")]
    Sheets {
        /// The number of visible sheets.
        visible: usize,
    },
    /// A caption of the header is wrong.
    #[error(
        "column {column} of the header must be {expected}: this is not an index of the Java anonymizer"
    )]
    Header {
        /// The column, counted from 1.
        column: usize,
        /// Its caption.
        expected: &'static str,
    },
    /// There are too many columns.
    #[error("the header has more than 11 columns: this is not an index of the Java anonymizer")]
    MoreColumns,
    /// The sheet is empty or has only a header.
    #[error("the index has no rows")]
    Empty,
    /// No row shows the site id and UID root that the index was made with.
    #[error("no row has an ANON-PatientID and an ANON-StudyInstanceUID of the same site")]
    NoIdentity,
    /// The index was made with more than one site id or UID root.
    #[error(
        "rows {first} and {other} were made with different site ids or UID roots: import the index of \
         one project at a time"
    )]
    TwoIdentities {
        /// The number of a row in the spreadsheet.
        first: u32,
        /// The number of a row that contradicts it.
        other: u32,
    },
}

/// An index of the Java anonymizer.
///
/// # Examples
/// ```no_run
/// use anon_model::java_index::{JavaIndex, Limits};
/// use anon_model::settings::MissingPatientId;
/// use anon_model::{Adopting, Identity, MemoryStore};
///
/// let file = std::fs::File::open("Index.xlsx")?;
/// let index = JavaIndex::read(file, &Limits::default())?;
/// let identity = Identity::new(index.site().clone(), index.root().clone())?;
/// let store = MemoryStore::new(identity)?;
/// let report = index.take_into(&store, MissingPatientId::Shared, Adopting::AllOrNothing)?;
/// for (row, outcome) in report.rows() {
///     println!("row {row}: {outcome:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JavaIndex {
    site: SiteId,
    root: UidRoot,
    rows: Vec<ParsedRow>,
}

/// The outcome of a row.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum RowOutcome {
    /// The row was adopted, because some of it was new to the store.
    Taken,
    /// The store or an earlier row already had all of it.
    AlreadyThere,
    /// The row is valid. It was not adopted because other rows were refused.
    HeldBack,
    /// The row cannot be adopted.
    Refused(RowProblem),
}

/// The outcome of an index.
#[derive(Debug)]
pub struct Report {
    rows: Vec<(u32, RowOutcome)>,
}

impl Report {
    /// Returns the rows in their order, each with its number in the spreadsheet. The header is row
    /// 1.
    pub fn rows(&self) -> &[(u32, RowOutcome)] {
        &self.rows
    }

    /// Changes the outcome of every row that was to be adopted to [`RowOutcome::HeldBack`].
    fn hold_back(&mut self) {
        for (_, outcome) in &mut self.rows {
            if matches!(outcome, RowOutcome::Taken) {
                *outcome = RowOutcome::HeldBack;
            }
        }
    }

    /// Returns true if no row was refused.
    pub fn is_clean(&self) -> bool {
        let refused = |(_, outcome): &(u32, RowOutcome)| matches!(outcome, RowOutcome::Refused(_));
        !self.rows.iter().any(refused)
    }
}

impl JavaIndex {
    /// Reads a workbook. Rows that cannot be adopted are kept, and refused later.
    ///
    /// # Errors
    /// [`ReadError`] if it is no workbook, or no index of the Java anonymizer.
    pub fn read(source: impl Read, limits: &Limits) -> Result<Self, ReadError> {
        let bytes = package::read(source, limits)?;
        let rows = sheet::rows(&bytes, limits)?;
        if rows.is_empty() {
            return Err(ReadError::Empty);
        }
        let rows: Vec<ParsedRow> = rows.into_iter().map(parse).collect();
        let mut identities = rows.iter().filter_map(|row| {
            let (site, root) = row.identity.as_ref()?;
            Some((row.number, site, root))
        });
        let (first, site, root) = identities.next().ok_or(ReadError::NoIdentity)?;
        if let Some((other, ..)) = identities.find(|(_, s, r)| (*s, *r) != (site, root)) {
            return Err(ReadError::TwoIdentities { first, other });
        }
        let (site, root) = (site.clone(), root.clone());
        Ok(Self { site, root, rows })
    }

    /// Returns the site id of Java's pseudonyms.
    pub fn site(&self) -> &SiteId {
        &self.site
    }

    /// Returns the UID root of Java's UIDs.
    pub fn root(&self) -> &UidRoot {
        &self.root
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Always returns false: [`read`](Self::read) refuses an index without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the number of rows whose ANON-StudyDate is not PHI-StudyDate less `DateOffset`. They
    /// are adopted, too. If there are many, the offsets are probably not Java's.
    pub fn odd_dates(&self) -> usize {
        self.rows.iter().filter(|row| row.date_is_odd).count()
    }

    /// Adopts the rows in one durable step with [`Adoption::adopt_studies`]. With
    /// [`Adopting::AllOrNothing`], a row that is refused here prevents the others, too. No number
    /// in the index is assigned afterwards, not even one in a refused row. Adopting the index again
    /// changes nothing.
    ///
    /// `missing_patient_id` decides whether a row without PHI-PatientID is filed under the shared
    /// patient or refused.
    ///
    /// # Errors
    /// If the store fails. Nothing is adopted then.
    pub fn take_into(
        &self,
        store: &dyn Adoption,
        missing_patient_id: MissingPatientId,
        adopting: Adopting,
    ) -> Result<Report, BackendError> {
        let mut studies: Vec<ExternalStudy> = Vec::with_capacity(self.rows.len());
        let mut used: Vec<(Space, String)> = Vec::new();
        let mut refused = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let problem = match &row.study {
                Err(problem) => Some(problem.clone()),
                Ok(study) if study.patient_key.expose().is_empty() => (missing_patient_id
                    == MissingPatientId::Quarantine)
                    .then_some(RowProblem::NoPatientId),
                Ok(_) => None,
            };
            match (&row.study, &problem) {
                (Ok(study), None) => studies.push(study.clone()),
                _ => used.extend(row.names.iter().cloned()),
            }
            refused.push(problem);
        }
        let adopting = match adopting {
            // The store still checks the other rows, so that all problems are reported at once.
            Adopting::AllOrNothing if refused.iter().any(Option::is_some) => Adopting::Nothing,
            adopting => adopting,
        };
        let mut results = store.adopt_studies(&studies, &used, adopting)?.into_iter();
        let outcomes = refused.into_iter().map(|problem| match problem {
            Some(problem) => RowOutcome::Refused(problem),
            None => match results.next() {
                Some(Ok(Adopted::New)) => RowOutcome::Taken,
                Some(Ok(Adopted::Known)) => RowOutcome::AlreadyThere,
                Some(Err(why)) => RowOutcome::Refused(RowProblem::Contradiction(why.into())),
                None => RowOutcome::HeldBack,
            },
        });
        let numbers = self.rows.iter().map(|row| row.number);
        let mut report = Report {
            rows: numbers.zip(outcomes).collect(),
        };
        let nothing = match adopting {
            Adopting::AllOrNothing => !report.is_clean(),
            Adopting::WhatCanBe => false,
            Adopting::Nothing => true,
        };
        if nothing {
            report.hold_back();
        }
        Ok(report)
    }
}
