//! Checks for every [`Disk`].

use std::io::{self, Read, Write};
use std::path::Path;

use crate::keep::disk::{Access, DirCreation, Disk, Existing, FileKind};

use super::{Breach, OrBreach, ensure};

/// Checks the promises of [`Disk`] in `dir`, an empty directory of the disk.
///
/// # Errors
/// [`Breach`] says which promise is broken.
pub fn check_disk(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    directories(disk, dir)?;
    files(disk, dir)?;
    renames(disk, dir)?;
    leftovers(disk, dir)?;
    unnamed(disk, dir)
}

fn kind_of<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

fn write(disk: &dyn Disk, path: &Path, text: &[u8]) -> Result<(), Breach> {
    let mut file = disk
        .create(path, Access::Private)
        .or_breach("create fails")?;
    file.write_all(text).or_breach("write fails")?;
    file.sync().or_breach("sync fails")
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Breach> {
    let mut text = Vec::new();
    let mut file = disk.open(path).or_breach("open fails")?;
    file.read_to_end(&mut text).or_breach("read fails")?;
    Ok(text)
}

fn directories(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let one = dir.join("one");
    let made = disk
        .create_dir(&one, Access::Private)
        .or_breach("create_dir fails")?;
    ensure(
        made == DirCreation::Created,
        "create_dir reports a new directory as existing",
    )?;
    let made = disk
        .create_dir(&one, Access::Private)
        .or_breach("create_dir fails for an existing directory")?;
    ensure(
        made == DirCreation::AlreadyThere,
        "create_dir reports an existing directory as new",
    )?;
    let kind = disk.kind(&one).or_breach("kind fails")?;
    ensure(
        kind == Some(FileKind::Directory),
        "kind does not report a directory",
    )?;
    let deep = disk.create_dir(&dir.join("no/deep"), Access::Shared);
    ensure(
        kind_of(deep) == Some(io::ErrorKind::NotFound),
        "create_dir makes a missing parent",
    )?;
    ensure(
        disk.same_file_system(dir, &one)
            .or_breach("same_file_system fails")?,
        "same_file_system separates a directory from its parent",
    )?;
    disk.sync_dir(dir).or_breach("sync_dir fails")
}

fn files(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let path = dir.join("one/a");
    write(disk, &path, b"text")?;
    ensure(read(disk, &path)? == b"text", "a file has other bytes")?;
    let kind = disk.kind(&path).or_breach("kind fails")?;
    ensure(
        kind == Some(FileKind::File(4)),
        "kind reports another length than was written",
    )?;
    let again = disk.create(&path, Access::Private).map(drop);
    ensure(
        kind_of(again) == Some(io::ErrorKind::AlreadyExists),
        "create replaces an existing file",
    )?;
    disk.share(&path).or_breach("share fails")?;
    let none = disk.kind(&dir.join("none")).or_breach("kind fails")?;
    ensure(none.is_none(), "kind reports a missing file as existing")?;
    let none = disk.open(&dir.join("none")).map(drop);
    ensure(
        kind_of(none) == Some(io::ErrorKind::NotFound),
        "open does not report a missing file as not found",
    )
}

fn renames(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let (a, b) = (dir.join("one/a"), dir.join("one/b"));
    write(disk, &b, b"other")?;
    let kept = disk.rename(&b, &a, Existing::Keep);
    ensure(
        kind_of(kept) == Some(io::ErrorKind::AlreadyExists),
        "rename replaces a file that it must keep",
    )?;
    ensure(
        read(disk, &a)? == b"text" && read(disk, &b)? == b"other",
        "a refused rename changes a file",
    )?;
    disk.rename(&b, &a, Existing::Replace)
        .or_breach("rename does not replace a file")?;
    ensure(
        read(disk, &a)? == b"other",
        "a replaced file has its old bytes",
    )?;
    ensure(
        disk.kind(&b).or_breach("kind fails")?.is_none(),
        "a renamed file keeps its old name",
    )?;
    disk.rename(&dir.join("one"), &dir.join("two"), Existing::Keep)
        .or_breach("rename of a directory fails")?;
    ensure(
        read(disk, &dir.join("two/a"))? == b"other",
        "a renamed directory lost a file",
    )?;
    let missing = disk.rename(&b, &dir.join("two/b"), Existing::Keep);
    ensure(
        kind_of(missing) == Some(io::ErrorKind::NotFound),
        "rename does not report a missing file as not found",
    )
}

fn leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let names = disk.list(&dir.join("two")).or_breach("list fails")?;
    let names = names
        .collect::<io::Result<Vec<_>>>()
        .or_breach("list gives an error instead of a name")?;
    ensure(names == ["a"], "list gives other names")?;
    let full = disk.remove_dir(&dir.join("two"));
    ensure(
        full.is_err(),
        "remove_dir removes a directory that is not empty",
    )?;
    disk.remove_file(&dir.join("two/a"))
        .or_breach("remove_file fails")?;
    let none = disk.remove_file(&dir.join("two/a"));
    ensure(
        kind_of(none) == Some(io::ErrorKind::NotFound),
        "remove_file does not report a missing file as not found",
    )?;
    disk.remove_dir(&dir.join("two"))
        .or_breach("remove_dir fails")?;
    let none = disk.list(&dir.join("two")).map(drop);
    ensure(
        kind_of(none) == Some(io::ErrorKind::NotFound),
        "list does not report a missing directory as not found",
    )
}

/// As many files without a name can be open as the disk says, and none of them is listed.
fn unnamed(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let (one, other) = (dir.join("one"), dir.join("other"));
    write(disk, &one, b"text")?;
    let mut plain = disk
        .create(&other, Access::Private)
        .or_breach("create fails")?;
    let twice = plain.give_name(&dir.join("third"));
    ensure(
        kind_of(twice) == Some(io::ErrorKind::Unsupported),
        "give_name gives a second name",
    )?;
    disk.remove_file(&other).or_breach("remove_file fails")?;
    let count = disk
        .unnamed_files(dir, 2)
        .or_breach("unnamed_files fails")?;
    ensure(count <= 2, "unnamed_files returns more than was asked for")?;
    let mut open = Vec::new();
    for _ in 0..count {
        let mut file = disk.create_unnamed(dir).or_breach("create_unnamed fails")?;
        file.write_all(b"new")
            .or_breach("write to a file without a name fails")?;
        open.push(file);
    }
    let names = disk.list(dir).or_breach("list fails")?;
    ensure(names.count() == 1, "list shows a file without a name")?;
    drop(open.pop());
    for mut file in open {
        let kept = file.give_name(&one);
        ensure(
            kind_of(kept) == Some(io::ErrorKind::AlreadyExists),
            "give_name replaces an existing file",
        )?;
        let nowhere = file.give_name(&dir.join("no/deep"));
        ensure(
            kind_of(nowhere) == Some(io::ErrorKind::NotFound),
            "give_name does not report a missing directory as not found",
        )?;
        file.write_all(b"er")
            .or_breach("write fails after a name was refused")?;
        file.give_name(&other).or_breach("give_name fails")?;
        ensure(read(disk, &other)? == b"newer", "a file has other bytes")?;
        disk.remove_file(&other).or_breach("remove_file fails")?;
    }
    ensure(read(disk, &one)? == b"text", "another file has other bytes")?;
    disk.remove_file(&one).or_breach("remove_file fails")
}
