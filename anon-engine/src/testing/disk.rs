//! [`SimDisk`]: a disk in memory that forgets what was not synced.
//!
//! ```text
//! every file and directory ──► live     what a running program sees
//!                         └──► synced   what a power cut leaves at least
//! ```
//!
//! Every operation that changes something is a step. At a chosen step the disk fails, once or from
//! then on, or its power is cut. [`SimDisk::after_power_cut`] then gives the disk that a restarted
//! program finds.
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

/// What a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests meet each case")]
pub enum Survive {
    /// What was synced, and nothing else.
    Synced,
    /// Everything that was written: the process was killed, the system goes on.
    Written,
    /// What was synced, and of the rest some names and some pages, by this seed.
    Mixed(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// This step and all later ones fail; of a write at this step, half is written.
    Power(u64),
    /// This step fails.
    Once(u64, io::ErrorKind),
    /// This step and all later ones that need space fail.
    Full(u64),
    /// This reading fails.
    Read(u64),
}

/// A disk in memory. Clones are one and the same.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    tree: Tree,
    steps: u64,
    reads: u64,
    listed: Vec<PathBuf>,
    unnamed: usize,
    all_are_named: bool,
    fault: Option<Fault>,
    mounts: Vec<PathBuf>,
}

/// Whether a step needs space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Space,
    Nothing,
}

impl State {
    /// Counts a step that changes something.
    fn step(&mut self, needs: Needs) -> io::Result<()> {
        self.steps += 1;
        match self.fault {
            Some(Fault::Power(at)) if self.steps >= at => Err(power_is_cut()),
            Some(Fault::Once(at, kind)) if self.steps == at => Err(kind.into()),
            Some(Fault::Full(at)) if self.steps >= at && needs == Needs::Space => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self) -> io::Result<()> {
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
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk where each file has a name from the beginning.
    pub fn with_names_only() -> Self {
        let disk = Self::new();
        disk.state().all_are_named = true;
        disk
    }

    /// Steps that were taken: operations that change or sync something.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Operations that read something.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// The directories whose names were listed, in order.
    pub fn listed(&self) -> Vec<PathBuf> {
        self.state().listed.clone()
    }

    /// Files that are open and have no name.
    pub fn unnamed(&self) -> usize {
        self.state().unnamed
    }

    /// Cuts the power at a step, counted from 1. A write at that step is half done; everything
    /// after it fails.
    pub fn cut_power_at(&self, step: u64) {
        self.state().fault = Some(Fault::Power(step));
    }

    /// Makes one step fail, counted from 1.
    pub fn fail_at(&self, step: u64, kind: io::ErrorKind) {
        self.state().fault = Some(Fault::Once(step, kind));
    }

    /// Lets nothing be written from a step on, counted from 1. Removing and renaming still work.
    pub fn fill_up_at(&self, step: u64) {
        self.state().fault = Some(Fault::Full(step));
    }

    /// Makes one reading fail, counted from 1.
    pub fn fail_read_at(&self, reading: u64) {
        self.state().fault = Some(Fault::Read(reading));
    }

    /// Ends every fault.
    pub fn repair(&self) {
        self.state().fault = None;
    }

    /// Makes everything below a directory another file system.
    pub fn mount(&self, dir: impl Into<PathBuf>) {
        self.state().mounts.push(dir.into());
    }

    /// The disk that a program finds after a power cut now.
    #[must_use]
    pub fn after_power_cut(&self, survive: Survive) -> Self {
        let state = self.state();
        let left = State {
            tree: state.tree.after(survive),
            mounts: state.mounts.clone(),
            all_are_named: state.all_are_named,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(left)),
        }
    }

    /// The bytes of a file; none if there is none.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.tree.get(state.tree.find(path)?) {
            Some(Node::File(file)) => Some(file.live.to_vec()),
            _ => None,
        }
    }

    /// The paths of all files below a directory, in order.
    pub fn files(&self, below: &Path) -> Vec<PathBuf> {
        self.state().tree.files(below)
    }

    /// Opens a file for reading and writing anywhere in it, and makes it if it is missing: what an
    /// embedded database needs. Each of its operations is a step like any other.
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
        state.step(Needs::Space)?;
        state.tree.create(path, Node::file())
    }

    fn append(&self, node: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let done = state.step(Needs::Space);
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
        state.step(Needs::Nothing)?;
        if let Some(Node::File(file)) = state.tree.get_mut(node) {
            file.synced = file.live.clone();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
        state.step(Needs::Space)?;
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
        let all_are_named = self.state().all_are_named;
        Ok(if all_are_named { 0 } else { wanted })
    }

    fn create_unnamed(&self, dir: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.state();
        state.step(Needs::Space)?;
        state.tree.find(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimWriter {
            node: state.add_unnamed(),
            disk: self.clone(),
            is_named: false,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.state().look()?;
        let bytes = self.read(path);
        Ok(Box::new(Cursor::new(bytes.ok_or(io::ErrorKind::NotFound)?)))
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        let mut state = self.state();
        state.look()?;
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
        state.step(Needs::Nothing)?;
        state.tree.rename(from, to)
    }

    fn share(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(Needs::Nothing)?;
        state
            .tree
            .find(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(Needs::Nothing)?;
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
        state.step(Needs::Nothing)?;
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
        state.step(Needs::Nothing)?;
        state.tree.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        let mut state = self.state();
        state.look()?;
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
        state.step(Needs::Space)?;
        state.tree.link(self.node, path)?;
        state.unnamed -= 1;
        self.is_named = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync_file(self.node)
    }
}

/// A file of a [`SimDisk`] that is read and written anywhere in it.
#[derive(Clone)]
pub struct SimFile {
    disk: SimDisk,
    node: u64,
}

impl SimFile {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If the power is cut.
    pub fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.look()?;
        match state.tree.get(self.node) {
            Some(Node::File(file)) => Ok(file.live.len()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// True if it has no bytes.
    ///
    /// # Errors
    /// If the power is cut.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// If the file is shorter, or the disk fails.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.look()?;
        match state.tree.get(self.node) {
            Some(Node::File(file)) if file.live.read(offset, out) => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Writes at `offset`.
    ///
    /// # Errors
    /// If the disk fails. Half of it may be written then.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let done = state.step(Needs::Space);
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

    /// Cuts or lengthens it; new bytes are zero.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step(Needs::Space)?;
        if let Some(Node::File(file)) = state.tree.get_mut(self.node) {
            file.live.set_len(len);
        }
        Ok(())
    }

    /// Makes its bytes survive a power cut.
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
