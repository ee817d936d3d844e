//! What went wrong with a peer, in words of a data manager, and what to do.

use std::io;
use std::net::IpAddr;

use anon_model::ProjectSettings;
use anon_net::dimse::{Operation, Status};
use anon_net::error::{RejectReason, Waiting};
use anon_net::service::ServiceError;
use anon_net::{Error, Node};

use crate::exit::Failure;

/// Who we are to peers.
#[derive(Debug, Clone)]
pub(crate) struct LocalNode {
    /// Our AE title.
    pub(crate) ae_title: String,
    /// Where we listen, as host:port.
    pub(crate) address: String,
}

impl LocalNode {
    /// Returns the AE title and the address of the settings.
    pub(crate) fn from_settings(settings: &ProjectSettings) -> Self {
        let scp = &settings.scp;
        let is_any = scp.bind.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
        let host = if is_any {
            "<address of this machine>"
        } else {
            &scp.bind
        };
        Self {
            ae_title: scp.aet.clone(),
            address: format!("{host}:{}", scp.port),
        }
    }
}

/// The failure of a command that one peer is needed for: exit code 5.
pub(crate) fn peer_failure(error: &ServiceError, node: &Node, local: &LocalNode) -> anyhow::Error {
    Failure::Peer(failure_message(error, node, local)).into()
}

/// Why a service was not done.
pub(crate) fn failure_message(error: &ServiceError, node: &Node, local: &LocalNode) -> String {
    match error {
        ServiceError::Association(error) => association_message(error, node, local),
        ServiceError::ContextRefused { sop_class, .. } => format!(
            "the server {node} does not offer this service ({sop_class}), or not to {}",
            local.ae_title
        ),
        ServiceError::Refused { operation, status } => status_message(*operation, *status, local),
        ServiceError::NotFound => format!("the server {node} has nothing of it"),
        ServiceError::Stalled { after } => format!(
            "the server says that it sent everything, and nothing came for {} s: does it send to {} at \
             {}, and does it get there?",
            after.as_secs(),
            local.ae_title,
            local.address
        ),
        ServiceError::TooMany { limit, .. } => {
            format!("the server has more than {limit} answers: ask for less")
        }
        ServiceError::Cancelled => "ended before it was done".to_owned(),
        other => format!("{node}: {other}"),
    }
}

fn status_message(operation: Operation, status: Status, local: &LocalNode) -> String {
    let LocalNode { ae_title, address } = local;
    match (operation, status.code()) {
        (Operation::Move, 0xA801) => format!(
            "the server does not know {ae_title} as a place to send to; add it there as {ae_title}, {address}"
        ),
        (Operation::Move, 0xC000..=0xCFFF) => format!(
            "the server cannot send (status {status}): it may not know {ae_title}, which is to be added \
             there as {address}, or not reach it"
        ),
        (_, 0xA700..=0xA7FF) => format!(
            "the server is out of resources (status {status}): try again later, or ask for less"
        ),
        (_, 0xA900) => format!(
            "the server does not take this {operation} (status {status}): it may want more keys, such as \
             a patient id"
        ),
        (_, 0x0124) => {
            format!("the server does not allow {ae_title} to {operation} (status {status})")
        }
        _ => format!("the server answers the {operation} with status {status}"),
    }
}

/// Why there is no connection.
fn connect_message(kind: io::ErrorKind, node: &Node) -> String {
    let place = format!("{}:{}", node.host(), node.port());
    match kind {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {place}: is the server running, and is the port right?")
        }
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => {
            format!("{place} does not answer: is the address right, or a firewall in the way?")
        }
        io::ErrorKind::NotFound => {
            format!(
                "nobody knows the name {}: is it written right?",
                node.host()
            )
        }
        _ => format!("cannot connect to {place}: {kind}"),
    }
}

