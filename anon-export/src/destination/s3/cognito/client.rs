//! [`CognitoClient`]: unsigned requests to Cognito, JSON 1.1 over HTTP.

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

use crate::error::cognito::{CognitoError, LoginStep, classify};
use crate::s3::S3Config;
use crate::s3::client::{TLS, quiet};
use crate::s3::response::is_tls;

/// The greatest length of a response. Tokens have a few KiB.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// The greatest length of a request, which holds one token or password.
const MAX_REQUEST_BYTES: usize = 64 << 10;

/// A client of the user pool and the identity pool.
#[derive(Debug)]
pub(super) struct CognitoClient {
    connector: Connector,
    /// The timeout of a whole request: its response is short.
    request_timeout: Duration,
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
            request_timeout: config.connect_timeout.saturating_add(config.stall_timeout),
            user_pool: url("cognito-idp"),
            identity_pool: url("cognito-identity"),
        })
    }

    /// Sends a request and returns the JSON of a successful response. Wipes `body`.
    pub(super) async fn call(&self, step: LoginStep, body: Value) -> Result<Value, CognitoError> {
        timeout(self.request_timeout, self.exchange(step, body))
            .await
            .unwrap_or(Err(CognitoError::Stalled))
    }

    async fn exchange(&self, step: LoginStep, body: Value) -> Result<Value, CognitoError> {
        let (url, service) = if step.is_identity_pool() {
            (&self.identity_pool, "AWSCognitoIdentityService")
        } else {
            (&self.user_pool, "AWSCognitoIdentityProviderService")
        };
        let mut request = Request::new(SdkBody::from(Bytes::from_owner(to_wiped_json(body))));
        let invalid_endpoint = |_| CognitoError::Setting {
            name: "endpoint",
            problem: "it is not a URL",
        };
        request.set_method("POST").map_err(invalid_endpoint)?;
        request.set_uri(url.as_str()).map_err(invalid_endpoint)?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-amz-json-1.1");
        headers.insert("x-amz-target", format!("{service}.{step}"));
        let response = quiet(self.connector.call(request)).await.map_err(|error| {
            if error.is_timeout() {
                CognitoError::Stalled
            } else if is_tls(&error) {
                CognitoError::Tls
            } else {
                CognitoError::Unreachable
            }
        })?;
        let status = response.status().as_u16();
        let error_type = response
            .headers()
            .get("x-amzn-errortype")
            .map(str::to_owned);
        let body = read(ByteStream::new(response.into_body()), step).await?;
        let json = serde_json::from_slice::<Value>(&body);
        if (200..300).contains(&status) {
            return json.map_err(|_| CognitoError::NotCognito { step });
        }
        let json = json.unwrap_or_default();
        let text = |name| json.get(name).and_then(Value::as_str);
        let error_type = error_type
            .as_deref()
            .or_else(|| text("__type"))
            .unwrap_or_default();
        let message = text("message")
            .or_else(|| text("Message"))
            .unwrap_or_default();
        let error = classify(step, status, name_of(error_type), message);
        tracing::debug!(%step, %error, "the Cognito request failed");
        Err(error)
    }
}

/// Serializes a request that contains passwords and tokens. The text is wiped when dropped.
fn to_wiped_json(mut body: Value) -> Zeroizing<Vec<u8>> {
    // The full capacity at once: growing would leave copies in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_REQUEST_BYTES));
    serde_json::to_writer(&mut *text, &body).expect("JSON with text keys can be written to memory");
    wipe(&mut body);
    text
}

/// Wipes every text in a value.
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
        if bytes.len() + piece.len() > MAX_RESPONSE_BYTES {
            return Err(CognitoError::NotCognito { step });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Returns `Name` of `com.amazonaws.x#Name:http://…`.
fn name_of(error_type: &str) -> &str {
    let after = error_type
        .rsplit_once('#')
        .map_or(error_type, |(_, name)| name);
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
    fn a_request_is_serialized_and_wiped() {
        let mut request =
            json!({ "Flow": "F", "Parameters": { "PASSWORD": "CANARY", "list": ["CANARY"] } });
        assert_eq!(
            *to_wiped_json(request.clone()),
            request.to_string().into_bytes()
        );
        wipe(&mut request);
        assert!(!request.to_string().contains("CANARY"), "{request}");
    }

    #[test]
    fn error_names_are_extracted() {
        for (error_type, name) in [
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
            assert_eq!(name_of(error_type), name);
        }
    }
}
