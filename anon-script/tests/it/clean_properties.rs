//! Properties of cleaning that hold for every text.

use std::time::{Duration, Instant};

use anon_script::VR;
use anon_script::clean::{Cleaned, Identifiers, description, technical, term};
use proptest::prelude::*;

use crate::clean::header;

type Clean = for<'t> fn(&'t str, VR, &Identifiers) -> Cleaned<'t>;
const ALL: [Clean; 3] = [description, term, technical];

/// Words, numbers and separators that texts are made of.
const PIECES: &[&str] = &[
    "Head",
    "CT",
    "white",
    "matter",
    "Young",
    "Dr.",
    "Dr ",
    "T1",
    "5",
    "12",
    "2004",
    "05",
    "19430512",
    "Jan",
    "mrn",
    "tel",
    "+49",
    "street",
    "1.2.3",
    "@",
    "http://",
    "H",
    "J.",
    "Šimůnek",
    "simunek",
    "SIMUNEK",
    "Homer",
    "李小龍",
    "김",
    "ｶﾝｼﾞｬ",
    "é",
    "e\u{301}",
    "\u{200b}",
    "\u{202e}",
    "\u{1F480}",
    "ß",
    "İ",
    "ŉ",
    "x",
    "b30f",
    " ",
    " ",
    " ",
    "-",
    ".",
    ",",
    "/",
    "^",
    "\\",
    "\n",
    "\r\n",
    "\t",
    "(",
    ")",
    "_",
    ":",
    "'",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat()),
        1 => "\\PC{0,60}",
        1 => any::<String>(),
    ]
}

fn of_name(name: &str) -> Identifiers {
    Identifiers::of(&header(&[
        (0x0010_0010, VR::PN, name),
        (0x0010_0030, VR::DA, "19430512"),
        (0x0010_0020, VR::LO, "AB-123456"),
    ]))
}

/// Writes a word in another case, with separators or as a part of another word.
fn written(word: &str, way: u8) -> String {
    match way % 6 {
        0 => word.to_uppercase(),
        1 => word.to_lowercase(),
        2 => format!("x{word}y"),
        3 => format!("{word}_12"),
        4 => format!("({word})"),
        _ => word.chars().flat_map(|letter| [letter, ' ']).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cleaning_twice_changes_nothing_and_no_identifier_is_left(text in text(), name in text()) {
        let identifiers = of_name(&name);
        for clean in ALL {
            for vr in [VR::LO, VR::UT] {
                let once = clean(&text, vr, &identifiers);
                let twice = clean(&once.text, vr, &identifiers);
                prop_assert_eq!(twice.removed, 0);
                prop_assert_eq!(&twice.text, &once.text);
                prop_assert!(vr == VR::LO || !identifiers.occur_in(&once.text));
            }
        }
    }

    #[test]
    fn cleaning_never_lengthens_a_text_and_keeps_the_number_of_values(text in text(), name in text()) {
        let identifiers = of_name(&name);
        for clean in ALL {
            let cleaned = clean(&text, VR::LO, &identifiers);
            prop_assert!(cleaned.text.len() <= text.len());
            prop_assert!(cleaned.text.chars().count() <= text.chars().count());
            prop_assert_eq!(cleaned.text.split('\\').count(), text.split('\\').count());
            prop_assert_eq!(cleaned.removed == 0, cleaned.text == text);
        }
    }

    #[test]
    fn a_long_name_is_in_no_cleaned_text(
        name in "[A-Z][a-z]{5,12}", given in "[a-z]{6,9}", before in text(), after in text(), way: u8,
    ) {
        let identifiers = of_name(&format!("{name}^{given}"));
        for word in [&name, &given] {
            let text = format!("{before} {} {after}", written(word, way));
            for clean in ALL {
                let cleaned = clean(&text, VR::UT, &identifiers).text.to_lowercase();
                let joined: String = cleaned.chars().filter(|letter| letter.is_alphanumeric()).collect();
                prop_assert!(!joined.contains(&word.to_lowercase()), "{} in {}", word, joined);
            }
        }
    }

    #[test]
    fn a_long_name_with_one_letter_wrong_is_found(
        name in "[a-z]{6,12}", at in 0_usize..12, letter in "[a-z]", edit in 0_u8..4,
    ) {
        let identifiers = of_name(&name);
        let mut letters: Vec<char> = name.chars().collect();
        let at = at % letters.len();
        let letter = letter.chars().next().unwrap_or('q');
        match edit {
            0 => { letters.remove(at); }
            1 => letters.insert(at, letter),
            2 => letters[at] = letter,
            _ => letters.swap(at, (at + 1) % name.len()),
        }
        let wrong: String = letters.into_iter().collect();
        // A word of five letters is too short, and the first letter does not trade with the last.
        prop_assume!(wrong.len() >= 6 && !(edit == 3 && at + 1 == name.len()));
        // A term of the vocabulary stays.
        prop_assume!(description(&wrong, VR::LO, &Identifiers::default()).removed > 0);
        prop_assert!(identifiers.occur_in(&wrong), "{} {}", name, wrong);
        prop_assert_eq!(technical(&wrong, VR::LO, &identifiers).text, "");
    }
}

#[test]
fn no_text_makes_cleaning_slow() {
    let names: Vec<String> = (0..2000)
        .map(|at| format!("Aaaaaa{at:05}^Baaaaa{at}"))
        .collect();
    let names: Vec<_> = names
        .iter()
        .map(|name| (0x0010_1001, VR::PN, name.as_str()))
        .collect();
    let identifiers = Identifiers::of(&header(&names));
    for piece in [
        "a",
        "a ",
        "aaaaaa",
        "aaaaaab ",
        "1",
        "1 ",
        "1.",
        "1:",
        "12/",
        "@",
        "a@",
        "a.",
        "Dr. ",
        "12 Street ",
        "tel 1-",
        "http://",
        "White ",
        "+1 ",
        "0123 ",
    ] {
        let text = piece.repeat((64 << 10) / piece.len());
        for clean in ALL {
            let begin = Instant::now();
            let cleaned = clean(&text, VR::UT, &identifiers);
            assert!(cleaned.text.len() <= text.len());
            assert!(begin.elapsed() < Duration::from_secs(5), "{piece:?}");
        }
    }
}
