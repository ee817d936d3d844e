//! The kinds of cells, and how they are converted.

use anon_model::conformance::Outcome;
use anon_model::java_index::{COLUMNS, JavaIndex};
use anon_model::{Adopting, Phi, RulesHistory};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use super::{read, refused, store_for, studies, take, texts};

enum Put {
    Text(&'static str),
    Number(f64),
    Truth,
    /// Its value is 0.
    Formula(&'static str),
    Day(ExcelDateTime),
}

use Put::{Day, Formula, Number, Text, Truth};

/// The places of columns.
const ID: u16 = 3;
const OFFSET: u16 = 4;
const DATE: u16 = 6;
const UID: u16 = 10;
const BEYOND: u16 = 11;

/// An index of one row, with this in a column.
fn index_with(column: u16, put: &Put) -> Outcome<JavaIndex> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, cells) in (0..).zip([COLUMNS.map(String::from), texts(1, 1)]) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string(row, column, cell)?;
        }
    }
    match put {
        Text(text) => sheet.write_string(1, column, *text)?,
        Number(number) => sheet.write_number(1, column, *number)?,
        Truth => sheet.write_boolean(1, column, true)?,
        Formula(formula) => sheet.write_formula(1, column, *formula)?,
        Day(day) => {
            let format = Format::new().set_num_format("yyyy-mm-dd");
            sheet.write_datetime_with_format(1, column, day, &format)?
        }
    };
    Ok(read(&workbook.save_to_buffer()?)?)
}

#[test]
fn texts_and_whole_numbers_are_accepted_as_ids() -> Outcome {
    for (put, id) in [
        (Number(999.0), "999"),
        (Number(1.5), "1.5"),
        (Number(999_999_999_999_999.0), "999999999999999"),
        (Text(" 00999 "), "00999"),
        (Text("=1+1"), "=1+1"),
        (Text("Größe 7"), "Größe 7"),
        (Formula("=1/0"), "0"),
    ] {
        let index = index_with(ID, &put)?;
        let store = store_for(&index)?;
        let report = take(&index, &store, Adopting::AllOrNothing)?;
        assert_eq!(refused(&report), [], "{id}");
        assert_eq!(studies(&store)?[0].patient_phi.id.expose(), id);
    }
    Ok(())
}

#[test]
fn cells_with_a_day_are_accepted_as_dates() -> Outcome {
    let day = Day(ExcelDateTime::from_ymd(2009, 3, 25)?);
    for put in [day, Number(20_090_325.0), Text("20090325")] {
        let index = index_with(DATE, &put)?;
        let store = store_for(&index)?;
        assert!(take(&index, &store, Adopting::AllOrNothing)?.is_clean());
        let date = Some(Phi::new("20090325".to_owned()));
        assert_eq!(studies(&store)?[0].phi.date, date);
    }
    Ok(())
}

#[test]
fn cells_of_other_kinds_refuse_their_row() -> Outcome {
    let day = || ExcelDateTime::from_ymd(2009, 3, 25);
    let cases = [
        (
            ID,
            Number(1e15),
            "PHI-PatientID holds a number of more than 15 digits, and the last of them are lost",
        ),
        (ID, Truth, "PHI-PatientID holds a truth value: make it text"),
        (ID, Day(day()?), "PHI-PatientID holds a date: make it text"),
        (
            ID,
            Text("a\\b"),
            "PHI-PatientID holds a backslash or a control character",
        ),
        (
            OFFSET,
            Number(1892.5),
            "DateOffset is not a whole number of days",
        ),
        (
            OFFSET,
            Text("soon"),
            "DateOffset is not a whole number of days",
        ),
        (OFFSET, Text("  "), "DateOffset is empty"),
        (
            OFFSET,
            Number(40000.0),
            "DateOffset is more than a hundred years",
        ),
        (
            DATE,
            Day(day()?.and_hms(12, 0, 0)?),
            "PHI-StudyDate holds a date or a time: make it text",
        ),
        (UID, Text(" "), "PHI-StudyInstanceUID is empty"),
        (BEYOND, Text("x"), "has more than 11 columns"),
    ];
    for (column, put, reason) in cases {
        let index = index_with(column, &put)?;
        let store = store_for(&index)?;
        let report = take(&index, &store, Adopting::AllOrNothing)?;
        assert_eq!(refused(&report), [(2, reason.to_owned())]);
        assert!(!store.is_frozen()?, "{reason}");
    }
    Ok(())
}
