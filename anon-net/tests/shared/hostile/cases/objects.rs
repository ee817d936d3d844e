//! Invalid data sets after a valid command.
//!
//! Statuses (PS3.4 Table B.2-1): A900 data set does not match SOP class, Cxxx cannot understand.

use std::time::Duration;

use super::super::Allowed::{AnyAbort, Close, Status, Unreadable};
use super::super::object::{
    before_pixels, ct, fresh_uid, image, inflating, nested, nested_without_end, text,
    traversal_uid, uid,
};
use super::super::peer::CaseResult;
use super::super::wire::{CT, Command, DEFLATED, MR, context, element, element_declaring};
use super::super::{Allowed, CaseRunner, HostileCase};

const NOT_UNDERSTOOD: &[Allowed] = &[Unreadable, AnyAbort];
/// Invalid or borderline, but some servers can parse them.
const NOT_UNDERSTOOD_OR_STORED: &[Allowed] = &[Unreadable, AnyAbort, Status(0)];
/// The abort may be lost when the server stops reading: see `streams`.
const NOT_UNDERSTOOD_OR_LOST: &[Allowed] = &[Unreadable, AnyAbort, Close];

/// Sends this data set with a valid command.
fn store(runner: &CaseRunner<'_>, data_set: impl FnOnce(&str) -> Vec<u8>) -> CaseResult {
    let uid = fresh_uid();
    runner.store(&Command::store(1, CT, &uid), &data_set(&uid))
}

/// Sends a data set with this UID in the command and the data set.
fn store_as(runner: &CaseRunner<'_>, instance: &str) -> CaseResult {
    runner.store(&Command::store(1, CT, instance), &ct(instance))
}

/// Returns a data set with these bytes instead of the pixel data.
fn without_pixels_then(uid: &str, bytes: &[u8]) -> Vec<u8> {
    [&before_pixels(CT, uid), bytes].concat()
}

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "an empty data set",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store(runner, |_| Vec::new()),
    },
    HostileCase {
        name: "a data set of three bytes",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store(runner, |_| vec![8, 0, 5]),
    },
    HostileCase {
        name: "a data set of random bytes",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store(runner, |_| vec![0xA5; 100_000]),
    },
    HostileCase {
        name: "a data set of zeros",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store(runner, |_| vec![0; 1 << 20]),
    },
    HostileCase {
        name: "a data set truncated within its pixel data",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            store(runner, |uid| {
                without_pixels_then(uid, &element_declaring(0x7FE0, 0x0010, 8, &[0; 4]))
            })
        },
    },
    HostileCase {
        name: "a data set truncated within an element header",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            store(runner, |uid| {
                without_pixels_then(uid, &[0xE0, 0x7F, 0x10, 0])
            })
        },
    },
    HostileCase {
        name: "an element of 4 GB",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            store(runner, |uid| {
                without_pixels_then(
                    uid,
                    &element_declaring(0x0009, 0x1010, 0xFFFF_FFFE, &[0; 64]),
                )
            })
        },
    },
    HostileCase {
        name: "pixel data of undefined length in a native transfer syntax",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            store(runner, |uid| {
                without_pixels_then(uid, &element_declaring(0x7FE0, 0x0010, u32::MAX, &[0; 8]))
            })
        },
    },
    HostileCase {
        name: "100 nested sequences",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |runner| store(runner, |uid| nested(uid, 100)),
    },
    HostileCase {
        name: "200,000 nested sequences",
        allowed: NOT_UNDERSTOOD_OR_LOST,
        play: |runner| store(runner, |uid| nested(uid, 200_000)),
    },
    HostileCase {
        name: "200,000 nested sequences without ends",
        allowed: NOT_UNDERSTOOD_OR_LOST,
        play: |runner| store(runner, |uid| nested_without_end(uid, 200_000)),
    },
    HostileCase {
        name: "an item that is longer than its sequence",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            let item = element_declaring(0xFFFE, 0xE000, 0x7000_0000, &[0; 8]);
            store(runner, |uid| {
                without_pixels_then(uid, &element(0x0040, 0xA730, &item))
            })
        },
    },
    HostileCase {
        name: "delimiters outside of sequences",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            let ends = [element(0xFFFE, 0xE00D, &[]), element(0xFFFE, 0xE0DD, &[])].concat();
            store(runner, |uid| without_pixels_then(uid, &ends.repeat(1000)))
        },
    },
    HostileCase {
        name: "a million elements of length 0",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |runner| {
            store(runner, |uid| {
                without_pixels_then(uid, &element(0x0029, 0x1010, &[]).repeat(1_000_000))
            })
        },
    },
    HostileCase {
        name: "another SOP instance UID than the command's",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store(runner, |_| ct(&fresh_uid())),
    },
    HostileCase {
        name: "another SOP class than the command's",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store(runner, |uid| image(MR, uid)),
    },
    HostileCase {
        name: "no SOP instance UID",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            store(runner, |_| {
                [text(0x0008, 0x0060, "CT"), text(0x0010, 0x0020, "X")].concat()
            })
        },
    },
    HostileCase {
        name: "a UID with parent directories, in command and data set",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store_as(runner, &traversal_uid()),
    },
    HostileCase {
        name: "a UID of 200 characters, in command and data set",
        allowed: NOT_UNDERSTOOD,
        play: |runner| store_as(runner, &format!("1.2{}", ".3".repeat(99))),
    },
    HostileCase {
        name: "a Study Instance UID with parent directories",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |runner| {
            store(runner, |instance| {
                let path = &traversal_uid();
                [
                    uid(0x0008, 0x0016, CT),
                    uid(0x0008, 0x0018, instance),
                    text(0x0010, 0x0020, path),
                    uid(0x0020, 0x000D, path),
                    uid(0x0020, 0x000E, path),
                ]
                .concat()
            })
        },
    },
    HostileCase {
        name: "implicit VR on a context with explicit VR",
        allowed: NOT_UNDERSTOOD,
        play: |runner| {
            let uid = fresh_uid();
            runner.store_on(5, &Command::store(1, CT, &uid), &ct(&uid))
        },
    },
    HostileCase {
        name: "file meta information before the data set",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |runner| {
            let head = [
                vec![0; 128],
                b"DICM".to_vec(),
                uid(0x0002, 0x0010, "1.2.840.10008.1.2"),
            ];
            store(runner, |uid| [head.concat(), ct(uid)].concat())
        },
    },
    HostileCase {
        // Two megabytes that inflate to 330.
        name: "a deflated data set that inflates without end",
        allowed: NOT_UNDERSTOOD_OR_LOST,
        play: |runner| deflated(runner, |uid| inflating(uid, 2 << 20)),
    },
    HostileCase {
        name: "a deflated data set that is not deflated",
        allowed: NOT_UNDERSTOOD,
        play: |runner| deflated(runner, |_| vec![0xFF; 1000]),
    },
];

fn deflated(runner: &CaseRunner<'_>, data_set: impl FnOnce(&str) -> Vec<u8>) -> CaseResult {
    let mut request = runner.request();
    request.contexts.push(context(9, CT, &[DEFLATED]));
    let mut peer = runner.associate_with(&request)?;
    peer.require_context(9)?;
    let uid = fresh_uid();
    peer.message(9, &Command::store(1, CT, &uid), &data_set(&uid));
    Ok(peer.reaction_within(Duration::from_secs(20)))
}
