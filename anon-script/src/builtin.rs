//! The built-in rule sets.
//!
//! `rsna-v17` does what the default script of the RSNA DICOM Anonymizer V17 does, except for these
//! elements:
//!
//! | element | V17 | here |
//! |---|---|---|
//! | (0018,991E), (0020,0242), (0020,9312), (0020,9313), (0028,0304) | UIDs are kept | `@uid` |
//! | (0018,9623) Functional Sync Pulse | the date-time is kept | `@hashdate` |
//! | UIDs under 1.2.840.10008 | replaced | kept: the standard defines them |
//! | (0012,0064) | always the same three codes | not written |
//! | FFFE,xxxx | kept | not listed: items and delimiters are no elements |

mod v17;

use dicom_core::Tag;

pub use v17::SCRIPT_METHOD;

use crate::rule_set::{Row, RuleSet};
use crate::rules::{Action, Method};

/// The names of the built-in rule sets.
pub const BUILTINS: &[&str] = &["rsna-v17"];

/// Returns the built-in rule set of this name, one of [`BUILTINS`].
pub fn builtin(name: &str) -> Option<RuleSet> {
    (name == "rsna-v17").then(rsna_v17)
}

/// Returns the rules of V17's default script, with the exceptions that the module page lists.
fn rsna_v17() -> RuleSet {
    let kept = v17::KEPT
        .iter()
        .flat_map(|(group, runs)| {
            runs.iter()
                .map(move |(first, last)| (*group, *first..=*last))
        })
        .flat_map(|(group, run)| {
            run.map(move |element| Row::new(Tag(group, element), Action::Keep))
        });
    let others = OTHERS
        .iter()
        .flat_map(|(action, tags)| tags.iter().map(move |tag| Row::new(*tag, action.clone())));
    let marked = Row::new(Tag(0x0012, 0x0062), Action::Replace("YES".into()));
    let rows = kept.chain(others).chain([marked]).collect();
    RuleSet::new("rsna-v17", Method::new(SCRIPT_METHOD), rows).expect("rsna-v17 names nine groups")
}

const OTHERS: &[(Action, &[Tag])] = &[
    (
        Action::Uid,
        &[
            Tag(0x0008, 0x0018),
            Tag(0x0018, 0x991E),
            Tag(0x0020, 0x000D),
            Tag(0x0020, 0x000E),
            Tag(0x0020, 0x0052),
            Tag(0x0020, 0x0200),
            Tag(0x0020, 0x0242),
            Tag(0x0020, 0x9161),
            Tag(0x0020, 0x9164),
            Tag(0x0020, 0x9312),
            Tag(0x0020, 0x9313),
            Tag(0x0028, 0x0304),
            Tag(0x0028, 0x1199),
            Tag(0x0028, 0x1214),
        ],
    ),
    (Action::Patient, &[Tag(0x0010, 0x0010), Tag(0x0010, 0x0020)]),
    (Action::Accession, &[Tag(0x0008, 0x0050)]),
    (Action::RoundAge { width: 5 }, &[Tag(0x0010, 0x1010)]),
    (
        Action::ShiftDate,
        &[
            Tag(0x0008, 0x0020),
            Tag(0x0008, 0x0021),
            Tag(0x0008, 0x0022),
            Tag(0x0008, 0x0023),
            Tag(0x0008, 0x0024),
            Tag(0x0008, 0x0025),
            Tag(0x0008, 0x002A),
            Tag(0x0018, 0x1078),
            Tag(0x0018, 0x1079),
            Tag(0x0018, 0x9369),
            Tag(0x0018, 0x936A),
            Tag(0x0018, 0x9516),
            Tag(0x0018, 0x9517),
            Tag(0x0018, 0x9623),
        ],
    ),
    (
        Action::Empty,
        &[
            Tag(0x0012, 0x0010),
            Tag(0x0012, 0x0020),
            Tag(0x0012, 0x0021),
            Tag(0x0012, 0x0030),
            Tag(0x0012, 0x0031),
            Tag(0x0012, 0x0040),
            Tag(0x0012, 0x0042),
            Tag(0x0012, 0x0050),
            Tag(0x0012, 0x0060),
            Tag(0x0012, 0x0081),
            Tag(0x0018, 0x9367),
            Tag(0x0018, 0x9371),
            Tag(0x0020, 0x0010),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Element, Rules as _};

    /// V17's script has 1,470 rows, 3 of them for delimiters. 40 have an operation, and we add 6.
    #[test]
    fn each_group_has_as_many_rows_as_in_v17() {
        let rules = rsna_v17();
        let per_group = |group| rules.rows().iter().filter(|row| row.tag.0 == group).count();
        let counts = [
            0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0022, 0x0024, 0x0028, 0x7FE0,
        ]
        .map(|group| (group, per_group(group)));
        assert_eq!(
            counts,
            [
                (0x0008, 23),
                (0x0010, 12),
                (0x0012, 16),
                (0x0018, 807),
                (0x0020, 99),
                (0x0022, 174),
                (0x0024, 101),
                (0x0028, 227),
                (0x7FE0, 8),
            ]
        );
        assert_eq!(rules.rows().len(), 1_470 - 3);
        let plain = rules
            .rows()
            .iter()
            .filter(|row| row.action == Action::Keep)
            .count();
        assert_eq!(rules.rows().len() - plain, 40 + 6);
    }

    #[test]
    fn private_and_unlisted_elements_are_removed() {
        let rules = rsna_v17();
        for tag in [
            Tag(0x0009, 0x1001),
            Tag(0x0013, 0x0010),
            Tag(0x6000, 0x3000),
            Tag(0x0040, 0xA730),
        ] {
            assert_eq!(rules.action(Element::root(tag)), &Action::Remove, "{tag}");
        }
    }

    /// For every tag of these groups, the compiled tables give the action of its row.
    #[test]
    fn compiled_tables_agree_with_rows() {
        let rules = rsna_v17();
        for group in [0x0008, 0x0018, 0x0020, 0x0028, 0x7FE0, 0x0040] {
            for element in 0..=u16::MAX {
                let tag = Tag(group, element);
                let row = rules.row(tag).map_or(&Action::Remove, |row| &row.action);
                assert_eq!(rules.action(Element::nested(tag, 3)), row, "{tag}");
            }
        }
    }
}
