//! `anon config`: settings seen and changed. Comments in `project.toml` stay.

mod document;
mod edit;

use std::path::Path;

use anon_model::settings::{FROZEN, KEYS, KeyDoc, Problem, Value};
use anon_model::{Counts, ProjectSettings};
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Config;
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::project::Project;
use crate::project::lock::Lock;
use crate::project::open_project::{self, NewRules};
use crate::project::rules;
use crate::project::settings::{self, Missing};

#[derive(Debug, Serialize)]
struct Setting<'s> {
    event: &'static str,
    key: &'s str,
    value: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'s Path>,
}

impl<'s> Summary<'s> {
    fn new(command: &'static str, key: Option<&'s str>, value: Option<&Value>) -> Self {
        Self {
            event: "summary",
            command,
            key,
            value: value.map(to_json),
            path: None,
        }
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Bool(truth) => (*truth).into(),
        Value::List(items) => items.clone().into(),
    }
}

pub(crate) fn run(context: &Context<'_>, what: Config) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    match what {
        Config::Get { key: Some(key) } => get(context, &project, &key),
        Config::Get { key: None } => get_all(context, &project),
        Config::Set { key, value } => set(context, &project, &key, &value),
        Config::Add { key, values } => change(context, &project, "config add", &key, |settings| {
            settings.add(&key, &split(&values))
        }),
        Config::Remove { key, values } => {
            change(context, &project, "config remove", &key, |settings| {
                settings.remove(&key, &split(&values))
            })
        }
        Config::Edit => edit::run(context, &project),
        Config::Path => path(context, &project),
    }
}

/// `CT,MR XA` names three, as `CT MR XA` does.
fn split(values: &[String]) -> Vec<String> {
    values
        .iter()
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect()
}

fn wrong(problem: &Problem) -> anyhow::Error {
    Failure::configuration(problem.to_string())
}

