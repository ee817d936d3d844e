//! Properties of every well-formed data set, in every encoding.

use std::collections::BTreeMap;

use anon_engine::Policy;
use anon_script::rules::Action;
use dicom_core::Tag;
use proptest::prelude::*;

use super::build::{Enc, Lengths, Object, Table, UNDEFINED, holds, part10, read, run};

/// The text of removed values.
const CANARY: &str = "CANARY";

/// An element of a random data set, by the action of the rules of [`policy`].
#[derive(Debug, Clone)]
enum Node {
    Kept(String),
    Removed(String),
    Name,
    Uid(u8),
    Date(bool),
    Private,
    Unknown(Vec<BTreeMap<u8, Node>>, bool),
    Sequence(Vec<BTreeMap<u8, Node>>, bool),
    RemovedSequence(Vec<BTreeMap<u8, Node>>, bool),
}

impl Node {
    /// Returns the `at`-th tag of its data set. The rules depend on the group only.
    fn tag(&self, at: u8) -> Tag {
        // No standard element has these numbers.
        let element = 0xF000 + u16::from(at);
        match self {
            Self::Kept(_) => Tag(0x0018, element),
            Self::Removed(_) => Tag(0x0032, element),
            Self::Name => Tag(0x0010, 0x0010),
            Self::Uid(_) => Tag(0x0020, element),
            Self::Date(_) => Tag(0x0022, element),
            Self::Private => Tag(0x0033, 0x1000 + u16::from(at)),
            Self::Unknown(..) => Tag(0x0034, element),
            Self::Sequence(..) => Tag(0x0036, element),
            Self::RemovedSequence(..) => Tag(0x0038, element),
        }
    }

    fn write(&self, enc: Enc, at: u8) -> Vec<u8> {
        let tag = self.tag(at);
        let lengths = |defined: &bool| {
            if *defined {
                Lengths::Defined
            } else {
                Lengths::Undefined
            }
        };
        let items = |enc, items: &[BTreeMap<u8, Self>]| -> Vec<Vec<u8>> {
            items.iter().map(|item| write_all(enc, item)).collect()
        };
        match self {
            Self::Kept(text) => enc.text(tag, "LO", text),
            Self::Removed(text) => enc.text(tag, "UT", &format!("{CANARY}{text}")),
            Self::Name => enc.text(tag, "PN", "CANARY^NAME"),
            Self::Uid(n) => enc.text(tag, "UI", &format!("1.2.3.{n}\\1.7.7777.{n}")),
            Self::Date(good) => enc.text(tag, "DA", if *good { "20200229" } else { "CANARY" }),
            Self::Private => enc.element(tag, "UN", b"CANARY"),
            Self::Unknown(content, defined) => {
                // Always in implicit VR little endian (PS3.5 section 6.2.2).
                let inner = items(Enc::Implicit, content);
                let inside = Enc::Implicit.sequence(tag, &inner, lengths(defined));
                let len = if *defined {
                    inside.len() as u32 - 8
                } else {
                    UNDEFINED
                };
                let inside = inside.get(8..).unwrap_or_default();
                [enc.header(tag, "UN", len), inside.to_vec()].concat()
            }
            Self::Sequence(content, defined) | Self::RemovedSequence(content, defined) => {
                enc.sequence(tag, &items(enc, content), lengths(defined))
            }
        }
    }
}

fn write_all(enc: Enc, nodes: &BTreeMap<u8, Node>) -> Vec<u8> {
    let mut by_tag: BTreeMap<(u16, u16), Vec<u8>> = BTreeMap::new();
    for (at, node) in nodes {
        let tag = node.tag(*at);
        by_tag.insert((tag.0, tag.1), node.write(enc, *at));
    }
    by_tag.into_values().flatten().collect()
}

