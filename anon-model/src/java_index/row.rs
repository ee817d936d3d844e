//! One row: from cells to a study that can be given to a store.

use std::sync::Arc;

use super::sheet::{Cell, Row};
use crate::{GivenStudy, NotAdopted, PatientPhi, Phi, SiteId, Space, StudyPhi, UidRoot};

/// Most days by which a date may be moved: a hundred years. Java's own are below 3650.
const MAX_DAYS: i32 = 36_525;

/// What the description and the source of a study are that came in no file, as V17 has it.
const SOURCE: &str = "Java Index File";
const DESCRIPTION: &str = "?";

/// Why a row cannot be taken over. No message holds an original.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// There are values beyond the columns.
    #[error("has more than 11 columns")]
    MoreColumns,
    /// A cell is not what it must be.
    #[error("{column} {problem}")]
    Cell {
        /// The caption of its column.
        column: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It names no patient, and the project takes no such objects.
    #[error("PHI-PatientID is empty, and the project has missing_patient_id = \"quarantine\"")]
    NoPatientId,
    /// It contradicts what the store holds, or a row before it.
    #[error(transparent)]
    Contradiction(Arc<NotAdopted>),
}

/// A row, taken apart.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) number: u32,
    pub(super) identity: Option<(SiteId, UidRoot)>,
    pub(super) study: Result<GivenStudy, RowProblem>,
    /// The pseudonyms that stand in it, whatever else is wrong.
    pub(super) names: Vec<(Space, String)>,
    pub(super) date_is_odd: bool,
}

pub(super) fn parse(row: Row) -> Parsed {
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
    Parsed {
        number,
        identity,
        study: study.map(|(study, _)| study),
        names,
        date_is_odd,
    }
}

/// `<site>-<number>` and `<root>.<site>.<number>`.
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

/// The study, and whether its anonymous date is another than was to be expected.
fn study_of(row: Row, has_identity: bool) -> Result<(GivenStudy, bool), RowProblem> {
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
    let anon_id = wanted("ANON-PatientID", anon_id)?;
    text("ANON-PatientName", anon_name)?;
    let anon_study = wanted("ANON-StudyInstanceUID", anon_study)?;
    if !has_identity {
        return Err(RowProblem::Cell {
            column: "ANON-StudyInstanceUID",
            problem: "and ANON-PatientID are not <root>.<site>.<number> and <site>-<number>",
        });
    }
    let id = key("PHI-PatientID", text("PHI-PatientID", id)?)?;
    let study = key(
        "PHI-StudyInstanceUID",
        wanted("PHI-StudyInstanceUID", study)?,
    )?;
    let accession = key("PHI-Accession", text("PHI-Accession", accession)?)?;
    let anon_accession = text("ANON-Accession", anon_accession)?;
    let days = days(&wanted("DateOffset", offset)?)?;
    let anon_date = day("ANON-StudyDate", anon_date)?;
    let date = day("PHI-StudyDate", date)?;
    let is_odd = match (day_number(&date), day_number(&anon_date)) {
        (Some(date), Some(anon_date)) => date - i64::from(days) != anon_date,
        _ => false,
    };
    let some = |text: String| (!text.is_empty()).then(|| Phi::new(text));
    let given = GivenStudy {
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
            // Java subtracts.
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

fn wanted(column: &'static str, cell: Cell) -> Result<String, RowProblem> {
    let text = text(column, cell)?;
    if text.is_empty() {
        let problem = "is empty";
        return Err(RowProblem::Cell { column, problem });
    }
    Ok(text)
}

/// An original as objects hold it: one value, no control characters (PS3.5 section 6.2).
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

/// Days since 0000-03-01 of YYYYMMDD, to tell dates apart: none for anything else.
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
    fn identities() {
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
    fn offsets() {
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
    fn days_are_told_apart_over_leap_years() {
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
