//! A well-behaved peer.

use std::time::Duration;

use super::super::wait::until;
use super::Target;
use super::object::{ct, fresh_uid};
use super::peer::{CaseResult, Peer, Reaction};
use super::wire::{CT, Command, IMPLICIT, Request, VERIFICATION, context, release};

/// How soon a well-behaved peer must be served, whatever other peers do.
pub(crate) const WITHIN: Duration = Duration::from_secs(6);

/// Returns whether a C-ECHO and a C-STORE succeed in time. Retries after a rejection or a broken
/// association.
pub(crate) fn is_served(target: &Target) -> bool {
    let served = || Ok(association(target) == Ok(Reaction::Released));
    until("served", WITHIN, served).is_ok()
}

fn association(target: &Target) -> CaseResult {
    let request = Request {
        calling: b"GOOD".to_vec(),
        contexts: vec![
            context(1, VERIFICATION, &[IMPLICIT]),
            context(3, CT, &[IMPLICIT]),
        ],
        ..Request::new(&target.called)
    };
    let mut peer = Peer::associate(target.address, &request, WITHIN / 2)?;
    peer.send(&Command::echo(1).pdu(1));
    expect_success(&mut peer)?;
    let uid = fresh_uid();
    peer.message(3, &Command::store(2, CT, &uid), &ct(&uid));
    expect_success(&mut peer)?;
    peer.send(&release());
    Ok(peer.reaction())
}

fn expect_success(peer: &mut Peer) -> CaseResult<()> {
    match peer.reaction() {
        Reaction::Responded(0) => Ok(()),
        other => Err(other),
    }
}
