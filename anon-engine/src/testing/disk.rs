//! [`SimDisk`]: a disk in memory that loses unsynced data in a power cut.
//!
//! ```text
//! every file and directory ──► live     the state that a running program sees
//!                         └──► synced   the state that survives a power cut
//! ```
//!
//! Every operation that changes something is a step. A test chooses a step at which the disk fails,
//! once or from then on, or loses power. [`SimDisk::after_power_cut`] then returns the disk that a
//! restarted program finds.
//!
//! ```
//! use std::io::Write;
//! use std::path::Path;
//! use anon_engine::disk::{Access, Disk};
//! use anon_engine::testing::disk::{SimDisk, Survive};
//!
//! let disk = SimDisk::new();
//! let mut file = disk.create(Path::new("/a"), Access::Private)?;
//! file.write_all(b"text")?;
//! file.sync()?;
//! // The bytes are synced, the name is not.
//! assert_eq!(disk.after_power_cut(Survive::Synced).read(Path::new("/a")), None);
//! disk.sync_dir(Path::new("/"))?;
//! assert_eq!(disk.after_power_cut(Survive::Synced).read(Path::new("/a")), Some(b"text".to_vec()));
//! # Ok::<(), std::io::Error>(())
//! ```

mod pages;
mod tree;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::keep::disk::{
    Access, CopyError, DirCreation, Disk, Existing, FileKind, Names, WriteFile,
};
use crate::platform::read_at;

use tree::{Node, Tree};

/// What survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests meet each case")]
pub enum Survive {
    /// Only synced data.
    Synced,
    /// All written data: only the process was killed, not the system.
    Written,
    /// Synced data, and some other names and pages, chosen by this seed.
    Mixed(u64),
}

/// A fault of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// This step and all later ones fail. A write at this step writes half of its bytes.
    Power(u64),
    /// This step fails.
    Once(u64, io::ErrorKind),
    /// This step and all later ones that need space fail.
    Full(u64),
    /// This read fails.
    Read(u64),
}

/// A disk in memory. Clones share its contents.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<DiskState>>,
}

#[derive(Default)]
struct DiskState {
    tree: Tree,
    steps: u64,
    reads: u64,
    listed: Vec<PathBuf>,
    unnamed: usize,
    needs_names: bool,
    fault: Option<Fault>,
    mounts: Vec<PathBuf>,
}

/// Whether a step needs free space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SpaceNeed {
    Some,
    None,
}

impl DiskState {
    /// Counts a step; fails if its fault is due.
    fn step(&mut self, needs: SpaceNeed) -> io::Result<()> {
        self.steps += 1;
        match self.fault {
            Some(Fault::Power(at)) if self.steps >= at => Err(power_is_cut()),
            Some(Fault::Once(at, kind)) if self.steps == at => Err(kind.into()),
            Some(Fault::Full(at)) if self.steps >= at && needs == SpaceNeed::Some => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    /// Counts a read; fails if its fault is due.
    fn count_read(&mut self) -> io::Result<()> {
        self.reads += 1;
        match self.fault {
            Some(Fault::Power(at)) if self.steps >= at => Err(power_is_cut()),
            Some(Fault::Read(at)) if self.reads == at => Err(io::Error::other("read error")),
            _ => Ok(()),
        }
    }

    fn add_unnamed(&mut self) -> u64 {
        self.unnamed += 1;
        self.tree.add(Node::file())
    }

    fn device(&self, path: &Path) -> usize {
        let mounts = self.mounts.iter().enumerate();
        let under = mounts.filter(|(_, mount)| path.starts_with(mount));
        under.map(|(number, _)| number + 1).max().unwrap_or(0)
    }
}

fn power_is_cut() -> io::Error {
    io::Error::other("the power is cut")
}

impl SimDisk {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty disk that does not support files without a name.
    pub fn without_unnamed_files() -> Self {
        let disk = Self::new();
        disk.state().needs_names = true;
        disk
    }

    /// Returns the number of steps so far: operations that change or sync something.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Returns the number of reads so far.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Returns the directories that were listed, in order.
    pub fn listed(&self) -> Vec<PathBuf> {
        self.state().listed.clone()
    }

    /// Returns the number of open files without a name.
    pub fn unnamed(&self) -> usize {
        self.state().unnamed
    }

    /// Cuts the power at a step, counted from 1. A write at that step writes half of its bytes; all
    /// later steps fail.
    pub fn cut_power_at(&self, step: u64) {
        self.state().fault = Some(Fault::Power(step));
    }

    /// Makes one step fail, counted from 1.
    pub fn fail_at(&self, step: u64, kind: io::ErrorKind) {
        self.state().fault = Some(Fault::Once(step, kind));
    }

    /// Makes the disk full from a step on, counted from 1. Removing and renaming still work.
    pub fn fill_up_at(&self, step: u64) {
        self.state().fault = Some(Fault::Full(step));
    }

    /// Makes one read fail, counted from 1.
    pub fn fail_read_at(&self, read: u64) {
        self.state().fault = Some(Fault::Read(read));
    }

    /// Removes all faults.
    pub fn repair(&self) {
        self.state().fault = None;
    }

    /// Makes a directory the root of another file system.
    pub fn mount(&self, dir: impl Into<PathBuf>) {
        self.state().mounts.push(dir.into());
    }

    /// Returns the disk that a program finds if the power is cut now.
    #[must_use]
    pub fn after_power_cut(&self, survive: Survive) -> Self {
        let state = self.state();
        let left = DiskState {
            tree: state.tree.after(survive),
            mounts: state.mounts.clone(),
            needs_names: state.needs_names,
            ..DiskState::default()
        };
        Self {
            state: Arc::new(Mutex::new(left)),
        }
    }

    /// Returns the bytes of a file; `None` if it is missing.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.tree.get(state.tree.find(path)?) {
            Some(Node::File(file)) => Some(file.live.to_vec()),
            _ => None,
        }
    }

