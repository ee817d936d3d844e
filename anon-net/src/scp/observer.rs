//! [`ScpObserver`]: receives the events of an SCP.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{InstanceCounts, StoreOutcome};
use crate::association::ul::RequestedTitles;
use crate::context::{ContextResult, NegotiatedContexts};
use crate::dimse::Status;
use crate::error::{AbortedBy, RejectReason, Waiting};
use crate::{AeTitle, BackendError, Error, Uid};

/// How many refused SOP classes a line of the log names.
const CLASSES_NAMED: usize = 10;

/// How many transfer syntaxes it names of each.
const SYNTAXES_NAMED: usize = 5;

/// How an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssociationEnd {
    /// Released by the peer.
    Released,
    /// Aborted by the peer.
    Aborted(AbortedBy),
    /// The connection was lost.
    Lost,
    /// We aborted: no message arrived within the idle timeout.
    Idle,
    /// We aborted: the peer stopped inside a message, or did not read our response.
    Stalled(Waiting),
    /// We aborted: the peer violated the protocol. Holds a constant text.
    Broken(&'static str),
    /// We aborted: it had completed no C-STORE request, and another association needed its place.
    Crowded,
    /// We aborted: the SCP was stopped.
    Stopped,
}

impl fmt::Display for AssociationEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released => f.write_str("released by the peer"),
            Self::Aborted(AbortedBy::User) => f.write_str("aborted by the peer"),
            Self::Aborted(AbortedBy::Provider) => {
                f.write_str("aborted by the peer, which found a protocol error")
            }
            Self::Lost => f.write_str("the connection was lost"),
            Self::Idle => f.write_str("aborted: idle for too long"),
            Self::Stalled(waiting) => write!(f, "aborted: timed out waiting for {waiting}"),
            Self::Broken(problem) => write!(f, "aborted: protocol violation: {problem}"),
            Self::Crowded => f.write_str("aborted: another association needed its place"),
            Self::Stopped => f.write_str("aborted: the receiver stops"),
        }
    }
}

impl From<Error> for AssociationEnd {
    fn from(error: Error) -> Self {
        match error {
            Error::Aborted { by } => Self::Aborted(by),
            Error::TimedOut { waiting, .. } => Self::Stalled(waiting),
            Error::Protocol { problem } => Self::Broken(problem),
            Error::Limit { .. } => {
                Self::Broken("it accepts only PDUs that are too short for a response")
            }
            _ => Self::Lost,
        }
    }
}

/// The result of an association that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssociationSummary {
    /// The outcomes of its instances.
    pub counts: InstanceCounts,
    /// How long it was open.
    pub lasted: Duration,
    /// How it ended.
    pub ending: AssociationEnd,
}

/// Why a connection ended without an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionRefusal {
    /// It was rejected with an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
    Rejected(RejectReason),
    /// Its address is not admitted. Nothing was read.
    Address,
    /// Too many connections had no association, and this one had waited longest.
    Crowded,
    /// It did not request an association in time.
    Silent,
    /// The connection was lost.
    Lost,
    /// The peer violated the DICOM or TLS protocol. Holds a constant text.
    Broken(&'static str),
    /// The SCP was being stopped.
    Stopped,
}

impl fmt::Display for ConnectionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reason) => reason.fmt(f),
            Self::Address => f.write_str("its address is not admitted"),
            Self::Crowded => f.write_str("too many connections wait for an association"),
            Self::Silent => f.write_str("it did not request an association in time"),
            Self::Lost => f.write_str("the connection was lost"),
            Self::Broken(problem) => write!(f, "protocol violation: {problem}"),
            Self::Stopped => f.write_str("the receiver stops"),
        }
    }
}

impl From<Error> for ConnectionRefusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { reason } => Self::Rejected(reason),
            Error::TimedOut { .. } => Self::Silent,
            Error::Protocol { problem } | Error::Tls { problem } => Self::Broken(problem),
            _ => Self::Lost,
        }
    }
}

