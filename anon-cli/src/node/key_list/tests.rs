use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use super::*;

const ACCESSION: ListKey = ListKey::AccessionNumber;
const PATIENT: ListKey = ListKey::PatientId;

/// Reads a list from a file with this name.
fn read(name: &str, bytes: &[u8], key: ListKey, column: Option<&str>) -> anyhow::Result<KeyList> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    crate::project::write_file(&file, bytes, crate::project::Privacy::Public).unwrap();
    KeyList::read(&file, key, column)
}

fn entries(name: &str, text: &str) -> Vec<String> {
    let list = read(name, text.as_bytes(), ACCESSION, None).unwrap();
    assert!(list.refused.is_empty(), "{text:?}");
    texts(&list)
}

fn texts(list: &KeyList) -> Vec<String> {
    let entries = list.entries.iter();
    entries.map(|entry| entry.text.clone()).collect()
}

#[track_caller]
fn failure(name: &str, bytes: &[u8], key: ListKey, column: Option<&str>) -> String {
    let error = read(name, bytes, key, column).unwrap_err();
    assert_eq!(crate::exit::code(&error), 3, "{error:#}");
    format!("{error:#}")
}

/// The refused entries as line and reason.
fn refused(list: &KeyList) -> Vec<(u64, &str)> {
    let refused = list.refused.iter();
    refused
        .map(|entry| (entry.line, entry.reason.as_str()))
        .collect()
}

#[test]
fn a_text_file_has_one_entry_a_line() {
    for (text, expected) in [
        ("A1\nA2", &["A1", "A2"][..]),
        ("A1\r\nA2\r\n", &["A1", "A2"]),
        ("A1\rA2\r", &["A1", "A2"]),
        ("ACC 2\n", &["ACC 2"]),
        ("  ACC  2\t\n\n \u{A0}B\u{A0}\n", &["ACC  2", "B"]),
        ("A,1\nA;1\n\"A\"\n", &["A,1", "A;1", "\"A\""]),
        ("a1\nA1\na1 \n", &["a1", "A1"]),
        ("Accession\nA1", &["Accession", "A1"]),
    ] {
        assert_eq!(entries("list.txt", text), expected, "{text:?}");
        assert_eq!(entries("list", text), expected, "{text:?}");
    }
}

#[test]
fn a_list_is_read_in_every_encoding() {
    for (name, text) in [
        ("list.txt", "M\u{FC}ller 1\r\nB2\r\n"),
        ("list.csv", "Name;Accession\r\nx;M\u{FC}ller 1\r\ny;B2\r\n"),
    ] {
        let units = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(unit);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        let latin1 = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
        for (encoding, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            (
                "UTF-8, BOM",
                [&b"\xEF\xBB\xBF"[..], text.as_bytes()].concat(),
            ),
            ("UTF-16LE, BOM", units([0xFF, 0xFE], u16::to_le_bytes)),
            ("UTF-16BE, BOM", units([0xFE, 0xFF], u16::to_be_bytes)),
            ("Latin-1", latin1),
        ] {
            let list = read(name, &bytes, ACCESSION, None).unwrap();
            assert_eq!(texts(&list), ["M\u{FC}ller 1", "B2"], "{encoding} {name}");
            assert!(list.refused.is_empty(), "{encoding} {name}");
        }
    }
}

#[test]
fn damaged_and_unmarked_utf16_is_refused_by_line() {
    for (bytes, expected) in [
        (&b"\xFF\xFEA\0\n\0B"[..], &["A"][..]),
        (b"\xFF\xFEA\0\n\0\x00\xD8", &["A"]),
        (b"A\0\nB\n", &["B"]),
    ] {
        let list = read("list.txt", bytes, ACCESSION, None).unwrap();
        assert_eq!(texts(&list), expected, "{bytes:?}");
        assert_eq!(list.refused.len(), 1, "{bytes:?}");
    }
}

#[test]
fn entries_that_cannot_be_values_are_refused_by_line_and_the_rest_is_kept() {
    let longest = "A".repeat(64);
    let text = format!("A*\nA?\nA\\B\nA\tB\nA\u{1}\n{longest}A\n\n{longest}\nfine\n");
    let list = read("list.txt", text.as_bytes(), ACCESSION, None).unwrap();
    assert_eq!(texts(&list), [longest.as_str(), "fine"]);
    let reasons = [
        (1, "it has a wildcard (* or ?)"),
        (2, "it has a wildcard (* or ?)"),
        (3, "it has a backslash"),
        (4, "it has a control character"),
        (5, "it has a control character"),
        (6, "it is longer than 64 characters"),
    ];
    assert_eq!(refused(&list), reasons);
    // Characters count, not bytes.
    let text = format!("{}\n{}\n", "\u{E9}".repeat(64), "B".repeat(65));
    let list = read("list.txt", text.as_bytes(), PATIENT, None).unwrap();
    assert_eq!(texts(&list), ["\u{E9}".repeat(64)]);
    assert_eq!(refused(&list), [(2, "it is longer than 64 characters")]);
}

