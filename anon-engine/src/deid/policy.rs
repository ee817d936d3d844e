//! [`Policy`]: the rules and settings by which an object is de-identified.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use anon_model::StudyConflict;
use anon_script::rules::Rules;

use crate::limits::Limits;
use crate::refusal::Category;

pub use anon_model::settings::{BurnedIn, MissingPatientId, PatientKey, Strictness};

/// The SOP classes that a project accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StorageClasses {
    /// Every SOP class.
    All,
    /// The SOP classes with these UIDs.
    Only(BTreeSet<String>),
}

impl StorageClasses {
    /// Returns true if the project accepts this SOP class.
    pub fn contains(&self, sop_class: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(uids) => uids.contains(sop_class),
        }
    }
}

/// How the number of days is computed by which a patient's dates move.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Dates {
    /// The formula of V17: MD5 of the patient id, modulo 3652. Anyone who guesses a patient id can
    /// undo it.
    #[default]
    V17,
    /// HMAC-SHA-256 of the patient key under this secret, 1 to 3652 days.
    Keyed([u8; 32]),
}

impl fmt::Debug for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V17 => "V17",
            Self::Keyed(_) => "Keyed(..)",
        })
    }
}

/// The rules and settings by which an object is de-identified. Pseudonyms come from the lookup store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Policy {
    /// What is done with each data element.
    pub rules: Arc<dyn Rules>,
    /// The site id, written to the private element (0013,1001).
    pub site_id: String,
    /// The project's name, written to the private element (0013,1003).
    pub project_name: String,
    /// What is done with burned-in text.
    pub burned_in: BurnedIn,
    /// What is done with an object without a Patient ID, which may be empty (PS3.3 section C.7.1.1).
    pub missing_patient_id: MissingPatientId,
    /// Which elements identify a patient.
    pub patient_key: PatientKey,
    /// What is done when a known study arrives under another patient.
    pub study_conflict: StudyConflict,
    /// The accepted SOP classes.
    pub storage_classes: StorageClasses,
    /// Transfer syntaxes of vendors that an output may have, beside those of PS3.6.
    pub transfer_syntaxes: BTreeSet<String>,
    /// What is done with an object that is not encoded as PS3.5 requires, and can be mended.
    pub strictness: Strictness,
    /// How dates move.
    pub dates: Dates,
    /// Bounds on hostile input.
    pub limits: Limits,
}

impl Policy {
    /// Returns a policy with these rules that accepts every SOP class. The other fields have their
    /// defaults.
    pub fn new(
        rules: Arc<dyn Rules>,
        site_id: impl Into<String>,
        project_name: impl Into<String>,
    ) -> Self {
        Self {
            rules,
            site_id: site_id.into(),
            project_name: project_name.into(),
            burned_in: BurnedIn::Quarantine,
            missing_patient_id: MissingPatientId::Shared,
            patient_key: PatientKey::Id,
            study_conflict: StudyConflict::default(),
            storage_classes: StorageClasses::All,
            transfer_syntaxes: BTreeSet::new(),
            strictness: Strictness::Tolerant,
            dates: Dates::default(),
            limits: Limits::default(),
        }
    }

    /// Sets what is done with burned-in text.
    #[must_use]
    pub fn with_burned_in(mut self, burned_in: BurnedIn) -> Self {
        self.burned_in = burned_in;
        self
    }

    /// Sets what is done with an object without a Patient ID.
    #[must_use]
    pub fn with_missing_patient_id(mut self, missing: MissingPatientId) -> Self {
        self.missing_patient_id = missing;
        self
    }

    /// Sets which elements identify a patient.
    #[must_use]
    pub fn with_patient_key(mut self, key: PatientKey) -> Self {
        self.patient_key = key;
        self
    }

    /// Sets what is done when a known study arrives under another patient.
    #[must_use]
    pub fn with_study_conflict(mut self, conflict: StudyConflict) -> Self {
        self.study_conflict = conflict;
        self
    }

    /// Sets what is done with an object that is not encoded as PS3.5 requires.
    #[must_use]
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Sets the accepted SOP classes.
    #[must_use]
    pub fn with_storage_classes(mut self, classes: StorageClasses) -> Self {
        self.storage_classes = classes;
        self
    }

    /// Sets the transfer syntaxes of vendors that an output may have. Others than these and those of
    /// PS3.6 are refused: an output names its transfer syntax, and any UID of the source could be one.
    #[must_use]
    pub fn with_transfer_syntaxes(mut self, syntaxes: BTreeSet<String>) -> Self {
        self.transfer_syntaxes = syntaxes;
        self
    }

    /// Sets how dates move.
    #[must_use]
    pub fn with_dates(mut self, dates: Dates) -> Self {
        self.dates = dates;
        self
    }

    /// Returns the policy with the reasons of a category waived; see
    /// [`Received::waiving`](crate::Received::waiving).
    pub(crate) fn waiving(&self, category: Category) -> Self {
        let mut policy = self.clone();
        match category {
            Category::BurnedIn => policy.burned_in = BurnedIn::Accept,
            Category::CapturePhiError => policy.study_conflict = StudyConflict::First,
            _ => {}
        }
        policy
    }

    /// Sets the limits on hostile input.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
