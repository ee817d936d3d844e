//! The requests, one function each.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, EncodingType, ServerSideEncryption,
    StorageClass,
};
use bytes::Bytes;

use super::answer::error_of;
use super::client::{quiet, timeouts};
use super::config::{ChecksumMode, Encryption, S3Config};
use super::digest::{Digests, Parts, is_md5, unquoted};
use super::error::S3Error;
use super::layout::{Layout, url_decoded};
use super::session::Session;
use crate::{Error, Tag};

const DICOM: &str = "application/dicom";

/// How often a request inside a longer work is tried, which would else begin anew.
const ATTEMPTS: u32 = 3;

#[derive(Debug)]
pub(super) struct Api {
    pub(super) client: Client,
    pub(super) config: S3Config,
    pub(super) layout: Layout,
    pub(super) session: Session,
}

/// A page of a listing: names as they are, lengths, tags.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Option<u64>, Option<Tag>)>,
    pub(super) next: Option<String>,
}

/// What the service tells of an object that it has now.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) tag: Option<Tag>,
    /// The tag is that of the bytes, by our reckoning.
    pub(super) of_bytes: bool,
}

/// A part that arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    number: i32,
    e_tag: String,
    checksum: Option<String>,
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
    ) -> Result<Told, Error> {
        self.session.renew().await?;
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
        let request = match self.config.is_tls() {
            true => request.disable_payload_signing(),
            false => request,
        };
        let stored = quiet(request.send()).await;
        let stored = stored.map_err(|error| self.failed(&error, "s3:PutObject"))?;
        let checksum = match self.config.checksum {
            ChecksumMode::Crc32c => stored.checksum_crc32_c(),
            ChecksumMode::Sha256 => stored.checksum_sha256(),
            ChecksumMode::None => None,
        };
        compare("checksum", checksum, digests.checksum().as_deref())?;
        let kept = stored.server_side_encryption();
        told(stored.e_tag(), kept, &digests.e_tag())
    }

    /// Begins an upload in parts, and says its id.
    pub(super) async fn create(&self, name: String) -> Result<String, Error> {
        self.session.renew().await?;
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
        let id = match begun {
            Ok(begun) => begun.upload_id,
            Err(error) => match id_of_odd_answer(&error) {
                None => return Err(self.failed(&error, "s3:PutObject")),
                id => id,
            },
        };
        id.filter(|id| !id.is_empty())
            .ok_or_else(|| S3Error::NotS3.into())
    }

    pub(super) async fn part(
        &self,
        name: String,
        id: String,
        number: i32,
        body: Bytes,
        digests: Digests,
    ) -> Result<Arrived, Error> {
        self.session.renew().await?;
        let len = body.len() as u64;
        let overrides = self.again().timeout_config(timeouts(&self.config, len));
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
        let request = match self.config.is_tls() {
            true => request.disable_payload_signing(),
            false => request,
        };
        let stored = quiet(request.send()).await;
        let stored = stored.map_err(|error| self.failed(&error, "s3:PutObject"))?;
        let checksum = match self.config.checksum {
            ChecksumMode::Crc32c => stored.checksum_crc32_c(),
            ChecksumMode::Sha256 => stored.checksum_sha256(),
            ChecksumMode::None => None,
        };
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
        Ok(Arrived {
            number,
            e_tag: stored.e_tag.unwrap_or_default(),
            checksum: digests.checksum(),
        })
    }

    pub(super) async fn complete(
        &self,
        name: String,
        id: String,
        mut arrived: Vec<Arrived>,
        parts: Parts,
    ) -> Result<Told, Error> {
        self.session.renew().await?;
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
        let checksum = match self.config.checksum {
            ChecksumMode::Crc32c => stored.checksum_crc32_c(),
            ChecksumMode::Sha256 => stored.checksum_sha256(),
            ChecksumMode::None => None,
        };
        // One without a count is of the whole object, which the parts' own checksums cover already.
        let composite = checksum.filter(|checksum| checksum.contains('-'));
        let expected = parts.checksum(self.config.checksum);
        compare("checksum", composite, expected.as_deref())?;
        let kept = stored.server_side_encryption();
        told(stored.e_tag(), kept, &parts.e_tag())
    }

    pub(super) async fn abort(&self, name: String, id: String) -> Result<(), Error> {
        self.session.renew().await?;
        let ended = quiet(
            self.client
                .abort_multipart_upload()
                .bucket(&self.config.bucket)
                .key(name)
                .upload_id(id)
                .customize()
                .config_override(self.again())
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
            self.session.renew().await?;
            let page = quiet(
                self.client
                    .list_multipart_uploads()
                    .bucket(&self.config.bucket)
                    .prefix(&prefix)
                    .encoding_type(EncodingType::Url)
                    .set_key_marker(name)
                    .set_upload_id_marker(id)
                    .customize()
                    .config_override(self.again())
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

    /// A page of a listing, from the start or where one before ended.
    pub(super) async fn page(
        &self,
        prefix: String,
        from: Option<String>,
        most: i32,
    ) -> Result<Page, Error> {
        self.session.renew().await?;
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
            let tag = object.e_tag().and_then(|tag| Tag::new(unquoted(tag)));
            Some((decoded(object.key()?, encoded)?, len, tag))
        });
        Ok(Page {
            objects: objects.collect(),
            next,
        })
    }

    fn only(&self, mode: ChecksumMode, checksum: Option<String>) -> Option<String> {
        checksum.filter(|_| self.config.checksum == mode)
    }

    fn again(&self) -> Builder {
        Builder::default().retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
    }

    fn failed<E>(&self, error: &SdkError<E, HttpResponse>, action: &'static str) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let error = self.session.judge(error_of(error, action));
        tracing::debug!(%error, action, "the service refuses");
        error.into()
    }
}

