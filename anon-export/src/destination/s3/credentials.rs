//! [`Credentials`]: the source of access keys.

use super::secret::Secret;

/// An access key and its secret key.
#[derive(Debug, Clone)]
pub struct AccessKeys {
    pub(super) access_key: Secret,
    pub(super) secret_key: Secret,
    pub(super) session_token: Option<Secret>,
}

impl AccessKeys {
    /// Creates keys without a session token.
    pub fn new(access_key: Secret, secret_key: Secret) -> Self {
        Self {
            access_key,
            secret_key,
            session_token: None,
        }
    }

    /// Sets the session token of temporary keys.
    #[must_use]
    pub fn with_session_token(self, token: Secret) -> Self {
        let session_token = Some(token);
        Self {
            session_token,
            ..self
        }
    }
}

/// The source of credentials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// The chain of the AWS tools: environment, profile, web identity, container, instance.
    /// Profiles with single sign-on are not supported.
    Chain {
        /// The profile. Default: `AWS_PROFILE`, or `default`.
        profile: Option<String>,
    },
    /// An access key and its secret key.
    Keys(AccessKeys),
    /// Temporary keys of a Cognito user, renewed before they expire. Object keys then contain the
    /// user's directory.
    #[cfg(feature = "cognito")]
    Cognito(Box<super::cognito::login::Login>),
}

impl Default for Credentials {
    fn default() -> Self {
        Self::Chain { profile: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_secrets() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = AccessKeys::new(secret("CANARY1"), secret("CANARY2"))
            .with_session_token(secret("CANARY3"));
        let shown = format!("{:?} {keys:#?}", Credentials::Keys(keys.clone()));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
