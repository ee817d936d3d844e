//! What is legal, and seldom seen: all of it succeeds.

use super::super::Allowed::{Close, Release, Status};
use super::super::object::{ct, fresh_uid};
use super::super::peer::{Peer, Played, Reaction};
use super::super::wire::{
    COMMAND, CT, Command, DATA_SET_TYPE, IMPLICIT, LAST, VERIFICATION, Value, context, data,
    element, fragments, item, pdv, release,
};
use super::super::{Allowed, Arena, Case};

const STORED: &[Allowed] = &[Status(0)];

/// A C-STORE that is right, in whatever pieces `send` makes of it.
fn store(arena: &Arena<'_>, send: impl FnOnce(&mut Peer, &Command, &[u8])) -> Played {
    let mut peer = arena.associate()?;
    let uid = fresh_uid();
    send(&mut peer, &Command::store(1, CT, &uid), &ct(&uid));
    Ok(peer.reaction())
}

/// The last of so many answers.
fn answers(mut peer: Peer, count: usize) -> Reaction {
    let reactions = (0..count).map(|_| peer.reaction());
    let bad = reactions
        .into_iter()
        .find(|it| *it != Reaction::Answered(0));
    bad.unwrap_or(Reaction::Answered(0))
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "PDVs of two bytes",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                peer.send(&fragments(3, COMMAND, &command.bytes(), 2));
                peer.send(&fragments(3, 0, set, 2));
            })
        },
    },
    Case {
        name: "TCP segments of one byte",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                peer.drip(&command.pdu(3));
                peer.drip(&fragments(3, 0, set, 16_000));
            })
        },
    },
    Case {
        name: "an association in segments of one byte",
        allowed: STORED,
        play: |arena| {
            let mut peer = arena.connect()?;
            peer.drip(&arena.request().bytes());
            if peer.reaction() != Reaction::Accepted {
                return Err(Reaction::Nonsense);
            }
            peer.drip(&Command::echo(1).pdu(1));
            Ok(peer.reaction())
        },
    },
    Case {
        name: "command and data set in one PDU",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                let command = pdv(3, COMMAND | LAST, &command.bytes());
                peer.send(&data(&[command, pdv(3, LAST, set)]));
            })
        },
    },
    Case {
        name: "command and data set in many PDVs of one PDU",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                let bytes = command.bytes();
                let (first, second) = bytes.split_at(12);
                let mut pdvs = vec![pdv(3, COMMAND, first), pdv(3, COMMAND | LAST, second)];
                pdvs.extend(set.chunks(100).map(|chunk| pdv(3, 0, chunk)));
                pdvs.push(pdv(3, LAST, &[]));
                peer.send(&data(&pdvs));
            })
        },
    },
    Case {
        name: "an empty PDV at the end of the data set",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                peer.send(&command.pdu(3));
                peer.send(&[data(&[pdv(3, 0, set)]), data(&[pdv(3, LAST, &[])])].concat());
            })
        },
    },
    Case {
        name: "empty PDVs before and within",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                let empty = data(&[pdv(3, COMMAND, &[])]).repeat(20);
                peer.send(&[empty, command.pdu(3)].concat());
                let empty = data(&[pdv(3, 0, &[])]).repeat(20);
                peer.send(&[empty.clone(), data(&[pdv(3, 0, set)]), empty].concat());
                peer.send(&data(&[pdv(3, LAST, &[])]));
            })
        },
    },
    Case {
        name: "the next command in the same segment",
        allowed: STORED,
        play: |arena| {
            let mut peer = arena.associate()?;
            let uid = fresh_uid();
            let first = [
                Command::store(1, CT, &uid).pdu(3),
                data(&[pdv(3, LAST, &ct(&uid))]),
            ]
            .concat();
            peer.send(&[first, Command::echo(2).pdu(1), Command::echo(3).pdu(1)].concat());
            Ok(answers(peer, 3))
        },
    },
    Case {
        name: "one message id for all",
        allowed: STORED,
        play: |arena| {
            let mut peer = arena.associate()?;
            peer.send(&Command::echo(0).pdu(1).repeat(20));
            Ok(answers(peer, 20))
        },
    },
    Case {
        name: "a hundred objects over one association",
        allowed: STORED,
        play: |arena| {
            let mut peer = arena.associate()?;
            for message in 1..=100 {
                let uid = fresh_uid();
                peer.message(3, &Command::store(message, CT, &uid), &ct(&uid));
                match peer.reaction() {
                    Reaction::Answered(0) => {}
                    other => return Err(other),
                }
            }
            Ok(Reaction::Answered(0))
        },
    },
    Case {
        name: "a data set type that is neither of the two",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                let command = command.clone().with(DATA_SET_TYPE, Value::Number(0x0102));
                peer.message(3, &command, set);
            })
        },
    },
    Case {
        name: "reserved bits in the message control header",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                peer.send(&data(&[pdv(3, 0xF0 | COMMAND | LAST, &command.bytes())]));
                peer.send(&data(&[pdv(3, 0xF0 | LAST, set)]));
            })
        },
    },
    Case {
        name: "reserved bytes that are not 0",
        allowed: STORED,
        play: |arena| {
            let mut peer = arena.connect()?;
            let mut request = arena.request().bytes();
            for (at, byte) in request.iter_mut().enumerate() {
                // The second byte, two after the version, 32 after the titles (PS3.8 Table 9-11).
                if at == 1 || (8..10).contains(&at) || (42..74).contains(&at) {
                    *byte = 0xFF;
                }
            }
            peer.send(&request);
            if peer.reaction() != Reaction::Accepted {
                return Err(Reaction::Nonsense);
            }
            peer.send(&Command::echo(1).pdu(1));
            Ok(peer.reaction())
        },
    },
    Case {
        name: "context id 255",
        allowed: STORED,
        play: |arena| {
            let mut request = arena.request();
            request.contexts = vec![context(255, VERIFICATION, &[IMPLICIT])];
            let mut peer = arena.associate_with(&request)?;
            peer.send(&Command::echo(1).pdu(255));
            Ok(peer.reaction())
        },
    },
    Case {
        name: "user information before the contexts",
        allowed: STORED,
        play: |arena| {
            let mut request = arena.request();
            let user = item(0x50, &request.user.take().unwrap_or_default().concat());
            request.contexts.insert(0, user);
            arena.echo_over(&request)
        },
    },
    Case {
        // Private attributes of a length that needs many PDUs.
        name: "a data set of many PDUs",
        allowed: STORED,
        play: |arena| {
            store(arena, |peer, command, set| {
                let mut long = set.to_vec();
                long.extend(element(0x7FE1, 0x0010, b"HOSTILE "));
                long.extend(element(0x7FE1, 0x1010, &vec![7; 4 << 20]));
                peer.message(3, command, &long);
            })
        },
    },
    Case {
        name: "a release at once",
        allowed: &[Release],
        play: |arena| arena.then(&release()),
    },
    Case {
        name: "a release in the segment of the last command",
        allowed: &[Release],
        play: |arena| {
            let mut peer = arena.associate()?;
            peer.send(&[Command::echo(1).pdu(1), release()].concat());
            match peer.reaction() {
                Reaction::Answered(0) => Ok(peer.reaction()),
                other => Err(other),
            }
        },
    },
    Case {
        name: "an association that is dropped without a word",
        allowed: &[Close],
        play: |arena| {
            let mut peer = arena.associate()?;
            peer.half_close();
            Ok(peer.reaction())
        },
    },
];
