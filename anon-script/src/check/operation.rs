//! The operations of the rsna dialect.

use dicom_core::Tag;

use super::Check;
use super::method::METHOD_CODES;
use super::names::{CTP_CALLS, CTP_OTHERS, OPERATIONS};
use crate::diagnostic::{Code, nearest};
use crate::rules::Action;
use crate::span::Span;
use crate::syntax::script::Rule;
use crate::syntax::{Argument, Call, Id, Part};

impl Check<'_> {
    /// Returns the action of a row. Reports a problem and returns `None` if it has none.
    pub(super) fn action(&mut self, rule: &Rule, tag: Tag) -> Option<Action> {
        match rule.expression.parts.as_slice() {
            // The text has no parts because it could not be parsed, which has been reported.
            [] if rule.text.value().is_empty() => Some(Action::Keep),
            [] => None,
            [Part::Word { name, span }] => self.word(name, *span),
            [Part::Call(call)] => self.call(call),
            [Part::Literal { text, span }] if tag == METHOD_CODES => self.codes(text, *span),
            [Part::Literal { text, span }] => self.constant(text, *span, tag),
            [_, others @ ..] => {
                let is_text = |part: &&Part| match part {
                    Part::Literal { text, .. } => !text.trim().is_empty(),
                    _ => true,
                };
                let more = others.iter().find(is_text).or(others.first())?;
                let span = match more {
                    Part::Literal { span, .. } | Part::Word { span, .. } => *span,
                    Part::Call(call) => call.span,
                };
                self.problem(Code::Mixed, span, "keep one operation, or a constant");
                None
            }
        }
    }

    fn word(&mut self, name: &str, span: Span) -> Option<Action> {
        match name {
            "keep" => Some(Action::Keep),
            "remove" => Some(Action::Remove),
            "empty" => Some(Action::Empty),
            "uid" => Some(Action::Uid),
            "ptid" => Some(Action::Patient),
            "acc" => Some(Action::Accession),
            "hashdate" => Some(Action::ShiftDate),
            "round" => {
                self.problem(Code::Arguments, span, "add the width: `@round(this,5)`");
                None
            }
            _ => self.unknown(name, span),
        }
    }

    fn call(&mut self, call: &Call) -> Option<Action> {
        match (call.name.as_str(), call.arguments.as_slice()) {
            ("keep" | "remove" | "empty" | "uid" | "ptid" | "acc" | "hashdate", []) => {
                self.word(&call.name, call.span)
            }
            ("hashdate", [element]) if is_this(element) => Some(Action::ShiftDate),
            ("hashdate", [element, patient]) if is_this(element) && is_patient(patient) => {
                Some(Action::ShiftDate)
            }
            ("round", [width]) => self.width(width),
            ("round", [element, width]) if is_this(element) => self.width(width),
            ("hashdate", _) => {
                let help = "dates are shifted by the patient: `@hashdate(this,PatientID)`";
                self.problem(Code::Arguments, call.span, help);
                None
            }
            ("round", _) => {
                self.problem(Code::Arguments, call.span, "write `@round(this,5)`");
                None
            }
            (name, _) if OPERATIONS.contains(&name) => {
                self.problem(Code::Arguments, call.span, format!("write `@{name}`"));
                None
            }
            (name, _) => self.unknown(name, call.name_span),
        }
    }

    fn width(&mut self, argument: &Argument) -> Option<Action> {
        if let Ok(width @ 1..=999) = argument.text.parse() {
            return Some(Action::RoundAge { width });
        }
        let help = "a width is a number from 1 to 999";
        self.problem(Code::Arguments, argument.span, help);
        None
    }

    fn unknown(&mut self, name: &str, span: Span) -> Option<Action> {
        let help = if self.problems.is_full() {
            String::new()
        } else if OPERATIONS.contains(&name.to_ascii_lowercase().as_str()) {
            let meant = name.to_ascii_lowercase();
            format!("did you mean `@{meant}`? (operations are in lower case)")
        } else if CTP_CALLS.contains(&name) || CTP_OTHERS.contains(&name) {
            format!("`@{name}` is a function of CTP, and V17 would keep the value")
        } else if let Some(near) = nearest(name, OPERATIONS) {
            format!("did you mean `@{near}`?")
        } else {
            format!("operations are @{}", OPERATIONS.join(", @"))
        };
        self.problem(Code::UnknownOperation, span, help);
        None
    }

    fn constant(&mut self, text: &str, span: Span, tag: Tag) -> Option<Action> {
        // V17 finds these words anywhere in a text, and CTP users forget the `@`.
        let word = text.trim().split('(').next().unwrap_or("").trim();
        let is_bare = word.len() == text.trim().len() || text.trim().ends_with(')');
        let meant = OPERATIONS.into_iter().chain(CTP_CALLS).find(|name| {
            let is_call = text.contains('(');
            name.eq_ignore_ascii_case(word) && (is_call || OPERATIONS.contains(name))
        });
        if let Some(operation) = meant.filter(|_| is_bare) {
            self.problem(
                Code::BareOperation,
                span,
                format!("did you mean `@{operation}`?"),
            );
            return None;
        }
        let problem = super::value::problem(tag, text);
        if let Some(problem) = problem {
            self.problem(Code::Constant, span, problem);
            return None;
        }
        Some(Action::Replace(text.into()))
    }

    /// Returns true if the operation fits the VR of the element (PS3.6). Reports a problem
    /// otherwise.
    pub(super) fn fits(&mut self, rule: &Rule, tag: Tag, action: &Action) -> bool {
        use dicom_core::VR;
        let Some(vr) = super::value::vr(tag) else {
            return true;
        };
        let purpose = match action {
            Action::Uid if vr != VR::UI => "is for UIDs (UI)",
            Action::Patient if !matches!(vr, VR::PN | VR::LO | VR::SH) => {
                "is for names and ids (PN, LO, SH)"
            }
            Action::Accession if !matches!(vr, VR::SH | VR::LO) => "is for numbers in SH or LO",
            Action::ShiftDate if !matches!(vr, VR::DA | VR::DT) => "is for dates (DA, DT)",
            Action::RoundAge { .. } if vr != VR::AS => "is for ages (AS)",
            _ => return true,
        };
        let operation = crate::rule_set::operation(action);
        let help = format!(
            "`{operation}` {purpose}, and this element is {vr}",
            vr = vr.to_string()
        );
        self.problem(Code::Misfit, rule.span, help);
        false
    }
}

fn is_this(argument: &Argument) -> bool {
    argument.text == "this"
}

fn is_patient(argument: &Argument) -> bool {
    argument
        .element()
        .is_some_and(|element| element.path == [Id::Tag(Tag(0x0010, 0x0020))])
}
