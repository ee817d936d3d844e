//! The DICOM services as an SCU (PS3.4).
//!
//! ```text
//! Scu ── Dial ──► ScuAssociation: each response is checked against its request
//!  ├─ echo        C-ECHO     PS3.4 Annex A
//!  ├─ send        C-STORE    PS3.4 Annex B
//!  ├─ sender      C-STORE    one instance at a time
//!  ├─ find        C-FIND     PS3.4 Annex C: studies, accession numbers
//!  ├─ hierarchy   C-FIND     PS3.4 Annex C: series and instances; hierarchies: of several studies
//!  ├─ move_to     C-MOVE     PS3.4 Annex C: a peer sends to another node
//!  ├─ get         C-GET      PS3.4 Annex C: a peer sends on the same association
//!  └─ retrieve    all three  until every instance of a study has arrived
//! ```
//!
//! A [`Scu`] is cheap to clone and can be used by any number of threads: each call opens its own
//! associations. Every wait has a timeout ([`Timeouts`]).

pub mod cancel;
mod cancellable;
mod echo;
pub mod error;
pub mod find;
pub mod get;
pub mod hierarchy;
pub mod r#move;
pub(crate) mod responses;
pub mod retrieve;
pub(crate) mod root;
pub(crate) mod scu_association;
pub mod store;
pub mod transfer;

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

pub use cancel::Cancel;
pub use error::ServiceError;
pub use find::{FindReport, LeftOut, Query, StudyMatch};
pub use get::GetRequest;
pub use hierarchy::{Detail, HierarchyRequest, InstanceFilter, StudyHierarchy};
pub use r#move::MoveRequest;
pub use retrieve::{
    ErrorComment, InstanceState, LocalInstances, QueryLevel, RetrieveEvent, RetrieveMethod,
    RetrieveRequest, RetrieveStep, StudyReport,
};
pub use store::{
    FileMeta, SendError, SendEvent, SendItem, SendOutcome, SendReport, Sender, StorageContext,
};
pub use transfer::{PatientId, TransferFailure, TransferReport, TransferTarget};

use crate::association::{Dial, Proposal};
use crate::context::Contexts;
use crate::{AeTitle, Error, Node};
use scu_association::ScuAssociation;

/// How often a wait for an association checks whether it was cancelled.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The time limits for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// To accept the connection. 5 s.
    pub tcp: Duration,
    /// To answer an association request or a release request. 30 s; for a release after cancelling
    /// at most 2 s.
    pub acse: Duration,
    /// To answer a message. 30 s.
    pub dimse: Duration,
    /// To read what we send, and between the fragments of a data set. 1 min.
    pub network: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp: Duration::from_secs(5),
            acse: Duration::from_secs(30),
            dimse: Duration::from_secs(30),
            network: Duration::from_mins(1),
        }
    }
}

impl Timeouts {
    /// The same limit for all waits.
    pub fn all(timeout: Duration) -> Self {
        Self {
            tcp: timeout,
            acse: timeout,
            dimse: timeout,
            network: timeout,
        }
    }
}

/// How often a temporary failure is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// The number of attempts, including the first one. 0 counts as 1. Default: 3.
    pub attempts: u32,
    /// The pause before each retry. Default: 1 s.
    pub pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            pause: Duration::from_secs(1),
        }
    }
}

impl Retries {
    /// Creates a retry policy.
    pub fn new(attempts: u32, pause: Duration) -> Self {
        Self { attempts, pause }
    }
}

/// A service class user: requests services from other application entities.
///
/// # Examples
/// Verifies a node, here one in memory that never answers:
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use std::sync::Arc;
/// use anon_net::service::{Cancel, Scu};
/// use anon_net::testing::{Script, ScriptedPeer};
/// use anon_net::{Operation, Remedy, SupportedContexts, Uid};
///
/// let verification = Uid::new("1.2.840.10008.1.1")?;
/// let implicit = Uid::new("1.2.840.10008.1.2")?;
/// let peer = ScriptedPeer::new().then(
///     Script::accepting(SupportedContexts::new().with(verification, vec![implicit]))
///         .expect(Operation::Echo)
///         .silence()
///         .expect_abort(),
/// );
/// let scu = Scu::new(Arc::new(peer.clone()), "US".parse()?);
/// let error = scu.echo(&"ARCHIVE@localhost:104".parse()?, &Cancel::new()).unwrap_err();
/// assert_eq!(error.remedy(), Remedy::Retry);
/// peer.finish()?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scu {
    dial: Arc<dyn Dial>,
    title: AeTitle,
    timeouts: Timeouts,
    retries: Retries,
    max_pdu_bytes: u32,
}

impl Scu {
    /// Creates an SCU with this calling AE title, the default timeouts and retries, and a limit of
    /// 128 KiB per P-DATA-TF.
    pub fn new(dial: Arc<dyn Dial>, title: AeTitle) -> Self {
        Self {
            dial,
            title,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            max_pdu_bytes: 128 * 1024,
        }
    }

    /// Sets the time limits for peers.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Sets how often a temporary failure is retried.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// Sets the longest P-DATA-TF that is accepted, in bytes.
    #[must_use]
    pub fn with_max_pdu_bytes(self, max_pdu_bytes: u32) -> Self {
        Self {
            max_pdu_bytes,
            ..self
        }
    }

    /// Returns the time limits for peers.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Returns how often a temporary failure is retried.
    pub(crate) fn retries(&self) -> Retries {
        self.retries
    }

    /// Opens an association with these contexts. Once cancelled it returns without waiting for the
    /// dialler, and an association that opens later is aborted.
    pub(crate) fn open(
        &self,
        cancel: &Cancel,
        node: &Node,
        contexts: Contexts,
    ) -> Result<ScuAssociation, ServiceError> {
        let (dial, node) = (Arc::clone(&self.dial), node.clone());
        let (proposal, timeout) = (self.proposal(contexts), self.open_timeout());
        let (sender, receiver) = mpsc::sync_channel(1);
        let dialling = move || {
            // If nobody receives the association, it is dropped, which aborts it.
            let _ = sender.send(dial.dial(&node, &proposal, timeout));
        };
        thread::Builder::new()
            .name("anon-net-dial".to_owned())
            .spawn(dialling)
            .map_err(|error| Error::Connect { kind: error.kind() })?;
        loop {
            match receiver.recv_timeout(CANCEL_CHECK_INTERVAL) {
                Ok(dialled) => return Ok(ScuAssociation::new(dialled?, self.timeouts)),
                Err(_) if cancel.is_cancelled() => return Err(ServiceError::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Lost.into()),
            }
        }
    }

    fn proposal(&self, contexts: Contexts) -> Proposal {
        Proposal::new(self.title.clone(), contexts).with_max_pdu_bytes(self.max_pdu_bytes)
    }

    /// The time limit for opening an association.
    fn open_timeout(&self) -> Duration {
        self.timeouts.tcp + self.timeouts.acse
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Scu>();
    shared::<Cancel>();
    shared::<ServiceError>();
};
