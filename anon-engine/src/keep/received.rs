//! [`Received`]: an object that came in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use anon_model::Phi;

use crate::keep::spooled::Spooled;
use crate::limits::Limits;
use crate::platform;
use crate::read::sop_instance::sop_instance;
use crate::read::source::Source;

/// An object that came in, and where it came from.
#[derive(Debug)]
pub struct Received {
    pub(crate) payload: Payload,
    pub(crate) transfer_syntax: Option<String>,
    pub(crate) origin: Option<Phi<String>>,
    pub(crate) announced: Option<Box<Announced>>,
}

/// What the command that brought an object said of it.
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
    /// A file of PS3.10 on disk. It is opened when its turn comes; of a large one only headers are
    /// read. Its origin is the path, as given.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let origin = Phi::new(path.to_string_lossy().into_owned());
        Self {
            payload: Payload::File(path),
            transfer_syntax: None,
            origin: Some(origin),
            announced: None,
        }
    }

    /// A file of PS3.10 in memory. A missing preamble or file meta is detected.
    pub fn part10(bytes: Vec<u8>) -> Self {
        Self {
            payload: Payload::Bytes(bytes),
            transfer_syntax: None,
            origin: None,
            announced: None,
        }
    }

    /// A data set in memory, as C-STORE brings it, in the transfer syntax with this UID.
    pub fn data_set(bytes: Vec<u8>, transfer_syntax: impl Into<String>) -> Self {
        Self::part10(bytes).as_data_set(transfer_syntax)
    }

    /// An object that was spooled to disk: a file of PS3.10, unless
    /// [`as_data_set`](Received::as_data_set) says otherwise.
    pub fn spooled(spooled: Spooled) -> Self {
        Self {
            payload: Payload::Spooled(spooled),
            transfer_syntax: None,
            origin: None,
            announced: None,
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

    /// The same bytes, taken as a data set in the transfer syntax with this UID.
    #[must_use]
    pub fn as_data_set(mut self, transfer_syntax: impl Into<String>) -> Self {
        self.transfer_syntax = Some(transfer_syntax.into());
        self
    }

    /// The same, announced as this SOP class and instance: as C-STORE does. What the sender is to
    /// blame for is an [`Error`](crate::Error) then, and is not kept: bytes that cannot be understood or
    /// lack what identifies them ([`Refused`](crate::Error::Refused)), and another instance than was
    /// announced ([`NotAsAnnounced`](crate::Error::NotAsAnnounced)). What our rules refuse goes to
    /// quarantine as ever.
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

    /// The same with another origin: the path or peer that the index and the quarantine note.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(Phi::new(origin.into()));
        self
    }

    /// Where it came from, if that is known.
    pub fn origin(&self) -> Option<&Phi<String>> {
        self.origin.as_ref()
    }

    /// The file it stands in, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.payload {
            Payload::File(path) => Some(path),
            Payload::Bytes(_) | Payload::Spooled(_) => None,
        }
    }

    /// Its SOP Instance UID (0008,0018), without planning it; none if it cannot be found in it.
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

    /// Memory that it holds while it waits, in bytes.
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
