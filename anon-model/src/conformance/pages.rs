//! Pages of patients and studies: sorted, searched, and read while the index changes.

use std::num::NonZeroUsize;

use super::{Outcome, import, phi, study_rows, uid, wanted};
use crate::{
    Adopting, ExternalStudy, LookupStore, PatientPhi, PatientQuery, PatientRow, PatientSort,
    SearchScope, SortDirection, StudyPhi, StudyQuery, StudyRow, StudySort,
};

/// A study of patient `number`, with the pseudonym `uid(study)`.
fn external_study(
    number: u32,
    [id, name]: [&str; 2],
    study: u64,
    [date, accession]: [Option<&str>; 2],
) -> ExternalStudy {
    ExternalStudy {
        patient_key: phi(id),
        patient_name: format!("99.99-{number:06}"),
        study_uid: phi(&format!("8.{study}.1")),
        study_name: uid(study),
        accession_name: accession.map_or_else(String::new, |_| format!("{}", 7000 + study)),
        patient: PatientPhi {
            id: phi(id),
            name: phi(name),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            date: date.map(phi),
            accession: accession.map(phi),
            ..StudyPhi::default()
        },
    }
}

/// Adopts five studies and imports a sixth, of the patient without an id.
fn fill(store: &dyn LookupStore) -> Outcome {
    let (roe, anna) = (["P9", "Roe^Jo"], ["P10", "DOE^ANNA"]);
    let studies = [
        external_study(17, roe, 50, [Some("20240301"), Some("A10")]),
        external_study(17, roe, 7, [Some("20240101"), Some("A9")]),
        external_study(3, anna, 60, [Some("20240301"), None]),
        external_study(999_999, ["x1", "Åberg^Bo"], 100, [None, Some("a10")]),
        external_study(
            1_000_000,
            ["X1", "doe^anna"],
            8,
            [Some("20230101"), Some("B")],
        ),
    ];
    adopt(store, &studies)?;
    import(store, &[wanted("", "3.1", "3.2", "3.3")])?;
    Ok(())
}

fn adopt(store: &dyn LookupStore, studies: &[ExternalStudy]) -> Outcome {
    for result in store.adopt_studies(studies, &[], Adopting::AllOrNothing)? {
        result?;
    }
    Ok(())
}

/// The studies of [`fill`] in the order in which they entered the index.
const STUDIES: [&str; 6] = ["8.50.1", "8.7.1", "8.60.1", "8.100.1", "8.8.1", "3.1"];

/// Reads all pages of studies.
fn studies(store: &dyn LookupStore, mut query: StudyQuery) -> Outcome<Vec<StudyRow>> {
    let mut rows = Vec::new();
    loop {
        let page = store.studies_page(&query)?;
        assert!(page.rows.len() <= query.limit.get(), "{query:?}");
        rows.extend(page.rows);
        query.after = page.next;
        if query.after.is_none() {
            assert_eq!(page.matches, rows.len() as u64, "{query:?}");
            return Ok(rows);
        }
    }
}

/// Reads all pages of patients.
fn patients(store: &dyn LookupStore, mut query: PatientQuery) -> Outcome<Vec<PatientRow>> {
    let mut rows = Vec::new();
    loop {
        let page = store.patients_page(&query)?;
        assert!(page.rows.len() <= query.limit.get(), "{query:?}");
        rows.extend(page.rows);
        query.after = page.next;
        if query.after.is_none() {
            assert_eq!(page.matches, rows.len() as u64, "{query:?}");
            return Ok(rows);
        }
    }
}

fn uids(rows: &[StudyRow]) -> Vec<&str> {
    rows.iter()
        .map(|row| row.study_uid.expose().as_str())
        .collect()
}

fn pseudonyms(rows: &[PatientRow]) -> Vec<&str> {
    rows.iter().map(|row| row.pseudonym.as_str()).collect()
}

/// Page sizes for lists of five and six rows: one row, some, exactly all, more.
fn limits() -> impl Iterator<Item = NonZeroUsize> {
    [1, 2, 5, 6, usize::MAX]
        .into_iter()
        .filter_map(NonZeroUsize::new)
}

