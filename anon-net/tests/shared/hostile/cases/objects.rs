//! Data sets that are wrong behind a command that is right.
//!
//! Statuses are those of PS3.4 Table B.2-1: A900 data set does not match SOP class, Cxxx cannot
//! understand.

use std::time::Duration;

use super::super::Allowed::{AnyAbort, Close, Status, Unreadable};
use super::super::object::{
    before_pixels, climbing_uid, ct, fresh_uid, growing, image, nested, nested_without_end, text,
    uid,
};
use super::super::peer::Played;
use super::super::wire::{CT, Command, DEFLATED, MR, context, element, element_saying};
use super::super::{Allowed, Arena, Case};

const NOT_UNDERSTOOD: &[Allowed] = &[Unreadable, AnyAbort];
/// Some of these are wrong, and a reader may still make sense of them.
const NOT_UNDERSTOOD_OR_STORED: &[Allowed] = &[Unreadable, AnyAbort, Status(0)];
/// What a server stops reading may cost its abort: see `streams`.
const NOT_UNDERSTOOD_OR_LOST: &[Allowed] = &[Unreadable, AnyAbort, Close];

/// The data set for a SOP instance UID, under a right command.
fn store(arena: &Arena<'_>, data_set: impl FnOnce(&str) -> Vec<u8>) -> Played {
    let uid = fresh_uid();
    arena.store(&Command::store(1, CT, &uid), &data_set(&uid))
}

/// The same UID in command and data set, whatever it is.
fn store_as(arena: &Arena<'_>, instance: &str) -> Played {
    arena.store(&Command::store(1, CT, instance), &ct(instance))
}

/// Up to the pixels, then this.
fn ending(uid: &str, bytes: &[u8]) -> Vec<u8> {
    [&before_pixels(CT, uid), bytes].concat()
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an empty data set",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |_| Vec::new()),
    },
    Case {
        name: "a data set of three bytes",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |_| vec![8, 0, 5]),
    },
    Case {
        name: "a data set of random bytes",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |_| vec![0xA5; 100_000]),
    },
    Case {
        name: "a data set of zeros",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |_| vec![0; 1 << 20]),
    },
    Case {
        name: "a data set that is cut within its pixels",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            store(arena, |uid| {
                ending(uid, &element_saying(0x7FE0, 0x0010, 8, &[0; 4]))
            })
        },
    },
    Case {
        name: "a data set that is cut within a header",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |uid| ending(uid, &[0xE0, 0x7F, 0x10, 0])),
    },
    Case {
        name: "an element of 4 GB",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            store(arena, |uid| {
                ending(uid, &element_saying(0x0009, 0x1010, 0xFFFF_FFFE, &[0; 64]))
            })
        },
    },
    Case {
        name: "pixels of undefined length in a plain transfer syntax",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            store(arena, |uid| {
                ending(uid, &element_saying(0x7FE0, 0x0010, u32::MAX, &[0; 8]))
            })
        },
    },
    Case {
        name: "100 nested sequences",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |arena| store(arena, |uid| nested(uid, 100)),
    },
    Case {
        name: "200,000 nested sequences",
        allowed: NOT_UNDERSTOOD_OR_LOST,
        play: |arena| store(arena, |uid| nested(uid, 200_000)),
    },
    Case {
        name: "200,000 nested sequences that do not end",
        allowed: NOT_UNDERSTOOD_OR_LOST,
        play: |arena| store(arena, |uid| nested_without_end(uid, 200_000)),
    },
    Case {
        name: "an item that is longer than its sequence",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            let item = element_saying(0xFFFE, 0xE000, 0x7000_0000, &[0; 8]);
            store(arena, |uid| ending(uid, &element(0x0040, 0xA730, &item)))
        },
    },
    Case {
        name: "delimiters where nothing is to delimit",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            let ends = [element(0xFFFE, 0xE00D, &[]), element(0xFFFE, 0xE0DD, &[])].concat();
            store(arena, |uid| ending(uid, &ends.repeat(1000)))
        },
    },
    Case {
        name: "a million elements of no length",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |arena| {
            store(arena, |uid| {
                ending(uid, &element(0x0029, 0x1010, &[]).repeat(1_000_000))
            })
        },
    },
    Case {
        name: "another SOP instance UID than the command's",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |_| ct(&fresh_uid())),
    },
    Case {
        name: "another SOP class than the command's",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store(arena, |uid| image(MR, uid)),
    },
    Case {
        name: "no SOP instance UID",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            store(arena, |_| {
                [text(0x0008, 0x0060, "CT"), text(0x0010, 0x0020, "X")].concat()
            })
        },
    },
    Case {
        name: "a UID that climbs directories, in command and data set",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store_as(arena, &climbing_uid()),
    },
    Case {
        name: "a UID of 200 characters, in command and data set",
        allowed: NOT_UNDERSTOOD,
        play: |arena| store_as(arena, &format!("1.2{}", ".3".repeat(99))),
    },
    Case {
        name: "a study UID that climbs directories",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |arena| {
            store(arena, |instance| {
                let climbs = &climbing_uid();
                [
                    uid(0x0008, 0x0016, CT),
                    uid(0x0008, 0x0018, instance),
                    text(0x0010, 0x0020, climbs),
                    uid(0x0020, 0x000D, climbs),
                    uid(0x0020, 0x000E, climbs),
                ]
                .concat()
            })
        },
    },
    Case {
        name: "implicit VR where explicit VR was agreed",
        allowed: NOT_UNDERSTOOD,
        play: |arena| {
            let uid = fresh_uid();
            arena.store_on(5, &Command::store(1, CT, &uid), &ct(&uid))
        },
    },
    Case {
        name: "file meta information before the data set",
        allowed: NOT_UNDERSTOOD_OR_STORED,
        play: |arena| {
            let head = [
                vec![0; 128],
                b"DICM".to_vec(),
                uid(0x0002, 0x0010, "1.2.840.10008.1.2"),
            ];
            store(arena, |uid| [head.concat(), ct(uid)].concat())
        },
    },
    Case {
        // Two megabytes that become 330.
        name: "a deflated data set that grows without end",
        allowed: NOT_UNDERSTOOD_OR_LOST,
        play: |arena| deflated(arena, |uid| growing(uid, 2 << 20)),
    },
    Case {
        name: "a deflated data set that is not deflated",
        allowed: NOT_UNDERSTOOD,
        play: |arena| deflated(arena, |_| vec![0xFF; 1000]),
    },
];

fn deflated(arena: &Arena<'_>, data_set: impl FnOnce(&str) -> Vec<u8>) -> Played {
    let mut request = arena.request();
    request.contexts.push(context(9, CT, &[DEFLATED]));
    let mut peer = arena.associate_with(&request)?;
    peer.needs(9)?;
    let uid = fresh_uid();
    peer.message(9, &Command::store(1, CT, &uid), &data_set(&uid));
    Ok(peer.reaction_within(Duration::from_secs(20)))
}
