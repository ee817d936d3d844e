//! C-STORE of many objects: contexts, associations, cancelling, and a node in memory.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use anon_net::dimse::{Body, Incoming, receive_command, send as send_message};
use anon_net::error::AbortedBy;
use anon_net::service::{
    Cancel, Retries, Scu, SendItem, SendOutcome, SendReport, ServiceError, Timeouts,
};
use anon_net::testing::{Gate, MemoryHandler, MemoryNetwork, Script, ScriptedPeer};
use anon_net::{
    Association, Command, Error, Instance, InstanceHandler, Operation, Remedy, Status,
    SupportedContexts,
};

use crate::memory_network::uid;
use crate::send::{CT, EXPLICIT, JPEG, accepting, item, item_of, node, scu, send, success, taking};

const SECOND: Duration = Duration::from_secs(20);

/// Returns the contexts of each proposal, as SOP class and transfer syntaxes.
fn proposed(peer: &ScriptedPeer) -> Vec<Vec<(String, Vec<String>)>> {
    let text = |uid: &anon_net::Uid| uid.as_str().to_owned();
    let contexts = |proposal: &anon_net::Proposal| {
        let contexts = proposal.contexts.iter();
        contexts
            .map(|c| {
                let syntaxes = c.transfer_syntaxes.iter().map(text).collect();
                (text(&c.abstract_syntax), syntaxes)
            })
            .collect()
    };
    peer.proposals().iter().map(contexts).collect()
}

#[test]
fn exactly_the_needed_contexts_are_proposed() {
    let supported = SupportedContexts::new()
        .with(uid(CT), vec![uid(EXPLICIT), uid(JPEG)])
        .with(uid("1.2.3"), vec![uid(JPEG)]);
    let peer = ScriptedPeer::new().then(taking(Script::accepting(supported), 5).expect_release());
    let items = [
        item_of(CT, JPEG, 0),
        item_of("1.2.3", JPEG, 1),
        item_of(CT, EXPLICIT, 2),
        item_of(CT, JPEG, 3),
        item_of("1.2.3", JPEG, 4),
    ];
    let (result, outcomes) = send(&peer, items);
    assert_eq!(result.unwrap().stored, 5);
    let order: Vec<_> = outcomes.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    let one = |class: &str, syntax: &str| (class.to_owned(), vec![syntax.to_owned()]);
    let mut contexts = proposed(&peer).remove(0);
    contexts.sort();
    let mut expected = vec![one(CT, EXPLICIT), one(CT, JPEG), one("1.2.3", JPEG)];
    expected.sort();
    assert_eq!(contexts, expected, "one transfer syntax each");
    for received in peer.finish().unwrap() {
        let Command::Request(request) = &received.command else {
            panic!("{received:?}");
        };
        let proposal = &peer.proposals()[0];
        let mut context = proposal
            .contexts
            .iter()
            .filter(|c| c.id == received.context);
        assert_eq!(context.next().unwrap().abstract_syntax, request.sop_class);
    }
}

