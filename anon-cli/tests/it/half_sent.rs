//! A sender that stops in the middle of an object.

use std::time::Duration;

use anon_engine::testing::files::{Place, Syntax, ct_small};
use anon_net::association::ul::UlDial;
use anon_net::dimse::{Command, Incoming, Request, receive_command, send};
use anon_net::{
    Association, ContextId, Contexts, Dial, Node, Operation, Pdv, PdvKind, PdvPosition, Proposal,
    Status,
};

use crate::serving::{CT, EXPLICIT, LONG, uid};
use crate::support::Test;

/// An association on which half of an object was sent.
#[derive(Debug)]
pub(crate) struct HalfSent {
    association: Box<dyn Association>,
    context: ContextId,
    rest: Vec<u8>,
}

impl HalfSent {
    /// Sends the command of a small CT image, and half of its data set.
    pub(crate) fn begin(node: &Node, place: &Place) -> Test<Self> {
        let mut contexts = Contexts::new();
        let context = contexts.add(uid(CT)?, vec![uid(EXPLICIT)?])?;
        let proposal = Proposal::new("HALTING".parse()?, contexts);
        let mut association = UlDial::new().dial(node, &proposal, LONG)?;
        let request = Request::new(Operation::Store, 1, uid(CT)?)
            .with_instance(place.instance_uid().parse()?);
        send(&mut *association, context, &Command::Request(request), LONG)?;
        let bytes = ct_small(place).write_data_set(Syntax::ExplicitLittle);
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let mut half_sent = Self {
            association,
            context,
            rest: rest.to_vec(),
        };
        half_sent.send(PdvPosition::More, first)?;
        Ok(half_sent)
    }

    /// Returns the longest PDU that the peer accepts.
    pub(crate) fn max_pdu_bytes(&self) -> u32 {
        self.association.max_pdu_bytes()
    }

    fn send(&mut self, position: PdvPosition, bytes: &[u8]) -> Test {
        let pdv = Pdv {
            context: self.context,
            kind: PdvKind::Data,
            position,
            bytes,
        };
        self.association.send(&[pdv], LONG)?;
        Ok(())
    }

    /// Sends the rest, and returns the status of the response.
    pub(crate) fn finish(mut self) -> Test<Status> {
        let rest = std::mem::take(&mut self.rest);
        self.send(PdvPosition::Last, &rest)?;
        let status = match receive_command(&mut *self.association, LONG)? {
            Incoming::Message {
                command: Command::Response(response),
                ..
            } => response.status,
            other => return Err(format!("no response: {other:?}").into()),
        };
        // It may have been closed already.
        let _ = self.association.release(Duration::from_secs(5));
        Ok(status)
    }
}
