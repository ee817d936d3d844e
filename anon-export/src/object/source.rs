//! [`Source`]: the objects of an export.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::layout;
use crate::platform::{Dir, FileState};
use crate::{Error, KeyPart, ObjectKey};

/// An object that can be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceObject {
    /// The name of the object, also at the destination.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub len: u64,
    /// When it last changed, if known. Without it and without an [`Origin`](crate::Origin) a journal
    /// cannot tell whether an object changed after it was sent.
    pub modified: Option<SystemTime>,
    /// The number of its file, if it is one and the system numbers files.
    file_number: Option<u64>,
}

impl SourceObject {
    /// Creates a description of an object of `len` bytes.
    pub fn new(key: ObjectKey, len: u64, modified: Option<SystemTime>) -> Self {
        Self {
            key,
            len,
            modified,
            file_number: None,
        }
    }

    fn of_file(key: ObjectKey, file: FileState) -> Self {
        Self {
            file_number: file.number,
            ..Self::new(key, file.len, file.modified)
        }
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

    /// Opens an object that this source listed, for reading from its first byte.
    ///
    /// The default implementation calls [`open`](Self::open).
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::Changed`] if another object than the listed one was
    /// opened.
    fn open_listed(&self, object: &SourceObject) -> Result<Box<dyn Read + Send + '_>, Error> {
        self.open(&object.key)
    }

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
/// The root is opened once, and each level in the one above. Symbolic links below the root are not
/// followed, also if they are made during an export. A file that took the place of a listed one is
/// not read. Names that cannot be part of an [`ObjectKey`] are ignored. Listings are streamed.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    root: PathBuf,
    opened: Arc<OnceLock<Dir>>,
}

impl DirectorySource {
    /// Creates a source of the objects under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            opened: Arc::default(),
        }
    }
}

impl Source for DirectorySource {
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error> {
        let parts = self.root().and_then(|root| layout::parts(root, each));
        parts.map_err(|error| listing_error(&error))
    }

    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut each = |key, file: FileState| each(SourceObject::of_file(key, file));
        let root = self.root();
        root.and_then(|root| layout::objects(root, patient, &mut each))
            .map_err(|error| listing_error(&error))
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error> {
        Ok(Box::new(self.file(key)?))
    }

    fn open_listed(&self, object: &SourceObject) -> Result<Box<dyn Read + Send + '_>, Error> {
        let file = self.file(&object.key)?;
        let metadata = file.metadata().map_err(|error| read_error(&error))?;
        if SourceObject::of_file(object.key.clone(), FileState::of(&metadata)) == *object {
            Ok(Box::new(file))
        } else {
            Err(Error::Changed)
        }
    }

    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error> {
        let state = self
            .series(key)
            .and_then(|series| series.state(layout::file_name(key)));
        match state.map_err(|error| read_error(&error))? {
            Some(file) => Ok(SourceObject::of_file(key.clone(), file)),
            None => Err(Error::Vanished),
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
    fn root(&self) -> io::Result<&Dir> {
        if let Some(root) = self.opened.get() {
            return Ok(root);
        }
        let root = Dir::open(&self.root)?;
        Ok(self.opened.get_or_init(|| root))
    }

    fn series(&self, key: &ObjectKey) -> io::Result<Dir> {
        layout::series(self.root()?, key)
    }

    fn file(&self, key: &ObjectKey) -> Result<File, Error> {
        let file = self
            .series(key)
            .and_then(|series| series.open_file(layout::file_name(key)));
        file.map_err(|error| read_error(&error))?
            .ok_or(Error::Vanished)
    }

    fn has_directory(&self, parts: &[&KeyPart]) -> Result<bool, Error> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let mut inner: Option<Dir> = None;
        for part in parts {
            let root = self.root().map_err(|error| listing_error(&error))?;
            match inner.as_ref().unwrap_or(root).child(part.as_str()) {
                Ok(child) => inner = Some(child),
                Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(false),
                Err(error) => return Err(listing_error(&error)),
            }
        }
        Ok(true)
    }
}

fn listing_error(error: &io::Error) -> Error {
    Error::Source { kind: error.kind() }
}

fn read_error(error: &io::Error) -> Error {
    match error.kind() {
        // A link or a file took the place of a directory.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Vanished,
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
