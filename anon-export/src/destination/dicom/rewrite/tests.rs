//! Rewriting against an encoder that shares no code with it.

use dicom_core::Tag;
use proptest::prelude::*;

use super::encoding::{Encoding, Form};
use super::vr::Vr;
use super::*;

/// An element of a data set. Numbers are little endian.
#[derive(Debug, Clone, PartialEq)]
struct Element {
    tag: (u16, u16),
    vr: &'static str,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    Value(Vec<u8>),
    /// Items, each with whether its length is defined, and whether the sequence's is.
    Items(Vec<(Vec<Element>, bool)>, bool),
}

/// Elements of PS3.6, one for each VR, and the length of one number.
const PUBLIC: [((u16, u16), &str, usize); 35] = [
    ((0x0008, 0x0018), "UI", 1),
    ((0x0008, 0x0020), "DA", 1),
    ((0x0008, 0x0030), "TM", 1),
    ((0x0008, 0x002A), "DT", 1),
    ((0x0008, 0x0050), "SH", 1),
    ((0x0008, 0x0054), "AE", 1),
    ((0x0008, 0x0060), "CS", 1),
    ((0x0008, 0x0119), "UC", 1),
    ((0x0008, 0x0120), "UR", 1),
    ((0x0010, 0x0010), "PN", 1),
    ((0x0010, 0x0020), "LO", 1),
    ((0x0010, 0x1010), "AS", 1),
    ((0x0010, 0x21B0), "LT", 1),
    ((0x0008, 0x0081), "ST", 1),
    ((0x0018, 0x0050), "DS", 1),
    ((0x0020, 0x0013), "IS", 1),
    ((0x0040, 0xA160), "UT", 1),
    ((0x0042, 0x0011), "OB", 1),
    ((0x0028, 0x0009), "AT", 2),
    ((0x0028, 0x0010), "US", 2),
    ((0x0018, 0x9219), "SS", 2),
    ((0x0028, 0x1201), "OW", 2),
    ((0x5400, 0x1010), "OW", 2),
    ((0x6002, 0x3000), "OW", 2),
    ((0x7FE0, 0x0010), "OW", 2),
    ((0x0008, 0x1161), "UL", 4),
    ((0x0018, 0x6020), "SL", 4),
    ((0x0072, 0x0076), "FL", 4),
    ((0x0066, 0x0016), "OF", 4),
    ((0x0066, 0x0040), "OL", 4),
    ((0x0018, 0x9087), "FD", 8),
    ((0x7FE0, 0x0009), "OD", 8),
    ((0x7FE0, 0x0001), "OV", 8),
    ((0x0072, 0x0082), "SV", 8),
    ((0x0072, 0x0083), "UV", 8),
];

const SEQUENCES: [(u16, u16); 3] = [(0x0008, 0x1140), (0x0040, 0xA730), (0x5200, 0x9229)];

fn element(tag: (u16, u16), vr: &'static str, value: &[u8]) -> Element {
    let content = Content::Value(value.to_vec());
    Element { tag, vr, content }
}

fn is_private(tag: (u16, u16)) -> bool {
    tag.0 % 2 == 1
}

/// Encodes elements. With `is_rewritten`, every sequence and item has undefined length.
fn encode(elements: &[Element], form: Form, is_rewritten: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for Element { tag, vr, content } in elements {
        match content {
            Content::Value(value) => {
                let swapped = if form.big_endian {
                    swapped(value, vr)
                } else {
                    value.clone()
                };
                head(&mut out, *tag, vr, Some(value.len()), form);
                out.extend(swapped);
            }
            Content::Items(items, is_defined) => {
                let mut inner = Vec::new();
                for (item, is_defined) in items {
                    let item = encode(item, form, is_rewritten);
                    let is_defined = *is_defined && !is_rewritten;
                    let length = is_defined.then_some(item.len());
                    head(&mut inner, (0xFFFE, 0xE000), "", length, form);
                    inner.extend(item);
                    if !is_defined {
                        head(&mut inner, (0xFFFE, 0xE00D), "", Some(0), form);
                    }
                }
                let is_defined = *is_defined && !is_rewritten;
                let length = is_defined.then_some(inner.len());
                head(&mut out, *tag, vr, length, form);
                out.extend(inner);
                if !is_defined {
                    head(&mut out, (0xFFFE, 0xE0DD), "", Some(0), form);
                }
            }
        }
    }
    out
}

