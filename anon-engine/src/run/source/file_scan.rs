//! [`FileScan`]: the files below some paths, in a stable order and without a list of them in memory.
//!
//! ```text
//! roots ──► stack of directories, each: up to 100,000 entries sorted, then the rest as read
//!                 │
//!                 └─► Entry: a file to read · something to ignore, and why · what cannot be read
//! ```
//!
//! Hidden directories and links to directories are not entered, so a scan ends; directories given
//! as excluded are not entered however they are reached. A DICOMDIR that is named itself is followed;
//! one that is met on the way is passed over, because the files beside it are looked at anyway.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, ReadDir};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anon_model::Phi;

use super::entry::{Entry, EntryKind};
use super::{Dicomdir, ObjectSource, SourceItem};
use crate::keep::received::Received;
use crate::platform::DirectoryIdentity;

/// How many entries of one directory are sorted; further ones come as the system gives them.
const SORTED_ENTRIES: usize = 100_000;

impl From<Entry> for SourceItem {
    fn from(entry: Entry) -> Self {
        let origin = Phi::new(entry.path.to_string_lossy().into_owned());
        match entry.kind {
            EntryKind::File => Self::Object(Received::file(entry.path)),
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

/// What was passed over without an [`Entry`] of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedDirectories {
    /// Directories whose name starts with a dot.
    pub hidden_directories: u64,
    /// Links to directories.
    pub linked_directories: u64,
    /// Excluded directories.
    pub excluded_directories: u64,
}

/// The order in which the entries of a directory come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryOrder {
    Sorted { most: usize },
    AsRead,
}

/// Walks files and directories, depth first, one entry at a time.
#[derive(Debug)]
pub struct FileScan {
    roots: std::vec::IntoIter<PathBuf>,
    stack: Vec<ScanLevel>,
    excluded: Vec<DirectoryIdentity>,
    order: EntryOrder,
    skipped: SkippedDirectories,
}

impl FileScan {
    /// A scan of these paths, one after the other. A path may itself be hidden, or a link.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let roots: Vec<_> = paths.into_iter().collect();
        Self {
            roots: roots.into_iter(),
            stack: Vec::new(),
            excluded: Vec::new(),
            order: EntryOrder::Sorted {
                most: SORTED_ENTRIES,
            },
            skipped: SkippedDirectories::default(),
        }
    }

    /// The same without this directory and what is below it.
    ///
    /// # Errors
    /// If the directory cannot be found.
    pub fn without(mut self, directory: &Path) -> io::Result<Self> {
        self.excluded.push(DirectoryIdentity::of(directory)?);
        Ok(self)
    }

    /// The same in no stable order, holding no names at all: for counting.
    #[must_use]
    pub fn as_read(mut self) -> Self {
        self.order = EntryOrder::AsRead;
        self
    }

    /// What was passed over so far.
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

    fn follow(&mut self, dicomdir: PathBuf) -> Entry {
        match Dicomdir::open(&dicomdir) {
            Ok(records) => {
                self.stack.push(ScanLevel::Medium(records));
                // The file was looked at too.
                Entry::ignored(dicomdir, "a DICOMDIR: what it references is imported")
            }
            Err(error) => error.into_entry(dicomdir),
        }
    }

    /// True if `path` is an excluded directory or lies in one.
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

    /// A file that a DICOMDIR names, unless it lies in an excluded directory.
    fn unless_excluded(&self, entry: Entry) -> Entry {
        if matches!(entry.kind, EntryKind::File) && self.inside_excluded(&entry.path) {
            return Entry::ignored(entry.path, "in a directory that is not looked into");
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
                classify(path, kind)
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
                Some(ScanLevel::Medium(records)) => {
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

/// A place on the way down.
#[derive(Debug)]
enum ScanLevel {
    Directory(OpenDirectory),
    Medium(Dicomdir),
}

#[derive(Debug)]
struct OpenDirectory {
    path: PathBuf,
    sorted: std::vec::IntoIter<DirectoryEntry>,
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
        let most = match order {
            EntryOrder::Sorted { most } => most,
            EntryOrder::AsRead => 0,
        };
        let mut sorted = Vec::new();
        let mut ended = false;
        while sorted.len() < most {
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
            // A directory read to its end is closed here, so that a deep tree holds few descriptors.
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
                // Some file systems repeat an error for ever.
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
            "a DICOMDIR: the files beside it are looked at themselves",
        );
    }
    if is_archive(&path) {
        return Entry::ignored(path, "an archive: unpack it and import what it holds");
    }
    Entry::file(path)
}

/// True for a name that begins like the one PS3.10 section 8.6 gives a file-set's directory, in
/// either case: some systems show the names of a medium in lower case, some copies have an ending.
fn is_dicomdir_name(name: &OsStr) -> bool {
    let begin = name.as_encoded_bytes().get(..8);
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(b"DICOMDIR"))
}

/// The name itself is enough; with an ending, the file must say so too.
fn is_dicomdir(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.len() == 8) || Dicomdir::recognises(path)
}

/// Endings of archives, and where which bytes then stand in the file.
const ARCHIVES: &[(&str, usize, &[u8])] = &[
    ("zip", 0, b"PK"),
    ("tar", 257, b"ustar"),
    ("gz", 0, &[0x1F, 0x8B]),
    ("tgz", 0, &[0x1F, 0x8B]),
    ("bz2", 0, b"BZh"),
    ("xz", 0, &[0xFD, b'7', b'z', b'X', b'Z', 0]),
    ("zst", 0, &[0x28, 0xB5, 0x2F, 0xFD]),
    ("7z", 0, b"7z\xBC\xAF\x27\x1C"),
    ("rar", 0, b"Rar!"),
];

/// True if both the ending and the bytes say archive. Only files with such an ending are opened.
fn is_archive(path: &Path) -> bool {
    let Some(ending) = path.extension() else {
        return false;
    };
    let Some((_, at, magic)) = ARCHIVES
        .iter()
        .find(|(name, ..)| ending.eq_ignore_ascii_case(name))
    else {
        return false;
    };
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.is_ok() && head.get(*at..).is_some_and(|rest| rest.starts_with(magic))
}

#[cfg(test)]
mod tests {
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
    fn a_tree_comes_sorted_depth_first() {
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
    fn beyond_the_sorted_part_all_entries_still_come() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..50 {
            touch(dir.path().join(format!("{n:02}")), b"x");
        }
        let mut scan = FileScan::new([dir.path().to_path_buf()]);
        scan.order = EntryOrder::Sorted { most: 10 };
        let all = names(scan, dir.path());
        assert!(all.get(..10).unwrap().is_sorted());
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), unique.len()), (50, 50));
        let counted = FileScan::new([dir.path().to_path_buf()]).as_read().count();
        assert_eq!(counted, 50);
    }

    #[test]
    fn archives_are_told_by_ending_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("a.zip"), b"PK\x03\x04....");
        touch(dir.path().join("b.zip"), b"DICM");
        touch(dir.path().join("c.TAR.GZ"), &[0x1F, 0x8B, 8, 0]);
        let scan = FileScan::new([dir.path().to_path_buf()]);
        assert_eq!(names(scan, dir.path()), ["-a.zip", "b.zip", "-c.TAR.GZ"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_fifos_and_excluded_directories() {
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
