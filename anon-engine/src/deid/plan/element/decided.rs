//! Does what rules decide for one object ([`ObjectRules`](anon_script::object::ObjectRules)).

use anon_model::RemarkReason;
use anon_script::object::Place;
use anon_script::rules::{Action, ItemElement, ItemValue, State};

use super::{ObjectUid, Planner, value_vr};
use crate::deid::eval;
use crate::deid::output_path::OutputPath;
use crate::deid::plan::root_values::RootValue;
use crate::deid::template::put_element;
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;
use crate::read::scan::{Encoding, Header, ITEM, ScanError};
use crate::read::text::Charset;
use crate::read::uid;

/// The longest private creator (LO, PS3.5 section 6.2), in bytes of any character set.
const MAX_CREATOR: u32 = 256;

/// The creators of the private blocks that have been read, in the open data sets (PS3.5 section 7.8.1).
#[derive(Debug, Default)]
pub(super) struct Creators(Vec<Creator>);

#[derive(Debug)]
struct Creator {
    depth: u16,
    group: u16,
    block: u16,
    name: String,
}

impl Creators {
    fn set(&mut self, depth: u16, (group, block): (u16, u16), name: String) {
        self.0.push(Creator {
            depth,
            group,
            block,
            name,
        });
    }

    /// Forgets those of data sets that have ended.
    pub(super) fn leave(&mut self, depth: u16) {
        while self.0.last().is_some_and(|creator| creator.depth >= depth) {
            self.0.pop();
        }
    }

    /// Returns the creator of the block of an element, or the name that a creator element itself has.
    fn of(&self, depth: u16, (group, element): (u16, u16)) -> Option<&str> {
        let block = if element > 0xFF {
            element >> 8
        } else {
            element
        };
        let mut known = self.0.iter().rev();
        let found = known
            .find(|creator| (creator.depth, creator.group, creator.block) == (depth, group, block));
        found.map(|creator| creator.name.as_str())
    }
}

