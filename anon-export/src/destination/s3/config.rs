//! [`S3Config`]: the bucket, the connection to it, and the layout of objects in it.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::credentials::Credentials;
use super::endpoint::check_endpoint;
use super::trust::Trust;
use crate::error::s3::S3Error;

/// The checksum that is sent with an object, so that the service can verify it.
///
/// It is sent as a header, never as a trailer, which many servers reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum ChecksumMode {
    /// CRC-32C: cheap, and supported by AWS and most servers.
    #[default]
    Crc32c,
    /// SHA-256.
    Sha256,
    /// None, for servers that reject both. The ETag is still compared.
    None,
}

/// How the service encrypts stored objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Encryption {
    /// With the default of the bucket.
    #[default]
    Bucket,
    /// With keys of S3 (`AES256`).
    Aes256,
    /// With a KMS key (`aws:kms`). Without `key_id`: the account's default key for S3.
    ///
    /// Then ETags are not computed from the bytes alone, and [`Sink::tag_of`](crate::Sink::tag_of)
    /// returns `None`.
    Kms {
        /// The id, alias or ARN of the key.
        key_id: Option<String>,
    },
}

/// The position of the bucket's name in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Addressing {
    /// In the path: `https://host/bucket/key`. The default with an endpoint.
    Path,
    /// In the host: `https://bucket.host/key`. The default without one.
    Host,
}

/// A bucket, the connection to it, and the layout of objects in it.
///
/// # Examples
/// ```
/// use anon_export::s3::{Addressing, S3Config};
///
/// let config = S3Config::new("trials", "TRIAL-7")
///     .with_prefix("site 4")
///     .with_endpoint("https://s3.example.org")
///     .with_addressing(Addressing::Path);
/// assert!(config.check().is_ok());
/// assert!(config.with_endpoint("http://s3.example.org").check().is_err());
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct S3Config {
    pub(super) bucket: String,
    pub(super) project: String,
    pub(super) prefix: String,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) addressing: Option<Addressing>,
    pub(super) part_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) parallel: NonZeroUsize,
    pub(super) checksum: ChecksumMode,
    pub(super) encryption: Encryption,
    pub(super) storage_class: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(super) cleartext: bool,
    pub(crate) trust: Trust,
    pub(super) credentials: Credentials,
}

/// The smallest part that S3 accepts, except for the last one.
const MIN_PART_BYTES: u64 = 5 << 20;
/// The greatest number of parts of an object.
const MAX_PARTS: u64 = 10_000;
/// The greatest length of an S3 object.
pub(super) const MAX_OBJECT_BYTES: u64 = 5 << 40;

const MIB: u64 = 1 << 20;
const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
/// The limit for prefix and project name. S3 allows keys of 1,024 bytes; the rest of a key has at
/// most 330.
const MAX_TOP_BYTES: usize = 600;

impl S3Config {
    /// Creates a configuration. `project` is the name that precedes the patient in every key.
    pub fn new(bucket: impl Into<String>, project: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            project: project.into(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            addressing: None,
            part_bytes: 8 * MIB,
            memory_bytes: 96 * MIB,
            parallel: PARALLEL,
            checksum: ChecksumMode::default(),
            encryption: Encryption::default(),
            storage_class: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            cleartext: false,
            trust: Trust::default(),
            credentials: Credentials::default(),
        }
    }

    /// Sets the prefix of every key: any UTF-8 without control characters. Slashes at its ends are
    /// removed. Default: none.
    pub fn with_prefix(self, prefix: impl AsRef<str>) -> Self {
        let prefix = prefix.as_ref().trim_matches('/').to_owned();
        Self { prefix, ..self }
    }

    /// Sets the region. Default: that of the environment or the profile; `us-east-1` with an endpoint.
    pub fn with_region(self, region: impl Into<String>) -> Self {
        let region = Some(region.into());
        Self { region, ..self }
    }

    /// Sets the URL of the service. Default: AWS.
    pub fn with_endpoint(self, endpoint: impl Into<String>) -> Self {
        let endpoint = Some(endpoint.into());
        Self { endpoint, ..self }
    }

    /// Sets the position of the bucket's name in a URL.
    pub fn with_addressing(self, addressing: Addressing) -> Self {
        let addressing = Some(addressing);
        Self { addressing, ..self }
    }

    /// Sets the length of a part in bytes, 5 MiB to 1 GiB; default 8 MiB. An object that is not
    /// longer is sent in one request. An object that would need more than 10,000 parts (longer than
    /// 78 GiB by default) gets longer parts: 105 MiB each for 1 TiB.
    pub fn with_part_bytes(self, part_bytes: u64) -> Self {
        Self { part_bytes, ..self }
    }

    /// Sets how many bytes of objects all puts together may hold in memory: at least one part,
    /// default 96 MiB. A put waits until enough is free. If a single part is longer than this, the
    /// object holds one part at a time while no other put holds any.
    pub fn with_memory_bytes(self, memory_bytes: u64) -> Self {
        Self {
            memory_bytes,
            ..self
        }
    }

