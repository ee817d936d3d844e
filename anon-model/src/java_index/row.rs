//! Turns the cells of a row into a study that a store can adopt.

use std::sync::Arc;

use super::sheet::{Cell, Row};
use crate::{ExternalStudy, NotAdopted, PatientPhi, Phi, SiteId, Space, StudyPhi, UidRoot};

/// The most days by which a date may be shifted: a hundred years. Java's own offsets are below
/// 3650.
const MAX_DAYS: i32 = 36_525;

/// The source and the description of a study without files, as in V17.
const SOURCE: &str = "Java Index File";
const DESCRIPTION: &str = "?";

/// Why a row cannot be adopted. No message contains an original.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// The row has more cells than there are columns.
    #[error("has more than 11 columns")]
    MoreColumns,
    /// A cell does not have the value it must have.
    #[error("{column} {problem}")]
    Cell {
        /// The caption of its column.
        column: &'static str,
        /// The problem.
        problem: &'static str,
    },
    /// The row names no patient, and the project quarantines objects without one.
    #[error("PHI-PatientID is empty, and the project has missing_patient_id = \"quarantine\"")]
    NoPatientId,
    /// The row contradicts the store or an earlier row.
    #[error(transparent)]
    Contradiction(Arc<NotAdopted>),
}

/// A parsed row.
#[derive(Debug)]
pub(super) struct ParsedRow {
    pub(super) number: u32,
    pub(super) identity: Option<(SiteId, UidRoot)>,
    pub(super) study: Result<ExternalStudy, RowProblem>,
    /// The pseudonyms in it, even if the row has problems.
    pub(super) names: Vec<(Space, String)>,
    /// True if ANON-StudyDate is not PHI-StudyDate less `DateOffset`.
    pub(super) date_is_odd: bool,
}

pub(super) fn parse(row: Row) -> ParsedRow {
    let [_, patient, .., study, _] = &row.cells;
    let accession = &row.cells[7];
    let places = [
        (Space::Patient, patient),
        (Space::Uid, study),
        (Space::Accession, accession),
    ];
    let name_in = |(space, cell): (Space, &Cell)| match cell {
        Cell::Text(name) => Some((space, name.clone())),
        _ => None,
    };
    let names = places.into_iter().filter_map(name_in).collect();
    let identity = match (patient, study) {
        (Cell::Text(patient), Cell::Text(study)) => identity_of(patient, study),
        _ => None,
    };
    let (number, more) = (row.number, row.more);
    let study = if more {
        Err(RowProblem::MoreColumns)
    } else {
        study_of(row, identity.is_some())
    };
    let date_is_odd = matches!(&study, Ok((_, true)));
    ParsedRow {
        number,
        identity,
        study: study.map(|(study, _)| study),
        names,
        date_is_odd,
    }
}

/// Parses `<site>-<number>` and `<root>.<site>.<number>`.
fn identity_of(patient: &str, study: &str) -> Option<(SiteId, UidRoot)> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (site, number) = patient.split_once('-')?;
    let (prefix, last) = study.rsplit_once('.')?;
    let root = prefix.strip_suffix(site)?.strip_suffix('.')?;
    if !digits(number) || !digits(last) {
        return None;
    }
    let (site, root) = (SiteId::new(site).ok()?, UidRoot::new(root).ok()?);
    root.check_site(&site).ok()?;
    Some((site, root))
}

/// Returns the study, and true if its ANON-StudyDate is not the expected one.
fn study_of(row: Row, has_identity: bool) -> Result<(ExternalStudy, bool), RowProblem> {
    let [
        anon_name,
        anon_id,
        name,
        id,
        offset,
        anon_date,
        date,
        anon_accession,
        accession,
        anon_study,
        study,
    ] = row.cells;
    let anon_id = required("ANON-PatientID", anon_id)?;
    text("ANON-PatientName", anon_name)?;
    let anon_study = required("ANON-StudyInstanceUID", anon_study)?;
    if !has_identity {
        return Err(RowProblem::Cell {
            column: "ANON-StudyInstanceUID",
            problem: "and ANON-PatientID are not <root>.<site>.<number> and <site>-<number>",
        });
    }
    let id = key("PHI-PatientID", text("PHI-PatientID", id)?)?;
    let study = key(
        "PHI-StudyInstanceUID",
        required("PHI-StudyInstanceUID", study)?,
    )?;
    let accession = key("PHI-Accession", text("PHI-Accession", accession)?)?;
    let anon_accession = text("ANON-Accession", anon_accession)?;
    let days = days(&required("DateOffset", offset)?)?;
    let anon_date = day("ANON-StudyDate", anon_date)?;
    let date = day("PHI-StudyDate", date)?;
    let is_odd = match (day_number(&date), day_number(&anon_date)) {
        (Some(date), Some(anon_date)) => date - i64::from(days) != anon_date,
        _ => false,
    };
    let some = |text: String| (!text.is_empty()).then(|| Phi::new(text));
    let given = ExternalStudy {
        patient_key: Phi::new(id.clone()),
        patient_name: anon_id,
        study_uid: Phi::new(study),
        study_name: anon_study,
        accession_name: anon_accession,
        patient: PatientPhi {
            id: Phi::new(id),
            name: Phi::new(text("PHI-PatientName", name)?),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            source: Phi::new(SOURCE.to_owned()),
            date: some(date),
            // Java subtracts the offset. The store adds it.
            date_offset: -days,
            accession: some(accession),
            description: some(DESCRIPTION.to_owned()),
        },
    };
    Ok((given, is_odd))
}

