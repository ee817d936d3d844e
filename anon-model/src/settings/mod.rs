//! Project settings: everything `project.toml` can say, checked once on entry.
//!
//! One table has a row for each key: its name, type, default, check, allowed values, meaning and
//! [`Effect`] on a process that holds the project. Its rows make the structs and their defaults,
//! [`KEYS`], the page of documentation, and the reading and writing of a key. A new key is one row.
//! A value is read and changed by its dotted key with [`ProjectSettings::get`],
//! [`set`](ProjectSettings::set), [`add`](ProjectSettings::add) and
//! [`remove`](ProjectSettings::remove). The file format is in [`file`](mod@file).
//!
//! serde converts single values only. A derive for the structs would stop at the first problem, and
//! its messages would name neither the allowed values nor the key that was probably meant. Besides,
//! rows are shorter: with the table, the 80 keys take 1,848 lines in this folder. Before, they took
//! 2,408, and a key stood in five places.
//!
//! Settings contain no secrets, and a key that looks like one is refused. Secrets are in `private/`
//! or in the environment.

mod access;
mod check;
mod choice;
pub mod file;
mod key;
mod problem;
mod table;

use std::collections::BTreeSet;

pub use access::effect;
pub use choice::{
    BurnedIn, DateScheme, Dialect, Durability, MissingPatientId, NodeUse, PatientKey,
    PseudonymScheme, QuarantineFiles, S3Addressing, S3Checksum, S3Encryption, ScpTls, Selection,
    Strictness,
};
pub use key::{Effect, KeyDoc, Kind, Value};
pub use problem::{Problem, SettingsError};
pub use table::{Export, FROZEN, KEYS, Log, Node, ProjectSettings, S3, Scp, Timeouts, Tls};

use crate::identity::modality::CLASSES;
use crate::identity::uid::RandomError;
use crate::{Dates, Identity, Scheme, Secret, SiteId, Uid};

impl ProjectSettings {
    /// Returns the defaults with this site id. They are V17's, without its AWS account.
    pub fn new(site_id: SiteId) -> Self {
        Self {
            site_id,
            ..Self::defaults()
        }
    }

    /// Returns the defaults with a random site id, for a new project.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn random() -> Result<Self, RandomError> {
        Ok(Self::new(SiteId::random()?))
    }

    /// Returns the UIDs of the storage classes that the project accepts: those of its modalities in
    /// their order, then those of `storage_classes`, each once. With all modalities these are all
    /// classes of the standard, then those of `storage_classes`.
    pub fn accepted_classes(&self) -> Vec<String> {
        let mut classes: Vec<String> = match &self.modalities {
            Selection::All => CLASSES.iter().map(|(uid, _)| (*uid).to_owned()).collect(),
            Selection::These(modalities) => modalities
                .iter()
                .flat_map(|modality| modality.classes())
                .collect(),
        };
        classes.extend(self.storage_classes.iter().map(Uid::to_string));
        let mut seen = BTreeSet::new();
        classes.retain(|uid| seen.insert(uid.clone()));
        classes
    }

    /// Returns what the pseudonyms of the project are made with. `secret` is needed for the keyed
    /// schemes. `None` if it is missing, or if the site id and the UID root are too long together.
    pub fn identity(&self, secret: Option<&Secret>) -> Option<Identity> {
        let scheme = match self.pseudonyms {
            PseudonymScheme::Sequential => Scheme::Sequential,
            PseudonymScheme::HashedV18 => Scheme::HashedV18,
            PseudonymScheme::Keyed => Scheme::Keyed(secret?.clone()),
        };
        let dates = match self.dates {
            DateScheme::V17 => Dates::V17,
            DateScheme::Keyed => Dates::Keyed(secret?.clone()),
        };
        Identity::with_schemes(self.site_id.clone(), self.uid_root.clone(), scheme, dates).ok()
    }

    /// Returns true if a scheme of these settings needs the project's secret.
    pub fn needs_secret(&self) -> bool {
        self.pseudonyms == PseudonymScheme::Keyed || self.dates == DateScheme::Keyed
    }
}
