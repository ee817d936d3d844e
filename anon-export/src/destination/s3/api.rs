//! The requests, one function each.

use std::fmt;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, ServerSideEncryption, StorageClass};
use bytes::Bytes;

use super::client::{quiet, timeouts};
use super::config::{ChecksumMode, Encryption, S3Config};
use super::digest::{Digests, is_md5, unquoted};
use super::layout::{Layout, url_decoded};
use super::renewal::Renewal;
use super::response::error_of;
use crate::error::s3::S3Error;
use crate::{EntityTag, Error};

pub(super) const DICOM: &str = "application/dicom";

pub(super) struct Api {
    pub(super) client: Client,
    pub(super) config: S3Config,
    pub(super) layout: Layout,
    pub(super) renewal: Renewal,
}

/// Without the client, which shows its access key.
impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("config", &self.config)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// A page of a listing: names as they are, lengths, tags.
#[derive(Debug)]
pub(super) struct ListingPage {
    pub(super) objects: Vec<(String, Option<u64>, Option<EntityTag>)>,
    pub(super) next: Option<String>,
}

/// What the service tells of an object that it has now.
#[derive(Debug)]
pub(super) struct StoredResponse {
    pub(super) tag: Option<EntityTag>,
    /// The tag is that of the bytes, by our reckoning.
    pub(super) of_bytes: bool,
}

impl Api {
    /// One cheap request.
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.page(self.layout.top().to_owned(), None, 1).await?;
        Ok(())
    }

    pub(super) async fn put(
        &self,
        name: String,
        body: Bytes,
        digests: &Digests,
    ) -> Result<StoredResponse, Error> {
        self.renewal.renew().await?;
        let len = body.len() as u64;
        let (encryption, key_id) = encryption(&self.config.encryption);
        let request = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .key(name)
            .content_type(DICOM)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .set_storage_class(storage_class(&self.config))
            .set_checksum_crc32_c(self.only(ChecksumMode::Crc32c, digests.checksum()))
            .set_checksum_sha256(self.only(ChecksumMode::Sha256, digests.checksum()))
            .body(ByteStream::from(body))
            .customize()
            .config_override(Builder::default().timeout_config(timeouts(&self.config, len)));
        // Under TLS the checksum guards the bytes; hashing them for the signature, too, costs more
        // than all else.
        let request = if self.config.is_tls() {
            request.disable_payload_signing()
        } else {
            request
        };
        let stored = quiet(request.send()).await;
        let stored = stored.map_err(|error| self.failed(&error, "s3:PutObject"))?;
        let checksum = self.told_checksum(stored.checksum_crc32_c(), stored.checksum_sha256());
        compare("checksum", checksum, digests.checksum().as_deref())?;
        let kept = stored.server_side_encryption();
        self.encrypts(kept)?;
        told(stored.e_tag(), kept, &digests.e_tag())
    }

    /// Whether the service encrypts as it was asked to. One that does not know the header says nothing.
    pub(super) fn encrypts(&self, told: Option<&ServerSideEncryption>) -> Result<(), S3Error> {
        match encryption(&self.config.encryption).0 {
            Some(asked) if told != Some(&asked) => Err(S3Error::NotEncrypted),
            _ => Ok(()),
        }
    }

    /// A page of a listing, from the start or where one before ended.
    pub(super) async fn page(
        &self,
        prefix: String,
        from: Option<String>,
        most: i32,
    ) -> Result<ListingPage, Error> {
        self.renewal.renew().await?;
        let page = quiet(
            self.client
                .list_objects_v2()
                .bucket(&self.config.bucket)
                .prefix(prefix)
                .encoding_type(EncodingType::Url)
                .max_keys(most)
                .set_continuation_token(from)
                .send(),
        )
        .await
        .map_err(|error| self.failed(&error, "s3:ListBucket"))?;
        let encoded = page.encoding_type().is_some();
        let next = match (page.is_truncated(), page.next_continuation_token()) {
            (Some(true), Some(next)) => Some(next.to_owned()),
            (Some(true), None) => return Err(S3Error::NotS3.into()),
            _ => None,
        };
        let objects = page.contents().iter().filter_map(|object| {
            let len = object.size().and_then(|len| u64::try_from(len).ok());
            let tag = object.e_tag().and_then(|tag| EntityTag::new(unquoted(tag)));
            Some((decoded(object.key()?, encoded)?, len, tag))
        });
        Ok(ListingPage {
            objects: objects.collect(),
            next,
        })
    }

    pub(super) fn only(&self, mode: ChecksumMode, checksum: Option<String>) -> Option<String> {
        checksum.filter(|_| self.config.checksum == mode)
    }

    /// The checksum that was asked for, of those that a service can tell.
    pub(super) fn told_checksum<'a>(
        &self,
        crc: Option<&'a str>,
        sha: Option<&'a str>,
    ) -> Option<&'a str> {
        match self.config.checksum {
            ChecksumMode::Crc32c => crc,
            ChecksumMode::Sha256 => sha,
            ChecksumMode::None => None,
        }
    }

    pub(super) fn failed<E>(&self, error: &SdkError<E, HttpResponse>, action: &'static str) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let error = self.renewal.map_expired(error_of(error, action));
        tracing::debug!(%error, action, "the service refuses");
        error.into()
    }
}

pub(super) fn decoded(name: &str, encoded: bool) -> Option<String> {
    if encoded {
        url_decoded(name)
    } else {
        Some(name.to_owned())
    }
}

pub(super) fn encryption(
    encryption: &Encryption,
) -> (Option<ServerSideEncryption>, Option<String>) {
    match encryption {
        Encryption::Bucket => (None, None),
        Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
        Encryption::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
    }
}

pub(super) fn storage_class(config: &S3Config) -> Option<StorageClass> {
    config.storage_class.as_deref().map(StorageClass::from)
}

/// Whether an ETag speaks of bytes: under a key of KMS it does not.
fn speaks(encryption: Option<&ServerSideEncryption>) -> bool {
    matches!(encryption, None | Some(ServerSideEncryption::Aes256))
}

/// Compares an ETag with ours, where both are made in the same way. Whoever has stored an object tells one.
pub(super) fn told(
    e_tag: Option<&str>,
    encryption: Option<&ServerSideEncryption>,
    ours: &str,
) -> Result<StoredResponse, Error> {
    let e_tag = e_tag.map(unquoted).filter(|e_tag| !e_tag.is_empty());
    let e_tag = e_tag.ok_or(S3Error::NotS3)?;
    let same_form = is_md5(e_tag) && e_tag.contains('-') == ours.contains('-');
    let of_bytes = same_form && speaks(encryption);
    if of_bytes {
        compare("ETag", Some(e_tag), Some(ours))?;
    }
    let tag = EntityTag::new(e_tag);
    Ok(StoredResponse { tag, of_bytes })
}

pub(super) fn compare(
    what: &'static str,
    found: Option<&str>,
    expected: Option<&str>,
) -> Result<(), S3Error> {
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => Err(S3Error::Corrupt { what }),
        _ => Ok(()),
    }
}
