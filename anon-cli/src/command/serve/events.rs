//! The events of a receiver: what is printed of them with `--format json`.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use anon_engine::error::with_sources;
use anon_model::modality::class_name;
use anon_net::error::RejectReason;
use anon_net::scp::{
    AssociationEnd, AssociationSummary, ConnectionRefusal, ScpEvent, ScpObserver, StoreOutcome,
};
use anon_net::{AeTitle, ContextResult, NegotiatedContexts, Uid};
use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::Serialize;

/// Beyond so many events that wait to be printed, rejections and objects are dropped and counted. A peer
/// can cause them as fast as it sends, and standard output may be slow.
const MAX_WAITING: usize = 10_000;

/// What happened at the receiver.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// An association ended.
    Association(Association),
    /// A connection ended without an association.
    Rejected(Rejected),
    /// An object was not stored.
    Object(Object),
}

#[derive(Debug, Serialize)]
pub(super) struct Association {
    pub(super) calling: String,
    address: Option<String>,
    pub(super) offered: u64,
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) quarantined: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// How it ended, in one word.
    ended: &'static str,
    /// The same, for people.
    pub(super) end: String,
    pub(super) contexts_refused: Vec<RefusedClass>,
}

/// A SOP class of which presentation contexts were refused.
#[derive(Debug, Serialize)]
pub(super) struct RefusedClass {
    pub(super) sop_class: String,
    /// False if PS3.6 does not list it, so that it is not shown.
    #[serde(skip)]
    pub(super) is_listed: bool,
    pub(super) name: Option<&'static str>,
    /// The transfer syntaxes that are not accepted. Empty if the class is not accepted.
    pub(super) transfer_syntaxes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Rejected {
    address: String,
    #[serde(skip)]
    pub(super) ip: IpAddr,
    pub(super) calling: Option<String>,
    pub(super) called: Option<String>,
    /// Why, in one word.
    reason: &'static str,
    /// The same, for people.
    pub(super) text: String,
    #[serde(skip)]
    pub(super) refusal: ConnectionRefusal,
}

#[derive(Debug, Serialize)]
pub(super) struct Object {
    pub(super) calling: String,
    address: Option<String>,
    pub(super) outcome: &'static str,
    pub(super) status: Option<String>,
    sop_class: Option<String>,
    transfer_syntax: Option<String>,
    bytes: u64,
    pub(super) reason: String,
}

/// Sends events to the thread that prints them.
#[derive(Debug)]
pub(super) struct EventSender {
    sender: Sender<Event>,
    dropped: AtomicU64,
}

impl EventSender {
    pub(super) fn new() -> (Self, Receiver<Event>) {
        // Not `bounded`: the end of an association is never dropped, and must not wait for standard
        // output, because a stop waits for associations.
        let (sender, events) = unbounded();
        let dropped = AtomicU64::new(0);
        (Self { sender, dropped }, events)
    }

