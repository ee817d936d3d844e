//! [`Source`]: the objects of an export.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::layout;
use crate::{Error, KeyPart, ObjectKey};

/// An object that can be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceObject {
    /// The name of the object, also at the destination.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub len: u64,
    /// When it last changed, if known. Without it a journal cannot tell whether an object changed
    /// after it was sent.
    pub modified: Option<SystemTime>,
}

impl SourceObject {
    /// Creates a description of an object of `len` bytes.
    pub fn new(key: ObjectKey, len: u64, modified: Option<SystemTime>) -> Self {
        Self { key, len, modified }
    }
}

/// The objects of an export.
///
/// # Contract
/// * Any number of threads may call.
/// * The length and the modification time of an object do not change as long as its bytes do not.
/// * A listing is streamed: a source does not keep it in memory.
pub trait Source: fmt::Debug + Send + Sync {
    /// Calls `each` with every patient, in no particular order, until it breaks.
    ///
    /// # Errors
    /// [`Error::Source`]; `each` may already have been called.
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error>;

    /// Calls `each` with every object of a patient, in no particular order, until it breaks. An
    /// unknown patient has no objects.
    ///
    /// # Errors
    /// [`Error::Source`]; `each` may already have been called.
    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// Opens an object for reading from its first byte.
    ///
    /// # Errors
    /// [`Error::Vanished`] if the object does not exist; [`Error::Read`] if it cannot be opened.
    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error>;

    /// Returns the current length and modification time of an object.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error>;

    /// Returns true if the source has this patient.
    ///
    /// # Errors
    /// [`Error::Source`].
    fn has_patient(&self, patient: &KeyPart) -> Result<bool, Error> {
        let mut found = false;
        self.patients(&mut |each| {
            found = each == *patient;
            if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(found)
    }

    /// Returns true if the source has this study of this patient.
    ///
    /// # Errors
    /// [`Error::Source`].
    fn has_study(&self, patient: &KeyPart, study: &KeyPart) -> Result<bool, Error> {
        let mut found = false;
        self.objects(patient, &mut |object| {
            let [_, of, ..] = object.key.parts();
            found = of == study;
            if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(found)
    }
}

/// A directory laid out as a project's `public/`: `<patient>/<study>/<series>/<instance>.dcm`.
///
/// Symbolic links are not followed. Names that cannot be part of an [`ObjectKey`] are ignored.
/// Listings are streamed.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    root: PathBuf,
}

impl DirectorySource {
    /// Creates a source of the objects under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Source for DirectorySource {
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error> {
        layout::parts(&self.root, each).map_err(|error| listing_error(&error))
    }

    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        layout::objects(&self.root, patient, &mut |key, metadata| {
            each(source_object(key, metadata))
        })
        .map_err(|error| listing_error(&error))
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error> {
        // Opening a named pipe would block until somebody writes to it.
        self.state(key)?;
        let file = File::open(layout::file(&self.root, key)).map_err(|error| read_error(&error))?;
        Ok(Box::new(file))
    }

    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error> {
        let metadata = fs::symlink_metadata(layout::file(&self.root, key));
        let metadata = metadata.map_err(|error| read_error(&error))?;
        if metadata.is_file() {
            Ok(source_object(key.clone(), &metadata))
        } else {
            Err(Error::Vanished)
        }
    }

    fn has_patient(&self, patient: &KeyPart) -> Result<bool, Error> {
        self.has_directory(&[patient])
    }

    fn has_study(&self, patient: &KeyPart, study: &KeyPart) -> Result<bool, Error> {
        self.has_directory(&[patient, study])
    }
}

impl DirectorySource {
    fn has_directory(&self, parts: &[&KeyPart]) -> Result<bool, Error> {
        let mut path = self.root.clone();
        for part in parts {
            path.push(part.as_str());
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(listing_error(&error)),
            }
        }
        Ok(true)
    }
}

fn source_object(key: ObjectKey, metadata: &Metadata) -> SourceObject {
    SourceObject::new(key, metadata.len(), metadata.modified().ok())
}

fn listing_error(error: &io::Error) -> Error {
    Error::Source { kind: error.kind() }
}

fn read_error(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::Vanished,
        kind => Error::Read { kind },
    }
}

/// Objects in memory, for tests and small programs. `Debug` prints only their number.
#[derive(Clone, Default)]
pub struct MemorySource {
    objects: BTreeMap<ObjectKey, Arc<[u8]>>,
}

impl MemorySource {
    /// Creates an empty source.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts or replaces an object.
    pub fn insert(&mut self, key: ObjectKey, bytes: impl Into<Arc<[u8]>>) {
        self.objects.insert(key, bytes.into());
    }

    /// Iterates over the objects in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &[u8])> {
        self.objects.iter().map(|(key, bytes)| (key, &**bytes))
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySource({} objects)", self.objects.len())
    }
}

impl Source for MemorySource {
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error> {
        let mut last = None;
        for patient in self.objects.keys().map(ObjectKey::patient) {
            if last.replace(patient) != Some(patient) && each(patient.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for (key, bytes) in &self.objects {
            let object = || SourceObject::new(key.clone(), bytes.len() as u64, None);
            if key.patient() == patient && each(object()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error> {
        let bytes = self.objects.get(key).ok_or(Error::Vanished)?;
        Ok(Box::new(&**bytes))
    }

    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error> {
        let bytes = self.objects.get(key).ok_or(Error::Vanished)?;
        Ok(SourceObject::new(key.clone(), bytes.len() as u64, None))
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Source>();
};
