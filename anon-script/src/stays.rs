//! [`Stays`]: what a rule set keeps that can say something about a person all the same.

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::check::vr;
use crate::rule_set::RuleSet;
use crate::rules::Action;

/// Says what an object is; the same in every output.
const SOP_CLASS: Tag = Tag(0x0008, 0x0016);

/// Elements that stay as they are, by the kind of harm they can do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stays {
    /// Times of day (TM). They are not shifted with the dates.
    pub times: Vec<Tag>,
    /// Dates and date-times (DA, DT).
    pub dates: Vec<Tag>,
    /// Text that people type (LO, LT, SH, ST, UC, UT).
    pub free_text: Vec<Tag>,
    /// Names of people (PN). The engine replaces Patient's Name wherever it is kept.
    pub names: Vec<Tag>,
    /// UIDs (UI), SOP Class UID aside.
    pub uids: Vec<Tag>,
    /// Elements that PS3.6 does not list: nobody can say what they hold.
    pub unknown: Vec<Tag>,
    /// Dates that are moved by an offset. V17's offset is a public function of the patient's id:
    /// whoever guesses the id can take it back.
    pub shifted: Vec<Tag>,
}

impl Stays {
    /// What these rules keep.
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

/// The keyword of an element (PS3.6), such as `StudyDate`; none if it has none.
pub fn keyword(tag: Tag) -> Option<&'static str> {
    StandardDataDictionary
        .by_tag(tag)
        .map(DataDictionaryEntry::alias)
}
