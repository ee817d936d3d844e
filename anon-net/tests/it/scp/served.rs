//! One association that is served, in memory.

use std::sync::Arc;
use std::thread;

use anon_net::dimse::Status;
use anon_net::scp::{AssociationEnd, AssociationSummary, Service};
use anon_net::testing::MemoryHandler;
use anon_net::testing::memory::MemoryAssociation;
use anon_net::{Association, Error, InstanceHandler};

use super::support::{PATIENCE, Peer, Tested, ends};

/// Serves one association while `peer` talks to it; how it went.
#[track_caller]
pub(super) fn with(
    service: &Service,
    peer: impl FnOnce(&mut MemoryAssociation) -> Tested,
) -> AssociationSummary {
    let (mut ours, mut theirs) = ends();
    thread::scope(|scope| {
        let served = scope.spawn(|| service.serve(&mut theirs, None));
        peer(&mut ours).expect("the peer gets through");
        served.join().expect("the service ends")
    })
}

pub(super) fn service(handler: impl InstanceHandler + 'static) -> Service {
    Service::new(Arc::new(handler)).with_dimse_timeout(PATIENCE)
}

pub(super) fn memory() -> Service {
    service(MemoryHandler::new(1 << 20))
}

/// The answer to one message; the same association then answers a C-ECHO, and is released.
#[track_caller]
pub(super) fn answer(
    service: &Service,
    say: impl FnOnce(&mut Peer<'_>) -> Tested,
) -> (Status, AssociationSummary) {
    let mut status = None;
    let summary = with(service, |association| {
        let mut peer = Peer(association);
        say(&mut peer)?;
        status = Some(peer.response()?.status);
        assert_eq!(peer.echo()?, Status::SUCCESS);
        Ok(association.release(PATIENCE)?)
    });
    assert_eq!(summary.ending, AssociationEnd::Released);
    (status.expect("an answer"), summary)
}

/// The association is aborted on what the peer says.
#[track_caller]
pub(super) fn aborted(
    service: &Service,
    say: impl FnOnce(&mut Peer<'_>) -> Tested,
) -> AssociationEnd {
    let summary = with(service, |association| {
        say(&mut Peer(association))?;
        match association.receive(PATIENCE) {
            Err(Error::Aborted { .. }) => Ok(()),
            other => Err(format!("not aborted: {other:?}").into()),
        }
    });
    summary.ending
}
