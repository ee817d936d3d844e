//! [`Asked`]: the keys that a search or retrieve was asked for, and their places.

use serde::{Deserialize, Serialize};

use super::key_list::ListKey;

/// A key that was asked for. Can identify.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AskedKey {
    Accession(String),
    PatientId(String),
    StudyUid(String),
}

impl AskedKey {
    pub(crate) fn of_list(key: ListKey, text: String) -> Self {
        match key {
            ListKey::AccessionNumber => Self::Accession(text),
            ListKey::PatientId => Self::PatientId(text),
        }
    }

    /// Returns the value.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Accession(text) | Self::PatientId(text) | Self::StudyUid(text) => text,
        }
    }
}

/// Position of a key on the command line, in a list file or in the last find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The keys of the command line together.
    Search,
    /// The line or row of a list in a file, from 1.
    Line(u64),
    /// The position among accession numbers on the command line, from 1.
    Accession(u64),
    /// The position among the UIDs on the command line, from 1.
    StudyUid(u64),
    /// The number of a study in the last `find`.
    LastFind(u64),
}

impl Place {
    /// Returns the place in words. They identify nobody.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Search => "this search".to_owned(),
            Self::Line(line) => format!("line {line} of the list"),
            Self::Accession(number) => format!("accession number {number}"),
            Self::StudyUid(number) => format!("study UID {number}"),
            Self::LastFind(number) => format!("number {number} of the last find"),
        }
    }
}

/// A search key with its position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) place: Place,
    /// `None` if the keys name neither an accession number, a patient id nor a study.
    pub(crate) key: Option<AskedKey>,
}

impl Asked {
    /// Returns the value of the key.
    pub(crate) fn text(&self) -> Option<&str> {
        self.key.as_ref().map(AskedKey::text)
    }

    /// Returns true for an entry of a list, from a file or the command line.
    pub(crate) fn is_of_list(&self) -> bool {
        matches!(self.place, Place::Line(_) | Place::Accession(_))
    }
}
