//! P-DATA-TF (PS3.8 section 9.3.5) and what else comes over an association that stands.
//!
//! Reasons of A-ABORT are those of PS3.8 Table 9-26: 1 unrecognised PDU, 2 unexpected PDU,
//! 4 unrecognised and 5 unexpected PDU parameter, 6 invalid value of one.

use super::super::Allowed::{AbortFor, AnyAbort, Anything, Close, Release, Status};
use super::super::object::{ct, fresh_uid};
use super::super::peer::Reaction;
use super::super::wire::{
    ASSOCIATE_AC, ASSOCIATE_RJ, COMMAND, CT, Command, DATA, FOUR_ZEROS, LAST, RELEASE_RP, abort,
    data, fragments, pdu, pdu_saying, pdv, pdv_saying, release,
};
use super::super::{Allowed, Case};

const WRONG: &[Allowed] = &[AbortFor(&[4, 5, 6])];
const WRONG_OR_LOST: &[Allowed] = &[AbortFor(&[4, 5, 6]), Close];
const UNEXPECTED: &[Allowed] = &[AbortFor(&[2])];
/// The PDU is right and the message is not: the service user's to say (PS3.7 has no word on it).
const NO_MESSAGE: &[Allowed] = &[AnyAbort];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "P-DATA-TF without a PDV",
        allowed: WRONG,
        play: |arena| arena.then(&pdu(DATA, &[])),
    },
    Case {
        name: "P-DATA-TF of 4 GB",
        allowed: WRONG_OR_LOST,
        play: |arena| arena.then(&pdu_saying(DATA, u32::MAX, &Command::echo(1).pdu(1))),
    },
    Case {
        // Receivers say what they take; some peers do not listen.
        name: "P-DATA-TF longer than the server takes",
        allowed: &[AbortFor(&[4, 5, 6]), Close, Status(0)],
        play: |arena| {
            let mut peer = arena.associate()?;
            let uid = fresh_uid();
            let mut set = ct(&uid);
            set.extend(super::super::wire::element(
                0x7FE1,
                0x0010,
                &vec![0; 1 << 20],
            ));
            peer.send(&Command::store(1, CT, &uid).pdu(3));
            peer.send(&data(&[pdv(3, LAST, &set)]));
            Ok(peer.reaction())
        },
    },
    Case {
        name: "a PDV of length 0",
        allowed: WRONG,
        play: |arena| arena.then(&pdu(DATA, &[0; 4])),
    },
    Case {
        name: "a PDV of length 1",
        allowed: WRONG,
        play: |arena| arena.then(&pdu(DATA, &[0, 0, 0, 1, 1])),
    },
    Case {
        name: "a PDV that overruns the PDU by one byte",
        allowed: WRONG,
        play: |arena| {
            let command = Command::echo(1).bytes();
            let length = u32::try_from(command.len() + 3).unwrap_or(u32::MAX);
            arena.then(&data(&[pdv_saying(length, 1, COMMAND | LAST, &command)]))
        },
    },
    Case {
        name: "a PDV of 4 GB",
        allowed: WRONG,
        play: |arena| {
            let command = Command::echo(1).bytes();
            arena.then(&data(&[pdv_saying(u32::MAX, 1, COMMAND | LAST, &command)]))
        },
    },
    Case {
        // The PDV before them is whole, and may be answered first.
        name: "bytes after the last PDV",
        allowed: WRONG,
        play: |arena| {
            let mut peer = arena.associate()?;
            let whole = pdv(1, COMMAND | LAST, &Command::echo(1).bytes());
            peer.send(&data(&[whole, vec![0, 0]]));
            match peer.reaction() {
                Reaction::Answered(0) => Ok(peer.reaction()),
                other => Ok(other),
            }
        },
    },
    Case {
        // PS3.8 Annex E.1 wants an even number of bytes in each; without harm if not.
        name: "PDVs of odd length",
        allowed: &[Status(0), AnyAbort],
        play: |arena| {
            let mut peer = arena.associate()?;
            let uid = fresh_uid();
            let command = Command::store(1, CT, &uid).bytes();
            peer.send(&fragments(3, COMMAND, &command, 7));
            peer.send(&fragments(3, 0, &ct(&uid), 5));
            Ok(peer.reaction())
        },
    },
    Case {
        // PS3.8 Annex E.1 wants one message in a PDU.
        name: "two commands in one PDU",
        allowed: &[Status(0), AnyAbort],
        play: |arena| {
            let both = [1, 2].map(|n| pdv(1, COMMAND | LAST, &Command::echo(n).bytes()));
            arena.then(&data(&both))
        },
    },
    Case {
        name: "a context id that was not proposed",
        allowed: WRONG,
        play: |arena| arena.then(&Command::echo(1).pdu(99)),
    },
    Case {
        name: "a context id that was refused",
        allowed: WRONG,
        play: |arena| arena.then(&Command::echo(1).pdu(7)),
    },
    Case {
        name: "context id 0",
        allowed: WRONG,
        play: |arena| arena.then(&Command::echo(1).pdu(0)),
    },
    Case {
        name: "an even context id",
        allowed: WRONG,
        play: |arena| arena.then(&Command::echo(1).pdu(2)),
    },
    Case {
        name: "a data set before a command",
        allowed: NO_MESSAGE,
        play: |arena| arena.then(&data(&[pdv(3, LAST, &ct(&fresh_uid()))])),
    },
    Case {
        name: "a data set on another context than its command",
        allowed: NO_MESSAGE,
        play: |arena| {
            let mut peer = arena.associate()?;
            peer.needs(3).and(peer.needs(5))?;
            let uid = fresh_uid();
            peer.send(&Command::store(1, CT, &uid).pdu(3));
            peer.send(&data(&[pdv(5, LAST, &ct(&uid))]));
            Ok(peer.reaction())
        },
    },
    Case {
        name: "a command within a data set",
        allowed: NO_MESSAGE,
        play: |arena| {
            let uid = fresh_uid();
            let half = data(&[pdv(3, 0, &[8, 0])]);
            let parts = [
                Command::store(1, CT, &uid).pdu(3),
                half,
                Command::echo(2).pdu(1),
            ];
            arena.then(&parts.concat())
        },
    },
    Case {
        name: "half a command, then a data set",
        allowed: NO_MESSAGE,
        play: |arena| {
            let command = Command::store(1, CT, &fresh_uid()).bytes();
            let half = command.get(..40).unwrap_or_default();
            arena.then(&data(&[
                pdv(3, COMMAND, half),
                pdv(3, LAST, &ct(&fresh_uid())),
            ]))
        },
    },
    Case {
        name: "half a command on one context, half on another",
        allowed: NO_MESSAGE,
        play: |arena| {
            let command = Command::echo(1).bytes();
            let (first, second) = command.split_at(command.len() / 2);
            arena.then(&data(&[
                pdv(1, COMMAND, first),
                pdv(3, COMMAND | LAST, second),
            ]))
        },
    },
    Case {
        name: "a PDU type that there is not, within an association",
        allowed: &[AbortFor(&[1])],
        play: |arena| arena.then(&pdu(0x42, FOUR_ZEROS)),
    },
    Case {
        name: "A-ASSOCIATE-RQ within an association",
        allowed: UNEXPECTED,
        play: |arena| arena.then(&arena.request().bytes()),
    },
    Case {
        name: "A-ASSOCIATE-AC within an association",
        allowed: UNEXPECTED,
        play: |arena| arena.then(&pdu(ASSOCIATE_AC, &arena.request().body())),
    },
    Case {
        name: "A-ASSOCIATE-RJ within an association",
        allowed: UNEXPECTED,
        play: |arena| arena.then(&pdu(ASSOCIATE_RJ, &[0, 1, 1, 1])),
    },
    Case {
        name: "A-RELEASE-RP that nobody asked for",
        allowed: UNEXPECTED,
        play: |arena| arena.then(&pdu(RELEASE_RP, FOUR_ZEROS)),
    },
    Case {
        name: "half a P-DATA-TF, then no more",
        allowed: &[AnyAbort, Close],
        play: |arena| {
            let mut peer = arena.associate()?;
            let whole = Command::echo(1).pdu(1);
            peer.send(whole.get(..20).unwrap_or_default());
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    Case {
        name: "a command of a message, then no more",
        allowed: &[AnyAbort, Close],
        play: |arena| {
            let mut peer = arena.associate()?;
            peer.send(&Command::store(1, CT, &fresh_uid()).pdu(3));
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    Case {
        name: "a release within a message",
        allowed: &[Release, AnyAbort],
        play: |arena| {
            let command = Command::store(1, CT, &fresh_uid()).pdu(3);
            let half = data(&[pdv(3, 0, &[8, 0])]);
            arena.then(&[command, half, release()].concat())
        },
    },
    Case {
        name: "an abort within a message",
        allowed: &[Close],
        play: |arena| {
            let command = Command::store(1, CT, &fresh_uid()).pdu(3);
            let half = data(&[pdv(3, 0, &[8, 0])]);
            arena.then(&[command, half, abort()].concat())
        },
    },
    Case {
        name: "a reset within a message",
        allowed: &[Anything],
        play: |arena| {
            let mut peer = arena.associate()?;
            // The answer to this is what stays unread.
            peer.send(&Command::echo(1).pdu(1));
            peer.send(&Command::store(2, CT, &fresh_uid()).pdu(3));
            peer.send(&data(&[pdv(3, 0, &[8, 0])]));
            peer.reset();
            Ok(Reaction::Held)
        },
    },
];
