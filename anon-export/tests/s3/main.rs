//! Tests of [`S3Sink`](anon_export::s3::S3Sink) with real servers, and with a fake one that fails
//! on demand.

#[cfg_attr(
    not(feature = "cognito"),
    expect(dead_code, reason = "the rest is for Cognito")
)]
#[path = "../shared/s3.rs"]
mod servers;
#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../../../anon-net/tests/shared/mod.rs"]
mod shared;

mod canary;
mod cancel;
#[cfg(feature = "cognito")]
mod cognito;
mod conformance;
mod export;
#[cfg(feature = "cognito")]
mod fake_cognito;
mod fake_s3;
mod faults;
mod keys;
mod origins;
mod parts;
mod refused;
#[cfg(feature = "cognito")]
mod renewal;
mod setup;
mod tls;
