//! The table of all keys. A row is a key, and all there is to say about it:
//!
//! ```text
//! /// What the key does. Also the doc comment of the field.
//! "scp.port" port: u16 = "1045", integer(0, 65535), "0 to 65535", Restart;
//!  key       field type   default  check            allowed       effect
//! ```
//!
//! The rows make the structs, their defaults, the access by key, [`KEYS`] and the page of
//! documentation. After the effect may stand `[removed: …]`, another effect for items that are
//! removed from a list, and `frozen`. A default in parentheses is an expression, for a field that no
//! text could set to it.
//!
//! A struct has two expressions that find it in the settings, one for reading and one for writing.
//! Its second block has fields that are no keys. The block `rows` has keys that are no fields.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::settings::check::{
    Setting, Wrong, aet, host, integer, keyring_entry, level, limit, list, list_or_all, modality,
    not_empty, optional, optional_text, peer, project_name, seconds, site_id, storage_class, text,
    transfer_syntax, truth, uid_root, url, variable, word,
};
use crate::settings::choice::{
    BurnedIn, DateScheme, Dialect, Durability, MissingPatientId, NodeUse, PatientKey,
    PseudonymScheme, QuarantineFiles, S3Addressing, S3Checksum, S3Encryption, ScpTls, Selection,
    Strictness,
};
use crate::settings::key::{Effect, KeyDoc, Kind, Value};
use crate::{Modality, SiteId, StudyConflict, Uid, UidRoot};

/// Reads and writes the field that a key stands for. The text is the name in the key, if it has
/// one.
pub(super) struct Access {
    pub(super) read: fn(&ProjectSettings, &str) -> Option<Value>,
    pub(super) write: fn(&mut ProjectSettings, &str, &Value) -> Result<(), Wrong>,
}

/// Returns the value that a default stands for.
fn preset<T: Setting>(default: &str, check: impl Fn(&Value) -> Result<T, Wrong>) -> T {
    let value = T::KIND.parse(default);
    value
        .and_then(|value| check(&value).ok())
        .expect("settings: every default is allowed")
}

macro_rules! default_text {
    (($value:expr)) => {
        ""
    };
    ($default:literal) => {
        $default
    };
}

macro_rules! default_value {
    (($value:expr), $check:expr) => {
        $value
    };
    ($default:literal, $check:expr) => {
        preset($default, $check)
    };
}

macro_rules! removal_effect {
    ($effect:ident) => {
        Effect::$effect
    };
    ($effect:ident $removed:ident) => {
        Effect::$removed
    };
}

macro_rules! frozen_key {
    (frozen, $key:literal) => {
        $key
    };
}

