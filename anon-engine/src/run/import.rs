//! [`import`]: processes all objects of a source with an engine.

use std::collections::BTreeMap;
use std::io;

use anon_model::{Phi, Remarks};
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::error::Error;
use crate::keep::quarantine::QuarantineError;
use crate::refusal::Category;
use crate::run::cancel::Cancel;
use crate::run::engine::Engine;
use crate::run::event::{Event, Observer, Progress, notify};
use crate::run::receipt::{Outcome, Receipt};
use crate::run::source::{ObjectSource, SourceItem};

/// An import ends after this many failures in a row that are not the fault of a source. Trying a
/// million files does not free a full disk.
const MAX_FAILURES_IN_A_ROW: u32 = 64;

/// What an import did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImportSummary {
    /// Number of items that the source returned.
    pub found: u64,
    /// Number of objects stored.
    pub stored: u64,
    /// Number of objects that were stored before.
    pub duplicates: u64,
    /// Number of duplicates whose equal content is stored in another transfer syntax.
    pub other_transfer_syntax: u64,
    /// Number of items that are not DICOM objects and need not be: hidden files, archives, files
    /// without any sign of DICOM that nobody named.
    pub ignored: u64,
    /// Number of ignored items by reason.
    pub ignored_reasons: BTreeMap<String, u64>,
    /// Number of ignored items that are archives. What they hold was not read.
    pub archives: u64,
    /// Number of objects in quarantine, by category. Counts objects that were there before.
    pub quarantined: BTreeMap<Category, u64>,
    /// Number of items that could not be processed. Their sources are unchanged.
    pub failed: u64,
    /// Bytes of all items that did not fail.
    pub bytes_in: u64,
    /// Bytes of the outputs.
    pub bytes_out: u64,
    /// Number of stored objects without a Patient ID, which share one patient.
    pub shared_patient: u64,
    /// Number of stored objects whose pixels may show identifying text; see
    /// [`Warnings::burned_in_unknown`](crate::Warnings::burned_in_unknown).
    pub burned_in_unknown: u64,
    /// Number of objects refused for their SOP class, by its UID.
    pub invalid_classes: BTreeMap<String, u64>,
    /// The remarks on the stored objects.
    pub remarks: Remarks,
    /// Why the import ended before its source did, if it did.
    pub ended_early: Option<EndedEarly>,
    /// The first failure of the project (such as a full disk) in an import that did not end early.
    /// Objects that failed so can be stored by another import.
    pub project_failure: Option<Error>,
}

/// Why an import ended before its source did.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it was cancelled, or it failed")]
pub enum EndedEarly {
    /// [`Cancel::cancel`] was called.
    Cancelled,
    /// The engine cannot process more objects. Holds the first failure that shows it.
    Failed(Error),
}

impl ImportSummary {
    fn count(&mut self, result: &Result<Receipt, Error>) {
        let Ok(receipt) = result else {
            self.failed += 1;
            return;
        };
        self.bytes_in += receipt.bytes_in;
        self.bytes_out += receipt.bytes_out;
        match &receipt.outcome {
            Outcome::Stored { .. } => {
                self.stored += 1;
                self.shared_patient += u64::from(receipt.warnings.shared_patient);
                self.burned_in_unknown += u64::from(receipt.warnings.burned_in_unknown);
                self.remarks.add_all(&receipt.remarks);
            }
            Outcome::Duplicate { .. } => {
                self.duplicates += 1;
                self.other_transfer_syntax += u64::from(receipt.warnings.other_transfer_syntax);
            }
            Outcome::Ignored { reason, archive } => {
                self.ignored += 1;
                self.archives += u64::from(*archive);
                *self.ignored_reasons.entry(reason.clone()).or_default() += 1;
            }
            Outcome::Quarantined {
                category,
                sop_class,
                ..
            } => {
                *self.quarantined.entry(*category).or_default() += 1;
                if let Some(class) = sop_class {
                    *self.invalid_classes.entry(class.clone()).or_default() += 1;
                }
            }
        }
    }

    /// Returns the number of items that are finished: all but those that were found and not yet
    /// processed.
    pub fn done(&self) -> u64 {
        let quarantined: u64 = self.quarantined.values().sum();
        self.stored + self.duplicates + self.ignored + quarantined + self.failed
    }
}

/// An item that has been processed.
struct FinishedItem {
    number: u64,
    origin: Option<Phi<String>>,
    result: Result<Receipt, Error>,
}