fn text(column: &'static str, cell: Cell) -> Result<String, RowProblem> {
    match cell {
        Cell::Empty => Ok(String::new()),
        Cell::Text(text) => Ok(text),
        Cell::Day(_) => Err(RowProblem::Cell {
            column,
            problem: "holds a date: make it text",
        }),
        Cell::Bad(problem) => Err(RowProblem::Cell { column, problem }),
    }
}

fn day(column: &'static str, cell: Cell) -> Result<String, RowProblem> {
    match cell {
        Cell::Day(day) => Ok(day),
        cell => text(column, cell),
    }
}

fn required(column: &'static str, cell: Cell) -> Result<String, RowProblem> {
    let text = text(column, cell)?;
    if text.is_empty() {
        let problem = "is empty";
        return Err(RowProblem::Cell { column, problem });
    }
    Ok(text)
}

/// Checks an original: objects hold one value without control characters (PS3.5 section 6.2).
fn key(column: &'static str, text: String) -> Result<String, RowProblem> {
    if text.chars().any(|c| c.is_control() || c == '\\') {
        let problem = "holds a backslash or a control character";
        return Err(RowProblem::Cell { column, problem });
    }
    Ok(text)
}

fn days(text: &str) -> Result<i32, RowProblem> {
    let column = "DateOffset";
    let days = text.parse::<i32>().map_err(|_| RowProblem::Cell {
        column,
        problem: "is not a whole number of days",
    })?;
    if days.unsigned_abs() > MAX_DAYS.unsigned_abs() {
        let problem = "is more than a hundred years";
        return Err(RowProblem::Cell { column, problem });
    }
    Ok(days)
}

/// Returns the days from 0000-03-01 to a date `YYYYMMDD`. `None` if the text has another form.
///
/// As in V17, a date that no calendar has is accepted: 30 February counts as 2 March of a common
/// year. The crate `time` refuses such dates.
fn day_number(date: &str) -> Option<i64> {
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = date.parse().ok()?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + of_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_and_root_are_found_in_the_pseudonyms() {
        let root = "1.2.826.0.1.3680043.10.474";
        for (patient, study, site) in [
            ("527408-000001", format!("{root}.527408.12"), Some("527408")),
            ("99.99-000001", format!("{root}.99.99.12"), Some("99.99")),
            ("99-000001", format!("{root}.99.99.12"), Some("99")),
            ("527408-000001", format!("{root}.527409.12"), None),
            ("527408-000001", "527408.12".to_owned(), None),
            ("527408-", format!("{root}.527408.12"), None),
            ("527408-00000A", format!("{root}.527408.12"), None),
            ("-000001", format!("{root}..12"), None),
            ("TEST", format!("{root}.527408.12"), None),
        ] {
            let found = identity_of(patient, &study);
            let found = found.as_ref().map(|(site, _)| site.as_str());
            assert_eq!(found, site, "{patient} {study}");
        }
    }

    #[test]
    fn an_offset_is_a_whole_number_of_at_most_a_hundred_years() {
        for (text, good) in [
            ("1892", Some(1892)),
            ("-3", Some(-3)),
            ("0", Some(0)),
            ("36525", Some(36_525)),
            ("36526", None),
            ("-2147483648", None),
            ("1.5", None),
            ("1e3", None),
            ("", None),
            ("x", None),
            ("99999999999", None),
        ] {
            assert_eq!(days(text).ok(), good, "{text}");
        }
    }

    #[test]
    fn days_between_dates_count_leap_days() {
        for (from, to, apart) in [
            ("20240228", "20240301", 2),
            ("20230228", "20230301", 1),
            ("19991231", "20000101", 1),
            ("20040119", "20090325", 1892),
        ] {
            let (from, to) = (day_number(from).unwrap(), day_number(to).unwrap());
            assert_eq!(to - from, apart);
        }
        assert_eq!(day_number("2004-1-1"), None);
    }
}
