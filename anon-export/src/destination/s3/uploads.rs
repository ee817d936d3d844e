//! The requests of a multipart upload.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, EncodingType, ServerSideEncryption,
};
use bytes::Bytes;

use super::api::{
    Api, DICOM, StoredResponse, compare, decoded, encryption, storage_class, stored_response,
};
use super::client::{quiet, timeouts};
use super::config::ChecksumMode;
use super::digest::{Digests, PartDigests};
use super::terms::PutTerms;
use crate::Error;
use crate::error::s3::S3Error;

/// The number of attempts of these requests. Without retries a failure would restart the whole
/// upload.
const ATTEMPTS: u32 = 3;

/// A part that was uploaded.
#[derive(Debug, Clone)]
pub(super) struct UploadedPart {
    number: i32,
    e_tag: String,
    checksum: Option<String>,
}

impl Api {
    /// Starts a multipart upload and returns its id.
    pub(super) async fn create(&self, name: String, terms: &PutTerms) -> Result<String, Error> {
        self.renewal.renew().await?;
        let abort_name = name.clone();
        let (encryption, key_id) = encryption(&self.config.encryption);
        let algorithm = match self.config.checksum {
            ChecksumMode::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            ChecksumMode::Sha256 => Some(ChecksumAlgorithm::Sha256),
            ChecksumMode::None => None,
        };
        let created = quiet(
            self.client
                .create_multipart_upload()
                .bucket(&self.config.bucket)
                .key(name)
                .content_type(DICOM)
                .set_metadata(terms.metadata())
                .set_server_side_encryption(encryption)
                .set_ssekms_key_id(key_id)
                .set_storage_class(storage_class(&self.config))
                .set_checksum_algorithm(algorithm)
                .send(),
        )
        .await;
        let (id, encryption) = match created {
            Ok(created) => (created.upload_id, created.server_side_encryption),
            Err(error) => match upload_id_in_response(&error) {
                None => return Err(self.map_error(&error, "s3:PutObject")),
                Some((id, encryption)) => (Some(id), encryption),
            },
        };
        let id = id.filter(|id| !id.is_empty()).ok_or(S3Error::NotS3)?;
        if let Err(error) = self.check_encryption(encryption.as_ref()) {
            // No object data was sent yet. The first error is returned.
            if let Err(error) = self.abort(abort_name, id).await {
                tracing::warn!(%error, "a multipart upload stays until the next export");
            }
            return Err(error.into());
        }
        Ok(id)
    }

    pub(super) async fn part(
        &self,
        name: String,
        id: String,
        number: i32,
        body: Bytes,
        digests: Digests,
    ) -> Result<UploadedPart, Error> {
        self.renewal.renew().await?;
        let len = body.len() as u64;
        let overrides = Self::with_retries().timeout_config(timeouts(&self.config, len));
        let request = self
            .client
            .upload_part()
            .bucket(&self.config.bucket)
            .key(name)
            .upload_id(id)
            .part_number(number)
            .set_checksum_crc32_c(self.checksum_if(ChecksumMode::Crc32c, digests.checksum()))
            .set_checksum_sha256(self.checksum_if(ChecksumMode::Sha256, digests.checksum()))
            .body(ByteStream::from(body))
            .customize()
            .config_override(overrides);
        let request = if self.config.is_tls() {
            request.disable_payload_signing()
        } else {
            request
        };
        let stored = quiet(request.send()).await;
        let stored = stored.map_err(|error| self.map_error(&error, "s3:PutObject"))?;
        let checksum = self.returned_checksum(stored.checksum_crc32_c(), stored.checksum_sha256());
        compare(
            "checksum of a part",
            checksum,
            digests.checksum().as_deref(),
        )?;
        stored_response(
            stored.e_tag(),
            stored.server_side_encryption(),
            &digests.e_tag(),
        )?;
        Ok(UploadedPart {
            number,
            // `stored_response` has checked that there is one.
            e_tag: stored.e_tag.unwrap_or_default(),
            checksum: digests.checksum(),
        })
    }