/// Why there is no association.
fn association_message(error: &Error, node: &Node, local: &LocalNode) -> String {
    let LocalNode { ae_title, address } = local;
    let place = format!("{}:{}", node.host(), node.port());
    match error {
        Error::Connect { kind } => connect_message(*kind, node),
        Error::Rejected { reason, .. } => match reason {
            RejectReason::CallingTitle => {
                format!(
                    "the server does not know our AE title {ae_title}; add it there as {address}"
                )
            }
            RejectReason::CalledTitle => format!(
                "the server at {place} does not call itself {}: its AE title is another",
                node.title()
            ),
            RejectReason::LocalLimit | RejectReason::Congestion => {
                format!("the server {node} is busy: try again later")
            }
            other => format!("the server {node} refuses the association: {other}"),
        },
        Error::TimedOut {
            waiting: Waiting::Message | Waiting::Room | Waiting::Release,
            after,
        } => format!(
            "the server {node} stopped answering: {} s were waited for",
            after.as_secs()
        ),
        Error::TimedOut { after, .. } => format!(
            "the server {node} took the connection and did not answer within {} s: is this its DICOM \
             port?",
            after.as_secs()
        ),
        Error::Aborted { .. } | Error::Lost | Error::Closed => format!(
            "the server {node} closed the connection: it may not admit {ae_title}, or speak TLS only"
        ),
        Error::Protocol { problem } => {
            format!("what answers at {place} does not speak DICOM as it should: {problem}")
        }
        Error::Tls { problem } => format!("no TLS with the server {node}: {problem}"),
        Error::Backend(error) => format!("what was received cannot be taken: {}", error.source),
        other => format!("{node}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anon_net::Uid;
    use anon_net::error::{AbortedBy, BackendError, RejectResult, Remedy, Waiting};

    use super::*;

    /// What a data manager reads, for everything that can happen.
    #[test]
    fn sentences() {
        let node: Node = "PACS@pacs.ward:104".parse().unwrap();
        let local = LocalNode {
            ae_title: "ANONYMIZER".into(),
            address: "127.0.0.1:1045".into(),
        };
        for (error, sentence) in network().into_iter().chain(services()) {
            let said = failure_message(&error, &node, &local);
            assert_eq!(said, sentence, "{error:?}");
        }
    }

    fn network() -> Vec<(ServiceError, &'static str)> {
        let connect = |kind| Error::Connect { kind };
        let rejected = |reason| Error::Rejected {
            result: RejectResult::Permanent,
            reason,
        };
        let by = AbortedBy::User;
        let waiting = Waiting::Association;
        let after = Duration::from_secs(30);
        let closed = "the server PACS@pacs.ward:104 closed the connection: it may not admit ANONYMIZER, or \
                      speak TLS only";
        let busy = "the server PACS@pacs.ward:104 is busy: try again later";
        let silent =
            "pacs.ward:104 does not answer: is the address right, or a firewall in the way?";
        let table = [
            (
                connect(io::ErrorKind::ConnectionRefused),
                "nothing listens at pacs.ward:104: is the server running, and is the port right?",
            ),
            (connect(io::ErrorKind::TimedOut), silent),
            (connect(io::ErrorKind::HostUnreachable), silent),
            (connect(io::ErrorKind::NetworkUnreachable), silent),
            (
                connect(io::ErrorKind::NotFound),
                "nobody knows the name pacs.ward: is it written right?",
            ),
            (
                connect(io::ErrorKind::PermissionDenied),
                "cannot connect to pacs.ward:104: permission denied",
            ),
            (
                rejected(RejectReason::CallingTitle),
                "the server does not know our AE title ANONYMIZER; add it there as 127.0.0.1:1045",
            ),
            (
                rejected(RejectReason::CalledTitle),
                "the server at pacs.ward:104 does not call itself PACS: its AE title is another",
            ),
            (rejected(RejectReason::LocalLimit), busy),
            (rejected(RejectReason::Congestion), busy),
            (
                rejected(RejectReason::NoReason),
                "the server PACS@pacs.ward:104 refuses the association: no reason given",
            ),
            (
                Error::TimedOut { waiting, after },
                "the server PACS@pacs.ward:104 took the connection and did not answer within 30 s: is this \
                 its DICOM port?",
            ),
            (
                Error::TimedOut {
                    waiting: Waiting::Message,
                    after,
                },
                "the server PACS@pacs.ward:104 stopped answering: 30 s were waited for",
            ),
            (Error::Aborted { by }, closed),
            (Error::Lost, closed),
            (Error::Closed, closed),
            (
                Error::Protocol { problem: "odd" },
                "what answers at pacs.ward:104 does not speak DICOM as it should: odd",
            ),
            (
                Error::Tls { problem: "odd" },
                "no TLS with the server PACS@pacs.ward:104: odd",
            ),
            (
                BackendError::new(Remedy::Stop, "disk").into(),
                "what was received cannot be taken: disk",
            ),
        ];
        let table = table.into_iter();
        table.map(|(error, said)| (error.into(), said)).collect()
    }

    fn services() -> Vec<(ServiceError, &'static str)> {
        let refused = |operation, code| ServiceError::Refused {
            operation,
            status: Status::new(code),
        };
        let sop_class = Uid::new("1.2.840.10008.5.1.4.1.2.2.1").unwrap();
        let transfer_syntax = None;
        let context = ServiceError::ContextRefused {
            sop_class,
            transfer_syntax,
        };
        vec![
            (
                context,
                "the server PACS@pacs.ward:104 does not offer this service (1.2.840.10008.5.1.4.1.2.2.1), or \
                 not to ANONYMIZER",
            ),
            (
                refused(Operation::Move, 0xA801),
                "the server does not know ANONYMIZER as a place to send to; add it there as ANONYMIZER, \
                 127.0.0.1:1045",
            ),
            (
                refused(Operation::Move, 0xC000),
                "the server cannot send (status C000): it may not know ANONYMIZER, which is to be added there \
                 as 127.0.0.1:1045, or not reach it",
            ),
            (
                refused(Operation::Find, 0xA700),
                "the server is out of resources (status A700): try again later, or ask for less",
            ),
            (
                refused(Operation::Find, 0xA900),
                "the server does not take this C-FIND (status A900): it may want more keys, such as a patient \
                 id",
            ),
            (
                refused(Operation::Find, 0x0124),
                "the server does not allow ANONYMIZER to C-FIND (status 0124)",
            ),
            (
                refused(Operation::Echo, 0x0110),
                "the server answers the C-ECHO with status 0110",
            ),
            (
                ServiceError::NotFound,
                "the server PACS@pacs.ward:104 has nothing of it",
            ),
            (
                ServiceError::Stalled {
                    after: Duration::from_mins(1),
                },
                "the server says that it sent everything, and nothing came for 60 s: does it send to \
                 ANONYMIZER at 127.0.0.1:1045, and does it get there?",
            ),
            (
                ServiceError::TooMany {
                    operation: Operation::Find,
                    limit: 7,
                },
                "the server has more than 7 answers: ask for less",
            ),
            (ServiceError::Cancelled, "ended before it was done"),
        ]
    }
}
