//! The functions that hash and encrypt.

use std::mem;

use super::{Evaluator, Function, Stop, Text};
use crate::ctp::expression::{Call, trim};
use crate::ctp::{digest, words};

/// How often the rules that `@hashuid` names are evaluated inside each other, and for one element.
const MAX_DEPTH: usize = 8;
const MAX_ASKED: usize = 1_000;

/// Characters of a UID (PS3.5 section 9.1).
const UID_LENGTH: usize = 64;

impl Evaluator<'_> {
    pub(super) fn hash(&mut self, call: &Call) -> Text {
        match call.function {
            Function::HashUid => return self.hash_uid(call),
            Function::HashPatientId => return self.hash_patient_id(call),
            Function::HashName => {
                let Some(reference) = call.argument(0).filter(|_| call.arguments.len() > 1) else {
                    return self.misfit(call);
                };
                let name = self.read(reference).unwrap_or_default();
                let name = words::name_to_hash(&name, self.number(call, 2));
                let length = self.number(call, 1).unwrap_or(4);
                return Ok(shortened(&digest::decimal(&name), Some(length)));
            }
            _ => {}
        }
        let Some(reference) = call.argument(0) else {
            return self.misfit(call);
        };
        if call
            .argument(1)
            .is_some_and(|length| self.resolve(length).is_none())
        {
            return self.misfit(call);
        }
        match self.read(reference) {
            Some(value) => Ok(shortened(&digest::decimal(&value), self.number(call, 1))),
            None => Ok(self.command(Function::Remove, "@remove()")),
        }
    }

    fn hash_patient_id(&self, call: &Call) -> Text {
        let (Some(site), Some(reference)) = (call.argument(0), call.argument(1)) else {
            return self.misfit(call);
        };
        let site = match self.resolve(site) {
            Some(site) => trim(site),
            None if self.is_strict() => return self.misfit(call),
            None => "",
        };
        let value = self.read(reference).unwrap_or_default();
        let hashed = digest::decimal(&format!("[{site}]{}", trim(&value)));
        Ok(shortened(&hashed, self.number(call, 2)))
    }

    fn hash_uid(&mut self, call: &Call) -> Text {
        let (Some(root), Some(reference)) = (call.argument(0), call.argument(1)) else {
            return self.misfit(call);
        };
        let Some(root) = self.resolve(root).map(|root| trim(root).to_owned()) else {
            return self.misfit(call);
        };
        let Some(mut value) = self.read(reference) else {
            return Ok(self.command(Function::Remove, "@remove()"));
        };
        if let Some(other) = call.argument(2) {
            value.push_str(&self.result_of(other)?);
        }
        let dot = if root.ends_with('.') { "" } else { "." };
        let mut uid = format!("{root}{dot}{}", digest::decimal(&value));
        if let Some((end, _)) = uid.char_indices().nth(UID_LENGTH) {
            uid.truncate(end);
        }
        Ok(uid)
    }

    /// Returns the text that the rule of another element gives. Empty if it has none.
    fn result_of(&mut self, reference: &str) -> Text {
        let step = self
            .path(reference)
            .and_then(|path| match path.steps.as_slice() {
                [step] => Some(step.clone()),
                _ => None,
            });
        let Some(rule) = step.as_ref().and_then(|step| self.script.rule(step)) else {
            return Ok(String::new());
        };
        self.asked += 1;
        if self.depth == MAX_DEPTH || self.asked > MAX_ASKED {
            return Err(Stop::Quarantine("rules of the script depend on each other"));
        }
        let this = mem::replace(&mut self.this, rule.target().clone());
        let commands = mem::take(&mut self.commands);
        self.depth += 1;
        let text = self.expression(&rule.expression);
        self.depth -= 1;
        (self.this, self.commands) = (this, commands);
        text
    }

    pub(super) fn encrypt(&self, call: &Call) -> Text {
        let (Some(reference), Some(key)) = (call.argument(0), call.argument(1)) else {
            return self.misfit(call);
        };
        let key = match self.resolve(key) {
            None if self.is_strict() => return self.misfit(call),
            key => key.unwrap_or(""),
        };
        let value = self.read(reference).unwrap_or_default();
        let done = match call.function {
            Function::Encrypt => digest::encrypt(&value, key),
            _ => digest::decrypt(&value, key),
        };
        done.map_or_else(|| self.misfit(call), Ok)
    }
}

/// Returns the first `length` digits of a number. All of them without a length of at least 1.
fn shortened(digits: &str, length: Option<i32>) -> String {
    match length.and_then(|length| usize::try_from(length).ok()) {
        Some(length @ 1..) => digits.chars().take(length).collect(),
        _ => digits.to_owned(),
    }
}
