//! [`Sink`]: a destination of objects.

use std::fmt;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::{Error, KeyPart, ObjectKey, Origin};

/// What [`Sink::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Put {
    /// The object was written. Other bytes under its key were replaced in one step. (A DICOM node
    /// decides by itself what to do with an instance that it already has.)
    Created,
    /// The destination already had the same bytes. Nothing changed.
    AlreadyThere,
}

/// A destination's tag for the bytes of an object, such as the entity tag of S3. Equal bytes that
/// are put in the same way have equal tags.
///
/// It has 1 to 128 visible ASCII characters. Only the destination gives them a meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityTag(String);

impl EntityTag {
    /// The greatest length of a tag in bytes.
    pub const MAX_LEN: usize = 128;

    /// Creates a tag from its text. `None` if the text does not have the form above.
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

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of a successful [`Sink::put`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Whether the object was written.
    pub put: Put,
    /// The tag of the object, if the destination returns one.
    pub tag: Option<EntityTag>,
    /// A warning: the destination stored the object, but not quite as it was sent (DICOM statuses
    /// B000, B006, B007). Never an identifying value.
    pub warning: Option<String>,
    /// The name of the transfer syntax that the object was rewritten into, because the destination
    /// accepts no other. `None` if it was put unchanged.
    pub rewritten: Option<&'static str>,
}

impl Stored {
    /// Creates a result without a tag and without a warning.
    pub const fn new(put: Put) -> Self {
        Self {
            put,
            tag: None,
            warning: None,
            rewritten: None,
        }
    }

    /// Sets the tag.
    #[must_use]
    pub fn with_tag(self, tag: Option<EntityTag>) -> Self {
        Self { tag, ..self }
    }

    /// Sets the warning.
    #[must_use]
    pub fn with_warning(self, warning: impl Into<String>) -> Self {
        let warning = Some(warning.into());
        Self { warning, ..self }
    }

    /// Sets the name of the transfer syntax that the object was rewritten into.
    #[must_use]
    pub fn with_rewritten(self, rewritten: Option<&'static str>) -> Self {
        Self { rewritten, ..self }
    }
}

/// What happens to an object that the destination already has under the key of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum IfThere<'t> {
    /// It is replaced.
    #[default]
    Replace,
    /// It is replaced if it still has this tag.
    ReplaceTagged(&'t EntityTag),
    /// It stays. If it has other bytes, the put fails with [`Error::OtherObject`].
    Keep,
}

/// How an object is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PutOptions<'o> {
    /// Recorded with the object, but not in it, by a sink that keeps origins.
    pub origin: Option<Origin>,
    /// What happens to an object that is there.
    pub if_there: IfThere<'o>,
}

impl<'o> PutOptions<'o> {
    /// Creates options.
    pub const fn new(origin: Option<Origin>, if_there: IfThere<'o>) -> Self {
        Self { origin, if_there }
    }
}

/// What a sink accepts and how it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own"
)]
pub struct Capabilities {
    /// The longest accepted object, in bytes. A longer one fails with [`Error::TooLarge`] before it
    /// is read.
    pub max_object_bytes: u64,
    /// How many concurrent puts are useful. More are allowed and wait.
    pub parallel: NonZeroUsize,
    /// It accepts only DICOM files (PS3.10 section 7) whose UIDs match their keys.
    pub dicom: bool,
    /// It compares: putting the same bytes again returns [`Put::AlreadyThere`]. A sink that does
    /// not compare returns [`Put::Created`].
    pub compares: bool,
    /// It honours [`IfThere`], also if two puts of one key run at the same time. Otherwise it only
    /// replaces.
    pub keeps: bool,
    /// It records the origin of an object and returns it from [`Sink::origin_of`].
    pub origins: bool,
}

impl Capabilities {
    /// Returns the defaults: any bytes of any length, one put at a time, compared with what the
    /// destination has.
    pub const fn new() -> Self {
        Self {
            max_object_bytes: u64::MAX,
            parallel: NonZeroUsize::MIN,
            dicom: false,
            compares: true,
            keeps: false,
            origins: false,
        }
    }

    /// Restricts the sink to DICOM files.
    #[must_use]
    pub const fn dicom_only(self) -> Self {
        Self {
            dicom: true,
            ..self
        }
    }

    /// Declares that the sink does not compare.
    #[must_use]
    pub const fn without_comparing(self) -> Self {
        Self {
            compares: false,
            ..self
        }
    }

    /// Declares that the sink honours [`IfThere`].
    #[must_use]
    pub const fn keeping(self) -> Self {
        Self {
            keeps: true,
            ..self
        }
    }

