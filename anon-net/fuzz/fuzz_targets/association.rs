//! A stream of PDUs into an acceptor, or into a dialler, in reads of any length.
//!
//! The first byte says which side it is, and whether a proposal (or an answer) that is in order goes
//! before the rest, so that data and releases are reached; the second how many bytes a read gives.

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
struct Bytes {
    rest: Vec<u8>,
    at: usize,
    step: usize,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Transport for Bytes {
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
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let before = said.len();
        for part in parts {
            said.extend_from_slice(part);
        }
        Ok(said.len() - before)
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

fn dial(wire: Bytes) -> Result<UlAssociation, Error> {
    let node = "ACCEPTOR@here:104".parse().expect("a node");
    UlDial::new().dial_over(Box::new(wire), &node, &proposal(), NOW)
}

fn wire(rest: Vec<u8>, step: usize) -> (Bytes, Arc<Mutex<Vec<u8>>>) {
    let said = Arc::<Mutex<Vec<u8>>>::default();
    let wire = Bytes {
        rest,
        at: 0,
        step,
        said: Arc::clone(&said),
    };
    (wire, said)
}

fn take(said: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What our dialler says first, and what our acceptor answers to it.
static OPENING: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(opening);

fn opening() -> (Vec<u8>, Vec<u8>) {
    let (silent, said) = wire(Vec::new(), 1);
    assert!(dial(silent).is_err());
    let request = take(&said);
    let (asking, said) = wire(request.clone(), usize::MAX);
    let accepted = acceptor().accept_over(Box::new(asking));
    let answer = take(&said);
    assert!(accepted.is_ok());
    (request, answer)
}

/// Everything that is said is whole PDUs, and none is longer than the peer takes.
fn whole(mut said: &[u8], longest: u32) {
    while !said.is_empty() {
        let (head, rest) = said.split_first_chunk::<6>().expect("a header");
        let [kind, 0, a, b, c, d] = *head else {
            panic!("a reserved byte");
        };
        assert!((1..=7).contains(&kind));
        let length = u32::from_be_bytes([a, b, c, d]);
        assert!(kind != 4 || length <= longest);
        said = rest.get(length as usize..).expect("a body");
    }
}

/// Uses an association as a service does, until it ends.
fn talk(association: &mut UlAssociation) {
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
    let Some((&[how, step], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (request, answer) = &*OPENING;
    let dials = how & 1 != 0;
    let mut says = match (how & 2 != 0, dials) {
        (false, _) => Vec::new(),
        (true, true) => answer.clone(),
        (true, false) => request.clone(),
    };
    says.extend_from_slice(rest);
    let (peer, said) = wire(says, usize::from(step).max(1));
    let made = if dials {
        dial(peer)
    } else {
        acceptor().accept_over(Box::new(peer))
    };
    let longest = made.map_or(0, |mut association| {
        let longest = association.max_pdu_bytes();
        talk(&mut association);
        longest
    });
    whole(&take(&said), longest);
});
