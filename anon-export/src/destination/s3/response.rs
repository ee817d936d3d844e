//! Maps errors of the SDK to [`S3Error`].

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::stall::RequestStalled;
use crate::error::s3::{S3Error, ServiceText};

/// Maps the error of a request. `action` is its name in IAM policies.
pub(super) fn error_of<E>(error: &SdkError<E, HttpResponse>, action: &'static str) -> S3Error
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    if let Some(error) = credentials_error(error) {
        return error;
    }
    match error {
        SdkError::ServiceError(refused) => {
            let response = refused.raw();
            let code = refused.err().code().unwrap_or_default();
            classify(code, &ResponseHeaders::of(response), action)
        }
        SdkError::TimeoutError(_) => S3Error::Stalled,
        SdkError::DispatchFailure(_) if is_stalled(error) => S3Error::Stalled,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => S3Error::Unreachable,
        SdkError::DispatchFailure(_) => connection_error(error),
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            match io_kind(error) {
                Some(_) => S3Error::Broken,
                None if status >= 500 => S3Error::Server {
                    status,
                    code: ServiceText::default(),
                },
                None => S3Error::NotS3,
            }
        }
        // The request could not be built: a setting is invalid that `S3Config::check` does not
        // check.
        _ => S3Error::Setting {
            name: "settings",
            problem: "no request can be built from them",
        },
    }
}

/// The headers of a response that matter here.
struct ResponseHeaders {
    status: u16,
    region: ServiceText,
    retry_after: Option<Duration>,
}

impl ResponseHeaders {
    fn of(response: &HttpResponse) -> Self {
        let header = |name| response.headers().get(name);
        Self {
            status: response.status().as_u16(),
            region: ServiceText::new(header("x-amz-bucket-region").unwrap_or_default()),
            retry_after: header("retry-after")
                .and_then(|value| value.trim().parse().ok())
                .map(Duration::from_secs),
        }
    }
}

fn classify(code: &str, headers: &ResponseHeaders, action: &'static str) -> S3Error {
    let status = headers.status;
    let service_code = || ServiceText::new(code);
    match code {
        "InvalidAccessKeyId" | "InvalidAccessKey" | "NotSignedUp" => S3Error::UnknownKey,
        "SignatureDoesNotMatch" => S3Error::WrongSecret,
        "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" | "ExpiredTokenException" => {
            S3Error::Expired
        }
        "NoSuchBucket" => S3Error::NoBucket,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => S3Error::Denied { action },
        "RequestTimeTooSkewed" | "RequestExpired" => S3Error::ClockSkew,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => S3Error::WrongRegion {
            region: headers.region.clone(),
        },
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "ServiceUnavailable" => S3Error::Throttled {
            retry_after: headers.retry_after,
        },
        "PreconditionFailed" => S3Error::Occupied,
        "RequestTimeout" => S3Error::Stalled,
        "IncompleteBody" => S3Error::Broken,
        "NoSuchUpload" => S3Error::UploadGone,
        "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => {
            S3Error::Corrupt {
                what: "checksum on arrival",
            }
        }
        "NotImplemented" | "InvalidDigest" => S3Error::Unsupported {
            code: service_code(),
        },
        // `CompleteMultipartUpload` may return the first with a success status. The second: a request of
        // another program for the same name is in progress.
        "InternalError" | "ConditionalRequestConflict" => S3Error::Server {
            status,
            code: service_code(),
        },
        "QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull" => S3Error::Full,
        _ if code.starts_with("KMS.") => S3Error::Encryption {
            code: service_code(),
        },
        _ => classify_status(code, headers, action),
    }
}

/// For a code that says nothing here.
fn classify_status(code: &str, headers: &ResponseHeaders, action: &'static str) -> S3Error {
    let status = headers.status;
    let service_code = || ServiceText::new(code);
    match status {
        301 | 307 => S3Error::WrongRegion {
            region: headers.region.clone(),
        },
        403 => S3Error::Denied { action },
        412 => S3Error::Occupied,
        429 | 503 => S3Error::Throttled {
            retry_after: headers.retry_after,
        },
        507 => S3Error::Full,
        500.. => S3Error::Server {
            status,
            code: service_code(),
        },
        // Without an error code the response comes from another kind of server.
        _ if code.is_empty() => S3Error::NotS3,
        _ => S3Error::Refused {
            status,
            code: service_code(),
        },
    }
}

