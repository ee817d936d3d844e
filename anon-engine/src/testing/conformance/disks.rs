//! What every [`Disk`] must hold.

use std::io::{self, Read, Write};
use std::path::Path;

use crate::keep::disk::{Access, DirCreation, Disk, Existing, FileKind};

use super::{Breach, OrBreach, ensure};

/// Checks what [`Disk`] promises, in an empty directory of it.
///
/// # Errors
/// [`Breach`] says what does not hold.
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
        .or_breach("a file is not made")?;
    file.write_all(text).or_breach("a file is not written")?;
    file.sync().or_breach("a file is not synced")
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Breach> {
    let mut text = Vec::new();
    let mut file = disk.open(path).or_breach("a file is not opened")?;
    file.read_to_end(&mut text)
        .or_breach("a file is not read")?;
    Ok(text)
}

fn directories(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let one = dir.join("one");
    let made = disk
        .create_dir(&one, Access::Private)
        .or_breach("a directory is not made")?;
    ensure(made == DirCreation::Created, "a new directory was there")?;
    let made = disk
        .create_dir(&one, Access::Private)
        .or_breach("a directory fails twice")?;
    ensure(
        made == DirCreation::AlreadyThere,
        "a directory is made twice",
    )?;
    let kind = disk.kind(&one).or_breach("kind fails")?;
    ensure(kind == Some(FileKind::Directory), "a directory is none")?;
    let deep = disk.create_dir(&dir.join("no/deep"), Access::Shared);
    ensure(
        kind_of(deep) == Some(io::ErrorKind::NotFound),
        "a parent is made silently",
    )?;
    ensure(
        disk.same_file_system(dir, &one)
            .or_breach("same_file_system fails")?,
        "one is two",
    )?;
    disk.sync_dir(dir).or_breach("a directory is not synced")
}

fn files(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let path = dir.join("one/a");
    write(disk, &path, b"text")?;
    ensure(read(disk, &path)? == b"text", "a file has other bytes")?;
    let kind = disk.kind(&path).or_breach("kind fails")?;
    ensure(kind == Some(FileKind::File(4)), "a file has another length")?;
    let again = disk.create(&path, Access::Private).map(drop);
    ensure(
        kind_of(again) == Some(io::ErrorKind::AlreadyExists),
        "a file is made twice",
    )?;
    disk.share(&path).or_breach("a file is not shared")?;
    let none = disk.kind(&dir.join("none")).or_breach("kind fails")?;
    ensure(none.is_none(), "nothing is something")?;
    let none = disk.open(&dir.join("none")).map(drop);
    ensure(
        kind_of(none) == Some(io::ErrorKind::NotFound),
        "nothing is opened",
    )
}

fn renames(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let (a, b) = (dir.join("one/a"), dir.join("one/b"));
    write(disk, &b, b"other")?;
    let kept = disk.rename(&b, &a, Existing::Keep);
    ensure(
        kind_of(kept) == Some(io::ErrorKind::AlreadyExists),
        "a file is replaced",
    )?;
    ensure(
        read(disk, &a)? == b"text" && read(disk, &b)? == b"other",
        "a refused rename moves",
    )?;
    disk.rename(&b, &a, Existing::Replace)
        .or_breach("a file is not replaced")?;
    ensure(read(disk, &a)? == b"other", "a replaced file has old bytes")?;
    ensure(
        disk.kind(&b).or_breach("kind fails")?.is_none(),
        "a renamed file stays",
    )?;
    disk.rename(&dir.join("one"), &dir.join("two"), Existing::Keep)
        .or_breach("a directory is not renamed")?;
    ensure(
        read(disk, &dir.join("two/a"))? == b"other",
        "a renamed directory lost a file",
    )?;
    let missing = disk.rename(&b, &dir.join("two/b"), Existing::Keep);
    ensure(
        kind_of(missing) == Some(io::ErrorKind::NotFound),
        "nothing is renamed",
    )
}

fn leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let names = disk
        .list(&dir.join("two"))
        .or_breach("a directory is not listed")?;
    let names = names
        .collect::<io::Result<Vec<_>>>()
        .or_breach("a name is not read")?;
    ensure(names == ["a"], "a directory has other names")?;
    let full = disk.remove_dir(&dir.join("two"));
    ensure(full.is_err(), "a directory with a file is removed")?;
    disk.remove_file(&dir.join("two/a"))
        .or_breach("a file is not removed")?;
    let none = disk.remove_file(&dir.join("two/a"));
    ensure(
        kind_of(none) == Some(io::ErrorKind::NotFound),
        "a file is removed twice",
    )?;
    disk.remove_dir(&dir.join("two"))
        .or_breach("a directory is not removed")?;
    let none = disk.list(&dir.join("two")).map(drop);
    ensure(
        kind_of(none) == Some(io::ErrorKind::NotFound),
        "a removed directory is listed",
    )
}

/// As many as it says, and none that it does not speak of.
fn unnamed(disk: &dyn Disk, dir: &Path) -> Result<(), Breach> {
    let (one, other) = (dir.join("one"), dir.join("other"));
    write(disk, &one, b"text")?;
    let mut plain = disk
        .create(&other, Access::Private)
        .or_breach("a file is not made")?;
    let twice = plain.give_name(&dir.join("third"));
    ensure(
        kind_of(twice) == Some(io::ErrorKind::Unsupported),
        "a file has two names",
    )?;
    disk.remove_file(&other).or_breach("a file stays")?;
    let count = disk
        .unnamed_files(dir, 2)
        .or_breach("unnamed_files fails")?;
    ensure(count <= 2, "there may be more than were asked for")?;
    let mut held = Vec::new();
    for _ in 0..count {
        let mut file = disk
            .create_unnamed(dir)
            .or_breach("a file without a name is not made")?;
        file.write_all(b"new")
            .or_breach("a file without a name is not written")?;
        held.push(file);
    }
    let names = disk.list(dir).or_breach("a directory is not listed")?;
    ensure(names.count() == 1, "a file without a name has one")?;
    drop(held.pop());
    for mut file in held {
        let kept = file.give_name(&one);
        ensure(
            kind_of(kept) == Some(io::ErrorKind::AlreadyExists),
            "a file is replaced by one without a name",
        )?;
        let nowhere = file.give_name(&dir.join("no/deep"));
        ensure(
            kind_of(nowhere) == Some(io::ErrorKind::NotFound),
            "a file gets a name in no directory",
        )?;
        file.write_all(b"er")
            .or_breach("a file cannot be written after its name was refused")?;
        file.give_name(&other)
            .or_breach("a file does not get a name")?;
        ensure(read(disk, &other)? == b"newer", "a file has other bytes")?;
        disk.remove_file(&other).or_breach("a file stays")?;
    }
    ensure(read(disk, &one)? == b"text", "another file has other bytes")?;
    disk.remove_file(&one).or_breach("a file stays")
}
