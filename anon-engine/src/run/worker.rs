//! Processes one object: from its bytes to a staged output, or to the quarantine.
//!
//! ```text
//! open ─► plan ─► wait for its ticket ─► claim ─► assign ─► drop the ticket ─► apply ─► stage ─► CommitQueue
//!           └─────────────┴────────────────┴────────┴────────────┴──► refused ─► quarantine ─► receipt
//! ```
//!
//! A panic between open and stage is caught: the object goes to quarantine, the worker continues.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::SystemTime;

use anon_model::{
    AssignError, Assigned, Conflict, InstanceConflict, Names, NewInstance, Remarks, Wanted,
};

use anon_script::ctp::Moment;

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;
use crate::deid::plan::{Plan, Warnings};
use crate::error::Error;
use crate::keep::output_digest;
use crate::keep::quarantine::{EntryId, QuarantineError, RefusedObject};
use crate::keep::received::Received;
use crate::keep::store::{Staged, StoreError};
use crate::read::source::Source;
use crate::refusal::{Category, Refusal};
use crate::run::assignment::Assignment;
use crate::run::assignment_order::AssignmentTicket;
use crate::run::claim::Claim;
use crate::run::commit_queue::{PendingReceipt, QueuedCommit};
use crate::run::core::Core;
use crate::run::filing_queue::RefusedJob;
use crate::run::intake::{IfBusy, Job};
use crate::run::open_source::OpenSource;
use crate::run::plan_memory::ReservedMemory;
use crate::run::receipt::{Outcome, Receipt};
use crate::run::repeat;
use crate::run::reply::Reply;

/// Runs a worker's thread.
pub(crate) fn run(core: &Core) {
    let mut buffer = Vec::new();
    while let Some(job) = core.intake.next() {
        process(core, job, &mut buffer, &mut |_| false);
    }
}

/// Runs a thread that files refused objects.
pub(crate) fn run_filer(core: &Core) {
    let mut buffer = Vec::new();
    while let Some(refused) = core.filing.next() {
        file(core, refused, &mut buffer);
    }
}

/// Files the refused object of a worker, and reports it.
fn file(core: &Core, refused: RefusedJob, buffer: &mut Vec<u8>) {
    let RefusedJob {
        job,
        refusal,
        stamp,
    } = refused;
    let filed = match OpenSource::open(&job.received, buffer) {
        // The bytes that are filed are those that were refused.
        Ok(opened) if opened.stamp() != stamp.as_ref() => Err(Error::SourceChanged),
        Ok(opened) => quarantine(core, &job.received, &opened, refusal),
        Err(error) => Err(error),
    };
    finish(job, filed);
}

/// Returns true if an object should be tried again after this temporary failure.
pub(crate) type RetryPolicy<'a> = dyn FnMut(&Error) -> bool + 'a;

