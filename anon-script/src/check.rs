//! From tree to rules: [`compile`].

mod dialect;
mod method;
mod names;
mod operation;
mod value;

pub(crate) use value::vr;

use std::collections::HashMap;

use dicom_core::Tag;

use crate::ctp::{CtpScript, Mode};
use crate::diagnostic::{Code, Diagnostic, Problems, order};
use crate::rule_set::{Row, RuleSet, TooManyGroups};
use crate::rules::Action;
use crate::span::Span;
use crate::syntax::parse;
use crate::syntax::script::{Enabled, Rule, Script, ScriptForm, Switch, Target};

pub use dialect::Dialect;

/// The attributes that every output needs: SOP Common (PS3.3 section C.12.1), study and series.
const REQUIRED: [(Tag, &str); 4] = [
    (Tag(0x0008, 0x0016), "SOP Class UID (0008,0016), with @keep"),
    (
        Tag(0x0008, 0x0018),
        "SOP Instance UID (0008,0018), with @uid",
    ),
    (
        Tag(0x0020, 0x000D),
        "Study Instance UID (0020,000D), with @uid",
    ),
    (
        Tag(0x0020, 0x000E),
        "Series Instance UID (0020,000E), with @uid",
    ),
];

/// Rules, and the warnings about them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compiled {
    /// The rules.
    pub rules: RuleSet,
    /// The dialect of the script.
    pub dialect: Dialect,
    /// Warnings, in the order of the script.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles a script to total rules. `dialect` is the stated one. `None` detects it.
///
/// # Errors
/// All problems of the script if one is an error. Warnings are included, in the order of the
/// script.
///
/// ```
/// use anon_script::{Code, check::compile, parse};
///
/// let (script, _) = parse(r#"<script><e en="T" t="00100010">@UID</e><e en="T" t="00080018">@uid</e></script>"#);
/// let problems = compile(&script, None).unwrap_err();
/// assert_eq!(problems[0].code, Code::UnknownOperation);
/// assert_eq!(problems[0].help, "did you mean `@uid`? (operations are in lower case)");
/// ```
pub fn compile(script: &Script, dialect: Option<Dialect>) -> Result<Compiled, Vec<Diagnostic>> {
    let mut check = Check {
        script,
        problems: Problems::new(&script.source),
    };
    let found = dialect.or_else(|| check.detect());
    let mut rows = match found {
        Some(Dialect::Ctp) => {
            check.refuse_ctp();
            Vec::new()
        }
        // Without a dialect, the problems of the rsna dialect are still useful.
        Some(Dialect::Rsna) | None => check.rows(),
    };
    let method = method::extract(&mut rows);
    let rules = RuleSet::new("script", method, rows);
    match &rules {
        Ok(rules) if found == Some(Dialect::Rsna) => check.required(rules),
        Ok(_) => {}
        Err(TooManyGroups) => check.problem(Code::TooManyGroups, check.end(), ""),
    }
    let problems = check.problems.finish();
    let is_refused = problems.iter().any(Diagnostic::is_error);
    match (rules, found) {
        // Scripts of CTP are never accepted. `refuse_ctp` has reported why.
        (Ok(rules), Some(dialect @ Dialect::Rsna)) if !is_refused => Ok(Compiled {
            rules,
            dialect,
            warnings: problems,
        }),
        _ => Err(problems),
    }
}

/// Parses and compiles a text. Reports the problems of both steps at once.
///
/// # Errors
/// All problems of the script, in its order, if one is an error.
pub fn load(text: &str, dialect: Option<Dialect>) -> Result<Compiled, Vec<Diagnostic>> {
    let (script, mut problems) = parse(text);
    let is_refused = problems.iter().any(Diagnostic::is_error);
    // The text is no script: compiling it would report nothing useful.
    if is_refused && script.elements.is_empty() {
        return Err(problems);
    }
    let compiled = compile(&script, dialect);
    let (more, compiled) = match compiled {
        Ok(mut compiled) => (std::mem::take(&mut compiled.warnings), Some(compiled)),
        Err(more) => (more, None),
    };
    problems.extend(more);
    order(&mut problems);
    match compiled {
        Some(mut compiled) if !is_refused => {
            compiled.warnings = problems;
            Ok(compiled)
        }
        _ => Err(problems),
    }
}

