//! One object from its bytes to its staged output, or to the quarantine.
//!
//! ```text
//! open ─► plan ─► (its turn) claim ─► assign ─► (next one's turn) apply ─► stage ─► CommitQueue
//!           └───────────┴────────────────┴────────────┴───► refused ─► quarantine ─► receipt
//! ```
//!
//! A panic between open and stage is caught: the object goes to quarantine, the worker goes on.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::SystemTime;

use anon_model::{AssignError, Assigned, Names, NewInstance, Pseudonyms, Wanted};

use crate::deid::output_path::OutputPath;
use crate::deid::plan::{Plan, Warnings, plan};
use crate::error::Error;
use crate::keep::quarantine::{EntryId, Original, QuarantineError, RefusedObject};
use crate::keep::received::{Payload, Received};
use crate::keep::store::{Staged, StoreError};
use crate::platform::open_source;
use crate::read::source::Source;
use crate::refusal::{Category, Refusal};
use crate::run::assignment_order::AssignmentTicket;
use crate::run::claim::Claim;
use crate::run::commit_queue::{PendingReceipt, QueuedCommit};
use crate::run::core::Core;
use crate::run::intake::{IfBusy, Job};
use crate::run::receipt::{Outcome, Receipt};
use crate::run::reply::Reply;

/// A file below this is read whole; of a larger one only headers are.
const WHOLE_BYTES: usize = 64 * 1024;

/// A worker's thread.
pub(crate) fn run(core: &Core) {
    let mut buffer = Vec::new();
    while let Some(job) = core.intake.next() {
        handle(core, job, &mut buffer, &mut |_| false);
    }
}

/// Decides after a temporary failure whether to try again.
pub(crate) type RetryPolicy<'a> = dyn FnMut(&Error) -> bool + 'a;

/// Processes an object on this thread until it is staged, refused or failed.
pub(crate) fn handle(core: &Core, mut job: Job, buffer: &mut Vec<u8>, again: &mut RetryPolicy<'_>) {
    let opened = match OpenSource::open(&job.received, buffer) {
        Ok(opened) => opened,
        Err(error) => {
            drop(job.ticket);
            job.reply.send(Err(error));
            return;
        }
    };
    let bytes_in = opened.len();
    let attempt = Attempt {
        core,
        opened: &opened,
        received: &job.received,
        if_busy: job.if_busy,
    };
    let result = loop {
        let ticket = &mut job.ticket;
        let attempted = catch_unwind(AssertUnwindSafe(|| attempt.run(ticket)));
        job.ticket = None;
        let attempted = attempted.unwrap_or_else(|_| {
            tracing::error!("an object made the engine panic; it goes to quarantine");
            let reason = "this object exposes a bug in this program; please report it";
            AttemptResult::Refused(Refusal::new(Category::StorageError, reason))
        });
        let result = match attempted {
            AttemptResult::Staged(object) => {
                drop(opened);
                return finish(core, job, object);
            }
            AttemptResult::Busy(uid) => {
                drop(opened);
                return core.claims.park(&uid, job);
            }
            AttemptResult::Duplicate {
                path,
                patient,
                warnings,
            } => {
                core.clear_entries(&attempt.entries());
                let outcome = Outcome::Duplicate { path, patient };
                Ok(Receipt {
                    outcome,
                    bytes_in,
                    bytes_out: 0,
                    warnings,
                })
            }
            AttemptResult::Refused(refusal) => quarantine(core, &job.received, &opened, refusal),
            AttemptResult::Failed(error) => Err(error),
        };
        match result {
            Err(error) if error.can_pass() && again(&error) => {}
            result => break result,
        }
    };
    drop(opened);
    let Job {
        received,
        reply,
        reservation,
        in_flight,
        ..
    } = job;
    drop((received, reservation));
    reply.send(result);
    drop(in_flight);
}

/// Queues a staged object for its commit. Its source is not needed any more.
fn finish(core: &Core, job: Job, object: StagedObject) {
    let Job {
        received,
        reply,
        reservation,
        in_flight,
        if_busy,
        ..
    } = job;
    drop((received, reservation));
    object.claim.staged();
    let pending = PendingReceipt {
        wanted: object.wanted,
        receipt: object.receipt,
        entries: object.entries,
        claim: object.claim,
        reply,
    };
    core.commit_queue.push(
        QueuedCommit {
            staged: object.staged,
            instance: object.instance,
            pending,
        },
        in_flight,
        if_busy == IfBusy::Wait,
    );
}