#[test]
fn a_known_or_named_column_of_a_csv_file_is_read() {
    for (text, key, column, expected) in [
        ("Accession\nA 1\n", ACCESSION, None, "A 1"),
        ("Name,accession number\nDOE,A 1\n", ACCESSION, None, "A 1"),
        ("PatientID;AccessionNumber\nP;A1\n", ACCESSION, None, "A1"),
        ("PatientID;AccessionNumber\nP;A1\n", PATIENT, None, "P"),
        ("Patient ID\tName\nP 7\tDOE, J\n", PATIENT, None, "P 7"),
        ("ANON-PatientID,PHI-PatientID\n7-1,P\n", PATIENT, None, "P"),
        ("A,B\n1,2\n", ACCESSION, Some("b"), "2"),
        ("Accession,Old\n1,2\n", ACCESSION, Some(" Old "), "2"),
        ("\n\nAccession,N\n\"A,1\",x\n", ACCESSION, None, "A,1"),
        ("Accession\nA;1\n", ACCESSION, None, "A;1"),
        ("N,Accession\n\"D\nE\",A1\n", ACCESSION, None, "A1"),
        ("Accession,N\n,\n ,x\nA1,\n", ACCESSION, None, "A1"),
    ] {
        let list = read("list.csv", text.as_bytes(), key, column).unwrap();
        assert_eq!(texts(&list), [expected], "{text:?}");
        assert!(list.refused.is_empty(), "{text:?}");
    }
}

/// A row with other cells than the header would shift its values into other columns.
#[test]
fn rows_that_do_not_fit_the_header_are_refused_by_line() {
    let why = "its row has another number of cells than the header";
    for (text, lines) in [
        ("Accession\nA,1\nB\n", &[2][..]),
        ("Accession,N\n\nA1\r\n\r\n\"x\ny\",z,z\nB,N\n", &[3, 5]),
        ("Accession\r\nB\r\nA,1\r\n", &[3]),
    ] {
        let list = read("list.csv", text.as_bytes(), ACCESSION, None).unwrap();
        assert_eq!(texts(&list), ["B"], "{text:?}");
        let expected: Vec<_> = lines.iter().map(|line| (*line, why)).collect();
        assert_eq!(refused(&list), expected, "{text:?}");
    }
}

#[test]
fn a_missing_column_is_an_error_that_lists_headers_and_no_values() {
    for (text, column, words) in [
        (
            "Exam,StudyDate,Order No\n1,2,3\n",
            None,
            "with --column. The columns are Exam, StudyDate, Order No",
        ),
        (
            "Accession,Name\n1,2\n",
            Some("Fall"),
            "has no column Fall; the columns are Accession, Name",
        ),
        // Without a header, the first row has values.
        (
            "ACC123,DOE^JANE,Id 19700101\n",
            None,
            "(column 1, not shown), (column 2, not shown), (column 3, not shown)",
        ),
        // Not even where a value has a word of headers.
        (
            "Jane Patient,Patient: DOE^JANE,7\n",
            None,
            "(column 1, not shown), (column 2, not shown), (column 3, not shown)",
        ),
        ("A,a\n1,2\n", Some("A"), "has 2 columns A"),
        ("Accession\n\"A1\nA2\n", None, "has no counterpart"),
        ("Accession\n", None, "no entries"),
        ("\n", None, "no entries"),
    ] {
        let failure = failure("list.csv", text.as_bytes(), ACCESSION, column);
        assert!(failure.contains(words), "{text:?}: {failure}");
    }
    let failure = failure("list.txt", b"A1\n", ACCESSION, Some("Accession"));
    assert!(failure.contains("one entry a line"), "{failure}");
}

#[test]
fn workbooks_are_recognised_by_content() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, cell) in (0..).zip(["Accession", "A 1", "", "A*"]) {
        sheet.write_string(row, 1, cell).unwrap();
    }
    sheet.write_string(0, 0, "PatientID").unwrap();
    sheet.write_string(1, 0, "P 1").unwrap();
    let bytes = workbook.save_to_buffer().unwrap();
    for name in ["list.xlsx", "list.XLSX", "list.txt"] {
        let list = read(name, &bytes, ACCESSION, None).unwrap();
        assert_eq!(texts(&list), ["A 1"], "{name}");
        assert_eq!(refused(&list), [(4, "it has a wildcard (* or ?)")]);
        let list = read(name, &bytes, PATIENT, None).unwrap();
        assert_eq!(texts(&list), ["P 1"], "{name}");
        let failure = failure(name, &bytes, PATIENT, Some("Fall"));
        assert!(failure.contains("PatientID, Accession"), "{failure}");
    }
    for bytes in [&b"Accession\nA1\n"[..], b"\xD0\xCF\x11\xE0"] {
        let failure = failure("list.xlsx", bytes, ACCESSION, None);
        assert!(failure.contains("save it as .xlsx"), "{failure}");
    }
}

/// The value of a cell can differ from the text that a person sees.
#[test]
fn cells_without_a_reliable_text_are_refused_by_row() {
    let column = |format: &str| {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        let format = Format::new().set_num_format(format);
        sheet.write_string(0, 0, "Accession").unwrap();
        sheet.write_number_with_format(1, 0, 123, &format).unwrap();
        sheet.write_number(2, 0, 1.5).unwrap();
        sheet.write_boolean(3, 0, true).unwrap();
        let day = ExcelDateTime::from_ymd(2024, 1, 2).unwrap();
        let date = Format::new().set_num_format("yyyy-mm-dd");
        sheet.write_datetime_with_format(4, 0, &day, &date).unwrap();
        sheet.write_string(5, 0, "00123").unwrap();
        let bytes = workbook.save_to_buffer().unwrap();
        read("list.xlsx", &bytes, ACCESSION, None).unwrap()
    };
    let list = column("0");
    assert_eq!(texts(&list), ["123", "00123"]);
    let expected = [
        (3, "its cell holds a fraction: make it text"),
        (4, "its cell holds a truth value: make it text"),
        (5, "its cell holds a date: make it text"),
    ];
    assert_eq!(refused(&list), expected);
    let list = column("00000");
    assert_eq!(texts(&list), ["00123"]);
    let why = "its cell holds a number that may be shown with leading zeros: make it text";
    assert_eq!(refused(&list)[0], (2, why));
    assert_eq!(list.refused.len(), 4);
}
