//! Objects that disappear or change during an export are neither stored nor reported as sent.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anon_export::{
    Cancel, DirectorySink, DirectorySource, Exporter, MemorySink, Quiet, Selection, Sink,
};

use crate::support::{
    EventLog, HookedSink, bytes, files, key, keys, listed, without_backoff, write,
};

/// Exports three files while `damage` changes the second one. Expects that it fails with `words`.
#[track_caller]
fn check_change(damage: fn(&Path), words: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().to_owned();
    let all = keys(1, 3);
    files(&root, &all);
    let victim = key(0, 1, 1);
    let path: PathBuf = root.join(victim.to_string());
    let hooked = {
        let victim = victim.clone();
        HookedSink::new(MemorySink::new(), move |key| {
            if *key == victim {
                damage(&path);
            }
        })
    };
    let sink = Arc::new(hooked);
    let log = EventLog::default();
    let report = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .with_options(without_backoff())
        .export(
            &DirectorySource::new(&root),
            &Selection::all(),
            &Cancel::new(),
            &log,
        )
        .expect("the other objects are exported");
    assert_eq!(
        (report.counts.sent, report.counts.failed),
        (2, 1),
        "{words}"
    );
    let stored = listed(&sink.sink, 1);
    assert_eq!(stored.len(), 2, "{words}: the changed object is not stored");
    assert!(!stored.contains(&victim), "{words}");
    let line = format!("failed {victim} the object {words}");
    assert_eq!(log.count(&line), 1, "{:?}", log.lines());
}

/// The same with a DICOM node that has received half of the object by then.
#[cfg(feature = "dicom")]
#[test]
fn object_that_changes_during_transfer_is_not_stored_at_node() {
    use crate::archive::{Archive, CT, QueryBehavior, image};

    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().to_owned();
    for key in keys(1, 3) {
        write(&root, &key, &image(&key, CT, 400_000));
    }
    let victim = key(0, 1, 1);
    let path: PathBuf = root.join(victim.to_string());
    let archive = Archive::new(QueryBehavior::Plain);
    let hooked = {
        let victim = victim.clone();
        HookedSink::new(archive.sink(2), move |key| {
            if *key == victim {
                let len = fs::metadata(&path).expect("a file").len();
                let mut other = image(key, CT, 400_000);
                if let Some(last) = other.last_mut() {
                    *last ^= 1;
                }
                assert_eq!(other.len() as u64, len);
                rewrite(&path, &other);
            }
        })
    };
    let log = EventLog::default();
    let report = Exporter::new(Arc::new(hooked))
        .with_options(without_backoff())
        .export(
            &DirectorySource::new(&root),
            &Selection::all(),
            &Cancel::new(),
            &log,
        )
        .expect("the other objects are exported");
    assert_eq!((report.counts.sent, report.counts.failed), (2, 1));
    let line = format!("failed {victim} the object changed during the export");
    assert_eq!(log.count(&line), 1, "{:?}", log.lines());
    assert_eq!(archive.len(), 2);
    assert!(archive.get(&victim).is_none(), "it was aborted");
}

fn rewrite(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).expect("a file");
    file.write_all(bytes).expect("written");
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    file.set_modified(later).expect("a time");
}

#[test]
fn object_that_grows_shrinks_or_is_rewritten_is_not_sent() {
    let grows = |path: &Path| {
        let mut file = File::options().append(true).open(path).expect("a file");
        file.write_all(b"more").expect("written");
    };
    check_change(grows, "changed during the export");
    check_change(|path| rewrite(path, b"short"), "changed during the export");
    let same_length = |path: &Path| {
        let len = fs::metadata(path).expect("a file").len();
        rewrite(path, &vec![7; usize::try_from(len).expect("small")]);
    };
    check_change(same_length, "changed during the export");
}

