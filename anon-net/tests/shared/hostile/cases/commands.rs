//! Complete messages with invalid command sets (PS3.7 section 6.3 and Annex E).

use super::super::Allowed::{AnyAbort, Close, Failure, Ignore, Status};
use super::super::object::{ct, fresh_uid, traversal_name, traversal_uid};
use super::super::peer::CaseResult;
use super::super::wire::{
    A_DATA_SET, AFFECTED_CLASS, AFFECTED_INSTANCE, COMMAND, COMMAND_FIELD, CT, Command,
    DATA_SET_TYPE, LAST, MESSAGE_ID, MR, NO_DATA_SET, PRIVATE, VERIFICATION, Value, data, element,
    element_declaring, even, pdv,
};
use super::super::{Allowed, CaseRunner, HostileCase};

/// The server cannot identify a message to respond to.
const NO_COMMAND: &[Allowed] = &[AnyAbort];
/// PS3.7 Annex C.5 defines a status for it. A server may also abort.
const REFUSED: &[Allowed] = &[Failure, AnyAbort];

/// Sends these bytes as a command set on the verification context.
fn send_command(runner: &CaseRunner<'_>, bytes: &[u8]) -> CaseResult {
    let mut peer = runner.associate()?;
    let size = peer.max_fragment();
    peer.send(&super::super::wire::fragments(1, COMMAND, bytes, size));
    Ok(peer.reaction())
}

/// Sends a valid CT with a changed C-STORE command.
fn store(runner: &CaseRunner<'_>, change: impl FnOnce(Command) -> Command) -> CaseResult {
    let uid = fresh_uid();
    runner.store(&change(Command::store(1, CT, &uid)), &ct(&uid))
}

fn field(number: u16) -> Command {
    Command::echo(1).with(COMMAND_FIELD, Value::Number(number))
}

