//! Association requests (PS3.8 section 9.3.2) that are wrong, or at the edge.

use super::super::Allowed::{Accept, AnyAbort, AnyReject, Anything, Close, Reject, Status};
use super::super::arena::Arena;
use super::super::peer::{Peer, Played, Reaction};
use super::super::wire::{
    ASSOCIATE_RQ, CT, IMPLICIT, PRIVATE, Request, VERIFICATION, abort, context, context_of, item,
    item_saying, max_length, pdu,
};
use super::super::{Allowed, Case};

/// It breaks section 9.3.2, and the standard leaves open which way to say no.
const NO: &[Allowed] = &[AnyAbort, AnyReject];
/// A server may also take it and refuse the context.
const NO_OR_WITHOUT: &[Allowed] = &[AnyAbort, AnyReject, Accept];
const SERVED: &[Allowed] = &[Status(0)];
const SERVED_OR_NO: &[Allowed] = &[Status(0), AnyAbort, AnyReject];

/// The answer to a request that differs from a right one.
fn ask(arena: &Arena<'_>, change: impl FnOnce(&mut Request)) -> Played {
    let mut request = arena.request();
    change(&mut request);
    arena.raw(&request.bytes())
}

/// A C-ECHO over it.
fn use_it(arena: &Arena<'_>, change: impl FnOnce(&mut Request)) -> Played {
    let mut request = arena.request();
    change(&mut request);
    arena.echo_over(&request)
}

