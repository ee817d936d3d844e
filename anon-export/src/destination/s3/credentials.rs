//! [`Credentials`]: where keys come from.

use super::secret::Secret;

/// Keys that were given.
#[derive(Debug, Clone)]
pub struct AccessKeys {
    pub(super) access_key: Secret,
    pub(super) secret_key: Secret,
    pub(super) session_token: Option<Secret>,
}

impl AccessKeys {
    /// An access key and its secret.
    pub fn new(access_key: Secret, secret_key: Secret) -> Self {
        Self {
            access_key,
            secret_key,
            session_token: None,
        }
    }

    /// Sets the token of temporary keys.
    #[must_use]
    pub fn with_session_token(self, token: Secret) -> Self {
        let session_token = Some(token);
        Self {
            session_token,
            ..self
        }
    }
}

/// Where credentials come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// As the tools of AWS find them: environment, profile, web identity, container, instance.
    /// Profiles that want single sign-on are not supported.
    Chain {
        /// The profile; default: `AWS_PROFILE`, or `default`.
        profile: Option<String>,
    },
    /// Keys that were given.
    Keys(AccessKeys),
    /// Those of a Cognito user, renewed before they expire. Keys then have the user's directory in
    /// them.
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
    fn secrets_are_not_shown() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = AccessKeys::new(secret("CANARY1"), secret("CANARY2"))
            .with_session_token(secret("CANARY3"));
        let shown = format!("{:?} {keys:#?}", Credentials::Keys(keys.clone()));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
