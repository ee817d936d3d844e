//! [`UserSession`]: a logged-in Cognito user with renewed keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::client::CognitoClient;
use super::login::{Login, Pools};
use crate::error::cognito::{CognitoError, LoginStep};
use crate::error::s3::ServiceText;
use crate::s3::{S3Config, Secret};

/// Keys are renewed when less than this, or less than half of their lifetime, is left.
const MARGIN: Duration = Duration::from_mins(10);

/// An ID token is not used when less than this of its lifetime is left.
const TOKEN_MARGIN: Duration = Duration::from_mins(1);

/// A logged-in user.
#[derive(Debug)]
pub(crate) struct UserSession {
    service: CognitoClient,
    pools: Pools,
    directory: String,
    identity: String,
    refresh: Option<Secret>,
    token: Mutex<IdToken>,
    keys: RwLock<TemporaryKeys>,
    rejected: AtomicBool,
}

#[derive(Debug)]
struct IdToken {
    token: Secret,
    until: SystemTime,
}

#[derive(Debug)]
struct TemporaryKeys {
    given: Credentials,
    renew_at: SystemTime,
    until: SystemTime,
}

/// Provides the keys of a session.
#[derive(Debug)]
pub(crate) struct SessionCredentials(pub(crate) Arc<UserSession>);

impl ProvideCredentials for SessionCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        future::ProvideCredentials::ready(Ok(keys.given.clone()))
    }
}

/// The tokens of a successful login.
struct Tokens {
    id: IdToken,
    access: Secret,
    refresh: Option<Secret>,
}

impl UserSession {
    /// Logs in, with at most five requests.
    pub(crate) async fn open(login: &Login, config: &S3Config) -> Result<Self, CognitoError> {
        let pools = login.pools.clone();
        pools.check()?;
        let service = CognitoClient::new(pools.region(), pools.endpoint.as_deref(), config)?;
        let tokens = authenticate(&service, login).await?;
        let directory = directory(&service, &tokens.access).await?;
        let identity = identity(&service, &pools, &tokens.id.token).await?;
        let keys = keys(&service, &pools, &identity, &tokens.id.token).await?;
        tracing::info!("logged in to Cognito");
        Ok(Self {
            service,
            pools,
            directory,
            identity,
            refresh: tokens.refresh,
            token: Mutex::new(tokens.id),
            keys: RwLock::new(keys),
            rejected: AtomicBool::new(false),
        })
    }

    /// Returns the user's directory, which is named by the `sub`.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    /// Marks the keys as rejected, so that they are renewed before the next request.
    pub(crate) fn expire(&self) {
        self.rejected.store(true, Ordering::Relaxed);
    }

