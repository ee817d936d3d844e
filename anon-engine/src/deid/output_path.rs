//! [`OutputPath`]: the path under which an output is stored, made of its pseudonyms.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::refusal::{Category, Refusal};

/// The end of the file name of every output.
const ENDING: &str = ".dcm";

/// The path of an output in its store: `patient/study/series/instance.dcm`, where each part is a safe
/// file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputPath {
    /// `patient/study/series/instance`. Shared, because every receipt holds a copy.
    text: Arc<str>,
    /// Offsets in `text` where patient, study and series end.
    ends: [usize; 3],
}

impl OutputPath {
    /// Makes a path of four pseudonyms: patient, study, series, instance.
    ///
    /// # Errors
    /// [`Refusal`] if a part could leave its directory or is not a portable file name. A part must
    /// have 1 to 64 characters of `A-Z a-z 0-9 _ - .` and SPACE, and must not begin or end with a dot
    /// or a space.
    pub fn new(parts: [&str; 4]) -> Result<Self, Refusal> {
        Self::check(parts)?;
        let [patient, study, series, _] = parts.map(str::len);
        Ok(Self {
            text: parts.join("/").into(),
            ends: [
                patient,
                patient + 1 + study,
                patient + 1 + study + 1 + series,
            ],
        })
    }

    /// Returns true if a text can be a part of a path.
    pub(crate) fn is_name(part: &str) -> bool {
        is_safe(part)
    }

    /// Checks the parts as [`new`](Self::new) does, without making a path.
    pub(crate) fn check(parts: [&str; 4]) -> Result<(), Refusal> {
        if parts.iter().all(|part| is_safe(part)) {
            return Ok(());
        }
        Err(Refusal::new(
            Category::StorageError,
            "the lookup store returned a pseudonym that is not a safe file name",
        ))
    }

    /// Returns the four pseudonyms: patient, study, series, instance.
    pub fn parts(&self) -> [&str; 4] {
        let [patient, study, series] = self.ends;
        let part = |begin: usize, end: usize| self.text.get(begin..end).unwrap_or_default();
        [
            part(0, patient),
            part(patient + 1, study),
            part(study + 1, series),
            part(series + 1, self.text.len()),
        ]
    }

    /// Returns the path relative to the directory of all outputs.
    pub fn to_path_buf(&self) -> PathBuf {
        self.below(Path::new(""))
    }

    /// Returns the path in this directory.
    pub(crate) fn below(&self, root: &Path) -> PathBuf {
        let len = root.as_os_str().len() + 1 + self.text.len() + ENDING.len();
        let mut path = PathBuf::with_capacity(len);
        path.push(root);
        path.extend(self.parts());
        path.as_mut_os_string().push(ENDING);
        path
    }
}

impl fmt::Display for OutputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{ENDING}", self.text)
    }
}

fn is_safe(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() | matches!(b, b'_' | b'-' | b'.' | b' ');
    let edge = |b: Option<&u8>| b.is_some_and(|b| !matches!(b, b'.' | b' '));
    let bytes = part.as_bytes();
    bytes.len() <= 64
        // Without a branch, so that the compiler checks several bytes at once.
        && bytes.iter().fold(true, |is, &b| is & plain(b))
        && edge(bytes.first())
        && edge(bytes.last())
}
