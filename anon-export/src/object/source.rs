//! [`Source`]: where the objects of an export are.

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
    /// Where it is to stand.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub len: u64,
    /// When it last changed, if that is known. Without it a journal cannot tell that an object is
    /// still the one that was sent.
    pub modified: Option<SystemTime>,
}

impl SourceObject {
    /// An object of `len` bytes that last changed then.
    pub fn new(key: ObjectKey, len: u64, modified: Option<SystemTime>) -> Self {
        Self { key, len, modified }
    }
}

/// Where the objects of an export are.
///
/// # Contract
/// * Any number of threads may call.
/// * What an object is called, its length and its time are the same for as long as its bytes are.
/// * Nothing is held of a listing but what `each` keeps.
pub trait Source: fmt::Debug + Send + Sync {
    /// Calls `each` with every patient, in no order, until it breaks off.
    ///
    /// # Errors
    /// [`Error::Source`]; then `each` may have seen a part.
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error>;

    /// Calls `each` with every object of a patient, in no order, until it breaks off. A patient that
    /// is not there has none.
    ///
    /// # Errors
    /// [`Error::Source`]; then `each` may have seen a part.
    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// Opens an object from its first byte on.
    ///
    /// # Errors
    /// [`Error::Vanished`] if it is not there; [`Error::Read`].
    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error>;

    /// What an object is now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error>;

    /// True if there is such a patient.
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

    /// True if a patient has such a study.
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
/// Links below it are not followed, and what is no [`ObjectKey`] is passed over. Nothing of it is held
/// in memory.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    root: PathBuf,
}

impl DirectorySource {
    /// The objects below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Source for DirectorySource {
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error> {
        layout::parts(&self.root, each).map_err(|error| unlisted(&error))
    }

    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        layout::objects(&self.root, patient, &mut |key, metadata| {
            each(described(key, metadata))
        })
        .map_err(|error| unlisted(&error))
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error> {
        // Opening a pipe would wait for its writer, for ever.
        self.state(key)?;
        let file = File::open(layout::file(&self.root, key)).map_err(|error| unread(&error))?;
        Ok(Box::new(file))
    }

    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error> {
        let metadata = fs::symlink_metadata(layout::file(&self.root, key));
        let metadata = metadata.map_err(|error| unread(&error))?;
        if metadata.is_file() {
            Ok(described(key.clone(), &metadata))
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
                Err(error) => return Err(unlisted(&error)),
            }
        }
        Ok(true)
    }
}

fn described(key: ObjectKey, metadata: &Metadata) -> SourceObject {
    SourceObject::new(key, metadata.len(), metadata.modified().ok())
}

fn unlisted(error: &io::Error) -> Error {
    Error::Source { kind: error.kind() }
}

fn unread(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::Vanished,
        kind => Error::Read { kind },
    }
}

/// Objects in memory, for tests and small programs. `Debug` shows how many there are.
#[derive(Clone, Default)]
pub struct MemorySource {
    objects: BTreeMap<ObjectKey, Arc<[u8]>>,
}

impl MemorySource {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object, or replaces it.
    pub fn insert(&mut self, key: ObjectKey, bytes: impl Into<Arc<[u8]>>) {
        self.objects.insert(key, bytes.into());
    }

    /// The objects.
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
