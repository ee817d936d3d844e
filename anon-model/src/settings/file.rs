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
//! A missing key has its default. `site_id` and `format` must be present. If the file has `[node]`
//! or any `[node.…]`, the project has no other nodes.

use std::collections::BTreeMap;

use crate::SiteId;
use crate::settings::key::{KeyDoc, Kind, Value};
use crate::settings::problem::{Problem, SettingsError};
use crate::settings::table::{KEYS, ProjectSettings};

/// Name of the file in the project directory.
pub const NAME: &str = "project.toml";

/// Version of the format.
pub const FORMAT: i64 = 1;

/// Reads settings from the text of a `project.toml`.
///
/// # Errors
/// [`SettingsError`] with every problem of the text.
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
        // A node without a host is not complete yet: whoever uses it reports that.
        let key = format!("node.{name}.aet");
        if node.aet.is_empty() && !problems.iter().any(|problem| is_about(problem, &key)) {
            problems.push(Problem::Missing { key });
        }
    }
    if problems.is_empty() {
        Ok(settings)
    } else {
        fail(problems)
    }
}

/// Returns the site id, without which there are no settings. A wrong one is replaced here, and
/// reported when the keys are set one after the other.
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

/// Returns true if a problem is about the value of a key.
fn is_about(problem: &Problem, wanted: &str) -> bool {
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

/// Collects the values of a table and of the tables in it, by their dotted keys.
fn flatten(prefix: &str, table: toml::Table, leaves: &mut Vec<(String, toml::Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            // An empty table becomes a value, which is refused, unless keys can be in it.
            toml::Value::Table(table) if !table.is_empty() || is_group(&key) => {
                flatten(&key, table, leaves);
            }
            value => leaves.push((key, value)),
        }
    }
}

/// Returns true if keys begin with this one and a dot.
fn is_group(key: &str) -> bool {
    KEYS.iter().any(|doc| {
        doc.key
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn set(settings: &mut ProjectSettings, key: &str, value: toml::Value) -> Result<(), Problem> {
    let Ok(value) = value.try_into::<Value>() else {
        // The type of a key that does not exist is not its problem.
        settings.get(key)?;
        return Err(Problem::Type {
            key: key.to_owned(),
            expected: KeyDoc::of(key).map_or("", |doc| doc.kind.words()),
        });
    };
    settings.set(key, &value)
}

/// Returns settings as the text of a `project.toml`: every key that has a value, in alphabetical
/// order. Empty lists are left out.
pub fn write(settings: &ProjectSettings) -> String {
    let mut table = toml::Table::new();
    table.insert("format".to_owned(), toml::Value::Integer(FORMAT));
    for doc in KEYS {
        for key in concrete(settings, doc.key) {
            let value = settings.get(&key).ok().flatten();
            let is_empty_list = doc.kind == Kind::List && value == Some(Value::List(Vec::new()));
            // TOML has all types of values.
            let value = value.and_then(|value| toml::Value::try_from(value).ok());
            if let Some(value) = value.filter(|_| !is_empty_list) {
                put(&mut table, &key, value);
            }
        }
    }
    if settings.nodes.is_empty() {
        put(&mut table, "node", toml::Value::Table(toml::Table::new()));
    }
    table.to_string()
}

/// Returns the keys that a key with `<name>` stands for.
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
