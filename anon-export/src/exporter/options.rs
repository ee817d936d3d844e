//! [`ExportOptions`]: how to export; [`Selection`]: what to export.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};

use crate::KeyPart;
use crate::retry::Backoff;

/// Whether objects are sent or only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum ExportMode {
    /// Sends objects.
    #[default]
    Send,
    /// Only lists the destination. An object that cannot be compared without sending it counts as
    /// sent.
    DryRun,
}

/// Which objects at the destination may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Overwrite {
    /// Those of the same original. An object of another original, or of an unknown one, is replaced
    /// only by equal bytes; anything else fails.
    #[default]
    SameOriginal,
    /// Any. For a destination whose objects are known to be worthless.
    Any,
}

/// What happens to objects that the destination already has, as far as its listing or the journal
/// say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Existing {
    /// They are skipped.
    #[default]
    Skip,
    /// Every selected object is sent, whatever the journal says was sent. For a destination that lost
    /// its data and cannot be listed. What [`Overwrite`] refuses is not sent, where the destination or
    /// the journal can tell.
    SendAgain,
}

/// Options of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// How many patients are exported concurrently. Default: 4. Each needs memory for one listing
    /// of the destination.
    pub patients: NonZeroUsize,
    /// How many objects are sent concurrently. Default:
    /// [`Capabilities::parallel`](crate::Capabilities::parallel) of the sink.
    pub objects: Option<NonZeroUsize>,
    /// The total number of attempts for an object whose error may be temporary. Default: 5.
    pub attempts: NonZeroU32,
    /// The waits between attempts. If a destination asks for more than ten minutes, there is no
    /// further attempt.
    pub backoff: Backoff,
    /// The number of consecutive objects that fail after their last attempt before the export gives
    /// the destination up. Also the number of consecutive denied objects of one patient before its
    /// remaining objects fail without an attempt, except those already in progress. Default: 8.
    pub give_up_after: NonZeroU32,
    /// Whether objects are sent or only compared.
    pub mode: ExportMode,
    /// Whether objects are sent that the destination already has.
    pub existing: Existing,
    /// Which objects at the destination may be replaced.
    pub overwrite: Overwrite,
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
            existing: Existing::Skip,
            overwrite: Overwrite::SameOriginal,
        }
    }
}

impl ExportOptions {
    /// Sets how many patients are exported concurrently.
    #[must_use]
    pub fn with_patients(self, patients: NonZeroUsize) -> Self {
        Self { patients, ..self }
    }

    /// Sets how many objects are sent concurrently.
    #[must_use]
    pub fn with_objects(self, objects: NonZeroUsize) -> Self {
        let objects = Some(objects);
        Self { objects, ..self }
    }

    /// Sets the total number of attempts for an object.
    #[must_use]
    pub fn with_attempts(self, attempts: NonZeroU32) -> Self {
        Self { attempts, ..self }
    }

    /// Sets the waits between attempts.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Sets the number of consecutive failures before the destination is given up.
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

    /// Sets whether objects are sent that the destination already has.
    #[must_use]
    pub fn with_existing(self, existing: Existing) -> Self {
        Self { existing, ..self }
    }

    /// Sets which objects at the destination may be replaced.
    #[must_use]
    pub fn with_overwrite(self, overwrite: Overwrite) -> Self {
        Self { overwrite, ..self }
    }
}

/// The patients and studies to export, by pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// `None` selects everything.
    ids: Option<SelectedIds>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct SelectedIds {
    patients: BTreeSet<KeyPart>,
    studies: BTreeSet<KeyPart>,
}

impl Selection {
    /// Selects everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects these patients, and these studies of any patient. Patients and studies that the
    /// source does not have are reported, and the others are exported.
    pub fn of(
        patients: impl IntoIterator<Item = KeyPart>,
        studies: impl IntoIterator<Item = KeyPart>,
    ) -> Self {
        let ids = SelectedIds {
            patients: patients.into_iter().collect(),
            studies: studies.into_iter().collect(),
        };
        Self { ids: Some(ids) }
    }

    /// Returns the selected patients. `None` if everything is selected.
    pub(super) fn patients(&self) -> Option<&BTreeSet<KeyPart>> {
        self.ids.as_ref().map(|ids| &ids.patients)
    }

    /// Returns the selected studies.
    pub(super) fn studies(&self) -> impl Iterator<Item = &KeyPart> {
        self.ids.iter().flat_map(|ids| &ids.studies)
    }

    /// Returns true if this study of this patient is selected.
    pub fn has(&self, patient: &KeyPart, study: &KeyPart) -> bool {
        self.ids
            .as_ref()
            .is_none_or(|ids| ids.patients.contains(patient) || ids.studies.contains(study))
    }
}
