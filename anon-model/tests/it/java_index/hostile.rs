//! Workbooks of other programs, damaged workbooks, and hostile ones.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use anon_model::Adopting;
use anon_model::conformance::Outcome;
use anon_model::java_index::{COLUMNS, JavaIndex, Limits, ReadError};
use proptest::prelude::*;
use rust_xlsxwriter::Workbook;

use super::{counts, read, store_for, studies, take, texts, workbook};

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

/// A package with these shared texts and this sheet.
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
    let texts = texts.iter().fold(String::new(), |mut all, text| {
        write!(all, "<si><t>{text}</t></si>").expect("a String takes every text");
        all
    });
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
fn a_workbook_as_java_writes_it_is_read() -> Outcome {
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

/// Memory depends on the content of a file, which is bounded, and not on the counts that it
/// declares.
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
fn other_files_are_refused_with_the_reason() -> Outcome {
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
            "this is not an .xlsx workbook: save an .xls, or one with a password, as .xlsx without a password",
        ),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
            "this is not an .xlsx workbook: save an .xls, or one with a password, as .xlsx without a password",
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
    // Captions may have underscores and either case.
    let captions = COLUMNS.map(|caption| caption.replace('-', "_").to_lowercase());
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    assert_eq!(read(&workbook(&captions, &many)?)?.len(), 1);
    Ok(())
}

#[test]
fn the_only_visible_sheet_or_the_one_called_index_is_read() -> Outcome {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A workbook with any damaged bytes is read or refused.
    #[test]
    fn a_damaged_workbook_does_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
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

    /// The same inside the parts, where a checksum does not detect the damage.
    #[test]
    fn a_damaged_part_does_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"<>/\"'=&;0919AZ .\0\xff".to_vec())), 1..6), which in 0..2) {
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
