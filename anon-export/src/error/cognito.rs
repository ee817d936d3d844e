//! [`CognitoError`]: why a user cannot be logged in, and what to do about it.

use std::fmt;

use super::s3::ServiceText;
use crate::Remedy;

/// A step of a login: the request of Cognito that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the steps are those of a login")]
pub enum LoginStep {
    /// `InitiateAuth`: name and password for tokens.
    Authenticate,
    /// `RespondToAuthChallenge`: the new password.
    NewPassword,
    /// `GetUser`: who it is.
    User,
    /// `GetId`: the identity in the identity pool.
    Identity,
    /// `GetCredentialsForIdentity`: keys for S3.
    Credentials,
    /// `InitiateAuth` with the refresh token.
    Refresh,
}

impl LoginStep {
    /// The name of the request.
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

/// Why a Cognito user cannot be logged in. Holds no name, no password, no token, and no text of the
/// service but a [`ServiceText`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CognitoError {
    /// A setting cannot be used.
    #[error("the Cognito {name} cannot be used: {problem}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong, in words of ours.
        problem: &'static str,
    },
    /// The password is wrong; pools that hide who is in them say so of an unknown name, too.
    #[error("Cognito refuses the user name or the password: check both")]
    WrongPassword,
    /// No such user.
    #[error("the Cognito user pool has no such user: check the user name")]
    UnknownUser,
    /// Not confirmed.
    #[error(
        "the Cognito user is not confirmed: confirm the code that was sent, or ask the pool's administrator"
    )]
    NotConfirmed,
    /// Disabled.
    #[error("the Cognito user is disabled: ask the pool's administrator")]
    Disabled,
    /// The password must be reset.
    #[error("the Cognito password must be reset: ask the pool's administrator for a new one")]
    PasswordResetRequired,
    /// A temporary password is too old.
    #[error(
        "the temporary Cognito password has expired: ask the pool's administrator for a new one"
    )]
    TemporaryPasswordExpired,
    /// Too many attempts.
    #[error(
        "Cognito has seen too many attempts for this user: wait some minutes, and check the password"
    )]
    TooManyAttempts,
    /// A new password is wanted, and none was given.
    #[error("Cognito wants a new password for this user: give one")]
    NewPasswordRequired,
    /// The new password does not fit the pool's policy.
    #[error("Cognito refuses the new password: choose one that the pool's policy allows")]
    NewPasswordRefused,
    /// Attributes are wanted beside the new password.
    #[error("Cognito wants more about this user than a new password: ask the pool's administrator")]
    AttributesRequired,
    /// Something else is wanted: a second factor, say.
    #[error(
        "Cognito asks for {challenge}, which cannot be answered here: turn it off for this user"
    )]
    Challenge {
        /// What the service calls it.
        challenge: ServiceText,
    },
    /// The app client is not known.
    #[error("Cognito does not know the app client: check its id and the region")]
    UnknownClient,
    /// The app client has a secret.
    #[error("the Cognito app client has a secret: use one without")]
    ClientHasSecret,
    /// The app client does not allow the flow.
    #[error("the Cognito app client does not allow USER_PASSWORD_AUTH: enable that flow")]
    FlowNotEnabled,
    /// The identity pool is not known.
    #[error("Cognito does not know the identity pool: check its id and the region")]
    UnknownIdentityPool,
    /// The identity pool does not take the user pool's word.
    #[error(
        "the Cognito identity pool does not accept this user pool: check both ids, and the pool's providers"
    )]
    LoginNotAccepted,
    /// The identity has no role.
    #[error(
        "the Cognito identity has no role: give the identity pool a role for authenticated users"
    )]
    NoRole,
    /// No `sub` among the attributes: keys would have no directory.
    #[error("Cognito does not tell the user's sub: let the app client read it")]
    NoSub,
    /// The `sub` cannot be part of a key.
    #[error("the user's sub cannot be part of a key")]
    InvalidSub,
    /// An answer lacks something.
    #[error("the answer of Cognito's {step} lacks {what}")]
    IncompleteResponse {
        /// The step.
        step: LoginStep,
        /// What it lacks.
        what: &'static str,
    },
    /// The session cannot be renewed.
    #[error("the Cognito session is over and cannot be renewed: log in again")]
    SessionEnded,
    /// The service wants fewer requests.
    #[error("Cognito asks for fewer requests; it can be tried again later")]
    Throttled,
    /// No connection.
    #[error("Cognito cannot be reached: check the region and the network")]
    Unreachable,
    /// No trust.
    #[error(
        "Cognito, or what answers for it, shows a certificate that is not trusted here, or does not speak TLS: name the certificate of its authority in s3.authorities"
    )]
    Tls,
    /// No answer.
    #[error("Cognito did not answer in time")]
    Stalled,
    /// The service failed.
    #[error("Cognito's {step} failed with status {status} ({code})")]
    Server {
        /// The step.
        step: LoginStep,
        /// HTTP status.
        status: u16,
        /// The service's word.
        code: ServiceText,
    },
    /// The service refuses for another reason.
    #[error("Cognito's {step} refuses with status {status} ({code})")]
    Refused {
        /// The step.
        step: LoginStep,
        /// HTTP status.
        status: u16,
        /// The service's word.
        code: ServiceText,
    },
    /// What answers is not Cognito.
    #[error("what answers {step} is not Cognito: check the endpoint")]
    NotCognito {
        /// The step.
        step: LoginStep,
    },
}

impl CognitoError {
    /// What to do about it: [`Remedy::Retry`] or [`Remedy::Stop`].
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Throttled | Self::Unreachable | Self::Stalled | Self::Server { .. } => {
                Remedy::Retry
            }
            _ => Remedy::Stop,
        }
    }
}

/// The error of a refusal. Messages are looked at where a code has more than one meaning, and not kept.
pub(crate) fn refusal(step: LoginStep, status: u16, code: &str, message: &str) -> CognitoError {
    let says = |words: &str| message.contains(words);
    let word = || ServiceText::new(code);
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
                code: word(),
            },
            _ if code.is_empty() => CognitoError::NotCognito { step },
            _ => CognitoError::Refused {
                step,
                status,
                code: word(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn refusals_are_told_apart() {
        use CognitoError as E;
        let auth = LoginStep::Authenticate;
        let no = "NotAuthorizedException";
        let odd = "InvalidParameterException";
        for (step, status, code, message, wanted) in [
            (
                auth,
                400,
                no,
                "Incorrect username or password.",
                E::WrongPassword,
            ),
            (auth, 400, no, "User is disabled.", E::Disabled),
            (
                auth,
                400,
                no,
                "Temporary password has expired and must be reset by an administrator.",
                E::TemporaryPasswordExpired,
            ),
            (
                auth,
                400,
                no,
                "Password attempts exceeded",
                E::TooManyAttempts,
            ),
            (
                auth,
                400,
                no,
                "Unable to verify secret hash for client 1",
                E::ClientHasSecret,
            ),
            (
                LoginStep::Refresh,
                400,
                no,
                "Refresh Token has expired",
                E::SessionEnded,
            ),
            (
                LoginStep::Identity,
                400,
                no,
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
                odd,
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
                odd,
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
                refusal(step, status, code, message),
                wanted,
                "{step} {code}"
            );
        }
    }
}
