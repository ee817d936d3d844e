//! AE titles, nodes and UIDs: accepted and refused texts.

use anon_net::{AeTitle, InstanceUid, Node, Uid};
use proptest::prelude::*;

#[test]
fn ae_titles_are_checked() {
    for (text, title) in [
        ("A", "A"),
        ("  ARCHIVE  ", "ARCHIVE"),
        ("SIXTEEN-LETTERS.", "SIXTEEN-LETTERS."),
        ("  SIXTEEN-LETTERS.  ", "SIXTEEN-LETTERS."),
        ("two words", "two words"),
        ("a@b/c:d~", "a@b/c:d~"),
    ] {
        let got = AeTitle::new(text).expect(text);
        assert_eq!(got.as_str(), title, "{text:?}");
        let mut padded = title.as_bytes().to_vec();
        padded.resize(16, b' ');
        assert_eq!(got.padded().as_slice(), padded, "{text:?}");
    }
    for bad in [
        "",
        "    ",
        "SEVENTEEN-LETTERS",
        "A\\B",
        "A\tB",
        "A\0",
        "A\n",
        "\u{c4}",
        "A\u{7f}",
    ] {
        assert!(AeTitle::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn nodes_are_parsed() {
    for text in [
        "ARCHIVE@localhost:104",
        "A B@10.0.0.1:11112",
        "A@B@pacs.example.org:104",
        "ARCHIVE@[::1]:104",
        "ARCHIVE@[fe80::1%eth0]:104",
    ] {
        let node: Node = text.parse().expect(text);
        assert_eq!(node.to_string(), text);
    }
    for bad in [
        "",
        "ARCHIVE",
        "ARCHIVE@host",
        "ARCHIVE@:104",
        "@host:104",
        "ARCHIVE@host:0",
        "ARCHIVE@host:65536",
        "ARCHIVE@host:",
        "ARCHIVE@ho st:104",
        "ARCHIVE@::1:104",
        "ARCHIVE@[::1:104",
        "A\\@host:104",
    ] {
        assert!(bad.parse::<Node>().is_err(), "{bad:?}");
    }
}

#[test]
fn uids_are_checked() {
    let long = "1".repeat(64);
    let longer = "1".repeat(65);
    for (text, uid) in [
        ("1", "1"),
        ("1.2.840.10008.1.1\0", "1.2.840.10008.1.1"),
        ("1.2 ", "1.2"),
        ("1.02", "1.02"),
        (&long, &long),
    ] {
        assert_eq!(Uid::new(text).expect(text).as_str(), uid, "{text:?}");
        assert_eq!(
            InstanceUid::new(text).expect(text).expose(),
            uid,
            "{text:?}"
        );
    }
    for bad in [
        "", "\0", ".", "1.", ".1", "1..2", "1.a", "../../x", "1/2", " 1", "\u{661}", &longer,
    ] {
        assert!(Uid::new(bad).is_err(), "{bad:?}");
        assert!(InstanceUid::new(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    /// An error never repeats the refused text, and no text causes a panic.
    #[test]
    fn errors_do_not_repeat_the_text(text in "(?s)[^a-z: ]{0,3}CANARY.{0,20}") {
        let errors = [
            AeTitle::new(&text).err(), Uid::new(&text).err(),
            InstanceUid::new(&text).err(), text.parse::<Node>().err(),
        ];
        prop_assert!(errors[1].is_some());
        for error in errors.into_iter().flatten() {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("CANARY"), "{}", shown);
        }
    }
}
