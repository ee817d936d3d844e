//! Calls by path, after a look at what has the name.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::{Access, Entry, FileState, Kind, not_a_directory, not_a_file};

/// An open directory. See the documentation where it is exported.
#[derive(Debug)]
pub(crate) struct Dir(PathBuf);

impl Dir {
    /// Opens a directory. Links in its path are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if path.metadata()?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(not_a_directory())
        }
    }

    /// Opens a directory by its canonical path.
    pub(crate) fn open_canonical(path: &Path) -> io::Result<Self> {
        Self::open(path)
    }

    /// Opens a directory in this one.
    pub(crate) fn child(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let path = self.0.join(name);
        if path.symlink_metadata()?.is_dir() {
            Ok(Self(path))
        } else {
            Err(not_a_directory())
        }
    }

    /// Opens a directory in this one, and creates it if it is missing.
    pub(crate) fn make_child(&self, name: impl AsRef<Path>, _: Access) -> io::Result<Self> {
        match fs::create_dir(self.0.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.child(name),
        }
    }

    /// Returns the state of a file. `None` if there is no regular file of this name.
    pub(crate) fn state(&self, name: impl AsRef<Path>) -> io::Result<Option<FileState>> {
        Ok(self
            .entry(name.as_ref())?
            .filter(Metadata::is_file)
            .map(|metadata| FileState::of(&metadata)))
    }

    /// Opens a file for reading. `None` if there is no regular file of this name.
    pub(crate) fn open_file(&self, name: impl AsRef<Path>) -> io::Result<Option<File>> {
        self.open_by(name.as_ref(), File::options().read(true))
    }

    /// Opens a file for reading and syncing, as [`open_file`](Self::open_file) does. Windows
    /// requires write access to sync a file.
    pub(crate) fn open_to_sync(&self, name: impl AsRef<Path>) -> io::Result<Option<File>> {
        self.open_by(name.as_ref(), File::options().read(true).write(true))
    }

    fn open_by(&self, name: &Path, options: &OpenOptions) -> io::Result<Option<File>> {
        if self.state(name)?.is_none() {
            return Ok(None);
        }
        match options.open(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }

    /// Opens a file for appending, and creates it if it is missing. Fails if something else than a
    /// regular file has this name.
    pub(crate) fn open_or_create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let is_other = |metadata: &Metadata| !metadata.is_file();
        if self.entry(name.as_ref())?.as_ref().is_some_and(is_other) {
            return Err(not_a_file());
        }
        let mut options = File::options();
        options.read(true).append(true).create(true);
        options.open(self.0.join(name))
    }

    /// Creates a file for writing and reading. Fails if anything has this name.
    pub(crate) fn create_new(&self, name: impl AsRef<Path>) -> io::Result<File> {
        File::create_new(self.0.join(name))
    }

    /// Moves a file into another directory on this file system. Replaces a file or a link that has
    /// the name there.
    pub(crate) fn rename(
        &self,
        from: impl AsRef<Path>,
        directory: &Self,
        to: impl AsRef<Path>,
    ) -> io::Result<()> {
        fs::rename(self.0.join(from), directory.0.join(to))
    }

    /// Removes a file or a link.
    pub(crate) fn remove_file(&self, name: impl AsRef<Path>) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// Makes the entries durable. A directory cannot be opened as a file here: the system decides
    /// how durable a rename is.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.metadata().map(drop)
    }

    /// Fails if the file system of the directory does not answer.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.sync()
    }

    /// Iterates over the entries.
    pub(crate) fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let entries = fs::read_dir(&self.0)?;
        Ok(entries.map(|entry| {
            let entry = entry?;
            let file_type = entry.file_type()?;
            let kind = if file_type.is_file() {
                Kind::File
            } else if file_type.is_dir() {
                Kind::Directory
            } else {
                Kind::Other
            };
            let name = entry.file_name();
            Ok(Entry { name, kind })
        }))
    }

    /// Returns true: there are no owners and modes.
    pub(crate) fn claim(&self) -> io::Result<bool> {
        self.sync().map(|()| true)
    }

    /// Returns false: there are no modes.
    pub(crate) fn is_open_to_all(&self) -> io::Result<bool> {
        self.sync().map(|()| false)
    }

    fn entry(&self, name: &Path) -> io::Result<Option<Metadata>> {
        match self.0.join(name).symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            metadata => metadata.map(Some),
        }
    }
}

pub(super) fn file_number(_: &Metadata) -> Option<u64> {
    None
}
