//! [`FileScan`]: the files below some paths, in a stable order and without a list of all of them.
//!
//! ```text
//! roots ──► stack of directories, each: up to 100,000 entries sorted, then the rest as read
//!                 │
//!                 └─► Entry: a file to read · one to ignore, with a reason · one that cannot be read
//! ```
//!
//! Hidden directories and links to directories are not entered, so a scan ends. Excluded directories
//! are not entered, by whatever path they are reached. A DICOMDIR is followed if it is a root;
//! elsewhere it is ignored, because the scan finds the files below its directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use anon_model::Phi;

use super::entry::{Entry, EntryKind};
use super::{Dicomdir, ObjectSource, SourceItem};
use crate::keep::received::Received;
use crate::platform::DirectoryIdentity;

/// How many entries of one directory are sorted. Further ones come in the order of the system.
const SORTED_ENTRIES: usize = 100_000;

impl From<Entry> for SourceItem {
    fn from(entry: Entry) -> Self {
        let origin = Phi::new(entry.path.to_string_lossy().into_owned());
        match entry.kind {
            EntryKind::File => {
                let mut received = Received::file(entry.path);
                received.is_found = entry.found;
                received.remark = entry.remark;
                Self::Object(received)
            }
            EntryKind::Ignored(reason) => Self::Ignored { origin, reason },
            EntryKind::Failed { reason, error } => Self::Failed {
                origin,
                reason,
                error,
            },
        }
    }
}

impl ObjectSource for FileScan {
    fn next(&mut self) -> Option<SourceItem> {
        Iterator::next(self).map(SourceItem::from)
    }
}

const UNREADABLE: &str = "cannot be read";
const UNREADABLE_DIRECTORY: &str = "a directory that cannot be read";

/// How many directories were skipped. They have no [`Entry`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedDirectories {
    /// Number of directories whose name starts with a dot.
    pub hidden_directories: u64,
    /// Number of links to directories.
    pub linked_directories: u64,
    /// Number of excluded directories.
    pub excluded_directories: u64,
}

/// The order of the entries of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryOrder {
    /// By name, for the first `max` entries.
    Sorted {
        max: usize,
    },
    AsRead,
}

/// Iterates over files and directories, depth first.
#[derive(Debug)]
pub struct FileScan {
    roots: std::vec::IntoIter<PathBuf>,
    stack: Vec<ScanLevel>,
    excluded: Vec<DirectoryIdentity>,
    order: EntryOrder,
    skipped: SkippedDirectories,
}

