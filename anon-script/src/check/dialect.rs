//! [`Dialect`]: what a script's calls mean. Detection never guesses.

use std::collections::HashSet;

use super::Check;
use crate::diagnostic::{Code, nearest};
use crate::script::{Enabled, Form, Rule, Script, Target};
use crate::syntax::{Call, Expression, Part, Span};

/// What the words of a script mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Of the RSNA Anonymizer, V17 and V18: an empty rule keeps, what no rule names is removed.
    Rsna,
    /// Of CTP: an empty rule empties, what no rule names is kept unless the script says otherwise.
    Ctp,
}

impl Dialect {
    /// The dialect of this name: `rsna` or `ctp`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "rsna" => Some(Self::Rsna),
            "ctp" => Some(Self::Ctp),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsna => "rsna",
            Self::Ctp => "ctp",
        }
    }
}

/// Words that only the rsna dialect writes without parentheses.
const RSNA_WORDS: [&str; 4] = ["uid", "ptid", "acc", "hashdate"];

/// Functions that only CTP has.
pub(super) const CTP_CALLS: [&str; 28] = [
    "always",
    "append",
    "blank",
    "call",
    "contents",
    "date",
    "dateinterval",
    "decrypt",
    "encrypt",
    "hash",
    "hashname",
    "hashptid",
    "hashuid",
    "if",
    "incrementdate",
    "initials",
    "integer",
    "lookup",
    "lowercase",
    "modifydate",
    "param",
    "pathelement",
    "process",
    "quarantine",
    "require",
    "select",
    "skip",
    "time",
];

/// The rest of them: also words of later rsna scripts, or too general to tell.
pub(super) const CTP_OTHERS: [&str; 3] = ["truncate", "uppercase", "value"];

/// Functions that look for no parameter in their arguments.
const LITERAL_ARGUMENTS: [&str; 11] = [
    "contents",
    "date",
    "hashdate",
    "initials",
    "integer",
    "lookup",
    "pathelement",
    "require",
    "time",
    "truncate",
    "value",
];

/// Names of parameters that are looked through for the one that was meant.
const NAMES: usize = 100;