macro_rules! settings {
    (
        $(
            $(#[$meta:meta])*
            struct $group:ident |$settings:ident, $name:ident| $read:expr, $write:expr;
            {
                $(
                    $(#[doc = $about:literal])+
                    $key:literal $field:ident: $type:ty = $default:tt, $check:expr, $allowed:expr,
                    $effect:ident $([removed: $removed:ident])? $($frozen:ident)?;
                )+
            }
            $({ $( $(#[$more_meta:meta])* $more:ident: $more_type:ty = $more_default:expr; )+ })?
        )+
        rows { $($doc:expr => $access:expr;)+ }
    ) => {
        $(
            $(#[$meta])*
            pub struct $group {
                $( $(#[doc = $about])+ pub $field: $type, )+
                $($( $(#[$more_meta])* pub $more: $more_type, )+)?
            }

            impl $group {
                pub(super) fn defaults() -> Self {
                    Self {
                        $( $field: default_value!($default, $check), )+
                        $($( $more: $more_default, )+)?
                    }
                }
            }
        )+

        /// Every key there is.
        pub const KEYS: &[KeyDoc] = &[
            $($( KeyDoc {
                key: $key,
                kind: <$type as Setting>::KIND,
                default: default_text!($default),
                allowed: $allowed,
                about: concat!($($about),+).trim_ascii(),
                effect: Effect::$effect,
                effect_of_removal: removal_effect!($effect $($removed)?),
            }, )+)+
            $($doc,)+
        ];

        /// The keys that cannot change once a pseudonym was given.
        pub const FROZEN: &[&str] = &[
            $($($( frozen_key!($frozen, $key), )?)+)+
        ];

        /// The access to the field of each of [`KEYS`], in the same order.
        pub(super) const ACCESS: &[Access] = &[
            $($( Access {
                read: |$settings, $name| $read.$field.value(),
                write: |$settings, $name, value| {
                    $write.$field = $check(value)?;
                    Ok(())
                },
            }, )+)+
            $($access,)+
        ];
    };
}

const AET: &str = "1 to 16 printable ASCII characters, no backslash";
const PEM: &str = "a PEM file; relative paths start at the project";
const SECONDS: &str = "whole seconds, 1 to 3600";
const VARIABLE: &str = "1 to 64 of A-Z 0-9 _, not a digit first";
const LEVEL: &str = "off, error, warn, info, debug or trace";

settings! {
    /// Settings of a project.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    struct ProjectSettings |settings, _name| settings, settings;
    {
        /// Part of every pseudonym, so that projects differ. Nine random digits in a new project.
        "site_id" site_id: SiteId = (stand_in_site()), text(site_id),
            "UID components, at most 16 characters", Restart frozen;
        /// Name of the project, written into every output.
        "name" name: String = "MY_PROJECT", text(project_name),
            "1 to 16 of A-Z a-z 0-9 _ - . and space", Restart;
        /// Prefix of every new UID.
        "uid_root" uid_root: UidRoot = "1.2.826.0.1.3680043.10.474.2", text(uid_root),
            "a UID of at most 44 characters; with site_id at most 48", Restart frozen;
        /// De-identification rules.
        "script" script: String = "rsna-v17", text(not_empty),
            "a file, or the name of a built-in script", Restart;
        /// Used instead of a script.
        "profile" profile: Option<String> = "", optional_text,
            "a profile with options: name+option", Restart;
        /// Language of the script.
        "dialect" dialect: Dialect = "auto", text(word), "auto, rsna or ctp", Restart;
        /// Modalities that the project accepts. A running `anon serve` refuses those that are
        /// removed from the next association on; for imported files, and for those that are added,
        /// start it again.
        "modalities" modalities: Selection<&'static Modality> = "CR,DX,CT,MR",
            list_or_all(modality), "modality codes, or all", Restart [removed: NextAssociation];
        /// SOP classes accepted in addition to those of the modalities. A running `anon serve`
        /// refuses those that are removed from the next association on; for imported files, and for
        /// those that are added, start it again.
        "storage_classes" storage_classes: Vec<Uid> = "", list(storage_class),
            "names or UIDs of storage SOP classes", Restart [removed: NextAssociation];
        /// Transfer syntaxes accepted by the SCP. Imported files may have any of PS3.6, and those of
        /// vendors that are named here. A running `anon serve` refuses those that are removed from
        /// the next association on; for those that are added, start it again.
        "transfer_syntaxes" transfer_syntaxes: Selection<Uid> = "all",
            list_or_all(transfer_syntax), "names or UIDs of transfer syntaxes, or all",
            Restart [removed: NextAssociation];
        /// Whether a commit waits until the disk has written.
        "durability" durability: Durability = "full", text(word), "full or relaxed", Restart;
        /// What identifies a patient: Patient ID alone, or with Issuer of Patient ID.
        "patient_key" patient_key: PatientKey = "id", text(word), "id or id+issuer", Restart;
        /// What happens to objects without a Patient ID: stored under a shared patient, or
        /// quarantined.
        "missing_patient_id" missing_patient_id: MissingPatientId = "shared", text(word),
            "shared or quarantine", Restart;
        /// What happens if a known study arrives under another patient: refused, or stored under
        /// the first.
        "study_patient_conflict" study_patient_conflict: StudyConflict = "refuse", text(word),
            "refuse or first", Restart;
        /// What happens to objects with burned-in annotation.
        "burned_in" burned_in: BurnedIn = "quarantine", text(word), "quarantine or accept", Restart;
        /// What happens to objects that are not encoded as PS3.5 requires, but that DCMTK and GDCM
        /// can read, such as objects with elements out of order: stored as PS3.5 requires and
        /// counted, or quarantined.
        "strictness" strictness: Strictness = "tolerant", text(word), "tolerant or strict", Restart;
        /// How dates are shifted.
        "dates" dates: DateScheme = "v17", text(word), "v17 or keyed", Restart frozen;
        /// How pseudonyms are generated.
        "pseudonyms" pseudonyms: PseudonymScheme = "sequential", text(word),
            "sequential, hashed-v18 or keyed", Restart frozen;
        /// Whether quarantine keeps a copy of the file or only its path.
        "quarantine.files" quarantine_files: QuarantineFiles = "copy", text(word),
            "copy or reference", Restart;
        /// Maximum size of the quarantine. Unlimited if not set.
        "quarantine.max_bytes" quarantine_max_bytes: Option<u64> = (None), limit,
            "bytes, 0 or more", Restart;
        /// Cache size of the lookup store.
        "store.cache_bytes" store_cache_bytes: u64 = "67108864", integer(1 << 20, 1 << 40),
            "bytes, 1048576 to 1099511627776", Restart;
        /// Studies retrieved concurrently.
        "retrieve.studies" retrieve_studies: u16 = "2", integer(1, 32), "1 to 32", AtOnce;
        /// Directory for outputs, if not `public/`.
        "public_dir" public_dir: Option<String> = "", optional_text, "a directory", Restart;
    }
    {
        /// The nodes by name.
        nodes: BTreeMap<String, Node> = default_nodes();
        /// The storage SCP.
        scp: Scp = Scp::defaults();
        /// Files for TLS.
        tls: Tls = Tls::defaults();
        /// Timeouts of the network.
        timeouts: Timeouts = Timeouts::defaults();
        /// Export.
        export: Export = Export::defaults();
        /// Export to S3.
        s3: S3 = S3::defaults();
        /// The log.
        log: Log = Log::defaults();
    }

    /// A DICOM node: a peer that is queried or sent to.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Node |settings, name| settings.nodes.get(name)?, settings.node(name)?;
    {
        /// AE title of a peer.
        "node.<name>.aet" aet: String = (String::new()), text(aet), AET, AtOnce;
        /// Host of a peer. A node without one cannot be used.
        "node.<name>.host" host: Option<String> = "", optional(host),
            "an IP address or a host name, without a port", AtOnce;
        /// Port of a peer.
        "node.<name>.port" port: u16 = "104", integer(1, 65535), "1 to 65535", AtOnce;
        /// What the peer may be used for. Export to a node without `export` is refused.
        "node.<name>.use" uses: BTreeSet<NodeUse> = "query", list(word), "query, export or both",
            AtOnce;
        /// Connect to the peer over TLS.
        "node.<name>.tls" tls: bool = "false", truth, "true or false", AtOnce;
    }

    /// The storage SCP.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    struct Scp |settings, _name| settings.scp, settings.scp;
    {
        /// Address on which the SCP listens.
        "scp.bind" bind: String = "127.0.0.1", text(host),
            "an IP address or a host name of this machine", Restart;
        /// Port of the SCP.
        "scp.port" port: u16 = "1045", integer(0, 65535), "0 to 65535; 0 lets the system choose",
            Restart;
        /// AE title of the SCP, and of queries and exports.
        "scp.aet" aet: String = "ANONYMIZER", text(aet), AET, Restart;
        /// Calling AE titles that are accepted; all if empty.
        "scp.allow_calling" allow_calling: Vec<String> = "", list(aet), AET, Restart;
        /// Peer addresses that are accepted; all if empty.
        "scp.allow_peers" allow_peers: Vec<String> = "", list(peer),
            "IP addresses, ranges such as 10.1.0.0/16, or host names", Restart;
        /// Listen on a non-loopback address although both lists are empty.
        "scp.open" open: bool = "false", truth, "true or false", Restart;
        /// Reject associations whose called AE title is not `scp.aet`.
        "scp.check_called" check_called: bool = "true", truth, "true or false", Restart;
        /// Maximum number of concurrent associations.
        "scp.max_associations" max_associations: u16 = "32", integer(1, 1024), "1 to 1024", Restart;
        /// Maximum number of concurrent associations from one address. Keep it below
        /// `scp.max_associations`, because idle associations stay open for `timeouts.network`.
        "scp.max_associations_per_peer" max_associations_per_peer: u16 = "16", integer(1, 1024),
            "1 to 1024", Restart;
        /// Longest P-DATA PDU accepted, in bytes (PS3.8 section D.1).
        "scp.max_pdu_bytes" max_pdu_bytes: u32 = "131072", integer(4096, 1 << 20),
            "4096 to 1048576", Restart;
        /// Accept associations over TLS only. With `mutual`, callers must present a certificate.
        "scp.tls" tls: ScpTls = "off", text(word), "off, server or mutual", Restart;
    }

    /// Files for TLS as a server and as a client.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    struct Tls |settings, _name| settings.tls, settings.tls;
    {
        /// Own certificate, followed by the intermediate certificates. Queries, retrieves and
        /// exports use a new file at once.
        "tls.certificate" certificate: Option<String> = "", optional_text, PEM, Restart;
        /// Private key, readable by its owner only. Queries, retrieves and exports use a new file
        /// at once.
        "tls.key_file" key_file: Option<String> = "", optional_text, PEM, Restart;
        /// Certificates of the authorities trusted for peers. Queries, retrieves and exports use a
        /// new file at once.
        "tls.authorities" authorities: Option<String> = "", optional_text, PEM, Restart;
    }

    /// Timeouts of the network.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[non_exhaustive]
    struct Timeouts |settings, _name| settings.timeouts, settings.timeouts;
    {
        /// Timeout for opening a connection.
        "timeouts.tcp" tcp: Duration = "5", seconds, SECONDS, AtOnce;
        /// Timeout for opening and releasing an association. Queries, retrieves and exports use a
        /// new value at once.
        "timeouts.acse" acse: Duration = "30", seconds, SECONDS, Restart;
        /// Timeout for each DIMSE response. Queries, retrieves and exports use a new value at once.
        "timeouts.dimse" dimse: Duration = "30", seconds, SECONDS, Restart;
        /// Timeout for an idle association. Queries, retrieves and exports use a new value at once.
        "timeouts.network" network: Duration = "60", seconds, SECONDS, Restart;
        /// How long an object waits for disk space before its sender gets A700. Keep it below the
        /// DIMSE timeout of senders, often 30 s.
        "timeouts.room" room: Duration = "10", seconds, SECONDS, Restart;
    }

    /// Export to any destination.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    struct Export |settings, _name| settings.export, settings.export;
    {
        /// Directory for the record of what was sent, if not `export/`.
        "export.journal" journal: Option<String> = "", optional_text, "a directory", AtOnce;
        /// Patients exported concurrently.
        "export.patients" patients: u16 = "4", integer(1, 64), "1 to 64", AtOnce;
        /// Concurrent associations with a DICOM node. Some nodes (DCMTK's dcmqrscp) lose objects
        /// with more than one.
        "export.associations" associations: u16 = "1", integer(1, 64), "1 to 64", AtOnce;
        /// How often an object is tried if the failure is temporary.
        "export.attempts" attempts: u16 = "5", integer(1, 20), "1 to 20", AtOnce;
    }

    /// Export to S3. Credentials are no settings: settings say where they are.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    struct S3 |settings, _name| settings.s3, settings.s3;
    {
        /// URL of the S3 service, if not AWS.
        "s3.endpoint" endpoint: Option<String> = "", optional(url), "a URL", AtOnce;
        /// Region of the bucket.
        "s3.region" region: Option<String> = "", optional_text, "a text", AtOnce;
        /// Bucket.
        "s3.bucket" bucket: Option<String> = "", optional_text, "a text", AtOnce;
        /// Prefix of every object key.
        "s3.prefix" prefix: Option<String> = "", optional_text, "a text", AtOnce;
        /// Allow `http://` to a host that is not loopback.
        "s3.allow_cleartext" allow_cleartext: bool = "false", truth, "true or false", AtOnce;
        /// Position of the bucket in URLs. With `auto`: path with `s3.endpoint`, host with AWS.
        "s3.addressing" addressing: S3Addressing = "auto", text(word), "auto, path or host", AtOnce;
        /// Checksum sent with each object; `none` for servers that refuse checksums.
        "s3.checksum" checksum: S3Checksum = "crc32c", text(word), "crc32c, sha256 or none", AtOnce;
        /// Encryption by the service. With `bucket`: the default of the bucket.
        "s3.encryption" encryption: S3Encryption = "bucket", text(word), "bucket, aes256 or kms",
            AtOnce;
        /// KMS key, for `s3.encryption = kms`.
        "s3.kms_key_id" kms_key_id: Option<String> = "", optional_text, "an id, alias or ARN",
            AtOnce;
        /// Storage class, if not the default of the service.
        "s3.storage_class" storage_class: Option<String> = "", optional_text, "a text", AtOnce;
        /// Size of a part. Smaller objects are sent in one request.
        "s3.part_bytes" part_bytes: u64 = "8388608", integer(5 << 20, 1 << 30),
            "bytes, 5242880 to 1073741824", AtOnce;
        /// Memory for all uploads together. An object of more than 10,000 parts uses longer parts,
        /// one at a time.
        "s3.memory_bytes" memory_bytes: u64 = "100663296", integer(5 << 20, 1 << 40),
            "bytes, 5242880 to 1099511627776, not less than s3.part_bytes", AtOnce;
        /// Objects uploaded concurrently.
        "s3.parallel" parallel: u16 = "16", integer(1, 256), "1 to 256", AtOnce;
        /// PEM file of authorities trusted in addition to the system's, for S3 and Cognito.
        "s3.authorities" authorities: Option<String> = "", optional_text, "a file", AtOnce;
        /// Timeout for opening a connection, also to Cognito.
        "s3.connect_timeout" connect_timeout: Duration = "10", seconds, SECONDS, AtOnce;
        /// Timeout for a request that makes no progress, and for its response; also for Cognito.
        "s3.stall_timeout" stall_timeout: Duration = "30", seconds, SECONDS, AtOnce;
        /// Profile in the AWS files. If neither this nor the keys below are set, `AWS_PROFILE` and
        /// the environment decide.
        "s3.profile" profile: Option<String> = "", optional_text, "a text", AtOnce;
        /// Environment variable that holds the access key.
        "s3.access_key_env" access_key_env: Option<String> = "", optional(variable), VARIABLE,
            AtOnce;
        /// Environment variable that holds the secret key.
        "s3.secret_key_env" secret_key_env: Option<String> = "", optional(variable), VARIABLE,
            AtOnce;
        /// Environment variable that holds the session token of temporary keys.
        "s3.session_token_env" session_token_env: Option<String> = "", optional(variable), VARIABLE,
            AtOnce;
        /// Lines `access_key = …`, `secret_key = …`, and `session_token = …` for temporary keys.
        "s3.credentials_file" credentials_file: Option<String> = "", optional_text,
            "a file with mode 0600", AtOnce;
        /// AWS account of the Cognito pools.
        "s3.account_id" account_id: Option<String> = "", optional_text, "a text", AtOnce;
        /// App client of the user pool.
        "s3.app_client_id" app_client_id: Option<String> = "", optional_text, "a text", AtOnce;
        /// Cognito user pool.
        "s3.user_pool_id" user_pool_id: Option<String> = "", optional_text, "a text", AtOnce;
        /// Cognito identity pool.
        "s3.identity_pool_id" identity_pool_id: Option<String> = "", optional_text, "a text",
            AtOnce;
        /// Cognito user. If set, export logs in to Cognito.
        "s3.username" username: Option<String> = "", optional_text, "a text", AtOnce;
        /// Environment variable that holds the user's password. If neither this nor the next key is
        /// set, export asks on the terminal.
        "s3.password_env" password_env: Option<String> = "", optional(variable), VARIABLE, AtOnce;
        /// Entry of the system keyring that holds the user's password. `anon export --help`
        /// explains how to store it.
        "s3.password_keyring" password_keyring: Option<String> = "", optional(keyring_entry),
            "SERVICE/USER", AtOnce;
        /// URL of Cognito, if not AWS.
        "s3.cognito_endpoint" cognito_endpoint: Option<String> = "", optional(url), "a URL", AtOnce;
    }

    /// The log.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    struct Log |settings, _name| settings.log, settings.log;
    {
        /// Log level.
        "log.level" level: String = "info", text(level), LEVEL, Restart;
    }
    {
        /// Log levels of single crates.
        targets: BTreeMap<String, String> = BTreeMap::new();
    }

    rows {
        KeyDoc {
            key: "log.target.<name>",
            kind: Kind::Text,
            default: "",
            allowed: LEVEL,
            about: "Log level of one crate.",
            effect: Effect::Restart,
            effect_of_removal: Effect::Restart,
        } => Access {
            read: |settings, name| settings.log.targets.get(name)?.value(),
            write: |settings, name, value| {
                match optional(level)(value)? {
                    None => settings.log.targets.remove(name),
                    Some(level) => settings.log.targets.insert(name.to_owned(), level),
                };
                Ok(())
            },
        };
    }
}

/// The site id of settings that have none yet.
fn stand_in_site() -> SiteId {
    SiteId::new("0").expect("settings: 0 is a site id")
}

fn default_nodes() -> BTreeMap<String, Node> {
    let node = |aet: &str, port, node_use| Node {
        aet: aet.to_owned(),
        host: Some("127.0.0.1".to_owned()),
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
