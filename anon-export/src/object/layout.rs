//! The layout of a project's `public/`, used by the directory source and sink.
//!
//! ```text
//! <root>/<patient>/<study>/<series>/<instance>.dcm
//! ```
//!
//! Symbolic links are neither followed nor listed. Names that cannot be part of a key are ignored.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::{KeyPart, ObjectKey};

/// Returns the directory of an object's series.
pub(crate) fn series(root: &Path, key: &ObjectKey) -> PathBuf {
    let [patient, study, series, _] = key.parts();
    [patient, study, series]
        .iter()
        .fold(root.to_owned(), |path, part| path.join(part.as_str()))
}

/// Returns the path of an object's file.
pub(crate) fn file(root: &Path, key: &ObjectKey) -> PathBuf {
    let [.., instance] = key.parts();
    series(root, key).join(format!("{instance}.dcm"))
}

/// Calls `each` with the subdirectories whose names can be part of a key, until it breaks.
pub(crate) fn parts(
    directory: &Path,
    each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(part) = directory_part(&entry)?
            && each(part).is_break()
        {
            break;
        }
    }
    Ok(())
}

/// Calls `each` with the objects of a patient, in no particular order, until it breaks. A patient
/// without a directory has no objects.
pub(crate) fn objects(
    root: &Path,
    patient: &KeyPart,
    each: &mut dyn FnMut(ObjectKey, &Metadata) -> ControlFlow<()>,
) -> io::Result<()> {
    let top = root.join(patient.as_str());
    walk(&top, &mut vec![patient.clone()], each).map(|_| ())
}

/// Walks the directory of the patient, study or series that `parts` names.
fn walk(
    directory: &Path,
    parts: &mut Vec<KeyPart>,
    each: &mut dyn FnMut(ObjectKey, &Metadata) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(ControlFlow::Continue(()));
        }
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let flow = if let [patient, study, series] = parts.as_slice() {
            let Some(instance) = instance(&entry)? else {
                continue;
            };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let key = [patient.clone(), study.clone(), series.clone(), instance];
            each(ObjectKey::of(key), &metadata)
        } else {
            let Some(part) = directory_part(&entry)? else {
                continue;
            };
            parts.push(part);
            let flow = walk(&entry.path(), parts, each)?;
            parts.pop();
            flow
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn directory_part(entry: &DirEntry) -> io::Result<Option<KeyPart>> {
    let is_directory = entry.file_type()?.is_dir();
    let part = entry.file_name().to_str().map(KeyPart::new);
    Ok(part.and_then(Result::ok).filter(|_| is_directory))
}

fn instance(entry: &DirEntry) -> io::Result<Option<KeyPart>> {
    let is_file = entry.file_type()?.is_file();
    let name = entry.file_name();
    let stem = name.to_str().and_then(|name| name.strip_suffix(".dcm"));
    let part = stem.map(KeyPart::new).and_then(Result::ok);
    Ok(part.filter(|_| is_file))
}
