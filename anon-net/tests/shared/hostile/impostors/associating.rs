//! Bad answers to an association request (PS3.8 section 9.2, state 5).

use super::super::wire::{
    ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ, EXPLICIT, FOUR_ZEROS, IMPLICIT, PRIVATE,
    RELEASE_RP, abort, item, item_saying, max_length, pdu, pdu_saying,
};
use super::Ends::{Done, Either, Failed};
use super::conversation::{Conversation, accepted};
use super::{Ends, Impostor};

/// The one who says this after the request, and then no more.
const fn says(
    name: &'static str,
    ends: Ends,
    play: fn(&mut Conversation) -> std::io::Result<()>,
) -> Impostor {
    Impostor {
        name,
        ends,
        stalls: false,
        play,
    }
}

const fn stalls(
    name: &'static str,
    play: fn(&mut Conversation) -> std::io::Result<()>,
) -> Impostor {
    Impostor {
        name,
        ends: Failed,
        stalls: true,
        play,
    }
}

/// Accepts in this odd way, then serves as it should.
fn serve_after(it: &mut Conversation, acceptance: &[u8]) -> std::io::Result<()> {
    it.say(acceptance)?;
    let asked = it.hear_message()?;
    it.answer(asked, &asked.answer(0))?;
    it.release()
}

fn reject(it: &mut Conversation, result: u8, source: u8, reason: u8) -> std::io::Result<()> {
    it.hear_request()?;
    it.say(&pdu(ASSOCIATE_RJ, &[0, result, source, reason]))
}