/// The id in an answer whose outermost element has another name than AWS gives it, as rclone's has: the
/// SDK takes none of it, and the upload is begun.
fn id_of_odd_answer<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let answer = error.raw_response()?;
    if !answer.status().is_success() {
        return None;
    }
    let body = std::str::from_utf8(answer.body().bytes()?).ok()?;
    let (_, after) = body.split_once("<UploadId>")?;
    let (id, _) = after.split_once("</UploadId>")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
    id.bytes().all(plain).then(|| id.to_owned())
}

fn decoded(name: &str, encoded: bool) -> Option<String> {
    if encoded {
        url_decoded(name)
    } else {
        Some(name.to_owned())
    }
}

fn encryption(encryption: &Encryption) -> (Option<ServerSideEncryption>, Option<String>) {
    match encryption {
        Encryption::Bucket => (None, None),
        Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
        Encryption::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
    }
}

fn storage_class(config: &S3Config) -> Option<StorageClass> {
    config.storage_class.as_deref().map(StorageClass::from)
}

/// Whether an ETag speaks of bytes: under a key of KMS it does not.
fn speaks(encryption: Option<&ServerSideEncryption>) -> bool {
    matches!(encryption, None | Some(ServerSideEncryption::Aes256))
}

/// Compares an ETag with ours, where both are made in the same way.
fn told(
    e_tag: Option<&str>,
    encryption: Option<&ServerSideEncryption>,
    ours: &str,
) -> Result<Told, Error> {
    let e_tag = e_tag.map(unquoted).unwrap_or_default();
    let same_form = is_md5(e_tag) && e_tag.contains('-') == ours.contains('-');
    let of_bytes = same_form && speaks(encryption);
    if of_bytes {
        compare("ETag", Some(e_tag), Some(ours))?;
    }
    let tag = Tag::new(e_tag);
    Ok(Told { tag, of_bytes })
}

fn compare(what: &'static str, found: Option<&str>, expected: Option<&str>) -> Result<(), S3Error> {
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => Err(S3Error::Corrupt { what }),
        _ => Ok(()),
    }
}
