//! The index of the Java anonymizer: read from its workbook, checked, taken over into a store.
//!
//! ```text
//! .xlsx ──► JavaIndex::read ──► site id, UID root, rows ──► JavaIndex::take_into ──► Report
//!            under Limits        sound, or refused           one durable step
//! ```
//!
//! The workbook has one sheet (or one called `Index`), whose first row is a header of exactly these
//! captions, with `-` or `_`:
//!
//! ```text
//! ANON-PatientName  ANON-PatientID    PHI-PatientName  PHI-PatientID  DateOffset  ANON-StudyDate
//! PHI-StudyDate     ANON-Accession    PHI-Accession    ANON-StudyInstanceUID  PHI-StudyInstanceUID
//! ```
//!
//! Below it stands one study a row. Cells are taken as text: a whole number without a decimal
//! point, so that a cell 999.0 is the Patient ID `999`. What has lost digits, or is a date, a truth
//! value or an error where a text is expected, refuses its row. Texts lose SPACE and NUL at their
//! ends.
//!
//! `DateOffset` is a number of days that Java *subtracted*; a store keeps days that were added.

mod package;
mod row;
mod sheet;

use std::io::Read;

pub use self::row::RowProblem;
use self::row::{Parsed, parse};
use crate::settings::MissingPatientId;
use crate::{Adopted, Adopting, Adoption, BackendError, GivenStudy, SiteId, Space, UidRoot};

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

/// Bounds on a workbook. What is larger is refused before memory is spent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the file. Default: 64 MiB.
    pub max_file_bytes: u64,
    /// Bytes of one part of the workbook when it is inflated. Default: 128 MiB. All parts together
    /// may have twice as many.
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
    /// With so many bytes for the file.
    #[must_use]
    pub fn with_max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }

    /// With so many bytes for a part.
    #[must_use]
    pub fn with_max_part_bytes(mut self, bytes: u64) -> Self {
        self.max_part_bytes = bytes;
        self
    }

    /// With so many rows.
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
    /// Another kind of file.
    #[error(
        "this is not an .xlsx workbook; one with a password, or an .xls, has to be saved as .xlsx first"
    )]
    NotXlsx,
    /// A workbook that contradicts itself, or ends early.
    #[error("the workbook is damaged: export the index again")]
    Damaged,
    /// A workbook beyond [`Limits`].
    #[error("the workbook is too large: {what} may have {limit}")]
    TooLarge {
        /// What of it, with the unit.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// It is not clear which sheet is meant.
    #[error("the workbook has {visible} visible sheets and none of them is called Index")]
    Sheets {
        /// The number of visible sheets.
        visible: usize,
    },
    /// The header is another one.
    #[error(
        "column {column} of the header must be {expected}: this is not an index of the Java anonymizer"
    )]
    Header {
        /// The column, counted from 1.
        column: usize,
        /// Its caption.
        expected: &'static str,
    },
    /// There are more columns than there must be.
    #[error("the header has more than 11 columns: this is not an index of the Java anonymizer")]
    MoreColumns,
    /// A sheet without rows, or with a header alone.
    #[error("the index has no rows")]
    Empty,
    /// No row tells under which site id and UID root the index was made.
    #[error("no row has an ANON-PatientID and an ANON-StudyInstanceUID of the same site")]
    NoIdentity,
    /// The index was made under more than one site id or UID root.
    #[error(
        "rows {first} and {other} were made under different site ids or UID roots: take over the \
         index of one project at a time"
    )]
    TwoIdentities {
        /// A row, as the spreadsheet counts.
        first: u32,
        /// A row that contradicts it.
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
    rows: Vec<Parsed>,
}

/// What came of a row.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum RowOutcome {
    /// Something of it was new to the store, and is there now.
    Taken,
    /// The store, or a row before it, held all of it.
    AlreadyThere,
    /// Nothing is wrong with it, and nothing was taken over, because other rows were refused.
    HeldBack,
    /// It cannot be taken over.
    Refused(RowProblem),
}

/// What came of an index.
#[derive(Debug)]
pub struct Report {
    rows: Vec<(u32, RowOutcome)>,
}

impl Report {
    /// The rows in their order, each with its number as the spreadsheet counts: the header is 1.
    pub fn rows(&self) -> &[(u32, RowOutcome)] {
        &self.rows
    }

    /// Says of every row that could have been taken over that it was not.
    fn hold_back(&mut self) {
        for (_, outcome) in &mut self.rows {
            if matches!(outcome, RowOutcome::Taken) {
                *outcome = RowOutcome::HeldBack;
            }
        }
    }

    /// True if no row was refused.
    pub fn is_clean(&self) -> bool {
        let refused = |(_, outcome): &(u32, RowOutcome)| matches!(outcome, RowOutcome::Refused(_));
        !self.rows.iter().any(refused)
    }
}

impl JavaIndex {
    /// Reads a workbook. Rows that cannot be taken over are kept, and refused later.
    ///
    /// # Errors
    /// [`ReadError`] if it is none, or not one of the Java anonymizer.
    pub fn read(source: impl Read, limits: &Limits) -> Result<Self, ReadError> {
        let bytes = package::read(source, limits)?;
        let rows = sheet::rows(&bytes, limits)?;
        if rows.is_empty() {
            return Err(ReadError::Empty);
        }
        let rows: Vec<Parsed> = rows.into_iter().map(parse).collect();
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

    /// The site id under which Java gave its pseudonyms.
    pub fn site(&self) -> &SiteId {
        &self.site
    }

    /// The UID root under which Java gave its UIDs.
    pub fn root(&self) -> &UidRoot {
        &self.root
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: an index without rows is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows whose ANON-StudyDate is another day than PHI-StudyDate less `DateOffset`. They are
    /// taken over all the same; many of them mean that the offsets are not Java's.
    pub fn odd_dates(&self) -> usize {
        self.rows.iter().filter(|row| row.date_is_odd).count()
    }

    /// Takes the rows over in one durable step, as [`Adoption::adopt_studies`] does: all or
    /// nothing with [`Adopting::AllOrNothing`], where a row that is refused here counts, too. No number that stands in
    /// the index is given out afterwards, also none of a refused row. Again changes nothing.
    ///
    /// A row without PHI-PatientID is filed under the shared patient, or refused, as
    /// `missing_patient_id` says.
    ///
    /// # Errors
    /// If the store fails; then nothing was taken over.
    pub fn take_into(
        &self,
        store: &dyn Adoption,
        missing_patient_id: MissingPatientId,
        adopting: Adopting,
    ) -> Result<Report, BackendError> {
        let mut studies: Vec<GivenStudy> = Vec::with_capacity(self.rows.len());
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
            // The store is asked all the same, so that everything is told at once.
            Adopting::AllOrNothing if refused.iter().any(Option::is_some) => Adopting::Nothing,
            adopting => adopting,
        };
        let mut answers = store.adopt_studies(&studies, &used, adopting)?.into_iter();
        let outcomes = refused.into_iter().map(|problem| match problem {
            Some(problem) => RowOutcome::Refused(problem),
            None => match answers.next() {
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