impl FileScan {
    /// Returns a scan of these paths, one after the other. The paths themselves may be hidden, or
    /// links.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let roots: Vec<_> = paths.into_iter().collect();
        Self {
            roots: roots.into_iter(),
            stack: Vec::new(),
            excluded: Vec::new(),
            order: EntryOrder::Sorted {
                max: SORTED_ENTRIES,
            },
            skipped: SkippedDirectories::default(),
        }
    }

    /// Excludes a directory and everything below it.
    ///
    /// # Errors
    /// If the directory cannot be found.
    pub fn without(mut self, directory: &Path) -> io::Result<Self> {
        self.excluded.push(DirectoryIdentity::of(directory)?);
        Ok(self)
    }

    /// Makes entries come in the order of the system, which needs no memory for their names. For
    /// counting.
    #[must_use]
    pub fn as_read(mut self) -> Self {
        self.order = EntryOrder::AsRead;
        self
    }

    /// Returns how many directories have been skipped so far.
    pub fn skipped_directories(&self) -> SkippedDirectories {
        self.skipped
    }

    fn enter_root(&mut self, path: PathBuf) -> Option<Entry> {
        if self.inside_excluded(&path) {
            self.skipped.excluded_directories += 1;
            return None;
        }
        match fs::metadata(&path) {
            Err(error) => Some(Entry::failed(path, UNREADABLE, error)),
            Ok(metadata) if metadata.is_dir() => self.enter(path),
            Ok(metadata) if metadata.is_file() && Dicomdir::recognises(&path) => {
                Some(self.follow(path))
            }
            Ok(metadata) => Some(classify(path, metadata.file_type())),
        }
    }

    /// Follows a DICOMDIR. Returns the entry of the DICOMDIR itself.
    fn follow(&mut self, dicomdir: PathBuf) -> Entry {
        match Dicomdir::open(&dicomdir) {
            Ok(records) => {
                self.stack.push(ScanLevel::Dicomdir(records));
                Entry::ignored(dicomdir, "a DICOMDIR: the files it references are imported")
            }
            Err(error) => error.into_entry(dicomdir),
        }
    }

    /// Returns true if `path` is an excluded directory or below one.
    fn inside_excluded(&self, path: &Path) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        fs::canonicalize(path).is_ok_and(|whole| {
            whole
                .ancestors()
                .any(|ancestor| self.excludes_directory(ancestor))
        })
    }

    /// Ignores a file that a DICOMDIR references in an excluded directory.
    fn unless_excluded(&self, entry: Entry) -> Entry {
        if matches!(entry.kind, EntryKind::File) && self.inside_excluded(&entry.path) {
            return Entry::ignored(entry.path, "in an excluded directory");
        }
        entry
    }

    fn excludes_directory(&self, path: &Path) -> bool {
        !self.excluded.is_empty()
            && DirectoryIdentity::of(path).is_ok_and(|identity| self.excluded.contains(&identity))
    }

    fn enter(&mut self, directory: PathBuf) -> Option<Entry> {
        match OpenDirectory::open(directory, self.order) {
            Ok(level) => {
                self.stack.push(ScanLevel::Directory(level));
                None
            }
            Err((directory, error)) => Some(Entry::failed(directory, UNREADABLE_DIRECTORY, error)),
        }
    }

    fn visit(&mut self, path: PathBuf, child: DirectoryEntry) -> Option<Entry> {
        let kind = match child.kind {
            Ok(kind) if kind.is_symlink() => match fs::metadata(&path) {
                Ok(target) if target.is_dir() => {
                    self.skipped.linked_directories += 1;
                    return None;
                }
                Ok(target) => target.file_type(),
                Err(error) => {
                    return Some(Entry::failed(
                        path,
                        "a link whose target cannot be read",
                        error,
                    ));
                }
            },
            Ok(kind) => kind,
            Err(error) => return Some(Entry::failed(path, UNREADABLE, error)),
        };
        let hidden = child.name.as_encoded_bytes().starts_with(b".");
        if !kind.is_dir() {
            return Some(if hidden {
                Entry::ignored(path, "a hidden file")
            } else {
                classify(path, kind).found_in_directory()
            });
        }
        if hidden {
            self.skipped.hidden_directories += 1;
            return None;
        }
        if self.excludes_directory(&path) {
            self.skipped.excluded_directories += 1;
            return None;
        }
        self.enter(path)
    }
}

impl Iterator for FileScan {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let entry = match self.stack.last_mut() {
                Some(ScanLevel::Directory(level)) => match level.next_child() {
                    Some(Ok(child)) => {
                        let path = level.path.join(&child.name);
                        self.visit(path, child)
                    }
                    Some(Err(error)) => Some(Entry::failed(
                        level.path.clone(),
                        UNREADABLE_DIRECTORY,
                        error,
                    )),
                    None => {
                        self.stack.pop();
                        None
                    }
                },
                Some(ScanLevel::Dicomdir(records)) => {
                    let entry = records.next();
                    if entry.is_none() {
                        self.stack.pop();
                    }
                    entry.map(|entry| self.unless_excluded(entry))
                }
                None => match self.roots.next() {
                    Some(root) => self.enter_root(root),
                    None => return None,
                },
            };
            if entry.is_some() {
                return entry;
            }
        }
    }
}

/// What a level of the stack iterates over.
#[derive(Debug)]
enum ScanLevel {
    Directory(OpenDirectory),
    Dicomdir(Dicomdir),
}

#[derive(Debug)]
struct OpenDirectory {
    path: PathBuf,
    sorted: std::vec::IntoIter<DirectoryEntry>,
    /// The entries after the sorted ones, if there may be any.
    rest: Option<ReadDir>,
}

#[derive(Debug)]
struct DirectoryEntry {
    name: OsString,
    kind: io::Result<FileType>,
}

impl DirectoryEntry {
    fn new(entry: &fs::DirEntry) -> Self {
        Self {
            name: entry.file_name(),
            kind: entry.file_type(),
        }
    }
}

impl OpenDirectory {
    fn open(path: PathBuf, order: EntryOrder) -> Result<Self, (PathBuf, io::Error)> {
        let mut rest = match fs::read_dir(&path) {
            Ok(rest) => rest,
            Err(error) => return Err((path, error)),
        };
        let max = match order {
            EntryOrder::Sorted { max } => max,
            EntryOrder::AsRead => 0,
        };
        let mut sorted = Vec::new();
        let mut ended = false;
        while sorted.len() < max {
            match rest.next() {
                Some(Ok(entry)) => sorted.push(DirectoryEntry::new(&entry)),
                Some(Err(error)) => return Err((path, error)),
                None => {
                    ended = true;
                    break;
                }
            }
        }
        sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            path,
            sorted: sorted.into_iter(),
            // A directory read to its end is closed here, so that a deep tree needs few descriptors.
            rest: (!ended).then_some(rest),
        })
    }

    fn next_child(&mut self) -> Option<io::Result<DirectoryEntry>> {
        if let Some(child) = self.sorted.next() {
            return Some(Ok(child));
        }
        match self.rest.as_mut()?.next()? {
            Ok(entry) => Some(Ok(DirectoryEntry::new(&entry))),
            Err(error) => {
                // Some file systems repeat an error forever.
                self.rest = None;
                Some(Err(error))
            }
        }
    }
}

