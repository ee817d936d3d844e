//! Adopting the index of the Java anonymizer.

mod cells;
mod hostile;

use anon_model::conformance::Outcome;
use anon_model::java_index::{COLUMNS, JavaIndex, Limits, ReadError, Report, RowOutcome};
use anon_model::settings::MissingPatientId;
use anon_model::{
    Adopting, Identity, MemoryStore, Phi, PhiIndex, Pseudonyms, RulesHistory, Space, StudyRow,
};
use rust_xlsxwriter::{Workbook, XlsxError};

const ROOT: &str = "1.2.826.0.1.3680043.10.474";

type Texts = [String; 11];

/// Row `number` of a made-up index: study `number` of patient `patient`.
fn texts(patient: u32, number: u32) -> Texts {
    let name = format!("527408-{patient:06}");
    [
        name.clone(),
        name,
        format!("ROE^JO {patient}"),
        format!("574856-{patient:06}"),
        "1892".into(),
        "20040119".into(),
        "20090325".into(),
        number.to_string(),
        format!("A{number}"),
        format!("{ROOT}.527408.{}", number * 60 + 426),
        format!("9.8.{number}"),
    ]
}

/// An index as Java makes them: 112 rows of 82 patients, the numbers with gaps, the first patient
/// with the id 999, some studies in two rows.
fn rows_of_java() -> Vec<Texts> {
    let mut rows: Vec<Texts> = (1..=106)
        .map(|number| texts(number % 82 + 1, number))
        .collect();
    rows[81][3] = "999".into();
    rows[81][2] = "TEST".into();
    let again: Vec<Texts> = rows.iter().take(6).cloned().collect();
    rows.extend(again);
    rows
}

/// A workbook whose cells are texts.
fn workbook(header: &[&str], rows: &[Vec<String>]) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Index")?;
    for (column, caption) in (0..).zip(header) {
        sheet.write_string(0, column, *caption)?;
    }
    for (row, cells) in (1..).zip(rows) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string(row, column, cell)?;
        }
    }
    workbook.save_to_buffer()
}

fn index_of(rows: &[Texts]) -> Outcome<JavaIndex> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    Ok(read(&workbook(&COLUMNS, &rows)?)?)
}

fn read(bytes: &[u8]) -> Result<JavaIndex, ReadError> {
    JavaIndex::read(bytes, &Limits::default())
}

fn store_for(index: &JavaIndex) -> Outcome<MemoryStore> {
    let identity = Identity::new(index.site().clone(), index.root().clone())?;
    Ok(MemoryStore::new(identity)?)
}

fn take(index: &JavaIndex, store: &MemoryStore, adopting: Adopting) -> Outcome<Report> {
    Ok(index.take_into(store, MissingPatientId::Shared, adopting)?)
}

/// The numbers of rows that were adopted, already there, held back and refused.
fn counts(report: &Report) -> [usize; 4] {
    let mut counts = [0; 4];
    for (_, outcome) in report.rows() {
        counts[match outcome {
            RowOutcome::Taken => 0,
            RowOutcome::AlreadyThere => 1,
            RowOutcome::HeldBack => 2,
            RowOutcome::Refused(_) => 3,
        }] += 1;
    }
    counts
}

/// The numbers of the refused rows, with the reasons.
fn refused(report: &Report) -> Vec<(u32, String)> {
    let reason = |(number, outcome): &(u32, RowOutcome)| match outcome {
        RowOutcome::Refused(why) => Some((*number, why.to_string())),
        _ => None,
    };
    report.rows().iter().filter_map(reason).collect()
}

fn studies(store: &MemoryStore) -> Outcome<Vec<StudyRow>> {
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(rows)
}

