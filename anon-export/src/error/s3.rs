//! [`S3Error`]: what an S3 service can refuse, and what to do about it.

use std::fmt;
use std::time::Duration;

use crate::Remedy;

/// A word that a service gave: at most 64 letters, digits, dots, dashes and underscores, else nothing.
///
/// Messages of services are not kept: they repeat keys, and what was signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceText(String);

impl ServiceText {
    /// A word; none if it is longer, or holds anything else.
    pub fn new(word: &str) -> Self {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = word.len() <= 64 && word.bytes().all(plain);
        Self(if fits { word.to_owned() } else { String::new() })
    }

    /// The word; empty if there was none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "unnamed"
        } else {
            &self.0
        })
    }
}

/// Why a call of an S3 service failed. Holds no key, no secret, and no text of the service but a
/// [`ServiceText`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum S3Error {
    /// A setting cannot be used.
    #[error("the S3 {name} cannot be used: {problem}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong, in words of ours.
        problem: &'static str,
    },
    /// The endpoint would be reached in clear.
    #[error(
        "the S3 endpoint is http:// and not this machine: use https://, or allow cleartext if the network is trusted"
    )]
    Cleartext,
    /// No region is known.
    #[error("no S3 region is known: set it, or AWS_REGION, or the region of the profile")]
    NoRegion,
    /// The program cannot make what a client needs.
    #[error("cannot start the S3 client: {kind}")]
    Start {
        /// What the operating system says.
        kind: std::io::ErrorKind,
    },
    /// No credentials were found.
    #[error(
        "no S3 credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, or name them in the settings"
    )]
    NoCredentials,
    /// The source of credentials failed.
    #[error("the source of the S3 credentials failed: {problem}")]
    Credentials {
        /// In words of ours.
        problem: &'static str,
    },
    /// The service does not know the access key.
    #[error(
        "the S3 service does not know the access key: check it, and that it is for this service"
    )]
    UnknownKey,
    /// The signature is wrong, hence the secret.
    #[error("the secret is not that of the access key: check both, and set them again")]
    WrongSecret,
    /// Temporary credentials are over.
    #[error("the S3 credentials have expired: get new ones, and start the export again")]
    Expired,
    /// As [`S3Error::Expired`], and new ones are asked for on the next call.
    #[error("the S3 credentials have expired and are renewed")]
    Renewing,
    /// The bucket is not there.
    #[error("the bucket is not there: check its name, the region and the endpoint")]
    NoBucket,
    /// The credentials do not allow it.
    #[error("the S3 service denies {action}: allow it for these credentials")]
    Denied {
        /// What was asked for, as policies name it.
        action: &'static str,
    },
    /// The clocks differ too much.
    #[error("the clock of this machine and that of the S3 service differ by minutes: set it right")]
    ClockSkew,
    /// The bucket is in another region.
    #[error("the bucket is in another region ({region}): set s3.region")]
    WrongRegion {
        /// Which, if the service said so.
        region: ServiceText,
    },
    /// The service wants fewer requests.
    #[error("the S3 service asks for fewer requests; it can be tried again later")]
    Throttled {
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
    },
    /// No connection.
    #[error("the S3 service cannot be reached: check the endpoint, the network and the proxy")]
    Unreachable,
    /// No trust.
    #[error(
        "the S3 service shows a certificate that is not trusted here, or does not speak TLS: if the authority is one of your own, name its certificate in s3.authorities"
    )]
    Tls,
    /// The connection ended too early.
    #[error("the connection to the S3 service broke")]
    Broken,
    /// Somebody else ended an upload in parts.
    #[error(
        "an upload in parts was ended by somebody else: let one program at a time export a patient to this bucket"
    )]
    UploadGone,
    /// Nothing moved for too long.
    #[error("the S3 service did not answer in time")]
    Stalled,
    /// What the service stored is not what was sent.
    #[error("the S3 service has other bytes than were sent: the {what} differs")]
    Corrupt {
        /// What told it.
        what: &'static str,
    },
    /// The service does not know a feature.
    #[error(
        "the S3 service does not know something that was asked for ({code}): try s3.checksum = \"none\""
    )]
    Unsupported {
        /// Its word.
        code: ServiceText,
    },
    /// The service cannot use the key that encrypts.
    #[error("the S3 service cannot use the encryption key ({code}): check it and who may use it")]
    Encryption {
        /// Its word.
        code: ServiceText,
    },
    /// The service does not encrypt what it stores, or not as it was asked to. An object that was put in
    /// one request is there as the bucket has it.
    #[error(
        "the S3 service does not encrypt as s3.encryption asks: use one that does, or leave it to the bucket with s3.encryption = \"bucket\""
    )]
    NotEncrypted,
    /// No room.
    #[error("the S3 service has no room left")]
    Full,
    /// The service failed.
    #[error("the S3 service failed with status {status} ({code})")]
    Server {
        /// HTTP status.
        status: u16,
        /// Its word.
        code: ServiceText,
    },
    /// The service refuses for another reason.
    #[error("the S3 service refuses with status {status} ({code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its word.
        code: ServiceText,
    },
    /// What answers does not speak S3.
    #[error("what answers at the endpoint does not speak S3: check the URL")]
    NotS3,
    /// The client's own thread is gone.
    #[error("the S3 client has been shut down")]
    Closed,
}

impl S3Error {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Renewing
            | Self::Throttled { .. }
            | Self::Unreachable
            | Self::Broken
            | Self::UploadGone
            | Self::Stalled
            | Self::Corrupt { .. }
            | Self::Server { .. } => Remedy::Retry,
            Self::Refused { .. } => Remedy::Skip,
            // Policies can name one patient's prefix.
            Self::Denied { .. } => Remedy::SkipPatient,
            Self::Setting { .. }
            | Self::Cleartext
            | Self::NoRegion
            | Self::Start { .. }
            | Self::NoCredentials
            | Self::Credentials { .. }
            | Self::UnknownKey
            | Self::WrongSecret
            | Self::Expired
            | Self::NoBucket
            | Self::ClockSkew
            | Self::WrongRegion { .. }
            | Self::Tls
            | Self::Unsupported { .. }
            | Self::Encryption { .. }
            | Self::NotEncrypted
            | Self::Full
            | Self::NotS3
            | Self::Closed => Remedy::Stop,
        }
    }

    /// How long the service wants to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }
}
