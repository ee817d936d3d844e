//! C-MOVE and C-GET with peers that violate the protocol.

use std::io::BufRead;
use std::sync::mpsc::channel;

use anon_net::dimse::{Command, Incoming, Request, receive_command, send, send_with};
use anon_net::identifier::Encoding;
use anon_net::service::{
    Cancel, GetRequest, MoveRequest, ServiceError, TransferReport, TransferTarget,
};
use anon_net::testing::MemoryHandler;
use anon_net::{
    Association, BackendError, ContextId, Error, HandlerResponse, Instance, InstanceHandler,
    InstanceUid, Node, Operation, Status, Uid,
};

use crate::pacs::{CT, LONG, SR, hostile_node, request, respond};

type HostileServer = fn(&mut dyn Association) -> Result<(), Error>;

const IMPLICIT: &str = "1.2.840.10008.1.2";

fn uid(text: &str) -> Uid {
    text.parse().expect("a UID")
}

fn of_study() -> TransferTarget {
    let study = "1.2.1".parse().expect("a UID");
    TransferTarget::Study { study }
}

fn get(
    scu: &anon_net::service::Scu,
    node: &Node,
    handler: &dyn InstanceHandler,
) -> Result<TransferReport, ServiceError> {
    let request = GetRequest::new(of_study(), vec![uid(CT)], vec![uid(IMPLICIT)]);
    scu.get(node, &request, handler, &Cancel::new(), &mut drop)
}

fn ask(association: &mut dyn Association) -> Result<(ContextId, Request), Error> {
    let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
    Ok((context, ask))
}

/// Returns the context in which instances are sent.
fn storage(association: &dyn Association) -> Result<ContextId, Error> {
    let mut contexts = association.contexts().iter();
    let found = contexts.find(|context| context.abstract_syntax.as_str() == CT);
    found.map(|context| context.id).ok_or(Error::Closed)
}

#[test]
fn broken_dialogues_end_in_an_error() {
    check(&[
        (
            "another message id",
            |association| {
                let (context, mut ask) = ask(association)?;
                ask.message_id += 1;
                respond(association, context, &ask, Status::SUCCESS, None)
            },
            "another message",
        ),
        (
            "another operation",
            |association| {
                let (context, mut ask) = ask(association)?;
                ask.operation = Operation::Find;
                respond(association, context, &ask, Status::SUCCESS, None)
            },
            "another operation",
        ),
        (
            "an abort",
            |association| {
                ask(association)?;
                association.abort();
                Ok(())
            },
            "Aborted",
        ),
        (
            "an abort after a response",
            |association| {
                let (context, ask) = ask(association)?;
                respond(association, context, &ask, Status::PENDING, None)?;
                association.abort();
                Ok(())
            },
            "Aborted",
        ),
        (
            "a release",
            |association| {
                ask(association)?;
                association.release(LONG)
            },
            "Closed",
        ),
    ]);
}

#[test]
fn invalid_messages_end_in_an_error() {
    check(&[
        (
            "a cancel",
            |association| {
                let (context, ask) = ask(association)?;
                let responded_to = ask.message_id;
                send(
                    association,
                    context,
                    &Command::Cancel { responded_to },
                    LONG,
                )
            },
            "C-CANCEL",
        ),
        (
            "a command set that is invalid",
            |association| {
                let (context, _) = ask(association)?;
                let pdv = anon_net::Pdv {
                    context,
                    kind: anon_net::PdvKind::Command,
                    position: anon_net::PdvPosition::Last,
                    bytes: b"GET / HTTP/1.1",
                };
                association.send(&[pdv], LONG)
            },
            "malformed",
        ),
        (
            "no identifier after its response",
            |association| {
                let (context, ask) = ask(association)?;
                let mut response = ask.response(Status::PENDING);
                response.has_data_set = true;
                send(association, context, &Command::Response(response), LONG)?;
                respond(association, context, &ask, Status::SUCCESS, None)
            },
            "inside a data set",
        ),
        (
            "an identifier that is invalid",
            |association| {
                let (context, ask) = ask(association)?;
                let status = Status::new(0xB000);
                let bytes = b"\x08\0\x58\0\xFE\xFF\xFF\xFF";
                respond(association, context, &ask, status, Some(bytes))?;
                association.receive(LONG).map(drop)
            },
            "Truncated",
        ),
    ]);
}

/// Checks that each case ends in an error with these words, with C-MOVE and with C-GET.
fn check(table: &[(&str, HostileServer, &str)]) {
    for (case, serve, words) in table {
        let (scu, node) = hostile_node(*serve);
        let request = MoveRequest::new(of_study(), "US".parse().expect("a title"));
        let moved = scu.move_to(&node, &request, &Cancel::new(), &mut drop);
        let (scu, node) = hostile_node(*serve);
        let got = get(&scu, &node, &MemoryHandler::new(1 << 20));
        for (operation, result) in [("C-MOVE", moved), ("C-GET", got)] {
            let error = result.expect_err(case);
            let shown = format!("{error:?} {error}");
            assert!(shown.contains(words), "{operation}, {case}: {shown}");
        }
    }
}