/// Finds an error of the credentials source inside the error of the SDK.
fn credentials_error(error: &(dyn StdError + 'static)) -> Option<S3Error> {
    let error = chain(error).find_map(|it| it.downcast_ref::<CredentialsError>())?;
    // The layers of a credentials chain are credentials errors too. The innermost one has the
    // cause.
    if let Some(cause) = error.source().and_then(|it| {
        it.downcast_ref::<S3Error>()
            .cloned()
            .or_else(|| credentials_error(it))
    }) {
        return Some(cause);
    }
    Some(match error {
        CredentialsError::CredentialsNotLoaded(_) => S3Error::NoCredentials,
        CredentialsError::ProviderTimedOut(_) => S3Error::Stalled,
        CredentialsError::InvalidConfiguration(_) => S3Error::Credentials {
            problem: "the profile or the environment cannot be used",
        },
        CredentialsError::ProviderError(_) => S3Error::Credentials {
            problem: "it returned an error",
        },
        _ => S3Error::Credentials {
            problem: "it gave no reason",
        },
    })
}

fn connection_error(error: &(dyn StdError + 'static)) -> S3Error {
    let Some(kind) = io_kind(error) else {
        return S3Error::Broken;
    };
    match kind {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => S3Error::Broken,
        io::ErrorKind::TimedOut => S3Error::Stalled,
        io::ErrorKind::InvalidData => S3Error::Tls,
        // Connection refused, no route, unknown host.
        _ => S3Error::Unreachable,
    }
}

/// Returns the kind of the innermost I/O or TLS error. A wrapping `io::Error` has the kind `Other`.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let errors = chain(error).filter_map(|it| it.downcast_ref::<io::Error>());
    let mut kinds = errors.map(io::Error::kind).peekable();
    let first = kinds.peek().copied();
    kinds.find(|kind| *kind != io::ErrorKind::Other).or(first)
}

/// Returns whether the connection was made but TLS failed.
#[cfg(feature = "cognito")]
pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    connection_error(error) == S3Error::Tls
}

/// Returns whether the stall detector ended the request. Other timeouts of a connection happen
/// while it is opened.
fn is_stalled(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(<dyn StdError>::is::<RequestStalled>)
}

fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&it| match it.downcast_ref::<io::Error>() {
        // `io::Error::source` skips the wrapped error.
        Some(io) => io.get_ref().map(|it| it as &(dyn StdError + 'static)),
        None => it.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, status: u16) -> S3Error {
        let headers = ResponseHeaders {
            status,
            region: ServiceText::new("eu-central-1"),
            retry_after: Some(Duration::from_secs(7)),
        };
        classify(code, &headers, "s3:PutObject")
    }

    #[test]
    fn error_responses_are_classified() {
        let action = "s3:PutObject";
        let retry_after = Some(Duration::from_secs(7));
        let region = ServiceText::new("eu-central-1");
        let text = ServiceText::new;
        for (code, status, expected) in [
            ("InvalidAccessKeyId", 403, S3Error::UnknownKey),
            ("SignatureDoesNotMatch", 403, S3Error::WrongSecret),
            ("ExpiredToken", 400, S3Error::Expired),
            ("NoSuchBucket", 404, S3Error::NoBucket),
            ("AccessDenied", 403, S3Error::Denied { action }),
            ("", 403, S3Error::Denied { action }),
            ("RequestTimeTooSkewed", 403, S3Error::ClockSkew),
            (
                "PermanentRedirect",
                301,
                S3Error::WrongRegion {
                    region: region.clone(),
                },
            ),
            (
                "",
                301,
                S3Error::WrongRegion {
                    region: region.clone(),
                },
            ),
            (
                "AuthorizationHeaderMalformed",
                400,
                S3Error::WrongRegion { region },
            ),
            ("SlowDown", 503, S3Error::Throttled { retry_after }),
            ("", 503, S3Error::Throttled { retry_after }),
            ("", 429, S3Error::Throttled { retry_after }),
            ("RequestTimeout", 400, S3Error::Stalled),
            ("PreconditionFailed", 412, S3Error::Occupied),
            ("", 412, S3Error::Occupied),
            (
                "ConditionalRequestConflict",
                409,
                S3Error::Server {
                    status: 409,
                    code: text("ConditionalRequestConflict"),
                },
            ),
            ("NoSuchUpload", 404, S3Error::UploadGone),
            (
                "BadDigest",
                400,
                S3Error::Corrupt {
                    what: "checksum on arrival",
                },
            ),
            (
                "NotImplemented",
                501,
                S3Error::Unsupported {
                    code: text("NotImplemented"),
                },
            ),
            (
                "KMS.DisabledException",
                400,
                S3Error::Encryption {
                    code: text("KMS.DisabledException"),
                },
            ),
            ("QuotaExceeded", 403, S3Error::Full),
            ("", 507, S3Error::Full),
            (
                "InternalError",
                500,
                S3Error::Server {
                    status: 500,
                    code: text("InternalError"),
                },
            ),
            (
                "InternalError",
                200,
                S3Error::Server {
                    status: 200,
                    code: text("InternalError"),
                },
            ),
            (
                "EntityTooLarge",
                400,
                S3Error::Refused {
                    status: 400,
                    code: text("EntityTooLarge"),
                },
            ),
            ("", 404, S3Error::NotS3),
        ] {
            assert_eq!(refused(code, status), expected, "{code} {status}");
        }
    }

    #[test]
    fn invalid_service_texts_become_empty() {
        let S3Error::Refused { code, .. } = refused("<b>Jane Doe</b>", 400) else {
            panic!("another error");
        };
        assert_eq!(code.as_str(), "");
        assert_eq!(ServiceText::new(&"x".repeat(65)).as_str(), "");
    }
}
