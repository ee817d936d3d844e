//! Bad answers to a request (PS3.7 section 9).

use std::io;
use std::time::Duration;

use super::super::wire::{
    A_DATA_SET, COMMAND, COMMAND_FIELD, Command, DATA, DATA_SET_TYPE, FOUR_ZEROS, LAST, MESSAGE_ID,
    Value, abort, data, element_saying, pdu, pdu_saying, pdv, pdv_saying,
};
use super::Ends::{Done, Either, Failed};
use super::conversation::{Asked, Conversation, in_pieces, of_data_set};
use super::{Ends, Impostor};

const fn answers(
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

const fn stalls(name: &'static str, play: fn(&mut Conversation) -> io::Result<()>) -> Impostor {
    Impostor {
        name,
        ends: Failed,
        stalls: true,
        play,
    }
}

/// Is asked, says this, and ends in order if the SCU wants to.
fn say(it: &mut Conversation, words: impl FnOnce(Asked) -> Vec<u8>) -> io::Result<()> {
    let asked = it.be_asked()?;
    it.say(&words(asked))?;
    it.release()
}

/// As [`say`], an answer that differs from a right one.
fn answer(it: &mut Conversation, change: impl FnOnce(Command) -> Command) -> io::Result<()> {
    say(it, |asked| change(asked.answer(0)).pdu(asked.context))
}

/// Ends in order after this status.
fn status(it: &mut Conversation, status: u16) -> io::Result<()> {
    it.serve(status)?;
    it.release()
}

pub(super) const ALL: &[Impostor] = &[
    answers("serves as it should", Done, |it| status(it, 0)),
    // One of each class (PS3.7 Annex C). Warnings are for the caller to look at.
    answers("status 0001, a warning", Either, |it| status(it, 0x0001)),
    answers("status B000, a warning", Either, |it| status(it, 0xB000)),
    answers("status 0110, processing failure", Failed, |it| {
        status(it, 0x0110)
    }),
    answers("status 0122, SOP class not supported", Failed, |it| {
        status(it, 0x0122)
    }),
    answers("status 0211, unrecognised operation", Failed, |it| {
        status(it, 0x0211)
    }),
    answers("status A700, out of resources", Failed, |it| {
        status(it, 0xA700)
    }),
    answers("status A900, mismatch", Failed, |it| status(it, 0xA900)),
    answers("status C000, cannot understand", Failed, |it| {
        status(it, 0xC000)
    }),
    answers("status FE00, cancelled", Failed, |it| status(it, 0xFE00)),
    answers("a status that there is not", Failed, |it| {
        status(it, 0x7777)
    }),
    stalls("status FF00, pending, and no more", |it| {
        it.serve(0xFF00)?;
        it.hold()
    }),
    stalls("never answers", |it| {
        it.be_asked()?;
        it.hold()
    }),
    stalls("answers by half and waits", |it| {
        let asked = it.be_asked()?;
        let whole = asked.answer(0).pdu(asked.context);
        it.say(whole.get(..whole.len() / 2).unwrap_or_default())?;
        it.hold()
    }),
    stalls("answers by a first fragment only", |it| {
        let asked = it.be_asked()?;
        it.say(&data(&[pdv(
            asked.context,
            COMMAND,
            &asked.answer(0).bytes(),
        )]))?;
        it.hold()
    }),
    answers("hangs up instead of answering", Failed, |it| {
        it.be_asked().map(drop)
    }),
    answers("hangs up within its answer", Failed, |it| {
        let asked = it.be_asked()?;
        let whole = asked.answer(0).pdu(asked.context);
        it.say(whole.get(..whole.len() / 2).unwrap_or_default())
    }),
    answers("aborts instead of answering", Failed, |it| {
        it.be_asked()?;
        it.say(&abort())
    }),
    answers("aborts while it is asked", Failed, |it| {
        it.associate()?;
        it.say(&abort())
    }),
    answers(
        "hangs up while it is asked",
        Failed,
        Conversation::associate,
    ),
    answers("sends a PDU type that there is not", Failed, |it| {
        say(it, |_| pdu(0x42, FOUR_ZEROS))
    }),
    answers("answers another message", Failed, |it| {
        say(it, |asked| {
            let other = Value::Number(asked.message.wrapping_add(100));
            asked.answer(0).with(0x0120, other).pdu(asked.context)
        })
    }),
    answers("answers on another context", Failed, |it| {
        say(it, |asked| asked.answer(0).pdu(asked.context ^ 0x80))
    }),
    answers("answers another operation", Failed, |it| {
        answer(it, |it| it.with(COMMAND_FIELD, Value::Number(0x8FFF)))
    }),
    answers("asks instead of answering", Failed, |it| {
        say(it, |asked| Command::echo(7).pdu(asked.context))
    }),
    answers("answers without a status", Failed, |it| {
        answer(it, |it| it.without(0x0900))
    }),
    answers("answers without a message id", Failed, |it| {
        answer(it, |it| it.without(0x0120))
    }),
    answers("answers without a command field", Failed, |it| {
        answer(it, |it| it.without(COMMAND_FIELD))
    }),
    answers("answers with a message id of its own, too", Either, |it| {
        answer(it, |it| it.with(MESSAGE_ID, Value::Number(3)))
    }),
    answers("answers with a data set", Either, |it| {
        say(it, |asked| {
            let announced = asked
                .answer(0)
                .with(DATA_SET_TYPE, Value::Number(A_DATA_SET));
            let set = of_data_set(asked.context, &[8, 0, 5, 0, 0, 0, 0, 0]);
            [announced.pdu(asked.context), set].concat()
        })
    }),
    answers("answers with a data set only", Failed, |it| {
        say(it, |asked| {
            of_data_set(asked.context, &[8, 0, 5, 0, 0, 0, 0, 0])
        })
    }),
    answers("answers with an empty command set", Failed, |it| {
        say(it, |asked| data(&[pdv(asked.context, COMMAND | LAST, &[])]))
    }),
    answers("answers with random bytes", Failed, |it| {
        say(it, |asked| {
            data(&[pdv(asked.context, COMMAND | LAST, &[0xA5; 200])])
        })
    }),
    answers("answers with an element of 4 GB", Failed, |it| {
        say(it, |asked| {
            let long = element_saying(0, 0x0100, 0xFFFF_FFFE, &[0x30, 0x80]);
            data(&[pdv(asked.context, COMMAND | LAST, &long)])
        })
    }),
    answers("answers with a PDV that overruns", Failed, |it| {
        say(it, |asked| {
            let bytes = asked.answer(0).bytes();
            let length = u32::try_from(bytes.len()).unwrap_or(0) + 3;
            data(&[pdv_saying(length, asked.context, COMMAND | LAST, &bytes)])
        })
    }),
    answers("answers with P-DATA-TF of 4 GB", Failed, |it| {
        say(it, |asked| {
            pdu_saying(DATA, u32::MAX, &asked.answer(0).pdu(asked.context))
        })
    }),
    answers("answers with P-DATA-TF of nothing", Failed, |it| {
        say(it, |_| pdu(DATA, &[]))
    }),
    answers("answers in 8 MB that do not end", Failed, |it| {
        say(it, |asked| {
            let part = data(&[pdv(asked.context, COMMAND, &[0xFF; 16_000])]);
            part.repeat(512)
        })
    }),
    // All that follows is legal.
    answers("answers in PDVs of two bytes", Done, |it| {
        say(it, |asked| in_pieces(asked.context, &asked.answer(0), 2))
    }),
    answers("answers in segments of one byte", Done, |it| {
        let asked = it.be_asked()?;
        for byte in asked.answer(0).pdu(asked.context) {
            it.say(&[byte])?;
        }
        it.release()
    }),
    answers("answers after half a second", Done, |it| {
        let asked = it.be_asked()?;
        it.pause(Duration::from_millis(500))?;
        it.answer(asked, &asked.answer(0))?;
        it.release()
    }),
    answers("answers with comments", Done, |it| {
        answer(it, |it| {
            it.with(0x0902, Value::Bytes(b"all is well ".to_vec()))
        })
    }),
];
