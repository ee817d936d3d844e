//! What is no association request (PS3.8 section 9.2: state 2, awaiting A-ASSOCIATE-RQ).

use super::super::Allowed::{AnyAbort, AnyReject, Anything, Close};
use super::super::peer::Reaction;
use super::super::wire::{
    ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ, Command, DATA, FOUR_ZEROS, RELEASE_RP,
    RELEASE_RQ, abort, pdu, pdu_saying,
};
use super::super::{Allowed, Case};

/// Action AA-1: A-ABORT, then the end. A server that closes with bytes unread resets the connection,
/// and its abort may be lost: that is for long streams only.
const ABORTED: &[Allowed] = &[AnyAbort];
const ABORTED_OR_LOST: &[Allowed] = &[AnyAbort, Close];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "garbage",
        allowed: ABORTED,
        play: |arena| arena.raw(&noise(64)),
    },
    Case {
        name: "a megabyte of garbage",
        allowed: ABORTED_OR_LOST,
        play: |arena| arena.raw(&noise(1 << 20)),
    },
    Case {
        name: "zeros",
        allowed: ABORTED,
        play: |arena| arena.raw(&[0; 64]),
    },
    Case {
        // It would not understand an A-ABORT.
        name: "an HTTP request",
        allowed: ABORTED_OR_LOST,
        play: |arena| arena.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    },
    Case {
        name: "a TLS client hello",
        allowed: ABORTED_OR_LOST,
        play: |arena| arena.raw(&client_hello()),
    },
    Case {
        name: "one byte, then no more",
        allowed: ABORTED_OR_LOST,
        play: |arena| {
            let mut peer = arena.connect()?;
            peer.send(&[ASSOCIATE_RQ]);
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    Case {
        name: "connects and says nothing, then no more",
        allowed: ABORTED_OR_LOST,
        play: |arena| {
            let mut peer = arena.connect()?;
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    Case {
        name: "connects and is gone",
        allowed: &[Anything],
        play: |arena| {
            drop(arena.connect()?);
            Ok(Reaction::Held)
        },
    },
    Case {
        name: "a PDU type that there is not",
        allowed: ABORTED,
        play: |arena| arena.raw(&pdu(8, FOUR_ZEROS)),
    },
    Case {
        name: "an A-ASSOCIATE-RQ of no length",
        allowed: &[AnyAbort, AnyReject],
        play: |arena| arena.raw(&pdu(ASSOCIATE_RQ, &[])),
    },
    Case {
        name: "an A-ASSOCIATE-RQ cut after its titles",
        allowed: &[AnyAbort, AnyReject],
        play: |arena| {
            let body = arena.request().body();
            arena.raw(&pdu(ASSOCIATE_RQ, body.get(..36).unwrap_or_default()))
        },
    },
    Case {
        name: "an A-ASSOCIATE-RQ of 4 GB",
        allowed: ABORTED_OR_LOST,
        play: |arena| arena.raw(&pdu_saying(ASSOCIATE_RQ, u32::MAX, &arena.request().body())),
    },
    Case {
        name: "P-DATA-TF of 4 GB before an association",
        allowed: ABORTED_OR_LOST,
        play: |arena| arena.raw(&pdu_saying(DATA, u32::MAX, &[0; 64])),
    },
    Case {
        name: "P-DATA-TF before an association",
        allowed: ABORTED,
        play: |arena| arena.raw(&Command::echo(1).pdu(1)),
    },
    Case {
        name: "A-RELEASE-RQ before an association",
        allowed: ABORTED,
        play: |arena| arena.raw(&pdu(RELEASE_RQ, FOUR_ZEROS)),
    },
    Case {
        name: "A-RELEASE-RP before an association",
        allowed: ABORTED,
        play: |arena| arena.raw(&pdu(RELEASE_RP, FOUR_ZEROS)),
    },
    Case {
        name: "A-ASSOCIATE-AC from the requestor",
        allowed: ABORTED,
        play: |arena| arena.raw(&pdu(ASSOCIATE_AC, &arena.request().body())),
    },
    Case {
        name: "A-ASSOCIATE-RJ from the requestor",
        allowed: ABORTED,
        play: |arena| arena.raw(&pdu(ASSOCIATE_RJ, &[0, 1, 1, 1])),
    },
    Case {
        // Action AA-2.
        name: "A-ABORT before an association",
        allowed: &[Close],
        play: |arena| arena.raw(&abort()),
    },
    Case {
        name: "an A-ABORT that is too long",
        allowed: ABORTED_OR_LOST,
        play: |arena| arena.raw(&pdu(ABORT, &[0; 400])),
    },
];

/// Bytes that are the same at every run, and begin no PDU (Marsaglia's xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    });
    let rest = bytes.flatten().take(length.saturating_sub(1));
    std::iter::once(0xEE).chain(rest).collect()
}

/// A record and a handshake header of TLS 1.2 as clients send them, and nothing sensible in it.
fn client_hello() -> Vec<u8> {
    let hello = [&[1, 0, 0, 0x7C, 3, 3], &noise(0x7A)[..]].concat();
    [&[0x16, 3, 1, 0, 0x80], &hello[..]].concat()
}
