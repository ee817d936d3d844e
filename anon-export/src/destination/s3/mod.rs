//! [`S3Sink`]: a bucket of S3 or of an S3-compatible server.
//!
//! ```text
//!  <prefix>/<user>/<project>/<patient>/<study>/<series>/<instance>.dcm     application/dicom
//!           only with Cognito
//!
//!  put ──► up to one part   read whole ──► PutObject ──► ETag and checksum compared
//!      └─► longer           part by part ► UploadPart ─► each compared ──► CompleteMultipartUpload
//!                           on any error, or when dropped ► AbortMultipartUpload
//!  list ─► ListObjectsV2, 1,000 objects a page, keys URL-encoded
//! ```
//!
//! * **All or nothing.** An object that is sent in one request is read completely before anything
//!   is sent. A multipart upload is not visible before its last request. What the service reports
//!   is compared with what was sent: the MD5 (in the ETag) and the [`ChecksumMode`].
//! * **No leftovers.** A multipart upload that fails is aborted. One that a killed process left is
//!   aborted by the first put of the same patient in a later sink. So two programs must not export
//!   the same patient to one bucket at the same time.
//! * **Origins.** The origin of an object is in its metadata (`x-amz-meta-anon-origin`), which
//!   `s3:GetObject` allows to read. Without that permission, the ETag decides.
//! * **Nothing is replaced by mistake.** Puts are conditional: of an object that must be new, and of one
//!   that replaces the object that was listed. A service that knows no conditions gets none; then an
//!   object that appears during the put is replaced.
//! * **Serialized keys.** Two puts of one key through one sink run one after the other.
//! * **Bounded memory.** All puts together hold at most [`S3Config::with_memory_bytes`], or one
//!   part of an object whose parts are longer.
//! * **Blocking calls.** The sink has its own threads for the async client. Any thread may call,
//!   also those of an async program, which then block.
//!
//! A request is sent once, and [`Error::remedy`] says whether a retry can help. Requests of a
//! multipart upload are tried three times.
//!
//! # Tags
//!
//! The [`EntityTag`] is the ETag: the MD5 of the bytes, or the MD5 of the parts' MD5s and their
//! number. It can be computed in advance, unless the service returns other ETags, as it does with a
//! KMS key. An ETag from a listing can be compared if it is an MD5 of all bytes, or of parts as
//! long as ours. An object with any other ETag is sent again by an exporter without a journal.
//!
//! # Examples
//!
//! ```no_run
//! use anon_export::s3::{S3Config, S3Sink};
//! use anon_export::{ObjectKey, Sink};
//!
//! let config = S3Config::new("trials", "TRIAL-7").with_region("eu-central-1");
//! let sink = S3Sink::open(config)?; // credentials as the AWS tools find them
//! sink.check()?;
//! let key = ObjectKey::new(["527408119-000001", "1.2.3.1", "1.2.3.2", "1.2.3.3"])?;
//! sink.put(&key, 4, &mut b"DICM".as_slice())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api;
mod client;
#[cfg(feature = "cognito")]
pub mod cognito;
mod config;
mod credentials;
mod digest;
mod endpoint;
mod existing;
mod key_locks;
mod layout;
mod memory_budget;
mod multipart;
mod renewal;
mod response;
mod secret;
mod stall;
mod terms;
mod trust;
mod uploads;

use std::collections::HashSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use self::api::{Api, StoredResponse};
use self::client::Threads;
use self::config::MAX_OBJECT_BYTES;
use self::digest::{Digests, ETagHasher, is_md5};
use self::key_locks::KeyLocks;
use self::layout::Layout;
use self::memory_budget::MemoryBudget;
use self::renewal::Renewal;
use self::terms::{ExistingObject, PutTerms};
use crate::sink::copy_exact;
use crate::{
    Cancel, Capabilities, EntityTag, Error, KeyPart, ListedObject, ObjectKey, Origin, Put,
    PutOptions, Sink, Stored,
};

pub use self::config::{Addressing, ChecksumMode, Encryption, S3Config};
pub use self::credentials::{AccessKeys, Credentials};
pub use self::secret::Secret;
pub use crate::error::s3::{S3Error, ServiceText};

/// The number of objects on a page of a listing.
const PAGE: i32 = 1000;

/// A bucket of S3 or of an S3-compatible server. See the [module](self).
#[derive(Debug)]
pub struct S3Sink {
    api: Arc<Api>,
    budget: Arc<MemoryBudget>,
    /// Patients whose leftover uploads were aborted. Locked during the cleanup: it would take an
    /// upload started meanwhile for a leftover.
    cleared: Mutex<HashSet<KeyPart>>,
    /// True once the service returned an ETag that is not an MD5 of the bytes.
    has_opaque_tags: AtomicBool,
    /// True once the service refused a conditional put because it knows none.
    is_unconditional: AtomicBool,
    key_locks: KeyLocks,
    threads: Threads,
}

