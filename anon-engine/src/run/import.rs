//! [`import`]: takes everything from a source through an engine.

use std::collections::BTreeMap;
use std::io;

use anon_model::Phi;
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::error::Error;
use crate::keep::quarantine::QuarantineError;
use crate::refusal::Category;
use crate::run::cancel::Cancel;
use crate::run::engine::Engine;
use crate::run::event::{Event, Observer, Progress, notify};
use crate::run::receipt::{Outcome, Receipt};
use crate::run::source::{ObjectSource, SourceItem};

/// Failures in a row, of the project and not of a source, after which an import ends: a full disk
/// does not get better by trying a million files.
const FAILURES_IN_A_ROW: u32 = 64;

/// What an import did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImportSummary {
    /// Items that the source showed.
    pub found: u64,
    /// Objects stored.
    pub stored: u64,
    /// Objects that were stored before.
    pub duplicates: u64,
    /// Items that are none of ours.
    pub ignored: u64,
    /// Objects in quarantine, by category. An object that was there before is counted again.
    pub quarantined: BTreeMap<Category, u64>,
    /// Items that came to no outcome. Their sources are as they were.
    pub failed: u64,
    /// Bytes of everything that came to an outcome.
    pub bytes_in: u64,
    /// Bytes of the outputs.
    pub bytes_out: u64,
    /// Objects stored that name no patient and share one.
    pub shared_patient: u64,
    /// Objects stored that do not say if their pixels show identifying text, of kinds that may.
    pub burned_in_unknown: u64,
    /// The storage classes of [`Category::InvalidStorageClass`], with counts.
    pub invalid_classes: BTreeMap<String, u64>,
    /// Why it ended before its source did.
    pub ended_early: Option<EndedEarly>,
}

/// Why an import ended before its source did.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "somebody wanted it, or something failed"
)]
pub enum EndedEarly {
    /// [`Cancel::cancel`] was called.
    Cancelled,
    /// The project can take no more: the first failure that says so.
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
            }
            Outcome::Duplicate { .. } => self.duplicates += 1,
            Outcome::Ignored { .. } => self.ignored += 1,
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

    /// Items that came to an outcome, or failed.
    pub fn done(&self) -> u64 {
        let quarantined: u64 = self.quarantined.values().sum();
        self.stored + self.duplicates + self.ignored + quarantined + self.failed
    }
}

struct FinishedItem {
    number: u64,
    origin: Option<Phi<String>>,
    result: Result<Receipt, Error>,
}

struct Import<'a> {
    observer: &'a dyn Observer,
    summary: ImportSummary,
    failures_in_a_row: u32,
}

/// Takes everything from a source through an engine with workers, and waits for the last receipt.
///
/// `observer` hears of each item in the order of completion, on this thread, and of progress after
/// each. A cancelled import takes no more from the source and finishes what is on its way. Memory
/// does not grow with the number of items. Several imports may go through one engine.
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
        // Reports what is done before taking more: the intake bounds the objects in flight.
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
                    // The receiver lives until the last sender is gone.
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
                };
                let receipt = Receipt {
                    outcome,
                    bytes_in: 0,
                    bytes_out: 0,
                    warnings: crate::Warnings::default(),
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
            Err(error) => self.note_failure(error),
        }
    }

    /// Ends the import after a failure that will repeat.
    fn note_failure(&mut self, error: Error) {
        // A full quarantine fails only the objects that belong there.
        if error.is_of_source() || matches!(error, Error::Quarantine(QuarantineError::Full)) {
            return;
        }
        self.failures_in_a_row += 1;
        let hopeless = error.remedy() == anon_model::Remedy::Stop
            || self.failures_in_a_row >= FAILURES_IN_A_ROW;
        if hopeless && self.summary.ended_early.is_none() {
            self.summary.ended_early = Some(EndedEarly::Failed(error));
        }
    }

    fn finish(mut self, receiver: &Receiver<FinishedItem>) -> ImportSummary {
        // Ends when every callback has been called: each holds a sender.
        while let Ok(done) = receiver.recv() {
            self.report(done);
        }
        self.summary
    }
}
