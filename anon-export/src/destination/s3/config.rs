//! [`S3Config`]: which bucket, how it is reached, and how objects stand in it.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::credentials::Credentials;
use super::endpoint::check_endpoint;
use super::trust::Trust;
use crate::error::s3::S3Error;

/// What is sent with an object so that the service can tell whether it arrived whole.
///
/// It is a header before the object, never a trailer behind it, which many servers refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum ChecksumMode {
    /// CRC-32C: cheap, and known to AWS and most servers.
    #[default]
    Crc32c,
    /// SHA-256.
    Sha256,
    /// None, for servers that refuse both. The ETag is still compared.
    None,
}

/// How the service is to encrypt what it stores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Encryption {
    /// As the bucket has it.
    #[default]
    Bucket,
    /// With keys of S3 (`AES256`).
    Aes256,
    /// With a key of KMS (`aws:kms`); without `key_id` the account's own for S3.
    ///
    /// ETags say nothing of bytes then: [`Sink::tag_of`](crate::Sink::tag_of) cannot tell.
    Kms {
        /// Id, alias or ARN of the key.
        key_id: Option<String>,
    },
}

/// Where the name of the bucket stands in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Addressing {
    /// In the path: `https://host/bucket/key`. The default with an endpoint.
    Path,
    /// In the host: `https://bucket.host/key`. The default without one.
    Host,
}

/// A bucket, how it is reached, and how objects stand in it.
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

/// The least that S3 takes as a part that is not the last.
const LEAST_PART_BYTES: u64 = 5 << 20;
/// The most parts of an object.
const MOST_PARTS: u64 = 10_000;
/// The longest object of S3.
pub(super) const MOST_OBJECT_BYTES: u64 = 5 << 40;

const MIB: u64 = 1 << 20;
const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
/// S3 allows 1,024 bytes; the rest of a key is at most 330 of them.
const LONGEST_TOP: usize = 600;

impl S3Config {
    /// A bucket, and the name of the project that stands before every patient.
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

    /// Sets what every key begins with: any UTF-8 without control characters; slashes at its ends are
    /// dropped. Default: nothing.
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

    /// Sets where the name of the bucket stands in a URL.
    pub fn with_addressing(self, addressing: Addressing) -> Self {
        let addressing = Some(addressing);
        Self { addressing, ..self }
    }

    /// Sets the length of a part in bytes, 5 MiB to 1 GiB; default 8 MiB. An object that is not longer
    /// is put in one request. One of more than 10,000 parts (78 GiB by default) has longer ones: 105 MiB
    /// each for 1 TiB.
    pub fn with_part_bytes(self, part_bytes: u64) -> Self {
        Self { part_bytes, ..self }
    }

    /// Sets how many bytes of objects all puts together may hold in memory; at least one part, default
    /// 96 MiB. A put that finds none free waits. An object whose parts are longer than that holds one of
    /// them at a time, while no other put holds any.
    pub fn with_memory_bytes(self, memory_bytes: u64) -> Self {
        Self {
            memory_bytes,
            ..self
        }
    }

    /// Sets how many puts at once [`Capabilities::parallel`](crate::Capabilities::parallel) asks for. Default: 16.
    pub fn with_parallel(self, parallel: NonZeroUsize) -> Self {
        Self { parallel, ..self }
    }

    /// Sets the checksum that is sent and compared.
    pub fn with_checksum(self, checksum: ChecksumMode) -> Self {
        Self { checksum, ..self }
    }

    /// Sets how the service is to encrypt what it stores.
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

    /// Sets how long making a connection may take, to Cognito too. Default: 10 seconds.
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// Sets how long a request may stand still, or its answer take once it is sent; that of Cognito, too.
    /// Default: 30 seconds.
    pub fn with_stall_timeout(self, stall_timeout: Duration) -> Self {
        Self {
            stall_timeout,
            ..self
        }
    }

    /// Allows `http://` to a host that is not this machine: whoever is between can read and change all.
    pub fn allowing_cleartext(self) -> Self {
        Self {
            cleartext: true,
            ..self
        }
    }

    /// Sets certificates of authorities, in PEM, that are trusted beside those of the system: by the
    /// service, by Cognito, and by whoever else hands out credentials.
    pub fn with_authorities(self, pem: impl AsRef<[u8]>) -> Self {
        let trust = Trust::with(pem.as_ref());
        Self { trust, ..self }
    }

    /// Sets where credentials come from. Default: as the tools of AWS find them.
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// Checks what can be checked without the service.
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
        if !(LEAST_PART_BYTES..=1 << 30).contains(&self.part_bytes) {
            return Some("it is not 5 MiB to 1 GiB");
        }
        (self.memory_bytes < self.part_bytes).then_some("it is more than the memory for all puts")
    }

    /// The length of the parts of an object of `len` bytes: grows by MiB until 10,000 are enough.
    pub(super) fn part_bytes_of(&self, len: u64) -> u64 {
        let least = len.div_ceil(MOST_PARTS);
        if self.part_bytes >= least {
            self.part_bytes
        } else {
            least.next_multiple_of(MIB)
        }
    }

    /// The addressing that is used.
    pub(super) fn path_style(&self) -> bool {
        match self.addressing {
            None => self.endpoint.is_some(),
            Some(addressing) => addressing == Addressing::Path,
        }
    }

    /// Whether bytes travel under TLS.
    pub(super) fn is_tls(&self) -> bool {
        let cleartext = |url: &String| url.starts_with("http://");
        !self.endpoint.as_ref().is_some_and(cleartext)
    }
}