fn quarantine(
    core: &Core,
    received: &Received,
    opened: &OpenSource<'_>,
    refusal: Refusal,
) -> Result<Receipt, Error> {
    let bytes_in = opened.len();
    // A file that is still being written looks damaged, so it is not refused.
    opened.check_unchanged()?;
    let case = RefusedObject {
        original: opened.original(),
        transfer_syntax: received.transfer_syntax.as_deref(),
        refusal: &refusal,
        origin: received.origin.as_ref(),
        path: received.path(),
    };
    let filed = catch_unwind(AssertUnwindSafe(|| core.quarantine.file(&case)));
    let entry = match filed {
        Ok(Ok(entry)) => entry,
        Ok(Err(QuarantineError::Source(error))) => return Err(source_error(error)),
        Ok(Err(error)) => return Err(Error::Quarantine(error)),
        Err(_) => {
            let error = io::Error::other("the quarantine panicked");
            return Err(Error::Quarantine(QuarantineError::Write(error)));
        }
    };
    if let Err(error) = opened.check_unchanged() {
        core.quarantine.clear(&entry)?;
        return Err(error);
    }
    tracing::info!(
        category = refusal.category.name(),
        "an object is in quarantine"
    );
    let outcome = Outcome::Quarantined {
        category: refusal.category,
        reason: refusal.reason,
        entry,
        sop_class: refusal.sop_class,
    };
    Ok(Receipt {
        outcome,
        bytes_in,
        bytes_out: 0,
        warnings: Warnings::default(),
    })
}

/// What an object came to on this thread.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are staged, and a box this large costs more than moving it"
)]
enum AttemptResult {
    Staged(StagedObject),
    Duplicate {
        path: OutputPath,
        patient: String,
        warnings: Warnings,
    },
    Refused(Refusal),
    /// Another copy of this instance waits for its commit.
    Busy(String),
    Failed(Error),
}

struct StagedObject {
    staged: Staged,
    instance: NewInstance,
    wanted: Wanted,
    receipt: Receipt,
    entries: Vec<EntryId>,
    claim: Claim,
}

struct Attempt<'a> {
    core: &'a Core,
    opened: &'a OpenSource<'a>,
    received: &'a Received,
    if_busy: IfBusy,
}