fn head(out: &mut Vec<u8>, tag: (u16, u16), vr: &str, length: Option<usize>, form: Form) {
    let length = length.map_or(u32::MAX, |length| u32::try_from(length).unwrap());
    let short = |number: u16| {
        if form.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let long = if form.big_endian {
        length.to_be_bytes()
    } else {
        length.to_le_bytes()
    };
    out.extend([short(tag.0), short(tag.1)].concat());
    let is_long = [
        "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
    ];
    if !form.explicit || vr.is_empty() {
        out.extend(long);
    } else if is_long.contains(&vr) {
        out.extend([vr.as_bytes(), &[0, 0], &long].concat());
    } else {
        out.extend([vr.as_bytes(), &short(u16::try_from(length).unwrap())].concat());
    }
}

fn swapped(value: &[u8], vr: &str) -> Vec<u8> {
    let unit = PUBLIC
        .iter()
        .find(|(_, of, _)| *of == vr)
        .map_or(1, |(.., unit)| *unit);
    value
        .chunks(unit)
        .flat_map(|number| number.iter().rev().copied())
        .collect()
}

/// Returns the elements as they are after conversion to implicit VR and back: private ones lose
/// their VR.
fn through_implicit(elements: &[Element]) -> Vec<Element> {
    let mut through = elements.to_vec();
    for element in &mut through {
        match &mut element.content {
            Content::Items(items, _) => {
                for (item, _) in items {
                    *item = through_implicit(item);
                }
            }
            Content::Value(_) if is_private(element.tag) => {
                let is_creator = (0x0010..0x0100).contains(&element.tag.1);
                element.vr = if is_creator { "LO" } else { "UN" };
            }
            Content::Value(_) => {}
        }
    }
    through
}

fn rewrite(bytes: &[u8], from: Encoding, to: Encoding) -> Result<Vec<u8>, &'static str> {
    let problem = Problem::default();
    let mut source = bytes;
    let mut out = Vec::new();
    let read = rewritten(&mut source, from, to, &problem).read_to_end(&mut out);
    match read {
        Ok(_) => Ok(out),
        Err(error) => Err(problem.get().unwrap_or_else(|| panic!("{error}"))),
    }
}

#[track_caller]
fn inflated(bytes: &[u8]) -> Vec<u8> {
    rewrite(bytes, Encoding::Deflated, Encoding::ExplicitLittle).unwrap()
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    (0_usize..40).prop_flat_map(|len| proptest::collection::vec(any::<u8>(), len * 8))
}

fn leaf() -> impl Strategy<Value = Element> {
    let public = (0..PUBLIC.len(), value()).prop_map(|(at, value)| {
        let (tag, vr, _) = PUBLIC[at];
        element(tag, vr, &value)
    });
    let private = (0..PUBLIC.len(), value()).prop_map(|(at, value)| {
        let vr = PUBLIC[at].1;
        element((0x0029, 0x1000 + u16::try_from(at).unwrap()), vr, &value)
    });
    let creator = Just(element((0x0029, 0x0010), "LO", b"A CREATOR "));
    let unknown = value().prop_map(|value| element((0x0008, 0x0060), "UN", &value));
    prop_oneof![8 => public, 4 => private, 1 => creator, 1 => unknown]
}

fn elements() -> impl Strategy<Value = Vec<Element>> {
    let level = proptest::collection::vec(leaf(), 0..6);
    level.prop_recursive(3, 24, 4, |inner| {
        let items = proptest::collection::vec((inner, any::<bool>()), 0..3);
        let sequence = (0..SEQUENCES.len() + 1, items, any::<bool>());
        let sequence = sequence.prop_map(|(at, items, is_defined)| {
            // Without a VR, a private sequence is recognized by its undefined length.
            let tag = SEQUENCES.get(at).copied().unwrap_or((0x0029, 0x1080));
            let content = Content::Items(items, is_defined);
            Element {
                tag,
                vr: "SQ",
                content,
            }
        });
        proptest::collection::vec(prop_oneof![2 => leaf(), 1 => sequence], 0..6)
    })
}

