//! [`KEYS`]: every key with type, default and range.

use std::fmt;

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Bool(bool),
    /// Texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// As a command line takes it: lists with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    List,
    /// A list of texts, or the word `all`.
    ListOrAll,
}

impl Kind {
    /// The type in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::List => "a list of texts",
            Self::ListOrAll => "a list of texts, or \"all\"",
        }
    }

    /// The value that a word on a command line stands for; lists with commas.
    pub fn parse(self, word: &str) -> Option<Value> {
        let items = || {
            let items = word
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::List(items.map(str::to_owned).collect())
        };
        match self {
            Self::Text => Some(Value::Text(word.to_owned())),
            Self::Integer => word.trim().parse().ok().map(Value::Integer),
            Self::Bool => word.trim().parse().ok().map(Value::Bool),
            Self::ListOrAll if word.trim() == "all" => Some(Value::Text("all".to_owned())),
            Self::List | Self::ListOrAll => Some(items()),
        }
    }
}

/// What there is to know about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDoc {
    /// The dotted key; `<name>` stands for a name of the user's.
    pub key: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default as a command line takes it; empty for none.
    pub default: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
    /// What it does.
    pub about: &'static str,
}

const fn key(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    allowed: &'static str,
    about: &'static str,
) -> KeyDoc {
    KeyDoc {
        key,
        kind,
        default,
        allowed,
        about,
    }
}

const SECONDS: &str = "whole seconds, 1 to 3600";
const AET: &str = "1 to 16 printable ASCII characters, no backslash";
const VARIABLE: &str = "1 to 64 of A-Z 0-9 _, not a digit first";
const LEVEL: &str = "off, error, warn, info, debug or trace";

/// The keys that can no longer change once a pseudonym has been given out.
pub const FROZEN: &[&str] = &["site_id", "uid_root", "pseudonyms", "dates"];

