//! Recognises scripts of CTP's other stages: the pixel anonymizer and filters.
//!
//! ```text
//! { Modality.equals("US") * Rows.equals("480") }     which images: a filter in braces
//! (0,0,640,40)                                       which region to blank: x, y, width, height
//! ```

use crate::span::Span;

/// The methods of a filter expression.
const METHODS: [&str; 11] = [
    "equals",
    "equalsIgnoreCase",
    "matches",
    "contains",
    "containsIgnoreCase",
    "startsWith",
    "startsWithIgnoreCase",
    "endsWith",
    "endsWithIgnoreCase",
    "isLessThan",
    "isGreaterThan",
];

/// Returns the first line that shows it, and what to do. `None` if the text is of neither kind.
pub(super) fn find(text: &str) -> Option<(Span, &'static str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(['\u{feff}', ' ', '\t']).trim_end();
        let begin = at + (line.len() - line.trim_start_matches(['\u{feff}', ' ', '\t']).len());
        let span = Span::new(begin, begin + content.len());
        let rest = text.get(begin..).unwrap_or_default();
        at += line.len();
        match content.chars().next() {
            // Settings and comments of the older form.
            None | Some('#' | '!' | '/') => {}
            Some('{') if is_filter(rest.split('}').next().unwrap_or_default()) => {
                let help = "it is a pixel script: pixels are not changed here, and objects that declare \
                            burned-in text are quarantined; give the script of the stage \
                            DicomAnonymizer";
                return Some((span, help));
            }
            Some(_) if is_filter(content) && !is_setting(content) => {
                let help = "it is a filter script; give the script of the stage DicomAnonymizer";
                return Some((span, help));
            }
            Some(_) => {}
        }
    }
    None
}

/// Returns true if a text has a call such as `Modality.equals("CT")`.
fn is_filter(text: &str) -> bool {
    let mut calls = text.match_indices("(\"");
    calls.any(|(at, _)| {
        let name = text.get(..at).and_then(|before| before.rsplit_once('.'));
        name.is_some_and(|(_, name)| METHODS.contains(&name.trim()))
    })
}

fn is_setting(line: &str) -> bool {
    ["param.", "set.", "keep.", "remove."]
        .iter()
        .any(|begin| line.starts_with(begin))
}
