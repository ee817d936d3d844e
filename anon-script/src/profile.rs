//! The Basic Application Level Confidentiality Profile of PS3.15 annex E, edition 2026d, with its options:
//! [`Profile`].
//!
//! ```text
//!  Table E.1-1 + options ──► action of an attribute, or several
//!                                   │
//!  PS3.3: required where? ──────────┴──► one action, by SOP class and path
//!  PS3.6: attributes that the table does not list ──► by VR
//!  own identifiers of the object ──► removed from every text that stays
//! ```
//!
//! A name is `basic`, or `basic` with options: `basic+modified-dates+clean-descriptors`. [`ProfileOption`] lists
//! them.
//!
//! # What is done
//!
//! | action of the table | here |
//! |---|---|
//! | X | the element goes; it is emptied or gets a dummy where its SOP class requires it |
//! | Z | the element is empty. Patient's Name and Patient ID, and Accession Number, get pseudonyms |
//! | D | a dummy that is valid for the VR and the same in every object |
//! | U | UIDs get pseudonyms; those under 1.2.840.10008 stay |
//! | K | the element stays; a text without what identifies this object's patient, an age of 90 and more as `090Y` |
//! | C | dates move by whole days, so that times of day stay; texts keep the words of a vocabulary |
//! | several | by the type of the attribute in PS3.3: 1 a dummy, 2 empty, 3 removed |
//!
//! Private elements, groups 50xx and 60xx, and attributes that PS3.6 does not list go. What PS3.6 lists and the
//! table does not stays, but for addresses, names, retired texts, and UIDs, which get pseudonyms; dates as the
//! options say.
//!
//! # Examples
//! ```
//! use anon_script::profile::Profile;
//! use anon_script::{Action, Element, Rules as _, Tag};
//!
//! let profile = Profile::named("basic+modified-dates")?;
//! assert_eq!(profile.action(Element::root(Tag(0x0010, 0x0010))), &Action::Patient);
//! assert_eq!(profile.action(Element::root(Tag(0x0008, 0x0020))), &Action::ShiftDate);
//! assert_eq!(profile.action(Element::root(Tag(0x0010, 0x4000))), &Action::Remove);
//! assert!(Profile::named("basic+modified-dates+full-dates").is_err());
//! # Ok::<(), anon_script::profile::ProfileError>(())
//! ```

mod dummy;
mod lazy_table;
mod object;
mod options;
mod table;
mod types;

use std::collections::HashSet;
use std::sync::Arc;

use dicom_core::{Tag, VR};
use sha2::{Digest as _, Sha256};

use self::lazy_table::LazyTable;
use self::object::ProfiledObject;
use self::options::Options;
pub use self::options::{ProfileError, ProfileOption};
use self::table::{Table, Verdict, tag};
use self::types::{Required, Types};
use crate::check::vr;
use crate::object::{Insert, InsertValue, Look, ObjectHeader, ObjectRules, Refused};
use crate::rules::{Action, Element, Method, Rules, State};

/// The edition of PS3.15 whose Table E.1-1 is used.
pub const EDITION: &str = "2026d";

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ACCESSION_NUMBER: Tag = Tag(0x0008, 0x0050);
const SOP_CLASS: Tag = Tag(0x0008, 0x0016);
const METHOD: Tag = Tag(0x0012, 0x0063);
const CODE_MEANING: Tag = Tag(0x0008, 0x0104);
const UDI_SEQUENCE: Tag = Tag(0x0018, 0x100A);
const TEMPORAL_INFORMATION: Tag = Tag(0x0028, 0x0303);

/// What is decided about an element of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// The state chooses among several actions.
    ByType {
        /// True if an attribute that is not required goes.
        removes: bool,
    },
    /// A description: words of the vocabulary stay.
    Describe,
    /// The meaning of a code: identifiers, dates and numbers go.
    Term,
    /// Another text: identifiers of the object go.
    Text,
    /// An age: 90 years at most.
    Age,
    /// A code: one of those that PS3.3 lists for the attribute.
    Code,
}

/// What is done with an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    Action(Action),
    Decision(Decision),
}

/// A profile, as rules.
#[derive(Debug)]
pub struct Profile {
    name: Arc<str>,
    options: Options,
    method: Method,
    digest: [u8; 32],
    inserts: Vec<Insert>,
    table: Table,
    types: Types,
    /// Attributes outside Table E.1-1: UIDs that name no instance; what goes.
    kept_uids: HashSet<Tag>,
    removed: HashSet<Tag>,
    codes: LazyTable,
    /// By code.
    plans: Vec<Plan>,
}