/// Processes an object on this thread until it is staged, parked, refused or failed.
pub(crate) fn process(
    core: &Core,
    mut job: Job,
    buffer: &mut Vec<u8>,
    again: &mut RetryPolicy<'_>,
) {
    let opened = match OpenSource::open(&job.received, buffer) {
        Ok(opened) => opened,
        Err(error) => {
            drop(job.ticket);
            job.reply.send(Err(error));
            return;
        }
    };
    let attempt = Attempt {
        core,
        opened: &opened,
        received: &job.received,
        if_busy: job.if_busy,
    };
    let result = loop {
        let result = match attempt.run(&mut job.ticket) {
            AttemptResult::Staged(object) => {
                drop(opened);
                return queue_commit(core, job, object);
            }
            AttemptResult::Busy(uid) => {
                drop(opened);
                return core.claims.park(&uid, job);
            }
            AttemptResult::Duplicate(receipt) => {
                core.clear_entries(&attempt.entries());
                Ok(receipt)
            }
            AttemptResult::Refused(refusal) if is_ignored(&job.received, &refusal) => {
                ignore(&job.received, &opened, refusal)
            }
            AttemptResult::Refused(refusal) if job.if_busy == IfBusy::Park => {
                let stamp = opened.stamp().cloned();
                drop(opened);
                let refused = RefusedJob {
                    job,
                    refusal,
                    stamp,
                };
                return hand_over(core, refused, buffer);
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
    finish(job, result);
}

/// Hands a refused object to the threads that file. If too many wait there, files it here.
fn hand_over(core: &Core, refused: RefusedJob, buffer: &mut Vec<u8>) {
    if let Some(refused) = core.filing.push(refused) {
        file(core, refused, buffer);
    }
}

/// Reports the result of an object that is not staged.
fn finish(job: Job, result: Result<Receipt, Error>) {
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

/// Queues a staged object for its commit. Closes its source.
fn queue_commit(core: &Core, job: Job, object: StagedObject) {
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
        receipt: object.receipt,
        entries: object.entries,
        claim: object.claim,
        memory: object.memory,
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

/// Returns true for an archive, and for a file without any sign of DICOM that nobody named.
fn is_ignored(received: &Received, refusal: &Refusal) -> bool {
    refusal.foreign && (received.is_found || (refusal.archive && received.path().is_some()))
}

/// Ignores a file that is not DICOM.
fn ignore(
    received: &Received,
    opened: &OpenSource<'_>,
    refusal: Refusal,
) -> Result<Receipt, Error> {
    // A file that is still being written may look empty: it fails, and is not ignored.
    opened.check_unchanged()?;
    let mut reason = refusal.reason;
    let extension = received.path().and_then(Path::extension);
    if !refusal.archive && extension.is_some_and(|name| name.eq_ignore_ascii_case("dcm")) {
        reason.push_str(", although its name ends in .dcm");
    }
    Ok(Receipt {
        outcome: Outcome::Ignored {
            reason,
            archive: refusal.archive,
        },
        bytes_in: opened.len(),
        bytes_out: 0,
        warnings: Warnings::default(),
        remarks: Remarks::default(),
    })
}

/// Files a refused object in the quarantine.
fn quarantine(
    core: &Core,
    received: &Received,
    opened: &OpenSource<'_>,
    refusal: Refusal,
) -> Result<Receipt, Error> {
    let bytes_in = opened.len();
    // A file that is still being written looks damaged: it fails, and is not refused.
    opened.check_unchanged()?;
    let refused = RefusedObject {
        original: opened.original(),
        transfer_syntax: received.transfer_syntax.as_deref(),
        refusal: &refusal,
        origin: received.origin.as_ref(),
        path: received.path(),
    };
    let filed = catch_unwind(AssertUnwindSafe(|| core.quarantine.file(&refused)));
    let filed = match filed {
        Ok(Ok(filed)) => filed,
        Ok(Err(QuarantineError::Source(error))) => return Err(source_error(error)),
        Ok(Err(error)) => return Err(Error::Quarantine(error)),
        Err(_) => {
            let error = io::Error::other("the quarantine panicked");
            return Err(Error::Quarantine(QuarantineError::Write(error)));
        }
    };
    if let Err(error) = opened.check_unchanged() {
        // An entry from before has a receipt of its own.
        if filed.is_new {
            core.quarantine.clear(&filed.entry)?;
        }
        return Err(error);
    }
    tracing::info!(
        category = refusal.category.name(),
        "an object is in quarantine"
    );
    let outcome = Outcome::Quarantined {
        category: refusal.category,
        reason: refusal.reason,
        entry: filed.entry,
        sop_class: refusal.sop_class,
    };
    Ok(Receipt {
        outcome,
        bytes_in,
        bytes_out: 0,
        warnings: Warnings::default(),
        remarks: Remarks::default(),
    })
}

/// The result of one attempt at an object.
#[expect(
    clippy::large_enum_variant,
    reason = "most objects are staged, and boxing them costs more than moving them"
)]
enum AttemptResult {
    Staged(StagedObject),
    Duplicate(Receipt),
    Refused(Refusal),
    /// Another copy of this instance waits for its commit.
    Busy(String),
    Failed(Error),
}

/// Where an output goes.
#[derive(Clone, Copy)]
enum Place {
    /// To a path of its own.
    Free,
    /// To the path of the stored instance that it replaces.
    Taken,
}

/// A staged object, before it is queued.
struct StagedObject {
    staged: Staged,
    instance: NewInstance,
    receipt: Receipt,
    entries: Vec<EntryId>,
    claim: Claim,
    memory: ReservedMemory,
}

/// What an object holds from its assignment to its commit.
type Held = (Claim, ReservedMemory);

/// An attempt to process an object.
struct Attempt<'a> {
    core: &'a Core,
    opened: &'a OpenSource<'a>,
    received: &'a Received,
    if_busy: IfBusy,
}

impl Attempt<'_> {
    /// Processes the object. A panic becomes a refusal.
    fn run(&self, ticket: &mut Option<AssignmentTicket>) -> AttemptResult {
        let attempted = catch_unwind(AssertUnwindSafe(|| self.stage(ticket)));
        *ticket = None;
        attempted.unwrap_or_else(|_| {
            tracing::error!("an object made the engine panic; it goes to quarantine");
            let reason = "this object exposes a bug in this program; please report it";
            AttemptResult::Refused(Refusal::new(Category::StorageError, reason))
        })
    }

    /// Processes the object until it is staged.
    fn stage(&self, ticket: &mut Option<AssignmentTicket>) -> AttemptResult {
        let core = self.core;
        let waived = self.received.waived.map(|why| core.policy.waiving(why));
        let policy = waived.as_ref().unwrap_or(&core.policy);
        let planned = core
            .plan_memory
            .plan(policy, self.source(), ticket.as_ref());
        let (mut plan, reserved) = match planned {
            Ok(planned) => planned,
            Err(refusal) => return self.refused(refusal),
        };
        if let Some(reason) = self.received.remark
            && let Err(refusal) = plan.note(reason)
        {
            return self.refused(refusal);
        }
        if let Err(error) = self.check_announced(&plan) {
            return AttemptResult::Failed(error);
        }
        if let Some(ticket) = ticket {
            ticket.wait();
        }
        if let Some(error) = core.poison() {
            return AttemptResult::Failed(Error::Poisoned(error));
        }
        let memory = core.plan_memory.reserve_for(&plan, reserved);
        let wanted = plan.wanted();
        let Some(claim) = core.claims.claim(wanted.instance.expose(), self.if_busy) else {
            return AttemptResult::Busy(wanted.instance.expose().clone());
        };
        let assigned = core.lookups.assign(wanted);
        // The next object may assign its pseudonyms.
        *ticket = None;
        match assigned {
            Ok(Assigned::New(names)) => {
                self.apply_and_stage(&plan, names, (claim, memory), Place::Free)
            }
            Ok(Assigned::Duplicate(_))
            | Err(AssignError::Conflict(Conflict::InstanceDiffers { .. })) => {
                match self.judge_repeat(&plan) {
                    AttemptResult::Refused(refusal) if self.may_replace(&refusal) => {
                        self.replace(&plan, refusal, (claim, memory))
                    }
                    judged => judged,
                }
            }
            Err(error) => not_assigned(error),
        }
    }

    /// Returns true if this refusal is the one that a person has reviewed, so that the object replaces
    /// the stored instance.
    fn may_replace(&self, refusal: &Refusal) -> bool {
        refusal.category == Category::CapturePhiError
            && self.received.replaces.as_deref() == Some(&*refusal.reason)
    }

    /// Stages the object at the path of the stored instance.
    fn replace(&self, plan: &Plan<'_>, refusal: Refusal, held: Held) -> AttemptResult {
        let wanted = Wanted {
            instance_conflict: InstanceConflict::Replace,
            // One reason is waived, not two.
            study_conflict: self.core.policy.study_conflict,
            ..plan.wanted().clone()
        };
        match self.core.lookups.assign(&wanted) {
            Ok(Assigned::New(names)) => self.apply_and_stage(plan, names, held, Place::Taken),
            Ok(Assigned::Duplicate(_)) => AttemptResult::Refused(refusal),
            Err(error) => not_assigned(error),
        }
    }

    /// Judges a repeat of a stored instance, whether or not the fingerprints agree.
    fn judge_repeat(&self, plan: &Plan<'_>) -> AttemptResult {
        match repeat::judge(self.core, plan) {
            Ok((names, warnings)) => match self.opened.check_unchanged() {
                Ok(()) => self.duplicate(names, warnings),
                Err(error) => AttemptResult::Failed(error),
            },
            Err(Error::Refused(refusal)) => AttemptResult::Refused(refusal),
            Err(error) => AttemptResult::Failed(error),
        }
    }

    fn duplicate(&self, names: [String; 4], warnings: Warnings) -> AttemptResult {
        let path = OutputPath::new(names.each_ref().map(String::as_str));
        let [patient, ..] = names;
        match path {
            Ok(path) => AttemptResult::Duplicate(Receipt {
                outcome: Outcome::Duplicate { path, patient },
                bytes_in: self.opened.len(),
                bytes_out: 0,
                warnings,
                remarks: Remarks::default(),
            }),
            Err(refusal) => AttemptResult::Refused(refusal),
        }
    }

    /// Refuses an object. If it came by C-STORE and its sender is at fault, the request fails and the
    /// object is not quarantined (PS3.4 section B.2.3).
    fn refused(&self, refusal: Refusal) -> AttemptResult {
        if self.received.announced.is_some() && refusal.category.is_of_sender() {
            return AttemptResult::Failed(Error::Refused(refusal));
        }
        AttemptResult::Refused(refusal)
    }

    /// Checks that the object has the SOP Class and SOP Instance UID of its C-STORE request (PS3.7
    /// section 9.1.1).
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
        if let Some(clock) = self.core.clock {
            source = source.processed_at(moment(clock()));
        }
        if let Some(syntax) = &self.received.transfer_syntax {
            source = source.as_data_set(syntax);
        }
        match &self.core.scratch {
            Some(dir) => source.with_scratch(dir),
            None => source,
        }
    }

    /// Makes the output and stages it.
    fn apply_and_stage(
        &self,
        plan: &Plan<'_>,
        names: Names,
        (claim, mut memory): Held,
        place: Place,
    ) -> AttemptResult {
        let assigned = Assignment::new(&*self.core.lookups, plan.wanted());
        let clean = match plan.apply(&names) {
            Ok(clean) => clean,
            Err(refusal) => return self.refused(refusal),
        };
        if let Err(error) = self.core.lookups.ready(clean.len()) {
            return AttemptResult::Failed(Error::Lookup(error));
        }
        let (staged, replaces) = match self.stage_at(place, &clean) {
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
                self.core.warn(
                    "cannot remove a temporary file; the next start does",
                    &error,
                );
            }
            return AttemptResult::Failed(error);
        }
        memory.resize(plan.memory().staged);
        let mut instance = self.new_instance(plan, names);
        instance.study.date_offset = clean.date_offset();
        instance.output_bytes = staged.bytes();
        instance.replaces = replaces;
        let patient = instance.names.patient.clone();
        instance.remarks.clone_from(clean.remarks());
        let bytes_in = self.opened.len();
        let mut receipt = Receipt::of_staged(&staged, patient, bytes_in, plan.warnings());
        receipt.remarks.clone_from(clean.remarks());
        let object = StagedObject {
            staged,
            instance,
            receipt,
            entries: self.entries(),
            claim,
            memory,
        };
        assigned.keep();
        AttemptResult::Staged(object)
    }

    /// Stages an output. Returns its digest too, if it replaces a stored object.
    fn stage_at(
        &self,
        place: Place,
        clean: &Deidentified<'_>,
    ) -> Result<(Staged, Option<[u8; 16]>), StoreError> {
        match place {
            Place::Free => Ok((self.core.store.stage(clean)?, None)),
            Place::Taken => {
                let digest = output_digest::of_output(clean).map_err(StoreError::Source)?;
                Ok((self.core.store.stage_over(clean)?, Some(digest)))
            }
        }
    }

    /// Returns the index record of the object, without what only the output shows.
    fn new_instance(&self, plan: &Plan<'_>, mut names: Names) -> NewInstance {
        let (captured, wanted) = (plan.captured().clone(), plan.wanted());
        // The output has them. Thousands may wait for a commit.
        names.uids = Vec::new();
        names.accessions = Vec::new();
        let mut study = captured.study;
        study.source = self.received.origin.clone().unwrap_or_default();
        NewInstance {
            patient_key: names
                .filed_under
                .clone()
                .unwrap_or_else(|| wanted.patient.clone()),
            study_uid: wanted.study.clone(),
            series_uid: wanted.series.clone(),
            instance_uid: wanted.instance.clone(),
            fingerprint: wanted.fingerprint,
            patient: captured.patient,
            study,
            accessions: captured.accessions,
            series: captured.series,
            output_bytes: 0,
            names,
            remarks: Remarks::default(),
            replaces: None,
        }
    }

    /// Returns the quarantine entries for the bytes of this object.
    fn entries(&self) -> Vec<EntryId> {
        let found = self.core.quarantine.find(&self.opened.original());
        found.unwrap_or_else(|error| {
            self.core
                .warn("cannot search the quarantine for this object", &error);
            Vec::new()
        })
    }
}

/// Returns a time in UTC.
fn moment(time: SystemTime) -> Moment {
    let time = time::OffsetDateTime::from(time);
    Moment {
        year: u16::try_from(time.year()).unwrap_or_default(),
        month: time.month().into(),
        day: time.day(),
        hour: time.hour(),
        minute: time.minute(),
        second: time.second(),
    }
}

/// Returns the result for an object that got no pseudonyms.
fn not_assigned(error: AssignError) -> AttemptResult {
    let reason = match error {
        AssignError::Conflict(conflict) => conflict.to_string(),
        AssignError::Backend(error) => return AttemptResult::Failed(Error::Lookup(error)),
        _ => "the lookup store returned no pseudonyms for this object".to_owned(),
    };
    AttemptResult::Refused(Refusal::new(Category::CapturePhiError, reason))
}

/// Returns the error for a source that cannot be read. A file that ends early has been cut meanwhile.
fn source_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::SourceChanged,
        _ => Error::Source(error),
    }
}

/// Returns the job for an object that is processed on its caller's thread.
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
