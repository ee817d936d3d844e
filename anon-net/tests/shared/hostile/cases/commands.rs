//! Command sets (PS3.7 section 6.3 and Annex E) that are whole messages and yet wrong.

use super::super::Allowed::{AnyAbort, Close, Failure, Ignore, Status};
use super::super::object::{climbing_name, climbing_uid, ct, fresh_uid};
use super::super::peer::Played;
use super::super::wire::{
    A_DATA_SET, AFFECTED_CLASS, AFFECTED_INSTANCE, COMMAND, COMMAND_FIELD, CT, Command,
    DATA_SET_TYPE, LAST, MESSAGE_ID, MR, NO_DATA_SET, PRIVATE, VERIFICATION, Value, data, element,
    element_saying, even, pdv,
};
use super::super::{Allowed, Arena, Case};

/// There is no message to answer.
const NO_COMMAND: &[Allowed] = &[AnyAbort];
/// PS3.7 Annex C.5 has a status for it; a server may also end what it does not understand.
const REFUSED: &[Allowed] = &[Failure, AnyAbort];

/// A C-ECHO whose command set is these bytes.
fn command(arena: &Arena<'_>, bytes: &[u8]) -> Played {
    let mut peer = arena.associate()?;
    let size = peer.fragment();
    peer.send(&super::super::wire::fragments(1, COMMAND, bytes, size));
    Ok(peer.reaction())
}

/// A C-STORE of a right CT, by a command that differs from a right one.
fn store(arena: &Arena<'_>, change: impl FnOnce(Command) -> Command) -> Played {
    let uid = fresh_uid();
    arena.store(&change(Command::store(1, CT, &uid)), &ct(&uid))
}

fn field(number: u16) -> Command {
    Command::echo(1).with(COMMAND_FIELD, Value::Number(number))
}

