//! Peers that hold a connection and do nothing good with it. During each, somebody else is served.

use std::time::Duration;

use super::super::Allowed::{AnyAbort, AnyReject, Close};
use super::super::object::{ct, fresh_uid};
use super::super::peer::{Played, Reaction};
use super::super::wire::{CT, Command, data, pdv};
use super::super::{Allowed, Case};

/// The server ends what does not come to an end.
const ENDED: &[Allowed] = &[AnyAbort, Close];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a connection that says nothing",
        allowed: ENDED,
        play: |arena| {
            let peer = arena.connect()?;
            Ok(arena.hold(peer))
        },
    },
    Case {
        name: "half an A-ASSOCIATE-RQ",
        allowed: ENDED,
        play: |arena| {
            let mut peer = arena.connect()?;
            let request = arena.request().bytes();
            peer.send(request.get(..request.len() / 2).unwrap_or_default());
            Ok(arena.hold(peer))
        },
    },
    Case {
        name: "half a PDU header",
        allowed: ENDED,
        play: |arena| {
            let mut peer = arena.connect()?;
            peer.send(&[1, 0, 0]);
            Ok(arena.hold(peer))
        },
    },
    Case {
        // ARTIM runs from the connection on, not from the last byte.
        name: "an A-ASSOCIATE-RQ that drips",
        allowed: ENDED,
        play: |arena| {
            let mut peer = arena.connect()?;
            let request = arena.request().bytes();
            for (at, byte) in request.iter().take(40).enumerate() {
                peer.send(&[*byte]);
                if at % 20 == 0 {
                    arena.good_peer();
                }
                if let Reaction::Closed | Reaction::Aborted(..) =
                    peer.reaction_within(Duration::from_millis(50))
                {
                    return Ok(Reaction::Closed);
                }
            }
            Ok(arena.hold(peer))
        },
    },
    Case {
        name: "200 connections that say nothing",
        allowed: ENDED,
        play: |arena| {
            let mut peers = (0..200)
                .map(|_| arena.connect())
                .collect::<Played<Vec<_>>>()?;
            let last = peers.pop().ok_or(Reaction::Unreachable)?;
            Ok(arena.hold(last))
        },
    },
    Case {
        // A server may have no room for all of them, and says so (PS3.8 Table 9-21: 2, 3, 2).
        name: "100 associations that do nothing",
        allowed: &[AnyReject],
        play: |arena| {
            let peers: Vec<_> = (0..100).map(|_| arena.associate()).collect();
            arena.good_peer();
            let refused = |it: &Reaction| !matches!(it, Reaction::Rejected(..));
            let odd = peers
                .iter()
                .filter_map(|peer| peer.as_ref().err())
                .find(|it| refused(it));
            Ok(odd.copied().unwrap_or(Reaction::Held))
        },
    },
    Case {
        name: "half a P-DATA-TF",
        allowed: ENDED,
        play: |arena| {
            let mut peer = arena.associate()?;
            let whole = Command::echo(1).pdu(1);
            peer.send(whole.get(..whole.len() / 2).unwrap_or_default());
            arena.good_peer();
            Ok(Reaction::Held)
        },
    },
    Case {
        name: "a command whose data set does not come",
        allowed: ENDED,
        play: |arena| {
            let mut peer = arena.associate()?;
            peer.send(&Command::store(1, CT, &fresh_uid()).pdu(3));
            arena.good_peer();
            Ok(Reaction::Held)
        },
    },
    Case {
        name: "20 objects that do not end",
        allowed: ENDED,
        play: |arena| {
            let mut peers = Vec::new();
            for _ in 0..20 {
                let (mut peer, uid) = (arena.associate()?, fresh_uid());
                peer.send(&Command::store(1, CT, &uid).pdu(3));
                peer.send(&data(&[pdv(3, 0, &ct(&uid))]));
                peers.push(peer);
            }
            arena.good_peer();
            Ok(Reaction::Held)
        },
    },
    Case {
        name: "a data set that drips",
        allowed: ENDED,
        play: |arena| {
            let (mut peer, uid) = (arena.associate()?, fresh_uid());
            peer.send(&Command::store(1, CT, &uid).pdu(3));
            for chunk in ct(&uid).chunks(2).take(20) {
                peer.send(&data(&[pdv(3, 0, chunk)]));
                if let ended @ (Reaction::Closed | Reaction::Aborted(..)) =
                    peer.reaction_within(Duration::from_millis(50))
                {
                    return Ok(ended);
                }
            }
            arena.good_peer();
            Ok(Reaction::Held)
        },
    },
    Case {
        name: "answers that are not read",
        allowed: ENDED,
        play: |arena| {
            let mut peer = arena.associate()?;
            let many = Command::echo(1).pdu(1).repeat(1000);
            // Until neither side's buffers take any more; 400 MB at most.
            let full = (0..4000).any(|_| !peer.sent(&many, Duration::from_secs(1)));
            arena.good_peer();
            Ok(if full {
                Reaction::Held
            } else {
                Reaction::Nonsense
            })
        },
    },
];
