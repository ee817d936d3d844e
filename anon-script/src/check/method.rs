//! Rows for elements that every output has: how it was de-identified, (0012,0062) to (0012,0064),
//! and the patient.

use std::sync::Arc;

use dicom_core::Tag;

use super::Check;
use crate::builtin::SCRIPT_METHOD;
use crate::diagnostic::Code;
use crate::method_codes::CODES;
use crate::rule_set::Row;
use crate::rules::{Action, Method};
use crate::span::Span;
use crate::syntax::script::Rule;

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const IDENTITY_REMOVED: Tag = Tag(0x0012, 0x0062);
const METHOD: Tag = Tag(0x0012, 0x0063);
pub(super) const METHOD_CODES: Tag = Tag(0x0012, 0x0064);

/// Refused, because no rule of a script cleans pixels.
const CLEAN_PIXELS: &str = "113101";

impl Check<'_> {
    /// Checks codes as CTP writes them: `113100/113107`. The action holds them for [`extract`].
    pub(super) fn codes(&mut self, text: &str, span: Span) -> Option<Action> {
        let mut codes: Vec<&str> = Vec::new();
        for code in text.split('/').map(str::trim) {
            if code == CLEAN_PIXELS {
                let help = "113101 says that pixels are cleaned, and no rule does that";
                self.problem(Code::Constant, span, help);
                return None;
            }
            if !CODES.iter().any(|(known, _)| *known == code) {
                let help = "codes are those of PS3.16 CID 7050, such as 113100/113107";
                self.problem(Code::Constant, span, help);
                return None;
            }
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        Some(Action::Replace(codes.join("/").into()))
    }

    /// Reports a row for an element that every output has, if the output will differ from the row.
    pub(super) fn overruled(&mut self, rule: &Rule, tag: Tag, action: &Action) {
        let is_patient = matches!(tag, PATIENT_NAME | PATIENT_ID);
        let help = match (tag, action) {
            (_, Action::Remove | Action::Empty | Action::Patient)
            | (METHOD | METHOD_CODES, Action::Replace(_)) => return,
            (IDENTITY_REMOVED, Action::Replace(text)) if &**text == "YES" => return,
            (IDENTITY_REMOVED, _) => "outputs always say YES",
            (METHOD | METHOD_CODES, _) => {
                "an output states its own de-identification, not an earlier one"
            }
            _ if is_patient => "names and ids of patients are always replaced: write @ptid",
            _ => return,
        };
        self.problem(Code::NoEffect, rule.tag_span, help);
    }
}

/// Removes the rows about how outputs are de-identified, and returns what they say.
pub(super) fn extract(rows: &mut Vec<Row>) -> Method {
    let mut method = Method::new(SCRIPT_METHOD);
    rows.retain(|row| {
        let Action::Replace(text) = &row.action else {
            return true;
        };
        match row.tag {
            METHOD => method.text = Arc::clone(text),
            METHOD_CODES => method.codes = text.split('/').filter_map(code).collect(),
            _ => return true,
        }
        false
    });
    method
}

fn code(value: &str) -> Option<(Arc<str>, Arc<str>)> {
    let (value, meaning) = CODES.iter().find(|(known, _)| *known == value)?;
    Some(((*value).into(), (*meaning).into()))
}