#[test]
fn items_with_rejected_contexts_fail_and_others_are_sent() {
    let peer = ScriptedPeer::new().then(taking(accepting(), 2).expect_release());
    let items = [
        item_of(CT, JPEG, 0),
        item(1),
        item_of("1.2.3", EXPLICIT, 2),
        item(3),
        item_of(CT, JPEG, 4),
    ];
    let (result, outcomes) = send(&peer, items);
    let report = result.unwrap();
    assert_eq!(
        (report.stored, report.failed, report.associations),
        (2, 3, 1)
    );
    for (number, outcome) in &outcomes {
        match outcome {
            SendOutcome::Stored { .. } => assert!([1, 3].contains(number), "{outcomes:?}"),
            SendOutcome::Failed(error) => {
                assert_eq!(error.remedy(), Remedy::Skip);
                let expected = if *number == 2 { EXPLICIT } else { JPEG };
                let refused = matches!(
                    error,
                    ServiceError::ContextRefused { transfer_syntax: Some(syntax), .. }
                        if *syntax == uid(expected)
                );
                assert!(refused, "{number}: {error:?}");
            }
            other @ SendOutcome::StoredWithWarning { .. } => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn peer_that_rejects_every_context_fails_every_item() {
    let peer =
        ScriptedPeer::new().then(Script::accepting(SupportedContexts::new()).expect_release());
    let (result, outcomes) = send(&peer, (0..3).map(item));
    assert_eq!((result.unwrap().failed, outcomes.len()), (3, 3));
}

#[test]
fn more_than_128_contexts_need_two_associations() {
    let class = |n: usize| format!("1.2.840.{n}");
    let supported = (0..130).fold(SupportedContexts::new(), |supported, n| {
        supported.with(uid(&class(n)), vec![uid(EXPLICIT)])
    });
    let script = |objects| taking(Script::accepting(supported.clone()), objects).expect_release();
    // Each class twice, in two rounds.
    let peer = ScriptedPeer::new()
        .then(script(2 * 128))
        .then(script(2 * 2));
    let items = (0..260).map(|n| item_of(&class(n % 130), EXPLICIT, n));
    let (result, outcomes) = send(&peer, items);
    let report = result.unwrap();
    assert_eq!(
        (report.stored, report.failed, report.associations),
        (260, 0, 2)
    );
    assert_eq!(outcomes.len(), 260);
    let counts: Vec<_> = proposed(&peer).iter().map(Vec::len).collect();
    assert_eq!(counts, [128, 2]);
}

#[test]
fn items_with_many_contexts_are_all_sent() {
    let class = |n: usize| format!("1.2.840.{n}");
    let kinds = 1000;
    let supported = (0..kinds).fold(SupportedContexts::new(), |supported, n| {
        supported.with(uid(&class(n)), vec![uid(EXPLICIT)])
    });
    // Each proposal has 128 contexts, and none of the next items fits into it.
    let mut peer = ScriptedPeer::new();
    let mut left = kinds;
    while left > 0 {
        let objects = left.min(128);
        left -= objects;
        peer = peer.then(taking(Script::accepting(supported.clone()), objects).expect_release());
    }
    let (result, outcomes) = send(&peer, (0..kinds).map(|n| item_of(&class(n), EXPLICIT, n)));
    assert_eq!(result.unwrap().stored, 1000);
    assert_eq!(outcomes.len(), 1000);
}

/// Returns the greatest number of items that were requested from the iterator and had no outcome
/// yet.
fn max_pending(objects: usize, bytes: usize) -> usize {
    let (drawn, most, done) = (Cell::new(0_usize), Cell::new(0), Cell::new(0));
    let script = accepting().with_max_pdu_bytes(1 << 20);
    let peer = ScriptedPeer::new().then(taking(script, objects).expect_release());
    let mut items = (0..objects).map(|n| {
        drawn.set(drawn.get() + 1);
        most.set(most.get().max(drawn.get() - done.get()));
        let instance = format!("1.2.{n}").parse().expect("a UID");
        SendItem::data_set(uid(CT), instance, uid(EXPLICIT), vec![0; bytes])
    });
    let report = scu(&peer)
        .send(&node(), &mut items, &Cancel::new(), &mut |_| {
            done.set(done.get() + 1);
        })
        .expect("sent");
    peer.finish().expect("the script was played");
    assert_eq!(report.stored, objects as u64);
    most.get()
}

#[test]
fn few_items_are_requested_in_advance() {
    assert_eq!(max_pending(1000, 2), Scu::LOOK_AHEAD);
    let held = max_pending(30, 1 << 20);
    assert!(held <= 9, "{held} data sets of 1 MiB are pending");
}

#[test]
fn cancelled_send_requests_no_item() {
    let peer = ScriptedPeer::new();
    let cancel = Cancel::new();
    cancel.cancel();
    let mut items = (0..3).map(item);
    let error = scu(&peer)
        .send(&node(), &mut items, &cancel, &mut |_| {})
        .expect_err("cancelled");
    assert!(matches!(error.error, ServiceError::Cancelled), "{error:?}");
    assert_eq!(error.report, SendReport::default());
    assert_eq!(items.count(), 3, "no item was requested");
    peer.finish().unwrap();
}

#[test]
fn cancelled_send_releases_the_association() {
    let peer = ScriptedPeer::new().then(taking(accepting(), 4).expect_release());
    let cancel = Cancel::new();
    let mut outcomes = 0;
    let error = scu(&peer)
        .send(&node(), &mut (0..10).map(item), &cancel, &mut |_| {
            outcomes += 1;
            if outcomes == 4 {
                cancel.cancel();
            }
        })
        .expect_err("cancelled");
    assert!(matches!(error.error, ServiceError::Cancelled), "{error:?}");
    assert_eq!((error.report.stored, error.remedy()), (4, Remedy::Stop));
    assert_eq!(
        error.to_string(),
        "sending ended after 4 stored and 0 failed items"
    );
    peer.finish().unwrap();
}

#[test]
fn cancelling_from_another_thread_ends_the_wait_for_a_response() {
    let gate = Gate::new();
    let script = accepting()
        .expect(Operation::Store)
        .wait(&gate)
        .answer(success())
        .expect_release();
    let peer = ScriptedPeer::new().then(script);
    let cancel = Cancel::new();
    let (us, wish) = (scu(&peer), cancel.clone());
    let sending =
        std::thread::spawn(move || us.send(&node(), &mut (0..10).map(item), &wish, &mut |_| {}));
    cancel.cancel();
    gate.open();
    let error = sending.join().unwrap().expect_err("cancelled");
    // The thread may not have started when it was cancelled.
    assert!(error.report.stored <= 1, "{error:?}");
}

#[test]
fn cancelling_ends_the_wait_before_a_retry() {
    let busy = Script::unreachable(std::io::ErrorKind::ConnectionRefused);
    for script in [busy, accepting().expect(Operation::Store).cut()] {
        let peer = ScriptedPeer::new().then(script);
        let us = scu(&peer).with_retries(Retries::new(3, Duration::from_hours(1)));
        let cancel = Cancel::new();
        let wish = cancel.clone();
        let sending = std::thread::spawn(move || {
            us.send(&node(), &mut (0..10).map(item), &wish, &mut |_| {})
        });
        // Whether it already waits or not, it does not wait for an hour.
        cancel.cancel();
        let error = sending.join().unwrap().expect_err("cancelled");
        assert!(matches!(error.error, ServiceError::Cancelled), "{error:?}");
        assert_eq!(error.report.failed, 0);
    }
}

#[test]
fn sending_a_million_invalid_files_can_be_cancelled() {
    let cancel = Cancel::new();
    let mut outcomes = 0;
    let mut items = std::iter::repeat_with(|| SendItem::file("/nowhere/at/all"));
    let error = scu(&ScriptedPeer::new())
        .send(&node(), &mut items, &cancel, &mut |_| {
            outcomes += 1;
            if outcomes == 100 {
                cancel.cancel();
            }
        })
        .expect_err("cancelled");
    assert_eq!(error.report.failed, 100);
}

#[test]
fn message_ids_wrap_around() {
    let objects = usize::from(u16::MAX) + 2;
    let peer = ScriptedPeer::new().then(taking(accepting(), objects).expect_release());
    let report = scu(&peer)
        .send(
            &node(),
            &mut (0..objects).map(item),
            &Cancel::new(),
            &mut |_| {},
        )
        .unwrap();
    assert_eq!(report.stored, objects as u64);
    let received = peer.finish().unwrap();
    let id = |index: usize| match &received[index].command {
        Command::Request(request) => request.message_id,
        other => panic!("{other:?}"),
    };
    assert_eq!((id(0), id(65_534), id(65_535)), (1, 65_535, 1));
}

/// Serves one association of a node in memory that stores what it is sent.
fn serve(mut association: Box<dyn Association>, handler: &MemoryHandler) -> Result<(), Error> {
    loop {
        let incoming = receive_command(&mut *association, SECOND)?;
        let Incoming::Message { context, command } = incoming else {
            return association.release(SECOND);
        };
        let Command::Request(request) = command else {
            return Err(Error::Closed);
        };
        let accepted = association.contexts().get(context).cloned();
        let accepted = accepted.ok_or(Error::Closed)?;
        let instance = request.sop_instance.clone().ok_or(Error::Closed)?;
        let calling = association.peer().clone();
        let instance = Instance::new(
            accepted.abstract_syntax,
            instance,
            accepted.transfer_syntax,
            calling,
        );
        let mut body = Body::new(&mut *association, context, SECOND);
        let outcome = handler.handle(&instance, &mut body)?.outcome;
        let status = outcome.status().ok_or(Error::Lost)?;
        let response = Command::Response(request.response(status));
        send_message(&mut *association, context, &response, SECOND)?;
    }
}

#[test]
fn node_in_memory_stores_everything() {
    let network = MemoryNetwork::new();
    let supported = SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT), uid(JPEG)]);
    let listener = network.listen(&node(), supported, 4096).unwrap();
    let handler = Arc::new(MemoryHandler::new(64 << 20));
    let data_set = |n: usize| -> Vec<u8> {
        let length = n * 997;
        (0..length).map(|i| (i * n).to_le_bytes()[0]).collect()
    };
    let items = (0..100).map(|n| {
        let syntax = if n % 3 == 0 { JPEG } else { EXPLICIT };
        let instance = format!("1.2.3.{n}").parse().unwrap();
        SendItem::data_set(uid(CT), instance, uid(syntax), data_set(n))
    });
    let kept = Arc::clone(&handler);
    let keeping = std::thread::spawn(move || {
        let association = listener.accept(SECOND).expect("an association");
        serve(association, &kept)
    });
    let us = Scu::new(Arc::new(network), "US".parse().unwrap());
    let report = us
        .send(&node(), &mut items.into_iter(), &Cancel::new(), &mut |_| {})
        .unwrap();
    keeping.join().unwrap().unwrap();
    assert_eq!((report.stored, report.failed), (100, 0));
    assert_eq!(handler.len(), 100);
    for n in 0..100 {
        let instance = format!("1.2.3.{n}").parse().unwrap();
        assert_eq!(handler.stored(&instance), Some(data_set(n)), "{n}");
    }
}