/// Every key there is.
pub const KEYS: &[KeyDoc] = &[
    key(
        "site_id",
        Kind::Text,
        "",
        "UID components, at most 16 characters",
        "part of every pseudonym, so that projects differ; nine random digits in a new project; frozen",
    ),
    key(
        "name",
        Kind::Text,
        "MY_PROJECT",
        "1 to 16 of A-Z a-z 0-9 _ - . and space",
        "name of the project, written into every output",
    ),
    key(
        "uid_root",
        Kind::Text,
        "1.2.826.0.1.3680043.10.474.2",
        "a UID of at most 44 characters; with site_id at most 48",
        "prefix of every new UID; frozen",
    ),
    key(
        "script",
        Kind::Text,
        "rsna-v17",
        "a file, or the name of a built-in script",
        "de-identification rules",
    ),
    key(
        "profile",
        Kind::Text,
        "",
        "a profile with options: name+option",
        "used instead of a script",
    ),
    key(
        "dialect",
        Kind::Text,
        "auto",
        "auto, rsna or ctp",
        "language of the script",
    ),
    key(
        "modalities",
        Kind::ListOrAll,
        "CR,DX,CT,MR",
        "modality codes, or all",
        "modalities that the project accepts",
    ),
    key(
        "storage_classes",
        Kind::List,
        "",
        "names or UIDs of storage SOP classes",
        "SOP classes accepted in addition to those of the modalities",
    ),
    key(
        "transfer_syntaxes",
        Kind::ListOrAll,
        "all",
        "names or UIDs of transfer syntaxes, or all",
        "transfer syntaxes accepted by the SCP; imported files are not restricted",
    ),
    key(
        "durability",
        Kind::Text,
        "full",
        "full or relaxed",
        "whether a commit waits until the disk has written",
    ),
    key(
        "patient_key",
        Kind::Text,
        "id",
        "id or id+issuer",
        "what identifies a patient: Patient ID alone, or with Issuer of Patient ID",
    ),
    key(
        "missing_patient_id",
        Kind::Text,
        "shared",
        "shared or quarantine",
        "what happens to objects without a Patient ID: stored under a shared patient, or quarantined",
    ),
    key(
        "study_patient_conflict",
        Kind::Text,
        "refuse",
        "refuse or first",
        "what happens if a known study arrives under another patient: refused, or stored under the first",
    ),
    key(
        "burned_in",
        Kind::Text,
        "quarantine",
        "quarantine or accept",
        "what happens to objects with burned-in annotation",
    ),
    key(
        "dates",
        Kind::Text,
        "v17",
        "v17 or keyed",
        "how dates are shifted; frozen",
    ),
    key(
        "pseudonyms",
        Kind::Text,
        "sequential",
        "sequential, hashed-v18 or keyed",
        "how pseudonyms are generated; frozen",
    ),
    key(
        "quarantine.files",
        Kind::Text,
        "copy",
        "copy or reference",
        "whether quarantine keeps a copy of the file or only its path",
    ),
    key(
        "quarantine.max_bytes",
        Kind::Integer,
        "",
        "bytes, 0 or more",
        "maximum size of the quarantine; unlimited if not set",
    ),
    key(
        "store.cache_bytes",
        Kind::Integer,
        "67108864",
        "bytes, 1048576 to 1099511627776",
        "cache size of the lookup store",
    ),
    key("node.<name>.aet", Kind::Text, "", AET, "AE title of a peer"),
    key(
        "node.<name>.host",
        Kind::Text,
        "",
        "a host name or address, 1 to 255 characters without spaces",
        "host of a peer",
    ),
    key(
        "node.<name>.port",
        Kind::Integer,
        "",
        "1 to 65535",
        "port of a peer",
    ),
    key(
        "node.<name>.use",
        Kind::List,
        "",
        "query, export or both",
        "what the peer may be used for; export to a node without export is refused",
    ),
    key(
        "node.<name>.tls",
        Kind::Bool,
        "false",
        "true or false",
        "connect to the peer over TLS",
    ),
    key(
        "scp.bind",
        Kind::Text,
        "127.0.0.1",
        "an address",
        "address on which the SCP listens",
    ),
    key(
        "scp.port",
        Kind::Integer,
        "1045",
        "0 to 65535; 0 lets the system choose",
        "port of the SCP",
    ),
    key(
        "scp.aet",
        Kind::Text,
        "ANONYMIZER",
        AET,
        "AE title of the SCP",
    ),
    key(
        "scp.allow_calling",
        Kind::List,
        "",
        AET,
        "calling AE titles that are accepted; all if empty",
    ),
    key(
        "scp.allow_peers",
        Kind::List,
        "",
        "addresses",
        "peer addresses that are accepted; all if empty",
    ),
    key(
        "scp.open",
        Kind::Bool,
        "false",
        "true or false",
        "listen on a non-loopback address although both lists are empty",
    ),
    key(
        "scp.check_called",
        Kind::Bool,
        "true",
        "true or false",
        "reject associations whose called AE title is not scp.aet",
    ),
    key(
        "scp.max_associations",
        Kind::Integer,
        "32",
        "1 to 1024",
        "maximum number of concurrent associations",
    ),
    key(
        "scp.max_associations_per_peer",
        Kind::Integer,
        "16",
        "1 to 1024",
        "maximum number of concurrent associations from one address; keep it below scp.max_associations, because idle associations stay open for timeouts.network",
    ),
    key(
        "scp.max_pdu_bytes",
        Kind::Integer,
        "131072",
        "4096 to 1048576",
        "longest P-DATA PDU accepted",
    ),
    key(
        "scp.tls",
        Kind::Text,
        "off",
        "off, server or mutual",
        "accept associations over TLS only; mutual: callers must present a certificate",
    ),
    key(
        "tls.certificate",
        Kind::Text,
        "",
        "a PEM file; relative paths start at the project",
        "own certificate, followed by the intermediate certificates",
    ),
    key(
        "tls.key_file",
        Kind::Text,
        "",
        "a PEM file; relative paths start at the project",
        "private key; must be readable by its owner only",
    ),
    key(
        "tls.authorities",
        Kind::Text,
        "",
        "a PEM file; relative paths start at the project",
        "certificates of the authorities trusted for peers",
    ),
    key(
        "retrieve.studies",
        Kind::Integer,
        "2",
        "1 to 32",
        "studies retrieved concurrently",
    ),
    key(
        "timeouts.tcp",
        Kind::Integer,
        "5",
        SECONDS,
        "timeout for opening a connection",
    ),
    key(
        "timeouts.acse",
        Kind::Integer,
        "30",
        SECONDS,
        "timeout for opening and releasing an association",
    ),
    key(
        "timeouts.dimse",
        Kind::Integer,
        "30",
        SECONDS,
        "timeout for each DIMSE response",
    ),
    key(
        "timeouts.network",
        Kind::Integer,
        "60",
        SECONDS,
        "timeout for an idle association",
    ),
    key(
        "timeouts.room",
        Kind::Integer,
        "10",
        SECONDS,
        "how long an object waits for disk space before its sender gets A700; keep it below the DIMSE timeout of senders",
    ),
    key(
        "export.journal",
        Kind::Text,
        "",
        "a directory",
        "directory for the record of what was sent, if not export/",
    ),
    key(
        "export.patients",
        Kind::Integer,
        "4",
        "1 to 64",
        "patients exported concurrently",
    ),
    key(
        "export.associations",
        Kind::Integer,
        "1",
        "1 to 64",
        "concurrent associations with a DICOM node; some nodes (DCMTK's dcmqrscp) lose objects with more than one",
    ),
    key(
        "export.attempts",
        Kind::Integer,
        "5",
        "1 to 20",
        "how often an object is tried if the failure is temporary",
    ),
    key(
        "s3.endpoint",
        Kind::Text,
        "",
        "a URL",
        "URL of the S3 service, if not AWS",
    ),
    key(
        "s3.region",
        Kind::Text,
        "",
        "a text",
        "region of the bucket",
    ),
    key("s3.bucket", Kind::Text, "", "a text", "bucket"),
    key(
        "s3.prefix",
        Kind::Text,
        "",
        "a text",
        "prefix of every object key",
    ),
    key(
        "s3.allow_cleartext",
        Kind::Bool,
        "false",
        "true or false",
        "allow http:// to a host that is not loopback",
    ),
    key(
        "s3.addressing",
        Kind::Text,
        "auto",
        "auto, path or host",
        "position of the bucket in URLs; auto: path with s3.endpoint, host with AWS",
    ),
    key(
        "s3.checksum",
        Kind::Text,
        "crc32c",
        "crc32c, sha256 or none",
        "checksum sent with each object; none for servers that refuse checksums",
    ),
    key(
        "s3.encryption",
        Kind::Text,
        "bucket",
        "bucket, aes256 or kms",
        "encryption by the service; bucket: the default of the bucket",
    ),
    key(
        "s3.kms_key_id",
        Kind::Text,
        "",
        "an id, alias or ARN",
        "KMS key, for s3.encryption = kms",
    ),
    key(
        "s3.storage_class",
        Kind::Text,
        "",
        "a text",
        "storage class, if not the default of the service",
    ),
    key(
        "s3.part_bytes",
        Kind::Integer,
        "8388608",
        "bytes, 5242880 to 1073741824",
        "size of a part; smaller objects are sent in one request",
    ),
    key(
        "s3.memory_bytes",
        Kind::Integer,
        "100663296",
        "bytes, 5242880 to 1099511627776, not less than s3.part_bytes",
        "memory for all uploads together; an object of more than 10,000 parts uses longer parts, one at a time",
    ),
    key(
        "s3.parallel",
        Kind::Integer,
        "16",
        "1 to 256",
        "objects uploaded concurrently",
    ),
    key(
        "s3.authorities",
        Kind::Text,
        "",
        "a file",
        "PEM file of authorities trusted in addition to the system's, for S3 and Cognito",
    ),
    key(
        "s3.connect_timeout",
        Kind::Integer,
        "10",
        SECONDS,
        "timeout for opening a connection, also to Cognito",
    ),
    key(
        "s3.stall_timeout",
        Kind::Integer,
        "30",
        SECONDS,
        "timeout for a request that makes no progress, and for its response; also for Cognito",
    ),
    key(
        "s3.profile",
        Kind::Text,
        "",
        "a text",
        "profile in the AWS files; if neither this nor the keys below are set, AWS_PROFILE and the environment decide",
    ),
    key(
        "s3.access_key_env",
        Kind::Text,
        "",
        VARIABLE,
        "environment variable that holds the access key",
    ),
    key(
        "s3.secret_key_env",
        Kind::Text,
        "",
        VARIABLE,
        "environment variable that holds the secret key",
    ),
    key(
        "s3.session_token_env",
        Kind::Text,
        "",
        VARIABLE,
        "environment variable that holds the session token of temporary keys",
    ),
    key(
        "s3.credentials_file",
        Kind::Text,
        "",
        "a file with mode 0600",
        "lines access_key = …, secret_key = …, and session_token = … for temporary keys",
    ),
    key(
        "s3.account_id",
        Kind::Text,
        "",
        "a text",
        "AWS account of the Cognito pools",
    ),
    key(
        "s3.app_client_id",
        Kind::Text,
        "",
        "a text",
        "app client of the user pool",
    ),
    key(
        "s3.user_pool_id",
        Kind::Text,
        "",
        "a text",
        "Cognito user pool",
    ),
    key(
        "s3.identity_pool_id",
        Kind::Text,
        "",
        "a text",
        "Cognito identity pool",
    ),
    key(
        "s3.username",
        Kind::Text,
        "",
        "a text",
        "Cognito user; if set, export logs in to Cognito",
    ),
    key(
        "s3.password_env",
        Kind::Text,
        "",
        VARIABLE,
        "environment variable that holds the user's password; if neither this nor the next key is set, export asks on the terminal",
    ),
    key(
        "s3.password_keyring",
        Kind::Text,
        "",
        "SERVICE/USER",
        "entry of the system keyring that holds the user's password; anon export --help explains how to store it",
    ),
    key(
        "s3.cognito_endpoint",
        Kind::Text,
        "",
        "a URL",
        "URL of Cognito, if not AWS",
    ),
    key("log.level", Kind::Text, "info", LEVEL, "log level"),
    key(
        "log.target.<name>",
        Kind::Text,
        "",
        LEVEL,
        "log level of one crate",
    ),
    key(
        "public_dir",
        Kind::Text,
        "",
        "a directory",
        "directory for outputs, if not public/",
    ),
];

impl KeyDoc {
    /// What there is to know about a dotted key, if it is one.
    pub fn of(key: &str) -> Option<&'static Self> {
        KEYS.iter().find(|doc| doc.matches(key))
    }

    /// True if a pseudonym given out freezes the key.
    pub fn is_frozen(&self) -> bool {
        FROZEN.contains(&self.key)
    }

    fn matches(&self, key: &str) -> bool {
        let Some((before, after)) = self.key.split_once("<name>") else {
            return self.key == key;
        };
        key.strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|name| !name.is_empty() && !name.contains('.'))
    }
}