fn nodes() -> impl Strategy<Value = BTreeMap<u8, Node>> {
    let leaf = prop_oneof![
        "[a-z ]{0,20}".prop_map(Node::Kept),
        "[a-z ]{0,20}".prop_map(Node::Removed),
        Just(Node::Name),
        any::<u8>().prop_map(Node::Uid),
        any::<bool>().prop_map(Node::Date),
        Just(Node::Private),
    ];
    let node = leaf.prop_recursive(5, 60, 4, |inner| {
        let items = || {
            let item = prop::collection::btree_map(0..40_u8, inner.clone(), 0..4);
            prop::collection::vec(item, 0..3)
        };
        prop_oneof![
            (items(), any::<bool>()).prop_map(|(items, defined)| Node::Sequence(items, defined)),
            (items(), any::<bool>()).prop_map(|(items, defined)| Node::Unknown(items, defined)),
            (items(), any::<bool>())
                .prop_map(|(items, defined)| Node::RemovedSequence(items, defined)),
        ]
    });
    prop::collection::btree_map(0..40_u8, node, 0..8)
}

/// Keeps groups 18, 34 and 36; replaces UIDs in 20; shifts dates in 22; removes the rest.
#[derive(Debug)]
struct ByGroup(Table);

impl anon_script::rules::Rules for ByGroup {
    fn action(&self, element: anon_script::rules::Element) -> &Action {
        const KEEP: Action = Action::Keep;
        match element.tag {
            Tag(0x0018 | 0x0034 | 0x0036, 0xF000..) => &KEEP,
            Tag(0x0020, 0xF000..) => &Action::Uid,
            Tag(0x0022, 0xF000..) => &Action::ShiftDate,
            _ => self.0.action(element),
        }
    }
    fn method(&self) -> &anon_script::rules::Method {
        self.0.method()
    }
    fn name(&self) -> &'static str {
        "by group"
    }
    fn text(&self) -> &'static str {
        ""
    }
    fn digest(&self) -> [u8; 32] {
        [1; 32]
    }
}

fn policy() -> Policy {
    Policy::new(std::sync::Arc::new(ByGroup(Table::new())), "1", "P")
}

fn object(enc: Enc, nodes: &BTreeMap<u8, Node>, pixels: &[u8]) -> Object {
    let mut object = Object::new(enc);
    for (at, node) in nodes {
        if !matches!(node, Node::Name) {
            object = object.raw(node.tag(*at), node.write(enc, *at));
        }
    }
    object.element(Tag(0x7FE0, 0x0010), "OW", pixels)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// Removed values are not in the output, pixels are unchanged, an independent reader reads the
    /// output, and the output as input keeps its structure.
    #[test]
    fn outputs_are_clean_and_well_formed(nodes in nodes(), pixels in prop::collection::vec(any::<u8>(), 0..100)) {
        let pixels = [pixels.clone(), pixels].concat();
        for (enc, syntax) in Enc::ALL {
            let input = object(enc, &nodes, &pixels).part10(syntax);
            let output = run(&policy(), &input).map_err(|refusal| TestCaseError::fail(refusal.reason))?;
            prop_assert!(!holds(&output, CANARY.as_bytes()));
            prop_assert!(output.ends_with(&pixels));
            prop_assert_eq!(output.len() % 2, 0);
            let again = run(&policy(), &output).map_err(|refusal| TestCaseError::fail(refusal.reason))?;
            prop_assert_eq!(again.len(), output.len());
            // dicom-object does not read UN that holds items.
            let has_unknown = format!("{nodes:?}").contains("Unknown");
            if !has_unknown {
                let read = read(&output).map_err(|error| TestCaseError::fail(error.to_string()))?;
                let name = read.element(Tag(0x0010, 0x0020)).map_err(|e| TestCaseError::fail(e.to_string()))?;
                let name = name.to_str().unwrap_or_default();
                prop_assert_eq!(name.trim_end(), "123456789-000001");
            }
        }
    }

    /// An object that is cut or has a changed byte gives an output or a refusal, never a panic; the
    /// same from memory and from a file.
    #[test]
    fn damaged_objects_never_panic(nodes in nodes(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        for (enc, syntax) in Enc::ALL {
            let mut input = object(enc, &nodes, &[1, 2]).part10(syntax);
            let at = at.index(input.len());
            if cut {
                input.truncate(at);
            } else {
                input[at] = byte;
            }
            let _ = run(&policy(), &input);
        }
    }

    /// Random bytes after preamble and file meta.
    #[test]
    fn random_bytes_never_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for syntax in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"] {
            let _ = run(&policy(), &part10(syntax, &noise));
        }
        let _ = run(&policy(), &noise);
    }
}