/// Puts a sub-item into the user information.
fn tell(request: &mut Request, sub_item: Vec<u8>) {
    request.user.get_or_insert_default().push(sub_item);
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "protocol version 2",
        allowed: &[Reject(1, 2, 2)],
        play: |arena| ask(arena, |it| it.version = 2),
    },
    Case {
        name: "no protocol version",
        allowed: &[Reject(1, 2, 2)],
        play: |arena| ask(arena, |it| it.version = 0),
    },
    Case {
        // Only bit 0 is to be tested.
        name: "every protocol version",
        allowed: SERVED,
        play: |arena| use_it(arena, |it| it.version = u16::MAX),
    },
    Case {
        name: "another application context",
        allowed: &[Reject(1, 1, 2)],
        play: |arena| {
            ask(arena, |it| {
                it.application = b"1.2.840.10008.3.1.1.2".to_vec();
            })
        },
    },
    Case {
        name: "another called AE title",
        allowed: &[Reject(1, 1, 7)],
        play: |arena| ask(arena, |it| it.called = b"SOMEBODY_ELSE".to_vec()),
    },
    Case {
        name: "a called AE title of blanks",
        allowed: &[Reject(1, 1, 7)],
        play: |arena| ask(arena, |it| it.called = Vec::new()),
    },
    Case {
        name: "a calling AE title of blanks",
        allowed: &[Reject(1, 1, 3), Accept],
        play: |arena| ask(arena, |it| it.calling = Vec::new()),
    },
    Case {
        name: "a calling AE title of control characters",
        allowed: &[Reject(1, 1, 3), Accept, AnyAbort],
        play: |arena| ask(arena, |it| it.calling = b"\x1b[2J\r\n\0\xff\\'\"".to_vec()),
    },
    Case {
        name: "no presentation context",
        allowed: NO_OR_WITHOUT,
        play: |arena| ask(arena, |it| it.contexts.clear()),
    },
    Case {
        name: "an even presentation context id",
        allowed: NO_OR_WITHOUT,
        play: |arena| ask(arena, |it| it.contexts.push(context(2, CT, &[IMPLICIT]))),
    },
    Case {
        name: "a presentation context id twice",
        allowed: NO_OR_WITHOUT,
        play: |arena| ask(arena, |it| it.contexts.push(context(3, CT, &[IMPLICIT]))),
    },
    Case {
        name: "128 presentation contexts",
        allowed: SERVED,
        play: |arena| {
            let ids = (1..=255).step_by(2);
            use_it(arena, |it| {
                it.contexts = ids
                    .map(|id| context(id, VERIFICATION, &[IMPLICIT]))
                    .collect();
            })
        },
    },
    Case {
        name: "1,000 presentation contexts",
        allowed: SERVED_OR_NO,
        play: |arena| {
            let ids = (1..=255).step_by(2).cycle().take(1000);
            use_it(arena, |it| {
                it.contexts = ids
                    .map(|id| context(id, VERIFICATION, &[IMPLICIT]))
                    .collect();
            })
        },
    },
    Case {
        name: "a context without a transfer syntax",
        allowed: NO_OR_WITHOUT,
        play: |arena| ask(arena, |it| it.contexts.push(context(9, CT, &[]))),
    },
    Case {
        name: "a context without an abstract syntax",
        allowed: NO_OR_WITHOUT,
        play: |arena| {
            let bare = context_of(9, &[item(0x40, IMPLICIT.as_bytes())]);
            ask(arena, |it| it.contexts.push(bare))
        },
    },
    Case {
        name: "a context of two abstract syntaxes",
        allowed: NO_OR_WITHOUT,
        play: |arena| {
            let syntaxes = [(0x30, CT), (0x30, VERIFICATION), (0x40, IMPLICIT)];
            let both = syntaxes.map(|(kind, uid)| item(kind, uid.as_bytes()));
            ask(arena, |it| it.contexts.push(context_of(9, &both)))
        },
    },
    Case {
        name: "an abstract syntax that is no UID",
        allowed: NO_OR_WITHOUT,
        play: |arena| {
            ask(arena, |it| {
                it.contexts
                    .push(context(9, "../../etc/passwd\n\0", &[IMPLICIT]));
            })
        },
    },
    Case {
        name: "a transfer syntax of 60,000 characters",
        allowed: NO_OR_WITHOUT,
        play: |arena| {
            ask(arena, |it| {
                it.contexts.push(context(9, CT, &[&"1.".repeat(30_000)]));
            })
        },
    },
    Case {
        name: "an item that overruns the PDU",
        allowed: NO,
        play: |arena| {
            ask(arena, |it| {
                it.contexts.push(item_saying(0x20, 60_000, &[9, 0, 0, 0]));
            })
        },
    },
    Case {
        name: "a sub-item that overruns its item",
        allowed: NO,
        play: |arena| {
            let long = context_of(9, &[item_saying(0x30, 500, CT.as_bytes())]);
            ask(arena, |it| it.contexts.insert(0, long))
        },
    },
    Case {
        name: "no user information",
        allowed: NO_OR_WITHOUT,
        play: |arena| ask(arena, |it| it.user = None),
    },
    Case {
        name: "a maximum length of two bytes' length",
        allowed: NO_OR_WITHOUT,
        play: |arena| ask(arena, |it| it.user = Some(vec![item(0x51, &[0x40, 0])])),
    },
    Case {
        // PS3.8 Annex D.1: no limit.
        name: "a maximum length of 0",
        allowed: SERVED,
        play: |arena| use_it(arena, |it| it.user = Some(vec![max_length(0)])),
    },
    Case {
        name: "a maximum length of 1, and an echo",
        allowed: &[AnyAbort, AnyReject, Close],
        play: |arena| use_it(arena, |it| it.user = Some(vec![max_length(1)])),
    },
    Case {
        name: "a maximum length of 4 GB",
        allowed: SERVED,
        play: |arena| use_it(arena, |it| it.user = Some(vec![max_length(u32::MAX)])),
    },
    Case {
        // PS3.8 section 9.3.1: what is not recognised is ignored.
        name: "an unknown user information sub-item",
        allowed: SERVED,
        play: |arena| use_it(arena, |it| tell(it, item(0x7F, b"unknown"))),
    },
    Case {
        name: "an unknown item",
        allowed: SERVED,
        play: |arena| use_it(arena, |it| it.contexts.push(item(0x7F, b"unknown"))),
    },
    Case {
        name: "a user identity",
        allowed: SERVED,
        play: |arena| {
            use_it(arena, |it| {
                tell(it, item(0x58, b"\x02\x01\0\x04user\0\x06secret"));
            })
        },
    },
    Case {
        name: "a role selection that is cut",
        allowed: SERVED_OR_NO,
        play: |arena| use_it(arena, |it| tell(it, item(0x54, &[0, 25, b'1', b'.']))),
    },
    Case {
        name: "nothing that the server knows",
        allowed: NO_OR_WITHOUT,
        play: |arena| {
            ask(arena, |it| {
                it.contexts = vec![context(1, PRIVATE, &[PRIVATE])];
            })
        },
    },
    Case {
        name: "a megabyte of unknown items",
        allowed: &[AnyAbort, AnyReject, Accept, Close],
        play: |arena| {
            ask(arena, |it| {
                it.contexts.extend(vec![item(0x7F, &[0; 1020]); 1024]);
            })
        },
    },
    Case {
        name: "bytes after the last item",
        allowed: NO_OR_WITHOUT,
        play: |arena| {
            let body = [arena.request().body(), vec![0x50, 0]].concat();
            arena.raw(&pdu(ASSOCIATE_RQ, &body))
        },
    },
    Case {
        name: "300 associations that are aborted",
        allowed: &[Accept],
        play: |arena| {
            for _ in 0..300 {
                arena.associate()?.send(&abort());
            }
            Ok(Reaction::Accepted)
        },
    },
    Case {
        name: "300 requests that are not waited for",
        allowed: &[Anything],
        play: |arena| {
            for _ in 0..300 {
                arena.connect()?.send(&arena.request().bytes());
            }
            Ok(Reaction::Held)
        },
    },
    Case {
        name: "300 associations that are reset",
        allowed: &[Accept],
        play: |arena| {
            for _ in 0..300 {
                let mut peer = arena.connect()?;
                peer.send(&arena.request().bytes());
                Peer::reset(peer);
            }
            Ok(arena.connect().map_or(Reaction::Unreachable, |mut peer| {
                peer.send(&arena.request().bytes());
                peer.reaction()
            }))
        },
    },
];