#[test]
fn removed_object_is_not_sent() {
    check_change(
        |path| fs::remove_file(path).expect("removed"),
        "was removed after it was listed",
    );
    #[cfg(unix)]
    check_change(
        |path| {
            let aside = path.with_extension("aside");
            fs::rename(path, &aside).expect("moved");
            std::os::unix::fs::symlink(&aside, path).expect("a link");
        },
        "was removed after it was listed",
    );
}

#[test]
fn links_and_stray_files_are_not_exported() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, outside) = (
        directory.path().join("public"),
        directory.path().join("outside"),
    );
    files(&root, &keys(1, 2));
    write(&outside, &key(7, 0, 0), b"not ours");
    fs::create_dir_all(root.join(".hidden/1.1/1.2")).expect("a directory");
    write(&root, &key(0, 0, 0), &bytes(&key(0, 0, 0)));
    fs::copy(root.join(key(0, 0, 0).to_string()), root.join("stray.dcm")).expect("a stray");
    #[cfg(unix)]
    std::os::unix::fs::symlink(outside.join("S-7"), root.join("S-7")).expect("a link");
    let sink = Arc::new(MemorySink::new());
    let report = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .export(
            &DirectorySource::new(&root),
            &Selection::all(),
            &Cancel::new(),
            &Quiet,
        )
        .expect("an export");
    assert_eq!((report.counts.found, sink.len()), (2, 2));
}

#[test]
fn missing_source_directory_is_an_error() {
    let exporter = Exporter::new(Arc::new(MemorySink::new()));
    let source = DirectorySource::new("/nowhere/at/all");
    let ended = exporter
        .export(&source, &Selection::all(), &Cancel::new(), &Quiet)
        .expect_err("nothing can be listed");
    assert!(matches!(*ended.error, anon_export::Error::Source { .. }));
}

/// A full disk leaves no partial object, and the next export continues.
#[cfg(target_os = "linux")]
#[test]
fn full_disk_stops_the_export_and_leaves_no_partial_object() {
    use std::process::Command;

    let directory = tempfile::tempdir().expect("a directory");
    let (root, to) = (directory.path().join("public"), directory.path().join("to"));
    let all = keys(2, 8);
    for key in &all {
        write(&root, key, &vec![9; 200_000]);
    }
    fs::create_dir(&to).expect("a directory");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&to)
        .output()
        .is_ok_and(|ran| ran.status.success());
    if !mounted {
        writeln!(
            std::io::stderr(),
            "skipped: no permission to mount a file system"
        )
        .expect("written to stderr");
        return;
    }
    let export = || {
        let sink = Arc::new(DirectorySink::open(&to).expect("a sink"));
        let ended = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
            .with_options(without_backoff())
            .export(
                &DirectorySource::new(&root),
                &Selection::all(),
                &Cancel::new(),
                &Quiet,
            );
        (ended, listed(&*sink, 2))
    };
    let (ended, stored) = export();
    let remounted = Command::new("mount")
        .args(["-o", "remount,size=10m"])
        .arg(&to)
        .status();
    let (again, stored_again) = export();
    let sizes: Vec<u64> = stored
        .iter()
        .map(|key| {
            fs::metadata(to.join(key.to_string()))
                .expect("a file")
                .len()
        })
        .collect();
    let left = fs::read_dir(to.join(".anon-export"))
        .expect("a directory")
        .count();
    Command::new("umount").arg(&to).status().expect("unmounted");
    assert!(remounted.is_ok_and(|status| status.success()));
    let ended = ended.expect_err("the disk is full");
    assert!(
        ended.error.text().contains("No space left"),
        "{}",
        ended.error.text()
    );
    assert!((1..16).contains(&stored.len()), "{}", stored.len());
    assert_eq!(stored.len() as u64, ended.report.counts.sent);
    assert!(sizes.iter().all(|size| *size == 200_000), "{sizes:?}");
    assert_eq!(left, 1, "the lock alone");
    assert!(again.expect("there is space now").is_complete());
    assert_eq!(stored_again, all);
}
