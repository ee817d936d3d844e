//! The requests of an upload in parts.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, EncodingType, ServerSideEncryption,
};
use bytes::Bytes;

use super::api::{Api, DICOM, StoredResponse, compare, decoded, encryption, storage_class, told};
use super::client::{quiet, timeouts};
use super::config::ChecksumMode;
use super::digest::{Digests, PartDigests};
use crate::Error;
use crate::error::s3::S3Error;

/// How often a request inside a longer work is tried, which would else begin anew.
const ATTEMPTS: u32 = 3;

/// A part that arrived.
#[derive(Debug)]
pub(super) struct UploadedPart {
    number: i32,
    e_tag: String,
    checksum: Option<String>,
}

impl Api {
    /// Begins an upload in parts, and says its id.
    pub(super) async fn create(&self, name: String) -> Result<String, Error> {
        self.renewal.renew().await?;
        let taken_back = name.clone();
        let (encryption, key_id) = encryption(&self.config.encryption);
        let algorithm = match self.config.checksum {
            ChecksumMode::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            ChecksumMode::Sha256 => Some(ChecksumAlgorithm::Sha256),
            ChecksumMode::None => None,
        };
        let begun = quiet(
            self.client
                .create_multipart_upload()
                .bucket(&self.config.bucket)
                .key(name)
                .content_type(DICOM)
                .set_server_side_encryption(encryption)
                .set_ssekms_key_id(key_id)
                .set_storage_class(storage_class(&self.config))
                .set_checksum_algorithm(algorithm)
                .send(),
        )
        .await;
        let (id, kept) = match begun {
            Ok(begun) => (begun.upload_id, begun.server_side_encryption),
            Err(error) => match odd_answer(&error) {
                None => return Err(self.failed(&error, "s3:PutObject")),
                Some((id, kept)) => (Some(id), kept),
            },
        };
        let id = id.filter(|id| !id.is_empty()).ok_or(S3Error::NotS3)?;
        if let Err(error) = self.encrypts(kept.as_ref()) {
            // Before a byte is sent. The first error is the one to tell.
            if let Err(error) = self.abort(taken_back, id).await {
                tracing::warn!(%error, "an upload in parts stays until the next export");
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
        let overrides = Self::again().timeout_config(timeouts(&self.config, len));
        let request = self
            .client
            .upload_part()
            .bucket(&self.config.bucket)
            .key(name)
            .upload_id(id)
            .part_number(number)
            .set_checksum_crc32_c(self.only(ChecksumMode::Crc32c, digests.checksum()))
            .set_checksum_sha256(self.only(ChecksumMode::Sha256, digests.checksum()))
            .body(ByteStream::from(body))
            .customize()
            .config_override(overrides);
        let request = if self.config.is_tls() {
            request.disable_payload_signing()
        } else {
            request
        };
        let stored = quiet(request.send()).await;
        let stored = stored.map_err(|error| self.failed(&error, "s3:PutObject"))?;
        let checksum = self.told_checksum(stored.checksum_crc32_c(), stored.checksum_sha256());
        compare(
            "checksum of a part",
            checksum,
            digests.checksum().as_deref(),
        )?;
        told(
            stored.e_tag(),
            stored.server_side_encryption(),
            &digests.e_tag(),
        )?;
        Ok(UploadedPart {
            number,
            // `told` has seen that there is one.
            e_tag: stored.e_tag.unwrap_or_default(),
            checksum: digests.checksum(),
        })
    }

    pub(super) async fn complete(
        &self,
        name: String,
        id: String,
        mut arrived: Vec<UploadedPart>,
        parts: PartDigests,
    ) -> Result<StoredResponse, Error> {
        self.renewal.renew().await?;
        arrived.sort_by_key(|part| part.number);
        let list = arrived.into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(part.e_tag)
                .set_checksum_crc32_c(self.only(ChecksumMode::Crc32c, part.checksum.clone()))
                .set_checksum_sha256(self.only(ChecksumMode::Sha256, part.checksum))
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
                .multipart_upload(list)
                .send(),
        )
        .await
        .map_err(|error| self.failed(&error, "s3:PutObject"))?;
        let checksum = self.told_checksum(stored.checksum_crc32_c(), stored.checksum_sha256());
        // One without a count is of the whole object, which the parts' own checksums cover already.
        let composite = checksum.filter(|checksum| checksum.contains('-'));
        let expected = parts.checksum(self.config.checksum);
        compare("checksum", composite, expected.as_deref())?;
        let kept = stored.server_side_encryption();
        told(stored.e_tag(), kept, &parts.e_tag())
    }

    pub(super) async fn abort(&self, name: String, id: String) -> Result<(), Error> {
        self.renewal.renew().await?;
        let ended = quiet(
            self.client
                .abort_multipart_upload()
                .bucket(&self.config.bucket)
                .key(name)
                .upload_id(id)
                .customize()
                .config_override(Self::again())
                .send(),
        )
        .await;
        match ended {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(self.failed(&error, "s3:AbortMultipartUpload")),
        }
    }

    /// Uploads in parts that were begun under a prefix and not ended: names and ids.
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
                    .config_override(Self::again())
                    .send(),
            )
            .await;
            let page = match page {
                Ok(page) => page,
                // rclone's word for none.
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(all),
                Err(error) => return Err(self.failed(&error, "s3:ListBucketMultipartUploads")),
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
            // A server that says there is more, and not where, would be asked for ever.
            if name.is_none() {
                return Err(S3Error::NotS3.into());
            }
        }
    }

    fn again() -> Builder {
        Builder::default().retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
    }
}

/// The id, and the encryption, in an answer whose outermost element has another name than AWS gives it,
/// as rclone's has: the SDK takes none of it, and the upload is begun.
fn odd_answer<E>(
    error: &SdkError<E, HttpResponse>,
) -> Option<(String, Option<ServerSideEncryption>)> {
    let answer = error.raw_response()?;
    if !answer.status().is_success() {
        return None;
    }
    let body = std::str::from_utf8(answer.body().bytes()?).ok()?;
    let (_, after) = body.split_once("<UploadId>")?;
    let (id, _) = after.split_once("</UploadId>")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
    let kept = answer.headers().get("x-amz-server-side-encryption");
    let kept = kept.map(ServerSideEncryption::from);
    id.bytes().all(plain).then(|| (id.to_owned(), kept))
}