    /// Sets how many concurrent puts [`Capabilities::parallel`](crate::Capabilities::parallel)
    /// reports. Default: 16.
    pub fn with_parallel(self, parallel: NonZeroUsize) -> Self {
        Self { parallel, ..self }
    }

    /// Sets the checksum that is sent and compared.
    pub fn with_checksum(self, checksum: ChecksumMode) -> Self {
        Self { checksum, ..self }
    }

    /// Sets how the service encrypts stored objects.
    pub fn with_encryption(self, encryption: Encryption) -> Self {
        Self { encryption, ..self }
    }

    /// Sets the storage class, such as `STANDARD_IA`. Default: the service's.
    pub fn with_storage_class(self, class: impl Into<String>) -> Self {
        let storage_class = Some(class.into());
        Self {
            storage_class,
            ..self
        }
    }

    /// Sets the timeout for opening a connection, also to Cognito. Default: 10 seconds.
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// Sets the timeout for a request that makes no progress, and for its response; also for
    /// Cognito. Default: 30 seconds.
    pub fn with_stall_timeout(self, stall_timeout: Duration) -> Self {
        Self {
            stall_timeout,
            ..self
        }
    }

    /// Allows `http://` to other machines. Then anybody on the network path can read and change the
    /// data.
    pub fn allowing_cleartext(self) -> Self {
        Self {
            cleartext: true,
            ..self
        }
    }

    /// Sets certificates of authorities, in PEM, that are trusted in addition to those of the
    /// system: for S3, for Cognito, and for other sources of credentials.
    pub fn with_authorities(self, pem: impl AsRef<[u8]>) -> Self {
        let trust = Trust::with(pem.as_ref());
        Self { trust, ..self }
    }

    /// Sets the source of the credentials. Default: that of the AWS tools.
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// Checks the settings without contacting the service.
    ///
    /// # Errors
    /// [`S3Error::Setting`], [`S3Error::Cleartext`].
    pub fn check(&self) -> Result<(), S3Error> {
        let table = [
            ("bucket", bucket_problem(&self.bucket)),
            ("project name", project_problem(&self.project)),
            ("prefix", prefix_problem(&self.prefix, &self.project)),
            ("part size", self.part_problem()),
            ("storage class", word_problem(self.storage_class.as_deref())),
            ("region", word_problem(self.region.as_deref())),
            ("authorities", self.trust.problem()),
        ];
        for (name, problem) in table {
            if let Some(problem) = problem {
                return Err(S3Error::Setting { name, problem });
            }
        }
        match &self.endpoint {
            None => Ok(()),
            Some(endpoint) => check_endpoint(endpoint, self.cleartext),
        }
    }

    fn part_problem(&self) -> Option<&'static str> {
        if !(MIN_PART_BYTES..=1 << 30).contains(&self.part_bytes) {
            return Some("it is not 5 MiB to 1 GiB");
        }
        (self.memory_bytes < self.part_bytes)
            .then_some("it is greater than the memory for all puts")
    }

    /// Returns the length of the parts of an object of `len` bytes. It grows in steps of 1 MiB
    /// until 10,000 parts are enough.
    pub(super) fn part_bytes_of(&self, len: u64) -> u64 {
        let min_part = len.div_ceil(MAX_PARTS);
        if self.part_bytes >= min_part {
            self.part_bytes
        } else {
            min_part.next_multiple_of(MIB)
        }
    }

    /// Returns true if the bucket's name is in the path of URLs.
    pub(super) fn path_style(&self) -> bool {
        match self.addressing {
            None => self.endpoint.is_some(),
            Some(addressing) => addressing == Addressing::Path,
        }
    }

    /// Returns true if the connection uses TLS.
    pub(super) fn is_tls(&self) -> bool {
        let cleartext = |url: &String| url.starts_with("http://");
        !self.endpoint.as_ref().is_some_and(cleartext)
    }
}

fn bucket_problem(bucket: &str) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if !(3..=63).contains(&bucket.len()) {
        return Some("it does not have 3 to 63 characters");
    }
    (!bucket.bytes().all(allowed)).then_some("it has a character outside A-Z a-z 0-9 - . _")
}

fn project_problem(project: &str) -> Option<&'static str> {
    if project.is_empty() {
        return Some("it is empty");
    }
    if project.contains('/') {
        return Some("it has a slash");
    }
    segment_problem(project)
}

fn prefix_problem(prefix: &str, project: &str) -> Option<&'static str> {
    if prefix.len() + project.len() > MAX_TOP_BYTES {
        return Some("it has, with the project name, more than 600 bytes");
    }
    if prefix.is_empty() {
        return None;
    }
    prefix.split('/').find_map(segment_problem)
}

fn segment_problem(segment: &str) -> Option<&'static str> {
    // Proxies and servers resolve dots: a later request would use another key.
    match segment {
        "" => Some("it has two slashes in a row"),
        "." | ".." => Some("a part of it is . or .."),
        _ if segment.chars().any(char::is_control) => Some("it has a control character"),
        _ => None,
    }
}