/// Returns the dialect of a script. `None` if it has features of both or of neither.
///
/// ```
/// use anon_script::{Dialect, check::detect, parse};
///
/// let (script, _) = parse(r#"<script><e en="T" t="00100020">@hash(this,8)</e></script>"#);
/// assert_eq!(detect(&script), Some(Dialect::Ctp));
/// ```
pub fn detect(script: &Script) -> Option<Dialect> {
    let problems = Problems::new(&script.source);
    Check { script, problems }.detect()
}

/// Reads a script of CTP in strict mode: a function that does not exist, or a parameter that is not defined,
/// refuses it.
///
/// # Errors
/// The problems of the script, in its order.
///
/// ```
/// use anon_script::check::strict_ctp;
///
/// let problems = strict_ctp(r#"<script><e en="T" t="00100020">@hsah(this,8)</e></script>"#).unwrap_err();
/// assert_eq!(problems[0].help, "did you mean `@hash`?");
/// ```
pub fn strict_ctp(text: &str) -> Result<CtpScript, Vec<Diagnostic>> {
    let (script, mut found) = parse(text);
    let mut check = Check {
        script: &script,
        problems: Problems::new(&script.source),
    };
    check.faults_of_ctp();
    found.extend(check.problems.finish());
    order(&mut found);
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    Ok(CtpScript::new(&script, Mode::Strict))
}

struct Check<'s> {
    script: &'s Script,
    problems: Problems<'s>,
}