impl Profile {
    /// Returns the profile of this name.
    ///
    /// # Errors
    /// [`ProfileError`] says what is wrong with the name.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let options = Options::parse(name)?;
        let name = options.to_string();
        let (kept_uids, removed) = beyond();
        Ok(Self {
            digest: digest(&name),
            method: method(options.list()),
            inserts: inserts(&options),
            name: name.into(),
            options,
            table: Table::new(),
            types: Types::new(),
            kept_uids,
            removed,
            codes: LazyTable::new(),
            plans: plans(),
        })
    }

    /// The same profile in a project whose dates move by V17's formula, which anybody who guesses a Patient ID can
    /// undo: outputs do not claim that dates are modified (code 113107).
    #[must_use]
    pub fn without_claim_of_dates(mut self) -> Self {
        let (code, _) = ProfileOption::ModifiedDates.code();
        self.method.codes.retain(|(claimed, _)| &**claimed != code);
        self.digest = digest(&format!("{} without {code}", self.name));
        self
    }

    /// Returns the options, in the order of their names.
    pub fn options(&self) -> &[ProfileOption] {
        self.options.list()
    }

    /// Returns the attributes that Table E.1-1 lists, by tag, with what becomes of each in a few words.
    pub fn rows(&self) -> impl Iterator<Item = (Tag, &'static str)> {
        self.table.tags().map(|tag| (tag, self.words(tag)))
    }

    /// Returns what becomes of an attribute, in a few words.
    fn words(&self, tag: Tag) -> &'static str {
        match self.plan(tag) {
            Plan::Action(action) => match action {
                Action::Remove => "removed",
                Action::Keep => "kept",
                Action::Empty => "emptied",
                Action::Uid => "new UID",
                Action::Patient | Action::Accession => "pseudonym",
                Action::ShiftDate => "moved",
                _ => "dummy",
            },
            Plan::Decision(decision) => match decision {
                Decision::ByType { removes: true } => "removed, or as its SOP class requires",
                Decision::ByType { removes: false } => "emptied, or as its SOP class requires",
                Decision::Describe => "kept, words of the vocabulary",
                Decision::Term | Decision::Text => "kept, without identifiers of the object",
                Decision::Age => "kept, 90 years and more as 090Y",
                Decision::Code => "kept, if it is a value of PS3.3",
            },
        }
    }

    /// Returns true if the required attributes of this SOP class are known. Those of any other are assumed to be
    /// required where one class requires them.
    pub fn knows_class(&self, sop_class: &str) -> bool {
        self.types.knows(sop_class)
    }
}

impl Rules for Profile {
    #[inline]
    fn action(&self, element: Element) -> &Action {
        match self.plan(element.tag) {
            Plan::Action(action) => action,
            Plan::Decision(_) => &Action::Decide,
        }
    }

    fn items(&self, sequence: Element) -> State {
        self.types.items(sequence.state, sequence.tag)
    }

    fn look(&self) -> Look {
        Look::All
    }

