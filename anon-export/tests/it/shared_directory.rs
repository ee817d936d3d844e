//! Attacks by users who can write to the destination, to `public/` or to the journals.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use anon_export::journal::destinations;
use anon_export::{
    Cancel, DirectorySink, DirectorySource, Exporter, Journal, MemorySink, ObjectKey, Put, Quiet,
    Remedy, Selection, Sink,
};

use crate::support::{HookedSink, bytes, files, key, keys, without_backoff, write};

const SECRET: &[u8] = b"a file of somebody else";

/// A directory with `to/`, and `outside/` that no export may touch.
fn made() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let (to, outside) = (
        directory.path().join("to"),
        directory.path().join("outside"),
    );
    fs::create_dir(&to).expect("a directory");
    write_file(&outside.join("secret"), SECRET);
    (directory, to, outside)
}

fn write_file(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    let mut file = fs::File::create(path).expect("a file");
    std::io::Write::write_all(&mut file, bytes).expect("written");
}

#[track_caller]
fn assert_untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(fs::read(outside.join("secret")).expect("a file"), SECRET);
}

fn put(sink: &dyn Sink, key: &ObjectKey) -> Result<Put, anon_export::Error> {
    let body = bytes(key);
    Ok(sink.put(key, body.len() as u64, &mut &*body)?.put)
}

#[test]
fn link_at_the_directory_of_temporary_files_is_refused_and_nothing_is_deleted() {
    let (_directory, to, outside) = made();
    symlink(&outside, to.join(".anon-export")).expect("a link");
    let error = DirectorySink::open(&to).expect_err("it is a link");
    assert_eq!(error.remedy(), Remedy::Skip, "{error:?}");
    assert!(error.text().contains("remove it and export again"));
    assert_untouched(&outside);
    fs::remove_file(to.join(".anon-export")).expect("removed");
    fs::create_dir(to.join(".anon-export")).expect("a directory");
    symlink(outside.join("secret"), to.join(".anon-export/lock")).expect("a link");
    DirectorySink::open(&to).expect_err("the lock is a link");
    fs::remove_file(to.join(".anon-export/lock")).expect("removed");
    symlink(outside.join("secret"), to.join(".anon-export/0")).expect("a link");
    DirectorySink::open(&to).expect("the link is removed, not its target");
    assert_untouched(&outside);
}

#[test]
fn directory_of_temporary_files_of_another_user_is_refused() {
    if !is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let (_directory, to, _) = made();
    let temp = to.join(".anon-export");
    write_file(&temp.join("theirs"), b"theirs");
    std::os::unix::fs::chown(&temp, Some(12345), None).expect("given away");
    let error = DirectorySink::open(&to).expect_err("it is not ours");
    assert!(error.text().contains("another user"), "{}", error.text());
    assert!(temp.join("theirs").exists(), "nothing was removed in it");
    std::os::unix::fs::chown(&temp, Some(0), None).expect("taken back");
    DirectorySink::open(&to).expect("it is ours");
}

#[test]
fn only_the_user_of_the_export_can_reach_its_temporary_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_directory, to, _) = made();
    let temp = to.join(".anon-export");
    let mode = || fs::metadata(&temp).expect("there").permissions().mode() & 0o777;
    drop(DirectorySink::open(&to).expect("a sink"));
    assert_eq!(mode(), 0o700);
    // As versions before made it.
    fs::set_permissions(&temp, fs::Permissions::from_mode(0o775)).expect("a mode");
    drop(DirectorySink::open(&to).expect("a sink"));
    assert_eq!(mode(), 0o700);
}

#[test]
fn temporary_names_that_are_taken_are_passed_over() {
    let (_directory, to, outside) = made();
    let sink = DirectorySink::open(&to).expect("a sink");
    for name in ["0", "1"] {
        symlink(outside.join("secret"), to.join(".anon-export").join(name)).expect("a link");
    }
    symlink(outside.join("new"), to.join(".anon-export/2")).expect("a link");
    assert_eq!(put(&sink, &key(1, 1, 1)).expect("put"), Put::Created);
    assert_untouched(&outside);
}

