//! `anon config`: shows and changes settings. Keeps the comments in `project.toml`.

mod edit;

use std::path::Path;

use anon_model::ProjectSettings;
use anon_model::settings::{Effect, KeyDoc, Problem, Value};
use serde::Serialize;

use crate::args::{Config, Whom};
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::project::accepted::{self, Standing};
use crate::project::record::SettingsChange;
use crate::project::trust::exceptions::{self, Trust};
use crate::project::{Project, audit, document, settings};
use crate::report::counted;
use crate::work::settings::{self as work, Changed};

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
    /// When the change takes effect in the process that holds the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
}

impl<'s> Summary<'s> {
    fn new(command: &'static str, key: Option<&'s str>, value: Option<&Value>) -> Self {
        Self {
            event: "summary",
            command,
            key,
            value: value.map(to_json),
            path: None,
            effect: None,
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
    let project = match what {
        Config::Trust { .. } => Project::unchecked(context.project())?,
        _ => Project::existing(context.project())?,
    };
    log::start_without_file(&context.global)?;
    match what {
        Config::Get { key: Some(key) } => get(context, &project, &key),
        Config::Get { key: None } => get_all(context, &project),
        Config::Set { key, value } => set(context, &project, &key, &value),
        Config::Unset { key } => unset(context, &project, &key),
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
        Config::Accept => accept(context, &project),
        Config::Trust { whom } => trust(context, &project, whom),
    }
}

/// Accepts the settings as they are, and prints those that were changed.
fn accept(context: &Context<'_>, project: &Project) -> anyhow::Result<ExitStatus> {
    project.check_access()?;
    let settings = settings::load(project)?;
    let keys = match accepted::standing(project, &settings)? {
        Standing::Changed(keys) => keys,
        Standing::Accepted | Standing::Unrecorded => Vec::new(),
    };
    audit::append(&project.audit_file(), "config accept", keys.len() as u64)?;
    accepted::accept(project, &settings)?;
    for key in &keys {
        // A node that is gone has no value.
        let value = settings.get(key).ok().flatten();
        let value = value.map_or_else(String::new, |value| value.to_string());
        context.report.line(format!("{key} = {value}").trim_end())?;
    }
    let count = counted(keys.len() as u64, "change");
    context.report.line(&format!("{count} accepted"))?;
    let value = Value::List(keys);
    let summary = Summary::new("config accept", None, Some(&value));
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

/// Makes or ends an exception of this user for a project, or shows it. Nothing in the project is read.
fn trust(
    context: &Context<'_>,
    project: &Project,
    whom: Option<Whom>,
) -> anyhow::Result<ExitStatus> {
    let root = project.root();
    let file = match whom {
        None => None,
        Some(Whom::Group) => Some(exceptions::set(root, Some(Trust::Group))?),
        Some(Whom::Export) => Some(exceptions::set(root, Some(Trust::Export))?),
        Some(Whom::Nobody) => Some(exceptions::set(root, None)?),
    };
    let trust = exceptions::of(root)?.map_or("nobody", Trust::name);
    context
        .report
        .line(&format!("trust = {trust} for {}", root.display()))?;
    let value = Value::Text(trust.to_owned());
    let mut summary = Summary::new("config trust", None, Some(&value));
    summary.path = file.as_deref();
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

/// Splits at commas too: `CT,MR XA` are three values.
fn split(values: &[String]) -> Vec<String> {
    values
        .iter()
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect()
}

fn wrong(problem: &Problem) -> anyhow::Error {
    let list = match problem {
        Problem::Value { key, .. } => match key.as_str() {
            "modalities" => Some("modalities"),
            "storage_classes" => Some("storage-classes"),
            "transfer_syntaxes" => Some("transfer-syntaxes"),
            _ => None,
        },
        _ => None,
    };
    let list = list.map_or_else(String::new, |list| {
        format!("\nto see all of them:\n  anon list {list}")
    });
    Failure::configuration(format!("{problem}{list}"))
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
    for key in settings::keys(&settings) {
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

fn set(
    context: &Context<'_>,
    project: &Project,
    key: &str,
    word: &str,
) -> anyhow::Result<ExitStatus> {
    if key == "script" {
        return set_script(context, project, word);
    }
    if key == "profile" {
        return set_profile(context, project, word);
    }
    change(context, project, "config set", key, |settings| {
        // For an unknown key, `set` returns the problem.
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

/// Completes a new node: the first key that is set creates it. A missing AE title gets a default. A host
/// is never made up: patient data could reach the wrong machine.
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
    let port = node.port;
    if node.aet.is_empty() {
        "ANY-SCP".clone_into(&mut node.aet);
        context.report.info(&format!(
            "node {0} is new, with aet = ANY-SCP, port = {port}; to set what is different:\n  \
             anon config set node.{0}.aet AET\n  anon config set node.{0}.port PORT",
            name.0
        ));
    } else if node.host.is_none() {
        context.report.info(&format!(
            "node {0} has no host yet, and port = {port}; to set the host:\n  \
             anon config set node.{0}.host HOST",
            name.0
        ));
    }
}

/// Changes settings if the change is valid and allowed.
fn change(
    context: &Context<'_>,
    project: &Project,
    command: &'static str,
    key: &str,
    change: impl Fn(&mut ProjectSettings) -> Result<(), Problem>,
) -> anyhow::Result<ExitStatus> {
    let changed = work::change(project, &context.signals, |text| {
        let before = settings::parse(text)?;
        let mut after = before.clone();
        change(&mut after).map_err(|problem| wrong(&problem))?;
        Ok(SettingsChange {
            before: text.to_owned(),
            after: document::changed(text, &before, &after)?,
            script: None,
            accept_rules: false,
        })
    })?;
    conclude(context, command, key, &changed)
}

/// Gives a key its default again, or removes a node.
fn unset(context: &Context<'_>, project: &Project, key: &str) -> anyhow::Result<ExitStatus> {
    if key == "script" {
        return set_script(context, project, "rsna-v17");
    }
    let changed = work::change(project, &context.signals, |text| {
        let before = settings::parse(text)?;
        let mut after = before.clone();
        after.unset(key).map_err(|problem| wrong(&problem))?;
        Ok(SettingsChange {
            before: text.to_owned(),
            after: document::unset(text, &before, &after, key)?,
            script: None,
            accept_rules: false,
        })
    })?;
    if settings::parse(&changed.after)?.get(key).is_ok() {
        return conclude(context, "config unset", key, &changed);
    }
    context.report.line(&format!("{key} is removed"))?;
    let mut summary = Summary::new("config unset", Some(key), None);
    summary.effect = say_effect(context, &changed)?;
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

/// Changes to another script, and with it accepts its rules for what comes next.
fn set_script(context: &Context<'_>, project: &Project, word: &str) -> anyhow::Result<ExitStatus> {
    project.check_access()?;
    let changed = work::change(project, &context.signals, |text| {
        work::change_script(text, word)
    })?;
    conclude(context, "config set", "script", &changed)
}

fn set_profile(context: &Context<'_>, project: &Project, word: &str) -> anyhow::Result<ExitStatus> {
    project.check_access()?;
    let changed = work::change(project, &context.signals, |text| {
        work::change_profile(text, word)
    })?;
    conclude(context, "config set", "profile", &changed)
}

/// Prints the value, and when it takes effect in a process that holds the project.
fn conclude(
    context: &Context<'_>,
    command: &'static str,
    key: &str,
    changed: &Changed,
) -> anyhow::Result<ExitStatus> {
    let value = settings::parse(&changed.after)?
        .get(key)
        .map_err(|problem| wrong(&problem))?;
    let shown = value.as_ref().map_or_else(String::new, ToString::to_string);
    context.report.line(format!("{key} = {shown}").trim_end())?;
    let mut summary = Summary::new(command, Some(key), value.as_ref());
    summary.effect = say_effect(context, changed)?;
    context.report.summary(&summary)?;
    Ok(ExitStatus::Done)
}

/// Says when changes take effect in the process that holds the project. `None` if there is no such
/// process, or nothing was changed.
fn say_effect(context: &Context<'_>, changed: &Changed) -> anyhow::Result<Option<&'static str>> {
    if !changed.beside_holder {
        return Ok(None);
    }
    let Some(effect) = changed.effect()? else {
        return Ok(None);
    };
    let (name, when) = match effect {
        Effect::AtOnce => ("at_once", "at once"),
        Effect::NextAssociation => ("next_association", "at the next association"),
        Effect::Restart => ("restart", "when that process is started again"),
    };
    context.report.info(&format!(
        "another process holds the project: the change takes effect there {when}"
    ));
    Ok(Some(name))
}
