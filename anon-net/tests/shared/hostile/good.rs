//! The peer that did nothing wrong.

use std::time::Duration;

use super::super::wait::until;
use super::Target;
use super::object::{ct, fresh_uid};
use super::peer::{Peer, Played, Reaction};
use super::wire::{CT, Command, IMPLICIT, Request, VERIFICATION, context, release};

/// How soon a good peer must be served, whatever goes on.
pub(crate) const WITHIN: Duration = Duration::from_secs(6);

/// Whether a C-ECHO and a C-STORE succeed in time. A refusal or a broken association is tried again.
pub(crate) fn is_served(target: &Target) -> bool {
    let served = || Ok(association(target) == Ok(Reaction::Released));
    until("served", WITHIN, served).is_ok()
}

fn association(target: &Target) -> Played {
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
    succeeds(&mut peer)?;
    let uid = fresh_uid();
    peer.message(3, &Command::store(2, CT, &uid), &ct(&uid));
    succeeds(&mut peer)?;
    peer.send(&release());
    Ok(peer.reaction())
}

fn succeeds(peer: &mut Peer) -> Played<()> {
    match peer.reaction() {
        Reaction::Answered(0) => Ok(()),
        other => Err(other),
    }
}
