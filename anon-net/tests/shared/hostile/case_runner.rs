//! [`CaseRunner`]: the operations that most cases use.

use super::peer::{CaseResult, Peer, Reaction};
use super::wire::{Command, Request};
use super::{Target, well_behaved};

#[derive(Debug)]
pub(crate) struct CaseRunner<'a> {
    target: &'a Target,
    during: Option<bool>,
}

impl<'a> CaseRunner<'a> {
    pub(super) fn new(target: &'a Target) -> Self {
        Self {
            target,
            during: None,
        }
    }

    pub(super) fn during(&self) -> Option<bool> {
        self.during
    }

    /// Returns a valid association request.
    pub(super) fn request(&self) -> Request {
        Request::new(&self.target.called)
    }

    pub(super) fn connect(&self) -> CaseResult<Peer> {
        Peer::connect(self.target.address, self.target.timeout)
    }

    /// Opens an association with the contexts of [`Request::new`].
    pub(super) fn associate(&self) -> CaseResult<Peer> {
        self.associate_with(&self.request())
    }

    pub(super) fn associate_with(&self, request: &Request) -> CaseResult<Peer> {
        Peer::associate(self.target.address, request, self.target.timeout)
    }

    /// Sends bytes on a new connection.
    pub(super) fn raw(&self, bytes: &[u8]) -> CaseResult {
        let mut peer = self.connect()?;
        peer.send(bytes);
        Ok(peer.reaction())
    }

    /// Sends bytes on a new association.
    pub(super) fn then(&self, bytes: &[u8]) -> CaseResult {
        let mut peer = self.associate()?;
        peer.send(bytes);
        Ok(peer.reaction())
    }

    /// Requests an association and sends a C-ECHO on it. Verification must be context 1.
    pub(super) fn echo_over(&self, request: &Request) -> CaseResult {
        let mut peer = self.associate_with(request)?;
        peer.send(&Command::echo(1).pdu(1));
        Ok(peer.reaction())
    }

    /// Sends this command set on the verification context.
    pub(super) fn echo_by(&self, command: &Command) -> CaseResult {
        self.then(&command.pdu(1))
    }

    /// Sends a C-STORE on the CT context with implicit VR.
    pub(super) fn store(&self, command: &Command, data_set: &[u8]) -> CaseResult {
        self.store_on(3, command, data_set)
    }

    /// Sends a C-STORE on a context, if it was accepted. Waits longer, because the data set may be
    /// long.
    pub(super) fn store_on(&self, context: u8, command: &Command, data_set: &[u8]) -> CaseResult {
        let mut peer = self.associate()?;
        peer.require_context(context)?;
        peer.message(context, command, data_set);
        Ok(peer.reaction_within(well_behaved::WITHIN))
    }

    /// Checks that a well-behaved peer is served now.
    pub(super) fn check_good_peer(&mut self) {
        let served = well_behaved::is_served(self.target);
        self.during = Some(self.during.unwrap_or(true) && served);
    }

    /// Keeps a connection open that the server should end after its ARTIM timeout. Without a
    /// declared timeout the server may keep it.
    pub(super) fn hold(&mut self, mut peer: Peer) -> Reaction {
        self.check_good_peer();
        match self.target.artim {
            Some(artim) => peer.reaction_within(artim + self.target.timeout),
            None => Reaction::NotWaitedFor,
        }
    }
}