/// Returns the elements without those whose VR cannot be known in implicit VR.
fn known_in_implicit(elements: &[Element]) -> Vec<Element> {
    let known = elements
        .iter()
        .filter_map(|element| match &element.content {
            Content::Items(items, is_defined) => {
                let items = items
                    .iter()
                    .map(|(item, it)| (known_in_implicit(item), *it))
                    .collect();
                // A private sequence of defined length is an unknown value there.
                let is_defined = *is_defined && !is_private(element.tag);
                let content = Content::Items(items, is_defined);
                Some(Element {
                    content,
                    ..element.clone()
                })
            }
            Content::Value(_) if is_private(element.tag) || element.vr == "UN" => None,
            Content::Value(_) => Some(element.clone()),
        });
    known
        .filter(|it| {
            !is_private(it.tag)
                || !matches!(&it.content, Content::Items(items, _) if items.is_empty())
        })
        .collect()
}

proptest! {
    #[test]
    fn every_encoding_becomes_every_other(elements in elements()) {
        use Encoding::{Deflated, ExplicitBig, ExplicitLittle, ImplicitLittle};
        let of = |encoding: Encoding, is_rewritten| encode(&elements, encoding.form(), is_rewritten);
        for from in [ExplicitLittle, ExplicitBig] {
            let bytes = of(from, false);
            for to in [ExplicitLittle, ExplicitBig, ImplicitLittle] {
                if from != to {
                    prop_assert_eq!(rewrite(&bytes, from, to), Ok(of(to, true)), "{:?} {:?}", from, to);
                }
            }
        }
        let deflated = rewrite(&of(ExplicitLittle, false), ExplicitLittle, Deflated).unwrap();
        prop_assert_eq!(deflated.len() % 2, 0);
        prop_assert_eq!(inflated(&deflated), of(ExplicitLittle, false));
        prop_assert_eq!(rewrite(&deflated, Deflated, ImplicitLittle), Ok(of(ImplicitLittle, true)));
        let deflated = rewrite(&of(ExplicitBig, false), ExplicitBig, Deflated).unwrap();
        prop_assert_eq!(inflated(&deflated), of(ExplicitLittle, true));
    }

    #[test]
    fn implicit_vr_gets_the_vrs_of_ps3_6(elements in elements()) {
        let elements = known_in_implicit(&elements);
        let implicit = encode(&elements, Form::IMPLICIT, false);
        for to in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
            let expected = encode(&elements, to.form(), true);
            prop_assert_eq!(rewrite(&implicit, Encoding::ImplicitLittle, to), Ok(expected));
        }
    }

    #[test]
    fn there_and_back_gives_the_same_values(elements in elements()) {
        let own = Encoding::ExplicitLittle;
        let bytes = encode(&elements, own.form(), false);
        for other in [Encoding::ExplicitBig, Encoding::Deflated] {
            let back = rewrite(&rewrite(&bytes, own, other).unwrap(), other, own);
            let expected = encode(&elements, own.form(), other != Encoding::Deflated);
            prop_assert_eq!(back, Ok(expected));
        }
        let other = Encoding::ImplicitLittle;
        // UN in a public element becomes the VR of PS3.6.
        let elements: Vec<_> = elements.into_iter().filter(|it| it.vr != "UN" && it.vr != "SQ").collect();
        let bytes = encode(&elements, own.form(), false);
        let back = rewrite(&rewrite(&bytes, own, other).unwrap(), other, own);
        prop_assert_eq!(back, Ok(encode(&through_implicit(&elements), own.form(), true)));
    }

    #[test]
    fn arbitrary_bytes_end_in_bytes_or_a_problem(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        elements in elements(),
        at in any::<proptest::sample::Index>(),
        change in any::<u8>(),
    ) {
        for from in Encoding::ALL {
            let mut damaged = encode(&elements, from.form(), false);
            if !damaged.is_empty() {
                let at = at.index(damaged.len());
                damaged[at] ^= change;
            }
            for to in Encoding::ALL {
                let _ = rewrite(&bytes, from, to);
                let _ = rewrite(&damaged, from, to);
            }
        }
    }

    /// Unless it ends between two elements of the data set itself.
    #[test]
    fn what_is_cut_short_is_a_problem(elements in elements(), at in any::<proptest::sample::Index>()) {
        let from = Encoding::ExplicitLittle;
        let whole = encode(&elements, from.form(), false);
        let starts = (0..=elements.len()).map(|count| {
            encode(&elements[..count], from.form(), false).len()
        });
        let starts: Vec<_> = starts.collect();
        let cut = at.index(whole.len() + 1);
        let result = rewrite(&whole[..cut], from, Encoding::ImplicitLittle);
        prop_assert_eq!(result.is_ok(), starts.contains(&cut), "{:?}", result);
        let deflated = rewrite(&whole, from, Encoding::Deflated).unwrap();
        let cut = at.index(deflated.len().saturating_sub(2).max(1));
        prop_assert!(rewrite(&deflated[..cut], Encoding::Deflated, from).is_err());
    }
}

