//! [`Sink`]: a destination.

use std::fmt;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::{Error, KeyPart, ObjectKey};

/// What became of an object that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Put {
    /// It was written; other bytes that stood there were replaced in one step. (What a DICOM node
    /// does with an instance that it has is its own affair.)
    Created,
    /// The same bytes were there, and nothing changed.
    AlreadyThere,
}

/// What a destination says of an object's bytes: equal bytes put the same way have equal tags.
///
/// 1 to 128 visible ASCII characters that mean nothing to anybody else (S3: the entity tag).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityTag(String);

impl EntityTag {
    /// The longest tag in bytes.
    pub const MAX_LEN: usize = 128;

    /// A tag of this text; none if it is no tag as above.
    ///
    /// # Examples
    /// ```
    /// use anon_export::EntityTag;
    ///
    /// assert!(EntityTag::new("9e107d9d372bb6826bd81d3542a419d6-2").is_some());
    /// assert_eq!(EntityTag::new("two words"), None);
    /// ```
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let is_tag = (1..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_tag.then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What [`Sink::put`] says of an object that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// What became of it.
    pub put: Put,
    /// Its tag, if the destination gives any.
    pub tag: Option<EntityTag>,
    /// What the destination remarked: it has the object, but not quite as it was sent (DICOM:
    /// statuses B000, B006, B007). Never an identifying value.
    pub warning: Option<String>,
}

impl Stored {
    /// An object without a tag, taken without a remark.
    pub const fn new(put: Put) -> Self {
        Self {
            put,
            tag: None,
            warning: None,
        }
    }

    /// Sets its tag.
    #[must_use]
    pub fn with_tag(self, tag: Option<EntityTag>) -> Self {
        Self { tag, ..self }
    }

    /// Sets what the destination remarked.
    #[must_use]
    pub fn with_warning(self, warning: impl Into<String>) -> Self {
        let warning = Some(warning.into());
        Self { warning, ..self }
    }
}

/// What a sink has to be given, and what can be expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The longest object it takes, in bytes; a longer one is [`Error::TooLarge`], unread.
    pub max_object_bytes: u64,
    /// How many puts at once it can make use of. More are correct, and wait.
    pub parallel: NonZeroUsize,
    /// It takes DICOM files only (PS3.10 section 7) whose UIDs are those of their keys.
    pub dicom: bool,
    /// It compares: [`Put::AlreadyThere`] is said of the same bytes put again. One that does not
    /// says [`Put::Created`].
    pub compares: bool,
}

impl Capabilities {
    /// Any bytes of any length, one put at a time, compared with what is there.
    pub const fn new() -> Self {
        Self {
            max_object_bytes: u64::MAX,
            parallel: NonZeroUsize::MIN,
            dicom: false,
            compares: true,
        }
    }

    /// Takes DICOM files only.
    #[must_use]
    pub const fn dicom_only(self) -> Self {
        Self {
            dicom: true,
            ..self
        }
    }

    /// Does not compare what is put with what is there.
    #[must_use]
    pub const fn without_comparing(self) -> Self {
        Self {
            compares: false,
            ..self
        }
    }

    /// Sets the longest object it takes, in bytes.
    #[must_use]
    pub const fn with_max_object_bytes(self, max_object_bytes: u64) -> Self {
        Self {
            max_object_bytes,
            ..self
        }
    }

    /// Sets how many puts at once it can make use of.
    #[must_use]
    pub const fn with_parallel(self, parallel: NonZeroUsize) -> Self {
        Self { parallel, ..self }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

/// An object that a destination has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedObject {
    /// Where it stands.
    pub key: ObjectKey,
    /// Its length in bytes, if a listing tells it. (A DICOM query does not.)
    pub len: Option<u64>,
    /// Its tag, if a listing tells it.
    pub tag: Option<EntityTag>,
}

impl ListedObject {
    /// An object at `key`; `len` bytes long, if that is known.
    pub fn new(key: ObjectKey, len: Option<u64>) -> Self {
        let tag = None;
        Self { key, len, tag }
    }