fn bucket_problem(bucket: &str) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if !(3..=63).contains(&bucket.len()) {
        return Some("it does not have 3 to 63 characters");
    }
    (!bucket.bytes().all(plain)).then_some("it has a character outside A-Z a-z 0-9 - . _")
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
    if prefix.len() + project.len() > LONGEST_TOP {
        return Some("it has, with the project name, more than 600 bytes");
    }
    if prefix.is_empty() {
        return None;
    }
    prefix.split('/').find_map(segment_problem)
}

fn segment_problem(segment: &str) -> Option<&'static str> {
    // Proxies and servers resolve dots: the key would not be the one that is asked for later.
    match segment {
        "" => Some("it has two slashes in a row"),
        "." | ".." => Some("a part of it is . or .."),
        _ if segment.chars().any(char::is_control) => Some("it has a control character"),
        _ => None,
    }
}

fn word_problem(word: Option<&str>) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    match word {
        None => None,
        Some("") => Some("it is empty"),
        Some(word) => (!word.bytes().all(plain)).then_some("it has a character that no name has"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleartext_is_for_this_machine() {
        for (url, fine) in [
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
            assert_eq!(found.is_ok(), fine, "{url}: {found:?}");
            if !fine {
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
    fn parts_grow_with_the_object() {
        let config = S3Config::new("bucket", "P");
        for len in [1, 8 * MIB + 1, 80_000 * MIB, 80_000 * MIB + 1, 1 << 40] {
            let part = config.part_bytes_of(len);
            assert!(
                len.div_ceil(part) <= MOST_PARTS,
                "{len} bytes in parts of {part}"
            );
            assert_eq!(part == 8 * MIB, len <= 80_000 * MIB, "{len} bytes");
        }
        for (len, mib) in [(1 << 40, 105), (MOST_OBJECT_BYTES, 525)] {
            assert_eq!(config.part_bytes_of(len), mib * MIB, "{len} bytes");
        }
    }

    /// Parts of a length that is no multiple of a MiB, and just enough.
    #[test]
    fn parts_that_are_enough_stay_as_they_are() {
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

        /// Up to the longest object of S3, of 5 TiB, in parts that S3 takes: at most 10,000 of 5 MiB to
        /// 5 GiB, none longer than it has to be.
        #[test]
        fn every_length_has_parts_that_s3_takes(
            len in prop_oneof![1..=MOST_OBJECT_BYTES, (40_u32..=42).prop_map(|bits| 1 << bits)],
            less in 0_u64..=1,
            configured in (5 << 20)..=(1_u64 << 30),
        ) {
            let len = len - less;
            let config = S3Config::new("bucket", "P")
                .with_part_bytes(configured)
                .with_memory_bytes(configured);
            prop_assert!(config.check().is_ok());
            let part = config.part_bytes_of(len);
            prop_assert!(len.div_ceil(part) <= MOST_PARTS);
            prop_assert!((LEAST_PART_BYTES..=5 << 30).contains(&part));
            if part > configured {
                prop_assert!(len.div_ceil(configured) > MOST_PARTS);
                prop_assert_eq!(part % MIB, 0);
                prop_assert!(len.div_ceil(part - MIB) > MOST_PARTS);
            } else {
                prop_assert_eq!(part, configured);
            }
        }
    }

    /// What may be taken for a certificate.
    fn damaged(inner: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn names_are_checked() {
        let fine = || S3Config::new("bucket", "P");
        assert!(fine().check().is_ok());
        assert!(fine().with_prefix("/a b/ü+%/").check().is_ok());
        for (config, wrong) in [
            (S3Config::new("b", "P"), "bucket"),
            (S3Config::new("a/b", "P"), "bucket"),
            (S3Config::new("bucket", ""), "project name"),
            (S3Config::new("bucket", "a/b"), "project name"),
            (S3Config::new("bucket", ".."), "project name"),
            (fine().with_prefix("a//b"), "prefix"),
            (fine().with_prefix("a/../b"), "prefix"),
            (fine().with_prefix("a\nb"), "prefix"),
            (fine().with_prefix("x".repeat(601)), "prefix"),
            (fine().with_part_bytes((5 << 20) - 1), "part size"),
            (fine().with_memory_bytes(1 << 20), "part size"),
            (fine().with_storage_class("A B"), "storage class"),
            (fine().with_region(""), "region"),
            (fine().with_authorities("words"), "authorities"),
            (
                fine().with_authorities(damaged("-----BEGIN")),
                "authorities",
            ),
            (fine().with_authorities(damaged("AAAA")), "authorities"),
        ] {
            match config.check() {
                Err(S3Error::Setting { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
    }
}
