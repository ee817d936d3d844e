//! Project settings: everything `project.toml` can say, checked once on entry.
//!
//! [`KEYS`] lists every key with type, default and range; the commands that show and change
//! settings, and the page of documentation about them, are made from it. A value is read and
//! changed by its dotted key with [`ProjectSettings::get`], [`set`](ProjectSettings::set),
//! [`add`](ProjectSettings::add) and [`remove`](ProjectSettings::remove). The file format is in
//! [`file`](mod@file).
//!
//! No secret is among the settings, and none is accepted in the file: secrets live in `private/`
//! or in the environment.

mod access;
mod choice;
pub mod file;
mod keys;
mod problem;
mod s3;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use choice::{
    BurnedIn, DateScheme, Dialect, Durability, MissingPatientId, NodeUse, PatientKey,
    PseudonymScheme, QuarantineFiles, S3Addressing, S3Checksum, S3Encryption, ScpTls,
};
pub use keys::{FROZEN, KEYS, KeyDoc, Kind, Value};
pub use problem::{Problem, SettingsError};
pub use s3::S3;

use crate::identity::modality::CLASSES;
use crate::identity::uid::RandomError;
use crate::{Dates, Identity, Modality, Scheme, Secret, SiteId, StudyConflict, Uid, UidRoot};

/// All or some.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Selection<T> {
    /// All there are, also those the standard adds later.
    All,
    /// These, in this order.
    These(Vec<T>),
}

/// A DICOM node: a peer that is asked or sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its AE title (PS3.5 section 6.2, AE).
    pub aet: String,
    /// Its host name or address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// What it is used for. Export to a node without [`NodeUse::Export`] is refused.
    pub uses: BTreeSet<NodeUse>,
    /// True if it is reached over TLS.
    pub tls: bool,
}

/// The storage SCP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scp {
    /// The address it listens on.
    pub bind: String,
    /// The port it listens on; 0 lets the system choose.
    pub port: u16,
    /// Its AE title.
    pub aet: String,
    /// Calling AE titles it accepts; empty accepts every one.
    pub allow_calling: Vec<String>,
    /// Addresses it accepts; empty accepts every one.
    pub allow_peers: Vec<String>,
    /// True if it may listen on a non-loopback address without either list.
    pub open: bool,
    /// True if a caller must name its AE title.
    pub check_called: bool,
    /// Associations it serves at once.
    pub max_associations: u16,
    /// Associations it serves at once for one address.
    pub max_associations_per_peer: u16,
    /// The longest P-DATA-TF it takes, in bytes (PS3.8 section D.1).
    pub max_pdu_bytes: u32,
    /// In clear or over TLS.
    pub tls: ScpTls,
}

/// Files of ours for TLS, in PEM, as server and as client. A path that is not absolute begins at
/// the project's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// Our certificate, and those that lead to its authority.
    pub certificate: Option<String>,
    /// The file with our key.
    pub key_file: Option<String>,
    /// The certificates of the authorities that vouch for peers.
    pub authorities: Option<String>,
}

/// Time limits of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// To set up a TCP connection.
    pub tcp: Duration,
    /// For each answer in setting up and releasing an association.
    pub acse: Duration,
    /// For each DIMSE answer.
    pub dimse: Duration,
    /// For any traffic at all.
    pub network: Duration,
    /// For room to come back while a sender waits for its answer. Senders give up by themselves after
    /// their own DIMSE timeout, often 30 s.
    pub room: Duration,
}

/// How objects are exported, wherever to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// Where it is noted what was sent, if not in the project's own `export/`.
    pub journal: Option<String>,
    /// Patients that are exported at once.
    pub patients: u16,
    /// Associations with a DICOM node at once. Some nodes lose objects with more than one.
    pub associations: u16,
    /// How often an object is tried in all, if what fails can pass.
    pub attempts: u16,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Log {
    /// Level of everything: `error`, `warn`, `info`, `debug`, `trace` or `off`.
    pub level: String,
    /// Levels of single crates.
    pub targets: BTreeMap<String, String>,
}