    fn needs_renewal(&self) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        self.rejected.load(Ordering::Relaxed) || now() >= keys.renew_at
    }

    fn is_valid(&self) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        !self.rejected.load(Ordering::Relaxed) && now() < keys.until
    }

    /// Renews the keys if they expire soon. One request renews them while the others wait.
    pub(crate) async fn renew(&self) -> Result<(), CognitoError> {
        if !self.needs_renewal() {
            return Ok(());
        }
        let mut token = self.token.lock().await;
        if !self.needs_renewal() {
            return Ok(());
        }
        match self.request_keys(&mut token).await {
            Ok(keys) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
                self.rejected.store(false, Ordering::Relaxed);
                tracing::debug!("renewed the keys of the Cognito user");
                Ok(())
            }
            // The keys are still valid: the next request tries again.
            Err(error) if self.is_valid() => {
                tracing::warn!(%error, "cannot renew the keys of the Cognito user yet");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn request_keys(&self, token: &mut IdToken) -> Result<TemporaryKeys, CognitoError> {
        if now() + TOKEN_MARGIN >= token.until {
            *token = self.refresh_token().await?;
        }
        match keys(&self.service, &self.pools, &self.identity, &token.token).await {
            // The token was revoked, or the clocks differ.
            Err(CognitoError::LoginNotAccepted) => {
                *token = self.refresh_token().await?;
                keys(&self.service, &self.pools, &self.identity, &token.token).await
            }
            other => other,
        }
    }

    async fn refresh_token(&self) -> Result<IdToken, CognitoError> {
        let refresh = self.refresh.as_ref().ok_or(CognitoError::SessionEnded)?;
        let request = json!({
            "ClientId": self.pools.client_id,
            "AuthFlow": "REFRESH_TOKEN_AUTH",
            "AuthParameters": { "REFRESH_TOKEN": refresh.expose() },
        });
        let mut response = self.service.call(LoginStep::Refresh, request).await?;
        Ok(tokens(LoginStep::Refresh, &mut response)?.id)
    }
}

async fn authenticate(service: &CognitoClient, login: &Login) -> Result<Tokens, CognitoError> {
    let request = json!({
        "ClientId": login.pools.client_id,
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {
            "USERNAME": login.username.expose(),
            "PASSWORD": login.password.expose(),
        },
    });
    let mut response = service.call(LoginStep::Authenticate, request).await?;
    match challenge(&response).as_deref() {
        None => tokens(LoginStep::Authenticate, &mut response),
        Some("NEW_PASSWORD_REQUIRED") => new_password(service, login, &mut response).await,
        Some(name) => Err(unsupported_challenge(name)),
    }
}

async fn new_password(
    service: &CognitoClient,
    login: &Login,
    challenged: &mut Value,
) -> Result<Tokens, CognitoError> {
    let step = LoginStep::NewPassword;
    let new = login.new_password.as_ref();
    let new = new.ok_or(CognitoError::NewPasswordRequired)?;
    let session = secret(challenged, "Session").ok_or(CognitoError::IncompleteResponse {
        step: LoginStep::Authenticate,
        what: "the session",
    })?;
    let request = json!({
        "ClientId": login.pools.client_id,
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": session.expose(),
        "ChallengeResponses": {
            "USERNAME": login.username.expose(),
            "NEW_PASSWORD": new.expose(),
        },
    });
    let mut response = service.call(step, request).await?;
    match challenge(&response) {
        None => tokens(step, &mut response),
        Some(name) => Err(unsupported_challenge(&name)),
    }
}

fn challenge(response: &Value) -> Option<String> {
    let name = response.get("ChallengeName")?.as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn unsupported_challenge(challenge: &str) -> CognitoError {
    let challenge = ServiceText::new(challenge);
    CognitoError::Challenge { challenge }
}

fn tokens(step: LoginStep, response: &mut Value) -> Result<Tokens, CognitoError> {
    let lacks = |what| CognitoError::IncompleteResponse { step, what };
    let result = response.get_mut("AuthenticationResult");
    let result = result.ok_or_else(|| lacks("the result"))?;
    let seconds = result.get("ExpiresIn").and_then(Value::as_u64);
    // Five minutes is the shortest lifetime that a pool can have.
    let lasts = Duration::from_secs(seconds.unwrap_or(300));
    Ok(Tokens {
        id: IdToken {
            token: secret(result, "IdToken").ok_or_else(|| lacks("the ID token"))?,
            until: now() + lasts,
        },
        access: secret(result, "AccessToken").ok_or_else(|| lacks("the access token"))?,
        refresh: secret(result, "RefreshToken"),
    })
}

/// Returns the user's `sub`. Attributes have no fixed order.
async fn directory(service: &CognitoClient, access: &Secret) -> Result<String, CognitoError> {
    let request = json!({ "AccessToken": access.expose() });
    let response = service.call(LoginStep::User, request).await?;
    let attributes = response.get("UserAttributes").and_then(Value::as_array);
    let attributes = attributes.ok_or(CognitoError::IncompleteResponse {
        step: LoginStep::User,
        what: "the attributes",
    })?;
    let text = |attribute: &Value, name| {
        let value = attribute.get(name)?;
        Some(value.as_str()?.to_owned())
    };
    let sub = attributes
        .iter()
        .find(|attribute| text(attribute, "Name").as_deref() == Some("sub"))
        .and_then(|attribute| text(attribute, "Value"))
        .ok_or(CognitoError::NoSub)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if (1..=64).contains(&sub.len()) && sub.bytes().all(allowed) {
        Ok(sub)
    } else {
        Err(CognitoError::InvalidSub)
    }
}

async fn identity(
    service: &CognitoClient,
    pools: &Pools,
    token: &Secret,
) -> Result<String, CognitoError> {
    let mut request = json!({
        "IdentityPoolId": pools.identity_pool_id,
        "Logins": pools.logins(token),
    });
    if let (Some(account), Some(request)) = (&pools.account_id, request.as_object_mut()) {
        request.insert("AccountId".to_owned(), Value::String(account.clone()));
    }
    let response = service.call(LoginStep::Identity, request).await?;
    let id = response.get("IdentityId").and_then(Value::as_str);
    id.map(str::to_owned)
        .ok_or(CognitoError::IncompleteResponse {
            step: LoginStep::Identity,
            what: "the identity",
        })
}

async fn keys(
    service: &CognitoClient,
    pools: &Pools,
    identity: &str,
    token: &Secret,
) -> Result<TemporaryKeys, CognitoError> {
    let step = LoginStep::Credentials;
    let lacks = |what| CognitoError::IncompleteResponse { step, what };
    let request = json!({ "IdentityId": identity, "Logins": pools.logins(token) });
    let mut response = service.call(step, request).await?;
    let found = response.get_mut("Credentials");
    let found = found.ok_or_else(|| lacks("the credentials"))?;
    let seconds = found.get("Expiration").and_then(Value::as_f64);
    let seconds = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
    let until = seconds
        .and_then(|it| SystemTime::UNIX_EPOCH.checked_add(it))
        .ok_or_else(|| lacks("the expiration"))?;
    let mut part = |name, what| secret(found, name).ok_or_else(|| lacks(what));
    let access = part("AccessKeyId", "the access key")?;
    let key = part("SecretKey", "the secret key")?;
    let token = part("SessionToken", "the session token")?;
    let token = Some(token.expose().to_owned());
    let given = Credentials::new(access.expose(), key.expose(), token, None, "Cognito");
    Ok(TemporaryKeys {
        given,
        renew_at: renew_at(now(), until),
        until,
    })
}

fn renew_at(now: SystemTime, until: SystemTime) -> SystemTime {
    let left = until.duration_since(now).unwrap_or_default();
    now + left.saturating_sub(MARGIN.min(left / 2))
}

/// Takes a text out of a response.
fn secret(response: &mut Value, name: &str) -> Option<Secret> {
    match response.get_mut(name)?.take() {
        Value::String(text) if !text.is_empty() => Some(Secret::new(text)),
        _ => None,
    }
}

fn now() -> SystemTime {
    SystemTimeSource::new().now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_renewed_before_they_expire() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (lasts, after) in [
            (3600, 3000),
            (12 * 3600, 12 * 3600 - 600),
            (1200, 600),
            (900, 450),
            (90, 45),
            (0, 0),
        ] {
            let until = now + Duration::from_secs(lasts);
            let renewed = renew_at(now, until).duration_since(now).expect("later");
            assert_eq!(renewed, Duration::from_secs(after), "keys of {lasts} s");
        }
        assert_eq!(renew_at(now, SystemTime::UNIX_EPOCH), now, "expired keys");
    }
}