    /// Sets its tag.
    #[must_use]
    pub fn with_tag(self, tag: Option<EntityTag>) -> Self {
        Self { tag, ..self }
    }
}

/// A destination.
///
/// # Contract
/// * An object is visible whole or not at all, also to a process that looks on, and also after a
///   crash; what `put` has returned `Ok` for survives a power cut, where the destination has a disk.
/// * A call that fails leaves what was there before, and the sink usable.
/// * Any number of threads may call. Two that put the same key at once: one of the bodies stands
///   there afterwards, whole.
/// * `conformance::check` (feature `conformance`) passes.
pub trait Sink: fmt::Debug + Send + Sync {
    /// What it has to be given. Does not change.
    fn capabilities(&self) -> Capabilities;

    /// Puts an object of exactly `len` bytes at `key`, whole or not at all.
    ///
    /// `body` is read once, from where it stands; an error of kind `Interrupted` is read again.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before a byte is read; [`Error::Short`], [`Error::Long`] or
    /// [`Error::Read`] if `body` is not what was said; others as the destination has them.
    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error>;

    /// Calls `each` with every object of a patient, in no order, until it breaks off.
    ///
    /// What this sink did not put, and cannot be named by an [`ObjectKey`], is passed over. A patient
    /// that is not there has no objects.
    ///
    /// # Errors
    /// If the destination cannot be read; then `each` may have seen a part. [`Error::NoListing`] if
    /// it has no means to say what is there.
    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// The tag that an object of these bytes would have; none if only the destination can tell.
    ///
    /// `body` is read as by [`put`](Self::put).
    ///
    /// # Errors
    /// Those of a body that is not what was said.
    fn tag_of(&self, len: u64, body: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        let _ = (len, body);
        Ok(None)
    }

    /// Whether a tag that a listing told is that of these bytes; none if only the destination can tell.
    ///
    /// By default they are compared with [`tag_of`](Self::tag_of). `body` is read as by
    /// [`put`](Self::put).
    ///
    /// # Errors
    /// Those of a body that is not what was said.
    fn is_tag_of(
        &self,
        tag: &EntityTag,
        len: u64,
        body: &mut dyn Read,
    ) -> Result<Option<bool>, Error> {
        let of = self.tag_of(len, body)?;
        Ok(of.map(|of| of == *tag))
    }

    /// Checks that the destination can be used at all: one cheap call before the first object.
    ///
    /// # Errors
    /// Why it cannot be used, with [`Remedy::Stop`](crate::Remedy::Stop) or
    /// [`Remedy::Retry`](crate::Remedy::Retry); with [`Remedy::SkipPatient`](crate::Remedy::SkipPatient)
    /// if that need not hold for each patient, who is asked about then.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Sink>();
    shared::<Error>();
};

/// Reads a body of `len` bytes into `out`, and sees to it that it ends there.
///
/// `out` says what a failed write is.
pub(crate) fn copy_exact(
    body: &mut dyn Read,
    len: u64,
    out: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut buffer = vec![
        0;
        usize::try_from(len)
            .unwrap_or(COPY_BYTES)
            .clamp(1, COPY_BYTES)
    ];
    let mut found = 0;
    loop {
        let got = match body.read(&mut buffer) {
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Read { kind: error.kind() }),
        };
        if got == 0 {
            break;
        }
        found += got as u64;
        if found > len {
            return Err(Error::Long { expected: len });
        }
        // A reader that says more than it was given room for is broken, not trusted.
        let piece = buffer.get(..got).ok_or(Error::Read {
            kind: std::io::ErrorKind::InvalidData,
        })?;
        out(piece)?;
    }
    if found < len {
        return Err(Error::Short {
            expected: len,
            found,
        });
    }
    Ok(())
}

/// Pieces in which a body is read: large enough that a system call costs little beside its bytes.
const COPY_BYTES: usize = 256 * 1024;
