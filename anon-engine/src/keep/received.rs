//! [`Received`]: an incoming object.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use anon_model::{Phi, RemarkReason};

use crate::keep::spooled::Spooled;
use crate::limits::Limits;
use crate::platform;
use crate::read::sop_instance::sop_instance;
use crate::read::source::Source;
use crate::refusal::Category;

/// An incoming object and its origin.
#[derive(Debug)]
pub struct Received {
    pub(crate) payload: Payload,
    pub(crate) transfer_syntax: Option<String>,
    pub(crate) origin: Option<Phi<String>>,
    pub(crate) announced: Option<Box<Announced>>,
    pub(crate) is_found: bool,
    /// What was tolerated to find it.
    pub(crate) remark: Option<RemarkReason>,
    pub(crate) waived: Option<Category>,
    /// The reason for which it was refused, if it replaces the stored instance.
    pub(crate) replaces: Option<Box<str>>,
}

/// The SOP class and instance that a C-STORE request names (PS3.7 section 9.3.1.1).
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) sop_class: String,
    pub(crate) sop_instance: Phi<String>,
}

pub(crate) enum Payload {
    File(PathBuf),
    Bytes(Vec<u8>),
    Spooled(Spooled),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("File(..)"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Spooled(spooled) => write!(f, "Spooled({} bytes)", spooled.len()),
        }
    }
}

impl Received {
    /// A DICOM file on disk (PS3.10 section 7). The engine opens it when it processes it, and reads
    /// only the headers of a large one. Its origin is the path, as given.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let origin = Phi::new(path.to_string_lossy().into_owned());
        Self {
            payload: Payload::File(path),
            transfer_syntax: None,
            origin: Some(origin),
            announced: None,
            is_found: false,
            remark: None,
            waived: None,
            replaces: None,
        }
    }

    /// A DICOM file in memory (PS3.10 section 7). A missing preamble or missing file meta
    /// information is detected.
    pub fn part10(bytes: Vec<u8>) -> Self {
        Self {
            payload: Payload::Bytes(bytes),
            transfer_syntax: None,
            origin: None,
            announced: None,
            is_found: false,
            remark: None,
            waived: None,
            replaces: None,
        }
    }

    /// A bare data set in memory, as C-STORE transfers it, in the transfer syntax with this UID.
    pub fn data_set(bytes: Vec<u8>, transfer_syntax: impl Into<String>) -> Self {
        Self::part10(bytes).as_data_set(transfer_syntax)
    }

    /// An object that was spooled to disk. It counts as a DICOM file, unless
    /// [`as_data_set`](Received::as_data_set) makes it a data set.
    pub fn spooled(spooled: Spooled) -> Self {
        Self {
            payload: Payload::Spooled(spooled),
            transfer_syntax: None,
            origin: None,
            announced: None,
            is_found: false,
            remark: None,
            waived: None,
            replaces: None,
        }
    }

    /// A parsed object.
    ///
    /// # Errors
    /// If dicom-object cannot write it.
    #[cfg(feature = "object")]
    pub fn object(
        object: &dicom_object::FileDicomObject<dicom_object::InMemDicomObject>,
    ) -> Result<Self, Box<dicom_object::WriteError>> {
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).map_err(Box::new)?;
        Ok(Self::part10(bytes))
    }

    /// Returns the same bytes as a bare data set in the transfer syntax with this UID.
    #[must_use]
    pub fn as_data_set(mut self, transfer_syntax: impl Into<String>) -> Self {
        self.transfer_syntax = Some(transfer_syntax.into());
        self
    }

    /// Returns the same object with the SOP class and instance that a C-STORE request named.
    ///
    /// A fault of the sender is then an [`Error`](crate::Error), and the object is not quarantined:
    /// [`Refused`](crate::Error::Refused) if the bytes are damaged or lack identifying attributes,
    /// [`NotAsAnnounced`](crate::Error::NotAsAnnounced) if they hold another instance. Objects that
    /// the rules refuse are quarantined as usual.
    #[must_use]
    pub fn announced(
        mut self,
        sop_class: impl Into<String>,
        sop_instance: impl Into<String>,
    ) -> Self {
        self.announced = Some(Box::new(Announced {
            sop_class: sop_class.into(),
            sop_instance: Phi::new(sop_instance.into()),
        }));
        self
    }

    /// Returns the same object as one that nobody named, such as a file of a directory. If its bytes
    /// have no sign of DICOM, it is [`Ignored`](crate::Outcome::Ignored), not quarantined.
    #[must_use]
    pub fn found(mut self) -> Self {
        self.is_found = true;
        self
    }

    /// Returns the same object with one reason waived for which it would go to quarantine, because a
    /// person has reviewed it: [`Category::BurnedIn`], or for [`Category::CapturePhiError`] that its
    /// study is known under another patient, under which it is then filed. Any other reason still
    /// holds, and only one can be waived: an object with both of these cannot be accepted. For one that
    /// differs from the stored instance there is [`replacing`](Received::replacing).
    #[must_use]
    pub fn waiving(mut self, category: Category) -> Self {
        self.waived = Some(category);
        self
    }

    /// Returns the same object as one that replaces the stored instance with its SOP Instance UID,
    /// because a person has compared the two. `reason` is that of its quarantine entry: if it is refused
    /// for another reason now, it replaces nothing.
    ///
    /// The output has the pseudonyms of the stored object, and takes its place in one step. A crash
    /// leaves one of the two, with its record in the index.
    #[must_use]
    pub fn replacing(mut self, reason: impl Into<String>) -> Self {
        self.replaces = Some(reason.into().into());
        self
    }

    /// Returns the same object with another origin: the path or peer that the index and the
    /// quarantine record.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(Phi::new(origin.into()));
        self
    }

    /// Returns the origin, if it is known.
    pub fn origin(&self) -> Option<&Phi<String>> {
        self.origin.as_ref()
    }

    /// Returns the path, if the object is a file.
    pub fn path(&self) -> Option<&Path> {
        match &self.payload {
            Payload::File(path) => Some(path),
            Payload::Bytes(_) | Payload::Spooled(_) => None,
        }
    }

    /// Returns the SOP Instance UID (0008,0018) without planning the object; `None` if the object
    /// does not have one.
    ///
    /// # Errors
    /// If its file cannot be opened.
    pub fn sop_instance(&self) -> io::Result<Option<Phi<String>>> {
        let opened;
        let mut source = match &self.payload {
            Payload::Bytes(bytes) => Source::part10(bytes),
            Payload::Spooled(spooled) => Source::file(spooled.file(), spooled.len()),
            Payload::File(path) => {
                opened = platform::open_source(path)?;
                Source::file(&opened, opened.metadata()?.len())
            }
        };
        if let Some(syntax) = &self.transfer_syntax {
            source = source.as_data_set(syntax);
        }
        Ok(sop_instance(source, &Limits::default()))
    }

    /// Returns the memory that it uses while it waits, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let origin = self.origin.as_ref().map_or(0, |o| o.expose().len());
        let payload = match &self.payload {
            Payload::File(path) => path.as_os_str().len(),
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Spooled(_) => 0,
        };
        size_of::<Self>() + origin + payload
    }
}
