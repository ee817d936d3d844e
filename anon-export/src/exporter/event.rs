//! Events of an export, and the reports at its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::report::{Counts, ExportReport};
use crate::{Error, KeyPart, ObjectKey};

/// The result of a patient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PatientReport {
    /// The patient.
    pub patient: KeyPart,
    /// The counts of its objects. All zero if the export ended before the patient was started.
    pub counts: Counts,
    /// The first error of the patient, or the error that ended the export if objects of the patient
    /// are left.
    pub error: Option<Arc<Error>>,
}

/// An event of an export.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportEvent<'e> {
    /// A patient was started.
    PatientStarted {
        /// The patient.
        patient: &'e KeyPart,
    },
    /// Bytes read since the last event of this kind, including those of failed attempts.
    Progress {
        /// The number of bytes.
        bytes: u64,
    },
    /// An object was sent. In a dry run: it would be sent.
    Sent {
        /// The key of the object.
        key: &'e ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// The destination's warning.
        warning: Option<&'e str>,
        /// The name of the transfer syntax that the object was rewritten into, if it was.
        rewritten: Option<&'static str>,
    },
    /// The destination already has an object.
    Skipped {
        /// The key of the object.
        key: &'e ObjectKey,
        /// Its length in bytes.
        len: u64,
    },
    /// An attempt failed, and another one follows.
    Retrying {
        /// The object. `None` if listing or checking the destination failed.
        key: Option<&'e ObjectKey>,
        /// The number of the failed attempt, counted from 1.
        attempt: u32,
        /// Why.
        error: &'e Error,
        /// The wait before the next attempt.
        wait: Duration,
    },
    /// An object could not be sent.
    Failed {
        /// The key of the object.
        key: &'e ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// Why.
        error: &'e Error,
    },
    /// A patient is finished. If an error ends the export, each remaining patient gets this event,
    /// also one that was not started. If the export is cancelled, remaining patients do not.
    PatientEnded {
        /// Its result.
        report: &'e PatientReport,
    },
    /// A selected patient does not exist in the source.
    UnknownPatient {
        /// The patient.
        patient: &'e KeyPart,
    },
    /// A selected study does not exist in the source.
    UnknownStudy {
        /// The study.
        study: &'e KeyPart,
    },
}

/// Receives the events of an export, on the threads where they happen.
///
/// Events of one object arrive in order, between the start and the end of its patient. A slow
/// observer slows the export down.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Receives an event.
    fn event(&self, event: &ExportEvent<'_>);
}

/// An observer that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a unit struct has no fields to add"
)]
pub struct Quiet;

impl Observer for Quiet {
    fn event(&self, _: &ExportEvent<'_>) {}
}

/// The error of an export that ended early.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExportError {
    /// Why.
    pub error: Arc<Error>,
    /// What was done before the error.
    pub report: Box<ExportReport>,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { sent, failed, .. } = self.report.counts;
        write!(f, "the export ended after {sent} sent, {failed} failed")
    }
}

impl std::error::Error for ExportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Observer>();
    shared::<ExportError>();
};
