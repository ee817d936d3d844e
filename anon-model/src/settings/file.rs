//! `project.toml`.
//!
//! ```toml
//! format = 1                      # version of this format
//! site_id = "527408193"
//! name = "MY_PROJECT"
//! modalities = ["CR", "DX", "CT", "MR"]
//!
//! [scp]                           # every dotted key of KEYS: scp.port is `port` in `[scp]`
//! port = 1045
//!
//! [node.PACS]
//! aet = "ORTHANC"
//! host = "127.0.0.1"
//! port = 4242
//! use = ["query"]
//! ```
//!
//! A key that is not there has its default, `site_id` excepted, which must be there. A file that
//! has `[node]`, or any `[node.…]`, has only those nodes.

use std::collections::BTreeMap;

use crate::SiteId;
use crate::settings::ProjectSettings;
use crate::settings::access::find;
use crate::settings::keys::{KEYS, Kind, Value};
use crate::settings::problem::{Problem, SettingsError};

/// Name of the file in the project directory.
pub const NAME: &str = "project.toml";

/// Version of the format.
pub const FORMAT: i64 = 1;

/// Reads settings from the text of a `project.toml`.
///
/// # Errors
/// [`SettingsError`] with all that is wrong.
pub fn parse(text: &str) -> Result<ProjectSettings, SettingsError> {
    let fail = |problems| Err(SettingsError { problems });
    let mut table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => return fail(vec![syntax(text, &error)]),
    };
    let mut problems = Vec::new();
    match table.remove("format") {
        Some(toml::Value::Integer(FORMAT)) => {}
        Some(toml::Value::Integer(found)) if found > FORMAT => {
            return fail(vec![Problem::Format { found }]);
        }
        Some(_) => problems.push(Problem::Type {
            key: "format".to_owned(),
            expected: "the number 1",
        }),
        None => problems.push(Problem::Missing {
            key: "format".to_owned(),
        }),
    }
    let has_nodes = table.contains_key("node");
    let mut leaves = Vec::new();
    flatten("", table, &mut leaves);
    let mut settings = ProjectSettings::new(site_of(&leaves, &mut problems));
    if has_nodes {
        settings.nodes = BTreeMap::new();
    }
    for (key, value) in leaves {
        if let Err(problem) = set(&mut settings, &key, value) {
            problems.push(problem);
        }
    }
    for (name, node) in &settings.nodes {
        for (key, value) in [("aet", &node.aet), ("host", &node.host)] {
            let key = format!("node.{name}.{key}");
            if value.is_empty() && !problems.iter().any(|problem| names(problem, &key)) {
                problems.push(Problem::Missing { key });
            }
        }
    }
    if problems.is_empty() {
        Ok(settings)
    } else {
        fail(problems)
    }
}

/// The site id comes first: without it there are no settings. One that is wrong is reported when
/// its turn comes.
fn site_of(leaves: &[(String, toml::Value)], problems: &mut Vec<Problem>) -> SiteId {
    let stand_in = || SiteId::new("0").expect("settings: 0 is a site id");
    match leaves.iter().find(|(key, _)| key == "site_id") {
        Some((_, toml::Value::String(text))) => {
            SiteId::new(text.as_str()).unwrap_or_else(|_| stand_in())
        }
        Some(_) => stand_in(),
        None => {
            problems.push(Problem::Missing {
                key: "site_id".to_owned(),
            });
            stand_in()
        }
    }
}

fn names(problem: &Problem, wanted: &str) -> bool {
    match problem {
        Problem::Type { key, .. } | Problem::Value { key, .. } => key == wanted,
        _ => false,
    }
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.as_bytes().get(..at).unwrap_or_default();
    Problem::Syntax {
        line: 1 + before.split(|byte| *byte == b'\n').skip(1).count(),
        message: error.message().to_owned(),
    }
}

fn flatten(prefix: &str, table: toml::Table, leaves: &mut Vec<(String, toml::Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            // An empty table that is no key at all must not pass unseen.
            toml::Value::Table(table) if !table.is_empty() || is_group(&key) => {
                flatten(&key, table, leaves);
            }
            value => leaves.push((key, value)),
        }
    }
}

/// True if keys begin with this one and a dot.
fn is_group(key: &str) -> bool {
    KEYS.iter().any(|doc| {
        doc.key
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn set(settings: &mut ProjectSettings, key: &str, value: toml::Value) -> Result<(), Problem> {
    let doc = find(key)?;
    let wrong_type = || Problem::Type {
        key: key.to_owned(),
        expected: doc.kind.words(),
    };
    let value = match value {
        toml::Value::String(text) => Value::Text(text),
        toml::Value::Integer(number) => Value::Integer(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Array(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            Value::List(texts.ok_or_else(wrong_type)?)
        }
        _ => return Err(wrong_type()),
    };
    settings.set(key, &value)
}

/// Writes settings as the text of a `project.toml`: every key that has a value, by name.
pub fn write(settings: &ProjectSettings) -> String {
    let mut table = toml::Table::new();
    table.insert("format".to_owned(), toml::Value::Integer(FORMAT));
    for doc in KEYS {
        for key in concrete(settings, doc.key) {
            let value = settings.get(&key).ok().flatten();
            if let Some(value) = value.filter(|value| is_worth_saying(doc.kind, value)) {
                put(&mut table, &key, to_toml(value));
            }
        }
    }
    if settings.nodes.is_empty() {
        put(&mut table, "node", toml::Value::Table(toml::Table::new()));
    }
    table.to_string()
}

fn is_worth_saying(kind: Kind, value: &Value) -> bool {
    !(kind == Kind::List && *value == Value::List(Vec::new()))
}

/// The keys that a key with `<name>` stands for.
fn concrete(settings: &ProjectSettings, key: &str) -> Vec<String> {
    let named = |names: Vec<&String>| -> Vec<String> {
        names
            .into_iter()
            .map(|name| key.replace("<name>", name))
            .collect()
    };
    if key.starts_with("node.") {
        named(settings.nodes.keys().collect())
    } else if key.contains("<name>") {
        named(settings.log.targets.keys().collect())
    } else {
        vec![key.to_owned()]
    }
}

fn put(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((group, rest)) => {
            let group = table
                .entry(group)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(group) = group {
                put(group, rest, value);
            }
        }
    }
}

fn to_toml(value: Value) -> toml::Value {
    match value {
        Value::Text(text) => toml::Value::String(text),
        Value::Integer(number) => toml::Value::Integer(number),
        Value::Bool(truth) => toml::Value::Boolean(truth),
        Value::List(items) => {
            toml::Value::Array(items.into_iter().map(toml::Value::String).collect())
        }
    }
}
