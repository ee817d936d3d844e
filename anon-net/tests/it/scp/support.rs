//! A well-behaved peer, scripted handlers, and a recording observer.

use std::io::BufRead;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anon_net::association::{Pdv, PdvKind, PdvPosition};
use anon_net::dimse::{
    self, Command, Incoming, Operation, Request, Response, Status, receive_command,
};
use anon_net::scp::{AssociationEnd, AssociationSummary, ScpEvent, ScpObserver, StoreOutcome};
use anon_net::testing::memory::{MemoryAssociation, MemoryPeer, pair};
use anon_net::{
    AeTitle, Association, BackendError, ContextId, Contexts, Error, HandlerResponse, Instance,
    InstanceHandler, InstanceUid, NegotiatedContexts, Outcome, Proposal, SupportedContexts, Uid,
};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// The contexts that every test peer proposes.
pub(crate) const ECHO_CONTEXT: u8 = 1;
pub(crate) const CT_CONTEXT: u8 = 3;
pub(crate) const FIND_CONTEXT: u8 = 5;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

pub(crate) fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

pub(crate) fn title(text: &str) -> AeTitle {
    text.parse().expect("a title")
}

pub(crate) fn context(id: u8) -> ContextId {
    ContextId::new(id).expect("an odd number")
}

pub(crate) fn proposal(calling: &str) -> Proposal {
    let mut contexts = Contexts::new();
    for (class, syntax) in [(VERIFICATION, IMPLICIT), (CT, EXPLICIT), (FIND, IMPLICIT)] {
        contexts
            .add(uid(class), vec![uid(syntax)])
            .expect("few contexts");
    }
    Proposal::new(title(calling), contexts)
}

pub(crate) fn supported() -> SupportedContexts {
    SupportedContexts::new()
        .with(uid(VERIFICATION), vec![uid(IMPLICIT)])
        .with(uid(CT), vec![uid(EXPLICIT), uid(IMPLICIT)])
        .with(uid(FIND), vec![uid(IMPLICIT)])
}

/// Returns both sides of an association in memory: the peer's, and the served one.
pub(crate) fn ends() -> (MemoryAssociation, MemoryAssociation) {
    let proposal = proposal("PEER");
    let results = supported().answer(&proposal.contexts);
    let contexts = NegotiatedContexts::new(&proposal.contexts, &results).expect("valid responses");
    let side = |name: &str| MemoryPeer {
        title: title(name),
        max_pdu_bytes: 16_384,
    };
    pair(&side("PEER"), &side("SCP"), &contexts)
}

pub(crate) fn echo(message_id: u16) -> Request {
    Request::new(Operation::Echo, message_id, uid(VERIFICATION))
}

pub(crate) fn store(message_id: u16, instance: &str) -> Request {
    let instance = InstanceUid::new(instance).expect("a UID");
    Request::new(Operation::Store, message_id, uid(CT)).with_instance(instance)
}

/// The operations of a well-behaved peer.
pub(crate) struct Peer<'a>(pub(crate) &'a mut dyn Association);

impl Peer<'_> {
    pub(crate) fn send(&mut self, on: u8, request: &Request) -> Result<(), Error> {
        let command = Command::Request(request.clone());
        dimse::send(self.0, context(on), &command, TIMEOUT)
    }

    pub(crate) fn send_with(
        &mut self,
        on: u8,
        request: &Request,
        body: &[u8],
    ) -> Result<(), Error> {
        let command = Command::Request(request.clone());
        dimse::send_with(self.0, context(on), &command, &mut &*body, TIMEOUT)
    }

    /// Sends a fragment unchanged.
    pub(crate) fn put(
        &mut self,
        on: u8,
        kind: PdvKind,
        position: PdvPosition,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let context = context(on);
        self.0.send(
            &[Pdv {
                context,
                kind,
                position,
                bytes,
            }],
            TIMEOUT,
        )
    }

    pub(crate) fn response(&mut self) -> TestResult<Response> {
        match receive_command(self.0, TIMEOUT)? {
            Incoming::Message {
                command: Command::Response(response),
                ..
            } => Ok(response),
            other => Err(format!("no response: {other:?}").into()),
        }
    }

    pub(crate) fn echo(&mut self) -> TestResult<Status> {
        self.send(ECHO_CONTEXT, &echo(1))?;
        Ok(self.response()?.status)
    }

    pub(crate) fn store(&mut self, instance: &str, body: &[u8]) -> TestResult<Status> {
        self.send_with(CT_CONTEXT, &store(2, instance), body)?;
        Ok(self.response()?.status)
    }
}

/// A handler that calls a function.
pub(crate) struct Scripted<F>(pub(crate) F);

impl<F> std::fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl<F> InstanceHandler for Scripted<F>
where
    F: Fn(&Instance, &mut dyn BufRead) -> Result<Outcome, BackendError> + Send + Sync,
{
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        (self.0)(instance, body).map(Into::into)
    }
}

/// An event that the observer recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordedEvent {
    Listening,
    Refused(anon_net::scp::ConnectionRefusal),
    Opened(String),
    Instance(StoreOutcome, u64),
    Ended(AssociationSummary),
}

#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<RecordedEvent>>);

impl Recorder {
    pub(crate) fn events(&self) -> Vec<RecordedEvent> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn endings(&self) -> Vec<AssociationEnd> {
        let ending = |event| match event {
            RecordedEvent::Ended(summary) => Some(summary.ending),
            _ => None,
        };
        self.events().into_iter().filter_map(ending).collect()
    }
}

impl ScpObserver for Recorder {
    fn on(&self, event: &ScpEvent<'_>) {
        let recorded = match event {
            ScpEvent::Listening { .. } => RecordedEvent::Listening,
            ScpEvent::Refused { refusal, .. } => RecordedEvent::Refused(*refusal),
            ScpEvent::Opened { calling, .. } => RecordedEvent::Opened(calling.to_string()),
            ScpEvent::Instance { outcome, bytes, .. } => RecordedEvent::Instance(*outcome, *bytes),
            ScpEvent::Ended { summary, .. } => RecordedEvent::Ended(**summary),
            _ => return,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(recorded);
    }
}