pub(super) fn sorted(store: &dyn LookupStore) -> Outcome {
    assert_eq!(studies(store, StudyQuery::default())?, []);
    fill(store)?;
    let all = study_rows(store)?;
    // Positions in `STUDIES`. Rows with one value are in the order of their pseudonyms.
    let orders = [
        (StudySort::Patient, [5, 2, 1, 0, 3, 4]),
        (StudySort::FirstSeen, [0, 1, 2, 3, 4, 5]),
        (StudySort::StudyDate, [3, 4, 1, 5, 0, 2]),
        (StudySort::Accession, [2, 5, 1, 0, 3, 4]),
        (StudySort::PatientId, [5, 1, 0, 2, 4, 3]),
        (StudySort::PatientName, [4, 2, 5, 1, 0, 3]),
        (StudySort::Instances, [1, 4, 0, 2, 3, 5]),
    ];
    for (sort, order) in orders {
        for limit in limits() {
            let mut query = StudyQuery {
                sort,
                limit,
                ..StudyQuery::default()
            };
            let mut expected = order.map(|at: usize| STUDIES[at]);
            let rows = studies(store, query.clone())?;
            assert_eq!(uids(&rows), expected, "{query:?}");
            assert!(rows.iter().all(|row| all.contains(row)), "{query:?}");
            query.direction = SortDirection::Descending;
            expected.reverse();
            assert_eq!(uids(&studies(store, query.clone())?), expected, "{query:?}");
        }
    }
    let orders = [
        (PatientSort::Pseudonym, [0, 3, 17, 999_999, 1_000_000]),
        (PatientSort::PatientId, [0, 17, 3, 999_999, 1_000_000]),
        // The patient without an id has no name.
        (PatientSort::PatientName, [0, 3, 1_000_000, 17, 999_999]),
        (PatientSort::Studies, [0, 3, 999_999, 1_000_000, 17]),
        (PatientSort::Instances, [3, 17, 999_999, 1_000_000, 0]),
    ];
    for (sort, order) in orders {
        for limit in limits() {
            let mut query = PatientQuery {
                sort,
                limit,
                ..PatientQuery::default()
            };
            let mut expected = order.map(|number| format!("99.99-{number:06}"));
            let rows = patients(store, query.clone())?;
            assert_eq!(pseudonyms(&rows), expected, "{query:?}");
            query.direction = SortDirection::Descending;
            expected.reverse();
            let rows = patients(store, query.clone())?;
            assert_eq!(pseudonyms(&rows), expected, "{query:?}");
        }
    }
    Ok(())
}

pub(super) fn searched(store: &dyn LookupStore) -> Outcome {
    fill(store)?;
    let study_60 = uid(60);
    let cases: [(&str, &[usize]); 12] = [
        ("", &[5, 2, 1, 0, 3, 4]),
        ("  ", &[5, 2, 1, 0, 3, 4]),
        ("99.99-000017", &[1, 0]), // the pseudonyms: patient,
        (&study_60, &[2]),         // study
        ("7050", &[0]),            // and accession number
        ("p10", &[2]),             // the originals: Patient ID,
        ("åBERG", &[3]),           // Patient's Name,
        ("anna doe", &[2, 4]),     // word by word,
        ("a10", &[0, 3]),          // Accession Number,
        ("8.100.1", &[3]),         // and Study Instance UID
        ("anna P9", &[]),
        ("nobody", &[]),
    ];
    for (search, found) in cases {
        let expected: Vec<_> = found.iter().map(|at| STUDIES[*at]).collect();
        for limit in limits() {
            let query = StudyQuery {
                search: phi(search),
                limit,
                ..StudyQuery::default()
            };
            assert_eq!(uids(&studies(store, query)?), expected, "{search}");
        }
    }
    // Among pseudonyms only, an original finds nothing.
    for (search, found) in [("99.99-000017", 2), ("7050", 1), ("åBERG", 0), ("p10", 0)] {
        let query = StudyQuery {
            search: phi(search),
            scope: SearchScope::Pseudonyms,
            ..StudyQuery::default()
        };
        assert_eq!(studies(store, query)?.len(), found, "{search}");
    }
    let cases: [(&str, &[u32]); 4] = [
        ("000017", &[17]),
        ("X1", &[999_999, 1_000_000]),
        ("doe", &[3, 1_000_000]),
        ("nobody", &[]),
    ];
    for (search, found) in cases {
        let expected: Vec<_> = found.iter().map(|n| format!("99.99-{n:06}")).collect();
        let query = PatientQuery {
            search: phi(search),
            ..PatientQuery::default()
        };
        assert_eq!(pseudonyms(&patients(store, query)?), expected, "{search}");
    }
    Ok(())
}

pub(super) fn while_rows_change(store: &dyn LookupStore) -> Outcome {
    fill(store)?;
    let mut query = StudyQuery {
        sort: StudySort::StudyDate,
        limit: NonZeroUsize::new(2).ok_or("a page has rows")?,
        ..StudyQuery::default()
    };
    let page = store.studies_page(&query)?;
    assert_eq!(uids(&page.rows), ["8.100.1", "8.8.1"]);
    assert_eq!(page.matches, 6);
    // One study is added before the cursor, one after it; and the study at the cursor is deleted.
    let roe = ["P9", "Roe^Jo"];
    let added = [
        external_study(17, roe, 200, [Some("19990101"), None]),
        external_study(17, roe, 201, [Some("20240102"), None]),
    ];
    adopt(store, &added)?;
    let deleted = store.delete_study(&uid(8))?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    query.after = page.next;
    let mut rest = Vec::new();
    while query.after.is_some() {
        let page = store.studies_page(&query)?;
        rest.extend(page.rows);
        query.after = page.next;
    }
    assert_eq!(uids(&rest), ["8.7.1", "8.201.1", "3.1", "8.50.1", "8.60.1"]);
    Ok(())
}