/// An event of an SCP. Contains nothing that identifies a person.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ScpEvent<'a> {
    /// The SCP listens.
    #[non_exhaustive]
    Listening {
        /// The local address.
        address: SocketAddr,
    },
    /// A connection ended without an association.
    #[non_exhaustive]
    Refused {
        /// The peer's address.
        peer: SocketAddr,
        /// The AE titles of its request. Both are `None` if there was no request.
        titles: &'a RequestedTitles,
        /// The reason.
        refusal: ConnectionRefusal,
    },
    /// An association was opened.
    #[non_exhaustive]
    Opened {
        /// The calling AE title.
        calling: &'a AeTitle,
        /// The peer's address. `None` without a network.
        peer: Option<SocketAddr>,
    },
    /// An instance was handled. The response is sent after this event.
    #[non_exhaustive]
    Instance {
        /// The calling AE title.
        calling: &'a AeTitle,
        /// The peer's address. `None` without a network.
        peer: Option<SocketAddr>,
        /// The SOP class of the request. `None` if the command set is malformed.
        sop_class: Option<&'a Uid>,
        /// The transfer syntax. `None` if the request does not fit its presentation context.
        transfer_syntax: Option<&'a Uid>,
        /// The outcome.
        outcome: StoreOutcome,
        /// The status of the response. `None` if none can be sent.
        status: Option<Status>,
        /// Why the instance was not stored.
        reason: Option<&'a str>,
        /// The number of bytes of the data set that were received.
        bytes: u64,
        /// The time since the command set was received.
        took: Duration,
        /// The error of the handler, if it failed.
        error: Option<&'a BackendError>,
    },
    /// An association ended.
    #[non_exhaustive]
    Ended {
        /// The calling AE title.
        calling: &'a AeTitle,
        /// The peer's address. `None` without a network.
        peer: Option<SocketAddr>,
        /// Its presentation contexts, also the refused ones.
        contexts: &'a NegotiatedContexts,
        /// Its result.
        summary: &'a AssociationSummary,
    },
}

