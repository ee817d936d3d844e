//! [`S3Sink`](anon_export::s3::S3Sink) with real servers, and with a double that fails on demand.

#[path = "../shared/s3.rs"]
mod servers;
#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../../../anon-net/tests/shared/mod.rs"]
mod shared;

#[cfg(feature = "cognito")]
mod cognito;
mod conformance;
mod double;
mod faults;
mod keys;
mod parts;
mod refused;
mod setup;
