//! [`S3Sink`]: a bucket of S3, or of a server like it.
//!
//! ```text
//!  <prefix>/<user>/<project>/<patient>/<study>/<series>/<instance>.dcm     application/dicom
//!           only with Cognito
//!
//!  put ──► up to a part     read whole ──► PutObject ──► ETag and checksum compared
//!      └─► longer           part by part ► UploadPart ─► each compared ──► CompleteMultipartUpload
//!                           any error, or the end of the program's scope ► AbortMultipartUpload
//!  list ─► ListObjectsV2, 1,000 a page, keys URL-encoded on the way
//! ```
//!
//! * **Whole or nothing.** An object in one request is read whole before anything is sent; one in parts
//!   is not visible before the last request. What the service says it has is compared with what was
//!   sent: MD5 (in the ETag) and [`ChecksumMode`].
//! * **Nothing stays behind.** An upload in parts is taken back when it fails. One that a killed process
//!   left is taken back by the first put for the same patient in a later sink, so no two programs
//!   should put the same patient into one bucket at once.
//! * **In turn.** Two puts of one key through one sink go one after the other.
//! * **Bounded.** All puts together hold [`S3Config::with_memory_bytes`] of objects, or one part of an
//!   object that needs a longer one.
//! * **Blocking.** The threads of the async client are the sink's own; any thread may call, those of an
//!   async program included, which are then blocked.
//!
//! A request is sent once, and [`Error::remedy`] says if a further try can help; requests inside an
//! upload in parts are tried three times.
//!
//! # Tags
//!
//! An [`EntityTag`] is the ETag: the MD5 of the bytes, or of the MD5s of the parts and their number. It can be
//! told beforehand, until the service is seen to give others, as it does under a key of KMS. One that a
//! listing gives is compared as it is made: of all bytes, or of parts as long as ours. Of any other it
//! cannot be told, and an exporter without a journal puts the object once more.
//!
//! # Examples
//!
//! ```no_run
//! use anon_export::s3::{S3Config, S3Sink};
//! use anon_export::{ObjectKey, Sink};
//!
//! let config = S3Config::new("trials", "TRIAL-7").with_region("eu-central-1");
//! let sink = S3Sink::open(config)?; // credentials as the tools of AWS find them
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
mod key_locks;
mod layout;
mod memory_budget;
mod multipart;
mod renewal;
mod response;
mod secret;
mod stall;
mod trust;
mod uploads;

use std::collections::HashSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use self::api::{Api, StoredResponse};
use self::client::Threads;
use self::config::MOST_OBJECT_BYTES;
use self::digest::{Digests, ETagHasher, is_md5};
use self::key_locks::KeyLocks;
use self::layout::Layout;
use self::memory_budget::MemoryBudget;
use self::renewal::Renewal;
use crate::sink::copy_exact;
use crate::{
    Cancel, Capabilities, EntityTag, Error, KeyPart, ListedObject, ObjectKey, Put, Sink, Stored,
};

pub use self::config::{Addressing, ChecksumMode, Encryption, S3Config};
pub use self::credentials::{AccessKeys, Credentials};
pub use self::secret::Secret;
pub use crate::error::s3::{S3Error, ServiceText};

/// Objects of a page of a listing.
const PAGE: i32 = 1000;

/// A bucket of S3, or of a server like it. See the [module](self).
#[derive(Debug)]
pub struct S3Sink {
    api: Arc<Api>,
    budget: Arc<MemoryBudget>,
    /// Patients for whom nothing of an earlier export is left. Held while that is seen to: an upload
    /// that is begun meanwhile would be taken for such.
    cleared: Mutex<HashSet<KeyPart>>,
    /// The service gives tags that say nothing of bytes.
    opaque: AtomicBool,
    key_locks: KeyLocks,
    threads: Threads,
}

impl S3Sink {
    /// Makes a client; with Cognito, logs the user in. No other request is made.
    ///
    /// # Errors
    /// [`Error::S3`] if the settings cannot be used or no credentials are found; with Cognito those of
    /// a login.
    pub fn open(config: S3Config) -> Result<Self, Error> {
        Self::open_with_cancel(config, Cancel::new())
    }

