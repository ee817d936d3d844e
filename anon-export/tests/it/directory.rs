//! `DirectorySink` and `DirectorySource`.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anon_export::{
    DirectorySink, DirectorySource, Error, ObjectKey, Put, Remedy, Sink, conformance,
};

fn key(n: u32) -> ObjectKey {
    ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")]).expect("a key")
}

fn files(below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(
                path.file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    found.sort();
    found
}

#[test]
fn directory_source_passes_the_conformance_suite() {
    let directories = Mutex::new(Vec::new());
    conformance::check_source(|objects| {
        let directory = tempfile::tempdir().expect("a directory");
        for (key, bytes) in objects {
            let path = directory.path().join(key.to_string());
            fs::create_dir_all(path.parent().expect("a series")).expect("its directory");
            let mut file = fs::File::create(path).expect("a file");
            std::io::Write::write_all(&mut file, bytes).expect("its bytes");
        }
        let source = DirectorySource::new(directory.path());
        directories.lock().expect("the list").push(directory);
        source
    });
}

#[test]
fn directory_sink_passes_the_conformance_suite() {
    let directories = Mutex::new(Vec::new());
    conformance::check(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let sink = DirectorySink::open(directory.path().join("to")).expect("a sink");
        directories.lock().expect("the list").push(directory);
        sink
    });
    // No temporary file is left.
    for directory in directories.lock().expect("the list").iter() {
        let work = directory.path().join("to/.anon-export");
        assert_eq!(files(&work), ["lock"]);
    }
}

#[test]
fn files_have_the_layout_of_public() {
    let directory = tempfile::tempdir().expect("a directory");
    let sink = DirectorySink::open(directory.path()).expect("a sink");
    sink.put(&key(1), 6, &mut b"object".as_slice())
        .expect("put");
    let path = directory.path().join("S-1/1.1/1.2/1.3.1.dcm");
    assert_eq!(fs::read(path).expect("the file"), b"object");
}

#[test]
fn directory_can_be_opened_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = DirectorySink::open(directory.path()).expect("a sink");
    let error = DirectorySink::open(directory.path()).expect_err("another sink has it open");
    assert!(matches!(error, Error::Busy), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Stop);
    drop(first);
    DirectorySink::open(directory.path()).expect("the first sink was dropped");
}

#[test]
fn temporary_files_of_a_killed_export_are_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(DirectorySink::open(directory.path()).expect("a sink"));
    let work = directory.path().join(".anon-export");
    fs::copy("Cargo.toml", work.join("0")).expect("a half-written object");
    let sink = DirectorySink::open(directory.path()).expect("a sink");
    assert_eq!(files(&work), ["lock"]);
    let put = sink.put(&key(1), 6, &mut b"object".as_slice());
    assert_eq!(put.expect("put").put, Put::Created);
}

#[test]
fn listing_ignores_names_that_are_not_keys() {
    let directory = tempfile::tempdir().expect("a directory");
    let sink = DirectorySink::open(directory.path()).expect("a sink");
    sink.put(&key(1), 6, &mut b"object".as_slice())
        .expect("put");
    let series = directory.path().join("S-1/1.1/1.2");
    for stray in ["notes.txt", ".hidden.dcm", "a\u{e9}.dcm", ".dcm"] {
        fs::copy("Cargo.toml", series.join(stray)).expect("a stray file");
    }
    fs::create_dir(series.join("1.3.9.dcm")).expect("a stray directory");
    fs::copy("Cargo.toml", directory.path().join("S-1/1.1/1.2.dcm")).expect("a stray file");
    let mut seen = Vec::new();
    sink.list(key(1).patient(), &mut |listed| {
        seen.push((listed.key.to_string(), listed.len));
        std::ops::ControlFlow::Continue(())
    })
    .expect("a listing");
    assert_eq!(seen, [("S-1/1.1/1.2/1.3.1.dcm".to_owned(), Some(6))]);
}

#[test]
fn occupied_path_skips_the_object() {
    let directory = tempfile::tempdir().expect("a directory");
    let sink = DirectorySink::open(directory.path()).expect("a sink");
    fs::create_dir_all(directory.path().join("S-1/1.1/1.2/1.3.1.dcm")).expect("a directory");
    fs::create_dir_all(directory.path().join("S-2")).expect("a directory");
    fs::copy("Cargo.toml", directory.path().join("S-2/1.1")).expect("a file");
    let below_a_file = ObjectKey::new(["S-2", "1.1", "1.2", "1.3"]).expect("a key");
    for occupied in [key(1), below_a_file] {
        let error = sink
            .put(&occupied, 6, &mut b"object".as_slice())
            .expect_err("the path is occupied");
        assert_eq!(error.remedy(), Remedy::Skip, "{error:?}");
    }
    assert_eq!(
        sink.put(&key(2), 6, &mut b"object".as_slice())
            .expect("put")
            .put,
        Put::Created
    );
    assert_eq!(files(&directory.path().join(".anon-export")), ["lock"]);
}

/// A named pipe or a symbolic link is replaced, not opened: opening a pipe would block, and the
/// target of a link is outside of the destination.
#[cfg(unix)]
#[test]
fn pipes_and_links_are_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let sink = DirectorySink::open(directory.path().join("to")).expect("a sink");
    let series = directory.path().join("to/S-1/1.1/1.2");
    fs::create_dir_all(&series).expect("a directory");
    let pipe = std::process::Command::new("mkfifo")
        .arg(series.join("1.3.1.dcm"))
        .status();
    assert!(pipe.expect("mkfifo").success());
    let outside = directory.path().join("outside");
    fs::copy("Cargo.toml", &outside).expect("a file");
    std::os::unix::fs::symlink(&outside, series.join("1.3.2.dcm")).expect("a link");
    let object = fs::read("Cargo.toml").expect("a file");
    for n in [1, 2] {
        let put = sink.put(&key(n), object.len() as u64, &mut &*object);
        assert_eq!(put.expect("put").put, Put::Created);
        let path = series.join(format!("1.3.{n}.dcm"));
        assert!(fs::symlink_metadata(&path).expect("there").is_file());
        assert_eq!(fs::read(path).expect("a file"), object);
    }
    assert_eq!(
        fs::read(outside).expect("a file"),
        object,
        "the link's target is unchanged"
    );
}

/// The error concerns every object.
#[cfg(target_os = "linux")]
#[test]
fn directory_that_cannot_be_created_stops_the_export() {
    let error = DirectorySink::open("/proc/anon-export").expect_err("it cannot be created");
    assert_eq!(error.remedy(), Remedy::Stop, "{error:?}");
}