    /// Returns the paths of all files below a directory, in order.
    pub fn files(&self, below: &Path) -> Vec<PathBuf> {
        self.state().tree.files(below)
    }

    /// Opens a file for reading and writing at any offset, and makes it if it is missing. An
    /// embedded database can run on it. Each write or sync counts as a step.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn storage(&self, path: &Path) -> io::Result<SimFile> {
        let found = self.state().tree.find(path);
        let node = match found {
            Some(node) => node,
            None => self.make_file(path)?,
        };
        Ok(SimFile {
            disk: self.clone(),
            node,
        })
    }

    fn make_file(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.step(SpaceNeed::Some)?;
        state.tree.create(path, Node::file())
    }

    fn append(&self, node: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let done = state.step(SpaceNeed::Some);
        let written = if done.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        let part = bytes.get(..written).unwrap_or_default();
        if let Some(Node::File(file)) = state.tree.get_mut(node) {
            let end = file.live.len();
            file.live.write(end, part);
        }
        done
    }

    fn sync_file(&self, node: u64) -> io::Result<()> {
        let mut state = self.state();
        state.step(SpaceNeed::None)?;
        if let Some(Node::File(file)) = state.tree.get_mut(node) {
            file.synced = file.live.clone();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "SimDisk({} steps, {:?})", state.steps, state.fault)
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path, _: Access) -> io::Result<DirCreation> {
        let mut state = self.state();
        if let Some(found) = state.tree.find(path) {
            return match state.tree.get(found) {
                Some(Node::Dir(_)) => Ok(DirCreation::AlreadyThere),
                _ => Err(io::ErrorKind::AlreadyExists.into()),
            };
        }
        state.step(SpaceNeed::Some)?;
        state.tree.create(path, Node::dir())?;
        Ok(DirCreation::Created)
    }

    fn create(&self, path: &Path, _: Access) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(SimWriter {
            node: self.make_file(path)?,
            disk: self.clone(),
            is_named: true,
        }))
    }

    fn unnamed_files(&self, _: &Path, wanted: usize) -> io::Result<usize> {
        let needs_names = self.state().needs_names;
        Ok(if needs_names { 0 } else { wanted })
    }

    fn create_unnamed(&self, dir: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.state();
        state.step(SpaceNeed::Some)?;
        state.tree.find(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimWriter {
            node: state.add_unnamed(),
            disk: self.clone(),
            is_named: false,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.state().count_read()?;
        let bytes = self.read(path);
        Ok(Box::new(Cursor::new(bytes.ok_or(io::ErrorKind::NotFound)?)))
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        let mut state = self.state();
        state.count_read()?;
        let node = state
            .tree
            .find(path)
            .and_then(|found| state.tree.get(found));
        Ok(node.map(|node| match node {
            Node::File(file) => FileKind::File(file.live.len()),
            Node::Dir(_) => FileKind::Directory,
        }))
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        let mut state = self.state();
        if state.device(from) != state.device(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if existing == Existing::Keep && state.tree.find(to).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.step(SpaceNeed::None)?;
        state.tree.rename(from, to)
    }

    fn share(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(SpaceNeed::None)?;
        state
            .tree
            .find(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(SpaceNeed::None)?;
        let found = state.tree.find(path).ok_or(io::ErrorKind::NotFound)?;
        match state.tree.get_mut(found) {
            Some(Node::Dir(dir)) => {
                dir.synced = dir.live.clone();
                Ok(())
            }
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let found = state.tree.find(path).ok_or(io::ErrorKind::NotFound)?;
        if matches!(state.tree.get(found), Some(Node::Dir(_))) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        state.step(SpaceNeed::None)?;
        state.tree.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let found = state.tree.find(path).ok_or(io::ErrorKind::NotFound)?;
        match state.tree.get(found) {
            Some(Node::Dir(dir)) if dir.live.is_empty() => {}
            Some(Node::Dir(_)) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            _ => return Err(io::ErrorKind::NotADirectory.into()),
        }
        state.step(SpaceNeed::None)?;
        state.tree.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        let mut state = self.state();
        state.count_read()?;
        state.listed.push(path.to_path_buf());
        let found = state.tree.find(path).ok_or(io::ErrorKind::NotFound)?;
        let Some(Node::Dir(dir)) = state.tree.get(found) else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let names: Vec<OsString> = dir.live.keys().cloned().collect();
        Ok(Box::new(names.into_iter().map(Ok)))
    }

    fn same_file_system(&self, one: &Path, other: &Path) -> io::Result<bool> {
        let state = self.state();
        Ok(state.device(one) == state.device(other))
    }

    fn native(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

struct SimWriter {
    disk: SimDisk,
    node: u64,
    is_named: bool,
}

impl Drop for SimWriter {
    fn drop(&mut self) {
        if !self.is_named {
            let mut state = self.disk.state();
            state.tree.drop_unnamed(self.node);
            state.unnamed -= 1;
        }
    }
}

impl Write for SimWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.append(self.node, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for SimWriter {
    fn append_range(&mut self, source: &File, offset: u64, len: u64) -> Result<(), CopyError> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match read_at(source, rest, offset + done as u64) {
                Ok(0) => return Err(CopyError::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => done += got,
                Err(error) => return Err(CopyError::Read(error)),
            }
        }
        self.disk
            .append(self.node, &bytes)
            .map_err(CopyError::Write)
    }

    fn give_name(&mut self, path: &Path) -> io::Result<()> {
        if self.is_named {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut state = self.disk.state();
        state.step(SpaceNeed::Some)?;
        state.tree.link(self.node, path)?;
        state.unnamed -= 1;
        self.is_named = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync_file(self.node)
    }
}

/// A file of a [`SimDisk`] that is read and written at any offset.
#[derive(Clone)]
pub struct SimFile {
    disk: SimDisk,
    node: u64,
}

impl SimFile {
    /// Returns the length in bytes.
    ///
    /// # Errors
    /// If the power is cut.
    pub fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.count_read()?;
        match state.tree.get(self.node) {
            Some(Node::File(file)) => Ok(file.live.len()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Returns true if it has no bytes.
    ///
    /// # Errors
    /// If the power is cut.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// If the file is too short, or the disk fails.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.count_read()?;
        match state.tree.get(self.node) {
            Some(Node::File(file)) if file.live.read(offset, out) => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Writes at `offset`.
    ///
    /// # Errors
    /// If the disk fails. Half of the bytes may be written.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let done = state.step(SpaceNeed::Some);
        let written = if done.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        if let Some(Node::File(file)) = state.tree.get_mut(self.node) {
            file.live
                .write(offset, bytes.get(..written).unwrap_or_default());
        }
        done
    }

    /// Truncates or extends the file; new bytes are zero.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step(SpaceNeed::Some)?;
        if let Some(Node::File(file)) = state.tree.get_mut(self.node) {
            file.live.set_len(len);
        }
        Ok(())
    }

    /// Makes the bytes survive a power cut.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.sync_file(self.node)
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFile(..)")
    }
}
