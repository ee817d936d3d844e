//! Advice after objects were refused because of a setting.

use std::collections::{BTreeMap, BTreeSet};

use anon_engine::Category;
use anon_model::Modality;
use anon_model::modality::class_name;

use crate::command::{Context, quarantine};
use crate::project::record::Summary;
use crate::report::counted;

/// Returns lines that say what to do about quarantined objects, with commands to paste.
pub(super) fn of(context: &Context<'_>, summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    let refused = &summary.storage_classes_refused;
    for category in Category::ALL {
        let count = summary.quarantined.get(category.name());
        let is_told_below = category == Category::InvalidStorageClass && !refused.is_empty();
        if count.is_some_and(|count| *count > 0) && !is_told_below {
            let what = quarantine::what_to_do_about(category);
            lines.push(format!("{}: {what}", category.name()));
        }
    }
    lines.extend(how_to_accept(context, refused));
    if !refused.is_empty() {
        let retry = "quarantine retry --category Invalid_Storage_Class";
        lines.push(format!("  {}", context.command_line(retry)));
    }
    lines
}

/// Returns lines with the refused storage classes, and the commands to accept them.
pub(crate) fn how_to_accept(context: &Context<'_>, refused: &BTreeMap<String, u64>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut modalities = BTreeSet::new();
    let mut classes = BTreeSet::new();
    for (class, count) in refused {
        let name = class_name(class).unwrap_or("not a standard storage class");
        lines.push(format!(
            "not among the project's storage classes: {} of {class} ({name})",
            counted(*count, "object")
        ));
        match Modality::of_class(class) {
            Some(modality) => drop(modalities.insert(modality.code)),
            None if anon_model::Uid::new(class.as_str()).is_ok() => {
                classes.insert(class.as_str());
            }
            // One that PS3.6 does not list is not shown: it may be the UID of somebody's instance.
            None => {
                classes.insert("UID");
            }
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let joined = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(" ");
    lines.push("to accept them:".to_owned());
    for (key, set) in [("modalities", modalities), ("storage_classes", classes)] {
        if set.contains("UID") {
            lines.push(
                "  (the UID of a private SOP class is in the conformance statement of its device)"
                    .to_owned(),
            );
        }
        if !set.is_empty() {
            let command = format!("config add {key} {}", joined(set));
            lines.push(format!("  {}", context.command_line(&command)));
        }
    }
    lines
}