#[test]
fn node_without_resources_fails_items() {
    let network = MemoryNetwork::new();
    let supported = SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]);
    let listener = network.listen(&node(), supported, 4096).unwrap();
    let handler = Arc::new(MemoryHandler::new(3 * 14));
    let kept = Arc::clone(&handler);
    let keeping = std::thread::spawn(move || {
        let association = listener.accept(SECOND).expect("an association");
        serve(association, &kept)
    });
    let us = Scu::new(Arc::new(network), "US".parse().unwrap());
    let mut failed = Vec::new();
    let report = us
        .send(
            &node(),
            &mut (0..5).map(item),
            &Cancel::new(),
            &mut |event| {
                if let SendOutcome::Failed(error) = event.outcome {
                    failed.push((event.number, error));
                }
            },
        )
        .unwrap();
    keeping.join().unwrap().unwrap();
    assert_eq!((report.stored, handler.len()), (3, 3));
    for (number, error) in failed {
        assert!(number >= 3);
        let full = matches!(
            error,
            ServiceError::Refused { status, .. } if status == Status::OUT_OF_RESOURCES
        );
        assert!(full, "{error:?}");
        assert_eq!(error.remedy(), Remedy::Retry);
    }
}

#[test]
fn node_that_does_not_read_times_out() {
    // It accepts and never reads: the channel of eight PDUs is soon full.
    let network = MemoryNetwork::new();
    let supported = SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]);
    let listener = network.listen(&node(), supported, 1024).unwrap();
    let us = Scu::new(Arc::new(network), "US".parse().unwrap())
        .with_timeouts(Timeouts::all(Duration::from_millis(10)))
        .with_retries(Retries::new(2, Duration::from_millis(1)));
    let items = (0..5).map(|n| {
        let instance = format!("1.2.3.{n}").parse().unwrap();
        SendItem::data_set(uid(CT), instance, uid(EXPLICIT), vec![0; 100_000])
    });
    let error = us
        .send(&node(), &mut items.into_iter(), &Cancel::new(), &mut |_| {})
        .expect_err("nobody reads");
    assert!(
        matches!(error.error, ServiceError::NoAnswer { .. }),
        "{error:?}"
    );
    let mut first = listener.accept(SECOND).unwrap();
    let end = loop {
        if let Err(error) = first.receive(SECOND) {
            break error;
        }
    };
    let aborted = matches!(
        end,
        Error::Aborted {
            by: AbortedBy::User
        }
    );
    assert!(aborted, "{end:?}");
}
