//! Repeats of records that earlier versions made.

use std::sync::Arc;

use anon_script::rules::{Action, Element, Method, Rules};
use dicom_core::{Tag, VR};

use super::*;
use crate::deid::plan::plan;
use crate::deid::policy::Policy;
use crate::testing::files::{DataSet, Place, Syntax, Value, ct_small, encapsulated};
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

/// Keeps private elements of one group, and replaces UIDs in another.
#[derive(Debug, Default)]
struct PrivateRules(PlainRules);

impl Rules for PrivateRules {
    fn action(&self, element: Element) -> &Action {
        match element.tag {
            Tag(0x0029, _) | Tag(0x0031, 0x0010) => &Action::Keep,
            Tag(0x0031, _) => &Action::Uid,
            _ => self.0.action(element),
        }
    }

    fn method(&self) -> &Method {
        self.0.method()
    }

    fn name(&self) -> &'static str {
        "private"
    }

    fn text(&self) -> &'static str {
        "rules for private elements"
    }

    fn digest(&self) -> [u8; 32] {
        [9; 32]
    }
}

fn policy() -> Policy {
    Policy::new(Arc::new(PrivateRules::default()), "1", "test")
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Returns the plan of an object, its output, and the fingerprint that earlier versions recorded.
fn stored_before<'p>(
    policy: &'p Policy,
    object: &'p [u8],
) -> Outcome<(Plan<'p>, Vec<u8>, Fingerprint)> {
    let first = plan(policy, Source::part10(object))?;
    let names = Names {
        patient: "1".into(),
        study: "1.2".into(),
        series: "1.3".into(),
        instance: "1.4".into(),
        uids: vec!["1.5.6.7.8.9".into(); first.wanted().uids.len()],
        accessions: vec!["1".into(); first.wanted().accessions.len()],
        ..Names::default()
    };
    let stored = first.apply(&names)?.to_vec()?;
    let input = body_input(&first.body);
    let recorded = fingerprint::of(input, first.begin, &first.bulk, DigestVersion::V1)?;
    Ok((first, stored, recorded))
}

/// Compares an object with one that an earlier version stored.
fn compared(first: &[u8], again: &[u8]) -> Outcome<Repeat> {
    let policy = policy();
    let (_, stored, recorded) = stored_before(&policy, first)?;
    let again = plan(&policy, Source::part10(again))?;
    Ok(again.compare(Source::part10(&stored), &recorded, || None)?)
}

/// Two frames of different lengths in another order have the same total length.
#[test]
fn swapped_frames_are_other_content_for_an_earlier_record() {
    let of = |swapped: bool| {
        let mut set = encapsulated(&Place::new(1), 3);
        for element in set.elements_mut() {
            if let Value::Fragments(fragments) = &mut element.value {
                fragments[1].truncate(4_000);
                if swapped {
                    fragments.swap(1, 2);
                }
            }
        }
        set.write(Syntax::JPEG_LOSSLESS)
    };
    assert_eq!(compared(&of(false), &of(false)).unwrap(), Repeat::Same);
    assert_eq!(compared(&of(false), &of(true)).unwrap(), Repeat::Other);
}

#[test]
fn long_private_values_and_numbers_are_compared_for_an_earlier_record() {
    let uids: Vec<_> = (1_000..1_500).map(|n| format!("1.2.3.4.{n}")).collect();
    let uids = uids.join("\\");
    let object = |private: u8, number: u16, syntax: Syntax| {
        let set: DataSet = ct_small(&Place::new(1))
            .put(Tag(0x0029, 0x0010), VR::LO, "VENDOR")
            .put(Tag(0x0029, 0x1010), VR::UN, vec![private; 5_000])
            .put(Tag(0x0029, 0x1011), VR::US, vec![number; 5_000])
            .put(Tag(0x0031, 0x0010), VR::LO, "VENDOR")
            // Replaced, so it says nothing.
            .put(Tag(0x0031, 0x1010), VR::UN, uids.clone().into_bytes());
        set.write(syntax)
    };
    // Private elements have no VR in an implicit data set.
    for syntax in [Syntax::ExplicitLittle, Syntax::ImplicitLittle] {
        for (private, number, expect) in [
            (1, 1, Repeat::Same),
            (2, 1, Repeat::Other),
            (1, 2, Repeat::Other),
        ] {
            let again = object(private, number, syntax);
            let found = compared(&object(1, 1, syntax), &again).unwrap();
            assert_eq!(found, expect, "{private} {number} {syntax:?}");
        }
    }
}

/// The digest of a record of version 1 leaves long values out. A copy is never a clash. Changed pixels
/// are found, because the stored file holds the pixels. A changed document is not found.
#[test]
fn a_repeat_of_an_earlier_record_is_no_clash() {
    let policy = policy();
    let first = object(1, 1);
    let (first, stored, recorded) = stored_before(&policy, &first).unwrap();
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
    assert_eq!(first.has_fingerprint(&recorded), Ok(true));
    let mut other = recorded;
    other.digest = [0; 16];
    let found = first.compare(Source::part10(&stored), &other, || None);
    assert_eq!(found, Ok(Repeat::Other), "another header");
    assert_eq!(first.has_fingerprint(&other), Ok(false));
}