/// Settings of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectSettings {
    /// Sets its pseudonyms apart from those of other projects. Frozen.
    pub site_id: SiteId,
    /// Its name: 1 to 16 of `A-Z a-z 0-9 _ - .` and space.
    pub name: String,
    /// What every UID it gives out begins with. Frozen.
    pub uid_root: UidRoot,
    /// A script file or the name of a built-in one.
    pub script: String,
    /// A profile with options, instead of a script.
    pub profile: Option<String>,
    /// The language of the script.
    pub dialect: Dialect,
    /// The modalities it takes.
    pub modalities: Selection<&'static Modality>,
    /// Storage classes it takes beside those of its modalities.
    pub storage_classes: Vec<Uid>,
    /// The transfer syntaxes its SCP accepts. Files are not asked.
    pub transfer_syntaxes: Selection<Uid>,
    /// Whether a commit waits for the disk.
    pub durability: Durability,
    /// What tells patients apart.
    pub patient_key: PatientKey,
    /// What becomes of objects without a Patient ID.
    pub missing_patient_id: MissingPatientId,
    /// What becomes of a known study under another patient.
    pub study_patient_conflict: StudyConflict,
    /// What becomes of objects with burned-in annotation.
    pub burned_in: BurnedIn,
    /// How dates are moved. Frozen.
    pub dates: DateScheme,
    /// How pseudonyms are made. Frozen.
    pub pseudonyms: PseudonymScheme,
    /// Whether quarantine copies files.
    pub quarantine_files: QuarantineFiles,
    /// Bytes quarantine may hold; none for no bound.
    pub quarantine_max_bytes: Option<u64>,
    /// Bytes the lookup store may use as its cache.
    pub store_cache_bytes: u64,
    /// Peers by name.
    pub nodes: BTreeMap<String, Node>,
    /// The storage SCP.
    pub scp: Scp,
    /// Time limits of the network.
    pub timeouts: Timeouts,
    /// Studies that are retrieved at once.
    pub retrieve_studies: u16,
    /// Files of ours for TLS.
    pub tls: Tls,
    /// Export.
    pub export: Export,
    /// Export to S3.
    pub s3: S3,
    /// The log.
    pub log: Log,
    /// Where outputs go, if not into the project's own `public/`.
    pub public_dir: Option<String>,
}

impl ProjectSettings {
    /// The defaults with this site id: V17's, without its AWS account.
    pub fn new(site_id: SiteId) -> Self {
        let default_modalities = ["CR", "DX", "CT", "MR"];
        Self {
            site_id,
            name: "MY_PROJECT".to_owned(),
            uid_root: UidRoot::default(),
            script: "rsna-v17".to_owned(),
            profile: None,
            dialect: Dialect::Auto,
            modalities: Selection::These(
                default_modalities
                    .iter()
                    .filter_map(|code| Modality::named(code))
                    .collect(),
            ),
            storage_classes: Vec::new(),
            transfer_syntaxes: Selection::All,
            durability: Durability::Full,
            patient_key: PatientKey::Id,
            missing_patient_id: MissingPatientId::Shared,
            study_patient_conflict: StudyConflict::Refuse,
            burned_in: BurnedIn::Quarantine,
            dates: DateScheme::V17,
            pseudonyms: PseudonymScheme::Sequential,
            quarantine_files: QuarantineFiles::Copy,
            quarantine_max_bytes: None,
            store_cache_bytes: 64 << 20,
            nodes: default_nodes(),
            scp: Scp {
                bind: "127.0.0.1".to_owned(),
                port: 1045,
                aet: "ANONYMIZER".to_owned(),
                allow_calling: Vec::new(),
                allow_peers: Vec::new(),
                open: false,
                check_called: true,
                max_associations: 32,
                max_associations_per_peer: 16,
                max_pdu_bytes: 128 << 10,
                tls: ScpTls::Off,
            },
            timeouts: Timeouts {
                tcp: Duration::from_secs(5),
                acse: Duration::from_secs(30),
                dimse: Duration::from_secs(30),
                network: Duration::from_mins(1),
                room: Duration::from_secs(10),
            },
            retrieve_studies: 2,
            tls: Tls::default(),
            export: Export {
                journal: None,
                patients: 4,
                associations: 1,
                attempts: 5,
            },
            s3: S3::default(),
            log: Log {
                level: "info".to_owned(),
                targets: BTreeMap::new(),
            },
            public_dir: None,
        }
    }

    /// The defaults with a random site id: for a new project.
    ///
    /// # Errors
    /// If the operating system has no random numbers to give.
    pub fn random() -> Result<Self, RandomError> {
        Ok(Self::new(SiteId::random()?))
    }

    /// UIDs of the storage classes the project takes: those of its modalities in their order, then
    /// the hand-picked ones, each once. With all modalities, every class of the standard, and the
    /// hand-picked ones for what the standard does not know.
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

    /// What the project's pseudonyms hang on. `secret` is the project's, for the keyed schemes;
    /// None if the settings ask for a keyed scheme and there is no secret.
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

    /// True if the settings ask for a scheme that needs the project's secret.
    pub fn needs_secret(&self) -> bool {
        self.pseudonyms == PseudonymScheme::Keyed || self.dates == DateScheme::Keyed
    }
}

fn default_nodes() -> BTreeMap<String, Node> {
    let node = |aet: &str, port, node_use| Node {
        aet: aet.to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        uses: BTreeSet::from([node_use]),
        tls: false,
    };
    BTreeMap::from([
        ("QUERY".to_owned(), node("ORTHANC", 4242, NodeUse::Query)),
        (
            "EXPORT".to_owned(),
            node("EXPORTAE", 11112, NodeUse::Export),
        ),
    ])
}