impl Check<'_> {
    /// The dialect that the script's calls show; none if they do not, which is a problem.
    pub(super) fn detect(&mut self) -> Option<Dialect> {
        let script = self.script;
        let rsna = first(script, &|part| match part {
            Part::Word { name, span } if RSNA_WORDS.contains(&name.as_str()) => Some(*span),
            _ => None,
        });
        let ctp = ctp_only(script);
        let help = "say which: dialect = \"rsna\" or dialect = \"ctp\" (`--dialect`)";
        match (rsna, ctp) {
            (Some(_), None) => Some(Dialect::Rsna),
            (None, Some(_)) => Some(Dialect::Ctp),
            (Some(rsna), Some(ctp)) => {
                self.problem(Code::BothDialects, rsna, help);
                self.problem(Code::BothDialects, ctp, help);
                None
            }
            (None, None) => {
                self.problem(Code::NoDialect, self.end(), help);
                None
            }
        }
    }

    /// Every use of what is not executed yet, and everything else that is wrong with a CTP script.
    pub(super) fn refuse_ctp(&mut self) {
        let script = self.script;
        let params = script.params.iter().map(|param| param.name.as_str());
        let params: HashSet<&str> = params.collect();
        // What is disabled CTP does not read.
        let enabled = |rule: &&Rule| rule.enabled == Enabled::Yes;
        for rule in script.elements.iter().filter(enabled) {
            self.refuse_ctp_in(&rule.expression, &params);
            if rule.expression.parts.is_empty() || matches!(rule.target, Target::Private { .. }) {
                self.problem(
                    Code::NotExecuted,
                    rule.tag_span,
                    "scripts of CTP come with a later version",
                );
            }
        }
        if script.is_empty() {
            self.problem(Code::NoRules, self.end(), "");
        }
        // Whatever else the script holds: it is not executed yet.
        if !self.problems.has_error() {
            let help = "scripts of CTP come with a later version";
            self.problem(Code::NotExecuted, self.end(), help);
        }
    }

    fn refuse_ctp_in(&mut self, expression: &Expression, params: &HashSet<&str>) {
        for part in &expression.parts {
            match part {
                Part::Call(call) => {
                    let is_known = is_ctp(&call.name);
                    let help = if self.problems.is_full() {
                        String::new()
                    } else if is_known {
                        format!("`@{}` comes with a later version", call.name)
                    } else {
                        suggestion(&call.name)
                    };
                    let code = if is_known {
                        Code::NotExecuted
                    } else {
                        Code::UnknownOperation
                    };
                    self.problem(code, call.name_span, help);
                    self.undefined(call, params);
                    for clause in &call.clauses {
                        self.refuse_ctp_in(&clause.body, params);
                    }
                }
                Part::Word { name, span } => {
                    let help = format!("CTP wants parentheses: `@{name}()`");
                    self.problem(Code::UnknownOperation, *span, help);
                }
                Part::Literal { span, .. } => {
                    let help = "constants of CTP scripts come with a later version";
                    self.problem(Code::NotExecuted, *span, help);
                }
            }
        }
    }

    /// Parameters that nobody defines, where the function would look for one.
    fn undefined(&mut self, call: &Call, params: &HashSet<&str>) {
        if LITERAL_ARGUMENTS.contains(&call.name.as_str()) {
            return;
        }
        let script = self.script;
        for argument in &call.arguments {
            let Some(name) = argument.parameter() else {
                continue;
            };
            if !params.contains(name) {
                let names = script.params.iter().map(|param| param.name.as_str());
                let names = names.take(if self.problems.is_full() { 0 } else { NAMES });
                let help = match nearest(name, names) {
                    Some(near) => format!("did you mean `@{near}`?"),
                    None => format!("add <p t=\"{name}\">…</p>"),
                };
                self.problem(Code::UndefinedParameter, argument.span, help);
            }
        }
    }
}

fn is_ctp(name: &str) -> bool {
    CTP_CALLS.contains(&name)
        || CTP_OTHERS.contains(&name)
        || super::operation::OPERATIONS.contains(&name)
}

fn suggestion(name: &str) -> String {
    let known = CTP_CALLS
        .into_iter()
        .chain(CTP_OTHERS)
        .chain(super::operation::OPERATIONS);
    match nearest(name, known) {
        Some(near) => format!("did you mean `@{near}`?"),
        None => String::from("functions are listed in `anon script show` and the documentation"),
    }
}

/// Where the script first shows what only CTP has: a function, a referenced parameter, a private
/// block, or the older form.
fn ctp_only(script: &Script) -> Option<Span> {
    if script.form == Form::Properties {
        return Some(Span::default());
    }
    let block = script
        .elements
        .iter()
        .find(|rule| matches!(rule.target, Target::Private { .. }));
    let call = first(script, &|part| match part {
        Part::Call(call) => {
            let names_parameter = call
                .arguments
                .iter()
                .any(|argument| argument.parameter().is_some_and(|name| !name.is_empty()));
            let is_ctp = CTP_CALLS.contains(&call.name.as_str())
                || CTP_OTHERS.contains(&call.name.as_str())
                || names_parameter;
            is_ctp.then_some(call.name_span)
        }
        _ => None,
    });
    [block.map(|rule| rule.tag_span), call]
        .into_iter()
        .flatten()
        .min()
}

/// The first part of a script, at any depth, that `wanted` takes.
fn first(script: &Script, wanted: &dyn Fn(&Part) -> Option<Span>) -> Option<Span> {
    script
        .elements
        .iter()
        .find_map(|rule| first_in(&rule.expression, wanted))
}

fn first_in(expression: &Expression, wanted: &dyn Fn(&Part) -> Option<Span>) -> Option<Span> {
    expression.parts.iter().find_map(|part| {
        wanted(part).or_else(|| match part {
            Part::Call(call) => call
                .clauses
                .iter()
                .find_map(|clause| first_in(&clause.body, wanted)),
            _ => None,
        })
    })
}
