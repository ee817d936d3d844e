//! [`Login`]: a user and the pools to log in to.

use serde_json::{Value, json};

use crate::error::cognito::CognitoError;
use crate::error::s3::S3Error;
use crate::s3::Secret;
use crate::s3::endpoint::check_endpoint;

/// A user pool with its app client, and the identity pool that issues keys to its users.
#[derive(Debug, Clone)]
#[must_use]
pub struct Pools {
    pub(super) user_pool_id: String,
    pub(super) client_id: String,
    pub(super) identity_pool_id: String,
    pub(super) account_id: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    cleartext: bool,
}

impl Pools {
    /// Creates the settings from the ids of a user pool (`<region>_<name>`), of an app client
    /// without a secret that allows `USER_PASSWORD_AUTH`, and of an identity pool.
    pub fn new(
        user_pool_id: impl Into<String>,
        client_id: impl Into<String>,
        identity_pool_id: impl Into<String>,
    ) -> Self {
        Self {
            user_pool_id: user_pool_id.into(),
            client_id: client_id.into(),
            identity_pool_id: identity_pool_id.into(),
            account_id: None,
            region: None,
            endpoint: None,
            cleartext: false,
        }
    }

    /// Sets the AWS account of the identity pool. Optional.
    pub fn with_account_id(self, account: impl Into<String>) -> Self {
        let account_id = Some(account.into());
        Self { account_id, ..self }
    }

    /// Sets the region. Default: the part of the user pool's id before the `_`.
    pub fn with_region(self, region: impl Into<String>) -> Self {
        let region = Some(region.into());
        Self { region, ..self }
    }

    /// Sets the URL of both services. Default: AWS.
    pub fn with_endpoint(self, endpoint: impl Into<String>) -> Self {
        let endpoint = Some(endpoint.into());
        Self { endpoint, ..self }
    }

    /// Allows `http://` to other machines. Then anybody on the network path can read the password.
    pub fn allowing_cleartext(self) -> Self {
        Self {
            cleartext: true,
            ..self
        }
    }

    pub(super) fn region(&self) -> &str {
        let of_pool = || self.user_pool_id.split('_').next().unwrap_or_default();
        self.region.as_deref().unwrap_or_else(of_pool)
    }

    pub(super) fn check(&self) -> Result<(), CognitoError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_:".contains(&b);
        let table = [
            ("region", self.region()),
            ("user pool id", &self.user_pool_id),
            ("app client id", &self.client_id),
            ("identity pool id", &self.identity_pool_id),
        ];
        for (name, value) in table {
            if value.is_empty() || !value.bytes().all(allowed) {
                let problem = "it is empty, or has a character outside A-Z a-z 0-9 - _ :";
                return Err(CognitoError::Setting { name, problem });
            }
        }
        let Some(endpoint) = &self.endpoint else {
            return Ok(());
        };
        check_endpoint(endpoint, self.cleartext).map_err(|error| CognitoError::Setting {
            name: "endpoint",
            problem: match error {
                S3Error::Setting { problem, .. } => problem,
                _ => "it is http:// and not on this machine",
            },
        })
    }

    /// Returns the user's ID token in the form that the identity pool expects.
    pub(super) fn logins(&self, token: &Secret) -> Value {
        let (region, pool) = (self.region(), &self.user_pool_id);
        json!({ format!("cognito-idp.{region}.amazonaws.com/{pool}"): token.expose() })
    }
}

/// A user and the password.
#[derive(Debug, Clone)]
#[must_use]
pub struct Login {
    pub(super) pools: Pools,
    pub(super) username: Secret,
    pub(super) password: Secret,
    pub(super) new_password: Option<Secret>,
}

impl Login {
    /// Creates a login without a new password.
    pub fn new(pools: Pools, username: impl Into<String>, password: Secret) -> Self {
        Self {
            pools,
            username: Secret::new(username.into()),
            password,
            new_password: None,
        }
    }

    /// Sets the new password, used if the pool requires one.
    pub fn with_new_password(self, new: Secret) -> Self {
        let new_password = Some(new);
        Self {
            new_password,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_secrets() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let pools = Pools::new("eu-central-1_x", "client", "eu-central-1:y");
        let login =
            Login::new(pools, "CANARY1", secret("CANARY2")).with_new_password(secret("CANARY3"));
        let shown = format!("{login:?} {login:#?}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    #[test]
    fn invalid_pool_settings_are_refused() {
        let valid = || Pools::new("eu-central-1_x", "client", "eu-central-1:y");
        assert_eq!(valid().check(), Ok(()));
        assert_eq!(valid().region(), "eu-central-1");
        for (pools, wrong) in [
            (Pools::new("", "client", "id"), "region"),
            (Pools::new("r_x", "", "id"), "app client id"),
            (Pools::new("r_x", "client", "a b"), "identity pool id"),
            (valid().with_region("evil.example.org/"), "region"),
            (valid().with_endpoint("http://10.0.0.1"), "endpoint"),
        ] {
            match pools.check() {
                Err(CognitoError::Setting { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
    }
}
