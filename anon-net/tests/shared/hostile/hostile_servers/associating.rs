//! Invalid responses to an association request (PS3.8 section 9.2, state 5).

use super::super::wire::{
    ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ, EXPLICIT, FOUR_ZEROS, IMPLICIT, PRIVATE,
    RELEASE_RP, abort, item, item_declaring, max_length, pdu, pdu_declaring,
};
use super::ExpectedEnd::{Done, Either, Failed};
use super::conversation::{Conversation, accepted};
use super::{ExpectedEnd, HostileServer};

/// A server that sends this and then closes.
const fn sends(
    name: &'static str,
    ends: ExpectedEnd,
    play: fn(&mut Conversation) -> std::io::Result<()>,
) -> HostileServer {
    HostileServer {
        name,
        ends,
        stalls: false,
        play,
    }
}

const fn stalls(
    name: &'static str,
    play: fn(&mut Conversation) -> std::io::Result<()>,
) -> HostileServer {
    HostileServer {
        name,
        ends: Failed,
        stalls: true,
        play,
    }
}

/// Sends this acceptance, then behaves correctly.
fn serve_after(it: &mut Conversation, acceptance: &[u8]) -> std::io::Result<()> {
    it.send(acceptance)?;
    let request = it.receive_message()?;
    it.respond(request, &request.response(0))?;
    it.release()
}

fn reject(it: &mut Conversation, result: u8, source: u8, reason: u8) -> std::io::Result<()> {
    it.receive_association_request()?;
    it.send(&pdu(ASSOCIATE_RJ, &[0, result, source, reason]))
}

