//! [`Journal`]: what was sent where and when, so that a second export is cheap.
//!
//! It is a hint, never the truth: where a destination can say what it has, that decides. A directory
//! for each destination, plain files:
//!
//! ```text
//! <root>/<16 hex digits>/     FNV-1a of the destination's address
//!   header                    "anon-export journal 1" LF, the address LF
//!   lock                      held while an export runs
//!   patients/<patient>        a line an object that was sent or found there
//!   runs                      a line when an export begins, one when it ends
//!   totals                    one line: what the patients' files add up to
//!
//! line     = crc TAB field (TAB field)* LF     crc: CRC-32 of what follows it, 8 hex digits
//! patients : put, study, series, instance, length, modified, tag, when
//! runs     : begin, when, who
//!            end, when, outcome, patients, patients failed, found, sent, skipped, failed, left, bytes
//! totals   : totals, patients, objects, bytes, last
//! ```
//!
//! Times are whole seconds since 1970, `modified` is nanoseconds; `-` stands for none. Lines are
//! appended; the last one of an object counts. What a crash left of a line is recognised by its
//! checksum and cut, with what follows. `totals` is believed if the last export ended, and added up
//! from the patients' files otherwise. The number in `header` is the version of all of them.

mod line;
mod patient;
mod runs;
mod status;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use patient::{JournalEntry, PatientJournal};
pub use runs::{RunEnd, RunOutcome, RunStatus};
pub use status::{DestinationStatus, Totals, destinations};

use crate::report::ExportReport;
use crate::{Error, KeyPart, platform};

/// The first line of a header.
const FORMAT: &str = "anon-export journal 1";

const HEADER: &str = "header";
const LOCK: &str = "lock";
const PATIENTS: &str = "patients";
const RUNS: &str = "runs";
const TOTALS: &str = "totals";

/// What was sent to one destination. One holder at a time, of this process or another.
#[derive(Debug)]
pub struct Journal {
    root: PathBuf,
    who: String,
    now: fn() -> SystemTime,
    totals: Mutex<Totals>,
    /// Unlocked when it is dropped.
    _lock: File,
}

impl Journal {
    /// Opens the journal of a destination below `root`, and creates what is missing.
    ///
    /// `address` names the destination: the same place always has the same address. `who` is noted with
    /// each export (who runs it, up to 200 characters are kept). `now` tells the time.
    ///
    /// # Errors
    /// [`Error::Busy`] while another export holds it; [`Error::JournalFormat`] if it is of a newer version
    /// or another destination's; [`Error::Journal`].
    pub fn open(
        root: &Path,
        address: &str,
        who: &str,
        now: fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let address = plain(address, usize::MAX);
        let root = root.join(format!("{:016x}", fnv1a(&address)));
        fs::create_dir_all(root.join(PATIENTS)).map_err(at("create a directory"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join(LOCK))
            .map_err(at("create a file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy,
            TryLockError::Error(source) => at("lock a file")(source),
        })?;
        match header(&root)? {
            Some(found) if found == address => {}
            Some(_) => {
                let problem = "another destination's";
                return Err(Error::JournalFormat { problem });
            }
            None => {
                let text = format!("{FORMAT}\n{address}\n");
                replace(&root.join(HEADER), text.as_bytes()).map_err(at("write a file"))?;
            }
        }
        let totals = status::totals(&root)?;
        Ok(Self {
            root,
            who: plain(who, MAX_WHO),
            now,
            totals: Mutex::new(totals),
            _lock: lock,
        })
    }

    /// What was sent to the destination so far.
    pub fn totals(&self) -> Totals {
        *self.lock()
    }

    /// Notes that an export begins.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        let fields = ["begin", &seconds((self.now)()), &self.who];
        runs::append(&self.root.join(RUNS), &line::write(&fields)).map_err(at("write a file"))
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, report: &ExportReport, error: Option<&Error>) -> Result<(), Error> {
        let totals = *self.lock();
        let text = status::write(&totals);
        replace(&self.root.join(TOTALS), text.as_bytes()).map_err(at("write a file"))?;
        let when = seconds((self.now)());
        let end = runs::end(&when, report, error);
        runs::append(&self.root.join(RUNS), &end).map_err(at("write a file"))
    }

    /// What is known of a patient.
    pub(crate) fn patient(&self, patient: &KeyPart) -> Result<PatientJournal, Error> {
        let path = self.root.join(PATIENTS).join(patient.as_str());
        PatientJournal::open(path, patient, self.now).map_err(at("read a file"))
    }

    /// Makes durable what was noted of a patient.
    pub(crate) fn close(&self, patient: PatientJournal) -> Result<(), Error> {
        let change = patient.close().map_err(at("write a file"))?;
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

/// The address in a header; none if there is no header yet, or half of one.
fn header(root: &Path) -> Result<Option<String>, Error> {
    let text = match fs::read_to_string(root.join(HEADER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(at("read a file"))?,
    };
    let mut lines = text.lines();
    if lines.next() != Some(FORMAT) {
        let problem = "of a version that this program does not know";
        return Err(Error::JournalFormat { problem });
    }
    Ok(lines.next().map(str::to_owned))
}

/// Writes a file in one step, durably.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), platform::sync_directory)
}

/// Text that is one field of a line, at most so many characters of it.
fn plain(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(most).map(plain).collect()
}

const MAX_WHO: usize = 200;

fn seconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().to_string()
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo). Two addresses with one sum are told apart by the header.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn at(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Journal { what, source }
}
