//! A wrong length brings no removed value into the output.

#![expect(clippy::indexing_slicing, reason = "offsets in fixtures")]

use std::collections::HashMap;

use anon_engine::testing::files::{
    Canaries, Canary, DataSet, Place, Syntax, ct_small, everything_phi, sr,
};
use anon_engine::{Policy, Source, plan};
use anon_script::RuleSet;
use anon_script::rules::{Action, Element, Method, Rules};
use dicom_core::{Tag, VR};

use super::build::{Outcome, names};

const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const SYNTAXES: [Syntax; 3] = [
    Syntax::ExplicitLittle,
    Syntax::ImplicitLittle,
    Syntax::ExplicitBig,
];

/// The built-in rules, which also keep some private and binary elements, in which nothing is known by
/// its characters.
#[derive(Debug)]
struct KeepBinary(RuleSet);

impl Rules for KeepBinary {
    fn action(&self, element: Element) -> &Action {
        match (element.tag.0, element.tag.1) {
            (0x0019 | 0x0029, _) | (0x6000, 0x3000) | (0x0400, 0x0115) => &Action::Keep,
            _ => self.0.action(element),
        }
    }
    fn method(&self) -> &Method {
        self.0.method()
    }
    fn name(&self) -> &'static str {
        "binary"
    }
    fn text(&self) -> &'static str {
        ""
    }
    fn digest(&self) -> [u8; 32] {
        [2; 32]
    }
}

fn policy() -> Outcome<Policy> {
    let rules = anon_script::builtin("rsna-v17").ok_or("rsna-v17 is not built in")?;
    let rules = std::sync::Arc::new(KeepBinary(rules));
    Ok(Policy::new(rules, "123456789", "PROJECT"))
}

/// A length field: its offset, its bytes, and the tag of its element.
type LengthField = (usize, usize, Tag);

fn number(bytes: &[u8], syntax: Syntax) -> u32 {
    let join = |sum, byte: &u8| sum << 8 | u32::from(*byte);
    if syntax == Syntax::ExplicitBig {
        bytes.iter().fold(0, join)
    } else {
        bytes.iter().rev().fold(0, join)
    }
}

/// The length fields of all elements, items and delimiters. Values in UN are not entered.
fn length_fields(data: &[u8], syntax: Syntax) -> Vec<LengthField> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 8 <= data.len() {
        let half = |at: usize| number(&data[at..at + 2], syntax) as u16;
        let tag = Tag(half(at), half(at + 2));
        let letters = &data[at + 4..at + 6];
        let is_explicit = syntax != Syntax::ImplicitLittle && tag.0 != 0xFFFE;
        let is_long = [
            b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT",
        ]
        .contains(&letters.first_chunk().unwrap_or(&[0; 2]));
        let (field, width) = match (is_explicit, is_long) {
            (true, true) => (at + 8, 4),
            (true, false) => (at + 6, 2),
            (false, _) => (at + 4, 4),
        };
        found.push((field, width, tag));
        let len = number(&data[field..field + width], syntax);
        at = field + width;
        let items = [&[0xFE, 0xFF, 0x00, 0xE0], &[0xFF, 0xFE, 0xE0, 0x00]];
        let is_sequence = (!is_explicit || letters == b"SQ")
            && (len == u32::MAX || items.iter().any(|item| data[at..].starts_with(*item)));
        if tag.0 != 0xFFFE && !is_sequence {
            at += len as usize;
        }
    }
    found
}

/// The tokens that the rules do not keep, by their first four bytes.
type Removed<'c> = HashMap<&'c [u8], Vec<&'c Canary>>;

fn removed<'c>(canaries: &'c Canaries, rules: &dyn Rules) -> Removed<'c> {
    let mut removed = Removed::new();
    for canary in canaries {
        let is_kept = (0..)
            .zip(canary.path())
            .all(|(depth, tag)| matches!(rules.action(Element::nested(*tag, depth)), Action::Keep));
        if !is_kept {
            let begin = canary.token().get(..4).unwrap_or_default();
            removed.entry(begin).or_default().push(canary);
        }
    }
    removed
}

fn leaked<'c>(output: &[u8], removed: &Removed<'c>) -> Option<&'c Canary> {
    (0..output.len().saturating_sub(4)).find_map(|at| {
        let here = &output[at..];
        let canaries = removed.get(&here[..4])?;
        canaries
            .iter()
            .find(|canary| here.starts_with(canary.token()))
            .copied()
    })
}

/// Flips each bit of each length field. Returns how many of the damaged objects were stored.
fn flip_all(name: &str, mut object: DataSet, syntax: Syntax) -> Outcome<usize> {
    let policy = policy()?;
    // Pixels of a few bytes: nothing is planted in them.
    object.set(PIXELS, VR::OW, vec![7_u16; 8]);
    let canaries = Canaries::plant(&mut object);
    let removed = removed(&canaries, &*policy.rules);
    let mut data = object.write_data_set(syntax);
    let mut stored = 0;
    for (field, width, tag) in length_fields(&data.clone(), syntax) {
        for bit in 0..width * 8 {
            let mask = 1 << (bit % 8);
            data[field + bit / 8] ^= mask;
            let source = Source::part10(&data).as_data_set(syntax.uid());
            if let Ok(plan) = plan(&policy, source) {
                let output = plan.apply(&names(plan.wanted()))?.to_vec()?;
                stored += 1;
                if let Some(canary) = leaked(&output, &removed) {
                    let (from, uid) = (canary.path(), syntax.uid());
                    return Err(format!("{name} {uid}: bit {bit} of {tag}: {from:?}").into());
                }
            }
            data[field + bit / 8] ^= mask;
        }
    }
    Ok(stored)
}

#[test]
fn a_flipped_bit_in_a_length_brings_no_removed_value_into_the_output() -> Outcome {
    let place = Place::new(1);
    for syntax in SYNTAXES {
        for (name, object) in [
            ("ct_small", ct_small(&place)),
            ("everything_phi", everything_phi(&place)),
            ("sr", sr(&place)),
        ] {
            let stored = flip_all(name, object, syntax)?;
            assert!(stored > 0, "{name}: each was refused");
        }
    }
    Ok(())
}