impl Attempt<'_> {
    fn run(&self, ticket: &mut Option<AssignmentTicket>) -> AttemptResult {
        let core = self.core;
        let source = self.source();
        let plan = match plan(&core.policy, source) {
            Ok(plan) => plan,
            Err(refusal) => return self.refused(refusal),
        };
        if let Err(error) = self.check_announced(&plan) {
            return AttemptResult::Failed(error);
        }
        if let Some(ticket) = ticket {
            ticket.wait();
        }
        if let Some(error) = core.poison() {
            return AttemptResult::Failed(Error::Poisoned(error));
        }
        let wanted = plan.wanted();
        let Some(claim) = core.claims.claim(wanted.instance.expose(), self.if_busy) else {
            return AttemptResult::Busy(wanted.instance.expose().clone());
        };
        let assigned = core.lookups.assign(wanted);
        // The next one's turn.
        *ticket = None;
        match assigned {
            Ok(Assigned::New(names)) => self.make(&plan, names, claim),
            Ok(Assigned::Duplicate(names)) => match path_of(&names) {
                Ok(path) => AttemptResult::Duplicate {
                    path,
                    patient: names.patient,
                    warnings: plan.warnings(),
                },
                Err(refusal) => AttemptResult::Refused(refusal),
            },
            Err(AssignError::Conflict(conflict)) => AttemptResult::Refused(Refusal::new(
                Category::CapturePhiError,
                conflict.to_string(),
            )),
            Err(AssignError::Backend(error)) => AttemptResult::Failed(Error::Lookup(error)),
            Err(_) => AttemptResult::Refused(Refusal::new(
                Category::CapturePhiError,
                "the lookup store gives no pseudonyms for this object",
            )),
        }
    }

    /// An announced object with a fault of its sender is answered with an error, and not kept.
    fn refused(&self, refusal: Refusal) -> AttemptResult {
        if self.received.announced.is_some() && refusal.category.is_of_sender() {
            return AttemptResult::Failed(Error::Refused(refusal));
        }
        AttemptResult::Refused(refusal)
    }

    fn check_announced(&self, plan: &Plan<'_>) -> Result<(), Error> {
        let Some(announced) = &self.received.announced else {
            return Ok(());
        };
        let what = if plan.sop_class() != announced.sop_class {
            "SOP Class UID"
        } else if plan.wanted().instance != announced.sop_instance {
            "SOP Instance UID"
        } else {
            return Ok(());
        };
        Err(Error::NotAsAnnounced { what })
    }

    fn source(&self) -> Source<'_> {
        let mut source = self.opened.source();
        if let Some(syntax) = &self.received.transfer_syntax {
            source = source.as_data_set(syntax);
        }
        match &self.core.scratch {
            Some(dir) => source.with_scratch(dir),
            None => source,
        }
    }

    fn make(&self, plan: &Plan<'_>, names: Names, claim: Claim) -> AttemptResult {
        let assigned = Assignment::new(&*self.core.lookups, plan.wanted());
        let clean = match plan.apply(&names) {
            Ok(clean) => clean,
            Err(refusal) => return self.refused(refusal),
        };
        if let Err(error) = self.core.lookups.ready(clean.len()) {
            return AttemptResult::Failed(Error::Lookup(error));
        }
        let staged = match self.core.store.stage(&clean) {
            Ok(staged) => staged,
            Err(StoreError::Source(error)) => return AttemptResult::Failed(source_error(error)),
            Err(error @ StoreError::Occupied) => {
                return AttemptResult::Refused(Refusal::new(
                    Category::StorageError,
                    error.to_string(),
                ));
            }
            Err(error) => return AttemptResult::Failed(Error::Store(error)),
        };
        if let Err(error) = self.opened.check_unchanged() {
            if let Err(error) = self.core.store.discard(staged) {
                self.core.warn("a temporary file is left behind", &error);
            }
            return AttemptResult::Failed(error);
        }
        let mut wanted = plan.wanted().clone();
        let captured = plan.captured().clone();
        let mut study = captured.study;
        study.date_offset = clean.date_offset();
        study.source = self.received.origin.clone().unwrap_or_default();
        let instance = NewInstance {
            patient_key: names
                .filed_under
                .clone()
                .unwrap_or_else(|| wanted.patient.clone()),
            study_uid: mem::take(&mut wanted.study),
            series_uid: mem::take(&mut wanted.series),
            instance_uid: mem::take(&mut wanted.instance),
            fingerprint: wanted.fingerprint,
            patient: captured.patient,
            study,
            series: captured.series,
            output_bytes: staged.bytes(),
            names,
        };
        let patient = instance.names.patient.clone();
        let receipt = receipt_of(&staged, patient, self.opened.len(), plan.warnings());
        let object = StagedObject {
            staged,
            instance,
            wanted,
            receipt,
            entries: self.entries(),
            claim,
        };
        assigned.keep();
        AttemptResult::Staged(object)
    }

    /// The quarantine's entries for these bytes.
    fn entries(&self) -> Vec<EntryId> {
        let found = self.core.quarantine.find(&self.opened.original());
        found.unwrap_or_else(|error| {
            self.core
                .warn("the quarantine cannot say if it holds this object", &error);
            Vec::new()
        })
    }
}

/// An assignment that will be abandoned unless it is kept.
struct Assignment<'a> {
    lookups: &'a dyn Pseudonyms,
    wanted: Option<&'a Wanted>,
}

impl<'a> Assignment<'a> {
    fn new(lookups: &'a dyn Pseudonyms, wanted: &'a Wanted) -> Self {
        Self {
            lookups,
            wanted: Some(wanted),
        }
    }

    fn keep(mut self) {
        self.wanted = None;
    }
}

impl Drop for Assignment<'_> {
    fn drop(&mut self) {
        if let Some(wanted) = self.wanted {
            self.lookups.abandon(wanted);
        }
    }
}

/// Where an instance with these names is stored.
pub(crate) fn path_of(names: &Names) -> Result<OutputPath, Refusal> {
    OutputPath::new([&names.patient, &names.study, &names.series, &names.instance])
}

