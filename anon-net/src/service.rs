//! The services as their user (SCU): what another application entity is asked to do (PS3.4).
//!
//! ```text
//! Scu ── Dial ──► ScuAssociation: one association; every answer is checked against its request
//!  ├─ echo        C-ECHO     PS3.4 Annex A
//!  ├─ send        C-STORE    PS3.4 Annex B
//!  ├─ sender      C-STORE    one by one, as they come
//!  ├─ find        C-FIND     PS3.4 Annex C: studies, accession numbers
//!  ├─ hierarchy   C-FIND     PS3.4 Annex C: series and instances; hierarchies: of many studies
//!  ├─ move_to     C-MOVE     PS3.4 Annex C: a peer sends to a third
//!  ├─ get         C-GET      PS3.4 Annex C: a peer sends to us
//!  └─ retrieve    all three  until every instance of a study has arrived
//! ```
//!
//! A [`Scu`] is cheap to clone and serves any number of threads: each call opens associations of its
//! own. No call waits without a deadline ([`Timeouts`]).

pub mod cancel;
mod echo;
pub mod error;
pub mod find;
pub mod get;
pub mod hierarchy;
pub mod r#move;
pub(crate) mod responses;
pub mod retrieve;
pub(crate) mod scu_association;
pub mod store;
pub mod transfer;

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

pub use cancel::Cancel;
pub use error::ServiceError;
pub use find::{FindReport, Query, StudyMatch};
pub use get::GetRequest;
pub use hierarchy::{Detail, HierarchyRequest, InstanceFilter, StudyHierarchy};
pub use r#move::MoveRequest;
pub use retrieve::{
    InstanceState, LocalInstances, QueryLevel, RetrieveEvent, RetrieveMethod, RetrieveRequest,
    RetrieveStep, StudyReport,
};
pub use store::{
    FileMeta, SendError, SendEvent, SendItem, SendOutcome, SendReport, Sender, StorageContext,
};
pub use transfer::{TransferFailure, TransferReport, TransferTarget};

use crate::association::{Dial, Proposal};
use crate::context::Contexts;
use crate::{AeTitle, Error, Node};
use scu_association::ScuAssociation;

/// How long who waits for an association takes to notice that the end is wished.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How long a peer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until it takes the connection. 5 s.
    pub tcp: Duration,
    /// Until it answers a proposal or a release. 30 s; 2 s at most for a release once the end is wished.
    pub acse: Duration,
    /// Until it answers a message. 30 s.
    pub dimse: Duration,
    /// Until it reads what is sent, and between the fragments of a data set. 1 min.
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
    /// The same for each.
    pub fn all(timeout: Duration) -> Self {
        Self {
            tcp: timeout,
            acse: timeout,
            dimse: timeout,
            network: timeout,
        }
    }
}

/// How often something that may pass is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// How often in all, the first time too; at least once. 3.
    pub attempts: u32,
    /// How long to wait before each further try. 1 s.
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
    /// So often, with such a pause between.
    pub fn new(attempts: u32, pause: Duration) -> Self {
        Self { attempts, pause }
    }
}

/// A user of other application entities' services.
///
/// # Examples
/// Asking a node whether it is there, here one in memory that never answers:
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
    /// A user that calls itself `title`, with the default timeouts and retries, and a P-DATA-TF of
    /// 128 KiB as its limit.
    pub fn new(dial: Arc<dyn Dial>, title: AeTitle) -> Self {
        Self {
            dial,
            title,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            max_pdu_bytes: 128 * 1024,
        }
    }

    /// Sets how long a peer is waited for.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Sets how often something that may pass is tried.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// Sets the longest P-DATA-TF that is taken, in bytes.
    #[must_use]
    pub fn with_max_pdu_bytes(self, max_pdu_bytes: u32) -> Self {
        Self {
            max_pdu_bytes,
            ..self
        }
    }

    /// How long a peer is waited for.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// How often something that may pass is tried.
    pub(crate) fn retries(&self) -> Retries {
        self.retries
    }

    /// Opens an association of these contexts, and waits no longer once the end is wished: the dialler
    /// is left behind then, and what it opens is aborted.
    pub(crate) fn open(
        &self,
        cancel: &Cancel,
        node: &Node,
        contexts: Contexts,
    ) -> Result<ScuAssociation, ServiceError> {
        let (dial, node) = (Arc::clone(&self.dial), node.clone());
        let (proposal, patience) = (self.proposal(contexts), self.patience());
        let (tell, told) = mpsc::sync_channel(1);
        let dialling = move || {
            // Dropped, and so aborted, if nobody waits for it.
            let _ = tell.send(dial.dial(&node, &proposal, patience));
        };
        thread::Builder::new()
            .name("anon-net-dial".to_owned())
            .spawn(dialling)
            .map_err(|error| Error::Connect { kind: error.kind() })?;
        loop {
            match told.recv_timeout(CANCEL_CHECK_INTERVAL) {
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

    /// How long an association may take to open.
    fn patience(&self) -> Duration {
        self.timeouts.tcp + self.timeouts.acse
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Scu>();
    shared::<Cancel>();
    shared::<ServiceError>();
};
