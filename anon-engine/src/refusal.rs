//! Why an object is not de-identified: [`Refusal`], filed under a [`Category`].

use dicom_core::Tag;

/// A quarantine category, by V17's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Category {
    /// Not DICOM, or broken beyond reading.
    InvalidDicom,
    /// The bytes could not be read to the end.
    DicomReadError,
    /// One of the four required attributes is missing or empty.
    MissingAttributes,
    /// The SOP class is not one of the project's.
    InvalidStorageClass,
    /// The object contradicts what the index knows.
    CapturePhiError,
    /// It could not be de-identified or stored.
    StorageError,
    /// Its pixels say, or are known, to show identifying text.
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

    /// True if whoever made the bytes is to blame, not a rule of ours: a sender hears of it.
    pub const fn is_of_sender(self) -> bool {
        matches!(
            self,
            Self::InvalidDicom | Self::DicomReadError | Self::MissingAttributes
        )
    }

    /// The directory name, as V17 has it.
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
}

/// Why an object is not de-identified. Holds no value of the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Refusal {
    /// Where it is filed.
    pub category: Category,
    /// What a data manager reads: what is wrong and, where there is something, what to do.
    pub reason: String,
    /// The element at fault.
    pub tag: Option<Tag>,
    /// The offset in the source, in bytes.
    pub offset: Option<u64>,
    /// True if the bytes show no sign of DICOM at all: then they are recorded, not copied.
    pub foreign: bool,
    /// The SOP class, for [`Category::InvalidStorageClass`].
    pub sop_class: Option<String>,
}

impl Refusal {
    /// A refusal of this category, for this reason.
    pub fn new(category: Category, reason: impl Into<String>) -> Self {
        Self {
            category,
            reason: reason.into(),
            tag: None,
            offset: None,
            foreign: false,
            sop_class: None,
        }
    }
}