/// The bytes of a received object.
enum OpenSource<'r> {
    Bytes(&'r [u8]),
    /// A small file, read whole.
    Whole {
        bytes: &'r [u8],
        file: File,
        stamp: FileStamp,
    },
    /// A large file, read where needed.
    File {
        file: File,
        stamp: FileStamp,
    },
    /// A file of our own.
    Spooled {
        file: &'r File,
        len: u64,
    },
}

/// Shows whether a file was changed.
#[derive(PartialEq, Eq)]
struct FileStamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn of(found: &Metadata) -> Self {
        Self {
            len: found.len(),
            modified: found.modified().ok(),
        }
    }
}

impl<'r> OpenSource<'r> {
    fn open(received: &'r Received, buffer: &'r mut Vec<u8>) -> Result<Self, Error> {
        match &received.payload {
            Payload::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Payload::Spooled(spooled) => Ok(Self::Spooled {
                file: spooled.file(),
                len: spooled.len(),
            }),
            Payload::File(path) => Self::open_file(path, buffer).map_err(Error::Source),
        }
    }

    fn open_file(path: &Path, buffer: &'r mut Vec<u8>) -> io::Result<Self> {
        let mut file = open_source(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            let message = "is not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let stamp = FileStamp::of(&found);
        match usize::try_from(stamp.len) {
            Ok(len) if len < WHOLE_BYTES => Ok(Self::Whole {
                bytes: read_whole(&mut file, len, buffer)?,
                file,
                stamp,
            }),
            _ => Ok(Self::File { file, stamp }),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Whole { stamp, .. } | Self::File { stamp, .. } => stamp.len,
            Self::Spooled { len, .. } => *len,
        }
    }

    fn source(&self) -> Source<'_> {
        match self {
            Self::Bytes(bytes) | Self::Whole { bytes, .. } => Source::part10(bytes),
            Self::File { file, stamp } => Source::file(file, stamp.len),
            Self::Spooled { file, len } => Source::file(file, *len),
        }
    }

    fn original(&self) -> Original<'_> {
        match self {
            Self::Bytes(bytes) | Self::Whole { bytes, .. } => Original::Bytes(bytes),
            Self::File { file, stamp } => Original::File {
                file,
                len: stamp.len,
            },
            Self::Spooled { file, len } => Original::File { file, len: *len },
        }
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        let (file, stamp) = match self {
            Self::Bytes(_) | Self::Spooled { .. } => return Ok(()),
            Self::Whole { bytes, stamp, .. } if bytes.len() as u64 != stamp.len => {
                return Err(Error::SourceChanged);
            }
            Self::Whole { file, stamp, .. } | Self::File { file, stamp } => (file, stamp),
        };
        let found = file.metadata().map_err(Error::Source)?;
        if FileStamp::of(&found) == *stamp {
            Ok(())
        } else {
            Err(Error::SourceChanged)
        }
    }
}

/// The bytes of a file of this length: fewer if it is shorter by now, one more if it is longer.
fn read_whole<'b>(file: &mut File, len: usize, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    if buffer.is_empty() {
        // Once a thread; a buffer that is cleared and filled anew would be zeroed each time.
        buffer.resize(WHOLE_BYTES, 0);
    }
    let room = buffer.get_mut(..=len).unwrap_or_default();
    let mut got = 0;
    // What has its length needs no further call to see its end.
    while got < len {
        match file.read(room.get_mut(got..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(room.get(..got).unwrap_or_default())
}

/// A file that ends early was cut while it was read.
fn source_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::SourceChanged,
        _ => Error::Source(error),
    }
}

/// The receipt of an object that will be stored.
fn receipt_of(staged: &Staged, patient: String, bytes_in: u64, warnings: Warnings) -> Receipt {
    Receipt {
        outcome: Outcome::Stored {
            path: staged.path().clone(),
            patient,
        },
        bytes_in,
        bytes_out: staged.bytes(),
        warnings,
    }
}

/// A job of a caller's own thread.
pub(crate) fn caller_job(received: Received, reply: Reply, core: &Core) -> Job {
    Job {
        received,
        reply,
        ticket: None,
        reservation: None,
        in_flight: Some(core.commit_queue.schedule.enter()),
        if_busy: IfBusy::Wait,
    }
}