#[test]
fn adopting_an_index_again_changes_nothing() -> Outcome {
    let rows = rows_of_java();
    let index = index_of(&rows)?;
    assert_eq!(
        (index.site().as_str(), index.root().as_str()),
        ("527408", ROOT)
    );
    assert_eq!((index.len(), index.odd_dates()), (112, 0));
    let store = store_for(&index)?;
    assert_eq!(
        counts(&take(&index, &store, Adopting::AllOrNothing)?),
        [106, 6, 0, 0]
    );
    assert_eq!(
        counts(&take(&index, &store, Adopting::AllOrNothing)?),
        [0, 112, 0, 0]
    );
    assert_eq!((store.counts()?.patients, store.counts()?.uids), (82, 106));
    assert_eq!(studies(&store)?.len(), 106);
    for row in &rows {
        for (space, name, original) in [
            (Space::Patient, &row[1], &row[3]),
            (Space::Accession, &row[7], &row[8]),
            (Space::Uid, &row[9], &row[10]),
        ] {
            let held = store.pseudonym(space, &Phi::new(original.clone()))?;
            assert_eq!(held.as_ref(), Some(name));
        }
    }
    let mut odd = rows;
    odd[0][5] = "20040120".into();
    odd[1][5] = "not a day".into();
    assert_eq!(index_of(&odd)?.odd_dates(), 1, "only days are compared");
    let first = &studies(&store)?[0];
    assert_eq!(first.patient, "527408-000001");
    assert_eq!(first.patient_phi.name.expose(), "TEST");
    assert_eq!(first.patient_phi.id.expose(), "999");
    assert_eq!(first.phi.date_offset, -1892, "Java subtracts");
    assert_eq!(first.phi.date, Some(Phi::new("20090325".into())));
    Ok(())
}

#[test]
fn an_index_of_two_projects_is_refused() -> Outcome {
    let mut rows = vec![texts(1, 1), texts(2, 2)];
    rows[1][1] = "527409-000002".into();
    rows[1][9] = format!("{ROOT}.527409.9");
    let error = index_of(&rows).err().ok_or("not refused")?.to_string();
    assert!(
        error.starts_with("rows 2 and 3 were made with different"),
        "{error}"
    );
    rows[1] = texts(2, 2);
    rows[1][9] = "1.2.3.527408.9".into();
    assert!(index_of(&rows).is_err(), "another root");
    for row in &mut rows {
        row[1] = "PATIENT".into();
    }
    let error = index_of(&rows).err().ok_or("not refused")?.to_string();
    assert!(error.starts_with("no row has"), "{error}");
    Ok(())
}

#[test]
fn contradictory_rows_are_refused_with_their_numbers() -> Outcome {
    let mut rows: Vec<Texts> = (1..=8).map(|number| texts(number, number)).collect();
    rows[1][1] = rows[0][1].clone();
    rows[2][3] = rows[0][3].clone();
    rows[3][10] = rows[0][10].clone();
    rows[4][7] = rows[0][7].clone();
    rows[5][3] = rows[0][3].clone();
    rows[5][1] = rows[0][1].clone();
    rows[5][4] = "5".into();
    rows[6][9] = "PATIENT".into();
    let index = index_of(&rows)?;
    let expected = [
        (3, "patient: the pseudonym 527408-000001 belongs to another original".to_owned()),
        (4, "patient: this original already has the pseudonym 527408-000001".into()),
        (5, format!("study: this original already has the pseudonym {ROOT}.527408.486")),
        (6, "accession number: the pseudonym 1 belongs to another original".into()),
        (7, "the dates of patient 527408-000001 already move by -1892 days".into()),
        (8, "ANON-StudyInstanceUID and ANON-PatientID are not <root>.<site>.<number> and <site>-<number>".into()),
    ];
    let store = store_for(&index)?;
    let report = take(&index, &store, Adopting::AllOrNothing)?;
    assert_eq!(refused(&report), expected);
    assert_eq!(counts(&report), [0, 0, 2, 6]);
    assert!(!store.is_frozen()?, "all or nothing");
    let report = take(&index, &store, Adopting::WhatCanBe)?;
    assert_eq!(
        (refused(&report).as_slice(), counts(&report)),
        (&expected[..], [2, 0, 0, 6])
    );
    assert_eq!(
        counts(&take(&index, &store, Adopting::WhatCanBe)?),
        [0, 2, 0, 6]
    );
    for (_, reason) in expected {
        assert!(
            !reason.contains("574856") && !reason.contains("ROE"),
            "{reason}"
        );
    }
    Ok(())
}

#[test]
fn a_patient_without_an_id_is_shared_or_refused() -> Outcome {
    let mut row = texts(0, 1);
    row[3] = String::new();
    let index = index_of(&[row])?;
    let store = store_for(&index)?;
    let report = index.take_into(&store, MissingPatientId::Quarantine, Adopting::AllOrNothing)?;
    assert_eq!(counts(&report), [0, 0, 0, 1]);
    assert_eq!(
        counts(&take(&index, &store, Adopting::AllOrNothing)?),
        [1, 0, 0, 0]
    );
    assert_eq!(studies(&store)?[0].patient, "527408-000000");
    assert_eq!(store.counts()?.patients, 0);
    Ok(())
}
