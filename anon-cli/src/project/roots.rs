//! [`Roots`]: the paths that were given, and what a file below them is called.
//!
//! The engine is given whole paths, which the index and the quarantine keep: they still mean
//! something when the working directory is another. What is printed is the path as given with the
//! relative part.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One path that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    /// As it was given.
    #[serde(with = "hexadecimal")]
    given: PathBuf,
    /// From the root of the file system.
    #[serde(with = "hexadecimal")]
    absolute: PathBuf,
}

impl Root {
    pub(crate) fn new(given: PathBuf, absolute: PathBuf) -> Self {
        Self { given, absolute }
    }
}

/// The paths of one import.
#[derive(Debug)]
pub(crate) struct Roots {
    roots: Vec<Root>,
    names: HashMap<String, String>,
}

impl Roots {
    /// # Errors
    /// If the working directory cannot be found.
    pub(crate) fn of(paths: &[PathBuf]) -> std::io::Result<Self> {
        let roots: std::io::Result<Vec<Root>> = paths
            .iter()
            .map(|given| Ok(Root::new(given.clone(), std::path::absolute(given)?)))
            .collect();
        Ok(Self::new(roots?))
    }

    pub(crate) fn new(roots: Vec<Root>) -> Self {
        let mut names = HashMap::new();
        for root in &roots {
            // A DICOMDIR shows files beside itself; what is named itself goes first. `.` has no name.
            if root.given.file_name() != root.absolute.file_name() {
                continue;
            }
            if let (Some(given), Some(absolute)) = (root.given.parent(), root.absolute.parent()) {
                names.entry(text(absolute)).or_insert_with(|| text(given));
            }
        }
        for root in &roots {
            names.insert(text(&root.absolute), text(&root.given));
        }
        Self { roots, names }
    }

    pub(crate) fn as_slice(&self) -> &[Root] {
        &self.roots
    }

    /// The whole paths.
    pub(crate) fn absolute(&self) -> Vec<PathBuf> {
        self.roots
            .iter()
            .map(|root| root.absolute.clone())
            .collect()
    }

    /// What a file is called, by its whole path.
    pub(crate) fn name_of(&self, absolute: &str) -> String {
        let mut end = absolute.len();
        loop {
            let Some(prefix) = absolute.get(..end) else {
                return absolute.to_owned();
            };
            if let Some(given) = self.names.get(prefix) {
                let rest = absolute.get(end..).unwrap_or("");
                let rest = rest.trim_start_matches(std::path::MAIN_SEPARATOR);
                return text(&match (given.is_empty(), rest.is_empty()) {
                    (_, true) => PathBuf::from(given),
                    (true, false) => PathBuf::from(rest),
                    (false, false) => Path::new(given).join(rest),
                });
            }
            match prefix.rfind(std::path::MAIN_SEPARATOR) {
                Some(0) if end > 1 => end = 1,
                Some(at) if at > 0 => end = at,
                _ => return absolute.to_owned(),
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Paths as JSON can carry them whatever their bytes: two hexadecimal digits a byte.
pub(crate) mod hexadecimal {
    use std::fmt::Write as _;
    use std::path::{Path, PathBuf};

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::platform;

    pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let mut digits = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            let _ = write!(digits, "{byte:02x}");
        }
        to.serialize_str(&digits)
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<PathBuf, D::Error> {
        let digits = String::deserialize(from)?;
        let wrong = || D::Error::custom("not a path in hexadecimal digits");
        let bytes: Option<Vec<u8>> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).ok()?;
                (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok())?
            })
            .collect();
        platform::path_of_bytes(bytes.ok_or_else(wrong)?).ok_or_else(wrong)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_given_with_the_relative_part() {
        let root = |given: &str, absolute: &str| Root::new(given.into(), absolute.into());
        let roots = Roots::new(vec![
            root("data", "/home/me/data"),
            root("../x/one.dcm", "/home/me/../x/one.dcm"),
            root("/cd/DICOMDIR", "/cd/DICOMDIR"),
            root("DICOMDIR", "/here/DICOMDIR"),
            root(".", "/dot"),
        ]);
        for (absolute, name) in [
            ("/home/me/data/a/b.dcm", "data/a/b.dcm"),
            ("/home/me/data", "data"),
            ("/home/me/../x/one.dcm", "../x/one.dcm"),
            ("/cd/IMG/1", "/cd/IMG/1"),
            ("/here/IMG/1", "IMG/1"),
            ("/here/DICOMDIR", "DICOMDIR"),
            ("/dot/a", "./a"),
            ("/elsewhere", "/elsewhere"),
        ] {
            assert_eq!(roots.name_of(absolute), name, "{absolute}");
        }
        let all = Roots::new(vec![root("/", "/")]);
        assert_eq!(all.name_of("/etc/x"), "/etc/x");
    }

    #[test]
    fn any_bytes_make_the_journey() {
        let path = crate::platform::path_of_bytes(vec![b'a', 0xFF, b'"']).unwrap();
        let root = Root::new(path.clone(), path);
        let line = serde_json::to_string(&root).unwrap();
        assert_eq!(serde_json::from_str::<Root>(&line).unwrap(), root);
        assert!(serde_json::from_str::<Root>(r#"{"given":"6","absolute":""}"#).is_err());
    }
}
