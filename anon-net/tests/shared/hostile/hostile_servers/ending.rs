//! Unusual ends after a valid response (PS3.8 section 9.2, states 7 to 12). The operation stays
//! done.

use std::io;

use super::super::wire::{FOUR_ZEROS, RELEASE_RP, RELEASE_RQ, abort, pdu};
use super::ExpectedEnd::{Done, Either};
use super::conversation::Conversation;
use super::{ExpectedEnd, HostileServer};

const fn ends(
    name: &'static str,
    ends: ExpectedEnd,
    play: fn(&mut Conversation) -> io::Result<()>,
) -> HostileServer {
    HostileServer {
        name,
        ends,
        stalls: false,
        play,
    }
}

pub(super) const ALL: &[HostileServer] = &[
    ends("aborts after its response", Either, |it| {
        it.serve(0)?;
        it.send(&abort())
    }),
    ends("closes after its response", Either, |it| it.serve(0)),
    ends("aborts on the release", Either, |it| {
        it.serve(0)?;
        it.receive_release()?;
        it.send(&abort())
    }),
    ends("closes on the release", Either, |it| {
        it.serve(0)?;
        it.receive_release()
    }),
    HostileServer {
        name: "never responds to the release",
        ends: Either,
        stalls: true,
        play: |it| {
            it.serve(0)?;
            it.receive_release()?;
            it.hold()
        },
    },
    // Release collision: the requestor responds first (PS3.8 section 9.2.2).
    ends("releases at the same time as the SCU", Either, |it| {
        it.serve(0)?;
        it.send(&pdu(RELEASE_RQ, FOUR_ZEROS))?;
        it.receive_release()?;
        it.send(&pdu(RELEASE_RP, FOUR_ZEROS))
    }),
    ends("responds twice before the release", Either, |it| {
        let request = it.receive_request()?;
        it.respond(request, &request.response(0))?;
        it.receive_release()?;
        it.respond(request, &request.response(0))?;
        it.send(&pdu(RELEASE_RP, FOUR_ZEROS))
    }),
    ends(
        "responds to the release in segments of one byte",
        Done,
        |it| {
            it.serve(0)?;
            it.receive_release()?;
            for byte in pdu(RELEASE_RP, FOUR_ZEROS) {
                it.send(&[byte])?;
            }
            Ok(())
        },
    ),
];
