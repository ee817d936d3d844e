//! What is read in few steps is what is read in many.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Encoding, Fault, Header, Kind, Shape, Token, Walk};
use crate::input::{Memory, Windowed};
use crate::limits::Limits;
use crate::scan::Input;

/// All tokens of a walk that enters what it can, and what it ends with.
fn walked(
    input: impl Input,
    encoding: Encoding,
    in_few_steps: bool,
) -> (Vec<Token>, Option<Fault>) {
    let limits = Limits {
        max_elements: 8,
        ..Limits::default()
    };
    let mut walk = Walk::new(input, 0, encoding, &limits);
    let mut tokens = Vec::new();
    let fault = walk_on(&mut walk, &mut tokens, in_few_steps).err();
    (tokens, fault)
}

fn walk_on(
    walk: &mut Walk<impl Input>,
    tokens: &mut Vec<Token>,
    in_few_steps: bool,
) -> Result<(), Fault> {
    walk.settle()?;
    loop {
        let mut header = Header::NONE;
        let token = if in_few_steps && walk.brief(&mut header) {
            Token::Element(header)
        } else {
            walk.next()?
        };
        tokens.push(token);
        match token {
            Token::Element(header) => match walk.shape(&header)? {
                Shape::Sequence(inner) => walk.enter(&header, inner)?,
                Shape::Value | Shape::Fragments => walk.pass(&header)?,
            },
            Token::End => return Ok(()),
            _ => {}
        }
    }
}

/// An element, an item or a delimiter, nearly always well-formed.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let group = select(vec![
        0_u16, 2, 8, 8, 8, 0x10, 0x20, 0x28, 0x40, 9, 0x7FE0, 0xFFFC, 0xFFFE, 0xFFFE,
    ]);
    let element = select(vec![
        0_u16, 5, 0x10, 0x18, 0x1140, 0xA730, 0xE000, 0xE000, 0xE00D, 0xE0DD, 0xFFFC,
    ]);
    let letters = select(vec![
        *b"UI",
        *b"LO",
        *b"PN",
        *b"US",
        *b"SQ",
        *b"UN",
        *b"OB",
        *b"UT",
        *b"ZZ",
        *b"lo",
        [0, 0],
        [4, 0],
    ]);
    let length = prop_oneof![
        6 => Just(None),
        1 => select(vec![0_u32, 1, 7, 8, 20, 70_000, u32::MAX - 1, u32::MAX]).prop_map(Some),
    ];
    let parts = (group, element, letters, length, 0_usize..4, any::<u8>());
    parts.prop_map(|(group, element, letters, length, units, fill)| {
        let value = vec![fill; units * 4];
        let length = length.unwrap_or(u32::try_from(value.len()).expect("short"));
        let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
        match letters {
            _ if group == 0xFFFE => bytes.extend(length.to_le_bytes()),
            [4, 0] => bytes.extend(length.to_le_bytes()),
            [b'S', b'Q'] | [b'U', b'N' | b'T'] | [b'O', _] => {
                bytes.extend(letters);
                bytes.extend([0, 0]);
                bytes.extend(length.to_le_bytes());
            }
            _ => {
                bytes.extend(letters);
                bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
            }
        }
        bytes.extend(value);
        bytes
    })
}

/// A sequence with one item around a piece, whose first element may show another encoding.
fn sequence() -> impl Strategy<Value = Vec<u8>> {
    (piece(), any::<bool>()).prop_map(|(piece, explicit)| {
        let header: &[u8] = if explicit { b"SQ\0\0" } else { &[] };
        [
            &[0x40, 0, 0x30, 0xA7],
            header,
            &[0xFF; 4],
            &[0xFE, 0xFF, 0, 0xE0],
            &[0xFF; 4],
            &*piece,
            &[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0],
            &[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0],
        ]
        .concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn few_steps_find_what_many_find(
        pieces in vec(prop_oneof![3 => piece(), 1 => sequence()], 0..12),
        cut in 0_usize..20,
        encoding in select(vec![Encoding::ImplicitLe, Encoding::ExplicitLe, Encoding::ExplicitBe]),
    ) {
        let mut bytes = pieces.concat();
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(10)));
        let many = walked(Memory(&bytes), encoding, false);
        prop_assert_eq!(walked(Memory(&bytes), encoding, true), many.clone());
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, &bytes).expect("written");
        let windowed = Windowed::new(&file, bytes.len() as u64);
        prop_assert_eq!(walked(windowed, encoding, true), many);
    }
}

/// Letters and length of an explicit element can be a length of an implicit one that fits.
#[test]
fn the_first_element_of_an_item_is_looked_at_twice() {
    let sequence = [0x40, 0, 0x30, 0xA7, 0xFF, 0xFF, 0xFF, 0xFF];
    let item = [0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];
    let explicit = [8, 0, 0x80, 0, b'L', b'O', 2, 0, b'a', b'b'];
    let bytes = [&sequence[..], &item, &explicit, &vec![0; 200_000]].concat();
    let many = walked(Memory(&bytes), Encoding::ImplicitLe, false);
    let few = walked(Memory(&bytes), Encoding::ImplicitLe, true);
    assert_eq!(few, many);
    let found = few.0.iter().find_map(|token| match token {
        Token::Element(header) if header.tag.1 == 0x80 => Some((header.encoding, header.len)),
        _ => None,
    });
    assert_eq!(found, Some((Encoding::ExplicitLe, 2)));
}

/// The property is worth something only if most elements are read in few steps.
#[test]
fn few_steps_are_enough_for_most() {
    let value = |tag: u8| [8, 0, tag, 0, b'L', b'O', 2, 0, b'a', b'b'];
    let bytes = [value(0x10), value(0x20), value(0x30)].concat();
    let limits = Limits::default();
    let mut walk = Walk::new(Memory(&bytes), 0, Encoding::ExplicitLe, &limits);
    walk.settle().expect("an encoding");
    let mut header = Header::NONE;
    for _ in 0..3 {
        assert!(walk.brief(&mut header));
        walk.pass(&header).expect("a value");
    }
    assert!(!walk.brief(&mut header), "the end");
    assert_eq!(walk.next(), Ok(Token::End));
    assert!(walk.stack.iter().all(|frame| frame.kind == Kind::Root));
}
