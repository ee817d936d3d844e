//! [`Renewal`]: renews the credentials of a Cognito user.

use aws_credential_types::provider::SharedCredentialsProvider;

#[cfg(feature = "cognito")]
use super::cognito::session::{SessionCredentials, UserSession};
use super::config::S3Config;
use super::credentials::Credentials;
use crate::Error;
use crate::error::s3::S3Error;

/// The session of a Cognito user, or nothing.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    #[cfg(feature = "cognito")]
    user: Option<std::sync::Arc<UserSession>>,
}

#[cfg_attr(
    not(feature = "cognito"),
    expect(
        clippy::unused_self,
        clippy::unused_async,
        reason = "without Cognito there is nothing to renew"
    )
)]
impl Renewal {
    /// Logs the Cognito user in, if there is one in the settings.
    #[cfg(feature = "cognito")]
    pub(super) async fn open(credentials: &Credentials, config: &S3Config) -> Result<Self, Error> {
        let user = match credentials {
            Credentials::Cognito(login) => {
                Some(std::sync::Arc::new(UserSession::open(login, config).await?))
            }
            _ => None,
        };
        Ok(Self { user })
    }

    /// Does nothing: this build has no Cognito.
    #[cfg(not(feature = "cognito"))]
    pub(super) async fn open(_: &Credentials, _: &S3Config) -> Result<Self, Error> {
        Ok(Self {})
    }

    /// Returns the provider of the renewed credentials.
    pub(super) fn provider(&self) -> Option<SharedCredentialsProvider> {
        #[cfg(feature = "cognito")]
        if let Some(user) = &self.user {
            let user = std::sync::Arc::clone(user);
            return Some(SharedCredentialsProvider::new(SessionCredentials(user)));
        }
        None
    }

    /// Returns the user's directory.
    pub(super) fn directory(&self) -> Option<&str> {
        #[cfg(feature = "cognito")]
        if let Some(user) = &self.user {
            return Some(user.directory());
        }
        None
    }

    /// Renews the credentials if they expire soon.
    pub(super) async fn renew(&self) -> Result<(), Error> {
        #[cfg(feature = "cognito")]
        if let Some(user) = &self.user {
            user.renew().await?;
        }
        Ok(())
    }

    /// Replaces an expiry error by [`S3Error::Renewing`] if the credentials can be renewed.
    pub(super) fn map_expired(&self, error: S3Error) -> S3Error {
        #[cfg(feature = "cognito")]
        if let (S3Error::Expired, Some(user)) = (&error, &self.user) {
            user.expire();
            return S3Error::Renewing;
        }
        error
    }
}
