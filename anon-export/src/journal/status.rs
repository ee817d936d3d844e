//! The status of a destination, as its journal records it.

use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::patient::PatientJournal;
use super::patient_end::PatientEnd;
use super::runs::{self, RunStatus};
use super::{LOCK, PATIENTS, TOTALS, directory_name, header, journal_error, line};
use crate::platform::{self, Dir, Kind};
use crate::{Error, KeyPart};

/// The totals of all exports to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Patients with at least one object.
    pub patients: u64,
    /// Objects; each counts once.
    pub objects: u64,
    /// Bytes of these objects, as last sent.
    pub bytes: u64,
    /// When the last object was sent or found, in seconds since 1970.
    pub(super) last: Option<u64>,
}

impl Totals {
    /// Returns when the last object was sent, or found at the destination.
    pub fn last(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.last?))
    }
}

/// The status of a destination, as its journal records it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// The address of the destination.
    pub address: String,
    /// What was sent.
    pub totals: Totals,
    /// The last export to it.
    pub last_run: Option<RunStatus>,
    /// True while an export runs.
    pub is_running: bool,
}

/// Returns the status of each journal under `root`, sorted by address; none if `root` does not
/// exist. May be called while exports run.
///
/// # Errors
/// [`Error::JournalFormat`], [`Error::Journal`].
///
/// # Examples
/// ```
/// # let project = std::path::Path::new("/nowhere");
/// for destination in anon_export::journal::destinations(&project.join("export"))? {
///     println!("{}: {} objects", destination.address, destination.totals.objects);
/// }
/// # Ok::<(), anon_export::Error>(())
/// ```
pub fn destinations(root: &Path) -> Result<Vec<DestinationStatus>, Error> {
    let read = journal_error("read a directory");
    let Some(root) = existing(Dir::open(root)).map_err(&read)? else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for entry in root.entries().map_err(&read)? {
        let entry = entry.map_err(&read)?;
        if entry.kind != Kind::Directory {
            continue;
        }
        let directory = root.child(&entry.name).map_err(&read)?;
        let Some(header) = header(&directory)? else {
            continue;
        };
        all.push(DestinationStatus {
            address: header.address,
            totals: totals(&directory)?,
            last_run: runs::last(&directory).map_err(journal_error("read a file"))?,
            is_running: is_locked(&directory).map_err(journal_error("test the lock"))?,
        });
    }
    all.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(all)
}

/// The status of a patient at a destination, as its journal records it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatientStatus {
    /// The patient.
    pub patient: KeyPart,
    /// Objects at the destination.
    pub objects: u64,
    /// Bytes of these objects, as last sent.
    pub bytes: u64,
    /// When the last object was sent, or found at the destination.
    pub last: Option<SystemTime>,
    /// The last export of the patient that failed or left objects, or that exported the whole
    /// patient and sent something. `None` if there was none, or if an earlier version of this crate
    /// exported the patient.
    pub last_export: Option<PatientEnd>,
}

impl PatientStatus {
    /// Returns true if the last export failed nowhere and left nothing.
    pub fn is_complete(&self) -> bool {
        let end = self.last_export.as_ref();
        end.is_none_or(PatientEnd::is_complete)
    }
}

/// Returns the status of each patient at the destination with this address, sorted by pseudonym.
/// May be called while exports run.
///
/// # Errors
/// [`Error::JournalFormat`], [`Error::Journal`].
///
/// # Examples
/// ```
/// # let project = std::path::Path::new("/nowhere");
/// for patient in anon_export::journal::patients(&project.join("export"), "s3:trial")? {
///     let error = patient.last_export.and_then(|export| export.error);
///     println!("{}: {} objects {error:?}", patient.patient, patient.objects);
/// }
/// # Ok::<(), anon_export::Error>(())
/// ```
pub fn patients(root: &Path, address: &str) -> Result<Vec<PatientStatus>, Error> {
    let name = directory_name(address);
    let root = Dir::open(root).and_then(|root| root.child(name));
    let read = journal_error("read a directory");
    let Some(root) = existing(root).map_err(read)? else {
        return Ok(Vec::new());
    };
    // A newer format is refused.
    header(&root)?;
    let mut all = Vec::new();
    each_patient(&root, &mut |patient, mut file| {
        let (objects, bytes, last) = file.sums();
        let last_export = file.take_last_end();
        if objects > 0 || last_export.is_some() {
            let last = last.and_then(|last| UNIX_EPOCH.checked_add(Duration::from_secs(last)));
            all.push(PatientStatus {
                patient,
                objects,
                bytes,
                last,
                last_export,
            });
        }
    })
    .map_err(journal_error("read a file"))?;
    all.sort_by(|a, b| a.patient.cmp(&b.patient));
    Ok(all)
}

