//! Both implementations of [`Dir`](super::Dir) do the same.

use std::io::{ErrorKind, Read as _, Write as _};

use super::*;

/// The tests of one implementation.
macro_rules! tests {
    ($name:ident) => {
        mod $name {
            use super::super::$name::Dir;
            use super::*;

            fn made() -> (tempfile::TempDir, Dir) {
                let temp = tempfile::tempdir().unwrap();
                let path = temp.path().canonicalize().unwrap();
                let dir = Dir::open_canonical(&path).unwrap();
                (temp, dir)
            }

            #[test]
            fn a_file_is_created_listed_moved_and_removed() {
                let (_temp, dir) = made();
                let inner = dir.make_child("inner", Access::Private).unwrap();
                dir.make_child("inner", Access::Umask).unwrap();
                inner
                    .create_new("new")
                    .unwrap()
                    .write_all(b"bytes")
                    .unwrap();
                let exists = inner.create_new("new").unwrap_err();
                assert_eq!(exists.kind(), ErrorKind::AlreadyExists);
                inner.rename("new", &dir, "file").unwrap();
                let mut file = dir.open_to_sync("file").unwrap().unwrap();
                file.sync_all().unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "bytes");
                let state = dir.state("file").unwrap().unwrap();
                assert_eq!(FileState::of(&file.metadata().unwrap()), state);
                assert_eq!(state.len, 5);
                let mut kinds: Vec<_> = dir
                    .entries()
                    .unwrap()
                    .map(Result::unwrap)
                    .map(|entry| (entry.name.into_string().unwrap(), entry.kind))
                    .collect();
                kinds.sort_by(|a, b| a.0.cmp(&b.0));
                let expected = [("file", Kind::File), ("inner", Kind::Directory)];
                assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
                dir.remove_file("file").unwrap();
                dir.sync().unwrap();
                dir.check().unwrap();
                assert!(dir.claim().unwrap());
                assert!(!dir.is_open_to_all().unwrap());
                assert_eq!(inner.entries().unwrap().count(), 0);
            }

            #[test]
            fn a_missing_name_is_said() {
                let (_temp, dir) = made();
                assert!(dir.state("missing").unwrap().is_none());
                assert!(dir.open_file("missing").unwrap().is_none());
                for error in [
                    dir.child("missing").unwrap_err(),
                    dir.remove_file("missing").unwrap_err(),
                ] {
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                }
            }

            #[test]
            fn a_file_is_opened_for_appending_or_created() {
                let (_temp, dir) = made();
                for text in ["one ", "two"] {
                    dir.open_or_create("file")
                        .unwrap()
                        .write_all(text.as_bytes())
                        .unwrap();
                }
                let mut file = dir.open_file("file").unwrap().unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "one two");
            }

            #[test]
            #[cfg(unix)]
            fn links_and_pipes_are_neither_followed_nor_opened() {
                use std::os::unix::fs::symlink;

                let (temp, dir) = made();
                dir.make_child("inner", Access::Umask).unwrap();
                dir.create_new("file").unwrap();
                symlink("inner", temp.path().join("to directory")).unwrap();
                symlink("file", temp.path().join("to file")).unwrap();
                symlink("nowhere", temp.path().join("to nothing")).unwrap();
                let pipe = std::process::Command::new("mkfifo")
                    .arg(temp.path().join("pipe"))
                    .status();
                assert!(pipe.unwrap().success());
                for name in ["to directory", "to file", "to nothing", "pipe"] {
                    assert!(dir.state(name).unwrap().is_none(), "{name}");
                    assert!(dir.open_file(name).unwrap().is_none(), "{name}");
                    dir.open_or_create(name).unwrap_err();
                    dir.create_new(name).unwrap_err();
                    for error in [
                        dir.child(name).unwrap_err(),
                        dir.make_child(name, Access::Umask).unwrap_err(),
                    ] {
                        assert_eq!(error.kind(), ErrorKind::NotADirectory, "{name}");
                    }
                }
                dir.rename("file", &dir, "to directory").unwrap();
                assert!(dir.open_file("to directory").unwrap().is_some());
                assert!(!temp.path().join("nowhere").exists());
            }
        }
    };
}

tests!(portable);
#[cfg(unix)]
tests!(unix);

#[test]
fn only_some_systems_number_files() {
    let metadata = tempfile::tempfile().unwrap().metadata().unwrap();
    assert_eq!(super::portable::file_number(&metadata), None);
    assert_eq!(system::file_number(&metadata).is_some(), cfg!(unix));
}

/// A link in the path of a directory is followed when its user names it, and not when it takes the
/// place of a directory that was resolved.
#[test]
#[cfg(target_os = "linux")]
fn a_link_in_a_canonical_path_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().canonicalize().unwrap();
    std::fs::create_dir_all(path.join("there/inner")).unwrap();
    std::os::unix::fs::symlink("there", path.join("link")).unwrap();
    let link = path.join("link/inner");
    Dir::open(&link).unwrap();
    let error = Dir::open_canonical(&link).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
}
