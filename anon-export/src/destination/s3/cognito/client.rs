//! A request of Cognito: JSON 1.1 over HTTP, without a signature.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde_json::Value;
use tokio::time::timeout;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::cognito::{CognitoError, LoginStep, refusal};
use crate::s3::S3Config;
use crate::s3::client::{TLS, quiet};
use crate::s3::response::is_tls;

/// Tokens are a few KiB.
const LONGEST_ANSWER: usize = 1 << 20;
/// A request holds one token, or a password.
const LONGEST_REQUEST: usize = 64 << 10;

/// Where requests go.
#[derive(Debug)]
pub(super) struct CognitoClient {
    connector: Connector,
    /// How long a request may take in all: its answer is short.
    longest: Duration,
    user_pool: String,
    identity_pool: String,
}

impl CognitoClient {
    pub(super) fn new(
        region: &str,
        endpoint: Option<&str>,
        config: &S3Config,
    ) -> Result<Self, CognitoError> {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.stall_timeout)
            .build();
        let connector = Connector::builder()
            .tls_provider(TLS)
            .tls_context(config.trust.context().map_err(|_| CognitoError::Tls)?)
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            .build();
        let url = |service: &str| match endpoint {
            Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
            None => format!("https://{service}.{region}.{}/", domain(region)),
        };
        Ok(Self {
            connector,
            longest: config.connect_timeout.saturating_add(config.stall_timeout),
            user_pool: url("cognito-idp"),
            identity_pool: url("cognito-identity"),
        })
    }

    /// Sends a request, and returns what a success holds. `body` is wiped.
    pub(super) async fn call(&self, step: LoginStep, body: Value) -> Result<Value, CognitoError> {
        timeout(self.longest, self.exchange(step, body))
            .await
            .unwrap_or(Err(CognitoError::Stalled))
    }

    async fn exchange(&self, step: LoginStep, body: Value) -> Result<Value, CognitoError> {
        let (url, service) = if step.is_identity_pool() {
            (&self.identity_pool, "AWSCognitoIdentityService")
        } else {
            (&self.user_pool, "AWSCognitoIdentityProviderService")
        };
        let mut request = Request::new(SdkBody::from(Bytes::from_owner(text_of(body))));
        let odd = |_| CognitoError::Setting {
            name: "endpoint",
            problem: "it is no URL",
        };
        request.set_method("POST").map_err(odd)?;
        request.set_uri(url.as_str()).map_err(odd)?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-amz-json-1.1");
        headers.insert("x-amz-target", format!("{service}.{step}"));
        let answer = quiet(self.connector.call(request)).await.map_err(|error| {
            if error.is_timeout() {
                CognitoError::Stalled
            } else if is_tls(&error) {
                CognitoError::Tls
            } else {
                CognitoError::Unreachable
            }
        })?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("x-amzn-errortype").map(str::to_owned);
        let body = read(ByteStream::new(answer.into_body()), step).await?;
        let json = serde_json::from_slice::<Value>(&body);
        if (200..300).contains(&status) {
            return json.map_err(|_| CognitoError::NotCognito { step });
        }
        let json = json.unwrap_or_default();
        let text = |name| json.get(name).and_then(Value::as_str);
        let kind = kind
            .as_deref()
            .or_else(|| text("__type"))
            .unwrap_or_default();
        let message = text("message")
            .or_else(|| text("Message"))
            .unwrap_or_default();
        let error = refusal(step, status, name_of(kind), message);
        tracing::debug!(%step, %error, "Cognito refuses");
        Err(error)
    }
}

/// A request as text, which is wiped when it is dropped. Passwords and tokens are in it.
fn text_of(mut body: Value) -> Zeroizing<Vec<u8>> {
    // All of it at once: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_REQUEST));
    serde_json::to_writer(&mut *text, &body).expect("memory takes a value whose keys are texts");
    wipe(&mut body);
    text
}

/// Wipes every text that stands in a value.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

async fn read(mut body: ByteStream, step: LoginStep) -> Result<Zeroizing<Vec<u8>>, CognitoError> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| CognitoError::Unreachable)?;
        if bytes.len() + piece.len() > LONGEST_ANSWER {
            return Err(CognitoError::NotCognito { step });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// `com.amazonaws.x#Name:http://…` is `Name`.
fn name_of(kind: &str) -> &str {
    let after = kind.rsplit_once('#').map_or(kind, |(_, name)| name);
    after.split(':').next().unwrap_or_default()
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_sent_as_it_is_and_wiped() {
        let mut request =
            json!({ "Flow": "F", "Parameters": { "PASSWORD": "CANARY", "list": ["CANARY"] } });
        assert_eq!(*text_of(request.clone()), request.to_string().into_bytes());
        wipe(&mut request);
        assert!(!request.to_string().contains("CANARY"), "{request}");
    }

    #[test]
    fn names_of_errors() {
        for (kind, name) in [
            ("NotAuthorizedException", "NotAuthorizedException"),
            (
                "com.amazon.cognito#NotAuthorizedException",
                "NotAuthorizedException",
            ),
            (
                "NotAuthorizedException:http://internal/",
                "NotAuthorizedException",
            ),
            ("", ""),
        ] {
            assert_eq!(name_of(kind), name);
        }
    }
}