    /// Returns the number of events that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn send(&self, event: Event) {
        let can_be_dropped = matches!(event, Event::Rejected(_) | Event::Object(_));
        if can_be_dropped && self.sender.len() >= MAX_WAITING {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The channel is closed once the command ends.
        let _ = self.sender.send(event);
    }
}

impl ScpObserver for EventSender {
    fn on(&self, event: &ScpEvent<'_>) {
        if let Some(event) = Event::of(event) {
            self.send(event);
        }
    }
}

impl Event {
    /// Returns the event to print. `None` for stored objects and for events that are not shown.
    fn of(event: &ScpEvent<'_>) -> Option<Self> {
        match event {
            ScpEvent::Refused {
                peer,
                titles,
                refusal,
                ..
            } => Some(Self::Rejected(Rejected {
                address: peer.to_string(),
                ip: peer.ip(),
                calling: titles.calling.as_ref().map(AeTitle::to_string),
                called: titles.called.as_ref().map(AeTitle::to_string),
                reason: name_of_refusal(*refusal),
                text: refusal.to_string(),
                refusal: *refusal,
            })),
            ScpEvent::Instance { .. } => Object::of(event).map(Self::Object),
            ScpEvent::Ended {
                calling,
                peer,
                contexts,
                summary,
                ..
            } => Some(Self::Association(Association::of(
                calling, *peer, contexts, summary,
            ))),
            _ => None,
        }
    }
}

impl Association {
    fn of(
        calling: &AeTitle,
        peer: Option<SocketAddr>,
        contexts: &NegotiatedContexts,
        summary: &AssociationSummary,
    ) -> Self {
        let counts = summary.counts;
        Self {
            calling: calling.to_string(),
            address: peer.map(|peer| peer.to_string()),
            offered: counts.offered,
            stored: counts.stored,
            duplicates: counts.duplicates,
            quarantined: counts.quarantined,
            refused: counts.refused,
            failed: counts.failed,
            bytes: counts.bytes,
            seconds: summary.lasted.as_secs_f64(),
            ended: name_of_end(summary.ending),
            end: summary.ending.to_string(),
            contexts_refused: refused_classes(contexts),
        }
    }
}

/// Returns the SOP classes with refused contexts. A peer may propose a class in several contexts.
fn refused_classes(contexts: &NegotiatedContexts) -> Vec<RefusedClass> {
    let mut classes = BTreeMap::<&Uid, Vec<String>>::new();
    for context in contexts.refused() {
        let syntaxes = classes.entry(&context.abstract_syntax).or_default();
        if context.result == ContextResult::TransferSyntaxesNotSupported {
            syntaxes.extend(context.transfer_syntaxes.iter().map(Uid::to_string));
        }
    }
    let refused = |(class, mut syntaxes): (&Uid, Vec<String>)| {
        syntaxes.sort_unstable();
        syntaxes.dedup();
        RefusedClass {
            sop_class: class.to_string(),
            is_listed: class.is_listed(),
            name: class_name(class.as_str()),
            transfer_syntaxes: syntaxes,
        }
    };
    classes.into_iter().map(refused).collect()
}

impl Object {
    /// Returns the event of an object that was not stored.
    fn of(event: &ScpEvent<'_>) -> Option<Self> {
        let ScpEvent::Instance {
            calling,
            peer,
            sop_class,
            transfer_syntax,
            outcome,
            status,
            reason,
            bytes,
            error,
            ..
        } = event
        else {
            return None;
        };
        let outcome = match outcome {
            StoreOutcome::Stored | StoreOutcome::AlreadyStored => return None,
            StoreOutcome::Quarantined => "quarantined",
            StoreOutcome::Refused(_) => "refused",
            StoreOutcome::Failed(_) | StoreOutcome::BrokenOff => "failed",
        };
        // The sender gets the reason, and no errors of this machine.
        let error = error.map(|error| with_sources(&*error.source as &(dyn Error + 'static)));
        Some(Self {
            calling: calling.to_string(),
            address: peer.map(|peer| peer.to_string()),
            outcome,
            status: status.map(|status| status.to_string()),
            sop_class: sop_class.map(Uid::to_string),
            transfer_syntax: transfer_syntax.map(Uid::to_string),
            bytes: *bytes,
            reason: error.or(reason.map(str::to_owned)).unwrap_or_default(),
        })
    }
}

fn name_of_end(end: AssociationEnd) -> &'static str {
    match end {
        AssociationEnd::Released => "released",
        AssociationEnd::Aborted(_) => "aborted",
        AssociationEnd::Idle => "idle",
        AssociationEnd::Stalled(_) => "stalled",
        AssociationEnd::Broken(_) => "protocol",
        AssociationEnd::Crowded => "crowded",
        AssociationEnd::Stopped => "stopped",
        _ => "lost",
    }
}

fn name_of_refusal(refusal: ConnectionRefusal) -> &'static str {
    match refusal {
        ConnectionRefusal::Rejected(reason) => match reason {
            RejectReason::CallingTitle => "calling",
            RejectReason::CalledTitle => "called",
            RejectReason::LocalLimit => "limit",
            _ => "rejected",
        },
        ConnectionRefusal::Address => "address",
        ConnectionRefusal::Crowded => "crowded",
        ConnectionRefusal::Silent => "silent",
        ConnectionRefusal::Broken(_) => "protocol",
        ConnectionRefusal::Stopped => "stopped",
        _ => "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Event {
        Event::Object(Object {
            calling: "CT01".to_owned(),
            address: None,
            outcome: "refused",
            status: None,
            sop_class: None,
            transfer_syntax: None,
            bytes: 0,
            reason: String::new(),
        })
    }

    fn association() -> Event {
        Event::Association(Association {
            calling: "CT01".to_owned(),
            address: None,
            offered: 0,
            stored: 0,
            duplicates: 0,
            quarantined: 0,
            refused: 0,
            failed: 0,
            bytes: 0,
            seconds: 0.0,
            ended: "released",
            end: String::new(),
            contexts_refused: Vec::new(),
        })
    }

    #[test]
    fn refused_objects_that_nobody_reads_are_counted_and_not_kept() {
        let (sender, events) = EventSender::new();
        (0..MAX_WAITING + 3).for_each(|_| sender.send(object()));
        sender.send(association());
        assert_eq!((events.len(), sender.dropped()), (MAX_WAITING + 1, 3));
        let last = events.try_iter().last();
        assert!(matches!(last, Some(Event::Association(_))), "{last:?}");
        // Once some are printed, others are taken again.
        sender.send(object());
        assert_eq!((events.len(), sender.dropped()), (1, 3));
    }
}
