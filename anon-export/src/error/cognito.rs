//! [`CognitoError`]: why a login failed, and what to do about it.

use std::fmt;

use super::s3::ServiceText;
use crate::Remedy;

/// A step of a login: one request to Cognito.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the steps are those of a login")]
pub enum LoginStep {
    /// `InitiateAuth`: exchanges name and password for tokens.
    Authenticate,
    /// `RespondToAuthChallenge`: sets the new password.
    NewPassword,
    /// `GetUser`: returns the user's attributes.
    User,
    /// `GetId`: returns the identity in the identity pool.
    Identity,
    /// `GetCredentialsForIdentity`: returns temporary keys for S3.
    Credentials,
    /// `InitiateAuth`: exchanges the refresh token for new tokens.
    Refresh,
}

impl LoginStep {
    /// Returns the name of the request.
    pub const fn request(self) -> &'static str {
        match self {
            Self::Authenticate | Self::Refresh => "InitiateAuth",
            Self::NewPassword => "RespondToAuthChallenge",
            Self::User => "GetUser",
            Self::Identity => "GetId",
            Self::Credentials => "GetCredentialsForIdentity",
        }
    }

    pub(crate) const fn is_identity_pool(self) -> bool {
        matches!(self, Self::Identity | Self::Credentials)
    }
}

impl fmt::Display for LoginStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.request())
    }
}

/// Why a Cognito login failed. Holds no name, password or token, and of the service's text only
/// [`ServiceText`]s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CognitoError {
    /// A setting is invalid.
    #[error("the Cognito {name} is invalid: {problem}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// What is wrong: a fixed text, never the value.
        problem: &'static str,
    },
    /// The password is wrong. A pool that hides which users exist also returns this for an unknown
    /// user.
    #[error("Cognito rejects the user name or the password: check both")]
    WrongPassword,
    /// The user pool has no such user.
    #[error("the Cognito user pool has no such user: check the user name")]
    UnknownUser,
    /// The user is not confirmed.
    #[error(
        "the Cognito user is not confirmed: confirm the code that was sent, or ask the pool's administrator"
    )]
    NotConfirmed,
    /// The user is disabled.
    #[error("the Cognito user is disabled: ask the pool's administrator")]
    Disabled,
    /// The password must be reset.
    #[error("the Cognito password must be reset: ask the pool's administrator for a new one")]
    PasswordResetRequired,
    /// The temporary password has expired.
    #[error(
        "the temporary Cognito password has expired: ask the pool's administrator for a new one"
    )]
    TemporaryPasswordExpired,
    /// There were too many login attempts.
    #[error(
        "too many login attempts for this Cognito user: wait some minutes, and check the password"
    )]
    TooManyAttempts,
    /// The user must choose a new password, and none was given.
    #[error("Cognito requires a new password for this user: supply one")]
    NewPasswordRequired,
    /// The new password does not fit the pool's policy.
    #[error("Cognito rejects the new password: choose one that the pool's policy allows")]
    NewPasswordRefused,
    /// The user must also supply attributes.
    #[error(
        "Cognito requires more attributes of this user than a new password: ask the pool's administrator"
    )]
    AttributesRequired,
    /// Cognito demands an unsupported challenge, such as a second factor.
    #[error("Cognito demands {challenge}, which is not supported: turn it off for this user")]
    Challenge {
        /// The service's name for it.
        challenge: ServiceText,
    },
    /// Cognito does not know the app client.
    #[error("Cognito does not know the app client: check its id and the region")]
    UnknownClient,
    /// The app client has a secret.
    #[error("the Cognito app client has a secret: use one without")]
    ClientHasSecret,
    /// The app client does not allow the flow.
    #[error("the Cognito app client does not allow USER_PASSWORD_AUTH: enable that flow")]
    FlowNotEnabled,
    /// Cognito does not know the identity pool.
    #[error("Cognito does not know the identity pool: check its id and the region")]
    UnknownIdentityPool,
    /// The identity pool does not accept tokens of the user pool.
    #[error(
        "the Cognito identity pool does not accept this user pool: check both ids, and the pool's providers"
    )]
    LoginNotAccepted,
    /// The identity has no role.
    #[error(
        "the Cognito identity has no role: give the identity pool a role for authenticated users"
    )]
    NoRole,
    /// The attributes contain no `sub`, which names the user's directory.
    #[error("Cognito does not return the user's sub: allow the app client to read it")]
    NoSub,
    /// The `sub` cannot be part of a key.
    #[error(
        "the Cognito user's sub cannot be part of an object name: ask the pool's administrator"
    )]
    InvalidSub,
    /// A response lacks a field.
    #[error("the response of Cognito's {step} lacks {what}: check the endpoint")]
    IncompleteResponse {
        /// The step.
        step: LoginStep,
        /// The missing field.
        what: &'static str,
    },
    /// The session cannot be renewed.
    #[error("the Cognito session has ended and cannot be renewed: log in again")]
    SessionEnded,
    /// Cognito throttles requests.
    #[error("Cognito throttles requests: try again later")]
    Throttled,
    /// No connection could be made.
    #[error("Cognito cannot be reached: check the region and the network")]
    Unreachable,
    /// TLS failed or the certificate is not trusted.
    #[error(
        "the certificate of the Cognito endpoint is not trusted, or the endpoint does not use TLS: add the certificate of its authority to s3.authorities"
    )]
    Tls,
    /// No response arrived in time.
    #[error("Cognito did not respond in time: try again later")]
    Stalled,
    /// Cognito reported a server error.
    #[error("Cognito's {step} failed with status {status} ({code}): try again later")]
    Server {
        /// The step.
        step: LoginStep,
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: ServiceText,
    },
    /// Cognito rejected the request for another reason.
    #[error("Cognito rejected {step} with status {status} ({code})")]
    Refused {
        /// The step.
        step: LoginStep,
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: ServiceText,
    },
    /// The response is not one of Cognito.
    #[error("the response to {step} is not one of Cognito: check the endpoint")]
    NotCognito {
        /// The step.
        step: LoginStep,
    },
}

