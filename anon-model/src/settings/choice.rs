//! Settings that are one of a few words.

use crate::StudyConflict;

/// A type whose values are words in `project.toml`.
pub(super) trait Choice: Copy + 'static {
    /// Every word there is.
    const ALL_WORDS: &[&str];

    /// Returns the choice with this word.
    fn from_word(word: &str) -> Option<Self>;

    /// Returns the word of this choice.
    fn as_word(self) -> &'static str;
}

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ }) => {
        impl $name {
            /// Every word there is.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word in `project.toml`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Returns the choice with this word.
            pub fn named(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl Choice for $name {
            const ALL_WORDS: &[&str] = Self::WORDS;

            fn from_word(word: &str) -> Option<Self> {
                Self::named(word)
            }

            fn as_word(self) -> &'static str {
                self.word()
            }
        }
    };
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        words! { $name { $($variant = $word),+ } }
    };
}

choice! {
    /// The language of a script.
    Dialect {
        /// Detected from what only one of the languages has; never guessed.
        Auto = "auto",
        /// The language of the RSNA anonymizer.
        Rsna = "rsna",
        /// The language of the MIRC Clinical Trial Processor.
        Ctp = "ctp",
    }
}

choice! {
    /// Whether a commit waits for the disk.
    Durability {
        /// What is committed survives a power cut.
        Full = "full",
        /// What is committed survives the end of the process, not a power cut: the operating system
        /// decides when to write.
        Relaxed = "relaxed",
    }
}

choice! {
    /// What identifies a patient.
    PatientKey {
        /// Patient ID (0010,0020).
        Id = "id",
        /// Patient ID and Issuer of Patient ID (0010,0021).
        IdAndIssuer = "id+issuer",
    }
}

choice! {
    /// What happens to objects without a Patient ID.
    MissingPatientId {
        /// All of them belong to one anonymous patient, `<site>-000000`.
        Shared = "shared",
        /// They go to quarantine.
        Quarantine = "quarantine",
    }
}

choice! {
    /// What happens to objects with burned-in annotation.
    BurnedIn {
        /// They go to quarantine.
        Quarantine = "quarantine",
        /// They are stored with their pixels unchanged.
        Accept = "accept",
    }
}

choice! {
    /// What happens to objects that are not encoded as PS3.5 requires, and can be mended.
    Strictness {
        /// They are stored as PS3.5 requires, and counted.
        Tolerant = "tolerant",
        /// They go to quarantine.
        Strict = "strict",
    }
}

choice! {
    /// How dates are shifted.
    DateScheme {
        /// V17's public formula. Anybody who guesses a Patient ID can undo it.
        V17 = "v17",
        /// HMAC-SHA-256 under the project's secret.
        Keyed = "keyed",
    }
}

choice! {
    /// How pseudonyms are generated.
    PseudonymScheme {
        /// Consecutive numbers, as in V17.
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
        /// The original is copied beside the reason.
        Copy = "copy",
        /// The reason and the path of the original are kept, not its bytes.
        Reference = "reference",
    }
}

choice! {
    /// What a node is used for.
    NodeUse {
        /// Queries and retrieves.
        Query = "query",
        /// De-identified objects are sent to it.
        Export = "export",
    }
}

choice! {
    /// Whether the SCP accepts associations over TLS.
    ScpTls {
        /// No: without TLS only.
        Off = "off",
        /// Over TLS only. A peer need not present a certificate.
        Server = "server",
        /// Over TLS only. A peer must present a certificate that the authorities have signed.
        Mutual = "mutual",
    }
}

choice! {
    /// Where the URL of an S3 object holds the bucket.
    S3Addressing {
        /// In the path if the endpoint is set, in the host with AWS.
        Auto = "auto",
        /// In the path.
        Path = "path",
        /// In the host.
        Host = "host",
    }
}

choice! {
    /// The checksum that is sent to S3 with each object.
    S3Checksum {
        /// CRC-32C.
        Crc32c = "crc32c",
        /// SHA-256.
        Sha256 = "sha256",
        /// None. The `ETag` of the response is compared instead.
        None = "none",
    }
}

choice! {
    /// How an S3 service encrypts what it stores.
    S3Encryption {
        /// As the bucket is configured.
        Bucket = "bucket",
        /// With keys of S3.
        Aes256 = "aes256",
        /// With a key of KMS.
        Kms = "kms",
    }
}

words! { StudyConflict { Refuse = "refuse", First = "first" } }

/// All or some.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Selection<T> {
    /// All there are, and those that the standard adds later.
    All,
    /// These, in this order.
    These(Vec<T>),
}
