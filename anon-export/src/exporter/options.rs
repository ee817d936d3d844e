//! [`ExportOptions`]: how an export is done; [`Selection`]: of what.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};

use crate::KeyPart;
use crate::retry::Backoff;

/// Whether objects are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum ExportMode {
    /// They are.
    #[default]
    Send,
    /// The destination is asked what it has, and nothing is sent. What cannot be told apart without
    /// sending it counts as to be sent.
    DryRun,
}

/// How an export is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// How many patients at once. 4. Each holds one listing of the destination in memory.
    pub patients: NonZeroUsize,
    /// How many objects at once; as many as the sink can make use of, if nothing is said.
    pub objects: Option<NonZeroUsize>,
    /// How often an object is tried in all, if what fails can pass. 5.
    pub attempts: NonZeroU32,
    /// How long to wait before each further try. A destination that asks for more than ten minutes is
    /// not tried again.
    pub backoff: Backoff,
    /// After how many objects in a row that failed so, each after its last attempt, the destination is
    /// given up; and after how many in a row of one patient that the destination denies the others of that
    /// patient fail untried, but for those on their way. 8.
    pub give_up_after: NonZeroU32,
    /// Whether objects are sent.
    pub mode: ExportMode,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            patients: NonZeroUsize::MIN.saturating_add(3),
            objects: None,
            attempts: NonZeroU32::MIN.saturating_add(4),
            backoff: Backoff::default(),
            give_up_after: NonZeroU32::MIN.saturating_add(7),
            mode: ExportMode::Send,
        }
    }
}

impl ExportOptions {
    /// Sets how many patients at once.
    #[must_use]
    pub fn with_patients(self, patients: NonZeroUsize) -> Self {
        Self { patients, ..self }
    }

    /// Sets how many objects at once.
    #[must_use]
    pub fn with_objects(self, objects: NonZeroUsize) -> Self {
        let objects = Some(objects);
        Self { objects, ..self }
    }

    /// Sets how often an object is tried in all.
    #[must_use]
    pub fn with_attempts(self, attempts: NonZeroU32) -> Self {
        Self { attempts, ..self }
    }

    /// Sets how long to wait before each further try.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Sets after how many objects in a row the destination is given up.
    #[must_use]
    pub fn with_give_up_after(self, give_up_after: NonZeroU32) -> Self {
        Self {
            give_up_after,
            ..self
        }
    }

    /// Sets whether objects are sent.
    #[must_use]
    pub fn with_mode(self, mode: ExportMode) -> Self {
        Self { mode, ..self }
    }
}

/// What is exported, by pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// None for all.
    named: Option<SelectedIds>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct SelectedIds {
    patients: BTreeSet<KeyPart>,
    studies: BTreeSet<KeyPart>,
}

impl Selection {
    /// Everything there is.
    pub fn all() -> Self {
        Self::default()
    }

    /// These patients, and these studies of whatever patient. One that the source does not have is
    /// told, and the others are exported.
    pub fn of(
        patients: impl IntoIterator<Item = KeyPart>,
        studies: impl IntoIterator<Item = KeyPart>,
    ) -> Self {
        let named = SelectedIds {
            patients: patients.into_iter().collect(),
            studies: studies.into_iter().collect(),
        };
        Self { named: Some(named) }
    }

    /// The patients that are named; none if all are meant.
    pub(super) fn patients(&self) -> Option<&BTreeSet<KeyPart>> {
        self.named.as_ref().map(|named| &named.patients)
    }

    /// The studies that are named.
    pub(super) fn studies(&self) -> impl Iterator<Item = &KeyPart> {
        self.named.iter().flat_map(|named| &named.studies)
    }

    /// True if this study of this patient is meant.
    pub fn has(&self, patient: &KeyPart, study: &KeyPart) -> bool {
        self.named
            .as_ref()
            .is_none_or(|named| named.patients.contains(patient) || named.studies.contains(study))
    }
}
