//! [`CtpProgram`]: a script of CTP as rules.
//!
//! ```text
//!  element ──► rule of its tag, or of its private block ──► evaluate ──► action
//!          └─► no rule: the switches of the script remove it, or it stays
//! ```
//!
//! Only strict mode runs as rules: an object is refused where CTP would let a value through that nobody meant to
//! keep. The items of a sequence that stays are treated by the same rules, also without `@process()`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use sha2::{Digest as _, Sha256};

use super::function::Function;
use super::header_facts::{ElementFacts, HeaderFacts};
use super::lookup::LookupTable;
use super::reference::Step;
use super::script::CtpRule;
use super::{CtpScript, Outcome, Stop, Tables};
use crate::action::{Action, Element, Method};
use crate::method_codes::CODES;
use crate::object::{Insert, InsertValue, Look, ObjectHeader, ObjectRules, Place, Refused};
use crate::rules::Rules;

const METHOD_CODES: Tag = Tag(0x0012, 0x0064);

/// Why a script cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotApplied {
    /// A rule needs what a program does not have.
    #[error("line {line}: @{function} is not supported yet where a script is applied: {why}")]
    Function {
        /// The line of the rule, from 1.
        line: u32,
        /// The function.
        function: &'static str,
        /// What it needs.
        why: &'static str,
    },
    /// It has no rule for any element.
    #[error("the script has no rule for any element, and would keep everything")]
    NoRules,
}

/// A script of CTP, as rules.
pub struct CtpProgram {
    name: Arc<str>,
    text: Arc<str>,
    script: CtpScript,
    method: Method,
    digest: [u8; 32],
    /// The rules of plain tags, by their index.
    plain: HashMap<Tag, usize>,
    /// True if a rule is for a private block.
    has_private: bool,
}

impl CtpProgram {
    /// Makes rules of a script and the text that it was read from.
    ///
    /// # Errors
    /// [`NotApplied`] if a rule asks a table of numbers or lookups, or there is no rule.
    pub fn new(name: &str, text: &str, script: CtpScript) -> Result<Self, NotApplied> {
        if script.rules().is_empty() {
            return Err(NotApplied::NoRules);
        }
        let mut plain = HashMap::new();
        let mut has_private = false;
        for (at, rule) in script.rules().iter().enumerate() {
            for (function, name, why) in [
                (Function::Integer, "integer", "it needs a table of numbers"),
                (Function::Lookup, "lookup", "it needs a lookup table"),
            ] {
                if rule.expression.calls(function) {
                    return Err(NotApplied::Function {
                        line: rule.line(),
                        function: name,
                        why,
                    });
                }
            }
            match rule.target() {
                // The later of two rules counts.
                Step::Tag(tag) => drop(plain.insert(*tag, at)),
                Step::Private { .. } => has_private = true,
            }
        }
        let mut hash = Sha256::new();
        hash.update(b"anon ctp program 1\0");
        hash.update(text.as_bytes());
        Ok(Self {
            name: name.into(),
            text: text.into(),
            method: method(&script),
            digest: hash.finalize().into(),
            script,
            plain,
            has_private,
        })
    }

    /// Returns true if elements without a rule stay: the script does not remove unspecified elements.
    pub fn keeps_unspecified(&self) -> bool {
        // Patient Comments, which no switch but that one removes.
        !self.script.removes(Tag(0x0010, 0x4000), false)
    }

    /// Returns the number of rules.
    pub fn rules(&self) -> usize {
        self.script.rules().len()
    }

    fn rule(&self, tag: Tag, creator: Option<&str>) -> Option<&CtpRule> {
        if let Some(at) = self.plain.get(&tag) {
            return self.script.rules().get(*at);
        }
        let [block, element] = tag.1.to_be_bytes();
        if !self.has_private || tag.0.is_multiple_of(2) || block < 0x10 {
            return None;
        }
        self.script.rule(&Step::Private {
            group: tag.0,
            creator: creator?.to_owned(),
            element,
        })
    }
}

impl Rules for CtpProgram {
    fn action(&self, element: Element) -> &Action {
        let tag = element.tag;
        // The rule of a private block is found by its creator.
        let is_known = tag.0.is_multiple_of(2) || !self.has_private;
        let has_rule = self.plain.contains_key(&tag);
        if is_known && !has_rule {
            return if self.script.removes(tag, false) {
                &Action::Remove
            } else {
                &Action::Keep
            };
        }
        &Action::Decide
    }

    fn look(&self) -> Look {
        Look::All
    }

