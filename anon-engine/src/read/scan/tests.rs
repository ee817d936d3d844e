//! The fast path and the slow path read the same headers.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{ElementContent, Encoding, FrameKind, Header, ScanError, Token, Walk};
use crate::limits::Limits;
use crate::read::input::{BytesInput, FileInput, ReadError};
use crate::read::scan::Input;

/// A token, and the header if it is an element.
type Step = (Token, Option<Header>);

/// Returns all steps of a walk that enters every sequence, and the error that ended it.
fn walk_all(input: impl Input, encoding: Encoding, fast: bool) -> (Vec<Step>, Option<ScanError>) {
    let limits = Limits {
        max_elements: 8,
        ..Limits::default()
    };
    let mut walk = Walk::new(input, 0, encoding, &limits);
    let mut steps = Vec::new();
    let error = walk_on(&mut walk, &mut steps, fast).err();
    (steps, error)
}

fn walk_on(
    walk: &mut Walk<impl Input>,
    steps: &mut Vec<Step>,
    fast: bool,
) -> Result<(), ScanError> {
    walk.detect_encoding()?;
    loop {
        let mut header = Header::NONE;
        let token = if fast && walk.next_simple(&mut header) {
            Token::Element
        } else {
            walk.next(&mut header)?
        };
        steps.push((token, (token == Token::Element).then_some(header)));
        match token {
            Token::Element => match walk.content(&header)? {
                ElementContent::Sequence(inner) => walk.enter(&header, inner)?,
                ElementContent::Value | ElementContent::Fragments => walk.skip(&header)?,
            },
            Token::End => return Ok(()),
            _ => {}
        }
    }
}

/// Generates an element, an item or a delimiter, nearly always well-formed.
pub(crate) fn piece() -> impl Strategy<Value = Vec<u8>> {
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

/// Generates a well-formed element with the VR of PS3.6. Some values do not fit the VR.
pub(crate) fn element() -> impl Strategy<Value = Vec<u8>> {
    let kind = select(vec![
        (0x0008_0016_u32, *b"UI"),
        (0x0008_0060, *b"CS"),
        (0x0008_0070, *b"LO"),
        (0x0010_0010, *b"PN"),
        (0x0010_1010, *b"AS"),
        (0x0018_0050, *b"DS"),
        (0x0020_0013, *b"IS"),
        (0x0028_0002, *b"US"),
        (0x0028_0010, *b"US"),
        (0x7FE0_0001, *b"OV"),
    ]);
    let value = select(vec![
        &b""[..],
        b"1",
        b"12",
        b"12345678",
        b"\xFE\xFF\x00\xE0\0\0\0\0",
        b"\xFF\xFE\xE0\x00\0\0\0\0",
        b"\xFE\xFF\x00\xE0\x09\0\0\0",
        &[b'x'; 64],
        &[b'9'; 66],
    ]);
    let parts = (kind, value, any::<bool>());
    parts.prop_map(|((number, letters), value, implicit)| {
        let [e0, e1, g0, g1] = number.to_le_bytes();
        let len = u32::try_from(value.len()).expect("short");
        let mut bytes = vec![g0, g1, e0, e1];
        match letters {
            _ if implicit => {}
            [b'O', _] => {
                bytes.extend(letters);
                bytes.extend([0, 0]);
            }
            _ => {
                bytes.extend(letters);
                bytes.extend(u16::try_from(len).expect("short").to_le_bytes());
                bytes.extend(value);
                return bytes;
            }
        }
        bytes.extend(len.to_le_bytes());
        bytes.extend(value);
        bytes
    })
}

/// Generates a sequence of one item that holds a piece. The piece may show another encoding.
pub(crate) fn sequence() -> impl Strategy<Value = Vec<u8>> {
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
    fn the_fast_path_reads_what_the_slow_path_reads(
        pieces in vec(prop_oneof![3 => piece(), 1 => sequence()], 0..12),
        cut in 0_usize..20,
        encoding in select(vec![Encoding::ImplicitLe, Encoding::ExplicitLe, Encoding::ExplicitBe]),
    ) {
        let mut bytes = pieces.concat();
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(10)));
        let slow = walk_all(BytesInput(&bytes), encoding, false);
        prop_assert_eq!(walk_all(BytesInput(&bytes), encoding, true), slow.clone());
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, &bytes).expect("written");
        let windowed = FileInput::new(&file, bytes.len() as u64);
        prop_assert_eq!(walk_all(windowed, encoding, true), slow);
    }
}