#[test]
fn link_in_place_of_a_patient_study_or_series_fails_the_object() {
    let [patient, study, series, _] = key(1, 1, 1).parts().clone();
    for link in [
        patient.to_string(),
        format!("{patient}/{study}"),
        format!("{patient}/{study}/{series}"),
    ] {
        let (_directory, to, outside) = made();
        let path = to.join(&link);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        symlink(&outside, &path).expect("a link");
        let sink = DirectorySink::open(&to).expect("a sink");
        let error = put(&sink, &key(1, 1, 1)).expect_err("a link is in the way");
        assert_eq!(error.remedy(), Remedy::Skip, "{link}: {error:?}");
        assert!(error.text().contains("links are not followed"), "{link}");
        assert_eq!(put(&sink, &key(2, 1, 1)).expect("put"), Put::Created);
        assert_untouched(&outside);
    }
}

/// Swaps a file or directory with a link to `outside` until it is dropped.
#[cfg(target_os = "linux")]
struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[cfg(target_os = "linux")]
impl Swapping {
    fn start(path: PathBuf, outside: &Path) -> Self {
        use rustix::fs::{CWD, RenameFlags, renameat_with};

        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let link = path.with_extension("link");
        symlink(outside, &link).expect("a link");
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                renameat_with(CWD, &path, CWD, &link, RenameFlags::EXCHANGE).expect("swapped");
            }
        });
        let thread = Some(thread);
        Self { stop, thread }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn links_planted_while_an_export_runs_receive_nothing() {
    let (_directory, to, outside) = made();
    let [patient, study, series, _] = key(1, 1, 1).parts().clone();
    let path = to.join(format!("{patient}/{study}/{series}"));
    fs::create_dir_all(&path).expect("a directory");
    let sink = DirectorySink::open(&to).expect("a sink");
    let swapping = Swapping::start(path, &outside);
    for n in 0..400 {
        // Fails while the link is there.
        let _ = put(&sink, &key(1, 1, n));
    }
    drop(swapping);
    assert_untouched(&outside);
}

/// Exports with one sender; `damage` runs when the first object is put.
fn export_while(
    root: &Path,
    damage: impl Fn() + Send + Sync + 'static,
) -> Arc<HookedSink<MemorySink>> {
    let first = AtomicBool::new(true);
    let sink = Arc::new(HookedSink::new(MemorySink::new(), move |_| {
        if first.swap(false, Ordering::Relaxed) {
            damage();
        }
    }));
    let one = std::num::NonZeroUsize::MIN;
    let options = without_backoff().with_objects(one).with_patients(one);
    let source = DirectorySource::new(root);
    Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .with_options(options)
        .export(&source, &Selection::all(), &Cancel::new(), &Quiet)
        .expect("objects that changed are left out");
    sink
}

/// Copies files with other bytes of the same length and with the same times.
fn forge(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let metadata = path.metadata().expect("a file");
        let copy = to.join(path.file_name().expect("a name"));
        write_file(
            &copy,
            &vec![b'X'; metadata.len().try_into().expect("small")],
        );
        let modified: SystemTime = metadata.modified().expect("a time");
        let file = fs::File::options().write(true).open(copy).expect("a file");
        file.set_modified(modified).expect("a time");
    }
}

