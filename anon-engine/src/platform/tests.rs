//! The system's form and the portable form of each call have the same effect.

use super::*;

type ReadAt = fn(&File, &mut [u8], u64) -> io::Result<usize>;

#[test]
fn both_reads_read_the_same() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    for (name, read) in [
        ("system", system::read_at as ReadAt),
        ("generic", generic::read_at),
    ] {
        let mut into = [0; 4];
        assert_eq!(read(&file, &mut into, 3).unwrap(), 4, "{name}");
        assert_eq!(&into, b"3456", "{name}");
        assert_eq!(read(&file, &mut into, 8).unwrap(), 2, "{name}");
        assert_eq!(read(&file, &mut into, 10).unwrap(), 0, "{name}");
        fill(read, &file, &mut into, 6).unwrap();
        assert_eq!(&into, b"6789", "{name}");
        let error = fill(read, &file, &mut into, 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{name}");
    }
    // A call that is interrupted, and one that gives a byte at a time.
    let slow: ReadAt = |file, buffer, offset| match (buffer.len(), offset) {
        (3, 4) => {
            system::read_at(file, &mut buffer[..1], offset)?;
            Ok(1)
        }
        (len, _) => system::read_at(file, &mut buffer[..len.min(1)], offset),
    };
    let mut into = [0; 4];
    fill(slow, &file, &mut into, 3).unwrap();
    assert_eq!(&into, b"3456");
}

#[test]
fn both_tell_directories_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&two).unwrap();
    let again = two.join("../one");
    assert_eq!(
        DirectoryIdentity::of(&one).unwrap(),
        DirectoryIdentity::of(&again).unwrap()
    );
    assert_ne!(
        DirectoryIdentity::of(&one).unwrap(),
        DirectoryIdentity::of(&two).unwrap()
    );
    let key = |path: &Path| generic::identity(path, &path.metadata().unwrap()).unwrap();
    assert_eq!(key(&one), key(&again));
    assert_ne!(key(&one), key(&two));
}

#[test]
fn both_need_a_directory_to_sync_and_to_ask_about() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for (name, sync) in [
        ("system", system::sync_dir as fn(&Path) -> io::Result<()>),
        ("generic", generic::sync_dir),
    ] {
        sync(dir.path()).unwrap();
        let error = sync(&missing).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}");
    }
    for (name, device) in [
        ("system", system::device as fn(&Path) -> io::Result<u64>),
        ("generic", generic::device),
    ] {
        let file = dir.path().join(name);
        File::create(&file).unwrap();
        assert_eq!(
            device(dir.path()).unwrap(),
            device(&file).unwrap(),
            "{name}"
        );
        let error = device(&missing).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}");
    }
}

/// On a system without modes, files and directories are made, and their mode is 0.
#[test]
fn both_make_files_and_directories() {
    struct SystemCalls {
        name: &'static str,
        dir: fn(&mut DirBuilder),
        file: fn(&mut OpenOptions),
        set: fn(&Path, u32) -> io::Result<()>,
        mode: fn(&Metadata) -> u32,
        modes: [u32; 3],
    }
    let place = tempfile::tempdir().unwrap();
    for calls in [
        SystemCalls {
            name: "system",
            dir: system::private_dir,
            file: system::private_file,
            set: system::set_mode,
            mode: system::mode,
            modes: if cfg!(unix) {
                [0o700, 0o600, 0o640]
            } else {
                [0; 3]
            },
        },
        SystemCalls {
            name: "generic",
            dir: generic::private_dir,
            file: generic::private_file,
            set: generic::set_mode,
            mode: generic::mode,
            modes: [0; 3],
        },
    ] {
        let dir = place.path().join(calls.name);
        let mut builder = DirBuilder::new();
        (calls.dir)(&mut builder);
        builder.create(&dir).unwrap();
        let file = dir.join("file");
        let mut options = File::options();
        options.write(true).create_new(true);
        (calls.file)(&mut options);
        options.open(&file).unwrap();
        let mode_of = |path: &Path| (calls.mode)(&path.metadata().unwrap());
        let made = [mode_of(&dir), mode_of(&file)];
        (calls.set)(&file, 0o640).unwrap();
        let [own_dir, own_file, set] = calls.modes;
        assert_eq!(
            (made, mode_of(&file)),
            ([own_dir, own_file], set),
            "{}",
            calls.name
        );
        let error = (calls.set)(&dir.join("missing"), 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}", calls.name);
    }
}