impl S3Sink {
    /// Creates a client; with Cognito, logs the user in. Makes no other request.
    ///
    /// # Errors
    /// [`Error::S3`] if the settings are invalid or no credentials are found; with Cognito, those
    /// of a login.
    pub fn open(config: S3Config) -> Result<Self, Error> {
        Self::open_with_cancel(config, Cancel::new())
    }

    /// Does the same as [`open`](Self::open) and [`with_cancel`](Self::with_cancel); `cancel` also
    /// ends the login.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::Cancelled`].
    pub fn open_with_cancel(config: S3Config, cancel: Cancel) -> Result<Self, Error> {
        config.check()?;
        let threads = Threads::start()?.with_cancel(cancel);
        let api = threads.run(open(config))??;
        Ok(Self {
            budget: MemoryBudget::new(api.config.memory_bytes, api.config.part_bytes),
            api: Arc::new(api),
            cleared: Mutex::default(),
            has_opaque_tags: AtomicBool::new(false),
            is_unconditional: AtomicBool::new(false),
            key_locks: KeyLocks::default(),
            threads,
        })
    }

    /// Sets the flag that cancels requests. A cancelled call fails with [`Error::Cancelled`]. Its
    /// object is stored completely, if its last request had arrived, or not at all.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        let threads = self.threads.with_cancel(cancel);
        Self { threads, ..self }
    }

    /// Returns the address of the destination: the endpoint (or `aws`), the bucket, and the part of
    /// the names before the patient. The same place always has the same address.
    ///
    /// # Examples
    /// ```
    /// use anon_export::s3::{Credentials, AccessKeys, S3Config, S3Sink, Secret};
    ///
    /// let keys = AccessKeys::new(Secret::new("KEY".into()), Secret::new("secret".into()));
    /// let config = S3Config::new("trials", "TRIAL-7")
    ///     .with_endpoint("http://127.0.0.1:9000")
    ///     .with_credentials(Credentials::Keys(keys));
    /// let sink = S3Sink::open(config)?;
    /// assert_eq!(sink.address(), "s3:http://127.0.0.1:9000/trials/TRIAL-7");
    /// # Ok::<(), anon_export::Error>(())
    /// ```
    pub fn address(&self) -> String {
        let config = &self.api.config;
        let service = config.endpoint.as_deref().unwrap_or("aws");
        let top = self.api.layout.top().trim_end_matches('/');
        format!(
            "s3:{}/{}/{top}",
            service.trim_end_matches('/'),
            config.bucket
        )
    }

    fn put_whole(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        terms: &PutTerms,
    ) -> Result<StoredResponse, Error> {
        let mut reservation = self.budget.reserve(len);
        copy_exact(body, len, &mut |piece| {
            reservation.extend(piece);
            Ok(())
        })?;
        let bytes = reservation.into_bytes();
        let digests = Digests::of(&bytes, self.api.config.checksum);
        self.put_under_terms(key, terms, &digests.e_tag(), |terms| {
            let (api, name) = (Arc::clone(&self.api), self.api.layout.name(key));
            let (bytes, digests) = (bytes.clone(), digests.clone());
            async move { api.put(name, bytes, &digests, &terms).await }
        })
    }

    /// Sends the request that makes an object visible: without its condition, if the service knows
    /// none; over the object that is there, if that is the same one, which an earlier attempt may have
    /// stored before its response was lost. `e_tag` is that of the bytes.
    fn put_under_terms<R>(
        &self,
        key: &ObjectKey,
        terms: &PutTerms,
        e_tag: &str,
        request: impl Fn(PutTerms) -> R,
    ) -> Result<StoredResponse, Error>
    where
        R: Future<Output = Result<StoredResponse, Error>> + Send + 'static,
    {
        let send = |terms| self.threads.run(request(terms))?;
        match send(terms.clone()) {
            Err(Error::S3(S3Error::Unsupported { .. })) if terms.is_conditional() => {
                let stored = send(terms.without_condition())?;
                self.is_unconditional.store(true, Ordering::Relaxed);
                Ok(stored)
            }
            Err(error @ Error::S3(S3Error::Occupied)) => {
                let existing = self.existing(key)?.ok_or(error)?;
                let terms = terms.over(&existing, e_tag).ok_or(S3Error::Occupied)?;
                send(terms)
            }
            stored => stored,
        }
    }

    fn existing(&self, key: &ObjectKey) -> Result<Option<ExistingObject>, Error> {
        let (api, name) = (Arc::clone(&self.api), self.api.layout.name(key));
        self.threads.run(async move { api.existing(name).await })?
    }

    /// Aborts uploads that an earlier export left of this patient. Only the first put of a patient
    /// does this.
    fn clear(&self, patient: &KeyPart) -> Result<(), Error> {
        let mut cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        if cleared.contains(patient) {
            return Ok(());
        }
        match multipart::clear(self, patient) {
            // The export works without this permission, and with servers that lack this request.
            Err(Error::S3(
                error @ (S3Error::Denied { .. }
                | S3Error::Unsupported { .. }
                | S3Error::Refused { .. }
                | S3Error::Server { .. }
                | S3Error::NotS3),
            )) => tracing::warn!(%error, "cannot list the uploads that an earlier export left"),
            other => other?,
        }
        cleared.insert(patient.clone());
        Ok(())
    }

    fn check_len(len: u64) -> Result<(), Error> {
        let max = MAX_OBJECT_BYTES;
        if len > max {
            return Err(Error::TooLarge { len, max });
        }
        Ok(())
    }

    /// Returns the number of parts of an object of this length. `None` if it is sent whole.
    fn parts_of(&self, len: u64) -> Option<u64> {
        let config = &self.api.config;
        (len > config.part_bytes).then(|| len.div_ceil(config.part_bytes_of(len)))
    }

    /// Computes the ETag of a body, in parts of this length or sent whole.
    fn e_tag_of(len: u64, part_bytes: Option<u64>, body: &mut dyn Read) -> Result<String, Error> {
        let mut e_tag = ETagHasher::new(part_bytes);
        copy_exact(body, len, &mut |piece| {
            e_tag.update(piece);
            Ok(())
        })?;
        Ok(e_tag.finish())
    }
}

