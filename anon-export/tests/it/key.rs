//! Keys are valid file names everywhere and cannot leave their directory.

use std::path::{Component, Path};

use anon_export::{KeyPart, ObjectKey};
use proptest::prelude::*;

#[test]
fn key_parts_are_safe_file_names() {
    let long = "1".repeat(64);
    for good in [
        "1",
        "a",
        "Z",
        "0.9",
        "527408119-000001",
        "TRIAL 7-000001",
        "a_b",
        "-",
        "_",
        &long,
    ] {
        assert!(KeyPart::new(good).is_ok(), "{good:?}");
    }
    let longer = "1".repeat(65);
    for bad in [
        "", ".", "..", "...", " ", " a", "a ", ".a", "a.", "a/b", "/", "a\\b", "..\\x", "../../x",
        "a\0", "a\nb", "C:", "é", "a*", "~\u{7f}", &longer,
    ] {
        assert!(KeyPart::new(bad).is_err(), "{bad:?}");
        for place in 0..4 {
            let mut parts = ["p", "1", "2", "3"];
            parts[place] = bad;
            assert!(ObjectKey::new(parts).is_err(), "{bad:?} as part {place}");
        }
    }
}

#[test]
fn key_parses_its_own_text() {
    let text = "527408119-000001/1.2.1/1.2.2/1.2.3.dcm";
    let key: ObjectKey = text.parse().expect("a key");
    assert_eq!(key.to_string(), text);
    assert_eq!(key.patient().as_str(), "527408119-000001");
    for bad in [
        "",
        "a/b/c/d",
        "a/b/c.dcm",
        "a/b/c/d/e.dcm",
        "a//c/d.dcm",
        "/a/b/c/d.dcm",
        "a/b/../d.dcm",
    ] {
        assert!(bad.parse::<ObjectKey>().is_err(), "{bad:?}");
    }
}

#[test]
fn key_error_does_not_repeat_the_name() {
    let error = KeyPart::new("DOE^JANE").expect_err("a caret is refused");
    assert_eq!(
        error.to_string(),
        "a name of 8 bytes cannot be part of a key: it has a character outside A-Z a-z 0-9 _ - . and space"
    );
    assert!(!format!("{error:?}").contains("DOE"));
}

proptest! {
    /// Each accepted part is one plain file name, and the key can be parsed from its path.
    #[test]
    fn accepted_keys_have_four_plain_path_components(parts in proptest::array::uniform4("[ -~\u{e9}/\\\\.]{0,6}")) {
        if let Ok(key) = ObjectKey::new([&parts[0], &parts[1], &parts[2], &parts[3]]) {
            let path = key.to_string();
            let components: Vec<_> = Path::new(&path).components().collect();
            prop_assert_eq!(components.len(), 4);
            prop_assert!(components.iter().all(|c| matches!(c, Component::Normal(_))));
            prop_assert_eq!(path.parse::<ObjectKey>(), Ok(key));
        }
    }
}
