//! [`Refusal`]: why an object is not de-identified. [`Category`] and [`EntryId`]: where it is filed in
//! the quarantine.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use dicom_core::Tag;

/// A quarantine category, with the names of V17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Category {
    /// The file is not DICOM.
    InvalidDicom,
    /// The object is damaged, or not encoded as PS3.5 requires.
    DicomReadError,
    /// A required attribute is missing or empty.
    MissingAttributes,
    /// The project does not accept the SOP class.
    InvalidStorageClass,
    /// The object contradicts the PHI index.
    CapturePhiError,
    /// The object could not be de-identified or stored.
    StorageError,
    /// The pixels show identifying text (PS3.3 section C.7.6.1).
    BurnedIn,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 7] = [
        Self::InvalidDicom,
        Self::DicomReadError,
        Self::MissingAttributes,
        Self::InvalidStorageClass,
        Self::CapturePhiError,
        Self::StorageError,
        Self::BurnedIn,
    ];

    /// Returns true if the object itself is at fault, and no project would accept it.
    pub const fn is_of_sender(self) -> bool {
        matches!(
            self,
            Self::InvalidDicom | Self::DicomReadError | Self::MissingAttributes
        )
    }

    /// Returns its directory name, which is that of V17.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidDicom => "Invalid_DICOM",
            Self::DicomReadError => "DICOM_Read_Error",
            Self::MissingAttributes => "Missing_Attributes",
            Self::InvalidStorageClass => "Invalid_Storage_Class",
            Self::CapturePhiError => "Capture_PHI_Error",
            Self::StorageError => "Storage_Error",
            Self::BurnedIn => "Burned_In",
        }
    }

    /// Returns the category with this directory name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|category| category.name() == name)
    }
}

/// Why an object is not de-identified. Holds no value of the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Refusal {
    /// The category under which it is filed.
    pub category: Category,
    /// What is wrong and, if something can be done, what to do. For a data manager.
    pub reason: String,
    /// The element at fault, if PS3.6 lists it.
    pub tag: Option<Tag>,
    /// The offset of the problem in the source, in bytes.
    pub offset: Option<u64>,
    /// True if the file has no sign of DICOM. Such a file is recorded, not copied.
    pub foreign: bool,
    /// True if the file is an archive, such as a ZIP file. It is foreign too.
    pub archive: bool,
    /// The SOP class, for [`Category::InvalidStorageClass`], if it is one of PS3.6.
    pub sop_class: Option<String>,
    /// True if the object may be planned with a higher limit of memory.
    pub(crate) needs_memory: bool,
}

impl Refusal {
    /// Returns a refusal of this category, for this reason.
    pub fn new(category: Category, reason: impl Into<String>) -> Self {
        Self {
            category,
            reason: reason.into(),
            tag: None,
            offset: None,
            foreign: false,
            archive: false,
            sop_class: None,
            needs_memory: false,
        }
    }
}

/// The name of a quarantine entry: its category, and SHA-256 of the original's bytes. Its text is
/// `Missing_Attributes/9f86d0…`, with 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    category: Category,
    digest: [u8; 32],
}

impl EntryId {
    /// Returns the name of the entry for bytes with this SHA-256.
    pub const fn new(category: Category, digest: [u8; 32]) -> Self {
        Self { category, digest }
    }

    /// Returns its category.
    pub const fn category(&self) -> Category {
        self.category
    }

    /// Returns SHA-256 of the original's bytes.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the digest as 64 hexadecimal digits.
    pub fn digest_text(&self) -> String {
        digest_to_text(&self.digest)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category.name(), self.digest_text())
    }
}

/// The text is not the name of a quarantine entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a quarantine entry: a category, a slash and 64 hexadecimal digits")]
#[non_exhaustive]
pub struct EntryIdError;

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let (category, digest) = text.split_once('/').ok_or(EntryIdError)?;
        let category = Category::named(category).ok_or(EntryIdError)?;
        let digest = digest_from_text(digest).ok_or(EntryIdError)?;
        Ok(Self { category, digest })
    }
}

fn digest_to_text(digest: &[u8; 32]) -> String {
    digest
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

pub(crate) fn digest_from_text(text: &str) -> Option<[u8; 32]> {
    let lower = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    if text.len() != 64 || !text.as_bytes().iter().all(lower) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}
