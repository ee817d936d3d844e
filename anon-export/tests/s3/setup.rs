//! Configurations and objects of the tests.

use std::ops::ControlFlow;
use std::time::Duration;

use anon_export::s3::{AccessKeys, Credentials, S3Config, S3Sink, Secret};
use anon_export::{Error, ListedObject, ObjectKey, Sink, Stored};

use crate::servers::BUCKET;
use crate::shared::Test;

pub(crate) const ACCESS_KEY: &str = "ANONKEY";
pub(crate) const SECRET_KEY: &str = "anon-secret-key";

/// The smallest part, so that multipart uploads stay small.
pub(crate) const PART: usize = 5 << 20;

pub(crate) fn keys(access: &str, secret: &str) -> Credentials {
    Credentials::Keys(AccessKeys::new(text(access), text(secret)))
}

pub(crate) fn text(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Returns the configuration for a server on loopback.
pub(crate) fn config(endpoint: &str) -> S3Config {
    S3Config::new(BUCKET, "TRIAL-7")
        .with_endpoint(endpoint)
        .with_region("eu-central-1")
        .with_part_bytes(PART as u64)
        .with_credentials(keys(ACCESS_KEY, SECRET_KEY))
}

/// Returns a configuration with short timeouts.
pub(crate) fn with_short_timeouts(endpoint: &str) -> S3Config {
    config(endpoint)
        .with_connect_timeout(Duration::from_secs(2))
        .with_stall_timeout(Duration::from_secs(1))
}

pub(crate) fn key(n: u32) -> ObjectKey {
    ObjectKey::new(["S-1", "1.2.1", "1.2.2", &format!("1.2.3.{n}")]).expect("a key")
}

/// Returns `len` bytes that depend on their position.
pub(crate) fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 251).to_le_bytes()[0].wrapping_add((i >> 16).to_le_bytes()[0]) ^ seed)
        .collect()
}

pub(crate) fn put(sink: &S3Sink, key: &ObjectKey, object: &[u8]) -> Result<Stored, Error> {
    sink.put(key, object.len() as u64, &mut &*object)
}

/// Lists a patient, sorted by key.
pub(crate) fn list(sink: &S3Sink, patient: &str) -> Test<Vec<ListedObject>> {
    let mut all = Vec::new();
    sink.list(&patient.parse()?, &mut |listed| {
        all.push(listed);
        ControlFlow::Continue(())
    })?;
    all.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(all)
}