    fn begin<'r>(
        &'r self,
        header: &'r ObjectHeader,
    ) -> Result<Option<Box<dyn ObjectRules + 'r>>, Refused> {
        Ok(Some(Box::new(ScriptedObject::new(self, header)?)))
    }

    fn inserts(&self) -> &[Insert] {
        &[]
    }

    fn decides_identity(&self) -> bool {
        true
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl fmt::Debug for CtpProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CtpProgram({})", self.name)
    }
}

/// The codes that the script says, and no text: the script inserts its own.
fn method(script: &CtpScript) -> Method {
    let mut method = Method::new("");
    let rule = script.rule(&Step::Tag(METHOD_CODES));
    let text = rule.map(CtpRule::text).unwrap_or_default();
    let codes = text.split('/').filter_map(|code| {
        let mut known = CODES.iter();
        known.find(|(known, _)| *known == code.trim())
    });
    method.codes = codes
        .map(|(code, meaning)| ((*code).into(), (*meaning).into()))
        .collect();
    method
}

/// A script has no table of its own.
#[derive(Debug)]
struct NoTables;

impl Tables for NoTables {
    fn lookup(&self) -> Option<&LookupTable> {
        None
    }
    fn number(&mut self, _: &str, _: &str) -> Option<u64> {
        None
    }
}

/// A script, with one object.
#[derive(Debug)]
struct ScriptedObject<'r> {
    program: &'r CtpProgram,
    facts: HeaderFacts<'r>,
    inserts: Vec<Insert>,
}

impl<'r> ScriptedObject<'r> {
    fn new(program: &'r CtpProgram, header: &'r ObjectHeader) -> Result<Self, Refused> {
        let mut object = Self {
            program,
            facts: HeaderFacts::new(header),
            inserts: Vec::new(),
        };
        object.inserts = object.inserted()?;
        Ok(object)
    }

    /// What the script adds to the root: elements that the object lacks, of rules that begin with `@always()`; and
    /// the codes of its method.
    fn inserted(&self) -> Result<Vec<Insert>, Refused> {
        let mut inserts = Vec::new();
        if !self.program.method.codes.is_empty() {
            inserts.push(Insert::new(METHOD_CODES, VR::SQ, InsertValue::MethodCodes));
        }
        for rule in self
            .program
            .script
            .rules()
            .iter()
            .filter(|rule| rule.inserts())
        {
            let Step::Tag(tag) = rule.target() else {
                continue;
            };
            let entry = StandardDataDictionary.by_tag(*tag);
            let vr = entry.map_or(VR::SH, |entry| entry.vr().relaxed());
            let is_present = self.facts.root_has(*tag);
            if is_present || *tag == METHOD_CODES || vr == VR::SQ || tag.0 < 8 {
                continue;
            }
            let facts = self.facts.of_root();
            let value = match outcome(&self.program.script, rule, &facts)? {
                Outcome::Value(text) => text,
                Outcome::Empty => String::new(),
                _ => continue,
            };
            let value = InsertValue::Computed(value.into());
            inserts.push(Insert::new(*tag, vr, value));
        }
        inserts.sort_by_key(|insert| insert.tag);
        inserts.dedup_by_key(|insert| insert.tag);
        Ok(inserts)
    }
}

impl ObjectRules for ScriptedObject<'_> {
    fn decide(&self, place: &Place<'_>) -> Result<Action, Refused> {
        let script = &self.program.script;
        let tag = place.element.tag;
        let rule = self.program.rule(tag, place.creator);
        if script.removes(tag, rule.is_some()) {
            return Ok(Action::Remove);
        }
        let Some(rule) = rule else {
            return Ok(Action::Keep);
        };
        let facts = self.facts.of_element(place.offset);
        Ok(match outcome(script, rule, &facts)? {
            Outcome::Keep | Outcome::Items => Action::Keep,
            Outcome::Remove => Action::Remove,
            Outcome::Value(text) if place.vr != VR::SQ => Action::Computed(text.into()),
            Outcome::Empty | Outcome::Value(_) => Action::Empty,
        })
    }

    fn inserts(&self) -> Option<&[Insert]> {
        Some(&self.inserts)
    }
}

/// Evaluates a rule.
fn outcome(
    script: &CtpScript,
    rule: &CtpRule,
    facts: &ElementFacts<'_>,
) -> Result<Outcome, Refused> {
    let evaluated = script
        .evaluate(rule, facts, &mut NoTables)
        .map_err(refused)?;
    if let Some(reason) = facts.unknown() {
        return Err(Refused { reason });
    }
    Ok(evaluated.outcome)
}

fn refused(stop: Stop) -> Refused {
    let reason = match stop {
        Stop::Quarantine(reason) => reason,
        Stop::Skip => "the script would pass the object on as it is",
    };
    Refused { reason }
}