#[test]
fn the_table_of_these_tests_agrees_with_ps3_6() {
    for (tag, vr, unit) in PUBLIC {
        let known = Vr::of_implicit(Tag(tag.0, tag.1), false);
        assert_eq!(known.letters(), vr.as_bytes(), "{tag:04X?}");
        assert_eq!(known.unit(), unit, "{vr}");
    }
}

#[test]
fn signed_pixels_make_ambiguous_numbers_signed() {
    let implicit = |signed: u8| {
        let item = vec![element((0x0028, 0x3002), "US", &[1, 0, 0, 0, 16, 0])];
        let items = Content::Items(vec![(item, true)], true);
        let elements = [
            element((0x0028, 0x0103), "US", &[signed, 0]),
            element((0x0028, 0x0106), "US", &[0xFE, 0xFF]),
            Element {
                tag: (0x0028, 0x3000),
                vr: "SQ",
                content: items,
            },
        ];
        encode(&elements, Form::IMPLICIT, false)
    };
    for (signed, vr) in [(0, b"US"), (1, b"SS")] {
        for to in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
            let out = rewrite(&implicit(signed), Encoding::ImplicitLittle, to).unwrap();
            let letters = out.windows(2).filter(|it| it == vr).count();
            // Pixel Representation itself is US.
            assert_eq!(letters, 2 + usize::from(signed == 0), "{vr:?} {to:?}");
        }
    }
}

/// PS3.5 section 6.2.2: a length above 65534 bytes does not fit.
#[test]
fn a_value_too_long_for_its_vr_becomes_un() {
    let value = vec![7; 70_000];
    let long = element((0x0028, 0x1101), "US", &value);
    let implicit = encode(std::slice::from_ref(&long), Form::IMPLICIT, false);
    let unknown = element(long.tag, "UN", &value);
    for to in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let out = rewrite(&implicit, Encoding::ImplicitLittle, to);
        // Not swapped: UN is little endian everywhere.
        assert_eq!(
            out,
            Ok(encode(std::slice::from_ref(&unknown), to.form(), true))
        );
    }
}

/// PS3.5 section 6.2.2: UN of undefined length holds implicit VR little endian.
#[test]
fn un_of_undefined_length_becomes_a_sequence() {
    let inner = [
        element((0x0028, 0x0010), "US", &[1, 2]),
        element((0x0009, 0x1001), "UN", &[3, 4]),
    ];
    let items = encode(&inner, Form::IMPLICIT, false);
    for from in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let mut bytes = Vec::new();
        head(&mut bytes, (0x0009, 0x1010), "UN", None, from.form());
        head(&mut bytes, (0xFFFE, 0xE000), "", None, Form::IMPLICIT);
        bytes.extend(&items);
        head(&mut bytes, (0xFFFE, 0xE00D), "", Some(0), Form::IMPLICIT);
        head(&mut bytes, (0xFFFE, 0xE0DD), "", Some(0), Form::IMPLICIT);
        let tail = [element((0x0020, 0x0013), "IS", b"1 ")];
        bytes.extend(encode(&tail, from.form(), false));
        for to in [
            Encoding::ExplicitLittle,
            Encoding::ExplicitBig,
            Encoding::ImplicitLittle,
        ] {
            if from == to {
                continue;
            }
            let content = Content::Items(vec![(inner.to_vec(), false)], false);
            let sequence = Element {
                tag: (0x0009, 0x1010),
                vr: "SQ",
                content,
            };
            let expected = encode(&[&[sequence], &tail[..]].concat(), to.form(), true);
            assert_eq!(rewrite(&bytes, from, to), Ok(expected), "{from:?} {to:?}");
        }
    }
}

