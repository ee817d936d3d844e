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
        "sets pseudonyms apart from other projects'; nine random digits in a new project; frozen",
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
        "what every UID given out begins with; frozen",
    ),
    key(
        "script",
        Kind::Text,
        "rsna-v17",
        "a file, or the name of a built-in script",
        "what is done with each element",
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
        "what the project takes",
    ),
    key(
        "storage_classes",
        Kind::List,
        "",
        "names or UIDs of storage SOP classes",
        "taken beside those of the modalities",
    ),
    key(
        "transfer_syntaxes",
        Kind::ListOrAll,
        "all",
        "names or UIDs of transfer syntaxes, or all",
        "accepted by the SCP; files are not asked",
    ),
    key(
        "durability",
        Kind::Text,
        "full",
        "full or relaxed",
        "whether a commit waits for the disk",
    ),
    key(
        "patient_key",
        Kind::Text,
        "id",
        "id or id+issuer",
        "what tells patients apart",
    ),
    key(
        "missing_patient_id",
        Kind::Text,
        "shared",
        "shared or quarantine",
        "objects without a Patient ID",
    ),
    key(
        "study_patient_conflict",
        Kind::Text,
        "refuse",
        "refuse or first",
        "a known study under another patient",
    ),
    key(
        "burned_in",
        Kind::Text,
        "quarantine",
        "quarantine or accept",
        "objects with burned-in annotation",
    ),
    key(
        "dates",
        Kind::Text,
        "v17",
        "v17 or keyed",
        "how dates are moved; frozen",
    ),
    key(
        "pseudonyms",
        Kind::Text,
        "sequential",
        "sequential, hashed-v18 or keyed",
        "how pseudonyms are made; frozen",
    ),
    key(
        "quarantine.files",
        Kind::Text,
        "copy",
        "copy or reference",
        "whether quarantine keeps the bytes",
    ),
    key(
        "quarantine.max_bytes",
        Kind::Integer,
        "",
        "bytes, 0 or more",
        "bytes quarantine may hold; no bound if not set",
    ),
    key(
        "store.cache_bytes",
        Kind::Integer,
        "67108864",
        "bytes, 1048576 to 1099511627776",
        "cache of the lookup store",
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
        "what a peer is used for; export to a node without export is refused",
    ),
    key(
        "node.<name>.tls",
        Kind::Bool,
        "false",
        "true or false",
        "reach the peer over TLS",
    ),
    key(
        "scp.bind",
        Kind::Text,
        "127.0.0.1",
        "an address",
        "where the SCP listens",
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
        "calling AE titles accepted; every one if empty",
    ),
    key(
        "scp.allow_peers",
        Kind::List,
        "",
        "addresses",
        "peers accepted; every one if empty",
    ),
    key(
        "scp.open",
        Kind::Bool,
        "false",
        "true or false",
        "listen on a non-loopback address without either list",
    ),
    key(
        "scp.check_called",
        Kind::Bool,
        "true",
        "true or false",
        "refuse callers that name another AE title than scp.aet",
    ),
    key(
        "scp.max_associations",
        Kind::Integer,
        "32",
        "1 to 1024",
        "associations served at once",
    ),
    key(
        "scp.max_associations_per_peer",
        Kind::Integer,
        "16",
        "1 to 1024",
        "associations served at once for one address; keep it below scp.max_associations, since idle ones hold their places for timeouts.network",
    ),
    key(
        "scp.max_pdu_bytes",
        Kind::Integer,
        "131072",
        "4096 to 1048576",
        "longest P-DATA PDU taken",
    ),
    key(
        "scp.tls",
        Kind::Text,
        "off",
        "off, server or mutual",
        "take callers over TLS only; mutual: with a certificate of theirs",
    ),
    key(
        "tls.certificate",
        Kind::Text,
        "",
        "a PEM file; relative paths begin at the project",
        "our certificate and those that lead to its authority",
    ),
    key(
        "tls.key_file",
        Kind::Text,
        "",
        "a PEM file; relative paths begin at the project",
        "the file with our key; readable by its owner alone",
    ),
    key(
        "tls.authorities",
        Kind::Text,
        "",
        "a PEM file; relative paths begin at the project",
        "certificates of the authorities that vouch for peers",
    ),
    key(
        "retrieve.studies",
        Kind::Integer,
        "2",
        "1 to 32",
        "studies retrieved at once",
    ),
    key(
        "timeouts.tcp",
        Kind::Integer,
        "5",
        SECONDS,
        "to set up a connection",
    ),
    key(
        "timeouts.acse",
        Kind::Integer,
        "30",
        SECONDS,
        "for each answer around an association",
    ),
    key(
        "timeouts.dimse",
        Kind::Integer,
        "30",
        SECONDS,
        "for each DIMSE answer",
    ),
    key(
        "timeouts.network",
        Kind::Integer,
        "60",
        SECONDS,
        "for any traffic at all",
    ),
    key(
        "timeouts.room",
        Kind::Integer,
        "10",
        SECONDS,
        "for room to come back, before a sender hears A700; below the DIMSE timeout of senders",
    ),
    key(
        "export.journal",
        Kind::Text,
        "",
        "a directory",
        "where it is noted what was sent, if not in export/",
    ),
    key(
        "export.patients",
        Kind::Integer,
        "4",
        "1 to 64",
        "patients exported at once",
    ),
    key(
        "export.associations",
        Kind::Integer,
        "1",
        "1 to 64",
        "associations with a DICOM node at once; some (DCMTK's dcmqrscp) lose objects with more than one",
    ),
    key(
        "export.attempts",
        Kind::Integer,
        "5",
        "1 to 20",
        "how often an object is tried, if what fails can pass",
    ),
    key(
        "s3.endpoint",
        Kind::Text,
        "",
        "a URL",
        "S3 service, if not AWS",
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
        "what every object's key begins with",
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
        "where the bucket stands in a URL; auto: in the path with s3.endpoint, in the host at AWS",
    ),
    key(
        "s3.checksum",
        Kind::Text,
        "crc32c",
        "crc32c, sha256 or none",
        "what is sent to show that an object arrived whole; none for servers that refuse it",
    ),
    key(
        "s3.encryption",
        Kind::Text,
        "bucket",
        "bucket, aes256 or kms",
        "how the service encrypts; bucket: as the bucket has it",
    ),
    key(
        "s3.kms_key_id",
        Kind::Text,
        "",
        "an id, alias or ARN",
        "key of KMS, with s3.encryption = kms",
    ),
    key(
        "s3.storage_class",
        Kind::Text,
        "",
        "a text",
        "storage class, if not the service's own",
    ),
    key(
        "s3.part_bytes",
        Kind::Integer,
        "8388608",
        "bytes, 5242880 to 1073741824",
        "length of a part; what is not longer goes in one request",
    ),
    key(
        "s3.memory_bytes",
        Kind::Integer,
        "100663296",
        "bytes, 5242880 to 1099511627776, not less than s3.part_bytes",
        "what all uploads together hold in memory; an object of more than 10,000 parts holds one longer part, alone",
    ),
    key(
        "s3.parallel",
        Kind::Integer,
        "16",
        "1 to 256",
        "objects that are put at once",
    ),
    key(
        "s3.authorities",
        Kind::Text,
        "",
        "a file",
        "certificates of authorities (PEM) that are trusted beside the system's, for S3 and Cognito",
    ),
    key(
        "s3.connect_timeout",
        Kind::Integer,
        "10",
        SECONDS,
        "to make a connection, to Cognito too",
    ),
    key(
        "s3.stall_timeout",
        Kind::Integer,
        "30",
        SECONDS,
        "for a request that does not move, and for its answer; that of Cognito, too",
    ),
    key(
        "s3.profile",
        Kind::Text,
        "",
        "a text",
        "profile in the files of AWS; without it, and without the keys below, as AWS_PROFILE and the environment say",
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
        "environment variable that holds the token of temporary keys",
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
        "Cognito user; with it, export logs in to Cognito",
    ),
    key(
        "s3.password_env",
        Kind::Text,
        "",
        VARIABLE,
        "environment variable that holds the user's password; without it and the next, export asks on a terminal",
    ),
    key(
        "s3.password_keyring",
        Kind::Text,
        "",
        "SERVICE/USER",
        "entry of the system's keyring that holds the user's password; anon export --help says how to store it",
    ),
    key(
        "s3.cognito_endpoint",
        Kind::Text,
        "",
        "a URL",
        "Cognito, if not AWS",
    ),
    key("log.level", Kind::Text, "info", LEVEL, "level of the log"),
    key(
        "log.target.<name>",
        Kind::Text,
        "",
        LEVEL,
        "level of one crate",
    ),
    key(
        "public_dir",
        Kind::Text,
        "",
        "a directory",
        "where outputs go, if not into public/",
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
