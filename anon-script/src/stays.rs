//! [`Stays`]: the elements that a rule set keeps and that may still identify a person.

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::check::vr;
use crate::rule_set::RuleSet;
use crate::rules::Action;

/// SOP Class UID: the same in all objects of a kind, so it identifies nobody.
const SOP_CLASS: Tag = Tag(0x0008, 0x0016);

/// Elements that are kept unchanged, by what they may reveal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stays {
    /// Times of day (TM). They are not shifted together with the dates.
    pub times: Vec<Tag>,
    /// Dates and date-times (DA, DT).
    pub dates: Vec<Tag>,
    /// Text that people type (LO, LT, SH, ST, UC, UT).
    pub free_text: Vec<Tag>,
    /// Names of people (PN). The engine replaces Patient's Name wherever it is kept.
    pub names: Vec<Tag>,
    /// UIDs (UI), without SOP Class UID.
    pub uids: Vec<Tag>,
    /// Elements that PS3.6 does not list. Their content is not known.
    pub unknown: Vec<Tag>,
    /// Dates that are shifted by an offset. V17's offset is a public function of the Patient ID, so
    /// anybody who guesses the id can undo the shift.
    pub shifted: Vec<Tag>,
}

impl Stays {
    /// Returns the elements that these rules keep.
    ///
    /// ```
    /// let rules = anon_script::builtin("rsna-v17").expect("it is built in");
    /// let stays = anon_script::stays::Stays::of(&rules);
    /// assert!(stays.times.contains(&anon_script::Tag(0x0008, 0x0030))); // Study Time
    /// assert!(stays.dates.is_empty() && stays.names.is_empty() && stays.uids.is_empty());
    /// assert_eq!(stays.shifted.len(), 14);
    /// ```
    pub fn of(rules: &RuleSet) -> Self {
        let mut stays = Self::default();
        for row in rules.rows() {
            let list = match (&row.action, vr(row.tag)) {
                (Action::ShiftDate, _) => &mut stays.shifted,
                (Action::Keep, None) => &mut stays.unknown,
                (Action::Keep, Some(VR::TM)) => &mut stays.times,
                (Action::Keep, Some(VR::DA | VR::DT)) => &mut stays.dates,
                (Action::Keep, Some(VR::LO | VR::LT | VR::SH | VR::ST | VR::UC | VR::UT)) => {
                    &mut stays.free_text
                }
                (Action::Keep, Some(VR::PN)) => &mut stays.names,
                (Action::Keep, Some(VR::UI)) if row.tag != SOP_CLASS => &mut stays.uids,
                _ => continue,
            };
            list.push(row.tag);
        }
        stays
    }
}

/// Returns the keyword of an element (PS3.6), such as `StudyDate`. `None` if PS3.6 does not list
/// it.
pub fn keyword(tag: Tag) -> Option<&'static str> {
    StandardDataDictionary
        .by_tag(tag)
        .map(DataDictionaryEntry::alias)
}
