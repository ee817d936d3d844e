//! The numbers in the names of outputs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anon_model::disk::Numbers;
use anon_model::{Identity, Space, uid};

/// The lowest number that no store gives.
pub(super) const END: u64 = 10_u64.pow(uid::COUNTER_DIGITS);

/// Returns the number that a pseudonym was made of; 0 if it was made of none that a store gives.
pub(super) fn number(identity: &Identity, space: Space, pseudonym: &str) -> u64 {
    let number = identity.number(space, pseudonym);
    number.filter(|number| *number < END).unwrap_or(0)
}

/// Returns the names at the top of `public/`; none if it does not exist.
pub(super) fn top_level(public: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(public) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    Ok(names
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// Walks `public/<patient>/<study>/<series>/<instance>.dcm`, without following links. Returns the
/// highest numbers in the names, and calls `on_object` with each file.
pub(crate) fn walk(
    public: &Path,
    identity: &Identity,
    on_object: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<Numbers> {
    let mut highest = Numbers::default();
    // Directories with the number of directories above them.
    let mut waiting: Vec<(PathBuf, u8)> = vec![(public.to_owned(), 0)];
    while let Some((directory, depth)) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if depth == 0 && error.kind() == io::ErrorKind::NotFound => break,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str() {
                note(&mut highest, identity, depth, name);
            }
            let kind = entry.file_type()?;
            if kind.is_dir() && depth < 3 {
                waiting.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                on_object(&entry.path())?;
            }
        }
    }
    Ok(highest)
}

fn note(highest: &mut Numbers, identity: &Identity, depth: u8, name: &str) {
    if depth == 0 {
        highest.patients = highest.patients.max(number(identity, Space::Patient, name));
    } else {
        let uid = name.strip_suffix(".dcm").unwrap_or(name);
        highest.uids = highest.uids.max(number(identity, Space::Uid, uid));
    }
}
