//! [`Dialect`], and its detection, which never guesses.

use std::collections::HashSet;

use super::Check;
use super::names::{CTP_CALLS, CTP_OTHERS, LITERAL_ARGUMENTS, RSNA_WORDS, ctp_names, is_ctp};
use crate::diagnostic::{Code, nearest};
use crate::span::Span;
use crate::syntax::script::{Enabled, Rule, Script, ScriptForm, Target};
use crate::syntax::{Call, Expression, Part};

/// The language of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// That of the RSNA Anonymizer, V17 and V18. An empty rule keeps its element; an element that
    /// no rule names is removed.
    Rsna,
    /// That of CTP. An empty rule empties its element; an element that no rule names is kept unless
    /// the script says otherwise.
    Ctp,
}

impl Dialect {
    /// Returns the dialect of this name: `rsna` or `ctp`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "rsna" => Some(Self::Rsna),
            "ctp" => Some(Self::Ctp),
            _ => None,
        }
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsna => "rsna",
            Self::Ctp => "ctp",
        }
    }
}

/// The most names of parameters that are compared to find the one that was meant.
const NAMES: usize = 100;

impl Check<'_> {
    /// Detects the dialect of the script. Reports a problem and returns `None` if it is not clear.
    pub(super) fn detect(&mut self) -> Option<Dialect> {
        let script = self.script;
        let rsna = first(script, &|part| match part {
            Part::Word { name, span } if RSNA_WORDS.contains(&name.as_str()) => Some(*span),
            _ => None,
        });
        let ctp = ctp_only(script);
        let help = "state the dialect: dialect = \"rsna\" or dialect = \"ctp\" (`--dialect`)";
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

    /// Reports every function of a CTP script as not supported, and the other problems of the
    /// script.
    pub(super) fn refuse_ctp(&mut self) {
        let script = self.script;
        let params = script.params.iter().map(|param| param.name.as_str());
        let params: HashSet<&str> = params.collect();
        // CTP does not read disabled rows.
        let enabled = |rule: &&Rule| rule.enabled == Enabled::Yes;
        for rule in script.elements.iter().filter(enabled) {
            self.refuse_ctp_in(&rule.expression, &params);
            if rule.expression.parts.is_empty() || matches!(rule.target, Target::Private { .. }) {
                self.problem(
                    Code::NotExecuted,
                    rule.tag_span,
                    "scripts of CTP are not supported yet",
                );
            }
        }
        if script.is_empty() {
            self.problem(Code::NoRules, self.end(), "");
        }
        // No script of CTP is accepted, whatever it holds.
        if !self.problems.has_error() {
            let help = "scripts of CTP are not supported yet";
            self.problem(Code::NotExecuted, self.end(), help);
        }
    }

    /// Reports what is wrong in the rules of a CTP script, whatever they do.
    pub(super) fn faults_of_ctp(&mut self) {
        let script = self.script;
        let params = script.params.iter().map(|param| param.name.as_str());
        let params: HashSet<&str> = params.collect();
        let enabled = |rule: &&Rule| rule.enabled == Enabled::Yes;
        for rule in script.elements.iter().filter(enabled) {
            self.faults_in(&rule.expression, &params);
        }
    }

    fn faults_in(&mut self, expression: &Expression, params: &HashSet<&str>) {
        for part in &expression.parts {
            match part {
                Part::Call(call) if is_ctp(&call.name) => {
                    self.undefined(call, params);
                    for clause in &call.clauses {
                        self.faults_in(&clause.body, params);
                    }
                }
                Part::Call(call) => {
                    let help = suggestion(&call.name);
                    self.problem(Code::UnknownOperation, call.name_span, help);
                }
                Part::Word { name, span } => {
                    let help = format!("CTP needs parentheses: `@{name}()`");
                    self.problem(Code::UnknownOperation, *span, help);
                }
                Part::Literal { .. } => {}
            }
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
                        format!("`@{}` is not supported yet", call.name)
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
                    let help = format!("CTP needs parentheses: `@{name}()`");
                    self.problem(Code::UnknownOperation, *span, help);
                }
                Part::Literal { span, .. } => {
                    let help = "constants of CTP scripts are not supported yet";
                    self.problem(Code::NotExecuted, *span, help);
                }
            }
        }
    }

    /// Reports arguments that refer to a parameter that the script does not define.
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

fn suggestion(name: &str) -> String {
    match nearest(name, ctp_names()) {
        Some(near) => format!("did you mean `@{near}`?"),
        None => String::from("functions are listed in `anon script show` and the documentation"),
    }
}

/// Returns the first span that only a script of CTP can have: a function, a referenced parameter, a
/// private block, or the older form.
fn ctp_only(script: &Script) -> Option<Span> {
    if script.form == ScriptForm::Properties {
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

/// Returns the first span that `matches` finds in the parts of a script, at any depth.
fn first(script: &Script, matches: &dyn Fn(&Part) -> Option<Span>) -> Option<Span> {
    script
        .elements
        .iter()
        .find_map(|rule| first_in(&rule.expression, matches))
}

fn first_in(expression: &Expression, matches: &dyn Fn(&Part) -> Option<Span>) -> Option<Span> {
    expression.parts.iter().find_map(|part| {
        matches(part).or_else(|| match part {
            Part::Call(call) => call
                .clauses
                .iter()
                .find_map(|clause| first_in(&clause.body, matches)),
            _ => None,
        })
    })
}