    /// As [`open`](Self::open) and then [`with_cancel`](Self::with_cancel), and a login is given up, too.
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
            opaque: AtomicBool::new(false),
            key_locks: KeyLocks::default(),
            threads,
        })
    }

    /// Gives requests up when the end is wished: the call is [`Error::Cancelled`] then. What it was putting
    /// is there whole, if its last request had arrived, or not at all.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        let threads = self.threads.with_cancel(cancel);
        Self { threads, ..self }
    }

    /// Where objects go: the endpoint, or `aws`, the bucket, and what stands before the patient. The same
    /// place always has the same address.
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
    ) -> Result<StoredResponse, Error> {
        let mut room = self.budget.take(len);
        copy_exact(body, len, &mut |piece| {
            room.extend(piece);
            Ok(())
        })?;
        let bytes = room.into_bytes();
        let digests = Digests::of(&bytes, self.api.config.checksum);
        let (api, name) = (Arc::clone(&self.api), self.api.layout.name(key));
        let request = async move { api.put(name, bytes, &digests).await };
        self.threads.run(request)?
    }

    /// The first put for a patient takes back what an earlier export left.
    fn clear(&self, patient: &KeyPart) -> Result<(), Error> {
        let mut cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        if cleared.contains(patient) {
            return Ok(());
        }
        match multipart::clear(self, patient) {
            // A right that an export can do without, or a server that has no such request.
            Err(Error::S3(
                error @ (S3Error::Denied { .. }
                | S3Error::Unsupported { .. }
                | S3Error::Refused { .. }
                | S3Error::Server { .. }
                | S3Error::NotS3),
            )) => tracing::warn!(%error, "uploads that an earlier export left cannot be listed"),
            other => other?,
        }
        cleared.insert(patient.clone());
        Ok(())
    }

    fn check_len(len: u64) -> Result<(), Error> {
        let max = MOST_OBJECT_BYTES;
        if len > max {
            return Err(Error::TooLarge { len, max });
        }
        Ok(())
    }

    /// How many parts an object of this length is put in; none if it is put whole.
    fn parts_of(&self, len: u64) -> Option<u64> {
        let config = &self.api.config;
        (len > config.part_bytes).then(|| len.div_ceil(config.part_bytes_of(len)))
    }

    /// The ETag of a body, in parts as it would be put or whole.
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
    // Forgotten when this returns: a password is needed once.
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
            .with_max_object_bytes(MOST_OBJECT_BYTES)
            .with_parallel(self.api.config.parallel)
            .without_comparing()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        Self::check_len(len)?;
        let _turn = self.key_locks.take(key);
        self.clear(key.patient())?;
        let told = if len > self.api.config.part_bytes {
            multipart::put(self, key, len, body)?
        } else {
            self.put_whole(key, len, body)?
        };
        if !told.of_bytes {
            self.opaque.store(true, Ordering::Relaxed);
        }
        tracing::trace!(%key, len, "put");
        Ok(Stored::new(Put::Created).with_tag(told.tag))
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
        if self.opaque.load(Ordering::Relaxed)
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
        // Some services list the MD5 of all bytes, also of what came in parts.
        let part_bytes = match e_tag.split_once('-') {
            None => None,
            Some((_, parts)) if parts.parse().ok() == self.parts_of(len) => {
                Some(self.api.config.part_bytes_of(len))
            }
            // Parts of another length than ours.
            Some(_) => return Ok(None),
        };
        let same = Self::e_tag_of(len, part_bytes, body)?.eq_ignore_ascii_case(e_tag);
        // Under a key of KMS it would be another one, though the bytes are the same.
        let speaks = !matches!(self.api.config.encryption, Encryption::Kms { .. });
        Ok((same || speaks).then_some(same))
    }

    fn check(&self) -> Result<(), Error> {
        let api = Arc::clone(&self.api);
        self.threads.run(async move { api.check().await })?
    }
}
