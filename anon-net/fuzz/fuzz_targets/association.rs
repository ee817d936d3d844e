//! Feeds a stream of PDUs to an acceptor or a dialler, in reads of any length.
//!
//! The first byte selects the side, and whether a valid request or response comes first, so that the
//! input can reach data transfer and release. The second byte is the number of bytes per read.

#![no_main]

use std::io::{self, IoSlice};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anon_net::association::ul::{Acceptor, Transport, UlAssociation, UlDial};
use anon_net::{
    Association, Contexts, Error, Event, Pdv, PdvKind, PdvPosition, Proposal, SupportedContexts,
    Uid,
};
use libfuzzer_sys::fuzz_target;

const MAX_PDU_BYTES: u32 = 4096;
const NOW: Duration = Duration::ZERO;

#[derive(Debug)]
struct ScriptedTransport {
    rest: Vec<u8>,
    at: usize,
    step: usize,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Transport for ScriptedTransport {
    fn read(&mut self, buffer: &mut [u8], _: Instant) -> io::Result<usize> {
        let rest = self.rest.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len()).min(self.step);
        let (to, from) = (buffer.get_mut(..count), rest.get(..count));
        if let (Some(to), Some(from)) = (to, from) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Instant) -> io::Result<usize> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = sent.len();
        for part in parts {
            sent.extend_from_slice(part);
        }
        Ok(sent.len() - before)
    }

    fn finish(&mut self) {}

    fn reset(&mut self) {}
}

fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

fn acceptor() -> Acceptor {
    let supported = SupportedContexts::new()
        .with(uid("1.2.1"), vec![uid("1.2.10")])
        .with_scp_role(uid("1.2.1"));
    Acceptor::new("ACCEPTOR".parse().expect("a title"), supported)
        .with_max_pdu_bytes(MAX_PDU_BYTES)
        .with_any_called_title()
}

fn proposal() -> Proposal {
    let mut contexts = Contexts::new();
    contexts
        .add(uid("1.2.1"), vec![uid("1.2.10")])
        .expect("a context");
    contexts.take_scp_role(uid("1.2.1"));
    Proposal::new("REQUESTOR".parse().expect("a title"), contexts).with_max_pdu_bytes(MAX_PDU_BYTES)
}

fn dial(wire: ScriptedTransport) -> Result<UlAssociation, Error> {
    let node = "ACCEPTOR@here:104".parse().expect("a node");
    UlDial::new().dial_over(Box::new(wire), &node, &proposal(), NOW)
}

fn wire(rest: Vec<u8>, step: usize) -> (ScriptedTransport, Arc<Mutex<Vec<u8>>>) {
    let sent = Arc::<Mutex<Vec<u8>>>::default();
    let wire = ScriptedTransport {
        rest,
        at: 0,
        step,
        sent: Arc::clone(&sent),
    };
    (wire, sent)
}

fn take(sent: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The association request of our dialler, and the response of our acceptor.
static OPENING: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(opening);

fn opening() -> (Vec<u8>, Vec<u8>) {
    let (silent, sent) = wire(Vec::new(), 1);
    assert!(dial(silent).is_err());
    let request = take(&sent);
    let (asking, sent) = wire(request.clone(), usize::MAX);
    let accepted = acceptor().accept_over(Box::new(asking));
    let answer = take(&sent);
    assert!(accepted.is_ok());
    (request, answer)
}

/// Checks that the sent bytes are whole PDUs, none of them longer than the peer accepts.
fn check_pdus(mut sent: &[u8], longest: u32) {
    while !sent.is_empty() {
        let (head, rest) = sent.split_first_chunk::<6>().expect("a header");
        let [kind, 0, a, b, c, d] = *head else {
            panic!("a reserved byte");
        };
        assert!((1..=7).contains(&kind));
        let length = u32::from_be_bytes([a, b, c, d]);
        assert!(kind != 4 || length <= longest);
        sent = rest.get(length as usize..).expect("a body");
    }
}

/// Echoes fragments until the association ends.
fn echo_fragments(association: &mut UlAssociation) {
    let mut bytes = 0;
    loop {
        let (context, echo) = match association.receive(NOW) {
            Ok(Event::Pdv(pdv)) => {
                assert!(pdv.bytes.len() <= MAX_PDU_BYTES as usize - 6);
                bytes += pdv.bytes.len();
                (pdv.context, pdv.bytes.to_vec())
            }
            Ok(Event::Release) => {
                let _ = association.release(NOW);
                break;
            }
            Err(error) => {
                assert!(!matches!(error, Error::TimedOut { .. } | Error::Closed));
                break;
            }
        };
        assert_eq!(association.fragment(), echo);
        assert!(association.contexts().get(context).is_some());
        let pdv = Pdv {
            context,
            kind: PdvKind::Command,
            position: PdvPosition::Last,
            bytes: &echo,
        };
        if bytes % 5 == 0 {
            let _ = association.release(NOW);
            break;
        }
        let _ = association.send(&[pdv, pdv], NOW);
    }
    assert!(matches!(association.receive(NOW), Err(Error::Closed)));
}

fuzz_target!(|data: &[u8]| {
    let Some((&[mode, step], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (request, answer) = &*OPENING;
    let dials = mode & 1 != 0;
    let mut input = match (mode & 2 != 0, dials) {
        (false, _) => Vec::new(),
        (true, true) => answer.clone(),
        (true, false) => request.clone(),
    };
    input.extend_from_slice(rest);
    let (peer, sent) = wire(input, usize::from(step).max(1));
    let opened = if dials {
        dial(peer)
    } else {
        acceptor().accept_over(Box::new(peer))
    };
    let longest = opened.map_or(0, |mut association| {
        let longest = association.max_pdu_bytes();
        echo_fragments(&mut association);
        longest
    });
    check_pdus(&take(&sent), longest);
});
