//! Actions that change a value: pseudonyms, dates, ages, texts of the rules.

use std::ops::Range;

use anon_model::RemarkReason;
use anon_script::rules::Action;

use super::{Planner, index, value_vr};
use crate::deid::eval::{self, date, number};
use crate::deid::template::{EditValue, Reference};
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;
use crate::read::scan::{Header, ScanError};
use crate::read::{text, uid};

impl<I: Input> Planner<'_, I> {
    /// Actions on a value.
    pub(super) fn change(&mut self, header: &Header, action: &Action) -> Result<(), ScanError> {
        if header.is_undefined() || header.vr == Vr::SQ {
            let problem = "the rule is for a value, and this is a sequence";
            return Err(ScanError::rule(problem, header.tag(), header.at));
        }
        self.check_values(header)?;
        let vr = value_vr(header);
        match action {
            Action::Uid => {
                let references = self.uids(header)?;
                self.check_originals(header)?;
                self.edit(header, Vr::UI, EditValue::Uids(references))?;
            }
            Action::Accession => {
                let references = self.accessions(header)?;
                self.check_originals(header)?;
                let vr = if vr.is_text() { vr } else { Vr::SH };
                self.edit(header, vr, EditValue::Accessions(references))?;
            }
            Action::ShiftDate => {
                let value = self.walk.value(header)?;
                // Eight digits are no old date. Most dates are that short.
                let is_old = vr == Vr::DA
                    && value.len() > 8
                    && value.split(|b| *b == b'\\').any(date::is_old);
                let dates = self.template.remember(value);
                if is_old {
                    let mended = &mut self.walk.mended;
                    mended.add(RemarkReason::OldDate, header.number, header.at);
                }
                let vr = if vr.is_text() { vr } else { Vr::DA };
                self.edit(header, vr, EditValue::Dates(dates))?;
            }
            Action::RoundAge { width } => self.round_age(header, *width)?,
            _ => {
                let vr = if vr.is_text() { vr } else { Vr::LO };
                self.edit(header, vr, EditValue::Patient)?;
            }
        }
        self.walk.skip(header)
    }

    pub(super) fn replace(&mut self, header: &Header, text: &str) -> Result<(), ScanError> {
        self.walk.skip(header)?;
        if self.put_text(header, text)? {
            return Ok(());
        }
        let problem = "the rule's text does not fit the value representation";
        Err(ScanError::rule(problem, header.tag(), header.at))
    }

    /// Writes a text. Returns false, and writes nothing, if it does not fit the VR.
    pub(super) fn put_text(&mut self, header: &Header, text: &str) -> Result<bool, ScanError> {
        let vr = value_vr(header);
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        let done = eval::text::encode(&mut value, text, vr, self.target(), &self.charset());
        let emitted = done.map(|()| self.emit(header, vr, &value)).transpose();
        self.scratch = value;
        emitted.map(|done| done.is_some())
    }

    pub(super) fn round_age(&mut self, header: &Header, width: u16) -> Result<(), ScanError> {
        let mut ages = String::new();
        for (at, age) in self.walk.value(header)?.split(|b| *b == b'\\').enumerate() {
            if at > 0 {
                ages.push('\\');
            }
            match number::round_age(age, width) {
                Some(rounded) => ages.push_str(&rounded),
                None if uid::trim(age).is_empty() => {}
                None => {
                    let number = dictionary::number_to_show(header.number);
                    self.remarks.add(RemarkReason::NotAnAge, number);
                }
            }
        }
        self.emit(header, Vr::AS, ages.as_bytes())
    }

    pub(super) fn uids(&mut self, header: &Header) -> Result<Range<u32>, ScanError> {
        let value = self.walk.value(header)?;
        let template = &mut self.template;
        let begin = index(template.references.len());
        for part in value.split(|byte| *byte == b'\\').map(uid::trim) {
            let reference = if part.is_empty() {
                Reference::Empty
            } else if uid::is_standard(part) {
                Reference::Literal(template.remember(part))
            } else {
                Reference::Original(template.uids.bytes(part))
            };
            template.references.push(reference);
        }
        Ok(begin..index(template.references.len()))
    }

    pub(super) fn accessions(&mut self, header: &Header) -> Result<Range<u32>, ScanError> {
        let charset = self.charset();
        let value = self.walk.value(header)?;
        let template = &mut self.template;
        let begin = index(template.references.len());
        // Decoded first: in some sets a backslash is half a character.
        let text = charset.key(value);
        for part in text.split('\\').map(text::trimmed) {
            let reference = if part.is_empty() {
                Reference::Empty
            } else {
                Reference::Original(template.accessions.text(part.to_owned()))
            };
            template.references.push(reference);
        }
        Ok(begin..index(template.references.len()))
    }
}