pub(super) const ALL: &[Impostor] = &[
    says("hangs up at once", Failed, |_| Ok(())),
    says("resets", Failed, Conversation::reset),
    says(
        "hangs up on the request",
        Failed,
        Conversation::hear_request,
    ),
    stalls("never answers the request", |it| {
        it.hear_request()?;
        it.hold()
    }),
    says("answers by HTTP", Failed, |it| {
        it.say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    }),
    says("answers by a TLS alert", Failed, |it| {
        it.say(&[0x15, 3, 1, 0, 2, 2, 70])
    }),
    says("greets as a mail server", Failed, |it| {
        it.say(b"220 localhost ESMTP\r\n")
    }),
    says("answers the request with zeros", Failed, |it| {
        it.hear_request()?;
        it.say(&[0; 1000])
    }),
    // Result, source, reason: PS3.8 Table 9-21.
    says("rejects: no reason given", Failed, |it| reject(it, 1, 1, 1)),
    says("rejects: application context", Failed, |it| {
        reject(it, 1, 1, 2)
    }),
    says("rejects: calling AE title", Failed, |it| {
        reject(it, 1, 1, 3)
    }),
    says("rejects: called AE title", Failed, |it| reject(it, 1, 1, 7)),
    says("rejects: protocol version", Failed, |it| {
        reject(it, 1, 2, 2)
    }),
    says("rejects: temporary congestion", Failed, |it| {
        reject(it, 2, 3, 1)
    }),
    says("rejects: local limit exceeded", Failed, |it| {
        reject(it, 2, 3, 2)
    }),
    says("rejects for a reason that there is not", Failed, |it| {
        reject(it, 9, 99, 199)
    }),
    says("rejects in too few bytes", Failed, |it| {
        it.hear_request()?;
        it.say(&pdu(ASSOCIATE_RJ, &[0, 1]))
    }),
    says("aborts instead of accepting", Failed, |it| {
        it.hear_request()?;
        it.say(&abort())
    }),
    says("aborts in too many bytes", Failed, |it| {
        it.hear_request()?;
        it.say(&pdu(ABORT, &[0; 400]))
    }),
    says("asks back for an association", Failed, |it| {
        it.hear_request()?;
        let body = it.acceptance(&[]).get(6..).unwrap_or_default().to_vec();
        it.say(&pdu(ASSOCIATE_RQ, &body))
    }),
    says("releases what does not stand", Failed, |it| {
        it.hear_request()?;
        it.say(&pdu(RELEASE_RP, FOUR_ZEROS))
    }),
    says("sends a PDU type that there is not", Failed, |it| {
        it.hear_request()?;
        it.say(&pdu(0x42, FOUR_ZEROS))
    }),
    says("accepts in no bytes", Failed, |it| {
        it.hear_request()?;
        it.say(&pdu(ASSOCIATE_AC, &[]))
    }),
    says("accepts in 4 GB", Failed, |it| {
        it.hear_request()?;
        it.say(&pdu_saying(ASSOCIATE_AC, u32::MAX, &[0; 1000]))
    }),
    says("accepts by half and hangs up", Failed, |it| {
        it.hear_request()?;
        let whole = it.acceptance(&[]);
        it.say(whole.get(..whole.len() / 2).unwrap_or_default())
    }),
    stalls("accepts by half and waits", |it| {
        it.hear_request()?;
        let whole = it.acceptance(&[]);
        it.say(whole.get(..whole.len() / 2).unwrap_or_default())?;
        it.hold()
    }),
    says("accepts with an item that overruns", Failed, |it| {
        it.hear_request()?;
        let acceptance = it.acceptance(&item_saying(0x21, 60_000, &[1, 0, 0, 0]));
        it.say(&acceptance)
    }),
    says("accepts no context", Failed, |it| {
        it.hear_request()?;
        let contexts = it.answered(3, IMPLICIT);
        let acceptance = it.acceptance_of(&contexts, &max_length(16_384));
        it.say(&acceptance)?;
        it.hold()
    }),
    says("accepts without a word on contexts", Failed, |it| {
        it.hear_request()?;
        let acceptance = it.acceptance_of(&[], &max_length(16_384));
        it.say(&acceptance)?;
        it.hold()
    }),
    says(
        "accepts in a transfer syntax that nobody proposed",
        Failed,
        |it| {
            it.hear_request()?;
            let contexts = it.answered(0, PRIVATE);
            let acceptance = it.acceptance_of(&contexts, &max_length(16_384));
            serve_after(it, &acceptance)
        },
    ),
    says(
        "accepts contexts for a reason that there is not",
        Failed,
        |it| {
            it.hear_request()?;
            let contexts = it.answered(77, IMPLICIT);
            let acceptance = it.acceptance_of(&contexts, &max_length(16_384));
            it.say(&acceptance)?;
            it.hold()
        },
    ),
    says(
        "accepts a context that nobody proposed, too",
        Either,
        |it| {
            it.hear_request()?;
            let acceptance = it.acceptance(&accepted(251, 0, EXPLICIT.as_bytes()));
            serve_after(it, &acceptance)
        },
    ),
    says("accepts each context twice", Either, |it| {
        it.hear_request()?;
        let again = it.answered(0, IMPLICIT);
        let acceptance = it.acceptance(&again);
        serve_after(it, &acceptance)
    }),
    says("takes no more than 1 byte", Either, |it| {
        it.hear_request()?;
        let contexts = it.answered(0, IMPLICIT);
        let acceptance = it.acceptance_of(&contexts, &max_length(1));
        serve_after(it, &acceptance)
    }),
    // PS3.8 section 9.3.1: what is not recognised is ignored.
    says("accepts with items that nobody knows", Done, |it| {
        it.hear_request()?;
        let acceptance = it.acceptance(&item(0x7F, b"unknown").repeat(50));
        serve_after(it, &acceptance)
    }),
    says("accepts in segments of one byte", Done, |it| {
        it.hear_request()?;
        let acceptance = it.acceptance(&[]);
        for byte in acceptance {
            it.say(&[byte])?;
        }
        serve_after(it, &[])
    }),
    says("accepts twice", Failed, |it| {
        it.hear_request()?;
        let acceptance = it.acceptance(&[]);
        it.say(&acceptance.repeat(2))
    }),
];
