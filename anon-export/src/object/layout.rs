//! The layout of a project's `public/`, used by the directory source and sink.
//!
//! ```text
//! <root>/<patient>/<study>/<series>/<instance>.dcm
//! ```
//!
//! Each level is opened in the one above. Symbolic links are neither followed nor listed. Names
//! that cannot be part of a key are ignored.

use std::io;
use std::ops::ControlFlow;

use crate::platform::{Dir, Entry, FileState, Kind};
use crate::{KeyPart, ObjectKey};

/// Opens the directory of an object's series.
pub(crate) fn series(root: &Dir, key: &ObjectKey) -> io::Result<Dir> {
    let [patient, study, series, _] = key.parts();
    let patient = root.child(patient.as_str())?;
    patient.child(study.as_str())?.child(series.as_str())
}

/// Returns the name of an object's file.
pub(crate) fn file_name(key: &ObjectKey) -> String {
    let [.., instance] = key.parts();
    format!("{instance}.dcm")
}

/// Calls `each` with the subdirectories whose names can be part of a key, until it breaks.
pub(crate) fn parts(
    directory: &Dir,
    each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>,
) -> io::Result<()> {
    for entry in directory.entries()? {
        if let Some(part) = directory_part(&entry?)
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
    root: &Dir,
    patient: &KeyPart,
    each: &mut dyn FnMut(ObjectKey, FileState) -> ControlFlow<()>,
) -> io::Result<()> {
    walk(root, &mut vec![patient.clone()], each).map(|_| ())
}

/// Walks the directory of the patient, study or series that `parts` names; `above` holds it.
fn walk(
    above: &Dir,
    parts: &mut Vec<KeyPart>,
    each: &mut dyn FnMut(ObjectKey, FileState) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let Some(directory) = open_last(above, parts)? else {
        return Ok(ControlFlow::Continue(()));
    };
    for entry in directory.entries()? {
        let entry = entry?;
        let flow = if let [patient, study, series] = parts.as_slice() {
            let Some(instance) = instance(&entry) else {
                continue;
            };
            let Some(state) = directory.state(&entry.name)? else {
                continue;
            };
            let key = [patient.clone(), study.clone(), series.clone(), instance];
            each(ObjectKey::of(key), state)
        } else {
            let Some(part) = directory_part(&entry) else {
                continue;
            };
            parts.push(part);
            let flow = walk(&directory, parts, each)?;
            parts.pop();
            flow
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Opens the directory that the last part names. `None` if it is gone, or is none.
fn open_last(above: &Dir, parts: &[KeyPart]) -> io::Result<Option<Dir>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let name = parts.last().map_or("", KeyPart::as_str);
    match above.child(name) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        directory => directory.map(Some),
    }
}

fn directory_part(entry: &Entry) -> Option<KeyPart> {
    let name = entry.name.to_str()?;
    (entry.kind == Kind::Directory)
        .then(|| KeyPart::new(name).ok())
        .flatten()
}

fn instance(entry: &Entry) -> Option<KeyPart> {
    let stem = entry.name.to_str()?.strip_suffix(".dcm")?;
    (entry.kind == Kind::File)
        .then(|| KeyPart::new(stem).ok())
        .flatten()
}
