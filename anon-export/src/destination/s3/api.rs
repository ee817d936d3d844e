//! The requests to S3, one function each.

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
use super::terms::PutTerms;
use crate::error::s3::S3Error;
use crate::{EntityTag, Error};

pub(super) const DICOM: &str = "application/dicom";

pub(super) struct Api {
    pub(super) client: Client,
    pub(super) config: S3Config,
    pub(super) layout: Layout,
    pub(super) renewal: Renewal,
}

/// Omits the client, whose `Debug` shows the access key.
impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("config", &self.config)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// A page of a listing: decoded names, lengths and tags.
#[derive(Debug)]
pub(super) struct ListingPage {
    pub(super) objects: Vec<(String, Option<u64>, Option<EntityTag>)>,
    pub(super) next: Option<String>,
}

/// The response of the service for a stored object.
#[derive(Debug)]
pub(super) struct StoredResponse {
    pub(super) tag: Option<EntityTag>,
    /// True if the tag is the MD5 of the bytes, as computed here.
    pub(super) is_content_md5: bool,
}

impl Api {
    /// Lists one object: a cheap request.
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.page(self.layout.top().to_owned(), None, 1).await?;
        Ok(())
    }

    pub(super) async fn put(
        &self,
        name: String,
        body: Bytes,
        digests: &Digests,
        terms: &PutTerms,
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
            .set_metadata(terms.metadata())
            .set_if_none_match(terms.if_none_match.clone())
            .set_if_match(terms.if_match.clone())
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .set_storage_class(storage_class(&self.config))
            .set_checksum_crc32_c(self.checksum_if(ChecksumMode::Crc32c, digests.checksum()))
            .set_checksum_sha256(self.checksum_if(ChecksumMode::Sha256, digests.checksum()))
            .body(ByteStream::from(body))
            .customize()
            .config_override(Builder::default().timeout_config(timeouts(&self.config, len)));
        // Under TLS the checksum protects the bytes. Hashing them again for the signature would
        // cost more than everything else.
        let request = if self.config.is_tls() {
            request.disable_payload_signing()
        } else {
            request
        };
        let stored = quiet(request.send()).await;
        let stored = stored.map_err(|error| self.map_error(&error, "s3:PutObject"))?;
        let checksum = self.returned_checksum(stored.checksum_crc32_c(), stored.checksum_sha256());
        compare("checksum", checksum, digests.checksum().as_deref())?;
        let encryption = stored.server_side_encryption();
        self.check_encryption(encryption)?;
        stored_response(stored.e_tag(), encryption, &digests.e_tag())
    }

    /// Checks that the service encrypts as requested. A service that does not know the header does
    /// not return it.
    pub(super) fn check_encryption(
        &self,
        returned: Option<&ServerSideEncryption>,
    ) -> Result<(), S3Error> {
        match encryption(&self.config.encryption).0 {
            Some(requested) if returned != Some(&requested) => Err(S3Error::NotEncrypted),
            _ => Ok(()),
        }
    }

    /// Returns a page of a listing, from the start or from a continuation token.
    pub(super) async fn page(
        &self,
        prefix: String,
        from: Option<String>,
        max_keys: i32,
    ) -> Result<ListingPage, Error> {
        self.renewal.renew().await?;
        let page = quiet(
            self.client
                .list_objects_v2()
                .bucket(&self.config.bucket)
                .prefix(prefix)
                .encoding_type(EncodingType::Url)
                .max_keys(max_keys)
                .set_continuation_token(from)
                .send(),
        )
        .await
        .map_err(|error| self.map_error(&error, "s3:ListBucket"))?;
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

    pub(super) fn checksum_if(
        &self,
        mode: ChecksumMode,
        checksum: Option<String>,
    ) -> Option<String> {
        checksum.filter(|_| self.config.checksum == mode)
    }

    /// Returns the checksum of the configured algorithm.
    pub(super) fn returned_checksum<'a>(
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

    pub(super) fn map_error<E>(
        &self,
        error: &SdkError<E, HttpResponse>,
        action: &'static str,
    ) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let error = self.renewal.map_expired(error_of(error, action));
        tracing::debug!(%error, action, "the S3 request failed");
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

/// Returns whether ETags are MD5s of the bytes. With a KMS key they are not.
fn has_md5_tags(encryption: Option<&ServerSideEncryption>) -> bool {
    matches!(encryption, None | Some(ServerSideEncryption::Aes256))
}

/// Compares the returned ETag with ours, if both are made in the same way. Every successful
/// response has an ETag.
pub(super) fn stored_response(
    e_tag: Option<&str>,
    encryption: Option<&ServerSideEncryption>,
    ours: &str,
) -> Result<StoredResponse, Error> {
    let e_tag = e_tag.map(unquoted).filter(|e_tag| !e_tag.is_empty());
    let e_tag = e_tag.ok_or(S3Error::NotS3)?;
    let is_same_kind = is_md5(e_tag) && e_tag.contains('-') == ours.contains('-');
    let is_content_md5 = is_same_kind && has_md5_tags(encryption);
    if is_content_md5 {
        compare("ETag", Some(e_tag), Some(ours))?;
    }
    let tag = EntityTag::new(e_tag);
    Ok(StoredResponse {
        tag,
        is_content_md5,
    })
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