fn with_instance_uid(uid: &str) -> impl FnOnce(Command) -> Command {
    |it| it.with(AFFECTED_INSTANCE, Value::Uid(uid.into()))
}

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "an undefined command field",
        allowed: &[Status(0x0211), AnyAbort],
        play: |runner| runner.echo_by(&field(0x7777)),
    },
    HostileCase {
        name: "N-CREATE",
        allowed: &[Status(0x0211), AnyAbort],
        play: |runner| runner.echo_by(&field(0x0140)),
    },
    HostileCase {
        name: "C-FIND on a storage context",
        allowed: REFUSED,
        play: |runner| store(runner, |it| it.with(COMMAND_FIELD, Value::Number(0x0020))),
    },
    HostileCase {
        name: "an unsolicited response",
        allowed: &[AnyAbort, Ignore],
        play: |runner| {
            runner.echo_by(
                &field(0x8030)
                    .with(0x0120, Value::Number(1))
                    .with(0x0900, Value::Number(0)),
            )
        },
    },
    HostileCase {
        // PS3.7 section 9.3.2.3: the operation may have ended already, so this is legal.
        name: "C-CANCEL without an operation, then an echo",
        allowed: &[Status(0)],
        play: |runner| {
            let cancel = Command(vec![
                (COMMAND_FIELD, Value::Number(0x0FFF)),
                (0x0120, Value::Number(9)),
                (DATA_SET_TYPE, Value::Number(NO_DATA_SET)),
            ]);
            runner.then(&[cancel.pdu(1), Command::echo(1).pdu(1)].concat())
        },
    },
    HostileCase {
        name: "an empty command set",
        allowed: NO_COMMAND,
        play: |runner| send_command(runner, &[]),
    },
    HostileCase {
        name: "a command set without a command field",
        allowed: NO_COMMAND,
        play: |runner| runner.echo_by(&Command::echo(1).without(COMMAND_FIELD)),
    },
    HostileCase {
        name: "a command set without a message id",
        allowed: REFUSED,
        play: |runner| runner.echo_by(&Command::echo(1).without(MESSAGE_ID)),
    },
    HostileCase {
        name: "a command set without a data set type",
        allowed: REFUSED,
        play: |runner| runner.echo_by(&Command::echo(1).without(DATA_SET_TYPE)),
    },
    HostileCase {
        name: "a command set truncated within an element",
        allowed: NO_COMMAND,
        play: |runner| {
            let whole = Command::echo(1).bytes();
            send_command(runner, whole.get(..whole.len() - 5).unwrap_or_default())
        },
    },
    HostileCase {
        name: "a command set of random bytes",
        allowed: NO_COMMAND,
        play: |runner| send_command(runner, &[0xA5; 200]),
    },
    HostileCase {
        name: "a command element of 4 GB",
        allowed: NO_COMMAND,
        play: |runner| {
            let long = element_declaring(0, AFFECTED_CLASS, 0xFFFF_FFFE, VERIFICATION.as_bytes());
            send_command(runner, &[element(0, 0, &[0; 4]), long].concat())
        },
    },
    HostileCase {
        name: "a command element of undefined length",
        allowed: NO_COMMAND,
        play: |runner| {
            let open = element_declaring(0, AFFECTED_CLASS, u32::MAX, &[]);
            send_command(runner, &[element(0, 0, &[0; 4]), open].concat())
        },
    },
    HostileCase {
        name: "a command set of 8 MB in one element",
        allowed: &[AnyAbort, Close],
        play: |runner| {
            let long = Command::echo(1).with(0x0600, Value::Bytes(vec![b'A'; 8 << 20]));
            send_command(runner, &long.bytes())
        },
    },
    HostileCase {
        name: "a command set of 8 MB without elements",
        allowed: &[AnyAbort, Close],
        play: |runner| send_command(runner, &vec![0xFF; 8 << 20]),
    },
    HostileCase {
        name: "a message id of four bytes",
        allowed: REFUSED,
        play: |runner| {
            runner.echo_by(&Command::echo(1).with(MESSAGE_ID, Value::Bytes(vec![1, 0, 0, 0])))
        },
    },
    HostileCase {
        name: "a command field of length 0",
        allowed: NO_COMMAND,
        play: |runner| {
            runner.echo_by(&Command::echo(1).with(COMMAND_FIELD, Value::Bytes(Vec::new())))
        },
    },
    HostileCase {
        name: "elements of a command set in the wrong order",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |runner| {
            let mut reversed = Command::echo(1);
            reversed.0.reverse();
            runner.echo_by(&reversed)
        },
    },
    HostileCase {
        name: "an element of a data set in a command set",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |runner| {
            let whole = Command::echo(1).bytes();
            send_command(runner, &[whole, element(0x0010, 0x0010, b"A^B ")].concat())
        },
    },
    HostileCase {
        name: "a wrong group length",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |runner| {
            let elements = Command::echo(1).elements();
            send_command(
                runner,
                &[element(0, 0, &[0xFF, 0xFF, 0, 0]), elements].concat(),
            )
        },
    },
    HostileCase {
        name: "C-STORE without a SOP class",
        allowed: REFUSED,
        play: |runner| store(runner, |it| it.without(AFFECTED_CLASS)),
    },
    HostileCase {
        name: "C-STORE without a SOP Instance UID",
        allowed: REFUSED,
        play: |runner| store(runner, |it| it.without(AFFECTED_INSTANCE)),
    },
    HostileCase {
        name: "C-STORE with an empty SOP Instance UID",
        allowed: REFUSED,
        play: |runner| store(runner, with_instance_uid("")),
    },
    HostileCase {
        name: "C-STORE without a data set",
        allowed: REFUSED,
        play: |runner| {
            let none = Value::Number(NO_DATA_SET);
            let request = Command::store(1, CT, &fresh_uid()).with(DATA_SET_TYPE, none);
            runner.then(&request.pdu(3))
        },
    },
    HostileCase {
        name: "C-ECHO with a data set",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |runner| {
            let request = Command::echo(1).with(DATA_SET_TYPE, Value::Number(A_DATA_SET));
            let set = data(&[pdv(1, LAST, &ct(&fresh_uid()))]);
            runner.then(&[request.pdu(1), set].concat())
        },
    },
    HostileCase {
        // PS3.7 Annex C.5.2 and C.5.6.
        name: "storage on the verification context",
        allowed: REFUSED,
        play: |runner| {
            let uid = fresh_uid();
            runner.store_on(1, &Command::store(1, CT, &uid), &ct(&uid))
        },
    },
    HostileCase {
        name: "verification on a storage context",
        allowed: &[Status(0), Failure, AnyAbort],
        play: |runner| runner.then(&Command::echo(1).pdu(3)),
    },
    HostileCase {
        name: "C-STORE of another SOP class than that of the context",
        allowed: REFUSED,
        play: |runner| {
            let uid = fresh_uid();
            runner.store(
                &Command::store(1, MR, &uid),
                &super::super::object::image(MR, &uid),
            )
        },
    },
    HostileCase {
        name: "C-STORE of an unknown SOP class",
        allowed: REFUSED,
        play: |runner| {
            let uid = fresh_uid();
            runner.store(&Command::store(1, PRIVATE, &uid), &ct(&uid))
        },
    },
    HostileCase {
        name: "a SOP Instance UID with parent directories",
        allowed: REFUSED,
        play: |runner| store(runner, with_instance_uid(&traversal_uid())),
    },
    HostileCase {
        name: "a SOP Instance UID that is an absolute path",
        allowed: REFUSED,
        play: |runner| {
            store(
                runner,
                with_instance_uid(&format!("/tmp/{}", traversal_name())),
            )
        },
    },
    HostileCase {
        name: "a SOP Instance UID of 200 characters",
        allowed: REFUSED,
        play: |runner| {
            store(
                runner,
                with_instance_uid(&format!("1.2{}", ".3".repeat(99))),
            )
        },
    },
    HostileCase {
        name: "a SOP Instance UID with a line feed and a NUL",
        allowed: REFUSED,
        play: |runner| store(runner, with_instance_uid("1.2.3\n\0.4\x1b[2J")),
    },
    HostileCase {
        name: "a SOP Instance UID that is not ASCII",
        allowed: REFUSED,
        play: |runner| {
            let bytes = Value::Bytes(even(b"1.2.\xff\xfe.3", 0));
            store(runner, |it| it.with(AFFECTED_INSTANCE, bytes))
        },
    },
];
