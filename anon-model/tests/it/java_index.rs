//! The index of the Java anonymizer: what is read, what is refused, and what hostile files do.

use std::io::{Cursor, Write as _};

use anon_model::conformance::Outcome;
use anon_model::java_index::{COLUMNS, JavaIndex, Limits, ReadError, Report, RowOutcome};
use anon_model::settings::MissingPatientId;
use anon_model::{Adopting, Identity, LookupStore, MemoryStore, Phi, Pseudonyms, Space, StudyRow};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, XlsxError};

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

/// A workbook of texts.
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

/// How many were taken, there already, held back, refused.
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

/// The row numbers and the reasons of the refused.
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
fn an_index_of_java_is_taken_over_once() -> Outcome {
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

/// What else a cell may be, and what becomes of it.
#[test]
fn every_cell_becomes_a_text() -> Outcome {
    type Put = fn(&mut rust_xlsxwriter::Worksheet, u32, u16) -> Result<(), XlsxError>;
    let day = |sheet: &mut rust_xlsxwriter::Worksheet, row, column, value: &ExcelDateTime| {
        let format = Format::new().set_num_format("yyyy-mm-dd");
        sheet
            .write_datetime_with_format(row, column, value, &format)
            .map(drop)
    };
    let cases: &[(u16, Put, Result<&str, &str>)] = &[
        (
            3,
            |s, r, c| s.write_number(r, c, 999.0).map(drop),
            Ok("999"),
        ),
        (3, |s, r, c| s.write_number(r, c, 1.5).map(drop), Ok("1.5")),
        (
            3,
            |s, r, c| s.write_string(r, c, " 00999 \u{a0}").map(drop),
            Ok("00999 \u{a0}"),
        ),
        (
            3,
            |s, r, c| s.write_number(r, c, 1e15).map(drop),
            Err(
                "PHI-PatientID holds a number of more than 15 digits, and the last of them are lost",
            ),
        ),
        (
            3,
            |s, r, c| s.write_boolean(r, c, true).map(drop),
            Err("PHI-PatientID holds a truth value: make it text"),
        ),
        (
            3,
            |s, r, c| s.write_string(r, c, "a\\b").map(drop),
            Err("PHI-PatientID holds a backslash or a control character"),
        ),
        (
            3,
            |s, r, c| s.write_formula(r, c, "=1/0").map(drop),
            Ok("0"),
        ),
        (
            4,
            |s, r, c| s.write_number(r, c, 1892).map(drop),
            Ok("574856-000001"),
        ),
        (
            4,
            |s, r, c| s.write_number(r, c, 1892.5).map(drop),
            Err("DateOffset is not a whole number of days"),
        ),
        (
            4,
            |s, r, c| s.write_string(r, c, "soon").map(drop),
            Err("DateOffset is not a whole number of days"),
        ),
        (
            4,
            |s, r, c| s.write_string(r, c, "  ").map(drop),
            Err("DateOffset is empty"),
        ),
        (
            4,
            |s, r, c| s.write_number(r, c, 40000).map(drop),
            Err("DateOffset is more than a hundred years"),
        ),
        (
            10,
            |s, r, c| s.write_string(r, c, " ").map(drop),
            Err("PHI-StudyInstanceUID is empty"),
        ),
        (
            11,
            |s, r, c| s.write_string(r, c, "x").map(drop),
            Err("has more than 11 columns"),
        ),
    ];
    for (place, (column, put, expect)) in cases.iter().enumerate() {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        for (row, cells) in [COLUMNS.map(String::from), texts(1, 1)].iter().enumerate() {
            for (column, cell) in (0..).zip(cells) {
                sheet.write_string(u32::try_from(row)?, column, cell)?;
            }
        }
        put(sheet, 1, *column)?;
        let index = read(&workbook.save_to_buffer()?)?;
        let store = store_for(&index)?;
        let report = take(&index, &store, Adopting::AllOrNothing)?;
        match expect {
            Ok(id) => {
                assert_eq!(refused(&report), [], "case {place}");
                assert_eq!(
                    studies(&store)?[0].patient_phi.id.expose(),
                    id,
                    "case {place}"
                );
            }
            Err(reason) => {
                assert_eq!(
                    refused(&report),
                    [(2, (*reason).to_owned())],
                    "case {place}"
                );
                assert!(!store.is_frozen()?, "case {place}");
            }
        }
    }
    // Dates as dates: right for dates alone.
    for (column, value, good) in [
        (6, ExcelDateTime::from_ymd(2009, 3, 25)?, true),
        (
            6,
            ExcelDateTime::from_ymd(2009, 3, 25)?.and_hms(12, 0, 0)?,
            false,
        ),
        (3, ExcelDateTime::from_ymd(2009, 3, 25)?, false),
    ] {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        for (row, cells) in [COLUMNS.map(String::from), texts(1, 1)].iter().enumerate() {
            for (column, cell) in (0..).zip(cells) {
                sheet.write_string(u32::try_from(row)?, column, cell)?;
            }
        }
        day(sheet, 1, column, &value)?;
        let index = read(&workbook.save_to_buffer()?)?;
        let store = store_for(&index)?;
        let report = take(&index, &store, Adopting::AllOrNothing)?;
        assert_eq!(report.is_clean(), good, "{:?}", refused(&report));
        if good {
            assert_eq!(
                studies(&store)?[0].phi.date,
                Some(Phi::new("20090325".into()))
            );
        }
    }
    Ok(())
}

/// A package of these parts, as Java writes them: shared texts, and numbers with a decimal point.
fn package(parts: &[(&str, &[u8])]) -> Outcome<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

const RELATIONS: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const BOOK_RELATIONS: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
const BOOK: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Index" sheetId="1" r:id="rId1"/></sheets></workbook>"#;

/// With these shared texts and this sheet data.
fn hand_made(shared: &[u8], sheet: &[u8]) -> Outcome<Vec<u8>> {
    package(&[
        ("_rels/.rels", RELATIONS),
        ("xl/workbook.xml", BOOK),
        ("xl/_rels/workbook.xml.rels", BOOK_RELATIONS),
        ("xl/sharedStrings.xml", shared),
        ("xl/worksheets/sheet1.xml", sheet),
    ])
}

fn sheet(rows: &str) -> Vec<u8> {
    format!(r#"<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>"#).into_bytes()
}

fn shared(promise: &str, texts: &[String]) -> Vec<u8> {
    let texts: String = texts
        .iter()
        .map(|text| format!("<si><t>{text}</t></si>"))
        .collect();
    format!(r#"<?xml version="1.0" encoding="UTF-8"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="{promise}" uniqueCount="{promise}">{texts}</sst>"#).into_bytes()
}

fn letter(column: usize) -> char {
    char::from(b'A' + u8::try_from(column).unwrap_or(0))
}

/// The header and one row, in shared texts.
fn two_rows() -> (Vec<String>, String) {
    let all: Vec<String> = COLUMNS
        .map(String::from)
        .into_iter()
        .chain(texts(1, 1))
        .collect();
    let cell = |place: usize| {
        let (row, column) = (place / 11 + 1, letter(place % 11));
        format!(r#"<c r="{column}{row}" t="s"><v>{place}</v></c>"#)
    };
    let row = |number: usize| -> String {
        let cells: String = (number * 11..number * 11 + 11).map(cell).collect();
        format!(r#"<row r="{}">{cells}</row>"#, number + 1)
    };
    (all, row(0) + &row(1))
}

#[test]
fn what_java_writes_is_read() -> Outcome {
    let (all, rows) = two_rows();
    let rows = rows.replace(
        r#"<c r="D2" t="s"><v>14</v></c>"#,
        r#"<c r="D2"><v>999.0</v></c>"#,
    );
    let rows = rows.replace(
        r#"<c r="E2" t="s"><v>15</v></c>"#,
        r#"<c r="E2" t="n"><v>1892.0</v></c>"#,
    );
    let index = read(&hand_made(&shared("22", &all), &sheet(&rows))?)?;
    let store = store_for(&index)?;
    assert_eq!(
        counts(&take(&index, &store, Adopting::AllOrNothing)?),
        [1, 0, 0, 0]
    );
    let study = &studies(&store)?[0];
    assert_eq!(study.patient_phi.id.expose(), "999");
    assert_eq!(study.phi.date_offset, -1892);
    Ok(())
}

/// What a file claims costs nothing: memory goes with what is in it, and that is bounded.
#[test]
fn hostile_workbooks_are_refused() -> Outcome {
    let (all, rows) = two_rows();
    let good = sheet(&rows);
    for promise in [
        "99999999999",
        "18446744073709551615",
        "99999999999999999999999",
    ] {
        let refused = read(&hand_made(&shared(promise, &all), &good)?);
        assert!(matches!(refused, Err(ReadError::Damaged)), "{promise}");
    }
    // A bomb: 200 MB in 200 KB.
    let bomb = vec![b' '; 200 << 20];
    let refused = read(&hand_made(&shared("22", &all), &bomb)?);
    assert!(
        matches!(refused, Err(ReadError::TooLarge { .. })),
        "{refused:?}"
    );
    // One cell at the far corner, and cells that come twice or backwards.
    let corner = rows.clone() + r#"<row r="1048576"><c r="XFD1048576" t="s"><v>0</v></c></row>"#;
    let index = read(&hand_made(&shared("22", &all), &sheet(&corner))?)?;
    assert_eq!(index.len(), 2);
    let twice = rows.replace("</row>", r#"<c r="A2" t="s"><v>0</v></c></row>"#);
    let backwards = format!(r#"<row r="9"><c r="A9" t="s"><v>0</v></c></row>{rows}"#);
    let past_the_texts = rows.replace("<v>21</v>", "<v>22</v>");
    for odd in [twice, backwards, past_the_texts] {
        let refused = read(&hand_made(&shared("22", &all), &sheet(&odd))?);
        assert!(refused.is_err(), "{odd}");
    }
    let few = Limits::default().with_max_rows(0);
    let bytes = hand_made(&shared("22", &all), &good)?;
    assert!(matches!(
        JavaIndex::read(&*bytes, &few),
        Err(ReadError::TooLarge { .. })
    ));
    let small = Limits::default().with_max_file_bytes(100);
    assert!(matches!(
        JavaIndex::read(&*bytes, &small),
        Err(ReadError::TooLarge { .. })
    ));
    Ok(())
}

#[test]
fn other_files_are_told_apart() -> Outcome {
    let many = vec![texts(1, 1).to_vec()];
    let (all, rows) = two_rows();
    let good = hand_made(&shared("22", &all), &sheet(&rows))?;
    let swapped = {
        let mut columns = COLUMNS;
        columns.swap(3, 5);
        columns
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            Vec::new(),
            "the workbook is damaged: export the index again",
        ),
        (
            b"a,b,c\r\n".to_vec(),
            "this is not an .xlsx workbook; one with a password, or an .xls, has to be saved as .xlsx first",
        ),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
            "this is not an .xlsx workbook; one with a password, or an .xls, has to be saved as .xlsx first",
        ),
        (
            package(&[("a.txt", b"text")])?,
            "the workbook is damaged: export the index again",
        ),
        (
            good[..good.len() / 2].to_vec(),
            "the workbook is damaged: export the index again",
        ),
        (workbook(&[], &[])?, "the index has no rows"),
        (workbook(&COLUMNS, &[])?, "the index has no rows"),
        (
            workbook(&COLUMNS[..10], &many)?,
            "column 11 of the header must be PHI-StudyInstanceUID: this is not an index of the Java anonymizer",
        ),
        (
            workbook(&[&COLUMNS[..], &["More"]].concat(), &many)?,
            "the header has more than 11 columns: this is not an index of the Java anonymizer",
        ),
        (
            workbook(&swapped, &many)?,
            "column 4 of the header must be PHI-PatientID: this is not an index of the Java anonymizer",
        ),
        (
            workbook(&["x"; 11], &many)?,
            "column 1 of the header must be ANON-PatientName: this is not an index of the Java anonymizer",
        ),
    ];
    for (bytes, expect) in cases {
        let error = read(&bytes).err().ok_or(expect)?;
        assert_eq!(error.to_string(), expect);
    }
    // Underscores and other cases are the same captions.
    let captions = COLUMNS.map(|caption| caption.replace('-', "_").to_lowercase());
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    assert_eq!(read(&workbook(&captions, &many)?)?.len(), 1);
    Ok(())
}

#[test]
fn the_sheet_that_is_meant() -> Outcome {
    for (names, good) in [
        (&["Sheet1"][..], true),
        (&["Other", "index"], true),
        (&["Other", "Another"], false),
    ] {
        let mut workbook = Workbook::new();
        for name in names {
            let sheet = workbook.add_worksheet().set_name(*name)?;
            for (row, cells) in [COLUMNS.map(String::from), texts(1, 1)].iter().enumerate() {
                for (column, cell) in (0..).zip(cells) {
                    sheet.write_string(u32::try_from(row)?, column, cell)?;
                }
            }
        }
        let read = read(&workbook.save_to_buffer()?);
        assert_eq!(read.is_ok(), good, "{names:?}: {read:?}");
    }
    Ok(())
}

#[test]
fn one_project_at_a_time() -> Outcome {
    let mut rows = vec![texts(1, 1), texts(2, 2)];
    rows[1][1] = "527409-000002".into();
    rows[1][9] = format!("{ROOT}.527409.9");
    let error = index_of(&rows).err().ok_or("not refused")?.to_string();
    assert!(
        error.starts_with("rows 2 and 3 were made under different"),
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
        (4, "patient: this original has the pseudonym 527408-000001 already".into()),
        (5, format!("study: this original has the pseudonym {ROOT}.527408.486 already")),
        (6, "accession number: the pseudonym 1 belongs to another original".into()),
        (7, "the dates of patient 527408-000001 are moved by -1892 days already".into()),
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
fn patients_without_an_id() -> Outcome {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever bytes of a workbook are others, it is read or refused.
    #[test]
    fn damage_is_no_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let (all, rows) = two_rows();
        let mut bytes = hand_made(&shared("22", &all), &sheet(&rows)).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if cut.index(4) == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(index) = read(&bytes) {
            let store = store_for(&index).unwrap();
            take(&index, &store, Adopting::WhatCanBe).unwrap();
        }
    }

    /// The same for what is in the parts, where no checksum helps.
    #[test]
    fn odd_parts_are_no_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"<>/\"'=&;0919AZ .\0\xff".to_vec())), 1..6), which in 0..2) {
        let (all, rows) = two_rows();
        let mut parts = [shared("22", &all), sheet(&rows)];
        for (place, byte) in changes {
            let part = &mut parts[usize::try_from(which).unwrap()];
            let place = place.index(part.len());
            part[place] = byte;
        }
        let bytes = hand_made(&parts[0], &parts[1]).unwrap();
        if let Ok(index) = read(&bytes) {
            let store = store_for(&index).unwrap();
            take(&index, &store, Adopting::WhatCanBe).unwrap();
        }
    }
}