/// The letters and length of an explicit element could be an implicit length that fits.
#[test]
fn an_explicit_item_in_an_implicit_data_set_is_recognized() {
    let sequence = [0x40, 0, 0x30, 0xA7, 0xFF, 0xFF, 0xFF, 0xFF];
    let item = [0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];
    let explicit = [8, 0, 0x80, 0, b'L', b'O', 2, 0, b'a', b'b'];
    let bytes = [&sequence[..], &item, &explicit, &vec![0; 200_000]].concat();
    let slow = walk_all(BytesInput(&bytes), Encoding::ImplicitLe, false);
    let fast = walk_all(BytesInput(&bytes), Encoding::ImplicitLe, true);
    assert_eq!(fast, slow);
    let headers = fast.0.iter().filter_map(|(_, header)| *header);
    let found = headers
        .filter(|header| header.tag().1 == 0x80)
        .map(|header| (header.encoding, header.len))
        .next();
    assert_eq!(found, Some((Encoding::ExplicitLe, 2)));
}

/// The property above is worth something only if most elements take the fast path.
#[test]
fn ordinary_elements_take_the_fast_path() {
    let value = |tag: u8| [8, 0, tag, 0, b'L', b'O', 2, 0, b'a', b'b'];
    let bytes = [value(0x10), value(0x20), value(0x30)].concat();
    let limits = Limits::default();
    let mut walk = Walk::new(BytesInput(&bytes), 0, Encoding::ExplicitLe, &limits);
    walk.detect_encoding().expect("an encoding");
    let mut header = Header::NONE;
    for _ in 0..3 {
        assert!(walk.next_simple(&mut header));
        walk.skip(&header).expect("a value");
    }
    assert!(!walk.next_simple(&mut header), "the end");
    assert_eq!(walk.next(&mut header), Ok(Token::End));
    assert!(walk.stack.iter().all(|frame| frame.kind == FrameKind::Root));
}

/// Counts reads.
struct CountedInput<'a> {
    bytes: BytesInput<'a>,
    reads: &'a Cell<usize>,
}

impl Input for CountedInput<'_> {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn window(&mut self, at: u64, want: usize) -> Result<&[u8], ReadError> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.window(at, want)
    }
}

#[test]
fn zeros_behind_many_elements_without_a_vr_are_read_once() {
    let pair = [
        [9, 0, 1, 0x10, b'?', b'?', 0, 0],
        // As a length this tag is 65,545, which ends among the zeros.
        [9, 0, 1, 0, b'L', b'O', 0, 0],
    ];
    let bytes = [&pair.concat().repeat(500)[..], &vec![0; 4 << 20], &[1]].concat();
    let reads = Cell::new(0);
    let input = CountedInput {
        bytes: BytesInput(&bytes),
        reads: &reads,
    };
    let mut walk = Walk::new(input, 0, Encoding::ExplicitLe, &Limits::default());
    let mut header = Header::NONE;
    let mut elements = 0;
    let error = loop {
        match walk.next(&mut header) {
            Ok(_) => elements += 1,
            Err(error) => break error,
        }
        walk.skip(&header).expect("a value");
    };
    assert_eq!((elements, error.at), (1000, 16 * 500));
    // The zeros take 128 reads.
    assert!(reads.get() < 10_000, "{} reads", reads.get());
}

#[test]
fn repeated_elements_are_compared_in_few_reads() {
    let long = [
        &[8, 0, 0x70, 0, b'U', b'T', 0, 0, 0, 0, 0x10, 0][..],
        &vec![b'a'; 1 << 20],
    ]
    .concat();
    let bytes = [&long[..], &long].concat();
    let reads = Cell::new(0);
    let input = CountedInput {
        bytes: BytesInput(&bytes),
        reads: &reads,
    };
    let mut walk = Walk::new(input, 0, Encoding::ExplicitLe, &Limits::default());
    walk.sort().expect("an order");
    let mut header = Header::NONE;
    assert_eq!(walk.next(&mut header), Ok(Token::Element));
    walk.skip(&header).expect("a value");
    assert_eq!(walk.next(&mut header), Ok(Token::End));
    assert!(reads.get() < 100, "{} reads", reads.get());
}

#[test]
fn values_like_many_headers_are_searched_for_a_limited_time() {
    // Each is the header of Rows (0028,0010) with a length that ends inside the value, at another one.
    let pattern = [0x28, 0, 0x10, 0, 0, 0, 0x08, 0];
    let value = pattern.repeat(1 << 20);
    let len = u32::try_from(value.len()).expect("8 MiB");
    let bytes = [&[9, 0, 0x10, 0x10][..], &len.to_le_bytes(), &value].concat();
    let reads = Cell::new(0);
    let input = CountedInput {
        bytes: BytesInput(&bytes),
        reads: &reads,
    };
    let mut walk = Walk::new(input, 0, Encoding::ImplicitLe, &Limits::default());
    let mut header = Header::NONE;
    assert_eq!(walk.next(&mut header), Ok(Token::Element));
    // Not certain is not kept.
    assert_eq!(walk.holds_elements(&header), Ok(true));
    assert!(reads.get() < 1_000_000, "{} reads", reads.get());
}
