//! What an export tells: events while it goes on, and a report at its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::report::{Counts, ExportReport};
use crate::{Error, KeyPart, ObjectKey};

/// What became of a patient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PatientReport {
    /// Who.
    pub patient: KeyPart,
    /// What became of the objects. Nothing at all of a patient that was not begun when the export ended
    /// early.
    pub counts: Counts,
    /// The first error; that which ended the export, if it left objects of this patient.
    pub error: Option<Arc<Error>>,
}

/// What happens in an export.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportEvent<'e> {
    /// A patient is begun.
    PatientStarted {
        /// Who.
        patient: &'e KeyPart,
    },
    /// So many bytes of objects are on their way since the last event of this kind. Those of a try
    /// that fails are among them.
    Progress {
        /// Bytes.
        bytes: u64,
    },
    /// An object was put. In a dry run: it would be.
    Sent {
        /// Which.
        key: &'e ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// What the destination remarked.
        warning: Option<&'e str>,
    },
    /// The destination has an object.
    Skipped {
        /// Which.
        key: &'e ObjectKey,
        /// Its length in bytes.
        len: u64,
    },
    /// A try failed, and another one follows.
    Retrying {
        /// Which object; none if it is a listing, or the destination as such.
        key: Option<&'e ObjectKey>,
        /// Which try failed, from 1 on.
        attempt: u32,
        /// Why.
        error: &'e Error,
        /// How long until the next.
        wait: Duration,
    },
    /// An object could not be put.
    Failed {
        /// Which.
        key: &'e ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// Why.
        error: &'e Error,
    },
    /// All of a patient was looked at, or an error ended the export: then each patient that was selected
    /// has this event, also one that was not begun. Not so when it is cancelled.
    PatientEnded {
        /// What became of it.
        report: &'e PatientReport,
    },
    /// A patient was selected that the source does not have.
    UnknownPatient {
        /// Who.
        patient: &'e KeyPart,
    },
    /// A study was selected that the source does not have.
    UnknownStudy {
        /// Which.
        study: &'e KeyPart,
    },
}

/// Hears what happens in an export, on the threads where it happens.
///
/// Events of one object come in order, between those of the begin and the end of its patient. Who
/// takes long holds up the export.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Something happened.
    fn event(&self, event: &ExportEvent<'_>);
}

/// An observer that hears nothing.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to it")]
pub struct Quiet;

impl Observer for Quiet {
    fn event(&self, _: &ExportEvent<'_>) {}
}

/// Why an export ended early.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExportError {
    /// Why.
    pub error: Arc<Error>,
    /// What was done until then.
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