#[test]
fn another_directory_in_place_of_a_series_of_public_is_not_sent() {
    for is_link in [true, false] {
        let (directory, _, _) = made();
        let root = directory.path().join("public");
        let all = (0..5).map(|n| key(1, 1, n)).collect();
        files(&root, &all);
        let [patient, study, series, _] = key(1, 1, 1).parts().clone();
        let path = root.join(format!("{patient}/{study}/{series}"));
        let forged = directory.path().join("forged");
        forge(&path, &forged);
        let aside = directory.path().join("aside");
        let sink = export_while(&root, move || {
            fs::rename(&path, &aside).expect("moved");
            if is_link {
                symlink(&forged, &path).expect("a link");
            } else {
                fs::rename(&forged, &path).expect("moved");
            }
        });
        for key in &all {
            let stored = sink.sink.get(key);
            assert!(
                stored.is_none_or(|stored| *stored == *bytes(key)),
                "{key} has other bytes (a link: {is_link})"
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn file_of_public_that_is_swapped_with_a_link_is_never_sent() {
    let (directory, _, outside) = made();
    let root = directory.path().join("public");
    let victim = key(1, 1, 1);
    let path = root.join(victim.to_string());
    // As long as the secret.
    write(&root, &victim, &[b'O'; SECRET.len()]);
    let modified = fs::metadata(&path)
        .expect("a file")
        .modified()
        .expect("a time");
    let secret = fs::File::options().write(true).open(outside.join("secret"));
    secret
        .expect("a file")
        .set_modified(modified)
        .expect("a time");
    let swapping = Swapping::start(path, &outside.join("secret"));
    for _ in 0..2000 {
        let sink = Arc::new(MemorySink::new());
        let source = DirectorySource::new(&root);
        let _ = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
            .with_options(without_backoff())
            .export(&source, &Selection::all(), &Cancel::new(), &Quiet);
        let sent = sink.get(&victim);
        assert!(
            sent.is_none_or(|sent| *sent != *SECRET),
            "the secret was sent"
        );
    }
    drop(swapping);
}

fn journal(root: &Path) -> Result<Journal, anon_export::Error> {
    Journal::open(root, "memory", "me", || SystemTime::UNIX_EPOCH)
}

#[test]
fn links_in_an_export_journal_are_not_followed() {
    let (directory, _, outside) = made();
    let (root, public) = (
        directory.path().join("export"),
        directory.path().join("public"),
    );
    files(&public, &keys(1, 2));
    drop(journal(&root).expect("a journal"));
    let inner = fs::read_dir(&root).expect("a directory").next();
    let inner = inner.expect("a journal").expect("an entry").path();
    for name in ["lock", "header.new", "totals.new", "runs", "patients/S-0"] {
        let path = inner.join(name);
        // The next export writes it again, by way of `header.new`.
        fs::remove_file(inner.join("header")).expect("removed");
        let _ = fs::remove_file(&path);
        symlink(outside.join("secret"), &path).expect("a link");
        if let Ok(journal) = journal(&root) {
            let source = DirectorySource::new(&public);
            let _ = Exporter::new(Arc::new(MemorySink::new()))
                .with_journal(Arc::new(journal))
                .export(&source, &Selection::all(), &Cancel::new(), &Quiet);
        }
        assert_untouched(&outside);
        let _ = fs::remove_file(&path);
        drop(journal(&root).expect("a journal"));
    }
    fs::rename(&inner, directory.path().join("moved")).expect("moved");
    symlink(directory.path().join("moved"), &inner).expect("a link");
    journal(&root).expect_err("the journal is a link");
    assert_eq!(destinations(&root).expect("a list"), []);
}

#[test]
fn export_journal_that_everyone_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let (directory, _, _) = made();
    let root = directory.path().join("export");
    drop(journal(&root).expect("a journal"));
    let inner = fs::read_dir(&root).expect("a directory").next();
    let inner = inner.expect("a journal").expect("an entry").path();
    for path in [root.clone(), inner.clone(), inner.join("patients")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a mode");
        let error = journal(&root).expect_err("everyone may write");
        assert!(error.text().contains("chmod -R o-w"), "{}", error.text());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).expect("a mode");
    }
    journal(&root).expect("a group may");
}

#[test]
fn destination_is_refused_where_it_really_lies() {
    let (directory, _, outside) = made();
    let outside = outside.canonicalize().expect("a path");
    symlink(&outside, directory.path().join("link")).expect("a link");
    for typed in ["link", "link/new", "to/../outside", "link/../outside/new"] {
        let error = DirectorySink::open_where(directory.path().join(typed), |real| {
            !real.starts_with(&outside)
        });
        assert!(error.is_err(), "{typed}");
        assert!(!outside.join(".anon-export").exists(), "{typed}");
        assert!(!outside.join("new/.anon-export").exists(), "{typed}");
    }
    let to = directory.path().join("link/../to");
    DirectorySink::open_where(to, |real| !real.starts_with(&outside)).expect("it lies elsewhere");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let temp = tempfile::tempfile().expect("a file");
    temp.metadata().expect("its owner").uid() == 0
}