fn is_locked(directory: &Dir) -> io::Result<bool> {
    let Some(lock) = directory.open_file(LOCK)? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns the stored totals, or adds up the patients' files if the last export did not end.
pub(super) fn totals(root: &Dir) -> Result<Totals, Error> {
    let failed = journal_error("read a file");
    let last = runs::last(root).map_err(&failed)?;
    let last_run_ended = last.is_none_or(|run| run.end.is_some());
    if last_run_ended && let Some(stored_totals) = stored_totals(root).map_err(&failed)? {
        return Ok(stored_totals);
    }
    summed_totals(root).map_err(failed)
}

pub(super) fn write(totals: &Totals) -> String {
    let last = totals.last.map(|last| last.to_string());
    line::write(&[
        "totals",
        &totals.patients.to_string(),
        &totals.objects.to_string(),
        &totals.bytes.to_string(),
        last.as_deref().unwrap_or("-"),
    ])
}

fn stored_totals(root: &Dir) -> io::Result<Option<Totals>> {
    let bytes = platform::read(root, TOTALS)?.unwrap_or_default();
    let mut stored_totals = None;
    line::each(&bytes, |fields| stored_totals = read(fields));
    Ok(stored_totals)
}

fn read(fields: &[&str]) -> Option<Totals> {
    let ["totals", patients, objects, bytes, last] = fields else {
        return None;
    };
    Some(Totals {
        patients: patients.parse().ok()?,
        objects: objects.parse().ok()?,
        bytes: bytes.parse().ok()?,
        last: match *last {
            "-" => None,
            last => Some(last.parse().ok()?),
        },
    })
}

fn summed_totals(root: &Dir) -> io::Result<Totals> {
    let mut totals = Totals::default();
    each_patient(root, &mut |_, file| {
        let (objects, bytes, last) = file.sums();
        totals.patients += u64::from(objects > 0);
        totals.objects += objects;
        totals.bytes = totals.bytes.saturating_add(bytes);
        totals.last = totals.last.max(last);
    })?;
    Ok(totals)
}

/// Returns the names of the patients in all journals under `root`, each once for each destination;
/// none if `root` does not exist. Only directories are read, and those that this account cannot read
/// are left out.
///
/// # Errors
/// [`Error::Journal`].
pub fn patient_names(root: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let root = Dir::open(root);
    for destination in names_in(&root)? {
        let patients = match &root {
            Ok(root) => root.child(destination).and_then(|it| it.child(PATIENTS)),
            Err(_) => continue,
        };
        names.extend(names_in(&patients)?);
    }
    Ok(names)
}

fn names_in(directory: &io::Result<Dir>) -> Result<Vec<String>, Error> {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let entries = match directory {
        Ok(directory) => directory.entries(),
        Err(error) => Err(error.kind().into()),
    };
    let entries = match entries {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => {
            return Ok(Vec::new());
        }
        entries => entries,
    };
    let names = entries.and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.name.into_string().ok()));
        names.collect::<io::Result<Vec<_>>>()
    });
    let names = names.map_err(journal_error("read a directory"))?;
    Ok(names.into_iter().flatten().collect())
}

/// Calls `each` with the file of each patient, in no particular order.
fn each_patient(root: &Dir, each: &mut dyn FnMut(KeyPart, PatientJournal)) -> io::Result<()> {
    let Some(patients) = existing(root.child(PATIENTS))?.map(Arc::new) else {
        return Ok(());
    };
    for entry in patients.entries()? {
        let entry = entry?;
        let Some(Ok(patient)) = entry.name.to_str().map(KeyPart::new) else {
            continue;
        };
        let file = PatientJournal::open(&patients, &patient, || UNIX_EPOCH)?;
        each(patient, file);
    }
    Ok(())
}

/// Returns `None` if there is no such directory.
fn existing(directory: io::Result<Dir>) -> io::Result<Option<Dir>> {
    match directory {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        directory => directory.map(Some),
    }
}
