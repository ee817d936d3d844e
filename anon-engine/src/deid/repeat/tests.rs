//! Repeats of records that earlier versions made.

use std::sync::Arc;

use dicom_core::{Tag, VR};

use super::*;
use crate::deid::plan::plan;
use crate::deid::policy::Policy;
use crate::testing::files::{Place, Syntax, ct_small};
use crate::testing::rules::PlainRules;

/// An object with a kept and a removed bulk value, whose bytes are these.
fn object(pixels: u8, document: u8) -> Vec<u8> {
    let (rows, columns) = (Tag(0x0028, 0x0010), Tag(0x0028, 0x0011));
    ct_small(&Place::new(1))
        .without(rows)
        .without(columns)
        .put(rows, VR::US, 50_u16)
        .put(columns, VR::US, 50_u16)
        .put(Tag(0x0042, 0x0011), VR::OB, vec![document; 5_000])
        .without(Tag(0x7FE0, 0x0010))
        .put(Tag(0x7FE0, 0x0010), VR::OW, vec![pixels; 5_000])
        .write(Syntax::ExplicitLittle)
}

/// The digest of a record of version 1 leaves long values out. A copy is never a clash. Changed pixels
/// are found, because the stored file holds the pixels. A changed document is not found.
#[test]
fn a_repeat_of_an_earlier_record_is_no_clash() {
    let policy = Policy::new(Arc::new(PlainRules::default()), "1", "test");
    let first = object(1, 1);
    let first = plan(&policy, Source::part10(&first)).unwrap();
    let names = Names {
        patient: "1".into(),
        study: "1.2".into(),
        series: "1.3".into(),
        instance: "1.4".into(),
        uids: vec!["1.5".into(); first.wanted().uids.len()],
        accessions: vec!["1".into(); first.wanted().accessions.len()],
        ..Names::default()
    };
    let stored = first.apply(&names).unwrap().to_vec().unwrap();
    let input = body_input(&first.body);
    let recorded = fingerprint::of(input, first.begin, &first.bulk, DigestVersion::V1).unwrap();
    for (pixels, document, expect) in [
        (1, 1, Repeat::Same),
        (1, 2, Repeat::Same),
        (2, 1, Repeat::Other),
    ] {
        let bytes = object(pixels, document);
        let again = plan(&policy, Source::part10(&bytes)).unwrap();
        let found = again.compare(Source::part10(&stored), &recorded, || None);
        assert_eq!(found, Ok(expect), "{pixels} {document}");
    }
    let mut other = recorded;
    other.digest = [0; 16];
    let found = first.compare(Source::part10(&stored), &other, || None);
    assert_eq!(found, Ok(Repeat::Other), "another header");
}