/// Only C-GET has more than one context.
#[test]
fn response_on_another_context_is_an_error() {
    let (scu, node) = hostile_node(|association| {
        let (_, ask) = ask(association)?;
        let context = storage(association)?;
        respond(association, context, &ask, Status::SUCCESS, None)
    });
    let error = get(&scu, &node, &MemoryHandler::new(1 << 20)).expect_err("an error");
    let words = "another presentation context";
    assert!(
        error.to_string().contains(words) || format!("{error:?}").contains(words),
        "{error:?}"
    );
}

/// A handler that panics at one instance and stores the others.
#[derive(Debug)]
struct Panics(MemoryHandler);

impl InstanceHandler for Panics {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        assert_ne!(
            instance.sop_instance.expose(),
            "1.2.13",
            "as it is meant to"
        );
        self.0.handle(instance, body)
    }
}

/// Invalid instances get their status, and the following ones are stored.
#[test]
fn invalid_instances_get_a_status() {
    let (recorder, observed) = channel();
    let (scu, node) = hostile_node(move |association| {
        let (query, ask) = ask(association)?;
        let storage = storage(association)?;
        let store = |class: &str, instance: Option<&str>| {
            let request = Request::new(Operation::Store, 77, uid(class));
            match instance {
                Some(instance) => {
                    let instance: InstanceUid = instance.parse().expect("a UID");
                    request.with_instance(instance)
                }
                None => request,
            }
        };
        for (context, mut request, body) in [
            (query, store(CT, Some("1.2.10")), Some("body")),
            (storage, store(SR, Some("1.2.11")), Some("body")),
            (storage, store(CT, None), Some("body")),
            (storage, store(CT, Some("1.2.12")), None),
            (storage, store(CT, Some("1.2.13")), Some("body")),
            (storage, store(CT, Some("1.2.14")), Some("body")),
        ] {
            request.has_data_set = body.is_some();
            let command = Command::Request(request);
            match body {
                Some(body) => {
                    send_with(association, context, &command, &mut body.as_bytes(), LONG)?;
                }
                None => send(association, context, &command, LONG)?,
            }
            if let Incoming::Message {
                command: Command::Response(response),
                ..
            } = receive_command(association, LONG)?
            {
                recorder.send(response.status).map_err(|_| Error::Closed)?;
            }
        }
        respond(association, query, &ask, Status::SUCCESS, None)?;
        association.receive(LONG)?;
        association.release(LONG)
    });
    let handler = Panics(MemoryHandler::new(1 << 20));
    let end = get(&scu, &node, &handler).expect("the association is released");
    assert_eq!(end.status, Status::SUCCESS);
    let statuses: Vec<Status> = observed.try_iter().collect();
    assert_eq!(
        statuses,
        [
            Status::SOP_CLASS_NOT_SUPPORTED,
            Status::SOP_CLASS_NOT_SUPPORTED,
            Status::INVALID_INSTANCE,
            Status::INVALID_ARGUMENT,
            Status::PROCESSING_FAILURE,
            Status::SUCCESS,
        ]
    );
    assert_eq!(handler.0.len(), 1);
    let kept = handler.0.stored(&"1.2.14".parse().expect("a UID"));
    assert_eq!(kept.as_deref(), Some(&b"body"[..]));
}

#[test]
fn incomplete_instance_is_not_stored() {
    let table: &[(&str, HostileServer, &str)] = &[
        (
            "an abort in the middle",
            |association| {
                begin(association)?;
                association.abort();
                Ok(())
            },
            "Aborted",
        ),
        (
            "a command in the middle",
            |association| {
                let (query, ask) = begin(association)?;
                respond(association, query, &ask, Status::SUCCESS, None)
            },
            "mixes fragments",
        ),
        (
            "a release in the middle",
            |association| {
                begin(association)?;
                association.release(LONG)
            },
            "",
        ),
    ];
    for (case, serve, words) in table {
        let (scu, node) = hostile_node(*serve);
        let handler = MemoryHandler::new(1 << 20);
        let error = get(&scu, &node, &handler).expect_err(case);
        let shown = format!("{error:?} {error}");
        assert!(shown.contains(words), "{case}: {shown}");
        assert!(handler.is_empty(), "{case}");
    }
}

/// Sends the first half of an instance.
fn begin(association: &mut dyn Association) -> Result<(ContextId, Request), Error> {
    let (query, ask) = ask(association)?;
    let context = storage(association)?;
    let instance = "1.2.15".parse().map_err(|_| Error::Closed)?;
    let mut request = Request::new(Operation::Store, 78, uid(CT)).with_instance(instance);
    request.has_data_set = true;
    send(association, context, &Command::Request(request), LONG)?;
    let pdv = anon_net::Pdv {
        context,
        kind: anon_net::PdvKind::Data,
        position: anon_net::PdvPosition::More,
        bytes: b"half of a body",
    };
    association.send(&[pdv], LONG)?;
    Ok((query, ask))
}