/// An import that is running.
struct Import<'a> {
    observer: &'a dyn Observer,
    summary: ImportSummary,
    failures_in_a_row: u32,
}

/// Processes all objects of a source with the workers of an engine, and waits for the last receipt.
///
/// `observer` is called on this thread: with each item, in the order in which they finish, and with
/// the progress after each. A cancelled import takes no more items from the source and finishes those
/// in the engine. Memory does not grow with the number of items. Several imports may share an engine.
pub fn import(
    engine: &Engine,
    source: &mut dyn ObjectSource,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> ImportSummary {
    let (sender, receiver) = unbounded();
    let mut import = Import {
        observer,
        summary: ImportSummary::default(),
        failures_in_a_row: 0,
    };
    let bulk = engine.bulk();
    while import.summary.ended_early.is_none() {
        if cancel.is_cancelled() {
            import.summary.ended_early = Some(EndedEarly::Cancelled);
            break;
        }
        let Some(item) = source.next() else {
            break;
        };
        import.summary.found += 1;
        import.take(engine, item, &sender);
        // Finished items are reported before the next one is taken, so that they do not pile up.
        while let Ok(done) = receiver.try_recv() {
            import.report(done);
        }
    }
    drop((bulk, sender));
    import.finish(&receiver)
}

impl Import<'_> {
    fn take(&mut self, engine: &Engine, item: SourceItem, sender: &Sender<FinishedItem>) {
        let number = self.summary.found;
        match item {
            SourceItem::Object(received) => {
                let origin = received.origin().cloned();
                let sender = sender.clone();
                engine.submit(received, move |result| {
                    // Cannot fail: the receiver lives until the last sender is dropped.
                    let _ = sender.send(FinishedItem {
                        number,
                        origin,
                        result,
                    });
                });
            }
            SourceItem::Ignored { origin, reason } => {
                let outcome = Outcome::Ignored {
                    reason: reason.to_owned(),
                    archive: false,
                };
                let receipt = Receipt {
                    outcome,
                    bytes_in: 0,
                    bytes_out: 0,
                    warnings: crate::Warnings::default(),
                    remarks: Remarks::default(),
                };
                self.report(FinishedItem {
                    number,
                    origin: Some(origin),
                    result: Ok(receipt),
                });
            }
            SourceItem::Failed {
                origin,
                reason,
                error,
            } => {
                let kind = error.as_ref().map_or(io::ErrorKind::Other, io::Error::kind);
                let error = match error {
                    Some(error) => io::Error::new(kind, format!("{reason}: {error}")),
                    None => io::Error::new(kind, reason),
                };
                let result = Err(Error::Source(error));
                self.report(FinishedItem {
                    number,
                    origin: Some(origin),
                    result,
                });
            }
        }
    }

    fn report(&mut self, done: FinishedItem) {
        let FinishedItem {
            number,
            origin,
            result,
        } = done;
        self.summary.count(&result);
        let instance = Event::Instance {
            number,
            origin: origin.as_ref(),
            result: &result,
        };
        notify(self.observer, &instance);
        let progress = Progress {
            found: self.summary.found,
            done: self.summary.done(),
            bytes_in: self.summary.bytes_in,
        };
        notify(self.observer, &Event::Progress(progress));
        match result {
            Ok(_) => self.failures_in_a_row = 0,
            Err(error) => self.count_failure(error),
        }
    }

    /// Counts a failure. Ends the import if every further object would fail too.
    fn count_failure(&mut self, error: Error) {
        // A full quarantine fails only objects that belong there.
        if error.is_of_source() || matches!(error, Error::Quarantine(QuarantineError::Full)) {
            return;
        }
        if self.summary.ended_early.is_some() {
            return;
        }
        self.failures_in_a_row += 1;
        let will_repeat = error.remedy() == anon_model::Remedy::Stop
            || self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW;
        if will_repeat {
            self.summary.ended_early = Some(EndedEarly::Failed(error));
            self.summary.project_failure = None;
        } else {
            self.summary.project_failure.get_or_insert(error);
        }
    }

    fn finish(mut self, receiver: &Receiver<FinishedItem>) -> ImportSummary {
        // Each callback holds a sender, so this ends when all have been called.
        while let Ok(done) = receiver.recv() {
            self.report(done);
        }
        self.summary
    }
}