    fn begin<'r>(
        &'r self,
        header: &'r ObjectHeader,
    ) -> Result<Option<Box<dyn ObjectRules + 'r>>, Refused> {
        Ok(Some(Box::new(ProfiledObject::new(self, header))))
    }

    fn inserts(&self) -> &[Insert] {
        &self.inserts
    }

    fn decides_identity(&self) -> bool {
        self.options.has(ProfileOption::Uids)
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn text(&self) -> &str {
        &self.name
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl Profile {
    #[inline]
    fn plan(&self, tag: Tag) -> &Plan {
        let code = self.codes.code(tag, |tag| self.compute(tag));
        self.plans.get(usize::from(code)).unwrap_or(&REMOVE)
    }

    /// Returns the code of what is done with an attribute.
    fn compute(&self, tag: Tag) -> u8 {
        let plan = self.decided(tag);
        let at = self.plans.iter().position(|known| *known == plan);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default()
    }

    fn decided(&self, tag: Tag) -> Plan {
        let is_private = tag.0 % 2 == 1;
        let repeats = matches!(tag.0 & 0xFF00, 0x5000 | 0x6000);
        if is_private || repeats || tag.0 <= 4 {
            return REMOVE;
        }
        let Some(vr) = vr(tag) else {
            return REMOVE;
        };
        match tag {
            PATIENT_NAME | PATIENT_ID => return Plan::Action(Action::Patient),
            ACCESSION_NUMBER => return Plan::Action(Action::Accession),
            // Its only required attribute goes.
            UDI_SEQUENCE if !self.options.has(ProfileOption::Device) => return REMOVE,
            _ => {}
        }
        match self.table.verdict(tag, &self.options) {
            Some(verdict) => self.listed(tag, vr, verdict),
            None => self.unlisted(tag, vr),
        }
    }

    fn listed(&self, tag: Tag, vr: VR, verdict: Verdict) -> Plan {
        let is_required = || self.types.is_required_somewhere(tag);
        match (verdict, vr) {
            (Verdict::Alternatives { removes }, _) => Plan::Decision(Decision::ByType { removes }),
            (Verdict::Remove, _) if is_required() => {
                Plan::Decision(Decision::ByType { removes: true })
            }
            (Verdict::Empty, _) if is_required() => {
                Plan::Decision(Decision::ByType { removes: false })
            }
            (Verdict::Empty, _) => Plan::Action(Action::Empty),
            (Verdict::Dummy, _) => Plan::Action(dummy::action(tag, vr)),
            (Verdict::Uid, VR::UI) => Plan::Action(Action::Uid),
            (Verdict::Uid | Verdict::Clean, VR::SQ) => KEEP,
            (Verdict::Remove | Verdict::Uid, _) | (Verdict::Shift | Verdict::Clean, VR::OB) => {
                REMOVE
            }
            (Verdict::Shift, VR::DA | VR::DT) => Plan::Action(Action::ShiftDate),
            // Days are whole, so times and time zones stay.
            (Verdict::Shift, _) => KEEP,
            (Verdict::Clean, VR::CS | VR::AE) => Plan::Decision(Decision::Text),
            (Verdict::Clean, _) => Plan::Decision(Decision::Describe),
            (Verdict::Keep, VR::CS) if !codes(tag).is_empty() => Plan::Decision(Decision::Code),
            // A place where people type.
            (Verdict::Keep, VR::SH | VR::UC) if tag.0 == PATIENT_NAME.0 => {
                Plan::Decision(Decision::Describe)
            }
            (Verdict::Keep, _) => kept(tag, vr),
        }
    }

    /// What becomes of an attribute of PS3.6 that Table E.1-1 does not list.
    fn unlisted(&self, tag: Tag, vr: VR) -> Plan {
        let has = |option| self.options.has(option);
        let keeps_times = has(ProfileOption::ModifiedDates) || has(ProfileOption::FullDates);
        match vr {
            _ if self.removed.contains(&tag) => REMOVE,
            _ if self.kept_uids.contains(&tag) => KEEP,
            VR::PN | VR::AE | VR::UR | VR::UN => REMOVE,
            VR::UI if has(ProfileOption::Uids) => KEEP,
            VR::UI => Plan::Action(Action::Uid),
            VR::DA | VR::DT if has(ProfileOption::ModifiedDates) => Plan::Action(Action::ShiftDate),
            VR::DA | VR::DT | VR::TM if !keeps_times => Plan::Action(Action::Empty),
            _ if tag == CODE_MEANING || !has(ProfileOption::CleanDescriptors) => kept(tag, vr),
            VR::LO | VR::SH | VR::ST | VR::LT | VR::UC | VR::UT if !is_technical(tag) => {
                Plan::Decision(Decision::Describe)
            }
            _ => kept(tag, vr),
        }
    }

    /// What becomes of a text of which nothing is left. One that the table does not list may be required.
    fn of_nothing(&self, element: Element, vr: VR) -> Action {
        match self.table.basic(element.tag) {
            Some(Verdict::Remove | Verdict::Alternatives { removes: true }) => {
                self.by_type(element, vr, true)
            }
            Some(Verdict::Empty | Verdict::Alternatives { removes: false }) => {
                self.by_type(element, vr, false)
            }
            _ => dummy::action(element.tag, vr),
        }
    }

    /// What becomes of an attribute with several actions.
    fn by_type(&self, element: Element, vr: VR, removes: bool) -> Action {
        match self.types.required(element.state, element.tag) {
            None if removes => Action::Remove,
            None | Some(Required::Empty) => Action::Empty,
            Some(Required::Dummy) => dummy::action(element.tag, vr),
            Some(Required::References) => Action::Keep,
        }
    }
}

const REMOVE: Plan = Plan::Action(Action::Remove);
const KEEP: Plan = Plan::Action(Action::Keep);

/// Returns the values that PS3.3 lists for a characteristic of the patient (sections C.7.1.1 and C.7.2.2).
fn codes(tag: Tag) -> &'static [&'static str] {
    match tag {
        Tag(0x0010, 0x0040) => &["M", "F", "O"],
        Tag(0x0010, 0x21A0) => &["YES", "NO", "UNKNOWN"],
        Tag(0x0010, 0x2203) => &["ALTERED", "UNALTERED"],
        _ => &[],
    }
}

/// Names of products, parts and codes, whose words no vocabulary has.
fn is_technical(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0008, 0x0070 | 0x0100..=0x0123 | 0x1090)
            | Tag(
                0x0018,
                0x0024 | 0x1019 | 0x1020 | 0x1160 | 0x1210 | 0x1250 | 0x1251
            )
            | Tag(0x0020, 0x1040)
            | Tag(0x0028, 0x1054)
    )
}

