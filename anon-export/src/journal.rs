//! [`Journal`]: records what was sent to a destination and when, so that a repeated export is
//! cheap.
//!
//! The listing of a destination takes precedence. The journal says which original made each object
//! that is there, where the destination cannot: so it also decides what may be replaced. It has one
//! directory of plain text files for each destination:
//!
//! ```text
//! <root>/<16 hex digits>/     FNV-1a of the destination's address
//!   header                    "anon-export journal 3" LF, the address LF
//!   lock                      held while an export runs
//!   patients/<patient>        a line for each object that was sent or found there, and one for the
//!                             end of an export that failed, or that sent something of a whole
//!                             patient
//!   runs                      a line for the start of an export and one for its end
//!   totals                    one line: the sum of the patients' files
//!
//! line     = crc TAB field (TAB field)* LF     crc: CRC-32 of the rest of the line, 8 hex digits
//! patients : put, study, series, instance, length, modified, tag, when, origin
//!            ended, when, found, sent, skipped, failed, left, error
//! runs     : begin, when, who
//!            end, when, outcome, patients, patients failed, found, sent, skipped, failed, left, bytes,
//!            error
//! totals   : totals, patients, objects, bytes, last
//! ```
//!
//! Times are whole seconds since 1970; `modified` is in nanoseconds; `-` stands for an absent
//! value. Lines are appended, and the last line of an object counts. A line that a crash left
//! incomplete fails its checksum; it and everything after it is cut off. `totals` is used if the
//! last export ended; otherwise the patients' files are added up. The number in `header` is the
//! version of all files. Version 1 has no `ended` and no error, versions 1 and 2 have no `origin`; the
//! next export makes them version 3.
//!
//! Whoever can write a line decides what is not sent again. So a journal in a directory that everyone
//! may write to is refused, and links below `<root>` are not followed.

mod line;
mod patient;
mod patient_end;
mod runs;
mod status;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use patient::{Extent, JournalEntry, PatientJournal};
pub use patient_end::PatientEnd;
pub use runs::{RunEnd, RunOutcome, RunStatus};
pub use status::{DestinationStatus, PatientStatus, Totals, destinations, patient_names, patients};

use crate::platform::{self, Access, Dir};
use crate::report::ExportReport;
use crate::{Error, KeyPart};

/// The first line of a header: the format and its version.
const FORMAT: &str = "anon-export journal 3";
/// Those of the versions before, which have fewer lines and fields.
const OLDER_FORMATS: [&str; 2] = ["anon-export journal 1", "anon-export journal 2"];

const HEADER: &str = "header";
const LOCK: &str = "lock";
const PATIENTS: &str = "patients";
const RUNS: &str = "runs";
const TOTALS: &str = "totals";

/// The record of what was sent to one destination. Locked: one process and one `Journal` at a time.
#[derive(Debug)]
pub struct Journal {
    root: Dir,
    patients: Arc<Dir>,
    who: String,
    now: fn() -> SystemTime,
    totals: Mutex<Totals>,
    /// Dropping the file releases the lock.
    _lock: File,
}

impl Journal {
    /// Opens the journal of a destination under `root` and creates missing files.
    ///
    /// `address` identifies the destination: the same place must always have the same address.
    /// `who` is the user that runs the export; the first 200 characters are recorded. `now` returns
    /// the current time.
    ///
    /// # Errors
    /// [`Error::Busy`] while another export has it open; [`Error::JournalFormat`] if it has a newer
    /// version or belongs to another destination; [`Error::Journal`] if a file cannot be read or
    /// written.
    pub fn open(
        root: &Path,
        address: &str,
        who: &str,
        now: fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let address = one_line(address, usize::MAX);
        let failed = journal_error("create a directory");
        fs::create_dir_all(root).map_err(&failed)?;
        let above = Dir::open(root).map_err(&failed)?;
        let name = directory_name(&address);
        let root = above.make_child(name, Access::Umask).map_err(&failed)?;
        let patients = root.make_child(PATIENTS, Access::Umask).map_err(&failed)?;
        for directory in [&above, &root, &patients] {
            refuse_open_to_all(directory)?;
        }
        let lock = root
            .open_or_create(LOCK)
            .map_err(journal_error("create a file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy,
            TryLockError::Error(source) => journal_error("lock a file")(source),
        })?;
        let found = header(&root)?;
        if found.as_ref().is_some_and(|found| found.address != address) {
            let problem = "for another destination";
            return Err(Error::JournalFormat { problem });
        }
        if !found.is_some_and(|found| found.is_current) {
            let text = format!("{FORMAT}\n{address}\n");
            replace(&root, HEADER, text.as_bytes()).map_err(journal_error("write a file"))?;
        }
        let totals = status::totals(&root)?;
        Ok(Self {
            root,
            patients: Arc::new(patients),
            who: one_line(who, MAX_WHO),
            now,
            totals: Mutex::new(totals),
            _lock: lock,
        })
    }

