//! [`JavaRegex`]: regular expressions and replacements as Java writes them.

use fancy_regex::{Captures, Regex, RegexBuilder};

/// Steps that a match may take. A pattern that needs more is refused.
const MAX_STEPS: usize = 100_000;

/// A compiled regular expression of Java.
///
/// `\d`, `\w` and `\s` match ASCII alone, and `\Q…\E` quotes.
#[derive(Debug, Clone)]
pub(super) struct JavaRegex {
    regex: Regex,
    /// The same pattern for the whole text.
    whole: Regex,
}

impl JavaRegex {
    /// Compiles a pattern. `None` if it is invalid.
    pub(super) fn compile(pattern: &str) -> Option<Self> {
        let pattern = translated(pattern);
        let build = |pattern: &str| {
            let mut builder = RegexBuilder::new(pattern);
            builder.backtrack_limit(MAX_STEPS).build().ok()
        };
        Some(Self {
            regex: build(&pattern)?,
            whole: build(&format!(r"\A(?:{pattern})\z"))?,
        })
    }

    /// Returns true if the whole text matches. `None` if that takes too many steps.
    pub(super) fn is_whole(&self, text: &str) -> Option<bool> {
        self.whole.is_match(text).ok()
    }

    /// Replaces every match. `None` if the replacement is invalid, or if it takes too many steps.
    pub(super) fn replace_all(&self, text: &str, replacement: &str) -> Option<String> {
        let mut out = String::new();
        let mut copied = 0;
        for found in self.regex.captures_iter(text) {
            let found = found.ok()?;
            let whole = found.get(0)?;
            out.push_str(text.get(copied..whole.start())?);
            out.push_str(&expand(replacement, &found)?);
            copied = whole.end();
        }
        out.push_str(text.get(copied..)?);
        Some(out)
    }
}

/// Returns a replacement with its groups. `None` if it names a group that is not there.
fn expand(replacement: &str, found: &Captures<'_, str>) -> Option<String> {
    let mut out = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.push(chars.next()?),
            '$' if chars.peek() == Some(&'{') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|char| *char != '}').collect();
                out.push_str(found.name(&name)?.as_str());
            }
            '$' => {
                let mut group = chars.next()?.to_digit(10)? as usize;
                // As many digits as there is a group for.
                while let Some(digit) = chars.peek().and_then(|char| char.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer >= found.len() {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                if group >= found.len() {
                    return None;
                }
                out.push_str(found.get(group).map_or("", |group| group.as_str()));
            }
            char => out.push(char),
        }
    }
    Some(out)
}

/// Writes a pattern of Java as this program's library reads it.
fn translated(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(char) = rest.chars().next() {
        rest = rest.get(char.len_utf8()..).unwrap_or("");
        if char != '\\' {
            out.push(char);
            continue;
        }
        let Some(escaped) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        rest = rest.get(escaped.len_utf8()..).unwrap_or("");
        match escaped {
            'd' => out.push_str("[0-9]"),
            'D' => out.push_str("[^0-9]"),
            'w' => out.push_str("[0-9A-Za-z_]"),
            'W' => out.push_str("[^0-9A-Za-z_]"),
            's' => out.push_str(r"[ \t\n\x0B\f\r]"),
            'S' => out.push_str(r"[^ \t\n\x0B\f\r]"),
            'Q' => {
                let (quoted, after) = rest.split_once(r"\E").unwrap_or((rest, ""));
                out.push_str(&fancy_regex::escape(quoted));
                rest = after;
            }
            other => out.extend(['\\', other]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_replacements_of_java_are_read() {
        let table = [
            (r"(\w+)\^(\w+).*", "Doe^John^Q", "$2 $1", Some("John Doe")),
            (r"[\d-]+", "MRN-12345", "", Some("MRN")),
            (r"(a)(b)?", "ac", "[$1$2]", Some("[a]c")),
            (r"(a)", "aa", "$11", Some("a1a1")),
            (r"a", "a", r"\$1\\", Some(r"$1\")),
            (r"a", "a", "$1", None),
            (r"a", "a", "$x", None),
            (r"\Q(a.)\E", "(a.)(ab)", "", Some("(ab)")),
            (r"(?<=R)N", "MRN", "x", Some("MRx")),
            (r"(.)\1", "abba", "", Some("aa")),
            (r"\w", "ä", "x", Some("ä")),
        ];
        for (pattern, text, replacement, expected) in table {
            let regex = JavaRegex::compile(pattern).expect(pattern);
            let found = regex.replace_all(text, replacement);
            assert_eq!(found.as_deref(), expected, "{pattern} {replacement}");
        }
        assert!(JavaRegex::compile("(").is_none());
    }

    #[test]
    fn a_pattern_that_takes_too_many_steps_is_no_match_and_no_hang() {
        let regex = JavaRegex::compile(r"(a|aa)+\1b").expect("it is valid");
        assert_eq!(regex.is_whole(&"a".repeat(64)), None);
    }
}