    /// Declares that the sink records origins.
    #[must_use]
    pub const fn with_origins(self) -> Self {
        Self {
            origins: true,
            ..self
        }
    }

    /// Sets the longest accepted object, in bytes.
    #[must_use]
    pub const fn with_max_object_bytes(self, max_object_bytes: u64) -> Self {
        Self {
            max_object_bytes,
            ..self
        }
    }

    /// Sets how many concurrent puts are useful.
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

/// An object in a destination's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedObject {
    /// Its name.
    pub key: ObjectKey,
    /// Its length in bytes, if the listing contains it. (DICOM queries return no lengths.)
    pub len: Option<u64>,
    /// Its tag, if the listing contains it.
    pub tag: Option<EntityTag>,
}

impl ListedObject {
    /// Creates an entry without a tag. `len` is in bytes.
    pub fn new(key: ObjectKey, len: Option<u64>) -> Self {
        let tag = None;
        Self { key, len, tag }
    }

    /// Sets the tag.
    #[must_use]
    pub fn with_tag(self, tag: Option<EntityTag>) -> Self {
        Self { tag, ..self }
    }
}

/// A destination of objects.
///
/// # Contract
/// * An object is visible completely or not at all, also to concurrent readers and after a crash.
///   An object for which `put` returned `Ok` survives a power cut, if the destination has a disk.
/// * A failed call leaves the destination unchanged and the sink usable.
/// * Any number of threads may call. If two put the same key concurrently, one of the two bodies
///   remains, complete.
/// * `conformance::check` (feature `conformance`) passes.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Returns what the sink accepts. Always returns the same value.
    fn capabilities(&self) -> Capabilities;

    /// Puts an object of exactly `len` bytes under `key`, completely or not at all.
    ///
    /// `body` is read once, from its current position. Reads that fail with `Interrupted` are
    /// repeated.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before a byte is read; [`Error::Short`], [`Error::Long`] or
    /// [`Error::Read`] if `body` has another length or fails; others of the destination.
    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error>;

    /// Does the same as [`put`](Self::put) under these options.
    ///
    /// The default implementation ignores them. A sink that does not must declare it
    /// ([`Capabilities::keeps`], [`Capabilities::origins`]).
    ///
    /// # Errors
    /// Those of [`put`](Self::put); [`Error::OtherObject`] if the object that is there stays.
    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        let _ = options;
        self.put(key, len, body)
    }

    /// Returns the origin that was recorded with an object. `None` if there is no object, no record of
    /// it, or no access to it.
    ///
    /// # Errors
    /// If the destination fails.
    fn origin_of(&self, key: &ObjectKey) -> Result<Option<Origin>, Error> {
        let _ = key;
        Ok(None)
    }

    /// Calls `each` with every object of a patient, in no particular order, until it breaks.
    ///
    /// Objects that an [`ObjectKey`] cannot name are ignored. An unknown patient has no objects.
    ///
    /// # Errors
    /// If the destination cannot be read; `each` may already have been called. [`Error::NoListing`]
    /// if it cannot list its objects.
    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// Returns the tag that an object with these bytes would get. `None` if only the destination
    /// can compute it.
    ///
    /// `body` is read as by [`put`](Self::put).
    ///
    /// # Errors
    /// If `body` has another length or cannot be read.
    fn tag_of(&self, len: u64, body: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        let _ = (len, body);
        Ok(None)
    }

    /// Returns whether a tag from a listing matches these bytes. `None` if only the destination can
    /// tell.
    ///
    /// The default implementation compares it with [`tag_of`](Self::tag_of). `body` is read as by
    /// [`put`](Self::put).
    ///
    /// # Errors
    /// If `body` has another length or cannot be read.
    fn is_tag_of(
        &self,
        tag: &EntityTag,
        len: u64,
        body: &mut dyn Read,
    ) -> Result<Option<bool>, Error> {
        let computed = self.tag_of(len, body)?;
        Ok(computed.map(|computed| computed == *tag))
    }

    /// Checks that the destination can be used, by one cheap request before the first object.
    ///
    /// # Errors
    /// The reason why it cannot be used, with [`Remedy::Stop`](crate::Remedy::Stop) or
    /// [`Remedy::Retry`](crate::Remedy::Retry). With
    /// [`Remedy::SkipPatient`](crate::Remedy::SkipPatient) the export continues and tries each
    /// patient.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Sink>();
    shared::<Error>();
};

/// Passes a body of exactly `len` bytes to `out`, piece by piece.
///
/// Fails if the body is shorter or longer, and with the errors of `out`.
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
        // A reader that reports more bytes than the buffer holds is broken.
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

/// The size of the pieces. Large enough that the cost of system calls is negligible.
const COPY_BYTES: usize = 256 * 1024;