async fn open(mut config: S3Config) -> Result<Api, Error> {
    // Dropped when this function returns: a password is needed only once.
    let credentials = std::mem::take(&mut config.credentials);
    let renewal = Renewal::open(&credentials, &config).await?;
    let client = client::connect(&config, &credentials, renewal.provider()).await?;
    let layout = Layout::new(&config.prefix, renewal.directory(), &config.project);
    Ok(Api {
        client,
        config,
        layout,
        renewal,
    })
}

impl Sink for S3Sink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_max_object_bytes(MAX_OBJECT_BYTES)
            .with_parallel(self.api.config.parallel)
            .without_comparing()
            .with_origins()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        self.put_with(key, len, body, &PutOptions::default())
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        Self::check_len(len)?;
        let _lock = self.key_locks.lock(key);
        self.clear(key.patient())?;
        let is_conditional = !self.is_unconditional.load(Ordering::Relaxed);
        let terms = PutTerms::new(options, is_conditional);
        let stored = if len > self.api.config.part_bytes {
            multipart::put(self, key, len, body, terms)?
        } else {
            self.put_whole(key, len, body, &terms)?
        };
        if !stored.is_content_md5 {
            self.has_opaque_tags.store(true, Ordering::Relaxed);
        }
        tracing::trace!(%key, len, "put");
        Ok(Stored::new(Put::Created).with_tag(stored.tag))
    }

    fn origin_of(&self, key: &ObjectKey) -> Result<Option<Origin>, Error> {
        Ok(self.existing(key)?.and_then(|existing| existing.origin))
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut from = None;
        loop {
            let api = Arc::clone(&self.api);
            let prefix = api.layout.patient(patient);
            let page = self
                .threads
                .run(async move { api.page(prefix, from, PAGE).await })??;
            for (name, len, tag) in page.objects {
                let Some(key) = self.api.layout.key(&name) else {
                    continue;
                };
                if each(ListedObject::new(key, len).with_tag(tag)).is_break() {
                    return Ok(());
                }
            }
            match page.next {
                None => return Ok(()),
                next => from = next,
            }
        }
    }

    fn tag_of(&self, len: u64, body: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        Self::check_len(len)?;
        if self.has_opaque_tags.load(Ordering::Relaxed)
            || matches!(self.api.config.encryption, Encryption::Kms { .. })
        {
            return Ok(None);
        }
        let part_bytes = self
            .parts_of(len)
            .map(|_| self.api.config.part_bytes_of(len));
        Ok(EntityTag::new(Self::e_tag_of(len, part_bytes, body)?))
    }

    fn is_tag_of(
        &self,
        tag: &EntityTag,
        len: u64,
        body: &mut dyn Read,
    ) -> Result<Option<bool>, Error> {
        Self::check_len(len)?;
        let e_tag = tag.as_str();
        if !is_md5(e_tag) {
            return Ok(None);
        }
        // Some services list the MD5 of all bytes also for multipart uploads.
        let part_bytes = match e_tag.split_once('-') {
            None => None,
            Some((_, parts)) if parts.parse().ok() == self.parts_of(len) => {
                Some(self.api.config.part_bytes_of(len))
            }
            // The parts have another length than ours.
            Some(_) => return Ok(None),
        };
        let same = Self::e_tag_of(len, part_bytes, body)?.eq_ignore_ascii_case(e_tag);
        // With a KMS key, equal bytes can have another ETag.
        let is_comparable = !matches!(self.api.config.encryption, Encryption::Kms { .. });
        Ok((same || is_comparable).then_some(same))
    }

    fn check(&self) -> Result<(), Error> {
        let api = Arc::clone(&self.api);
        self.threads.run(async move { api.check().await })?
    }
}