fn classify(path: PathBuf, kind: FileType) -> Entry {
    if !kind.is_file() {
        return Entry::ignored(path, "not a regular file");
    }
    if path.file_name().is_some_and(is_dicomdir_name) && is_dicomdir(&path) {
        return Entry::ignored(
            path,
            "a DICOMDIR: the files beside it are imported themselves",
        );
    }
    Entry::file(path)
}

/// Returns true for a name that begins with `DICOMDIR`, the name that PS3.10 section 8.6 requires, in
/// either case. Some systems show the names of a medium in lower case, some copies have an extension.
fn is_dicomdir_name(name: &OsStr) -> bool {
    let begin = name.as_encoded_bytes().get(..8);
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(b"DICOMDIR"))
}

/// Returns true if the name is exactly `DICOMDIR`, or the file meta information says so.
fn is_dicomdir(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.len() == 8) || Dicomdir::recognises(path)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    fn touch(path: PathBuf, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    fn names(scan: FileScan, below: &Path) -> Vec<String> {
        scan.map(|entry| {
            let path = entry.path.strip_prefix(below).unwrap_or(&entry.path);
            let name = path.display().to_string();
            match entry.kind {
                EntryKind::File => name,
                EntryKind::Ignored(_) => format!("-{name}"),
                EntryKind::Failed { .. } => format!("!{name}"),
            }
        })
        .collect()
    }

    #[test]
    fn a_tree_is_scanned_in_sorted_order_depth_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2", "b/1", "a", "c", ".hidden", ".git/x", "DICOMDIR"] {
            touch(dir.path().join(name), b"x");
        }
        let scan = FileScan::new([dir.path().to_path_buf()]);
        assert_eq!(
            names(scan, dir.path()),
            ["-.hidden", "-DICOMDIR", "a", "b/1", "b/2", "c"]
        );
    }

    #[test]
    fn a_directory_too_large_to_sort_is_still_scanned_in_full() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..50 {
            touch(dir.path().join(format!("{n:02}")), b"x");
        }
        let mut scan = FileScan::new([dir.path().to_path_buf()]);
        scan.order = EntryOrder::Sorted { max: 10 };
        let all = names(scan, dir.path());
        assert!(all.get(..10).unwrap().is_sorted());
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), unique.len()), (50, 50));
        let counted = FileScan::new([dir.path().to_path_buf()]).as_read().count();
        assert_eq!(counted, 50);
    }

    #[test]
    fn files_of_a_directory_are_found_and_roots_are_named() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("a"), b"x");
        touch(dir.path().join("b/c"), b"x");
        let scan = FileScan::new([dir.path().join("a"), dir.path().join("b")]);
        assert_eq!(
            scan.map(|entry| entry.found).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_to_directories_sockets_and_excluded_directories_are_skipped() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["tree/a", "elsewhere/b", "tree/project/public/c"] {
            touch(root.join(name), b"x");
        }
        symlink(root.join("elsewhere/b"), root.join("tree/file-link")).unwrap();
        symlink(root.join("elsewhere"), root.join("tree/dir-link")).unwrap();
        symlink(root.join("nowhere"), root.join("tree/lost")).unwrap();
        symlink(root.join("tree"), root.join("root-link")).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(root.join("tree/socket")).unwrap();
        let mut scan = FileScan::new([root.join("root-link")])
            .without(&root.join("tree/project"))
            .unwrap();
        let found = names(
            FileScan {
                roots: vec![root.join("root-link")].into_iter(),
                stack: Vec::new(),
                excluded: scan.excluded.clone(),
                order: scan.order,
                skipped: SkippedDirectories::default(),
            },
            &root.join("root-link"),
        );
        assert_eq!(found, ["a", "file-link", "!lost", "-socket"]);
        scan.by_ref().for_each(drop);
        let skipped = SkippedDirectories {
            hidden_directories: 0,
            linked_directories: 1,
            excluded_directories: 1,
        };
        assert_eq!(scan.skipped_directories(), skipped);
        let inside = FileScan::new([root.join("tree/project/public")])
            .without(&root.join("tree/project"))
            .unwrap();
        assert_eq!(inside.count(), 0);
        drop(socket);
    }
}
