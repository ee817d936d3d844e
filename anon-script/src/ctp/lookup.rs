//! [`LookupTable`]: texts that stand for others.

use std::collections::HashMap;

use super::expression::trim;
use crate::syntax::properties;

/// Hops that a replacement may take to another key.
const MAX_HOPS: usize = 9;

/// A lookup table of CTP: a properties file with lines `type/value=replacement`.
///
/// A replacement `@type/value` stands for the replacement of that key. Keys are case-sensitive.
///
/// ```
/// use anon_script::ctp::LookupTable;
///
/// let table = LookupTable::parse("ptid/MRN-12345 = SUBJ001\nold/7=@ptid/MRN-12345");
/// assert_eq!(table.find("ptid", "MRN-12345"), Some("SUBJ001"));
/// assert_eq!(table.find("old", "7"), Some("SUBJ001"));
/// assert_eq!(table.find("ptid", "nobody"), None);
/// ```
#[derive(Clone, Default)]
pub struct LookupTable {
    entries: HashMap<String, String>,
    repeated: Option<u32>,
}

impl std::fmt::Debug for LookupTable {
    /// Its keys and replacements identify people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LookupTable({} entries)", self.entries.len())
    }
}

impl LookupTable {
    /// Parses a table. Every text is one; of two lines for one key the later counts.
    pub fn parse(text: &str) -> Self {
        let mut table = Self::default();
        for (line, key, value) in properties::pairs(text) {
            let value = trim(&value).to_owned();
            let before = table.entries.insert(key, value.clone());
            if before.is_some_and(|before| before != value) {
                table.repeated.get_or_insert(line);
            }
        }
        table
    }

    /// Returns the first line, counted from 1, that gives a key another replacement than a line before.
    pub fn contradiction(&self) -> Option<u32> {
        self.repeated
    }

    /// Returns the replacement of a value of this type.
    pub fn find(&self, kind: &str, value: &str) -> Option<&str> {
        let value = value.replace('\\', "");
        let mut found = self
            .entries
            .get(&format!("{}/{}", trim(kind), trim(&value)))?;
        for _ in 0..MAX_HOPS {
            let Some(key) = found.strip_prefix('@').filter(|key| key.contains('/')) else {
                return Some(found);
            };
            found = self.entries.get(trim(key))?;
        }
        let is_final = !(found.starts_with('@') && found.contains('/'));
        is_final.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_java_properties() {
        let table = LookupTable::parse(
            "ptid/A=1\nptid/B C=2\nptid/D\\ E=3\nptid/F:G=4\nptid/H = v1 \n!c=1\n#d=2\nptid/I\nptid/J=line \\\n  cont\nptid/K=\\u00e9\nptid/A=9\n",
        );
        let find = |value| table.find("ptid", value);
        assert_eq!(find("A"), Some("9"));
        assert_eq!(table.entries.get("ptid/B").map(String::as_str), Some("C=2"));
        assert_eq!(find("D E"), Some("3"));
        assert_eq!(table.entries.get("ptid/F").map(String::as_str), Some("G=4"));
        assert_eq!(find("H"), Some("v1"));
        assert_eq!(find("I"), Some(""));
        assert_eq!(find("J"), Some("line cont"));
        assert_eq!(find("K"), Some("é"));
        assert_eq!(table.contradiction(), Some(12));
        assert_eq!(format!("{table:?}"), "LookupTable(8 entries)");
    }

    #[test]
    fn nine_hops_are_followed_and_a_circle_is_not() {
        let chain = |hops: usize| {
            let lines = (0..hops).map(|at| format!("k/{at}=@k/{}\n", at + 1));
            let text: String = lines.chain([format!("k/{hops}=final\n")]).collect();
            LookupTable::parse(&text).find("k", "0").map(str::to_owned)
        };
        assert_eq!(chain(9).as_deref(), Some("final"));
        assert_eq!(chain(10), None);
        let table = LookupTable::parse("k/loop=@k/loop\nk/at=@noslash\nk/x = @ k/1 \nk/1=one");
        assert_eq!(table.find("k", "loop"), None);
        assert_eq!(table.find("k", "at"), Some("@noslash"));
        assert_eq!(table.find("k", "x"), Some("one"));
    }
}