    /// Returns what was sent to the destination so far.
    pub fn totals(&self) -> Totals {
        *self.lock()
    }

    /// Records the start of an export.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        let fields = ["begin", &seconds((self.now)()), &self.who];
        runs::append(&self.root, &line::write(&fields)).map_err(journal_error("write a file"))
    }

    /// Records the end of an export.
    pub(crate) fn end(&self, report: &ExportReport, error: Option<&Error>) -> Result<(), Error> {
        let totals = *self.lock();
        let text = status::write(&totals);
        replace(&self.root, TOTALS, text.as_bytes()).map_err(journal_error("write a file"))?;
        let when = seconds((self.now)());
        let end = runs::end(&when, report, error);
        runs::append(&self.root, &end).map_err(journal_error("write a file"))
    }

    /// Opens the record of a patient.
    pub(crate) fn patient(&self, patient: &KeyPart) -> Result<PatientJournal, Error> {
        PatientJournal::open(&self.patients, patient, self.now)
            .map_err(journal_error("read a file"))
    }

    /// Makes the record of a patient durable and adds it to the totals.
    pub(crate) fn close(&self, patient: PatientJournal) -> Result<(), Error> {
        let change = patient.close().map_err(journal_error("write a file"))?;
        let mut totals = self.lock();
        totals.patients = totals.patients.saturating_add(change.patients);
        totals.objects = totals.objects.saturating_add(change.objects);
        totals.bytes = totals.bytes.saturating_add_signed(change.bytes);
        totals.last = totals.last.max(change.last);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The header of a destination.
struct Header {
    address: String,
    /// False for the versions before.
    is_current: bool,
}

/// Returns the header. `None` if there is none, or an incomplete one.
fn header(root: &Dir) -> Result<Option<Header>, Error> {
    let failed = journal_error("read a file");
    let Some(bytes) = platform::read(root, HEADER).map_err(&failed)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
    let mut lines = text.lines();
    let is_current = match lines.next() {
        Some(FORMAT) => true,
        Some(older) if OLDER_FORMATS.contains(&older) => false,
        _ => {
            let problem = "in a format that this version does not know";
            return Err(Error::JournalFormat { problem });
        }
    };
    Ok(lines.next().map(|address| Header {
        address: address.to_owned(),
        is_current,
    }))
}

/// Returns the name of the directory of a destination.
fn directory_name(address: &str) -> String {
    format!("{:016x}", fnv1a(address))
}

/// Formats an error for a line. `-` for none.
fn error_field(error: Option<&Error>) -> String {
    error.map_or_else(
        || "-".to_owned(),
        |error| one_line(&error.text(), MAX_ERROR),
    )
}

/// Reads an error from a line.
fn error_of(field: &str) -> Option<String> {
    (field != "-").then(|| field.to_owned())
}

/// Refuses a directory in which everyone could write lines.
fn refuse_open_to_all(directory: &Dir) -> Result<(), Error> {
    let failed = journal_error("use the directory");
    if directory.is_open_to_all().map_err(&failed)? {
        let words = "every user may write to it; take that permission away (chmod -R o-w)";
        return Err(failed(io::Error::other(words)));
    }
    Ok(())
}

/// Replaces a file atomically and durably.
fn replace(directory: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = format!("{name}.new");
    // A crash leaves one.
    match directory.remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = directory.create_new(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    directory.rename(&fresh, directory, name)?;
    directory.sync()
}

/// Returns the first `max_chars` characters of `text`, control characters replaced.
fn one_line(text: &str, max_chars: usize) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(max_chars).map(printable).collect()
}

const MAX_WHO: usize = 200;
const MAX_ERROR: usize = 1000;

fn seconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().to_string()
}

/// Reads a time that [`seconds`] wrote.
fn time(seconds: &str) -> Option<SystemTime> {
    let since = Duration::from_secs(seconds.parse().ok()?);
    UNIX_EPOCH.checked_add(since)
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo). The header detects a collision of two addresses.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn journal_error(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Journal { what, source }
}
