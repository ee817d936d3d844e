//! `anon script explain`: explains what happens to one data element, in general or in one file.

use std::path::Path;
use std::sync::Arc;

use anon_engine::{Policy, Refusal, Source, plan};
use anon_model::{Assigned, Identity, MemoryStore, ProjectSettings, Pseudonyms as _, SiteId};
use anon_script::syntax::parse;
use anon_script::{Action, Element, RuleSet, Rules as _, Tag};
use anyhow::Context as _;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;

use super::explain_ctp::{self, Question};
use super::explained::{ElementResult, Summary, parsed, print, read};
use super::show::{action_name, rule_text, tag_digits};
use super::{LoadedScript, open, print_problems};
use crate::args::ScriptFile;
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::project::Project;
use crate::project::settings;
use crate::project::trust::Purpose;

pub(super) fn run(
    context: &Context<'_>,
    script: &ScriptFile,
    tag: &str,
    with: Option<&Path>,
    lookup: Option<&Path>,
) -> anyhow::Result<ExitStatus> {
    let tag = StandardDataDictionary
        .parse_tag(tag.trim())
        .ok_or_else(|| Failure::configuration(format!("{tag:?} is neither a tag nor a keyword")))?;
    let question = Question { tag, with, lookup };
    if let Some(status) = explain_ctp::run(context, script, question)? {
        return Ok(status);
    }
    let loaded = open(context, script)?;
    let Some(rules) = loaded.rules.clone() else {
        print_problems(context, script, &loaded)?;
        return Ok(loaded.exit_status());
    };
    let action = rules.action(Element::root(tag)).clone();
    let result = match with {
        Some(path) => result_in_file(context, rules.clone(), path, tag, &action)?,
        None => ElementResult::from_outcome(outcome_of_action(&action)),
    };
    let row = rules.row(tag);
    let summary = Summary {
        event: "summary",
        command: "script explain",
        tag: tag_digits(tag),
        rule: row.map(|row| rule_of_script(&loaded, tag).unwrap_or_else(|| rule_text(&row.action))),
        line: row.and_then(|row| row.line),
        action: action_name(&action),
        value: result.value,
        outcome: result.outcome,
        reason: result.reason,
    };
    context.report.summary(&summary)?;
    print(context, &summary)?;
    Ok(ExitStatus::Done)
}

/// Returns the rule as written in the script.
fn rule_of_script(loaded: &LoadedScript, tag: Tag) -> Option<String> {
    let (script, _) = parse(loaded.text.as_deref()?);
    let of_tag = |rule: &&anon_script::script::Rule| matches!(rule.target, anon_script::script::Target::Tag(named) if named == tag);
    let rule = script.elements.iter().find(of_tag)?;
    let text = rule.text.value().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn outcome_of_action(action: &Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Remove => "remove",
        Action::Empty => "empty",
        _ => "value",
    }
}

/// De-identifies a file in memory and compares the element before and after.
///
/// Stores nothing. The pseudonyms are those of an empty project.
fn result_in_file(
    context: &Context<'_>,
    rules: RuleSet,
    path: &Path,
    tag: Tag,
    action: &Action,
) -> anyhow::Result<ElementResult> {
    let bytes = read(path)?;
    let clean = match deidentify(context, rules, &bytes)? {
        Ok(clean) => clean,
        Err(refusal) => {
            return Ok(ElementResult {
                outcome: "quarantine",
                reason: Some(refusal.reason),
                ..ElementResult::default()
            });
        }
    };
    compare(&bytes, &clean, tag, action)
}

/// Compares the element in the source and in the output.
fn compare(
    before: &[u8],
    after: &[u8],
    tag: Tag,
    action: &Action,
) -> anyhow::Result<ElementResult> {
    let after = parsed(after).context("cannot read the output")?;
    // The engine reads files that dicom-object cannot. For those the element is assumed to be present.
    let was_present = parsed(before).map_or(true, |before| {
        before.element_opt(tag).is_ok_and(|e| e.is_some())
    });
    let element = after.element_opt(tag).context("cannot read the output")?;
    let Some(element) = element else {
        let outcome = if was_present { "remove" } else { "skip" };
        return Ok(ElementResult::from_outcome(outcome));
    };
    if element.header().len.0 == 0 {
        return Ok(ElementResult {
            outcome: "empty",
            value: Some(String::new()),
            reason: None,
        });
    }
    let text = element.to_str().ok().map(|text| {
        let text = text.trim_end_matches(['\0', ' ']);
        text.chars().take(1024).collect()
    });
    Ok(ElementResult {
        outcome: if *action == Action::Keep {
            "keep"
        } else {
            "value"
        },
        value: text,
        reason: None,
    })
}

/// Returns the settings of the chosen project, or those of a new one.
fn settings_of(context: &Context<'_>) -> anyhow::Result<ProjectSettings> {
    match Project::found(context.project(), Purpose::Any)? {
        Some(project) if project.exists() => settings::load(&project),
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
    let store = MemoryStore::new(identity).context("the system cannot provide random numbers")?;
    // Burned-in text is accepted: the question is about the script.
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
