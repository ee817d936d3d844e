//! Reads any bytes as a workbook of the Java anonymizer, and any text as the parts of one. An index
//! that is read can be adopted, and adopting it again changes nothing.

#![no_main]

use std::io::{Cursor, Write};

use anon_model::java_index::{COLUMNS, JavaIndex, Limits, Report, RowOutcome};
use anon_model::settings::MissingPatientId;
use anon_model::{Adopting, Counts, Identity, MemoryStore, Pseudonyms};
use libfuzzer_sys::fuzz_target;
use zip::write::{SimpleFileOptions, ZipWriter};

/// The parts of a workbook in the order of an input, each with its text if the input has none.
const PARTS: [(&str, &str); 5] = [
    ("xl/worksheets/sheet1.xml", ""),
    ("xl/sharedStrings.xml", "<sst/>"),
    ("xl/styles.xml", "<styleSheet/>"),
    (
        "xl/workbook.xml",
        r#"<workbook><sheets><sheet name="Index" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<Relationships><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
    ),
];

/// The part that every workbook has, and that is in no input.
const ROOT: (&str, &str) = (
    "_rels/.rels",
    r#"<Relationships><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
);

/// A sheet with one study.
fn sample() -> String {
    let values = [
        "5-000001",
        "5-000001",
        "A^B",
        "77",
        "12",
        "20040119",
        "20040131",
        "3",
        "A3",
        "1.2.3.5.9",
        "9.8.7",
    ];
    let row = |cells: [&str; 11]| {
        let cells = cells.map(|cell| format!("<c t=\"inlineStr\"><is><t>{cell}</t></is></c>"));
        format!("<row>{}</row>", cells.concat())
    };
    let rows = row(COLUMNS) + &row(values);
    format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")
}

/// Checks that the parts above make a workbook. Otherwise every input would be refused.
fn check_parts() {
    let index = JavaIndex::read(packed(sample().as_bytes()).as_slice(), &Limits::default());
    assert_eq!(index.expect("a valid sample").len(), 1);
}

/// Ignores panics in the crates that read workbooks, because `JavaIndex::read` reports them as a
/// damaged workbook. Any other panic ends the run.
fn ignore_panics_of_readers() {
    const OTHERS: [&str; 3] = ["/calamine-", "/quick-xml-", "/zip-"];
    let end_run = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", std::panic::Location::file);
        if !OTHERS.iter().any(|name| file.contains(name)) {
            end_run(panic);
        }
    }));
}

/// Separates the parts of an input. UTF-8 never has this byte.
const SEPARATOR: u8 = 0xFF;

/// Packs parts into a workbook. A mutated workbook seldom has valid checksums, mutated parts do.
fn packed(data: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut given = data.split(|byte| *byte == SEPARATOR);
    let mut add = |name, part: &[u8]| {
        archive.start_file(name, stored).expect("in memory");
        archive.write_all(part).expect("in memory");
    };
    add(ROOT.0, ROOT.1.as_bytes());
    for (name, otherwise) in PARTS {
        let part = given.next().filter(|part| !part.is_empty());
        add(name, part.unwrap_or(otherwise.as_bytes()));
    }
    archive.finish().expect("in memory").into_inner()
}

fn take(index: &JavaIndex, store: &MemoryStore, adopting: Adopting) -> Report {
    index
        .take_into(store, MissingPatientId::Shared, adopting)
        .expect("a memory store does not fail")
}

fn is_new(report: &Report) -> bool {
    let taken = |(_, outcome): &(u32, RowOutcome)| matches!(outcome, RowOutcome::Taken);
    report.rows().iter().any(taken)
}

fuzz_target!(init: { check_parts(); ignore_panics_of_readers() }, |data: &[u8]| {
    let limits = Limits::default()
        .with_max_part_bytes(4 << 20)
        .with_max_rows(1000);
    let index = if data.starts_with(b"PK") {
        JavaIndex::read(data, &limits)
    } else {
        JavaIndex::read(packed(data).as_slice(), &limits)
    };
    let Ok(index) = index else { return };
    let identity = Identity::new(index.site().clone(), index.root().clone());
    let store = MemoryStore::new(identity.expect("a site and a root that fit")).expect("a new store");
    let whole = take(&index, &store, Adopting::AllOrNothing);
    assert_eq!(whole.rows().len(), index.len());
    if !whole.is_clean() {
        assert!(!is_new(&whole));
        assert_eq!(store.counts().expect("in memory"), Counts::default());
    }
    let first = take(&index, &store, Adopting::WhatCanBe);
    let held = store.counts().expect("in memory");
    let again = take(&index, &store, Adopting::WhatCanBe);
    assert!(!is_new(&again), "{first:?} {again:?}");
    assert_eq!(store.counts().expect("in memory"), held);
});
