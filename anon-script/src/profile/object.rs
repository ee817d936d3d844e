//! [`ProfiledObject`]: decides about the elements of one object.

use std::borrow::Cow;
use std::fmt;

use dicom_core::VR;

use super::{Decision, METHOD, Plan, Profile, SOP_CLASS, codes};
use crate::clean::{self, Cleaned, Identifiers};
use crate::object::{Insert, InsertValue, ObjectHeader, ObjectRules, Place, Refused, SeenElement};
use crate::rules::{Action, State};

/// Ages from here on are written as [`OLDEST`], because few people are that old.
const OLD: u16 = 90;
const OLDEST: &str = "090Y";

/// A profile, with what it knows of one object.
pub(super) struct ProfiledObject<'r> {
    profile: &'r Profile,
    header: &'r ObjectHeader,
    identifiers: Identifiers,
    /// What is inserted, if the object was de-identified before.
    inserts: Option<Vec<Insert>>,
}

impl<'r> ProfiledObject<'r> {
    pub(super) fn new(profile: &'r Profile, header: &'r ObjectHeader) -> Self {
        let mut object = Self {
            profile,
            header,
            identifiers: Identifiers::of(header),
            inserts: None,
        };
        object.inserts = object.inserts_after_earlier_methods();
        object
    }

    /// De-identification Method (0012,0063) has a value for each step (PS3.3 section C.7.1.1).
    fn inserts_after_earlier_methods(&self) -> Option<Vec<Insert>> {
        let earlier = clean::term(self.header.root_text(METHOD), VR::LO, &self.identifiers);
        let own = &self.profile.method.text;
        let values = earlier.text.split('\\').map(str::trim);
        let values: Vec<&str> = values
            .filter(|value| !value.is_empty() && **value != **own)
            .collect();
        if values.is_empty() {
            return None;
        }
        let text = format!("{}\\{own}", values.join("\\"));
        let mut inserts = self.profile.inserts.clone();
        for insert in inserts.iter_mut().filter(|insert| insert.tag == METHOD) {
            insert.value = InsertValue::Computed(text.as_str().into());
        }
        Some(inserts)
    }

    /// Returns what a code becomes: itself, or nothing.
    fn code(&self, place: &Place<'_>) -> Action {
        let seen = self.header.at(place.offset);
        let text = seen
            .and_then(|seen| self.header.text(seen))
            .unwrap_or_default();
        if codes(place.element.tag).contains(&text.trim()) {
            Action::Keep
        } else {
            Action::Empty
        }
    }

    /// Returns what a text becomes. A text that the header does not hold cannot be cleaned, and is emptied.
    fn cleaned(&self, place: &Place<'_>, decision: Decision) -> Action {
        let seen = self.header.at(place.offset);
        let Some(text) = seen.and_then(|seen| self.header.text(seen)) else {
            return if seen.is_some_and(SeenElement::is_empty) {
                Action::Keep
            } else {
                self.profile.of_nothing(place.element, place.vr)
            };
        };
        let (vr, identifiers) = (place.vr, &self.identifiers);
        let cleaned = match decision {
            Decision::Describe => clean::description(text, vr, identifiers),
            Decision::Term => clean::term(text, vr, identifiers),
            _ => clean::technical(text, vr, identifiers),
        };
        match cleaned {
            Cleaned { removed: 0, .. } => Action::Keep,
            Cleaned { text, .. } if text.trim().is_empty() => {
                self.profile.of_nothing(place.element, place.vr)
            }
            Cleaned { text, .. } => Action::Cleaned(Cow::into_owned(text).into()),
        }
    }

    /// Decides about an age, such as `045Y` (AS, PS3.5 section 6.2). What is not one age is emptied.
    fn age(&self, place: &Place<'_>) -> Action {
        let seen = self.header.at(place.offset);
        let text = seen.and_then(|seen| self.header.text(seen));
        let Some((number, unit)) = text
            .map(str::trim)
            .and_then(|text| text.split_at_checked(3))
        else {
            return Action::Empty;
        };
        match (number.parse::<u16>(), unit) {
            (Ok(years), "Y") if years >= OLD => Action::Computed(OLDEST.into()),
            (Ok(_), "Y" | "M" | "W" | "D") => Action::Keep,
            _ => Action::Empty,
        }
    }
}

impl ObjectRules for ProfiledObject<'_> {
    fn root(&self) -> State {
        self.profile.types.root(self.header.root_text(SOP_CLASS))
    }

    fn decide(&self, place: &Place<'_>) -> Result<Action, Refused> {
        Ok(match self.profile.plan(place.element.tag) {
            Plan::Action(action) => action.clone(),
            Plan::Decision(Decision::ByType { removes }) => {
                self.profile.by_type(place.element, place.vr, *removes)
            }
            Plan::Decision(Decision::Age) => self.age(place),
            Plan::Decision(Decision::Code) => self.code(place),
            Plan::Decision(decision) => self.cleaned(place, *decision),
        })
    }

    fn inserts(&self) -> Option<&[Insert]> {
        self.inserts.as_deref()
    }
}

impl fmt::Debug for ProfiledObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfiledObject")
    }
}