pub(super) const ALL: &[HostileServer] = &[
    sends("closes at once", Failed, |_| Ok(())),
    sends("resets", Failed, Conversation::reset),
    sends(
        "closes after the request",
        Failed,
        Conversation::receive_association_request,
    ),
    stalls("never responds to the request", |it| {
        it.receive_association_request()?;
        it.hold()
    }),
    sends("responds with HTTP", Failed, |it| {
        it.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    }),
    sends("responds with a TLS alert", Failed, |it| {
        it.send(&[0x15, 3, 1, 0, 2, 2, 70])
    }),
    sends("sends the greeting of a mail server", Failed, |it| {
        it.send(b"220 localhost ESMTP\r\n")
    }),
    sends("responds to the request with zeros", Failed, |it| {
        it.receive_association_request()?;
        it.send(&[0; 1000])
    }),
    // Result, source and reason are those of PS3.8 Table 9-21.
    sends("rejects: no reason given", Failed, |it| reject(it, 1, 1, 1)),
    sends("rejects: application context", Failed, |it| {
        reject(it, 1, 1, 2)
    }),
    sends("rejects: calling AE title", Failed, |it| {
        reject(it, 1, 1, 3)
    }),
    sends("rejects: called AE title", Failed, |it| reject(it, 1, 1, 7)),
    sends("rejects: protocol version", Failed, |it| {
        reject(it, 1, 2, 2)
    }),
    sends("rejects: temporary congestion", Failed, |it| {
        reject(it, 2, 3, 1)
    }),
    sends("rejects: local limit exceeded", Failed, |it| {
        reject(it, 2, 3, 2)
    }),
    sends("rejects with an undefined reason", Failed, |it| {
        reject(it, 9, 99, 199)
    }),
    sends("rejects with a PDU that is too short", Failed, |it| {
        it.receive_association_request()?;
        it.send(&pdu(ASSOCIATE_RJ, &[0, 1]))
    }),
    sends("aborts instead of accepting", Failed, |it| {
        it.receive_association_request()?;
        it.send(&abort())
    }),
    sends("aborts with a PDU that is too long", Failed, |it| {
        it.receive_association_request()?;
        it.send(&pdu(ABORT, &[0; 400]))
    }),
    sends("responds with an association request", Failed, |it| {
        it.receive_association_request()?;
        let body = it.acceptance(&[]).get(6..).unwrap_or_default().to_vec();
        it.send(&pdu(ASSOCIATE_RQ, &body))
    }),
    sends("releases before the association", Failed, |it| {
        it.receive_association_request()?;
        it.send(&pdu(RELEASE_RP, FOUR_ZEROS))
    }),
    sends("sends an undefined PDU type", Failed, |it| {
        it.receive_association_request()?;
        it.send(&pdu(0x42, FOUR_ZEROS))
    }),
    sends("accepts with an empty PDU", Failed, |it| {
        it.receive_association_request()?;
        it.send(&pdu(ASSOCIATE_AC, &[]))
    }),
    sends("accepts with a PDU of 4 GB", Failed, |it| {
        it.receive_association_request()?;
        it.send(&pdu_declaring(ASSOCIATE_AC, u32::MAX, &[0; 1000]))
    }),
    sends("sends half of the acceptance and closes", Failed, |it| {
        it.receive_association_request()?;
        let whole = it.acceptance(&[]);
        it.send(whole.get(..whole.len() / 2).unwrap_or_default())
    }),
    stalls("sends half of the acceptance and waits", |it| {
        it.receive_association_request()?;
        let whole = it.acceptance(&[]);
        it.send(whole.get(..whole.len() / 2).unwrap_or_default())?;
        it.hold()
    }),
    sends("accepts with an item that overruns the PDU", Failed, |it| {
        it.receive_association_request()?;
        let acceptance = it.acceptance(&item_declaring(0x21, 60_000, &[1, 0, 0, 0]));
        it.send(&acceptance)
    }),
    sends("accepts no context", Failed, |it| {
        it.receive_association_request()?;
        let contexts = it.context_results(3, IMPLICIT);
        let acceptance = it.acceptance_of(&contexts, &max_length(16_384));
        it.send(&acceptance)?;
        it.hold()
    }),
    sends("accepts without context items", Failed, |it| {
        it.receive_association_request()?;
        let acceptance = it.acceptance_of(&[], &max_length(16_384));
        it.send(&acceptance)?;
        it.hold()
    }),
    sends(
        "accepts with a transfer syntax that was not proposed",
        Failed,
        |it| {
            it.receive_association_request()?;
            let contexts = it.context_results(0, PRIVATE);
            let acceptance = it.acceptance_of(&contexts, &max_length(16_384));
            serve_after(it, &acceptance)
        },
    ),
    sends("accepts contexts with an undefined reason", Failed, |it| {
        it.receive_association_request()?;
        let contexts = it.context_results(77, IMPLICIT);
        let acceptance = it.acceptance_of(&contexts, &max_length(16_384));
        it.send(&acceptance)?;
        it.hold()
    }),
    sends(
        "accepts an additional context that was not proposed",
        Either,
        |it| {
            it.receive_association_request()?;
            let acceptance = it.acceptance(&accepted(251, 0, EXPLICIT.as_bytes()));
            serve_after(it, &acceptance)
        },
    ),
    sends("accepts each context twice", Either, |it| {
        it.receive_association_request()?;
        let again = it.context_results(0, IMPLICIT);
        let acceptance = it.acceptance(&again);
        serve_after(it, &acceptance)
    }),
    sends("announces a maximum length of 1 byte", Either, |it| {
        it.receive_association_request()?;
        let contexts = it.context_results(0, IMPLICIT);
        let acceptance = it.acceptance_of(&contexts, &max_length(1));
        serve_after(it, &acceptance)
    }),
    // PS3.8 section 9.3.1: unrecognized items are ignored.
    sends("accepts with unknown items", Done, |it| {
        it.receive_association_request()?;
        let acceptance = it.acceptance(&item(0x7F, b"unknown").repeat(50));
        serve_after(it, &acceptance)
    }),
    sends("accepts in segments of one byte", Done, |it| {
        it.receive_association_request()?;
        let acceptance = it.acceptance(&[]);
        for byte in acceptance {
            it.send(&[byte])?;
        }
        serve_after(it, &[])
    }),
    sends("accepts twice", Failed, |it| {
        it.receive_association_request()?;
        let acceptance = it.acceptance(&[]);
        it.send(&acceptance.repeat(2))
    }),
];
