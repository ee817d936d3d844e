//! The fast path and the slow path keep the same bytes.

use std::sync::Arc;

use anon_script::rules::{Action, Element, Method, Rules};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Planner;
use crate::deid::policy::Policy;
use crate::deid::template::Piece;
use crate::read::input::BytesInput;
use crate::read::scan::tests::{element, piece, sequence};
use crate::read::scan::{Encoding, Header, ScanError, Walk};

/// Keeps everything.
#[derive(Debug)]
struct Keep(Method);

impl Rules for Keep {
    fn action(&self, _: Element) -> &Action {
        &Action::Keep
    }

    fn method(&self) -> &Method {
        &self.0
    }

    fn name(&self) -> &'static str {
        "keep"
    }

    fn text(&self) -> &'static str {
        "keep"
    }

    fn digest(&self) -> [u8; 32] {
        [1; 32]
    }
}

fn policy() -> Policy {
    Policy::new(Arc::new(Keep(Method::new("KEEP"))), "1", "TEST")
}

/// The pieces and bytes of a template, and the error that ended planning.
type Planned = (Vec<Piece>, Vec<u8>, Option<ScanError>);

fn planned(bytes: &[u8], read: Encoding, written: Encoding, thorough: bool) -> Planned {
    let policy = policy();
    let mut walk = Walk::new(BytesInput(bytes), 0, read, &policy.limits);
    if let Err(error) = walk.detect_encoding() {
        return (Vec::new(), Vec::new(), Some(error));
    }
    let mut planner = Planner::new(&policy, None, walk, written);
    planner.thorough = thorough;
    let error = planner.run().err();
    let (template, ..) = planner.finish();
    (template.pieces.clone(), template.arena.clone(), error)
}

fn encoding() -> impl Strategy<Value = Encoding> {
    select(vec![
        Encoding::ImplicitLe,
        Encoding::ExplicitLe,
        Encoding::ExplicitBe,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_path_keeps_what_the_slow_path_keeps(
        pieces in vec(prop_oneof![3 => element(), 2 => piece(), 1 => sequence()], 0..8),
        sorted in any::<bool>(),
        read in encoding(),
        written in encoding(),
    ) {
        let mut pieces = pieces;
        if sorted {
            pieces.sort_by_key(|piece| [piece[1], piece[0], piece[3], piece[2]]);
            pieces.dedup_by_key(|piece| [piece[1], piece[0], piece[3], piece[2]]);
        }
        let bytes = pieces.concat();
        for written in [read, written] {
            let slow = planned(&bytes, read, written, true);
            prop_assert_eq!(planned(&bytes, read, written, false), slow);
        }
    }
}

/// The property above is worth something only if most elements take the fast path.
#[test]
fn ordinary_elements_are_kept_on_the_fast_path() {
    let value = |tag: u8, vr: &[u8; 2]| [&[8, 0, tag, 0], &vr[..], &[2, 0, b'1', b'2']].concat();
    // The last one has no eight bytes from its value on.
    let bytes = [
        value(0x60, b"CS"),
        value(0x70, b"LO"),
        value(0x80, b"LO"),
        value(0x81, b"ST"),
    ]
    .concat();
    planned(&bytes, Encoding::ExplicitLe, Encoding::ExplicitLe, true);
    let policy = policy();
    let walk = Walk::new(BytesInput(&bytes), 0, Encoding::ExplicitLe, &policy.limits);
    let mut planner = Planner::new(&policy, None, walk, Encoding::ExplicitLe);
    planner.walk.detect_encoding().expect("an encoding");
    let mut header = Header::NONE;
    for _ in 0..3 {
        assert!(planner.walk.next_simple(&mut header));
        assert!(planner.keep_simple(&header), "{}", header.tag());
    }
}

/// The fast path does not check the memory budget, so it must not allocate.
#[test]
fn the_fast_path_does_not_allocate() {
    let element = [8, 0, 0x60, 0, b'C', b'S', 2, 0, b'C', b'T'];
    let bytes = [element, [8, 0, 0x64, 0, b'C', b'S', 2, 0, b'D', b'V']].concat();
    planned(&bytes, Encoding::ExplicitLe, Encoding::ExplicitLe, true);
    let policy = policy();
    let walk = Walk::new(BytesInput(&bytes), 0, Encoding::ExplicitLe, &policy.limits);
    let mut planner = Planner::new(&policy, None, walk, Encoding::ExplicitLe);
    planner.walk.detect_encoding().expect("an encoding");
    let mut header = Header::NONE;
    assert!(planner.walk.next_simple(&mut header));
    let pieces = std::mem::take(&mut planner.template.pieces);
    assert!(!planner.keep_simple(&header));
    assert_eq!(planner.template.pieces, []);
    planner.template.pieces = pieces;
    assert!(planner.keep_simple(&header));
}
