//! Identifiers and their texts.

use anon_net::identifier::{Encoding, Identifier, IdentifierError, Tag, Vr, tag};
use anon_net::text::{Charset, KeyCharset};
use proptest::prelude::*;

fn sample() -> Identifier {
    let mut identifier = Identifier::new();
    identifier.set(tag::STUDY_UID, b"1.2.3");
    identifier.set(tag::LEVEL, b"STUDY");
    identifier.set(tag::PATIENT_NAME, b"DOE^JANE");
    identifier.set(tag::MODALITIES, b"");
    identifier
}

#[test]
fn identifier_is_encoded_byte_for_byte() {
    let mut identifier = Identifier::new();
    identifier.set(tag::STUDY_UID, b"1.2");
    identifier.set(Tag::new(0x0009, 0x1001), b"x");
    identifier.set(tag::LEVEL, b"IMAGE");
    for (encoding, expected) in [
        (
            Encoding::ImplicitLittle,
            &b"\x08\0\x52\0\x06\0\0\0IMAGE \x09\0\x01\x10\x02\0\0\0x\0\x20\0\x0D\0\x04\0\0\x001.2\0"[..],
        ),
        (
            Encoding::ExplicitLittle,
            b"\x08\0\x52\0CS\x06\0IMAGE \x09\0\x01\x10UN\0\0\x02\0\0\0x\0\x20\0\x0D\0UI\x04\x001.2\0",
        ),
        (
            Encoding::ExplicitBig,
            b"\0\x08\0\x52CS\0\x06IMAGE \0\x09\x10\x01UN\0\0\0\0\0\x02x\0\0\x20\0\x0DUI\0\x041.2\0",
        ),
    ] {
        assert_eq!(identifier.encode(encoding).unwrap(), expected, "{encoding:?}");
    }
}

#[test]
fn identifier_round_trips_in_every_encoding() {
    for encoding in Encoding::ALL {
        let bytes = sample().encode(encoding).unwrap();
        let back = Identifier::decode(&bytes, encoding).unwrap();
        assert_eq!(back.text(tag::STUDY_UID).as_deref(), Some("1.2.3"));
        assert_eq!(back.text(tag::PATIENT_NAME).as_deref(), Some("DOE^JANE"));
        assert_eq!(
            back.text(tag::MODALITIES),
            None,
            "an empty text counts as absent"
        );
        assert_eq!(back.value(tag::MODALITIES), Some(&b""[..]));
        assert_eq!(back.value(tag::ACCESSION), None);
        let uid = encoding.transfer_syntax().parse().unwrap();
        assert_eq!(Encoding::of(&uid), Some(encoding));
    }
}

#[test]
fn debug_shows_tags_and_lengths() {
    let shown = format!("{:?}", sample());
    assert!(shown.contains("(0010,0010) PN 8 bytes"), "{shown}");
    assert!(!shown.contains("DOE") && !shown.contains("68"), "{shown}");
}

/// Group lengths, all forms of sequences, odd lengths and any order are ignored or accepted.
#[test]
fn additional_elements_are_ignored() {
    let level = b"\x08\0\x52\0CS\x05\0IMAGE";
    let undefined = b"\xFF\xFF\xFF\xFF";
    let item = b"\xFE\xFF\0\xE0";
    let item_end = b"\xFE\xFF\x0D\xE0\0\0\0\0";
    let sequence_end = b"\xFE\xFF\xDD\xE0\0\0\0\0";
    let mut of_undefined = b"\x08\0\x15\x11SQ\0\0".to_vec();
    for part in [
        &undefined[..],
        item,
        undefined,
        level,
        item_end,
        item,
        b"\x02\0\0\0xx",
        sequence_end,
    ] {
        of_undefined.extend(part);
    }
    // The content of an unknown element is in implicit VR, also inside an explicit VR sequence.
    let mut unknown =
        b"\x08\0\x15\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF".to_vec();
    unknown.extend(b"\x09\0\x01\x10UN\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF");
    unknown.extend(b"\x08\0\x52\0\x02\0\0\0XX");
    for part in [&item_end[..], sequence_end, level, item_end, sequence_end] {
        unknown.extend(part);
    }
    let of_length = b"\x08\0\x15\x11SQ\0\0\x08\0\0\0\xFE\xFF\0\xE0\0\0\0\0".to_vec();
    let group_length = b"\x08\0\0\0UL\x04\0\x01\0\0\0".to_vec();
    let higher = b"\x20\0\x0D\0UI\x03\x001.2".to_vec();
    for (case, before) in [
        ("undefined", of_undefined),
        ("unknown", unknown),
        ("of a length", of_length),
        ("group length", group_length),
        ("a higher tag first", higher),
    ] {
        let bytes = [&before[..], level].concat();
        let read = Identifier::decode(&bytes, Encoding::ExplicitLittle);
        let read = read.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(read.text(tag::LEVEL).as_deref(), Some("IMAGE"), "{case}");
        assert!(read.value(Tag::new(8, 0x1115)).is_none(), "{case}");
    }
}

