//! [`ScriptedAssociation`]: the end of the association that the code under test uses.

use std::fmt;
use std::time::Duration;

use super::player::{Outgoing, ScriptPlayer};
use super::step::Fragment;
use crate::association::{Association, Event, Pdv, PdvKind, PdvPosition};
use crate::context::{ContextId, NegotiatedContexts};
use crate::{AeTitle, Error};

/// The parameters of the peer that the code under test sees.
#[derive(Debug)]
pub(super) struct PeerParameters {
    pub(super) peer: AeTitle,
    pub(super) contexts: NegotiatedContexts,
    pub(super) max_pdu_bytes: u32,
}

/// An association that plays a [`Script`](super::Script).
pub struct ScriptedAssociation {
    peer: PeerParameters,
    player: ScriptPlayer,
    /// The fragment of the last event.
    current: Fragment,
}

impl ScriptedAssociation {
    pub(super) fn new(peer: PeerParameters, player: ScriptPlayer) -> Self {
        Self {
            peer,
            player,
            current: Fragment {
                context: ContextId::FIRST,
                kind: PdvKind::Data,
                position: PdvPosition::Last,
                bytes: Vec::new(),
            },
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.player.is_open() {
            Ok(())
        } else {
            Err(Error::Closed)
        }
    }

    fn check(&self, pdvs: &[Pdv<'_>]) -> Result<(), Error> {
        let refused = |pdv: &&Pdv<'_>| self.peer.contexts.get(pdv.context).is_none();
        if let Some(pdv) = pdvs.iter().find(refused) {
            return Err(Error::Context { id: pdv.context });
        }
        let found = pdvs.iter().map(Pdv::pdu_bytes).sum();
        let limit = u64::from(self.peer.max_pdu_bytes);
        if found > limit {
            let what = "bytes of a PDU";
            return Err(Error::Limit { what, limit, found });
        }
        Ok(())
    }
}

impl Association for ScriptedAssociation {
    fn peer(&self) -> &AeTitle {
        &self.peer.peer
    }

    fn contexts(&self) -> &NegotiatedContexts {
        &self.peer.contexts
    }

    fn max_pdu_bytes(&self) -> u32 {
        self.peer.max_pdu_bytes
    }

    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        self.check_open()?;
        self.player.advance();
        if stop() {
            self.player.abort();
            return Err(Error::Cancelled);
        }
        self.check(pdvs)?;
        pdvs.iter()
            .try_for_each(|pdv| self.player.receive(*pdv, timeout))
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        self.current.bytes.clear();
        self.check_open()?;
        match self.player.next_outgoing(timeout)? {
            Outgoing::Release => Ok(Event::Release),
            Outgoing::Fragment(fragment) => {
                self.current = fragment;
                Ok(Event::Pdv(self.current.pdv()))
            }
        }
    }

    fn fragment(&self) -> &[u8] {
        &self.current.bytes
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        self.check_open()?;
        self.player.release(timeout)
    }

    fn abort(&mut self) {
        self.player.abort();
    }
}

impl Drop for ScriptedAssociation {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for ScriptedAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (played, left) = self.player.progress();
        f.debug_struct("ScriptedAssociation")
            .field("peer", &self.peer)
            .field("played", &played)
            .field("left", &left)
            .field("open", &self.player.is_open())
            .finish_non_exhaustive()
    }
}