impl<I: Input> Planner<'_, I> {
    /// Remembers a private creator.
    fn note_creator(&mut self, header: &Header) -> Result<(), ScanError> {
        let tag = header.tag();
        let is_creator = tag.0 % 2 == 1 && matches!(tag.1, 0x10..=0xFF);
        if !is_creator || header.len > MAX_CREATOR {
            return Ok(());
        }
        let charset = self.charset();
        let name = charset.text(self.walk.value(header)?);
        self.creators.set(self.depth, (tag.0, tag.1), name);
        Ok(())
    }

    /// Asks the rules of the object, and does what they say.
    pub(super) fn decide(&mut self, header: &Header) -> Result<(), ScanError> {
        let tag = header.tag();
        let object = self.object.ok_or_else(|| {
            let problem = "the rules decide by the object, and did not ask to see it";
            ScanError::rule(problem, tag, header.at)
        })?;
        self.note_creator(header)?;
        let vr = dicom_core::VR::from_binary(shown_vr(header).letters());
        let place = Place::new(
            self.place(header),
            vr.unwrap_or(dicom_core::VR::UN),
            header.at,
        )
        .of_creator(self.creators.of(self.depth, (tag.0, tag.1)));
        let action = object
            .decide(&place)
            .map_err(|refused| ScanError::rule(refused.reason, tag, header.at))?;
        if action == Action::Decide {
            let problem = "the rules do not decide";
            return Err(ScanError::rule(problem, tag, header.at));
        }
        self.act(header, &action)
    }

    /// Writes a computed text, or nothing if it does not fit the VR.
    pub(super) fn compute(&mut self, header: &Header, text: &str) -> Result<(), ScanError> {
        self.walk.skip(header)?;
        if self.put_text(header, text)? {
            self.give(header, text);
            return Ok(());
        }
        let number = dictionary::number_to_show(header.number);
        self.remarks.add(RemarkReason::NotOfItsVr, number);
        self.emit(header, value_vr(header), b"")
    }

    /// Writes what the rules left of a text.
    pub(super) fn clean(&mut self, header: &Header, text: &str) -> Result<(), ScanError> {
        let number = dictionary::number_to_show(header.number);
        self.remarks.add(RemarkReason::WordsRemoved, number);
        self.compute(header, text)
    }

    /// Makes what the rules computed for patient, study, series or instance its pseudonym. What cannot
    /// name a directory does not: the project then assigns one.
    fn give(&mut self, header: &Header, text: &str) {
        if self.depth > 0 || !self.rules.decides_identity() {
            return;
        }
        let given = &mut self.given;
        let slot = match RootValue::of(header.tag()) {
            Some(RootValue::PatientId) => &mut given.patient,
            Some(RootValue::Study) => &mut given.study,
            Some(RootValue::Series) => &mut given.series,
            Some(RootValue::Instance) => {
                self.instance = Some(text.to_owned());
                &mut given.instance
            }
            _ => return,
        };
        *slot = Some(text.to_owned()).filter(|name| OutputPath::is_name(name));
    }

    /// Writes a sequence with one item.
    pub(super) fn item(
        &mut self,
        header: &Header,
        elements: &[ItemElement],
    ) -> Result<(), ScanError> {
        self.walk.skip(header)?;
        let mut value = Vec::new();
        put_item(&mut value, self.target(), elements).ok_or_else(|| {
            let problem = "an item of the rules does not fit its value representations";
            ScanError::rule(problem, header.tag(), header.at)
        })?;
        self.emit(header, Vr::SQ, &value)
    }

    /// Does what the rules say about a UID of the object. A SOP Instance UID that stays, or that they
    /// compute, also stands in the file meta information (PS3.10 section 7.1).
    #[cold]
    pub(super) fn own_uid_as_ruled(
        &mut self,
        header: &Header,
        role: ObjectUid,
    ) -> Result<(), ScanError> {
        let mut action = self.rules.action(self.place(header)).clone();
        if action == Action::Decide
            && let Some(object) = self.object
        {
            let place = Place::new(self.place(header), dicom_core::VR::UI, header.at);
            let decided = object.decide(&place);
            action = decided
                .map_err(|refused| ScanError::rule(refused.reason, header.tag(), header.at))?;
        }
        if action == Action::Uid {
            return self.own_uid(header, role);
        }
        if action == Action::Keep && role == ObjectUid::Instance {
            let kept = uid::text(self.walk.value(header)?);
            self.instance = Some(kept).filter(|kept| uid::is_well_formed(kept.as_bytes()));
        }
        self.act(header, &action)
    }

    /// Sets the state of the data set that begins.
    #[inline]
    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
        if let Some(level) = self.levels.last_mut() {
            level.state = state;
        }
    }
}

/// The VR of the object, or PS3.6's if the object has none or UN.
fn shown_vr(header: &Header) -> Vr {
    let known = dictionary::vr(header.tag());
    match known {
        Some(known) if header.encoding == Encoding::ImplicitLe || header.vr == Vr::UN => known,
        _ => header.vr,
    }
}

/// Appends an item of defined length. Returns `None` if a value does not fit its VR.
fn put_item(out: &mut Vec<u8>, encoding: Encoding, elements: &[ItemElement]) -> Option<()> {
    out.extend_from_slice(&encoding.put_tag(ITEM));
    let field = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut value = Vec::new();
    for element in elements {
        value.clear();
        let vr = Vr::of(element.vr.to_bytes());
        match &element.value {
            ItemValue::Text(text) => {
                eval::text::encode(&mut value, text, vr, encoding, &Charset::default())?;
            }
            ItemValue::Item(inner) => put_item(&mut value, encoding, inner)?,
        }
        put_element(out, encoding, element.tag, vr, &value)?;
    }
    let len = u32::try_from(out.len() - field - 4).ok()?;
    let bytes = out.get_mut(field..field + 4)?;
    bytes.copy_from_slice(&encoding.put_u32(len));
    Some(())
}