#[test]
fn hostile_identifiers_are_refused() {
    let nested = |depth: usize| {
        let one = b"\x09\0\x01\x10\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF";
        one.repeat(depth)
    };
    let level = b"\x08\0\x52\0\x02\0\0\0XX";
    let twice = IdentifierError::Duplicate { tag: tag::LEVEL };
    let form = |group, element| IdentifierError::Structure {
        tag: Tag::new(group, element),
    };
    for (case, bytes, error) in [
        (
            "half a header",
            b"\x08\0\x52".to_vec(),
            IdentifierError::Truncated,
        ),
        (
            "a length of 4 GB",
            b"\x08\0\x52\0\xFE\xFF\xFF\xFFXX".to_vec(),
            IdentifierError::Truncated,
        ),
        ("an open sequence", nested(1), IdentifierError::Truncated),
        (
            "200,000 sequences",
            nested(200_000),
            IdentifierError::TooLong,
        ),
        ("16,000 sequences", nested(16_000), IdentifierError::TooDeep),
        (
            "too long",
            vec![0; Identifier::MAX_BYTES + 1],
            IdentifierError::TooLong,
        ),
        ("an element twice", level.repeat(2), twice),
        (
            "an item outside",
            b"\xFE\xFF\0\xE0\0\0\0\0".to_vec(),
            form(0xFFFE, 0xE000),
        ),
        (
            "a UID without an end",
            b"\x20\0\x0D\0\xFF\xFF\xFF\xFF".to_vec(),
            form(0x20, 0x0D),
        ),
    ] {
        let read = Identifier::decode(&bytes, Encoding::ImplicitLittle);
        assert_eq!(read.unwrap_err(), error, "{case}");
    }
    let letters = Identifier::decode(b"\x08\0\x52\0\0\0\x02\0XX", Encoding::ExplicitLittle);
    assert_eq!(
        letters.unwrap_err(),
        form(0x08, 0x52),
        "implicit in explicit"
    );
    let mut long = Identifier::new();
    long.set(tag::FAILED_INSTANCES, &vec![b'1'; 0x1_0000]);
    let refused = long.encode(Encoding::ExplicitLittle).unwrap_err();
    let tag = tag::FAILED_INSTANCES;
    assert_eq!(refused, IdentifierError::ValueTooLong { tag });
    assert!(long.encode(Encoding::ImplicitLittle).is_ok());
}

#[test]
fn values_are_read_by_their_type() {
    let mut identifier = Identifier::new();
    identifier.set(tag::INSTANCES_IN_STUDY, b" 12 ");
    identifier.set(tag::SERIES_IN_STUDY, b"many");
    identifier.set(tag::MODALITIES, b"CT\\ MR \\\\");
    identifier.set(tag::STUDY_UID, b"../../etc");
    assert_eq!(identifier.number::<u32>(tag::INSTANCES_IN_STUDY), Some(12));
    assert_eq!(identifier.number::<u32>(tag::SERIES_IN_STUDY), None);
    assert_eq!(identifier.texts(tag::MODALITIES), ["CT", "MR"]);
    assert_eq!(identifier.uid(tag::STUDY_UID), None);
    assert_eq!(identifier.elements().len(), 4);
    assert_eq!(Vr::of(tag::STUDY_UID).to_string(), "UI");
    assert_eq!(Vr::of(Tag::new(9, 9)), Vr::UN);
    assert_eq!(Vr::new(*b"ui"), None);
}

