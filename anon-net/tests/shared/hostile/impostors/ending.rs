//! Odd ends after a right answer (PS3.8 section 9.2, states 7 to 12): what was done stays done.

use std::io;

use super::super::wire::{FOUR_ZEROS, RELEASE_RP, RELEASE_RQ, abort, pdu};
use super::Ends::{Done, Either};
use super::conversation::Conversation;
use super::{Ends, Impostor};

const fn ends(
    name: &'static str,
    ends: Ends,
    play: fn(&mut Conversation) -> io::Result<()>,
) -> Impostor {
    Impostor {
        name,
        ends,
        stalls: false,
        play,
    }
}

pub(super) const ALL: &[Impostor] = &[
    ends("aborts after its answer", Either, |it| {
        it.serve(0)?;
        it.say(&abort())
    }),
    ends("hangs up after its answer", Either, |it| it.serve(0)),
    ends("aborts on the release", Either, |it| {
        it.serve(0)?;
        it.hear_release()?;
        it.say(&abort())
    }),
    ends("hangs up on the release", Either, |it| {
        it.serve(0)?;
        it.hear_release()
    }),
    Impostor {
        name: "never answers the release",
        ends: Either,
        stalls: true,
        play: |it| {
            it.serve(0)?;
            it.hear_release()?;
            it.hold()
        },
    },
    // Both at once: the requestor answers first (section 9.2.2, release collision).
    ends("releases as it is released", Either, |it| {
        it.serve(0)?;
        it.say(&pdu(RELEASE_RQ, FOUR_ZEROS))?;
        it.hear_release()?;
        it.say(&pdu(RELEASE_RP, FOUR_ZEROS))
    }),
    ends("answers once more before the release", Either, |it| {
        let asked = it.be_asked()?;
        it.answer(asked, &asked.answer(0))?;
        it.hear_release()?;
        it.answer(asked, &asked.answer(0))?;
        it.say(&pdu(RELEASE_RP, FOUR_ZEROS))
    }),
    ends("answers the release in segments of one byte", Done, |it| {
        it.serve(0)?;
        it.hear_release()?;
        for byte in pdu(RELEASE_RP, FOUR_ZEROS) {
            it.say(&[byte])?;
        }
        Ok(())
    }),
];
