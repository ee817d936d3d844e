//! Legal but unusual messages: all of them must succeed.

use super::super::Allowed::{Close, Release, Status};
use super::super::object::{ct, fresh_uid};
use super::super::peer::{CaseResult, Peer, Reaction};
use super::super::wire::{
    COMMAND, CT, Command, DATA_SET_TYPE, IMPLICIT, LAST, VERIFICATION, Value, context, data,
    element, fragments, item, pdv, release,
};
use super::super::{Allowed, CaseRunner, HostileCase};

const STORED: &[Allowed] = &[Status(0)];

/// Sends a valid C-STORE, divided into pieces by `send`.
fn store(runner: &CaseRunner<'_>, send: impl FnOnce(&mut Peer, &Command, &[u8])) -> CaseResult {
    let mut peer = runner.associate()?;
    let uid = fresh_uid();
    send(&mut peer, &Command::store(1, CT, &uid), &ct(&uid));
    Ok(peer.reaction())
}

/// Waits for so many responses. Returns the first that is not a success, or success.
fn responses(mut peer: Peer, count: usize) -> Reaction {
    let reactions = (0..count).map(|_| peer.reaction());
    let bad = reactions
        .into_iter()
        .find(|it| *it != Reaction::Responded(0));
    bad.unwrap_or(Reaction::Responded(0))
}

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "PDVs of two bytes",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                peer.send(&fragments(3, COMMAND, &command.bytes(), 2));
                peer.send(&fragments(3, 0, set, 2));
            })
        },
    },
    HostileCase {
        name: "TCP segments of one byte",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                peer.send_byte_by_byte(&command.pdu(3));
                peer.send_byte_by_byte(&fragments(3, 0, set, 16_000));
            })
        },
    },
    HostileCase {
        name: "an association in segments of one byte",
        allowed: STORED,
        play: |runner| {
            let mut peer = runner.connect()?;
            peer.send_byte_by_byte(&runner.request().bytes());
            if peer.reaction() != Reaction::Accepted {
                return Err(Reaction::Unexpected);
            }
            peer.send_byte_by_byte(&Command::echo(1).pdu(1));
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "command and data set in one PDU",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                let command = pdv(3, COMMAND | LAST, &command.bytes());
                peer.send(&data(&[command, pdv(3, LAST, set)]));
            })
        },
    },
    HostileCase {
        name: "command and data set in many PDVs of one PDU",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                let bytes = command.bytes();
                let (first, second) = bytes.split_at(12);
                let mut pdvs = vec![pdv(3, COMMAND, first), pdv(3, COMMAND | LAST, second)];
                pdvs.extend(set.chunks(100).map(|chunk| pdv(3, 0, chunk)));
                pdvs.push(pdv(3, LAST, &[]));
                peer.send(&data(&pdvs));
            })
        },
    },
    HostileCase {
        name: "an empty PDV at the end of the data set",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                peer.send(&command.pdu(3));
                peer.send(&[data(&[pdv(3, 0, set)]), data(&[pdv(3, LAST, &[])])].concat());
            })
        },
    },
    HostileCase {
        name: "empty PDVs before and within the message",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                let empty = data(&[pdv(3, COMMAND, &[])]).repeat(20);
                peer.send(&[empty, command.pdu(3)].concat());
                let empty = data(&[pdv(3, 0, &[])]).repeat(20);
                peer.send(&[empty.clone(), data(&[pdv(3, 0, set)]), empty].concat());
                peer.send(&data(&[pdv(3, LAST, &[])]));
            })
        },
    },
    HostileCase {
        name: "the next command in the same segment",
        allowed: STORED,
        play: |runner| {
            let mut peer = runner.associate()?;
            let uid = fresh_uid();
            let first = [
                Command::store(1, CT, &uid).pdu(3),
                data(&[pdv(3, LAST, &ct(&uid))]),
            ]
            .concat();
            peer.send(&[first, Command::echo(2).pdu(1), Command::echo(3).pdu(1)].concat());
            Ok(responses(peer, 3))
        },
    },
    HostileCase {
        name: "the same message id for all requests",
        allowed: STORED,
        play: |runner| {
            let mut peer = runner.associate()?;
            peer.send(&Command::echo(0).pdu(1).repeat(20));
            Ok(responses(peer, 20))
        },
    },
    HostileCase {
        name: "a hundred objects over one association",
        allowed: STORED,
        play: |runner| {
            let mut peer = runner.associate()?;
            for message in 1..=100 {
                let uid = fresh_uid();
                peer.message(3, &Command::store(message, CT, &uid), &ct(&uid));
                match peer.reaction() {
                    Reaction::Responded(0) => {}
                    other => return Err(other),
                }
            }
            Ok(Reaction::Responded(0))
        },
    },
    HostileCase {
        name: "an unusual data set type",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                let command = command.clone().with(DATA_SET_TYPE, Value::Number(0x0102));
                peer.message(3, &command, set);
            })
        },
    },
    HostileCase {
        name: "reserved bits in the message control header",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                peer.send(&data(&[pdv(3, 0xF0 | COMMAND | LAST, &command.bytes())]));
                peer.send(&data(&[pdv(3, 0xF0 | LAST, set)]));
            })
        },
    },
    HostileCase {
        name: "reserved bytes other than 0",
        allowed: STORED,
        play: |runner| {
            let mut peer = runner.connect()?;
            let mut request = runner.request().bytes();
            for (at, byte) in request.iter_mut().enumerate() {
                // The second byte, two after the version, 32 after the titles (PS3.8 Table 9-11).
                if at == 1 || (8..10).contains(&at) || (42..74).contains(&at) {
                    *byte = 0xFF;
                }
            }
            peer.send(&request);
            if peer.reaction() != Reaction::Accepted {
                return Err(Reaction::Unexpected);
            }
            peer.send(&Command::echo(1).pdu(1));
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "context id 255",
        allowed: STORED,
        play: |runner| {
            let mut request = runner.request();
            request.contexts = vec![context(255, VERIFICATION, &[IMPLICIT])];
            let mut peer = runner.associate_with(&request)?;
            peer.send(&Command::echo(1).pdu(255));
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "user information before the contexts",
        allowed: STORED,
        play: |runner| {
            let mut request = runner.request();
            let user = item(0x50, &request.user.take().unwrap_or_default().concat());
            request.contexts.insert(0, user);
            runner.echo_over(&request)
        },
    },
    HostileCase {
        // A private element that needs many PDUs.
        name: "a data set of many PDUs",
        allowed: STORED,
        play: |runner| {
            store(runner, |peer, command, set| {
                let mut long = set.to_vec();
                long.extend(element(0x7FE1, 0x0010, b"HOSTILE "));
                long.extend(element(0x7FE1, 0x1010, &vec![7; 4 << 20]));
                peer.message(3, command, &long);
            })
        },
    },
    HostileCase {
        name: "an immediate release",
        allowed: &[Release],
        play: |runner| runner.then(&release()),
    },
    HostileCase {
        name: "a release in the segment of the last command",
        allowed: &[Release],
        play: |runner| {
            let mut peer = runner.associate()?;
            peer.send(&[Command::echo(1).pdu(1), release()].concat());
            match peer.reaction() {
                Reaction::Responded(0) => Ok(peer.reaction()),
                other => Err(other),
            }
        },
    },
    HostileCase {
        name: "an association that ends without a release",
        allowed: &[Close],
        play: |runner| {
            let mut peer = runner.associate()?;
            peer.half_close();
            Ok(peer.reaction())
        },
    },
];
