//! Invalid P-DATA-TF (PS3.8 section 9.3.5) and other PDUs on an open association.
//!
//! Reasons of A-ABORT (PS3.8 Table 9-26): 1 unrecognized PDU, 2 unexpected PDU, 4 unrecognized PDU
//! parameter, 5 unexpected PDU parameter, 6 invalid PDU parameter value.

use super::super::Allowed::{AbortFor, AnyAbort, Anything, Close, Release, Status};
use super::super::object::{ct, fresh_uid};
use super::super::peer::Reaction;
use super::super::wire::{
    ASSOCIATE_AC, ASSOCIATE_RJ, COMMAND, CT, Command, DATA, FOUR_ZEROS, LAST, RELEASE_RP, abort,
    data, fragments, pdu, pdu_declaring, pdv, pdv_declaring, release,
};
use super::super::{Allowed, HostileCase};

const WRONG: &[Allowed] = &[AbortFor(&[4, 5, 6])];
const WRONG_OR_LOST: &[Allowed] = &[AbortFor(&[4, 5, 6]), Close];
const UNEXPECTED: &[Allowed] = &[AbortFor(&[2])];
/// The PDUs are valid but the message is not. PS3.7 does not define the reaction.
const NO_MESSAGE: &[Allowed] = &[AnyAbort];

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "P-DATA-TF without a PDV",
        allowed: WRONG,
        play: |runner| runner.then(&pdu(DATA, &[])),
    },
    HostileCase {
        name: "P-DATA-TF of 4 GB",
        allowed: WRONG_OR_LOST,
        play: |runner| runner.then(&pdu_declaring(DATA, u32::MAX, &Command::echo(1).pdu(1))),
    },
    HostileCase {
        // Some peers ignore the receiver's maximum length.
        name: "P-DATA-TF longer than the server accepts",
        allowed: &[AbortFor(&[4, 5, 6]), Close, Status(0)],
        play: |runner| {
            let mut peer = runner.associate()?;
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
    HostileCase {
        name: "a PDV of length 0",
        allowed: WRONG,
        play: |runner| runner.then(&pdu(DATA, &[0; 4])),
    },
    HostileCase {
        name: "a PDV of length 1",
        allowed: WRONG,
        play: |runner| runner.then(&pdu(DATA, &[0, 0, 0, 1, 1])),
    },
    HostileCase {
        name: "a PDV that overruns the PDU by one byte",
        allowed: WRONG,
        play: |runner| {
            let command = Command::echo(1).bytes();
            let length = u32::try_from(command.len() + 3).unwrap_or(u32::MAX);
            runner.then(&data(&[pdv_declaring(length, 1, COMMAND | LAST, &command)]))
        },
    },
    HostileCase {
        name: "a PDV of 4 GB",
        allowed: WRONG,
        play: |runner| {
            let command = Command::echo(1).bytes();
            runner.then(&data(&[pdv_declaring(
                u32::MAX,
                1,
                COMMAND | LAST,
                &command,
            )]))
        },
    },
    HostileCase {
        // The PDV before them is complete, so its response may come first.
        name: "bytes after the last PDV",
        allowed: WRONG,
        play: |runner| {
            let mut peer = runner.associate()?;
            let whole = pdv(1, COMMAND | LAST, &Command::echo(1).bytes());
            peer.send(&data(&[whole, vec![0, 0]]));
            match peer.reaction() {
                Reaction::Responded(0) => Ok(peer.reaction()),
                other => Ok(other),
            }
        },
    },
    HostileCase {
        // PS3.8 Annex E.1 requires an even number of bytes in each. An odd number does no harm.
        name: "PDVs of odd length",
        allowed: &[Status(0), AnyAbort],
        play: |runner| {
            let mut peer = runner.associate()?;
            let uid = fresh_uid();
            let command = Command::store(1, CT, &uid).bytes();
            peer.send(&fragments(3, COMMAND, &command, 7));
            peer.send(&fragments(3, 0, &ct(&uid), 5));
            Ok(peer.reaction())
        },
    },
    HostileCase {
        // PS3.8 Annex E.1 requires one message per PDU.
        name: "two commands in one PDU",
        allowed: &[Status(0), AnyAbort],
        play: |runner| {
            let both = [1, 2].map(|n| pdv(1, COMMAND | LAST, &Command::echo(n).bytes()));
            runner.then(&data(&both))
        },
    },
    HostileCase {
        name: "a context id that was not proposed",
        allowed: WRONG,
        play: |runner| runner.then(&Command::echo(1).pdu(99)),
    },
    HostileCase {
        name: "a context id that was rejected",
        allowed: WRONG,
        play: |runner| runner.then(&Command::echo(1).pdu(7)),
    },
    HostileCase {
        name: "context id 0",
        allowed: WRONG,
        play: |runner| runner.then(&Command::echo(1).pdu(0)),
    },
    HostileCase {
        name: "an even context id",
        allowed: WRONG,
        play: |runner| runner.then(&Command::echo(1).pdu(2)),
    },
    HostileCase {
        name: "a data set before a command",
        allowed: NO_MESSAGE,
        play: |runner| runner.then(&data(&[pdv(3, LAST, &ct(&fresh_uid()))])),
    },
    HostileCase {
        name: "a data set on another context than its command",
        allowed: NO_MESSAGE,
        play: |runner| {
            let mut peer = runner.associate()?;
            peer.require_context(3).and(peer.require_context(5))?;
            let uid = fresh_uid();
            peer.send(&Command::store(1, CT, &uid).pdu(3));
            peer.send(&data(&[pdv(5, LAST, &ct(&uid))]));
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "a command within a data set",
        allowed: NO_MESSAGE,
        play: |runner| {
            let uid = fresh_uid();
            let half = data(&[pdv(3, 0, &[8, 0])]);
            let parts = [
                Command::store(1, CT, &uid).pdu(3),
                half,
                Command::echo(2).pdu(1),
            ];
            runner.then(&parts.concat())
        },
    },
    HostileCase {
        name: "an incomplete command, then a data set",
        allowed: NO_MESSAGE,
        play: |runner| {
            let command = Command::store(1, CT, &fresh_uid()).bytes();
            let half = command.get(..40).unwrap_or_default();
            runner.then(&data(&[
                pdv(3, COMMAND, half),
                pdv(3, LAST, &ct(&fresh_uid())),
            ]))
        },
    },
    HostileCase {
        name: "half a command on one context, half on another",
        allowed: NO_MESSAGE,
        play: |runner| {
            let command = Command::echo(1).bytes();
            let (first, second) = command.split_at(command.len() / 2);
            runner.then(&data(&[
                pdv(1, COMMAND, first),
                pdv(3, COMMAND | LAST, second),
            ]))
        },
    },
    HostileCase {
        name: "an undefined PDU type within an association",
        allowed: &[AbortFor(&[1])],
        play: |runner| runner.then(&pdu(0x42, FOUR_ZEROS)),
    },
    HostileCase {
        name: "A-ASSOCIATE-RQ within an association",
        allowed: UNEXPECTED,
        play: |runner| runner.then(&runner.request().bytes()),
    },
    HostileCase {
        name: "A-ASSOCIATE-AC within an association",
        allowed: UNEXPECTED,
        play: |runner| runner.then(&pdu(ASSOCIATE_AC, &runner.request().body())),
    },
    HostileCase {
        name: "A-ASSOCIATE-RJ within an association",
        allowed: UNEXPECTED,
        play: |runner| runner.then(&pdu(ASSOCIATE_RJ, &[0, 1, 1, 1])),
    },
    HostileCase {
        name: "an unsolicited A-RELEASE-RP",
        allowed: UNEXPECTED,
        play: |runner| runner.then(&pdu(RELEASE_RP, FOUR_ZEROS)),
    },
    HostileCase {
        name: "an incomplete P-DATA-TF, then end of stream",
        allowed: &[AnyAbort, Close],
        play: |runner| {
            let mut peer = runner.associate()?;
            let whole = Command::echo(1).pdu(1);
            peer.send(whole.get(..20).unwrap_or_default());
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "a command without its data set, then end of stream",
        allowed: &[AnyAbort, Close],
        play: |runner| {
            let mut peer = runner.associate()?;
            peer.send(&Command::store(1, CT, &fresh_uid()).pdu(3));
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "a release within a message",
        allowed: &[Release, AnyAbort],
        play: |runner| {
            let command = Command::store(1, CT, &fresh_uid()).pdu(3);
            let half = data(&[pdv(3, 0, &[8, 0])]);
            runner.then(&[command, half, release()].concat())
        },
    },
    HostileCase {
        name: "an abort within a message",
        allowed: &[Close],
        play: |runner| {
            let command = Command::store(1, CT, &fresh_uid()).pdu(3);
            let half = data(&[pdv(3, 0, &[8, 0])]);
            runner.then(&[command, half, abort()].concat())
        },
    },
    HostileCase {
        name: "a reset within a message",
        allowed: &[Anything],
        play: |runner| {
            let mut peer = runner.associate()?;
            // The response to this stays unread.
            peer.send(&Command::echo(1).pdu(1));
            peer.send(&Command::store(2, CT, &fresh_uid()).pdu(3));
            peer.send(&data(&[pdv(3, 0, &[8, 0])]));
            peer.reset();
            Ok(Reaction::NotWaitedFor)
        },
    },
];