impl Check<'_> {
    fn problem(&mut self, code: Code, span: Span, help: impl Into<String>) {
        self.problems.push(code, span, help);
    }

    /// The end of the script: the position of problems about something that is missing.
    fn end(&self) -> Span {
        let end = self.script.source.trim_end().len();
        Span::new(end, end)
    }

    /// Returns the rows of a script in the rsna dialect, without those that have a problem.
    fn rows(&mut self) -> Vec<Row> {
        self.ignored();
        let script = self.script;
        let mut seen: HashMap<Tag, (Action, u32)> = HashMap::new();
        let mut rows = Vec::new();
        for rule in &script.elements {
            let Some((tag, action)) = self.row(rule) else {
                continue;
            };
            let line = self.problems.line(rule.span.start);
            match seen.get(&tag) {
                Some((first, at)) if *first == action => {
                    let help = format!("the first one is in line {at}");
                    self.problem(Code::Repeated, rule.tag_span, help);
                }
                Some((first, at)) => {
                    let first = crate::rule_set::operation(first);
                    let help = format!("line {at} has `{first}`: keep one of them");
                    self.problem(Code::Contradiction, rule.tag_span, help);
                }
                None => {
                    seen.insert(tag, (action.clone(), line));
                    rows.push(Row::new(tag, action).at_line(line));
                }
            }
        }
        // A row with a problem may be meant as a rule.
        let has_none = rows.is_empty() && !self.problems.has_error();
        if script.elements.is_empty() || has_none {
            let help = "every element would be removed";
            self.problem(Code::NoRules, self.end(), help);
        }
        rows
    }

    /// Reports the rows that V17 does not read.
    fn ignored(&mut self) {
        let script = self.script;
        for param in &script.params {
            let help = "V17 does not read parameters";
            self.problem(Code::NoEffect, first_line(param.span, &script.source), help);
        }
        for switch in &script.keeps {
            // A switch that agrees with what V17 does is no problem.
            self.switch(switch, switch.enabled != Enabled::Yes);
        }
        for switch in &script.removes {
            let is_on = switch.enabled == Enabled::Yes;
            self.switch(switch, is_on || switch.name == "unspecifiedelements");
        }
    }

    /// Returns the action of a row. `None` if the row has no effect or has a problem.
    fn row(&mut self, rule: &Rule) -> Option<(Tag, Action)> {
        let tag = match &rule.target {
            Target::Tag(tag) => *tag,
            Target::Private { .. } => {
                self.problem(Code::Private, rule.tag_span, "remove the row");
                return None;
            }
        };
        let written = rule.tag_span.of(&self.script.source);
        if self.script.form == ScriptForm::Xml
            && written.bytes().any(|byte| byte.is_ascii_lowercase())
        {
            self.problem(Code::TagCase, rule.tag_span, "write it in upper case");
        }
        // A row without `en` is not disabled, and V17 runs it.
        if rule.enabled == Enabled::No && !rule.text.value().is_empty() {
            let help = "remove the row, or set en=\"T\"";
            self.problem(Code::Disabled, rule.span, help);
        }
        let action = self.action(rule, tag)?;
        self.is_effective(rule, tag, &action)
            .then_some((tag, action))
    }

    /// Returns false if the row has no effect, or if its action does not fit the element.
    fn is_effective(&mut self, rule: &Rule, tag: Tag, action: &Action) -> bool {
        match tag.0 {
            // V17's own script keeps item delimiters, which are no elements (PS3.5 section 7.5).
            0xFFFE => false,
            0x0000 | 0x0002 if *action != Action::Remove => {
                let help = "files hold no commands, and file meta information is written anew";
                self.problem(Code::NoEffect, rule.tag_span, help);
                false
            }
            _ if tag.1 == 0 && *action != Action::Remove => {
                let help = "group lengths are never written";
                self.problem(Code::NoEffect, rule.tag_span, help);
                false
            }
            group if group % 2 == 1 => {
                if *action != Action::Remove {
                    self.problem(Code::Private, rule.tag_span, "remove the row");
                }
                false
            }
            _ if self.fits(rule, tag, action) => {
                self.overruled(rule, tag, action);
                true
            }
            _ => false,
        }
    }

    /// Reports a row `k` or `r` if it disagrees with what V17 does, because V17 reads neither.
    fn switch(&mut self, switch: &Switch, agrees: bool) {
        if !agrees {
            let help =
                "elements without a row `e` are removed; rows `k` and `r` do not change that";
            let span = first_line(switch.span, &self.script.source);
            self.problem(Code::NoEffect, span, help);
        }
    }

    /// Reports required attributes that the rules remove or do not name. A row with a problem of
    /// its own is reported only for that.
    fn required(&mut self, rules: &RuleSet) {
        let script = self.script;
        for (tag, help) in REQUIRED {
            let is_for = |rule: &&Rule| rule.target == Target::Tag(tag);
            let written = script.elements.iter().find(is_for);
            match (rules.row(tag).map(|row| &row.action), written) {
                (None, None) if !script.elements.is_empty() => {
                    let help =
                        format!("add a row for {help}: the root data set gets it in any case");
                    self.problem(Code::RequiredUnlisted, self.end(), help);
                }
                (Some(Action::Remove | Action::Empty | Action::Replace(_)), Some(row)) => {
                    self.problem(Code::RequiredRemoved, row.span, format!("write {help}"));
                }
                (Some(Action::Keep), Some(row)) if tag != Tag(0x0008, 0x0016) => {
                    let help = format!("write {help}: items of sequences would name the original");
                    self.problem(Code::OriginalUid, row.span, help);
                }
                _ => {}
            }
        }
    }
}

/// Returns the first line of a span.
fn first_line(span: Span, source: &str) -> Span {
    let len = span.of(source).find('\n').unwrap_or(span.end - span.start);
    Span::new(span.start, span.start + len)
}
