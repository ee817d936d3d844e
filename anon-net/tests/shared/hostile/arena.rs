//! Where a case is played: what most of them do.

use super::peer::{Peer, Played, Reaction};
use super::wire::{Command, Request};
use super::{Target, good};

#[derive(Debug)]
pub(crate) struct Arena<'a> {
    target: &'a Target,
    during: Option<bool>,
}

impl<'a> Arena<'a> {
    pub(super) fn new(target: &'a Target) -> Self {
        Self {
            target,
            during: None,
        }
    }

    pub(super) fn during(&self) -> Option<bool> {
        self.during
    }

    /// A request that is right.
    pub(super) fn request(&self) -> Request {
        Request::new(&self.target.called)
    }

    pub(super) fn connect(&self) -> Played<Peer> {
        Peer::connect(self.target.address, self.target.patience)
    }

    /// An association with the contexts of [`Request::new`].
    pub(super) fn associate(&self) -> Played<Peer> {
        self.associate_with(&self.request())
    }

    pub(super) fn associate_with(&self, request: &Request) -> Played<Peer> {
        Peer::associate(self.target.address, request, self.target.patience)
    }

    /// Sends bytes on a fresh connection.
    pub(super) fn raw(&self, bytes: &[u8]) -> Played {
        let mut peer = self.connect()?;
        peer.send(bytes);
        Ok(peer.reaction())
    }

    /// Sends bytes on a fresh association.
    pub(super) fn then(&self, bytes: &[u8]) -> Played {
        let mut peer = self.associate()?;
        peer.send(bytes);
        Ok(peer.reaction())
    }

    /// Asks for an association, and uses it if it comes: verification has to be its context 1.
    pub(super) fn echo_over(&self, request: &Request) -> Played {
        let mut peer = self.associate_with(request)?;
        peer.send(&Command::echo(1).pdu(1));
        Ok(peer.reaction())
    }

    /// A C-ECHO of another command set, on the verification context.
    pub(super) fn echo_by(&self, command: &Command) -> Played {
        self.then(&command.pdu(1))
    }

    /// A C-STORE to the CT context in implicit VR.
    pub(super) fn store(&self, command: &Command, data_set: &[u8]) -> Played {
        self.store_on(3, command, data_set)
    }

    /// To an accepted context; a long data set may take its time.
    pub(super) fn store_on(&self, context: u8, command: &Command, data_set: &[u8]) -> Played {
        let mut peer = self.associate()?;
        peer.needs(context)?;
        peer.message(context, command, data_set);
        Ok(peer.reaction_within(good::WITHIN))
    }

    /// Meanwhile a good peer comes by.
    pub(super) fn good_peer(&mut self) {
        let served = good::is_served(self.target);
        self.during = Some(self.during.unwrap_or(true) && served);
    }

    /// Holds a connection that the server should end in its time; a server that told no time may hold
    /// it for as long as it likes.
    pub(super) fn hold(&mut self, mut peer: Peer) -> Reaction {
        self.good_peer();
        match self.target.artim {
            Some(artim) => peer.reaction_within(artim + self.target.patience),
            None => Reaction::Held,
        }
    }
}
