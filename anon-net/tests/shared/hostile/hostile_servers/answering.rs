//! Invalid responses to a request (PS3.7 section 9).

use std::io;
use std::time::Duration;

use super::super::wire::{
    A_DATA_SET, COMMAND, COMMAND_FIELD, Command, DATA, DATA_SET_TYPE, FOUR_ZEROS, LAST, MESSAGE_ID,
    Value, abort, data, element_declaring, pdu, pdu_declaring, pdv, pdv_declaring,
};
use super::ExpectedEnd::{Done, Either, Failed};
use super::conversation::{Conversation, ReceivedRequest, in_pieces, of_data_set};
use super::{ExpectedEnd, HostileServer};

const fn responds(
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

const fn stalls(
    name: &'static str,
    play: fn(&mut Conversation) -> io::Result<()>,
) -> HostileServer {
    HostileServer {
        name,
        ends: Failed,
        stalls: true,
        play,
    }
}

/// Receives a request, sends these bytes, and waits for the release.
fn respond_with(
    it: &mut Conversation,
    response: impl FnOnce(ReceivedRequest) -> Vec<u8>,
) -> io::Result<()> {
    let request = it.receive_request()?;
    it.send(&response(request))?;
    it.release()
}

/// As [`respond_with`], with a changed response.
fn respond_changed(
    it: &mut Conversation,
    change: impl FnOnce(Command) -> Command,
) -> io::Result<()> {
    respond_with(it, |request| {
        change(request.response(0)).pdu(request.context)
    })
}

/// Responds with this status and waits for the release.
fn status(it: &mut Conversation, status: u16) -> io::Result<()> {
    it.serve(status)?;
    it.release()
}

pub(super) const ALL: &[HostileServer] = &[
    responds("behaves correctly", Done, |it| status(it, 0)),
    // One status of each class (PS3.7 Annex C). The caller decides about warnings.
    responds("status 0001, a warning", Either, |it| status(it, 0x0001)),
    responds("status B000, a warning", Either, |it| status(it, 0xB000)),
    responds("status 0110, processing failure", Failed, |it| {
        status(it, 0x0110)
    }),
    responds("status 0122, SOP class not supported", Failed, |it| {
        status(it, 0x0122)
    }),
    responds("status 0211, unrecognized operation", Failed, |it| {
        status(it, 0x0211)
    }),
    responds("status A700, out of resources", Failed, |it| {
        status(it, 0xA700)
    }),
    responds("status A900, mismatch", Failed, |it| status(it, 0xA900)),
    responds("status C000, cannot understand", Failed, |it| {
        status(it, 0xC000)
    }),
    responds("status FE00, cancelled", Failed, |it| status(it, 0xFE00)),
    responds("an undefined status", Failed, |it| status(it, 0x7777)),
    stalls("status FF00, pending, then silence", |it| {
        it.serve(0xFF00)?;
        it.hold()
    }),
    stalls("never responds", |it| {
        it.receive_request()?;
        it.hold()
    }),
    stalls("sends half of the response and waits", |it| {
        let request = it.receive_request()?;
        let whole = request.response(0).pdu(request.context);
        it.send(whole.get(..whole.len() / 2).unwrap_or_default())?;
        it.hold()
    }),
    stalls("sends only the first fragment of the response", |it| {
        let request = it.receive_request()?;
        it.send(&data(&[pdv(
            request.context,
            COMMAND,
            &request.response(0).bytes(),
        )]))?;
        it.hold()
    }),
    responds("closes instead of responding", Failed, |it| {
        it.receive_request().map(drop)
    }),
    responds("closes within its response", Failed, |it| {
        let request = it.receive_request()?;
        let whole = request.response(0).pdu(request.context);
        it.send(whole.get(..whole.len() / 2).unwrap_or_default())
    }),
    responds("aborts instead of responding", Failed, |it| {
        it.receive_request()?;
        it.send(&abort())
    }),
    responds("aborts while the request is sent", Failed, |it| {
        it.associate()?;
        it.send(&abort())
    }),
    responds(
        "closes while the request is sent",
        Failed,
        Conversation::associate,
    ),
    responds("sends an undefined PDU type", Failed, |it| {
        respond_with(it, |_| pdu(0x42, FOUR_ZEROS))
    }),
    responds("responds to another message", Failed, |it| {
        respond_with(it, |request| {
            let other = Value::Number(request.message.wrapping_add(100));
            request.response(0).with(0x0120, other).pdu(request.context)
        })
    }),
    responds("responds on another context", Failed, |it| {
        respond_with(it, |request| {
            request.response(0).pdu(request.context ^ 0x80)
        })
    }),
    responds("responds to another operation", Failed, |it| {
        respond_changed(it, |it| it.with(COMMAND_FIELD, Value::Number(0x8FFF)))
    }),
    responds("sends a request instead of a response", Failed, |it| {
        respond_with(it, |request| Command::echo(7).pdu(request.context))
    }),
    responds("responds without a status", Failed, |it| {
        respond_changed(it, |it| it.without(0x0900))
    }),
    responds("responds without a message id", Failed, |it| {
        respond_changed(it, |it| it.without(0x0120))
    }),
    responds("responds without a command field", Failed, |it| {
        respond_changed(it, |it| it.without(COMMAND_FIELD))
    }),
    responds("responds with an additional message id", Either, |it| {
        respond_changed(it, |it| it.with(MESSAGE_ID, Value::Number(3)))
    }),
    responds("responds with a data set", Either, |it| {
        respond_with(it, |request| {
            let announced = request
                .response(0)
                .with(DATA_SET_TYPE, Value::Number(A_DATA_SET));
            let set = of_data_set(request.context, &[8, 0, 5, 0, 0, 0, 0, 0]);
            [announced.pdu(request.context), set].concat()
        })
    }),
    responds("responds with a data set only", Failed, |it| {
        respond_with(it, |request| {
            of_data_set(request.context, &[8, 0, 5, 0, 0, 0, 0, 0])
        })
    }),
    responds("responds with an empty command set", Failed, |it| {
        respond_with(it, |request| {
            data(&[pdv(request.context, COMMAND | LAST, &[])])
        })
    }),
    responds("responds with random bytes", Failed, |it| {
        respond_with(it, |request| {
            data(&[pdv(request.context, COMMAND | LAST, &[0xA5; 200])])
        })
    }),
    responds("responds with an element of 4 GB", Failed, |it| {
        respond_with(it, |request| {
            let long = element_declaring(0, 0x0100, 0xFFFF_FFFE, &[0x30, 0x80]);
            data(&[pdv(request.context, COMMAND | LAST, &long)])
        })
    }),
    responds("responds with a PDV that overruns the PDU", Failed, |it| {
        respond_with(it, |request| {
            let bytes = request.response(0).bytes();
            let length = u32::try_from(bytes.len()).unwrap_or(0) + 3;
            data(&[pdv_declaring(
                length,
                request.context,
                COMMAND | LAST,
                &bytes,
            )])
        })
    }),
    responds("responds with P-DATA-TF of 4 GB", Failed, |it| {
        respond_with(it, |request| {
            pdu_declaring(DATA, u32::MAX, &request.response(0).pdu(request.context))
        })
    }),
    responds("responds with an empty P-DATA-TF", Failed, |it| {
        respond_with(it, |_| pdu(DATA, &[]))
    }),
    responds("responds with 8 MB without an end", Failed, |it| {
        respond_with(it, |request| {
            let part = data(&[pdv(request.context, COMMAND, &[0xFF; 16_000])]);
            part.repeat(512)
        })
    }),
    // All of the following are legal.
    responds("responds in PDVs of two bytes", Done, |it| {
        respond_with(it, |request| {
            in_pieces(request.context, &request.response(0), 2)
        })
    }),
    responds("responds in segments of one byte", Done, |it| {
        let request = it.receive_request()?;
        for byte in request.response(0).pdu(request.context) {
            it.send(&[byte])?;
        }
        it.release()
    }),
    responds("responds after half a second", Done, |it| {
        let request = it.receive_request()?;
        it.pause(Duration::from_millis(500))?;
        it.respond(request, &request.response(0))?;
        it.release()
    }),
    responds("responds with comments", Done, |it| {
        respond_changed(it, |it| {
            it.with(0x0902, Value::Bytes(b"all is well ".to_vec()))
        })
    }),
];