impl ScpEvent<'_> {
    /// Writes the event to the log: what was not taken as a warning.
    pub(super) fn log(&self) {
        match self {
            Self::Refused {
                peer,
                titles,
                refusal,
            } => {
                let [calling, called] = [&titles.calling, &titles.called]
                    .map(|title| title.as_ref().map(tracing::field::display));
                tracing::warn!(%peer, calling, called, reason = %refusal, "rejected a connection");
            }
            Self::Instance { .. } => self.log_instance(),
            Self::Ended {
                calling,
                contexts,
                summary,
                ..
            } => {
                log_refused_contexts(calling, contexts);
                let (counts, end) = (&summary.counts, summary.ending);
                tracing::info!(%calling, ?counts, %end, "an association ended");
            }
            Self::Listening { .. } | Self::Opened { .. } => {}
        }
    }

    fn log_instance(&self) {
        let Self::Instance {
            calling,
            sop_class,
            transfer_syntax,
            outcome,
            status,
            reason,
            bytes,
            error,
            ..
        } = self
        else {
            return;
        };
        let [sop_class, transfer_syntax] =
            [sop_class, transfer_syntax].map(|uid| uid.map(tracing::field::display));
        let status = status.map(tracing::field::display);
        let error = error.map(|error| &*error.source as &(dyn std::error::Error + 'static));
        match outcome {
            StoreOutcome::Stored | StoreOutcome::AlreadyStored => {
                tracing::debug!(%calling, sop_class, transfer_syntax, ?outcome, status, bytes, "received");
            }
            StoreOutcome::Quarantined => {
                tracing::info!(%calling, sop_class, transfer_syntax, status, reason, "quarantined");
            }
            StoreOutcome::Refused(_) | StoreOutcome::Failed(_) | StoreOutcome::BrokenOff => {
                tracing::warn!(
                    %calling, sop_class, transfer_syntax, ?outcome, status, bytes, reason, error,
                    "not stored"
                );
            }
        }
    }
}

/// Logs the refused contexts of an association in one line.
fn log_refused_contexts(calling: &AeTitle, contexts: &NegotiatedContexts) {
    let refused = refused_classes(contexts);
    if !refused.is_empty() {
        tracing::warn!(%calling, refused, "presentation contexts are not accepted");
    }
}

/// Returns the SOP classes with refused contexts as a text of limited length. A peer may propose
/// 128 of them, each with any number of transfer syntaxes.
fn refused_classes(contexts: &NegotiatedContexts) -> String {
    let mut classes: BTreeMap<&Uid, BTreeSet<String>> = BTreeMap::new();
    for context in contexts.refused() {
        let syntaxes = classes.entry(&context.abstract_syntax).or_default();
        if context.result == ContextResult::TransferSyntaxesNotSupported {
            syntaxes.extend(context.transfer_syntaxes.iter().map(Uid::to_string));
        }
    }
    let (listed, unknown): (Vec<_>, Vec<_>) = classes
        .into_iter()
        .partition(|(class, _)| class.is_listed());
    let unknown = unknown.len();
    let classes = listed.into_iter().map(|(class, syntaxes)| {
        if syntaxes.is_empty() {
            return class.to_string();
        }
        let syntaxes = syntaxes.into_iter();
        format!("{class} in {}", joined(syntaxes, SYNTAXES_NAMED, " or "))
    });
    let mut text = joined(classes, CLASSES_NAMED, ", ");
    if unknown > 0 {
        let separator = if text.is_empty() { "" } else { ", " };
        let unknown = unknown.to_string();
        text.extend([separator, &unknown, " that PS3.6 does not list"]);
    }
    text
}

/// Joins the first texts, and counts the rest.
fn joined(
    mut texts: impl ExactSizeIterator<Item = String>,
    most: usize,
    separator: &str,
) -> String {
    let mut named: Vec<String> = texts.by_ref().take(most).collect();
    if texts.len() > 0 {
        named.push(format!("{} more", texts.len()));
    }
    named.join(separator)
}

/// Receives the events of an SCP. It is called on the threads of the associations, so it must not
/// block. A panic is logged and otherwise ignored.
pub trait ScpObserver: fmt::Debug + Send + Sync {
    /// Is called for each event.
    fn on(&self, event: &ScpEvent<'_>);
}

/// An observer that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct NoObserver;

impl ScpObserver for NoObserver {
    fn on(&self, _: &ScpEvent<'_>) {}
}

/// Notifies an observer. Its panic must end neither the association nor the listener.
pub(super) fn notify(observer: &dyn ScpObserver, event: &ScpEvent<'_>) {
    if catch_unwind(AssertUnwindSafe(|| observer.on(event))).is_err() {
        tracing::error!("the observer panicked");
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn ScpObserver>();
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contexts, SupportedContexts};

    fn uid(text: &str) -> Uid {
        Uid::new(text).expect("a UID")
    }

    /// Returns the text of the log for an association that offers `classes` to a receiver of CT images
    /// in one transfer syntax.
    fn logged(classes: &[(&str, &[&str])]) -> String {
        let mut contexts = Contexts::new();
        for (class, syntaxes) in classes {
            let syntaxes = syntaxes.iter().map(|syntax| uid(syntax)).collect();
            contexts.add(uid(class), syntaxes).expect("few contexts");
        }
        let supported = SupportedContexts::new().with(uid(CT), vec![uid(IMPLICIT)]);
        let results = supported.answer(&contexts);
        refused_classes(&NegotiatedContexts::new(&contexts, &results).expect("responses"))
    }

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const IMPLICIT: &str = "1.2.840.10008.1.2";

    #[test]
    fn log_names_ten_refused_classes_and_counts_the_rest() {
        let classes: Vec<Uid> = crate::context::storage_classes()
            .filter(|class| class.as_str() != CT)
            .take(128)
            .collect();
        let offered: Vec<_> = classes
            .iter()
            .map(|it| (it.as_str(), &[IMPLICIT] as &[&str]))
            .collect();
        let mut sorted: Vec<&str> = classes.iter().map(Uid::as_str).collect();
        sorted.sort_unstable();
        let expected = format!("{}, 118 more", sorted[..10].join(", "));
        assert_eq!(logged(&offered), expected);
        assert_eq!(logged(&offered[..1]), classes[0].as_str());
        assert_eq!(logged(&[(CT, &[IMPLICIT])]), "");
    }

    #[test]
    fn log_names_each_refused_class_once_with_five_transfer_syntaxes() {
        let jpeg = [50, 51, 57, 70, 80, 81, 90].map(|n| format!("1.2.840.10008.1.2.4.{n}"));
        let syntaxes = jpeg.each_ref().map(String::as_str);
        let expected = format!("{CT} in {} or 2 more", syntaxes[..5].join(" or "));
        assert_eq!(logged(&[(CT, &syntaxes)]), expected);
        let one_by_one = syntaxes.iter().map(|it| (CT, std::slice::from_ref(it)));
        let one_by_one: Vec<_> = one_by_one.collect();
        assert_eq!(logged(&one_by_one), expected);
    }

    /// It may be the UID of somebody's instance.
    #[test]
    fn log_counts_classes_that_the_standard_does_not_list() {
        let [one, other] = ["1.2.777888999.1", "1.2.777888999.2"];
        let expected = format!("{CT} in an unknown UID, 2 that PS3.6 does not list");
        assert_eq!(
            logged(&[(one, &[IMPLICIT]), (other, &[IMPLICIT]), (CT, &[one])]),
            expected
        );
        assert_eq!(logged(&[(one, &[IMPLICIT])]), "1 that PS3.6 does not list");
    }
}
