//! [`Renewal`]: credentials that a sink renews itself, if it does.

use aws_credential_types::provider::SharedCredentialsProvider;

#[cfg(feature = "cognito")]
use super::cognito::session::{SessionCredentials, UserSession};
use super::config::S3Config;
use super::credentials::Credentials;
use crate::Error;
use crate::error::s3::S3Error;

/// Nothing, or a Cognito user who is logged in.
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
        reason = "without Cognito there is nobody to ask, and nothing to wait for"
    )
)]
impl Renewal {
    /// Logs a Cognito user in, if the settings have one.
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

    /// Nothing to log in to.
    #[cfg(not(feature = "cognito"))]
    pub(super) async fn open(_: &Credentials, _: &S3Config) -> Result<Self, Error> {
        Ok(Self {})
    }

    /// What hands out its credentials.
    pub(super) fn provider(&self) -> Option<SharedCredentialsProvider> {
        #[cfg(feature = "cognito")]
        if let Some(user) = &self.user {
            let user = std::sync::Arc::clone(user);
            return Some(SharedCredentialsProvider::new(SessionCredentials(user)));
        }
        None
    }

    /// The user's directory.
    pub(super) fn directory(&self) -> Option<&str> {
        #[cfg(feature = "cognito")]
        if let Some(user) = &self.user {
            return Some(user.directory());
        }
        None
    }

    /// Sees to it that the credentials last for a request.
    pub(super) async fn renew(&self) -> Result<(), Error> {
        #[cfg(feature = "cognito")]
        if let Some(user) = &self.user {
            user.renew().await?;
        }
        Ok(())
    }

    /// What an error means when the credentials can be renewed.
    pub(super) fn map_expired(&self, error: S3Error) -> S3Error {
        #[cfg(feature = "cognito")]
        if let (S3Error::Expired, Some(user)) = (&error, &self.user) {
            user.expire();
            return S3Error::Renewing;
        }
        error
    }
}
