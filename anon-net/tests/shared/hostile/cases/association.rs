//! Invalid and borderline association requests (PS3.8 section 9.3.2).

use super::super::Allowed::{Accept, AnyAbort, AnyReject, Anything, Close, Reject, Status};
use super::super::case_runner::CaseRunner;
use super::super::peer::{CaseResult, Peer, Reaction};
use super::super::wire::{
    ASSOCIATE_RQ, CT, IMPLICIT, PRIVATE, Request, VERIFICATION, abort, context, context_of, item,
    item_declaring, max_length, pdu,
};
use super::super::{Allowed, HostileCase};

/// The request violates section 9.3.2. The standard does not say how to refuse it.
const REFUSED: &[Allowed] = &[AnyAbort, AnyReject];
/// A server may also accept the association and reject the context.
const REFUSED_OR_ACCEPTED: &[Allowed] = &[AnyAbort, AnyReject, Accept];
const SERVED: &[Allowed] = &[Status(0)];
const SERVED_OR_REFUSED: &[Allowed] = &[Status(0), AnyAbort, AnyReject];

/// Sends a changed association request.
fn request_with(runner: &CaseRunner<'_>, change: impl FnOnce(&mut Request)) -> CaseResult {
    let mut request = runner.request();
    change(&mut request);
    runner.raw(&request.bytes())
}

/// Sends a changed association request, then a C-ECHO.
fn echo_with(runner: &CaseRunner<'_>, change: impl FnOnce(&mut Request)) -> CaseResult {
    let mut request = runner.request();
    change(&mut request);
    runner.echo_over(&request)
}

/// Adds a sub-item to the user information.
fn add_user_item(request: &mut Request, sub_item: Vec<u8>) {
    request.user.get_or_insert_default().push(sub_item);
}

