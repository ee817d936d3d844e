//! [`S3Error`]: why a request to an S3 service failed, and what to do about it.

use std::fmt;
use std::time::Duration;

use crate::Remedy;

/// A short text from a service, such as an error code or a region: at most 64 letters, digits,
/// dots, dashes and underscores, otherwise empty.
///
/// Messages of services are not kept: they repeat keys and signed data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceText(String);

impl ServiceText {
    /// Keeps a text of this form. Any other text becomes empty.
    pub fn new(text: &str) -> Self {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = text.len() <= 64 && text.bytes().all(allowed);
        Self(if fits { text.to_owned() } else { String::new() })
    }

    /// Returns the text. Empty if the service sent none, or one of another form.
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

/// Why a request to an S3 service failed. Holds no key and no secret, and of the service's text
/// only [`ServiceText`]s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum S3Error {
    /// A setting is invalid.
    #[error("the S3 {name} is invalid: {problem}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// What is wrong: a fixed text, never the value.
        problem: &'static str,
    },
    /// The endpoint would be reached without TLS.
    #[error(
        "the S3 endpoint is http:// and not on this machine: use https://, or allow cleartext if the network is trusted"
    )]
    Cleartext,
    /// No region is known.
    #[error("no S3 region is known: set s3.region, AWS_REGION, or the region of the profile")]
    NoRegion,
    /// Threads or TLS for the client could not be set up.
    #[error("cannot start the S3 client: {kind}")]
    Start {
        /// The kind of the operating system's error.
        kind: std::io::ErrorKind,
    },
    /// No credentials were found.
    #[error(
        "no S3 credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, or configure them in the settings"
    )]
    NoCredentials,
    /// The source of credentials failed.
    #[error("the source of the S3 credentials failed: {problem}")]
    Credentials {
        /// What is wrong: a fixed text.
        problem: &'static str,
    },
    /// The service does not know the access key.
    #[error("the S3 service does not know the access key: check the key and the endpoint")]
    UnknownKey,
    /// The signature does not match: the secret key is wrong.
    #[error("the secret key does not belong to the access key: check both")]
    WrongSecret,
    /// Temporary credentials have expired.
    #[error("the S3 credentials have expired: get new ones, and start the export again")]
    Expired,
    /// The credentials have expired, and the next request asks for new ones.
    #[error("the S3 credentials have expired and will be renewed")]
    Renewing,
    /// The bucket does not exist.
    #[error("the bucket does not exist: check its name, the region and the endpoint")]
    NoBucket,
    /// The credentials do not allow the action.
    #[error("the S3 service denies {action}: grant it to these credentials")]
    Denied {
        /// The action, as IAM policies name it.
        action: &'static str,
    },
    /// The clocks of the client and the service differ too much.
    #[error(
        "the clocks of this machine and of the S3 service differ by minutes: correct the clock"
    )]
    ClockSkew,
    /// The bucket is in another region.
    #[error("the bucket is in another region ({region}): set s3.region")]
    WrongRegion {
        /// The bucket's region, if the service named it.
        region: ServiceText,
    },
    /// The service throttles requests.
    #[error("the S3 service throttles requests: try again later")]
    Throttled {
        /// The wait that the service asked for.
        retry_after: Option<Duration>,
    },
    /// No connection could be made.
    #[error("the S3 service cannot be reached: check the endpoint, the network and the proxy")]
    Unreachable,
    /// TLS failed or the certificate is not trusted.
    #[error(
        "the certificate of the S3 service is not trusted, or the service does not use TLS: add the certificate of its authority to s3.authorities"
    )]
    Tls,
    /// The connection ended during a request.
    #[error("the connection to the S3 service was lost: try again")]
    Broken,
    /// The object that is there is not the one that may be replaced.
    #[error(
        "another program put an object under this name at the same time: export again when it has ended"
    )]
    Occupied,
    /// Another program ended a multipart upload of this export.
    #[error(
        "another program ended a multipart upload: export a patient to this bucket with one program at a time"
    )]
    UploadGone,
    /// No data was transferred for too long.
    #[error("the S3 service did not respond in time: try again, or raise s3.stall_timeout")]
    Stalled,
    /// The stored bytes differ from the bytes sent.
    #[error("the S3 service stored other bytes than were sent: the {what} differs")]
    Corrupt {
        /// The value that differs.
        what: &'static str,
    },
    /// The service does not support a feature.
    #[error(
        "the S3 service does not support a requested feature ({code}): try s3.checksum = \"none\""
    )]
    Unsupported {
        /// The service's error code.
        code: ServiceText,
    },
    /// The service cannot use the encryption key.
    #[error(
        "the S3 service cannot use the encryption key ({code}): check the key and its permissions"
    )]
    Encryption {
        /// The service's error code.
        code: ServiceText,
    },
    /// The service does not encrypt stored objects, or not in the requested way. An object that was
    /// sent in one request is stored with the bucket's own encryption.
    #[error(
        "the S3 service does not encrypt as s3.encryption asks: use one that does, or leave it to the bucket with s3.encryption = \"bucket\""
    )]
    NotEncrypted,
    /// The service has no space left.
    #[error("the S3 service has no space left: free space or raise the quota")]
    Full,
    /// The service reported a server error.
    #[error("the S3 service failed with status {status} ({code})")]
    Server {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: ServiceText,
    },
    /// The service rejected the request for another reason.
    #[error("the S3 service rejected the request with status {status} ({code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: ServiceText,
    },
    /// The response is not one of S3.
    #[error("the server at the endpoint does not speak S3: check the URL")]
    NotS3,
    /// The threads of the client have ended.
    #[error("the S3 client has been shut down")]
    Closed,
}

impl S3Error {
    /// Returns what to do about it.
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
            Self::Occupied | Self::Refused { .. } => Remedy::Skip,
            // A policy can concern a single patient's prefix.
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

    /// Returns the wait that the service asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }
}
