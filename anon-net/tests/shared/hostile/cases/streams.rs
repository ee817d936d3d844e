//! Data that is not an association request (PS3.8 section 9.2, state 2: awaiting A-ASSOCIATE-RQ).

use super::super::Allowed::{AnyAbort, AnyReject, Anything, Close};
use super::super::peer::Reaction;
use super::super::wire::{
    ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ, Command, DATA, FOUR_ZEROS, RELEASE_RP,
    RELEASE_RQ, abort, pdu, pdu_declaring,
};
use super::super::{Allowed, HostileCase};

/// Action AA-1: A-ABORT, then closing. A server that closes with unread bytes resets the
/// connection, and the abort may be lost. This is accepted for long streams only.
const ABORTED: &[Allowed] = &[AnyAbort];
const ABORTED_OR_LOST: &[Allowed] = &[AnyAbort, Close];

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "garbage",
        allowed: ABORTED,
        play: |runner| runner.raw(&noise(64)),
    },
    HostileCase {
        name: "a megabyte of garbage",
        allowed: ABORTED_OR_LOST,
        play: |runner| runner.raw(&noise(1 << 20)),
    },
    HostileCase {
        name: "zeros",
        allowed: ABORTED,
        play: |runner| runner.raw(&[0; 64]),
    },
    HostileCase {
        // An HTTP client would not understand an A-ABORT.
        name: "an HTTP request",
        allowed: ABORTED_OR_LOST,
        play: |runner| runner.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    },
    HostileCase {
        name: "a TLS client hello",
        allowed: ABORTED_OR_LOST,
        play: |runner| runner.raw(&client_hello()),
    },
    HostileCase {
        name: "one byte, then end of stream",
        allowed: ABORTED_OR_LOST,
        play: |runner| {
            let mut peer = runner.connect()?;
            peer.send(&[ASSOCIATE_RQ]);
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "no data, then end of stream",
        allowed: ABORTED_OR_LOST,
        play: |runner| {
            let mut peer = runner.connect()?;
            peer.half_close();
            Ok(peer.reaction())
        },
    },
    HostileCase {
        name: "connects and closes",
        allowed: &[Anything],
        play: |runner| {
            drop(runner.connect()?);
            Ok(Reaction::NotWaitedFor)
        },
    },
    HostileCase {
        name: "an undefined PDU type",
        allowed: ABORTED,
        play: |runner| runner.raw(&pdu(8, FOUR_ZEROS)),
    },
    HostileCase {
        name: "an A-ASSOCIATE-RQ of length 0",
        allowed: &[AnyAbort, AnyReject],
        play: |runner| runner.raw(&pdu(ASSOCIATE_RQ, &[])),
    },
    HostileCase {
        name: "an A-ASSOCIATE-RQ truncated after its titles",
        allowed: &[AnyAbort, AnyReject],
        play: |runner| {
            let body = runner.request().body();
            runner.raw(&pdu(ASSOCIATE_RQ, body.get(..36).unwrap_or_default()))
        },
    },
    HostileCase {
        name: "an A-ASSOCIATE-RQ of 4 GB",
        allowed: ABORTED_OR_LOST,
        play: |runner| {
            runner.raw(&pdu_declaring(
                ASSOCIATE_RQ,
                u32::MAX,
                &runner.request().body(),
            ))
        },
    },
    HostileCase {
        name: "P-DATA-TF of 4 GB before an association",
        allowed: ABORTED_OR_LOST,
        play: |runner| runner.raw(&pdu_declaring(DATA, u32::MAX, &[0; 64])),
    },
    HostileCase {
        name: "P-DATA-TF before an association",
        allowed: ABORTED,
        play: |runner| runner.raw(&Command::echo(1).pdu(1)),
    },
    HostileCase {
        name: "A-RELEASE-RQ before an association",
        allowed: ABORTED,
        play: |runner| runner.raw(&pdu(RELEASE_RQ, FOUR_ZEROS)),
    },
    HostileCase {
        name: "A-RELEASE-RP before an association",
        allowed: ABORTED,
        play: |runner| runner.raw(&pdu(RELEASE_RP, FOUR_ZEROS)),
    },
    HostileCase {
        name: "A-ASSOCIATE-AC from the requestor",
        allowed: ABORTED,
        play: |runner| runner.raw(&pdu(ASSOCIATE_AC, &runner.request().body())),
    },
    HostileCase {
        name: "A-ASSOCIATE-RJ from the requestor",
        allowed: ABORTED,
        play: |runner| runner.raw(&pdu(ASSOCIATE_RJ, &[0, 1, 1, 1])),
    },
    HostileCase {
        // Action AA-2.
        name: "A-ABORT before an association",
        allowed: &[Close],
        play: |runner| runner.raw(&abort()),
    },
    HostileCase {
        name: "an A-ABORT that is too long",
        allowed: ABORTED_OR_LOST,
        play: |runner| runner.raw(&pdu(ABORT, &[0; 400])),
    },
];

/// Returns bytes that are the same in every run and do not begin like a PDU (Marsaglia's xorshift).
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

/// Returns a TLS 1.2 record and handshake header as clients send them, followed by noise.
fn client_hello() -> Vec<u8> {
    let hello = [&[1, 0, 0, 0x7C, 3, 3], &noise(0x7A)[..]].concat();
    [&[0x16, 3, 1, 0, 0x80], &hello[..]].concat()
}
