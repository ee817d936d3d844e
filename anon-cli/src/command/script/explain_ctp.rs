//! `anon script explain` for scripts of CTP.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anon_script::check::{detect, strict_ctp};
use anon_script::ctp::{
    CtpRule, CtpScript, Evaluated, LookupTable, Mode, Outcome, Step, Stop, Tables,
};
use anon_script::{Dialect, Tag, builtin, parse};
use anyhow::Context as _;

use super::explained::{ElementResult, Summary, print};
use super::facts::ObjectFacts;
use super::show::tag_digits;
use super::{LoadedScript, print_problems};
use crate::args::{DialectName, ScriptFile};
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::project::rules;

/// What to explain: an element, in general or in a file, with a lookup table or without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) tag: Tag,
    pub(super) with: Option<&'q Path>,
    pub(super) lookup: Option<&'q Path>,
}

/// Explains an element. `None` if the script is not one of CTP.
pub(super) fn run(
    context: &Context<'_>,
    file: &ScriptFile,
    question: Question<'_>,
) -> anyhow::Result<Option<ExitStatus>> {
    if builtin(&file.file).is_some() {
        return Ok(None);
    }
    let text = rules::read(Path::new(&file.file))?;
    let mode = match file.dialect {
        Some(DialectName::CtpCompatible) => Mode::Compatible,
        Some(DialectName::Ctp) => Mode::Strict,
        None if detect(&parse(&text).0) == Some(Dialect::Ctp) => Mode::Strict,
        Some(DialectName::Rsna) | None => return Ok(None),
    };
    let script = match mode {
        Mode::Compatible => CtpScript::new(&parse(&text).0, mode),
        Mode::Strict => match strict_ctp(&text) {
            Ok(script) => script,
            Err(problems) => {
                let loaded = LoadedScript {
                    rules: None,
                    dialect: Some(Dialect::Ctp),
                    problems,
                    ctp_rules: None,
                    text: Some(text),
                };
                print_problems(context, file, &loaded)?;
                return Ok(Some(loaded.exit_status()));
            }
        },
    };
    explain(context, &script, question).map(Some)
}

fn explain(
    context: &Context<'_>,
    script: &CtpScript,
    question: Question<'_>,
) -> anyhow::Result<ExitStatus> {
    let tag = question.tag;
    let mut tables = ScriptTables::open(question.lookup, script.mode())?;
    let object = question.with.map(ObjectFacts::open).transpose()?;
    let rule = script.rule(&Step::Tag(tag)).or_else(|| {
        let block = object.as_ref()?.private_step(tag)?;
        script.rule(&block)
    });
    let result = match (rule, &object) {
        _ if script.removes(tag, rule.is_some()) => result(&Outcome::Remove, None),
        (None, _) => result(&Outcome::Keep, None),
        (Some(rule), None) => ElementResult {
            outcome: outcome_of_action(rule),
            ..ElementResult::default()
        },
        (Some(rule), Some(object)) => in_object(
            script.evaluate(rule, object, &mut tables),
            rule,
            object.has_element(tag),
        ),
    };
    let summary = Summary {
        event: "summary",
        command: "script explain",
        tag: tag_digits(tag),
        rule: rule.map(|rule| rule.text().to_owned()),
        line: rule.map(CtpRule::line),
        action: rule.map_or(result.outcome, CtpRule::action),
        value: result.value,
        outcome: result.outcome,
        reason: result.reason,
    };
    context.report.summary(&summary)?;
    print(context, &summary)?;
    Ok(ExitStatus::Done)
}

fn outcome_of_action(rule: &CtpRule) -> &'static str {
    match rule.action() {
        "process" => "keep",
        "replace" => "value",
        action => action,
    }
}

fn result(outcome: &Outcome, value: Option<String>) -> ElementResult {
    let outcome = match outcome {
        Outcome::Keep | Outcome::Items => "keep",
        Outcome::Remove => "remove",
        Outcome::Empty => "empty",
        _ => "value",
    };
    ElementResult {
        outcome,
        value,
        reason: None,
    }
}

fn in_object(
    evaluated: Result<Evaluated, Stop>,
    rule: &CtpRule,
    is_present: bool,
) -> ElementResult {
    match evaluated {
        Ok(Evaluated { text, outcome, .. }) => {
            let is_absent = !is_present && !rule.inserts();
            let reason = "the file has no such element, and a rule adds one only if it begins with @always()";
            ElementResult {
                reason: is_absent.then(|| reason.to_owned()),
                ..result(&outcome, Some(text))
            }
        }
        Err(stop) => ElementResult {
            outcome: match stop {
                Stop::Quarantine(_) => "quarantine",
                Stop::Skip => "skip",
            },
            reason: Some(stop.to_string()),
            value: None,
        },
    }
}

/// The lookup table of the command line, and a table of numbers that is empty at first.
#[derive(Debug)]
struct ScriptTables {
    lookup: Option<LookupTable>,
    numbers: HashMap<String, Vec<String>>,
}

impl ScriptTables {
    fn open(lookup: Option<&Path>, mode: Mode) -> anyhow::Result<Self> {
        let lookup = lookup.map(|path| table(path, mode)).transpose()?;
        Ok(Self {
            lookup,
            numbers: HashMap::new(),
        })
    }
}

fn table(path: &Path, mode: Mode) -> anyhow::Result<LookupTable> {
    let text = fs::read_to_string(path).with_context(|| {
        Failure::Configuration(format!("cannot read the lookup table {}", path.display()))
    })?;
    let table = LookupTable::parse(&text);
    match table.contradiction() {
        Some(line) if mode == Mode::Strict => Err(Failure::configuration(format!(
            "{}:{line}: the lookup table has another replacement for the key of this line: remove one of them",
            path.display()
        ))),
        _ => Ok(table),
    }
}

impl Tables for ScriptTables {
    fn lookup(&self) -> Option<&LookupTable> {
        self.lookup.as_ref()
    }

    fn number(&mut self, kind: &str, text: &str) -> Option<u64> {
        let texts = self.numbers.entry(kind.to_owned()).or_default();
        let at = texts.iter().position(|known| known == text);
        let at = at.unwrap_or_else(|| {
            texts.push(text.to_owned());
            texts.len() - 1
        });
        Some(at as u64 + 1)
    }
}