/// What becomes of an attribute that stays.
fn kept(tag: Tag, vr: VR) -> Plan {
    match vr {
        _ if tag == CODE_MEANING => Plan::Decision(Decision::Term),
        VR::LO | VR::SH | VR::ST | VR::LT | VR::UC | VR::UT | VR::AE | VR::UR => {
            Plan::Decision(Decision::Text)
        }
        VR::AS => Plan::Decision(Decision::Age),
        VR::PN => Plan::Action(Action::Empty),
        _ => KEEP,
    }
}

/// Returns every plan that an attribute can have. The first is that of attributes that go.
fn plans() -> Vec<Plan> {
    let actions = [
        Action::Remove,
        Action::Keep,
        Action::Empty,
        Action::Uid,
        Action::Patient,
        Action::Accession,
        Action::ShiftDate,
    ];
    let decisions = [
        Decision::ByType { removes: true },
        Decision::ByType { removes: false },
        Decision::Describe,
        Decision::Term,
        Decision::Text,
        Decision::Age,
        Decision::Code,
    ];
    let mut plans: Vec<Plan> = actions.map(Plan::Action).into();
    plans.extend(decisions.map(Plan::Decision));
    for (tag, vr) in Table::new().tags().filter_map(|tag| Some((tag, vr(tag)?))) {
        let plan = Plan::Action(dummy::action(tag, vr));
        if !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    plans
}

fn method(options: &[ProfileOption]) -> Method {
    let mut method = Method::new(format!(
        "Basic Application Confidentiality Profile, PS3.15 {EDITION}"
    ));
    let basic = ("113100", "Basic Application Confidentiality Profile");
    let claimed = [basic].into_iter().chain(options.iter().map(|o| o.code()));
    method.codes = claimed
        .map(|(code, meaning)| (code.into(), meaning.into()))
        .collect();
    method
}

fn inserts(options: &Options) -> Vec<Insert> {
    let temporal = if options.has(ProfileOption::FullDates) {
        "UNMODIFIED"
    } else if options.has(ProfileOption::ModifiedDates) {
        "MODIFIED"
    } else {
        "REMOVED"
    };
    let mut inserts: Vec<Insert> = Insert::RSNA
        .iter()
        .filter(|insert| insert.tag.0 != Insert::BLOCK)
        .cloned()
        .collect();
    let value = InsertValue::Text(temporal);
    inserts.push(Insert::new(TEMPORAL_INFORMATION, VR::CS, value));
    inserts
}

/// SHA-256 of what the profile does: its name, and the tables.
fn digest(name: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    let tables = [
        include_str!("profile/e1_1.txt"),
        include_str!("profile/types.txt"),
        include_str!("profile/beyond.txt"),
    ];
    for part in ["anon profile 1", EDITION, name].into_iter().chain(tables) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Returns the attributes outside Table E.1-1 that stay although they are UIDs, and those that go.
fn beyond() -> (HashSet<Tag>, HashSet<Tag>) {
    let (mut kept, mut removed) = (HashSet::new(), HashSet::new());
    let mut keeps = true;
    for line in include_str!("profile/beyond.txt").lines() {
        match line {
            "keep" => keeps = true,
            "remove" => keeps = false,
            _ if line.starts_with('#') => {}
            tags => {
                let list = if keeps { &mut kept } else { &mut removed };
                list.extend(tags.split(' ').filter_map(tag));
            }
        }
    }
    (kept, removed)
}
