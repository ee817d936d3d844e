//! Edits the text of `project.toml`: changed keys change, everything else keeps its form and comments.

use anon_model::ProjectSettings;
use anon_model::settings::Value;
use anyhow::bail;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use crate::project::settings::{self, keys};

/// Edits `text`, which holds the settings `before`, so that it holds the settings `after`.
pub(crate) fn changed(
    text: &str,
    before: &ProjectSettings,
    after: &ProjectSettings,
) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    if before.nodes != after.nodes && !document.contains_key("node") {
        // The default nodes exist only while the file names none. They are written before the first one.
        for key in keys(before).iter().filter(|key| key.starts_with("node.")) {
            put(document.as_table_mut(), key, before.get(key)?.as_ref())?;
        }
    }
    let mut all = keys(before);
    all.extend(keys(after));
    for key in all {
        let value = after.get(&key)?;
        if before.get(&key)? != value {
            put(document.as_table_mut(), &key, value.as_ref())?;
        }
    }
    for name in before.nodes.keys() {
        if !after.nodes.contains_key(name) {
            remove(document.as_table_mut(), &format!("node.{name}"));
        }
    }
    let text = document.to_string();
    if settings::parse(&text)? != *after {
        bail!("project.toml cannot be changed as it is written; to edit it:\n  anon config edit");
    }
    Ok(text)
}

/// As [`changed`], and removes the line of `key` if the file means the same without it.
pub(crate) fn unset(
    text: &str,
    before: &ProjectSettings,
    after: &ProjectSettings,
    key: &str,
) -> anyhow::Result<String> {
    let text = changed(text, before, after)?;
    let mut document: DocumentMut = text.parse()?;
    remove(document.as_table_mut(), key);
    let shorter = document.to_string();
    match settings::parse(&shorter) {
        Ok(settings) if settings == *after => Ok(shorter),
        _ => Ok(text),
    }
}

fn remove(table: &mut dyn TableLike, key: &str) {
    match key.split_once('.') {
        None => drop(table.remove(key)),
        Some((group, rest)) => {
            if let Some(group) = table.get_mut(group).and_then(Item::as_table_like_mut) {
                remove(group, rest);
            }
        }
    }
}

fn put(table: &mut dyn TableLike, key: &str, value: Option<&Value>) -> anyhow::Result<()> {
    if let Some((group, rest)) = key.split_once('.') {
        let group = table.entry(group).or_insert_with(|| {
            let mut group = Table::new();
            group.set_implicit(true);
            Item::Table(group)
        });
        return match group.as_table_like_mut() {
            Some(group) => put(group, rest, value),
            None => bail!("{key} is not where it should be in project.toml"),
        };
    }
    match value {
        None => {
            table.remove(key);
        }
        Some(value) => {
            let mut fresh = to_toml(value);
            // Keeps the comment after the value.
            if let Some(old) = table.get(key).and_then(Item::as_value) {
                *fresh.decor_mut() = old.decor().clone();
            }
            // An existing key keeps the lines before it.
            match table.get_mut(key) {
                Some(item) => *item = Item::Value(fresh),
                None => drop(table.insert(key, Item::Value(fresh))),
            }
        }
    }
    Ok(())
}

fn to_toml(value: &Value) -> toml_edit::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Bool(truth) => (*truth).into(),
        Value::List(items) => items.iter().map(String::as_str).collect::<Array>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Ward 7
format = 1
site_id = \"42\" # from the trial office

modalities = [\"CT\"] # no more

[scp]
# behind the firewall
port = 11112
";

    #[track_caller]
    fn check(change: impl FnOnce(&mut ProjectSettings), expected: &str) {
        let before = settings::parse(TEXT).unwrap();
        let mut after = before.clone();
        change(&mut after);
        assert_eq!(changed(TEXT, &before, &after).unwrap(), expected);
    }

    #[test]
    fn comments_stay() {
        check(
            |settings| settings.add("modalities", &["MR".into()]).unwrap(),
            &TEXT.replace("[\"CT\"]", "[\"CT\", \"MR\"]"),
        );
        check(
            |settings| settings.set("scp.port", &Value::Integer(104)).unwrap(),
            &TEXT.replace("11112", "104"),
        );
    }

    #[test]
    fn new_keys_go_where_they_belong() {
        check(
            |settings| {
                settings
                    .set("log.target.anon_engine", &Value::Text("debug".into()))
                    .unwrap();
            },
            &format!("{TEXT}\n[log.target]\nanon_engine = \"debug\"\n"),
        );
    }

    #[test]
    fn unset_keys_and_nodes_leave_the_file() {
        let text = format!("{TEXT}\n[node.A]\naet = \"PACS\"\nhost = \"pacs\"\n");
        let text = format!("{text}\n[node.B]\naet = \"ARCHIVE\"\nhost = \"archive\"\n");
        let before = settings::parse(&text).unwrap();
        for (key, gone) in [
            ("scp.port", "port = 11112"),
            ("modalities", "modalities"),
            ("node.A", "PACS"),
        ] {
            let mut after = before.clone();
            assert!(after.unset(key).unwrap(), "{key}");
            let text = unset(&text, &before, &after, key).unwrap();
            assert!(!text.contains(gone), "{key}: {text}");
            assert_eq!(settings::parse(&text).unwrap(), after, "{key}");
        }
    }

    #[test]
    fn a_first_node_keeps_the_default_ones() {
        let before = settings::parse(TEXT).unwrap();
        let mut after = before.clone();
        for (key, value) in [("aet", "PACS"), ("host", "10.0.0.1")] {
            let value = Value::Text(value.into());
            after.set(&format!("node.A.{key}"), &value).unwrap();
        }
        let text = changed(TEXT, &before, &after).unwrap();
        assert_eq!(settings::parse(&text).unwrap().nodes.len(), 3, "{text}");
    }
}
