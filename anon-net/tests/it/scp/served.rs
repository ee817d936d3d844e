//! Serving one association in memory.

use std::sync::Arc;
use std::thread;

use anon_net::dimse::Status;
use anon_net::scp::{AssociationEnd, AssociationSummary, Service};
use anon_net::testing::MemoryHandler;
use anon_net::testing::memory::MemoryAssociation;
use anon_net::{Association, Error, InstanceHandler};

use super::support::{Peer, TIMEOUT, TestResult, ends};

/// Serves one association while `peer` uses it. Returns the summary.
#[track_caller]
pub(super) fn with(
    service: &Service,
    peer: impl FnOnce(&mut MemoryAssociation) -> TestResult,
) -> AssociationSummary {
    let (mut ours, mut theirs) = ends();
    thread::scope(|scope| {
        let served = scope.spawn(|| service.serve(&mut theirs, None));
        peer(&mut ours).expect("the peer is served");
        served.join().expect("the service ends")
    })
}

pub(super) fn service(handler: impl InstanceHandler + 'static) -> Service {
    Service::new(Arc::new(handler)).with_dimse_timeout(TIMEOUT)
}

pub(super) fn memory() -> Service {
    service(MemoryHandler::new(1 << 20))
}

/// Returns the response to one message. Checks that the association then serves a C-ECHO and is
/// released.
#[track_caller]
pub(super) fn single_response(
    service: &Service,
    act: impl FnOnce(&mut Peer<'_>) -> TestResult,
) -> (Status, AssociationSummary) {
    let mut status = None;
    let summary = with(service, |association| {
        let mut peer = Peer(association);
        act(&mut peer)?;
        status = Some(peer.response()?.status);
        assert_eq!(peer.echo()?, Status::SUCCESS);
        Ok(association.release(TIMEOUT)?)
    });
    assert_eq!(summary.ending, AssociationEnd::Released);
    (status.expect("a response"), summary)
}

/// Checks that the association is aborted.
#[track_caller]
pub(super) fn aborted(
    service: &Service,
    act: impl FnOnce(&mut Peer<'_>) -> TestResult,
) -> AssociationEnd {
    let summary = with(service, |association| {
        act(&mut Peer(association))?;
        match association.receive(TIMEOUT) {
            Err(Error::Aborted { .. }) => Ok(()),
            other => Err(format!("not aborted: {other:?}").into()),
        }
    });
    summary.ending
}
