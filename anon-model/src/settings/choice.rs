//! Settings that are one of a few words.

use crate::StudyConflict;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Every word there is.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word in `project.toml`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The choice with this word.
            pub fn named(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

choice! {
    /// The language of a script.
    Dialect {
        /// Detected from what the script says; never guessed.
        Auto = "auto",
        /// The RSNA anonymizer's.
        Rsna = "rsna",
        /// The MIRC Clinical Trial Processor's.
        Ctp = "ctp",
    }
}

choice! {
    /// Whether a commit waits for the disk.
    Durability {
        /// Survives a power cut.
        Full = "full",
        /// Survives the end of the process, not a power cut: when to write is left to the system.
        Relaxed = "relaxed",
    }
}

choice! {
    /// What tells patients apart.
    PatientKey {
        /// Patient ID (0010,0020).
        Id = "id",
        /// Patient ID and Issuer of Patient ID (0010,0021).
        IdAndIssuer = "id+issuer",
    }
}

choice! {
    /// What becomes of objects without a Patient ID.
    MissingPatientId {
        /// All share one anonymous patient, `<site>-000000`.
        Shared = "shared",
        /// They go to quarantine.
        Quarantine = "quarantine",
    }
}

choice! {
    /// What becomes of objects with burned-in annotation.
    BurnedIn {
        /// They go to quarantine.
        Quarantine = "quarantine",
        /// They are stored as they are.
        Accept = "accept",
    }
}

choice! {
    /// How dates are moved.
    DateScheme {
        /// V17's public formula: whoever guesses a Patient ID can undo it.
        V17 = "v17",
        /// HMAC-SHA-256 under the project's secret.
        Keyed = "keyed",
    }
}

choice! {
    /// How pseudonyms are made.
    PseudonymScheme {
        /// Numbers, as V17.
        Sequential = "sequential",
        /// V18's formulas.
        HashedV18 = "hashed-v18",
        /// HMAC-SHA-256 under the project's secret.
        Keyed = "keyed",
    }
}

choice! {
    /// Whether quarantine copies files.
    QuarantineFiles {
        /// The original bytes stand beside the reason.
        Copy = "copy",
        /// Only the reason, with the path of the original.
        Reference = "reference",
    }
}

choice! {
    /// What a node is used for.
    NodeUse {
        /// It is queried and retrieved from.
        Query = "query",
        /// De-identified objects are sent to it.
        Export = "export",
    }
}

choice! {
    /// How the SCP is reached: in clear or over TLS.
    ScpTls {
        /// In clear only.
        Off = "off",
        /// Over TLS only; a peer need not show a certificate.
        Server = "server",
        /// Over TLS only, and a peer shows a certificate that the authorities vouch for.
        Mutual = "mutual",
    }
}

choice! {
    /// Where the bucket of an S3 service stands in a URL.
    S3Addressing {
        /// In the path with an endpoint of one's own, in the host at AWS.
        Auto = "auto",
        /// In the path.
        Path = "path",
        /// In the host.
        Host = "host",
    }
}

choice! {
    /// What is sent to S3 to show that an object arrived whole.
    S3Checksum {
        /// CRC-32C.
        Crc32c = "crc32c",
        /// SHA-256.
        Sha256 = "sha256",
        /// Nothing; the ETag is compared.
        None = "none",
    }
}

choice! {
    /// How an S3 service encrypts what it stores.
    S3Encryption {
        /// As the bucket has it.
        Bucket = "bucket",
        /// With keys of S3.
        Aes256 = "aes256",
        /// With a key of KMS.
        Kms = "kms",
    }
}

impl StudyConflict {
    /// Every word there is.
    pub const WORDS: &[&str] = &["refuse", "first"];

    /// The word in `project.toml`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::First => "first",
        }
    }

    /// The choice with this word.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "refuse" => Some(Self::Refuse),
            "first" => Some(Self::First),
            _ => None,
        }
    }
}
