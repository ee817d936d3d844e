//! `anon script explain`: what happens to one data element, in general or in one file.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::sync::Arc;

use anon_engine::{Policy, Refusal, Source, plan};
use anon_model::{Assigned, Identity, MemoryStore, ProjectSettings, Pseudonyms as _, SiteId};
use anon_script::syntax::parse;
use anon_script::{Action, Element, RuleSet, Rules as _, Tag};
use anyhow::Context as _;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::{FileDicomObject, InMemDicomObject, OpenFileOptions};
use serde::Serialize;

use super::show::{action_word, digits, rule_text};
use super::{Loaded, open, tell};
use crate::args::ScriptFile;
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::project::Project;
use crate::project::settings;

/// A file larger than this is not taken into memory to be explained.
const LARGEST: u64 = 1 << 30;

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    tag: String,
    rule: Option<String>,
    line: Option<u32>,
    action: &'static str,
    value: Option<String>,
    outcome: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn run(
    context: &Context<'_>,
    script: &ScriptFile,
    tag: &str,
    with: Option<&Path>,
) -> anyhow::Result<ExitStatus> {
    let tag = StandardDataDictionary
        .parse_tag(tag.trim())
        .ok_or_else(|| Failure::configuration(format!("{tag:?} is neither a tag nor a keyword")))?;
    let loaded = open(script)?;
    let Some(rules) = loaded.rules.clone() else {
        tell(context, script, &loaded)?;
        return Ok(loaded.ended());
    };
    let action = rules.action(Element::root(tag)).clone();
    let done = match with {
        Some(path) => in_file(context, rules.clone(), path, tag, &action)?,
        None => Done::of(in_general(&action)),
    };
    let row = rules.row(tag);
    let summary = Summary {
        event: "summary",
        command: "script explain",
        tag: digits(tag),
        rule: row.map(|row| written(&loaded, tag).unwrap_or_else(|| rule_text(&row.action))),
        line: row.and_then(|row| row.line),
        action: action_word(&action),
        value: done.value,
        outcome: done.outcome,
        reason: done.reason,
    };
    context.report.summary(&summary)?;
    print(context, &summary)?;
    Ok(ExitStatus::Done)
}

/// The rule as the script has it.
fn written(loaded: &Loaded, tag: Tag) -> Option<String> {
    let (script, _) = parse(loaded.text.as_deref()?);
    let of_tag = |rule: &&anon_script::script::Rule| matches!(rule.target, anon_script::script::Target::Tag(named) if named == tag);
    let rule = script.elements.iter().find(of_tag)?;
    let text = rule.text.value().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn in_general(action: &Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Remove => "remove",
        Action::Empty => "empty",
        _ => "value",
    }
}

/// What happened to the element.
#[derive(Debug, Default)]
struct Done {
    outcome: &'static str,
    value: Option<String>,
    reason: Option<String>,
}

impl Done {
    fn of(outcome: &'static str) -> Self {
        Self {
            outcome,
            ..Self::default()
        }
    }
}

/// De-identifies the file in memory and looks at the element before and after. Nothing is stored:
/// pseudonyms are those of an empty project.
fn in_file(
    context: &Context<'_>,
    rules: RuleSet,
    path: &Path,
    tag: Tag,
    action: &Action,
) -> anyhow::Result<Done> {
    let bytes = read(path)?;
    let clean = match deidentify(context, rules, &bytes)? {
        Ok(clean) => clean,
        Err(refusal) => {
            return Ok(Done {
                outcome: "quarantine",
                reason: Some(refusal.reason),
                ..Done::default()
            });
        }
    };
    outcome(&bytes, &clean, tag, action)
}

/// Compares the element before and after.
fn outcome(before: &[u8], after: &[u8], tag: Tag, action: &Action) -> anyhow::Result<Done> {
    let after = parsed(after).context("cannot read the output")?;
    // What the standard reader cannot read may still be de-identified: then it is taken as there.
    let was_there = parsed(before).map_or(true, |before| {
        before.element_opt(tag).is_ok_and(|e| e.is_some())
    });
    let element = after.element_opt(tag).context("cannot read the output")?;
    let Some(element) = element else {
        let outcome = if was_there { "remove" } else { "skip" };
        return Ok(Done::of(outcome));
    };
    if element.header().len.0 == 0 {
        return Ok(Done {
            outcome: "empty",
            value: Some(String::new()),
            reason: None,
        });
    }
    let text = element.to_str().ok().map(|text| {
        let text = text.trim_end_matches(['\0', ' ']);
        text.chars().take(1024).collect()
    });
    Ok(Done {
        outcome: if *action == Action::Keep {
            "keep"
        } else {
            "value"
        },
        value: text,
        reason: None,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || Failure::CannotRun("cannot read the DICOM file".into());
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .with_context(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::cannot_run("the DICOM file is larger than 1 GiB"));
    }
    Ok(bytes)
}

fn parsed(bytes: &[u8]) -> anyhow::Result<FileDicomObject<InMemDicomObject>> {
    Ok(OpenFileOptions::new().from_reader(Cursor::new(bytes))?)
}

/// The settings of the project that was chosen, or those of a new one.
fn settings_of(context: &Context<'_>) -> anyhow::Result<ProjectSettings> {
    match Project::chosen(context.project()) {
        Ok(project) if project.exists() => settings::load(&project),
        _ => Ok(ProjectSettings::new(SiteId::new("1")?)),
    }
}

fn deidentify(
    context: &Context<'_>,
    rules: RuleSet,
    bytes: &[u8],
) -> anyhow::Result<Result<Vec<u8>, Refusal>> {
    let settings = settings_of(context)?;
    let identity = Identity::new(settings.site_id.clone(), settings.uid_root.clone())?;
    let store = MemoryStore::new(identity).context("the system has no random numbers")?;
    // The script is what is asked about, not what the project takes.
    let policy = Policy::new(Arc::new(rules), settings.site_id.as_str(), &*settings.name)
        .with_burned_in(anon_engine::policy::BurnedIn::Accept);
    let plan = match plan(&policy, Source::part10(bytes)) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (Assigned::New(names) | Assigned::Duplicate(names)) = store.assign(plan.wanted())?;
    match plan.apply(&names) {
        Ok(clean) => Ok(Ok(clean.to_vec()?)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn print(context: &Context<'_>, summary: &Summary<'_>) -> anyhow::Result<()> {
    let line = |text: String| context.report.line(&text);
    match (&summary.rule, summary.line) {
        (Some(rule), Some(number)) => {
            line(format!("{}: {rule} (line {number})", summary.tag))?;
        }
        (Some(rule), None) => line(format!("{}: {rule}", summary.tag))?,
        (None, _) => line(format!("{}: no rule names it", summary.tag))?,
    }
    line(format!("action:  {}", summary.action))?;
    line(format!("outcome: {}", summary.outcome))?;
    if let Some(value) = &summary.value {
        line(format!("value:   {value}"))?;
    }
    if let Some(reason) = &summary.reason {
        line(format!("reason:  {reason}"))?;
    }
    Ok(())
}