/// The examples of PS3.5 Annexes H to K, and invalid texts.
#[test]
fn texts_of_every_character_set_are_decoded() {
    for (charset, bytes, expected) in [
        ("", &b"Adams^John"[..], "Adams^John"),
        // Without a character set, as an import reads them.
        ("", b"Buc^J\xE9r\xF4me", "Buc^J\u{E9}r\u{F4}me"),
        ("ISO_IR 6", b"Buc^J\xE9r\xF4me", "Buc^J\u{E9}r\u{F4}me"),
        ("UTF-8", "王".as_bytes(), "王"),
        ("utf8 ", "王".as_bytes(), "王"),
        ("ISO-IR 192\0", "王".as_bytes(), "王"),
        ("iso 2022 ir 100", b"\xE9", "\u{E9}"),
        ("gb 18030", b"\xCD\xF5", "王"),
        ("ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^J\u{E9}r\u{F4}me"),
        (
            "ISO 2022 IR 100",
            b"Buc^J\xE9r\xF4me",
            "Buc^J\u{E9}r\u{F4}me",
        ),
        ("ISO_IR_100", b"\xE9", "\u{E9}"),
        (
            "ISO_IR 144",
            b"\xBB\xEE\xDA\x63\x65\xDC\xD1\x79\x70\xD3",
            "Люкceмбypг",
        ),
        (
            "ISO_IR 126",
            b"\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2",
            "Διονυσιος",
        ),
        (
            "ISO_IR 138",
            b"\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4",
            "שרון^דבורה",
        ),
        (
            "ISO_IR 13",
            b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3",
            "\u{FF94}\u{FF8F}\u{FF80}\u{FF9E}^\u{FF80}\u{FF9B}\u{FF73}",
        ),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J",
            "\u{FF94}\u{FF8F}\u{FF80}\u{FF9E}^\u{FF80}\u{FF9B}\u{FF73}=山田^太郎",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7",
            "Hong^Gildong=洪^吉洞",
        ),
        (
            "\\ISO 2022 IR 58",
            b"Zhang=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=",
            "Zhang=张^小东=",
        ),
        ("ISO_IR 192", "Wang=王^小東".as_bytes(), "Wang=王^小東"),
        (
            "GB18030",
            b"Wang=\xCD\xF5^\xD0\xA1\xB6\xAB=",
            "Wang=王^小东=",
        ),
        // The trail byte 0x5C is not a backslash.
        ("GBK", b"\x81\x5C", "\u{4E57}"),
        ("KLINGON", b"a\xE9b", "a\u{E9}b"),
        ("ISO_IR 192", b"a\xFFb", "a\u{FFFD}b"),
        ("\\ISO 2022 IR 87", b"\x1B$B;", ";"),
        ("\\ISO 2022 IR 87", b"\x1B", "\u{FFFD}"),
        (
            "ISO 2022 IR 100\\ISO 2022 IR 126",
            b"\xE9\x1B-F\xC4^\xE9",
            "éΔ^é",
        ),
    ] {
        let decoded = Charset::parse(charset.as_bytes()).decode(bytes);
        assert_eq!(decoded, expected, "{charset}");
    }
}

#[test]
fn keys_are_encoded_in_the_smallest_character_set() {
    for (texts, charset, term, bytes) in [
        (["DOE*", ""], KeyCharset::Ascii, None, &b"DOE*"[..]),
        (
            ["M\u{FC}ller", "x"],
            KeyCharset::Latin1,
            Some("ISO_IR 100"),
            b"M\xFCller",
        ),
        (
            ["王", "M\u{FC}ller"],
            KeyCharset::Utf8,
            Some("ISO_IR 192"),
            "王".as_bytes(),
        ),
    ] {
        assert_eq!(Charset::for_texts(texts), charset);
        assert_eq!(charset.term(), term);
        assert_eq!(charset.encode(texts[0]), bytes);
        let back = Charset::parse(term.unwrap_or_default().as_bytes());
        assert_eq!(back.decode(bytes), texts[0]);
    }
    assert_eq!(KeyCharset::Ascii.encode("\u{E9}"), b"?");
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), charset in "[ -~]{0,40}") {
        for encoding in Encoding::ALL {
            if let Ok(read) = Identifier::decode(&bytes, encoding) {
                let again = read.encode(encoding).map(|bytes| Identifier::decode(&bytes, encoding));
                prop_assert!(!matches!(again, Ok(Err(_))), "a decoded identifier can be encoded: {again:?}");
            }
        }
        Charset::parse(charset.as_bytes()).decode(&bytes);
        Charset::parse(&bytes).decode(&bytes);
        for term in ["\\ISO 2022 IR 87", "ISO 2022 IR 149", "ISO_IR 13", "GB18030", "ISO_IR 100"] {
            Charset::parse(term.as_bytes()).decode(&bytes);
        }
    }

    #[test]
    fn keys_round_trip(text in "\\PC{0,40}") {
        let charset = Charset::for_texts([text.as_str()]);
        let back = Charset::parse(charset.term().unwrap_or_default().as_bytes());
        prop_assert_eq!(back.decode(&charset.encode(&text)), text);
    }
}