fn word_problem(word: Option<&str>) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    match word {
        None => None,
        Some("") => Some("it is empty"),
        Some(word) => {
            (!word.bytes().all(allowed)).then_some("it has a character outside A-Z a-z 0-9 - _")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleartext_is_refused_to_other_machines() {
        for (url, is_accepted) in [
            ("https://s3.example.org", true),
            ("https://s3.example.org:9000/base", true),
            ("http://127.0.0.1:9000", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:9000", true),
            ("http://LOCALHOST:9000", true),
            ("http://localhost.example.org", false),
            ("http://127.0.0.1.example.org", false),
            ("http://10.0.0.1:9000", false),
            ("http://[fd00::1]:9000", false),
            ("http://s3.example.org", false),
        ] {
            let found = check_endpoint(url, false);
            assert_eq!(found.is_ok(), is_accepted, "{url}: {found:?}");
            if !is_accepted {
                assert!(matches!(found, Err(S3Error::Cleartext)), "{url}: {found:?}");
                assert!(check_endpoint(url, true).is_ok(), "{url} is allowed");
            }
        }
        for url in [
            "s3.example.org",
            "ftp://s3.example.org",
            "https://",
            "https://:9000",
            "https://user:secret@s3.example.org",
            "http://localhost@10.0.0.1",
            "https://s3.example.org?x=1",
            "https://a b",
        ] {
            let found = check_endpoint(url, true);
            assert!(
                matches!(
                    found,
                    Err(S3Error::Setting {
                        name: "endpoint",
                        ..
                    })
                ),
                "{url}: {found:?}"
            );
        }
    }

    #[test]
    fn long_objects_get_longer_parts() {
        let config = S3Config::new("bucket", "P");
        for len in [1, 8 * MIB + 1, 80_000 * MIB, 80_000 * MIB + 1, 1 << 40] {
            let part = config.part_bytes_of(len);
            assert!(
                len.div_ceil(part) <= MAX_PARTS,
                "{len} bytes in parts of {part}"
            );
            assert_eq!(part == 8 * MIB, len <= 80_000 * MIB, "{len} bytes");
        }
        for (len, mib) in [(1 << 40, 105), (MAX_OBJECT_BYTES, 525)] {
            assert_eq!(config.part_bytes_of(len), mib * MIB, "{len} bytes");
        }
    }

    /// The configured length is not a multiple of 1 MiB and just sufficient.
    #[test]
    fn sufficient_part_length_is_not_changed() {
        let config = S3Config::new("bucket", "P").with_part_bytes(510_656_513);
        for (len, part) in [
            (5_106_565_120_002, 510_656_513),
            (5_106_565_130_000, 510_656_513),
            (5_106_565_130_001, 488 * MIB),
        ] {
            assert_eq!(config.part_bytes_of(len), part, "{len} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Up to the greatest S3 object of 5 TiB: at most 10,000 parts of 5 MiB to 5 GiB, and none
        /// longer than necessary.
        #[test]
        fn every_object_length_gets_parts_that_s3_accepts(
            len in prop_oneof![1..=MAX_OBJECT_BYTES, (40_u32..=42).prop_map(|bits| 1 << bits)],
            less in 0_u64..=1,
            configured in (5 << 20)..=(1_u64 << 30),
        ) {
            let len = len - less;
            let config = S3Config::new("bucket", "P")
                .with_part_bytes(configured)
                .with_memory_bytes(configured);
            prop_assert!(config.check().is_ok());
            let part = config.part_bytes_of(len);
            prop_assert!(len.div_ceil(part) <= MAX_PARTS);
            prop_assert!((MIN_PART_BYTES..=5 << 30).contains(&part));
            if part > configured {
                prop_assert!(len.div_ceil(configured) > MAX_PARTS);
                prop_assert_eq!(part % MIB, 0);
                prop_assert!(len.div_ceil(part - MIB) > MAX_PARTS);
            } else {
                prop_assert_eq!(part, configured);
            }
        }
    }

    /// A PEM block with invalid content.
    fn damaged(inner: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn invalid_settings_are_refused() {
        let valid = || S3Config::new("bucket", "P");
        assert!(valid().check().is_ok());
        assert!(valid().with_prefix("/a b/ü+%/").check().is_ok());
        for (config, wrong) in [
            (S3Config::new("b", "P"), "bucket"),
            (S3Config::new("a/b", "P"), "bucket"),
            (S3Config::new("bucket", ""), "project name"),
            (S3Config::new("bucket", "a/b"), "project name"),
            (S3Config::new("bucket", ".."), "project name"),
            (valid().with_prefix("a//b"), "prefix"),
            (valid().with_prefix("a/../b"), "prefix"),
            (valid().with_prefix("a\nb"), "prefix"),
            (valid().with_prefix("x".repeat(601)), "prefix"),
            (valid().with_part_bytes((5 << 20) - 1), "part size"),
            (valid().with_memory_bytes(1 << 20), "part size"),
            (valid().with_storage_class("A B"), "storage class"),
            (valid().with_region(""), "region"),
            (valid().with_authorities("words"), "authorities"),
            (
                valid().with_authorities(damaged("-----BEGIN")),
                "authorities",
            ),
            (valid().with_authorities(damaged("AAAA")), "authorities"),
        ] {
            match config.check() {
                Err(S3Error::Setting { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
    }
}