#[test]
fn group_lengths_are_left_out() {
    let elements = [
        element((0x0008, 0x0000), "UL", &[10, 0, 0, 0]),
        element((0x0008, 0x0060), "CS", b"CT"),
    ];
    let bytes = encode(&elements, Form::IMPLICIT, false);
    let out = rewrite(&bytes, Encoding::ImplicitLittle, Encoding::ExplicitLittle);
    assert_eq!(
        out,
        Ok(encode(
            &elements[1..],
            Encoding::ExplicitLittle.form(),
            true
        ))
    );
}

#[test]
fn what_cannot_be_rewritten_with_certainty_is_a_problem() {
    let explicit = Encoding::ExplicitLittle.form();
    let mut compressed = Vec::new();
    head(&mut compressed, (0x7FE0, 0x0010), "OB", None, explicit);
    let mut undefined = Vec::new();
    head(&mut undefined, (0x0008, 0x0119), "UC", None, explicit);
    let odd = encode(
        &[element((0x0028, 0x0010), "US", &[1, 2, 3])],
        explicit,
        false,
    );
    let mut no_vr = encode(&[element((0x0028, 0x0010), "US", &[1, 2])], explicit, false);
    no_vr[4..6].copy_from_slice(b"??");
    let deep = vec![0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
    let mut beyond = Vec::new();
    head(&mut beyond, (0x0008, 0x1140), "SQ", Some(12), explicit);
    head(&mut beyond, (0xFFFE, 0xE000), "", Some(100), explicit);
    beyond.resize(200, 0);
    for (bytes, words) in [
        (compressed, "pixel data is compressed"),
        (undefined, "undefined length"),
        (odd, "does not fit its VR"),
        (no_vr, "no valid VR"),
        (deep, "where an element should"),
        (beyond, "longer than the sequence"),
    ] {
        let problem = rewrite(&bytes, Encoding::ExplicitLittle, Encoding::ExplicitBig);
        let problem = problem.expect_err(words);
        assert!(problem.contains(words), "{problem}");
    }
    let nested = [
        8, 0, 0x40, 0x11, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF,
    ];
    let deep = nested.repeat(100_000);
    let problem = rewrite(&deep, Encoding::ImplicitLittle, Encoding::ExplicitLittle);
    assert!(problem.expect_err("deep").contains("nested too deeply"));
    let damaged = [0xFF; 40];
    let problem = rewrite(&damaged, Encoding::Deflated, Encoding::ExplicitLittle);
    assert!(problem.expect_err("damaged").contains("damaged"));
}

/// A source that makes an object of 4 GiB as it is read, and counts what it gave.
struct Long {
    head: std::io::Cursor<Vec<u8>>,
    left: u64,
}

impl Read for Long {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.head.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        let count = usize::try_from(self.left).unwrap().min(buffer.len());
        self.left -= count as u64;
        Ok(count)
    }
}

/// The memory that is held does not grow with the value: every read asks for a piece at most.
#[test]
fn pixel_data_of_4_gib_passes_in_pieces() {
    let pixels = u32::MAX - 15;
    let mut head_bytes = Vec::new();
    let form = Encoding::ExplicitLittle.form();
    head(
        &mut head_bytes,
        (0x7FE0, 0x0010),
        "OB",
        Some(usize::try_from(pixels).unwrap()),
        form,
    );
    let mut source = Long {
        head: io::Cursor::new(head_bytes),
        left: pixels.into(),
    };
    let problem = Problem::default();
    let (from, to) = (Encoding::ExplicitLittle, Encoding::ImplicitLittle);
    let mut reader = rewritten(&mut source, from, to, &problem);
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let count = reader.read(&mut buffer).unwrap();
        assert!(count <= 80 * 1024, "{count} bytes were held");
        if count == 0 {
            break;
        }
        total += count as u64;
    }
    assert_eq!(total, u64::from(pixels) + 8);
}