    pub(super) async fn complete(
        &self,
        name: String,
        id: String,
        mut uploaded: Vec<UploadedPart>,
        parts: PartDigests,
        terms: &PutTerms,
    ) -> Result<StoredResponse, Error> {
        self.renewal.renew().await?;
        uploaded.sort_by_key(|part| part.number);
        let list = uploaded.into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(part.e_tag)
                .set_checksum_crc32_c(self.checksum_if(ChecksumMode::Crc32c, part.checksum.clone()))
                .set_checksum_sha256(self.checksum_if(ChecksumMode::Sha256, part.checksum))
                .build()
        });
        let list = CompletedMultipartUpload::builder()
            .set_parts(Some(list.collect()))
            .build();
        let stored = quiet(
            self.client
                .complete_multipart_upload()
                .bucket(&self.config.bucket)
                .key(name)
                .upload_id(id)
                .set_if_none_match(terms.if_none_match.clone())
                .set_if_match(terms.if_match.clone())
                .multipart_upload(list)
                .send(),
        )
        .await
        .map_err(|error| self.map_error(&error, "s3:PutObject"))?;
        let checksum = self.returned_checksum(stored.checksum_crc32_c(), stored.checksum_sha256());
        // A checksum without a count covers the whole object, which the parts' own checksums cover
        // already.
        let composite = checksum.filter(|checksum| checksum.contains('-'));
        let expected = parts.checksum(self.config.checksum);
        compare("checksum", composite, expected.as_deref())?;
        let encryption = stored.server_side_encryption();
        stored_response(stored.e_tag(), encryption, &parts.e_tag())
    }

    pub(super) async fn abort(&self, name: String, id: String) -> Result<(), Error> {
        self.renewal.renew().await?;
        let aborted = quiet(
            self.client
                .abort_multipart_upload()
                .bucket(&self.config.bucket)
                .key(name)
                .upload_id(id)
                .customize()
                .config_override(Self::with_retries())
                .send(),
        )
        .await;
        match aborted {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(self.map_error(&error, "s3:AbortMultipartUpload")),
        }
    }

    /// Returns the names and ids of unfinished multipart uploads under a prefix.
    pub(super) async fn uploads(&self, prefix: String) -> Result<Vec<(String, String)>, Error> {
        let mut all = Vec::new();
        let (mut name, mut id) = (None, None);
        loop {
            self.renewal.renew().await?;
            let page = quiet(
                self.client
                    .list_multipart_uploads()
                    .bucket(&self.config.bucket)
                    .prefix(&prefix)
                    .encoding_type(EncodingType::Url)
                    .set_key_marker(name)
                    .set_upload_id_marker(id)
                    .customize()
                    .config_override(Self::with_retries())
                    .send(),
            )
            .await;
            let page = match page {
                Ok(page) => page,
                // rclone returns this if there are none.
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(all),
                Err(error) => return Err(self.map_error(&error, "s3:ListBucketMultipartUploads")),
            };
            let encoded = page.encoding_type().is_some();
            for upload in page.uploads() {
                let name = upload.key().and_then(|name| decoded(name, encoded));
                if let (Some(name), Some(id)) = (name, upload.upload_id()) {
                    all.push((name, id.to_owned()));
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(all);
            }
            name = page
                .next_key_marker()
                .and_then(|name| decoded(name, encoded));
            id = page.next_upload_id_marker().map(str::to_owned);
            // A truncated page without a marker would repeat for ever.
            if name.is_none() {
                return Err(S3Error::NotS3.into());
            }
        }
    }

    fn with_retries() -> Builder {
        Builder::default().retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
    }
}

/// Returns the upload id and the encryption from a successful response that the SDK cannot parse.
/// The root element of rclone's response has another name than that of AWS.
fn upload_id_in_response<E>(
    error: &SdkError<E, HttpResponse>,
) -> Option<(String, Option<ServerSideEncryption>)> {
    let response = error.raw_response()?;
    if !response.status().is_success() {
        return None;
    }
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, after) = body.split_once("<UploadId>")?;
    let (id, _) = after.split_once("</UploadId>")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
    let encryption = response.headers().get("x-amz-server-side-encryption");
    let encryption = encryption.map(ServerSideEncryption::from);
    id.bytes().all(plain).then(|| (id.to_owned(), encryption))
}
