//! What to do about quarantined objects.

use anon_engine::Category;
use anon_engine::quarantine::{Entry, Kept};
use anon_model::Modality;

use crate::command::Context;
use crate::work::quarantine::short_id;

/// Returns in a sentence what to do about the objects of a category.
pub(in crate::command) fn of_category(category: Category) -> &'static str {
    match category {
        Category::InvalidDicom => {
            "they are not DICOM, or damaged: leave documents and programs where they are; export damaged \
             DICOM files from their source again, and import them"
        }
        Category::DicomReadError => {
            "they are damaged, or not encoded as DICOM requires: export them from their source again, \
             and import them"
        }
        Category::MissingAttributes => {
            "they lack a value that every object needs, or are cut short: correct them at their source, \
             and import them again"
        }
        Category::InvalidStorageClass => {
            "they are of a kind that the project does not take: add the kind to the project, and retry. The \
             UID of a private SOP class is in the conformance statement of the device that uses it"
        }
        Category::CapturePhiError => {
            "they contradict what is stored: compare both with the source. If the source is wrong, \
             correct it and import again; else accept the object: it is filed under the patient of the \
             stored study, or replaces the stored object with its UID. If that does not store it, delete the \
             stored study, and retry"
        }
        Category::BurnedIn => {
            "their pixels may show who the patient is: look at them, and accept those that show nobody"
        }
        _ => {
            "they could not be de-identified or stored: retry with a later version, and report them"
        }
    }
}

/// Returns lines that say what to do about an entry, with commands to paste.
pub(super) fn of_entry(context: &Context<'_>, entry: &Entry) -> Vec<String> {
    let id = short_id(&entry.id);
    let category = entry.id.category();
    let retry = format!("quarantine retry --category {}", category.name());
    let mut commands = Vec::new();
    match category {
        Category::InvalidStorageClass => {
            // A private one is not shown: it may be the UID of somebody's instance.
            commands.push(add_class(entry.sop_class.as_deref().unwrap_or("UID")));
            commands.push(retry);
        }
        Category::BurnedIn | Category::CapturePhiError => {
            commands.push(format!("quarantine accept {id} --reason 'WHY'"));
        }
        Category::StorageError => commands.push(retry),
        _ => {}
    }
    if entry.kept == Kept::Recorded {
        // There are no bytes to try again.
        commands.clear();
    }
    let mut lines = vec![format!("what to do: {}", of_category(category))];
    lines.extend(commands.iter().map(|command| line(context, command)));
    lines.push("to delete the entry for good:".to_owned());
    lines.push(line(context, &format!("quarantine clear {id}")));
    lines
}

fn line(context: &Context<'_>, command: &str) -> String {
    format!("  {}", context.command_line(command))
}

/// Returns the command that adds a storage class to the project.
fn add_class(class: &str) -> String {
    match Modality::of_class(class) {
        Some(modality) => format!("config add modalities {}", modality.code),
        None => format!("config add storage_classes {class}"),
    }
}