fn path(context: &Context<'_>, project: &Project) -> anyhow::Result<ExitStatus> {
    let file = project.settings_file();
    context.report.line(&file.display().to_string())?;
    let mut summary = Summary::new("config path", None, None);
    summary.path = Some(&file);
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

fn get(context: &Context<'_>, project: &Project, key: &str) -> anyhow::Result<ExitStatus> {
    let settings = settings::load(project)?;
    let value = settings.get(key).map_err(|problem| wrong(&problem))?;
    context
        .report
        .line(&value.as_ref().map_or_else(String::new, ToString::to_string))?;
    let summary = Summary::new("config get", Some(key), value.as_ref());
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

fn get_all(context: &Context<'_>, project: &Project) -> anyhow::Result<ExitStatus> {
    let settings = settings::load(project)?;
    for key in keys(&settings) {
        let value = settings.get(&key).map_err(|problem| wrong(&problem))?;
        context.report.json(&Setting {
            event: "setting",
            key: &key,
            value: value.as_ref().map(to_json),
        })?;
        let shown = value.as_ref().map_or_else(String::new, ToString::to_string);
        context.report.line(format!("{key} = {shown}").trim_end())?;
    }
    context
        .report
        .summary(&Summary::new("config get", None, None))?;
    Ok(ExitStatus::Done)
}

/// Every key, those of the user's names too.
fn keys(settings: &ProjectSettings) -> Vec<String> {
    let mut keys = Vec::new();
    for doc in KEYS {
        if !doc.key.contains("<name>") {
            keys.push(doc.key.to_owned());
        } else if doc.key.starts_with("node.") {
            keys.extend(
                settings
                    .nodes
                    .keys()
                    .map(|name| doc.key.replace("<name>", name)),
            );
        } else {
            let names = settings.log.targets.keys();
            keys.extend(names.map(|name| doc.key.replace("<name>", name)));
        }
    }
    keys
}

fn set(
    context: &Context<'_>,
    project: &Project,
    key: &str,
    word: &str,
) -> anyhow::Result<ExitStatus> {
    if key == "script" {
        return set_script(context, project, word);
    }
    if key == "profile" && !word.is_empty() {
        return Err(Failure::configuration(format!(
            "there is no profile {word:?}: no PS3.15 profile is built in yet"
        )));
    }
    change(context, project, "config set", key, |settings| {
        // The model says what is wrong with a key that is none.
        let Some(doc) = KeyDoc::of(key) else {
            return settings.set(key, &Value::Text(word.to_owned()));
        };
        let value = doc.kind.parse(word).ok_or_else(|| Problem::Type {
            key: key.to_owned(),
            expected: doc.kind.words(),
        })?;
        settings.set(key, &value)?;
        complete_node(context, settings, key);
        Ok(())
    })
}

/// A new node is named by its first key: the others begin with something that can be changed.
fn complete_node(context: &Context<'_>, settings: &mut ProjectSettings, key: &str) {
    let Some(name) = key
        .strip_prefix("node.")
        .and_then(|rest| rest.rsplit_once('.'))
    else {
        return;
    };
    let Some(node) = settings.nodes.get_mut(name.0) else {
        return;
    };
    let mut made_up = Vec::new();
    for (field, value, default) in [
        ("aet", &mut node.aet, "ANY-SCP"),
        ("host", &mut node.host, "127.0.0.1"),
    ] {
        if value.is_empty() {
            default.clone_into(value);
            made_up.push(format!("{field} = {default}"));
        }
    }
    if !made_up.is_empty() {
        context.report.info(&format!(
            "node {} is new, with {}, port = {}: set what is different",
            name.0,
            made_up.join(", "),
            node.port
        ));
    }
}

/// Changes settings if the change is sound and allowed.
fn change(
    context: &Context<'_>,
    project: &Project,
    command: &'static str,
    key: &str,
    change: impl FnOnce(&mut ProjectSettings) -> Result<(), Problem>,
) -> anyhow::Result<ExitStatus> {
    let text = settings::read(project)?;
    let before = settings::parse(&text)?;
    let mut after = before.clone();
    change(&mut after).map_err(|problem| wrong(&problem))?;
    check_frozen(project, &before, &after)?;
    if after != before {
        settings::write(project, &document::changed(&text, &before, &after)?)?;
    }
    settings::secret(project, &after, Missing::Make)?;
    let value = after.get(key).map_err(|problem| wrong(&problem))?;
    let shown = value.as_ref().map_or_else(String::new, ToString::to_string);
    context.report.line(format!("{key} = {shown}").trim_end())?;
    let summary = Summary::new(command, Some(key), value.as_ref());
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

/// Refuses to change what pseudonyms were made with, once there are any.
fn check_frozen(
    project: &Project,
    before: &ProjectSettings,
    after: &ProjectSettings,
) -> anyhow::Result<()> {
    let changed = FROZEN
        .iter()
        .find(|key| before.get(key).ok() != after.get(key).ok());
    let Some(key) = changed else {
        return Ok(());
    };
    if !project.lookup_file().exists() {
        return Ok(());
    }
    // Nobody gives out the first one between the look and the change.
    let _lock = Lock::take(&project.lock_file())?;
    let secret = settings::secret(project, before, Missing::Refuse)?;
    let lookups = open_project::open_lookups(project, before, secret.as_ref())?;
    if lookups.is_frozen()? || lookups.counts()? != Counts::default() {
        return Err(Failure::configuration(format!(
            "{key} is frozen: pseudonyms were made with it; for another {key} make a new project \
             (`anon init DIR --from {}`)",
            project.root().display()
        )));
    }
    drop(lookups);
    // It holds no pseudonym, but the old value: a new one is made for the new value.
    std::fs::remove_file(project.lookup_file()).context("cannot begin with a new lookup store")
}

/// Takes another script, and with it accepts its rules for what comes next.
fn set_script(context: &Context<'_>, project: &Project, word: &str) -> anyhow::Result<ExitStatus> {
    let text = settings::read(project)?;
    let before = settings::parse(&text)?;
    // Whoever imports now goes on with the rules it began with: not under its feet.
    project.check_access()?;
    let _lock = Lock::take(&project.lock_file())?;
    let mut after = before.clone();
    if rules::is_builtin(word) {
        word.clone_into(&mut after.script);
    } else {
        rules::adopt(project, Path::new(word), &mut after)?;
    }
    if after != before {
        settings::write(project, &document::changed(&text, &before, &after)?)?;
    }
    if project.lookup_file().exists() {
        let rules = rules::of_project(project, &after)?;
        let secret = settings::secret(project, &after, Missing::Refuse)?;
        let lookups = open_project::open_lookups(project, &after, secret.as_ref())?;
        open_project::check_rules(&*lookups, &*rules, NewRules::Accept)?;
        lookups.flush()?;
    }
    context.report.line(&format!("script = {}", after.script))?;
    let value = Value::Text(after.script.clone());
    let summary = Summary::new("config set", Some("script"), Some(&value));
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}
