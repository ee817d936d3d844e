//! Exports to S3. Without the feature `s3`, this destination is refused.

mod credentials;

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use anon_export::s3::{Addressing, ChecksumMode, Encryption, S3Config, S3Error, S3Sink};
use anon_export::{Cancel, Error};
use anon_model::ProjectSettings;
use anon_model::settings::{S3, S3Addressing, S3Checksum, S3Encryption};
use anyhow::Context as _;

use super::Destination;
use crate::args::Export;
use crate::command::Context;
use crate::exit::Failure;
use crate::project::Project;

/// Opens the bucket of the settings.
pub(super) fn open(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    args: &Export,
    cancel: &Cancel,
) -> anyhow::Result<Destination> {
    let config = config(project, settings)?;
    let open = |credentials| {
        let config = config.clone().with_credentials(credentials);
        S3Sink::open_with_cancel(config, cancel.clone())
    };
    let sink = credentials::open(context, project, &settings.s3, args, &open)?;
    Ok(Destination {
        address: sink.address(),
        sink: Arc::new(sink),
    })
}

fn config(project: &Project, settings: &ProjectSettings) -> anyhow::Result<S3Config> {
    let s3 = &settings.s3;
    let bucket = required(s3.bucket.as_ref(), "s3.bucket")?;
    let mut config = S3Config::new(bucket, &settings.name)
        .with_checksum(match s3.checksum {
            S3Checksum::Crc32c => ChecksumMode::Crc32c,
            S3Checksum::Sha256 => ChecksumMode::Sha256,
            S3Checksum::None => ChecksumMode::None,
        })
        .with_encryption(match s3.encryption {
            S3Encryption::Bucket => Encryption::Bucket,
            S3Encryption::Aes256 => Encryption::Aes256,
            S3Encryption::Kms => Encryption::Kms {
                key_id: s3.kms_key_id.clone(),
            },
        })
        .with_part_bytes(s3.part_bytes)
        .with_memory_bytes(s3.memory_bytes)
        .with_connect_timeout(s3.connect_timeout)
        .with_stall_timeout(s3.stall_timeout);
    if let Some(parallel) = NonZeroUsize::new(s3.parallel.into()) {
        config = config.with_parallel(parallel);
    }
    config = match s3.addressing {
        S3Addressing::Auto => config,
        S3Addressing::Path => config.with_addressing(Addressing::Path),
        S3Addressing::Host => config.with_addressing(Addressing::Host),
    };
    if let Some(prefix) = &s3.prefix {
        config = config.with_prefix(prefix);
    }
    if let Some(region) = &s3.region {
        config = config.with_region(region);
    }
    if let Some(endpoint) = &s3.endpoint {
        config = config.with_endpoint(endpoint);
    }
    if let Some(class) = &s3.storage_class {
        config = config.with_storage_class(class);
    }
    if s3.allow_cleartext {
        config = config.allowing_cleartext();
    }
    if let Some(file) = &s3.authorities {
        config = config.with_authorities(authorities(&project.root().join(file))?);
    }
    Ok(config)
}

/// Reads the certificates of `s3.authorities`.
fn authorities(path: &Path) -> anyhow::Result<Vec<u8>> {
    // More than the authorities of a whole system.
    const MAX_BYTES: u64 = 4 << 20;
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut pem))
        .context(Failure::Configuration(
            "cannot read the file of s3.authorities".into(),
        ))?;
    Ok(pem)
}

/// Returns a setting that the export to S3 requires.
fn required<'s>(setting: Option<&'s String>, key: &str) -> anyhow::Result<&'s String> {
    setting.ok_or_else(|| {
        Failure::configuration(format!(
            "export to S3 needs {key}; to set it:\n  anon config set {key} VALUE"
        ))
    })
}

/// Adds the failure kind to an error of opening. Keeps the error of a peer, to report it for each patient.
fn open_failure(error: Error) -> anyhow::Error {
    let message = error.to_string();
    match &error {
        Error::S3(S3Error::Cleartext) => Failure::configuration(format!(
            "{message}; to allow it:\n  anon config set s3.allow_cleartext true"
        )),
        Error::S3(
            S3Error::Setting { .. }
            | S3Error::NoRegion
            | S3Error::NoCredentials
            | S3Error::Credentials { .. },
        ) => Failure::configuration(message),
        Error::S3(S3Error::Start { .. } | S3Error::Closed) => Failure::cannot_run(message),
        #[cfg(feature = "cognito")]
        Error::Cognito(anon_export::cognito::CognitoError::Setting { .. }) => {
            Failure::configuration(message)
        }
        _ => anyhow::Error::new(error).context(Failure::Peer(message)),
    }
}

/// Returns true if the settings name a Cognito user.
fn is_cognito(s3: &S3) -> bool {
    s3.username.is_some()
}