impl CognitoError {
    /// Returns what to do about it: [`Remedy::Retry`] or [`Remedy::Stop`].
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Throttled | Self::Unreachable | Self::Stalled | Self::Server { .. } => {
                Remedy::Retry
            }
            _ => Remedy::Stop,
        }
    }
}

/// Classifies an error response. The message is inspected where a code has more than one meaning,
/// and is not kept.
pub(crate) fn classify(step: LoginStep, status: u16, code: &str, message: &str) -> CognitoError {
    let says = |words: &str| message.contains(words);
    let service_code = || ServiceText::new(code);
    match code {
        "NotAuthorizedException" => match step {
            _ if says("disabled") => CognitoError::Disabled,
            _ if says("Temporary password has expired") => CognitoError::TemporaryPasswordExpired,
            _ if says("attempts exceeded") => CognitoError::TooManyAttempts,
            _ if says("secret") => CognitoError::ClientHasSecret,
            LoginStep::Authenticate => CognitoError::WrongPassword,
            LoginStep::Identity | LoginStep::Credentials => CognitoError::LoginNotAccepted,
            LoginStep::NewPassword | LoginStep::User | LoginStep::Refresh => {
                CognitoError::SessionEnded
            }
        },
        "UserNotFoundException" => CognitoError::UnknownUser,
        "UserNotConfirmedException" => CognitoError::NotConfirmed,
        "PasswordResetRequiredException" => CognitoError::PasswordResetRequired,
        "InvalidPasswordException" | "PasswordHistoryPolicyViolationException" => {
            CognitoError::NewPasswordRefused
        }
        "ResourceNotFoundException" if step.is_identity_pool() => CognitoError::UnknownIdentityPool,
        "ResourceNotFoundException" => CognitoError::UnknownClient,
        "InvalidParameterException" if says("flow not enabled") => CognitoError::FlowNotEnabled,
        "InvalidParameterException" if says("SECRET_HASH") => CognitoError::ClientHasSecret,
        "InvalidParameterException" if step == LoginStep::NewPassword && says("ttribute") => {
            CognitoError::AttributesRequired
        }
        "InvalidIdentityPoolConfigurationException" => CognitoError::NoRole,
        "TooManyFailedAttemptsException" => CognitoError::TooManyAttempts,
        "TooManyRequestsException"
        | "LimitExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "SlowDown" => CognitoError::Throttled,
        _ => match status {
            429 | 503 => CognitoError::Throttled,
            500.. => CognitoError::Server {
                step,
                status,
                code: service_code(),
            },
            _ if code.is_empty() => CognitoError::NotCognito { step },
            _ => CognitoError::Refused {
                step,
                status,
                code: service_code(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn error_responses_are_classified() {
        use CognitoError as E;
        let auth = LoginStep::Authenticate;
        let not_authorized = "NotAuthorizedException";
        let invalid_parameter = "InvalidParameterException";
        for (step, status, code, message, expected) in [
            (
                auth,
                400,
                not_authorized,
                "Incorrect username or password.",
                E::WrongPassword,
            ),
            (auth, 400, not_authorized, "User is disabled.", E::Disabled),
            (
                auth,
                400,
                not_authorized,
                "Temporary password has expired and must be reset by an administrator.",
                E::TemporaryPasswordExpired,
            ),
            (
                auth,
                400,
                not_authorized,
                "Password attempts exceeded",
                E::TooManyAttempts,
            ),
            (
                auth,
                400,
                not_authorized,
                "Unable to verify secret hash for client 1",
                E::ClientHasSecret,
            ),
            (
                LoginStep::Refresh,
                400,
                not_authorized,
                "Refresh Token has expired",
                E::SessionEnded,
            ),
            (
                LoginStep::Identity,
                400,
                not_authorized,
                "Invalid login token.",
                E::LoginNotAccepted,
            ),
            (auth, 400, "UserNotFoundException", "", E::UnknownUser),
            (auth, 400, "UserNotConfirmedException", "", E::NotConfirmed),
            (
                auth,
                400,
                "PasswordResetRequiredException",
                "",
                E::PasswordResetRequired,
            ),
            (auth, 400, "ResourceNotFoundException", "", E::UnknownClient),
            (
                LoginStep::Identity,
                400,
                "ResourceNotFoundException",
                "",
                E::UnknownIdentityPool,
            ),
            (
                auth,
                400,
                invalid_parameter,
                "USER_PASSWORD_AUTH flow not enabled for this client",
                E::FlowNotEnabled,
            ),
            (
                LoginStep::NewPassword,
                400,
                "InvalidPasswordException",
                "",
                E::NewPasswordRefused,
            ),
            (
                LoginStep::NewPassword,
                400,
                invalid_parameter,
                "Invalid attributes given, name is missing",
                E::AttributesRequired,
            ),
            (
                LoginStep::Credentials,
                400,
                "InvalidIdentityPoolConfigurationException",
                "",
                E::NoRole,
            ),
            (auth, 400, "TooManyRequestsException", "", E::Throttled),
            (auth, 503, "", "", E::Throttled),
            (
                auth,
                500,
                "InternalErrorException",
                "",
                E::Server {
                    step: auth,
                    status: 500,
                    code: ServiceText::new("InternalErrorException"),
                },
            ),
            (
                auth,
                400,
                "UnexpectedLambdaException",
                "Jane Doe",
                E::Refused {
                    step: auth,
                    status: 400,
                    code: ServiceText::new("UnexpectedLambdaException"),
                },
            ),
            (auth, 404, "", "<html>", E::NotCognito { step: auth }),
        ] {
            assert_eq!(
                classify(step, status, code, message),
                expected,
                "{step} {code}"
            );
        }
    }
}