pub(super) const CASES: &[HostileCase] = &[
    HostileCase {
        name: "protocol version 2",
        allowed: &[Reject(1, 2, 2)],
        play: |runner| request_with(runner, |it| it.version = 2),
    },
    HostileCase {
        name: "no protocol version",
        allowed: &[Reject(1, 2, 2)],
        play: |runner| request_with(runner, |it| it.version = 0),
    },
    HostileCase {
        // Only bit 0 is tested (PS3.8 Table 9-11).
        name: "every protocol version",
        allowed: SERVED,
        play: |runner| echo_with(runner, |it| it.version = u16::MAX),
    },
    HostileCase {
        name: "another application context",
        allowed: &[Reject(1, 1, 2)],
        play: |runner| {
            request_with(runner, |it| {
                it.application = b"1.2.840.10008.3.1.1.2".to_vec();
            })
        },
    },
    HostileCase {
        name: "another called AE title",
        allowed: &[Reject(1, 1, 7)],
        play: |runner| request_with(runner, |it| it.called = b"SOMEBODY_ELSE".to_vec()),
    },
    HostileCase {
        name: "a called AE title of blanks",
        allowed: &[Reject(1, 1, 7)],
        play: |runner| request_with(runner, |it| it.called = Vec::new()),
    },
    HostileCase {
        name: "a calling AE title of blanks",
        allowed: &[Reject(1, 1, 3), Accept],
        play: |runner| request_with(runner, |it| it.calling = Vec::new()),
    },
    HostileCase {
        name: "a calling AE title of control characters",
        allowed: &[Reject(1, 1, 3), Accept, AnyAbort],
        play: |runner| request_with(runner, |it| it.calling = b"\x1b[2J\r\n\0\xff\\'\"".to_vec()),
    },
    HostileCase {
        name: "no presentation context",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| request_with(runner, |it| it.contexts.clear()),
    },
    HostileCase {
        name: "an even presentation context id",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| request_with(runner, |it| it.contexts.push(context(2, CT, &[IMPLICIT]))),
    },
    HostileCase {
        name: "a presentation context id twice",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| request_with(runner, |it| it.contexts.push(context(3, CT, &[IMPLICIT]))),
    },
    HostileCase {
        name: "128 presentation contexts",
        allowed: SERVED,
        play: |runner| {
            let ids = (1..=255).step_by(2);
            echo_with(runner, |it| {
                it.contexts = ids
                    .map(|id| context(id, VERIFICATION, &[IMPLICIT]))
                    .collect();
            })
        },
    },
    HostileCase {
        name: "1,000 presentation contexts",
        allowed: SERVED_OR_REFUSED,
        play: |runner| {
            let ids = (1..=255).step_by(2).cycle().take(1000);
            echo_with(runner, |it| {
                it.contexts = ids
                    .map(|id| context(id, VERIFICATION, &[IMPLICIT]))
                    .collect();
            })
        },
    },
    HostileCase {
        name: "a context without a transfer syntax",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| request_with(runner, |it| it.contexts.push(context(9, CT, &[]))),
    },
    HostileCase {
        name: "a context without an abstract syntax",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| {
            let bare = context_of(9, &[item(0x40, IMPLICIT.as_bytes())]);
            request_with(runner, |it| it.contexts.push(bare))
        },
    },
    HostileCase {
        name: "a context of two abstract syntaxes",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| {
            let syntaxes = [(0x30, CT), (0x30, VERIFICATION), (0x40, IMPLICIT)];
            let both = syntaxes.map(|(kind, uid)| item(kind, uid.as_bytes()));
            request_with(runner, |it| it.contexts.push(context_of(9, &both)))
        },
    },
    HostileCase {
        name: "an abstract syntax that is not a UID",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| {
            request_with(runner, |it| {
                it.contexts
                    .push(context(9, "../../etc/passwd\n\0", &[IMPLICIT]));
            })
        },
    },
    HostileCase {
        name: "a transfer syntax of 60,000 characters",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| {
            request_with(runner, |it| {
                it.contexts.push(context(9, CT, &[&"1.".repeat(30_000)]));
            })
        },
    },
    HostileCase {
        name: "an item that overruns the PDU",
        allowed: REFUSED,
        play: |runner| {
            request_with(runner, |it| {
                it.contexts
                    .push(item_declaring(0x20, 60_000, &[9, 0, 0, 0]));
            })
        },
    },
    HostileCase {
        name: "a sub-item that overruns its item",
        allowed: REFUSED,
        play: |runner| {
            let long = context_of(9, &[item_declaring(0x30, 500, CT.as_bytes())]);
            request_with(runner, |it| it.contexts.insert(0, long))
        },
    },
    HostileCase {
        name: "no user information",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| request_with(runner, |it| it.user = None),
    },
    HostileCase {
        name: "a maximum length sub-item of two bytes",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| request_with(runner, |it| it.user = Some(vec![item(0x51, &[0x40, 0])])),
    },
    HostileCase {
        // PS3.8 Annex D.1: no limit.
        name: "a maximum length of 0",
        allowed: SERVED,
        play: |runner| echo_with(runner, |it| it.user = Some(vec![max_length(0)])),
    },
    HostileCase {
        name: "a maximum length of 1, and an echo",
        allowed: &[AnyAbort, AnyReject, Close],
        play: |runner| echo_with(runner, |it| it.user = Some(vec![max_length(1)])),
    },
    HostileCase {
        name: "a maximum length of 4 GB",
        allowed: SERVED,
        play: |runner| echo_with(runner, |it| it.user = Some(vec![max_length(u32::MAX)])),
    },
    HostileCase {
        // PS3.8 section 9.3.1: unrecognized items are ignored.
        name: "an unknown user information sub-item",
        allowed: SERVED,
        play: |runner| echo_with(runner, |it| add_user_item(it, item(0x7F, b"unknown"))),
    },
    HostileCase {
        name: "an unknown item",
        allowed: SERVED,
        play: |runner| echo_with(runner, |it| it.contexts.push(item(0x7F, b"unknown"))),
    },
    HostileCase {
        name: "a user identity",
        allowed: SERVED,
        play: |runner| {
            echo_with(runner, |it| {
                add_user_item(it, item(0x58, b"\x02\x01\0\x04user\0\x06secret"));
            })
        },
    },
    HostileCase {
        name: "a truncated role selection",
        allowed: SERVED_OR_REFUSED,
        play: |runner| {
            echo_with(runner, |it| {
                add_user_item(it, item(0x54, &[0, 25, b'1', b'.']));
            })
        },
    },
    HostileCase {
        name: "no context that the server knows",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| {
            request_with(runner, |it| {
                it.contexts = vec![context(1, PRIVATE, &[PRIVATE])];
            })
        },
    },
    HostileCase {
        name: "a megabyte of unknown items",
        allowed: &[AnyAbort, AnyReject, Accept, Close],
        play: |runner| {
            request_with(runner, |it| {
                it.contexts.extend(vec![item(0x7F, &[0; 1020]); 1024]);
            })
        },
    },
    HostileCase {
        name: "bytes after the last item",
        allowed: REFUSED_OR_ACCEPTED,
        play: |runner| {
            let body = [runner.request().body(), vec![0x50, 0]].concat();
            runner.raw(&pdu(ASSOCIATE_RQ, &body))
        },
    },
    HostileCase {
        name: "300 aborted associations",
        allowed: &[Accept],
        play: |runner| {
            for _ in 0..300 {
                runner.associate()?.send(&abort());
            }
            Ok(Reaction::Accepted)
        },
    },
    HostileCase {
        name: "300 requests without waiting for responses",
        allowed: &[Anything],
        play: |runner| {
            for _ in 0..300 {
                runner.connect()?.send(&runner.request().bytes());
            }
            Ok(Reaction::NotWaitedFor)
        },
    },
    HostileCase {
        name: "300 reset associations",
        allowed: &[Accept],
        play: |runner| {
            for _ in 0..300 {
                let mut peer = runner.connect()?;
                peer.send(&runner.request().bytes());
                Peer::reset(peer);
            }
            Ok(runner.connect().map_or(Reaction::Unreachable, |mut peer| {
                peer.send(&runner.request().bytes());
                peer.reaction()
            }))
        },
    },
];
