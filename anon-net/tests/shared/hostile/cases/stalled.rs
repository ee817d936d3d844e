//! Peers that keep a connection open without progress. Other peers must be served meanwhile.

use std::time::Duration;

use super::super::Allowed::{AnyAbort, AnyReject, Close};
use super::super::object::{ct, fresh_uid};
use super::super::peer::{CaseResult, Reaction};
use super::super::wire::{CT, Command, data, pdv};
use super::super::{Allowed, HostileCase};

/// The server ends the connection.
const ENDED: &[Allowed] = &[AnyAbort, Close];

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "a silent connection",
        allowed: ENDED,
        play: |runner| {
            let peer = runner.connect()?;
            Ok(runner.hold(peer))
        },
    },
    HostileCase {
        name: "an incomplete A-ASSOCIATE-RQ",
        allowed: ENDED,
        play: |runner| {
            let mut peer = runner.connect()?;
            let request = runner.request().bytes();
            peer.send(request.get(..request.len() / 2).unwrap_or_default());
            Ok(runner.hold(peer))
        },
    },
    HostileCase {
        name: "an incomplete PDU header",
        allowed: ENDED,
        play: |runner| {
            let mut peer = runner.connect()?;
            peer.send(&[1, 0, 0]);
            Ok(runner.hold(peer))
        },
    },
    HostileCase {
        // The ARTIM timer starts with the connection and is not restarted by data.
        name: "a slow A-ASSOCIATE-RQ",
        allowed: ENDED,
        play: |runner| {
            let mut peer = runner.connect()?;
            let request = runner.request().bytes();
            for (at, byte) in request.iter().take(40).enumerate() {
                peer.send(&[*byte]);
                if at % 20 == 0 {
                    runner.check_good_peer();
                }
                if let Reaction::Closed | Reaction::Aborted(..) =
                    peer.reaction_within(Duration::from_millis(50))
                {
                    return Ok(Reaction::Closed);
                }
            }
            Ok(runner.hold(peer))
        },
    },
    HostileCase {
        name: "200 silent connections",
        allowed: ENDED,
        play: |runner| {
            let mut peers = (0..200)
                .map(|_| runner.connect())
                .collect::<CaseResult<Vec<_>>>()?;
            let last = peers.pop().ok_or(Reaction::Unreachable)?;
            Ok(runner.hold(last))
        },
    },
    HostileCase {
        // A server may reject associations over its limit (PS3.8 Table 9-21: 2, 3, 2).
        name: "100 idle associations",
        allowed: &[AnyReject],
        play: |runner| {
            let peers: Vec<_> = (0..100).map(|_| runner.associate()).collect();
            runner.check_good_peer();
            let is_unexpected = |it: &Reaction| !matches!(it, Reaction::Rejected(..));
            let unexpected = peers
                .iter()
                .filter_map(|peer| peer.as_ref().err())
                .find(|it| is_unexpected(it));
            Ok(unexpected.copied().unwrap_or(Reaction::NotWaitedFor))
        },
    },
    HostileCase {
        name: "an incomplete P-DATA-TF",
        allowed: ENDED,
        play: |runner| {
            let mut peer = runner.associate()?;
            let whole = Command::echo(1).pdu(1);
            peer.send(whole.get(..whole.len() / 2).unwrap_or_default());
            runner.check_good_peer();
            Ok(Reaction::NotWaitedFor)
        },
    },
    HostileCase {
        name: "a command without its data set",
        allowed: ENDED,
        play: |runner| {
            let mut peer = runner.associate()?;
            peer.send(&Command::store(1, CT, &fresh_uid()).pdu(3));
            runner.check_good_peer();
            Ok(Reaction::NotWaitedFor)
        },
    },
    HostileCase {
        name: "20 incomplete objects",
        allowed: ENDED,
        play: |runner| {
            let mut peers = Vec::new();
            for _ in 0..20 {
                let (mut peer, uid) = (runner.associate()?, fresh_uid());
                peer.send(&Command::store(1, CT, &uid).pdu(3));
                peer.send(&data(&[pdv(3, 0, &ct(&uid))]));
                peers.push(peer);
            }
            runner.check_good_peer();
            Ok(Reaction::NotWaitedFor)
        },
    },
    HostileCase {
        name: "a slow data set",
        allowed: ENDED,
        play: |runner| {
            let (mut peer, uid) = (runner.associate()?, fresh_uid());
            peer.send(&Command::store(1, CT, &uid).pdu(3));
            for chunk in ct(&uid).chunks(2).take(20) {
                peer.send(&data(&[pdv(3, 0, chunk)]));
                if let ended @ (Reaction::Closed | Reaction::Aborted(..)) =
                    peer.reaction_within(Duration::from_millis(50))
                {
                    return Ok(ended);
                }
            }
            runner.check_good_peer();
            Ok(Reaction::NotWaitedFor)
        },
    },
    HostileCase {
        name: "unread responses",
        allowed: ENDED,
        play: |runner| {
            let mut peer = runner.associate()?;
            let many = Command::echo(1).pdu(1).repeat(1000);
            // Until the buffers of both sides are full; at most 400 MB.
            let full = (0..4000).any(|_| !peer.send_within(&many, Duration::from_secs(1)));
            runner.check_good_peer();
            Ok(if full {
                Reaction::NotWaitedFor
            } else {
                Reaction::Unexpected
            })
        },
    },
];