/// Tests the portable copy and the system's, at aligned and unaligned offsets.
#[test]
fn copies_append_the_same_range() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let path = dir.path().join("source");
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    let source = File::open(&path).unwrap();
    for (head, from) in [(4, 11), (4, 4), (4_100, 4), (0, 0), (5_000, 11)] {
        let copies = [
            (
                "system",
                append_range as fn(&File, u64, u64, &mut File) -> _,
            ),
            ("portable", |source, offset, len, target| {
                let place = target.stream_position().unwrap();
                portable::append_range(source, offset, len, target, place)
            }),
        ];
        for (name, copy) in copies {
            let target = dir.path().join(format!("{name} {head} {from}"));
            let mut file = File::create_new(&target).unwrap();
            file.write_all(&vec![b'h'; head]).unwrap();
            copy(&source, from, 600_000, &mut file).unwrap();
            file.write_all(b"tail").unwrap();
            let got = std::fs::read(&target).unwrap();
            let begin = usize::try_from(from).unwrap();
            let kept = bytes.get(begin..begin + 600_000).unwrap();
            let want = [&vec![b'h'; head], kept, b"tail"].concat();
            assert!(got == want, "{name} {head} {from}: {} bytes", got.len());
            let error = copy(&source, 699_000, 2_000, &mut file).unwrap_err();
            let CopyError::Read(error) = error else {
                panic!("{name}: {error}");
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{name}");
        }
    }
}

/// Only Linux has files without a name.
#[cfg(target_os = "linux")]
#[test]
fn both_ways_give_a_name_that_is_free() {
    let dir = tempfile::tempdir().unwrap();
    for (name, give) in [
        ("by itself", unnamed::give_name as fn(&File, &Pinned) -> _),
        ("by /proc", unnamed::give_name_by_proc),
    ] {
        let Ok(mut file) = create_unnamed(dir.path()) else {
            return;
        };
        file.write_all(b"text").unwrap();
        let path = dir.path().join(name.replace('/', "-"));
        let give = |file: &File, path: &Path| give(file, &Pinned::as_is(path));
        let missing = give(&file, &path.join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound, "{name}");
        give(&file, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"text", "{name}");
        let taken = give(&create_unnamed(dir.path()).unwrap(), &path).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists, "{name}");
        assert_eq!(std::fs::read(&path).unwrap(), b"text", "{name}");
    }
}

#[test]
fn neither_rename_replaces() {
    let dir = tempfile::tempdir().unwrap();
    for (name, rename) in [
        (
            "system",
            (|from, to| rename_no_replace(&Pinned::as_is(from), &Pinned::as_is(to)))
                as fn(&Path, &Path) -> io::Result<()>,
        ),
        ("portable", portable::rename_no_replace),
    ] {
        let (from, to) = (dir.path().join(format!("{name}-1")), dir.path().join(name));
        File::create(&from).unwrap().write_all(b"one").unwrap();
        rename(&from, &to).unwrap();
        assert!(!from.exists(), "{name}");
        File::create(&from).unwrap().write_all(b"two").unwrap();
        let error = rename(&from, &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
        assert_eq!(std::fs::read(&to).unwrap(), b"one", "{name}");
        assert!(from.exists(), "{name}");
        let (from, to) = (
            dir.path().join(format!("{name}-d")),
            dir.path().join(format!("{name}-e")),
        );
        std::fs::create_dir(&from).unwrap();
        rename(&from, &to).unwrap();
        assert!(to.is_dir(), "{name}");
    }
}
