//! What to type next, when something was refused that a setting decides.

use std::collections::{BTreeMap, BTreeSet};

use anon_model::Modality;
use anon_model::modality::class_name;

use crate::command::Context;

/// One line each: which storage classes were refused, and the commands that take them in and try again.
pub(super) fn of(context: &Context<'_>, refused: &BTreeMap<String, u64>) -> Vec<String> {
    let mut lines = how_to_accept(context, refused);
    if !lines.is_empty() {
        let retry = "quarantine retry --category Invalid_Storage_Class";
        lines.push(format!("  {}", context.command_line(retry)));
    }
    lines
}

/// One line each: which storage classes the project does not take, and the commands that take them in.
pub(crate) fn how_to_accept(context: &Context<'_>, refused: &BTreeMap<String, u64>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut modalities = BTreeSet::new();
    let mut classes = BTreeSet::new();
    for (class, count) in refused {
        let name = class_name(class).unwrap_or("not a storage class of the standard");
        lines.push(format!(
            "not among the project's storage classes: {count} of {class} ({name})"
        ));
        match Modality::of_class(class) {
            Some(modality) => drop(modalities.insert(modality.code)),
            // What is no UID cannot be added.
            None if anon_model::Uid::new(class.as_str()).is_ok() => {
                classes.insert(class.as_str());
            }
            None => {}
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let words = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(" ");
    lines.push("to take them in:".to_owned());
    for (key, set) in [("modalities", modalities), ("storage_classes", classes)] {
        if !set.is_empty() {
            let command = format!("config add {key} {}", words(set));
            lines.push(format!("  {}", context.command_line(&command)));
        }
    }
    lines
}