fn named(uid: &str) -> impl FnOnce(Command) -> Command {
    |it| it.with(AFFECTED_INSTANCE, Value::Uid(uid.into()))
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a command field that there is not",
        allowed: &[Status(0x0211), AnyAbort],
        play: |arena| arena.echo_by(&field(0x7777)),
    },
    Case {
        name: "N-CREATE",
        allowed: &[Status(0x0211), AnyAbort],
        play: |arena| arena.echo_by(&field(0x0140)),
    },
    Case {
        name: "C-FIND on a storage context",
        allowed: REFUSED,
        play: |arena| store(arena, |it| it.with(COMMAND_FIELD, Value::Number(0x0020))),
    },
    Case {
        name: "a response that nobody asked for",
        allowed: &[AnyAbort, Ignore],
        play: |arena| {
            arena.echo_by(
                &field(0x8030)
                    .with(0x0120, Value::Number(1))
                    .with(0x0900, Value::Number(0)),
            )
        },
    },
    Case {
        // PS3.7 section 9.3.2.3: the operation may be over, so nothing is wrong with it.
        name: "C-CANCEL for nothing, then an echo",
        allowed: &[Status(0)],
        play: |arena| {
            let cancel = Command(vec![
                (COMMAND_FIELD, Value::Number(0x0FFF)),
                (0x0120, Value::Number(9)),
                (DATA_SET_TYPE, Value::Number(NO_DATA_SET)),
            ]);
            arena.then(&[cancel.pdu(1), Command::echo(1).pdu(1)].concat())
        },
    },
    Case {
        name: "an empty command set",
        allowed: NO_COMMAND,
        play: |arena| command(arena, &[]),
    },
    Case {
        name: "a command set without a command field",
        allowed: NO_COMMAND,
        play: |arena| arena.echo_by(&Command::echo(1).without(COMMAND_FIELD)),
    },
    Case {
        name: "a command set without a message id",
        allowed: REFUSED,
        play: |arena| arena.echo_by(&Command::echo(1).without(MESSAGE_ID)),
    },
    Case {
        name: "a command set without a data set type",
        allowed: REFUSED,
        play: |arena| arena.echo_by(&Command::echo(1).without(DATA_SET_TYPE)),
    },
    Case {
        name: "a command set that is cut within an element",
        allowed: NO_COMMAND,
        play: |arena| {
            let whole = Command::echo(1).bytes();
            command(arena, whole.get(..whole.len() - 5).unwrap_or_default())
        },
    },
    Case {
        name: "a command set of random bytes",
        allowed: NO_COMMAND,
        play: |arena| command(arena, &[0xA5; 200]),
    },
    Case {
        name: "a command element of 4 GB",
        allowed: NO_COMMAND,
        play: |arena| {
            let long = element_saying(0, AFFECTED_CLASS, 0xFFFF_FFFE, VERIFICATION.as_bytes());
            command(arena, &[element(0, 0, &[0; 4]), long].concat())
        },
    },
    Case {
        name: "a command element of undefined length",
        allowed: NO_COMMAND,
        play: |arena| {
            let open = element_saying(0, AFFECTED_CLASS, u32::MAX, &[]);
            command(arena, &[element(0, 0, &[0; 4]), open].concat())
        },
    },
    Case {
        name: "a command set of 8 MB in one element",
        allowed: &[AnyAbort, Close],
        play: |arena| {
            let long = Command::echo(1).with(0x0600, Value::Bytes(vec![b'A'; 8 << 20]));
            command(arena, &long.bytes())
        },
    },
    Case {
        name: "a command set of 8 MB that has no element",
        allowed: &[AnyAbort, Close],
        play: |arena| command(arena, &vec![0xFF; 8 << 20]),
    },
    Case {
        name: "a message id of four bytes",
        allowed: REFUSED,
        play: |arena| {
            arena.echo_by(&Command::echo(1).with(MESSAGE_ID, Value::Bytes(vec![1, 0, 0, 0])))
        },
    },
    Case {
        name: "a command field of no length",
        allowed: NO_COMMAND,
        play: |arena| {
            arena.echo_by(&Command::echo(1).with(COMMAND_FIELD, Value::Bytes(Vec::new())))
        },
    },
    Case {
        name: "elements of a command set in the wrong order",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |arena| {
            let mut reversed = Command::echo(1);
            reversed.0.reverse();
            arena.echo_by(&reversed)
        },
    },
    Case {
        name: "an element of a data set in a command set",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |arena| {
            let whole = Command::echo(1).bytes();
            command(arena, &[whole, element(0x0010, 0x0010, b"A^B ")].concat())
        },
    },
    Case {
        name: "a wrong group length",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |arena| {
            let elements = Command::echo(1).elements();
            command(
                arena,
                &[element(0, 0, &[0xFF, 0xFF, 0, 0]), elements].concat(),
            )
        },
    },
    Case {
        name: "C-STORE without a SOP class",
        allowed: REFUSED,
        play: |arena| store(arena, |it| it.without(AFFECTED_CLASS)),
    },
    Case {
        name: "C-STORE without a SOP instance",
        allowed: REFUSED,
        play: |arena| store(arena, |it| it.without(AFFECTED_INSTANCE)),
    },
    Case {
        name: "C-STORE of an empty SOP instance UID",
        allowed: REFUSED,
        play: |arena| store(arena, named("")),
    },
    Case {
        name: "C-STORE without a data set",
        allowed: REFUSED,
        play: |arena| {
            let none = Value::Number(NO_DATA_SET);
            let request = Command::store(1, CT, &fresh_uid()).with(DATA_SET_TYPE, none);
            arena.then(&request.pdu(3))
        },
    },
    Case {
        name: "C-ECHO with a data set",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |arena| {
            let request = Command::echo(1).with(DATA_SET_TYPE, Value::Number(A_DATA_SET));
            let set = data(&[pdv(1, LAST, &ct(&fresh_uid()))]);
            arena.then(&[request.pdu(1), set].concat())
        },
    },
    Case {
        // PS3.7 Annex C.5.2 and C.5.6.
        name: "storage on the verification context",
        allowed: REFUSED,
        play: |arena| {
            let uid = fresh_uid();
            arena.store_on(1, &Command::store(1, CT, &uid), &ct(&uid))
        },
    },
    Case {
        name: "verification on a storage context",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |arena| arena.then(&Command::echo(1).pdu(3)),
    },
    Case {
        name: "C-STORE of another SOP class than the context's",
        allowed: REFUSED,
        play: |arena| {
            let uid = fresh_uid();
            arena.store(
                &Command::store(1, MR, &uid),
                &super::super::object::image(MR, &uid),
            )
        },
    },
    Case {
        name: "C-STORE of a SOP class that nobody knows",
        allowed: REFUSED,
        play: |arena| {
            let uid = fresh_uid();
            arena.store(&Command::store(1, PRIVATE, &uid), &ct(&uid))
        },
    },
    Case {
        name: "a SOP instance UID that climbs directories",
        allowed: REFUSED,
        play: |arena| store(arena, named(&climbing_uid())),
    },
    Case {
        name: "a SOP instance UID that is a path",
        allowed: REFUSED,
        play: |arena| store(arena, named(&format!("/tmp/{}", climbing_name()))),
    },
    Case {
        name: "a SOP instance UID of 200 characters",
        allowed: REFUSED,
        play: |arena| store(arena, named(&format!("1.2{}", ".3".repeat(99)))),
    },
    Case {
        name: "a SOP instance UID with a line end and a NUL",
        allowed: REFUSED,
        play: |arena| store(arena, named("1.2.3\n\0.4\x1b[2J")),
    },
    Case {
        name: "a SOP instance UID that is not ASCII",
        allowed: REFUSED,
        play: |arena| {
            let bytes = Value::Bytes(even(b"1.2.\xff\xfe.3", 0));
            store(arena, |it| it.with(AFFECTED_INSTANCE, bytes))
        },
    },
];
