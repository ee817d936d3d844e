//! [`failure_message`]: why a service of a peer failed, and what a data manager can do about it.

use std::io;
use std::net::IpAddr;

use anon_model::ProjectSettings;
use anon_net::dimse::{Operation, Status};
use anon_net::error::{RejectReason, Waiting};
use anon_net::service::ServiceError;
use anon_net::{Error, Node};

use crate::exit::Failure;
use crate::project::record::RetrieveVia;

/// The project as peers have to configure it.
#[derive(Debug, Clone)]
pub(crate) struct LocalNode {
    /// Our AE title.
    pub(crate) ae_title: String,
    /// The address of our SCP, as host:port.
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

/// Returns the error of a command that depends on one peer: exit code 5.
pub(crate) fn peer_failure(error: &ServiceError, node: &Node, local: &LocalNode) -> anyhow::Error {
    Failure::Peer(failure_message(error, node, local)).into()
}

/// Returns why a service failed, and what to do.
pub(crate) fn failure_message(error: &ServiceError, node: &Node, local: &LocalNode) -> String {
    let LocalNode { ae_title, address } = local;
    match error {
        ServiceError::Association(error) => association_message(error, node, local),
        ServiceError::ContextRefused { sop_class, .. } => format!(
            "the server {node} does not offer this service ({sop_class}) to {ae_title}: enable it there"
        ),
        ServiceError::Refused { operation, status } => status_message(*operation, *status, local),
        ServiceError::NotFound => format!("the server {node} does not have this study"),
        ServiceError::Stalled { after } => format!(
            "the server reported that it sent everything, but nothing arrived for {} s: check that it \
             sends to {ae_title} at {address} and can reach that address",
            after.as_secs()
        ),
        ServiceError::NotSent { answered } => not_sent_message(*answered),
        ServiceError::TooMany { limit, .. } => {
            format!("the server has more than {limit} matches: narrow the search")
        }
        ServiceError::Cancelled => "cancelled".to_owned(),
        other => format!("{node}: {other}"),
    }
}

/// Returns true if a server stops a C-FIND, perhaps at a limit of matches (PS3.4 Table C.4-1).
pub(super) fn is_stopped_at_a_limit(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::Refused { operation: Operation::Find, status } if status.code() == 0xA700
    )
}

/// Returns why a study that was requested with `via` is not complete, and what to do.
pub(crate) fn retrieve_failure_message(
    error: &ServiceError,
    via: RetrieveVia,
    node: &Node,
    local: &LocalNode,
) -> String {
    let LocalNode { ae_title, address } = local;
    match (via, error) {
        (
            RetrieveVia::Move,
            ServiceError::Association(Error::Aborted { .. } | Error::Lost | Error::Closed),
        ) => format!(
            "the server {node} broke off the C-MOVE: this usually means that it does not know the \
             destination {ae_title}, or has another address or port for it: enter it there as {ae_title}, \
             {address}"
        ),
        (_, error) if is_stopped_at_a_limit(error) => {
            format!("the server {node} cannot list the study (status A700): try again later")
        }
        _ => failure_message(error, node, local),
    }
}

/// Returns why a C-GET did not bring everything (PS3.4 section C.4.3).
fn not_sent_message(answered: Option<Status>) -> String {
    match answered {
        Some(status) => {
            format!("the server sent them, and this project answered with status {status}: see the log")
        }
        None => "the server did not send them over C-GET: they are of a storage class that the project \
                 does not take (see modalities), or the server has them in a transfer syntax that it does \
                 not offer for C-GET: retrieve with --via move"
            .to_owned(),
    }
}

/// Returns the message for a failure status (PS3.4 sections B.2.3 and C.4, PS3.7 Annex C).
fn status_message(operation: Operation, status: Status, local: &LocalNode) -> String {
    let LocalNode { ae_title, address } = local;
    match (operation, status.code()) {
        (Operation::Move, 0xA801) => format!(
            "the server does not know the move destination {ae_title}: add it there as {ae_title}, {address}"
        ),
        // Servers answer this to a C-MOVE if they cannot open the association to the destination.
        (Operation::Move, 0xA702) => format!(
            "the server could not send (status {status}): this usually means that it has another address, \
             port or AE title for {ae_title}: enter it there as {ae_title}, {address}, and check that no \
             firewall is between"
        ),
        // Some servers use these codes for an unknown destination too.
        (Operation::Move, 0xC000..=0xCFFF) => format!(
            "the server could not send (status {status}): check that it knows {ae_title} as {address} and \
             can reach that address"
        ),
        (Operation::Find, 0xA700) => format!(
            "the server is out of resources (status {status}): if it stops at a limit of matches, search day \
             by day with --study-date FROM-TO --split days, or add keys"
        ),
        (_, 0xA700..=0xA7FF) => format!(
            "the server is out of resources (status {status}): try again later, or request less"
        ),
        (_, 0xA900) => format!(
            "the server does not accept this {operation} (status {status}): add keys, such as a patient id"
        ),
        (_, 0x0124) => format!(
            "the server does not authorize {ae_title} for {operation} (status {status}): allow it there"
        ),
        (Operation::Move | Operation::Get, _) => {
            let other = if operation == Operation::Move {
                "get"
            } else {
                "move"
            };
            format!(
                "the server refused the {operation} (status {status}): its log says why; it may accept \
                 --via {other}"
            )
        }
        _ => format!("the server responded to the {operation} with status {status}"),
    }
}

/// Returns the message for a failed TCP connection.
fn connect_message(kind: io::ErrorKind, node: &Node) -> String {
    let (host, port) = (node.host(), node.port());
    match kind {
        io::ErrorKind::ConnectionRefused => format!(
            "nothing listens at {host}:{port}: check that the server is running and the port is right"
        ),
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => format!(
            "{host}:{port} does not respond: check the address, and that no firewall blocks it"
        ),
        io::ErrorKind::NotFound => format!("the host {host} is unknown: check its name"),
        _ => format!("cannot connect to {host}:{port}: {kind}"),
    }
}

/// Returns the message for an association that failed.
fn association_message(error: &Error, node: &Node, local: &LocalNode) -> String {
    let LocalNode { ae_title, address } = local;
    match error {
        Error::Connect { kind } => connect_message(*kind, node),
        Error::Rejected { reason, .. } => match reason {
            RejectReason::CallingTitle => {
                format!(
                    "the server does not know our AE title {ae_title}: add it there as {address}"
                )
            }
            RejectReason::CalledTitle => format!(
                "the server at {}:{} has an AE title other than {}: use its AE title",
                node.host(),
                node.port(),
                node.title()
            ),
            RejectReason::LocalLimit | RejectReason::Congestion => {
                format!("the server {node} is busy: try again later")
            }
            other => format!("the server {node} rejected the association: {other}"),
        },
        Error::TimedOut {
            waiting: Waiting::Message | Waiting::Room | Waiting::Release,
            after,
        } => format!(
            "the server {node} stopped responding: gave up after {} s",
            after.as_secs()
        ),
        Error::TimedOut { after, .. } => format!(
            "the server {node} accepted the connection but did not respond within {} s: check that this \
             is its DICOM port",
            after.as_secs()
        ),
        Error::Aborted { .. } | Error::Lost | Error::Closed => format!(
            "the server {node} closed the connection: check that it knows {ae_title}, and whether it \
             requires TLS"
        ),
        Error::Protocol { problem } => {
            format!("the server {node} violates the DICOM protocol: {problem}")
        }
        Error::Tls { problem } => format!("TLS with the server {node} failed: {problem}"),
        Error::Backend(error) => format!("cannot store a received object: {}", error.source),
        other => format!("{node}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anon_net::Uid;
    use anon_net::error::{AbortedBy, BackendError, RejectResult, Remedy};

    use super::*;

    /// Checks the message for each error. The server is `PACS@pacs.ward:104`.
    #[track_caller]
    fn check<E: Into<ServiceError>>(cases: impl IntoIterator<Item = (E, &'static str)>) {
        let node: Node = "PACS@pacs.ward:104".parse().unwrap();
        let local = LocalNode {
            ae_title: "ANONYMIZER".into(),
            address: "127.0.0.1:1045".into(),
        };
        for (error, message) in cases {
            let error = error.into();
            assert_eq!(failure_message(&error, &node, &local), message, "{error:?}");
        }
    }

    #[test]
    fn failed_connections_are_explained() {
        let silent =
            "pacs.ward:104 does not respond: check the address, and that no firewall blocks it";
        let cases = [
            (
                io::ErrorKind::ConnectionRefused,
                "nothing listens at pacs.ward:104: check that the server is running and the port is right",
            ),
            (io::ErrorKind::TimedOut, silent),
            (io::ErrorKind::HostUnreachable, silent),
            (io::ErrorKind::NetworkUnreachable, silent),
            (
                io::ErrorKind::NotFound,
                "the host pacs.ward is unknown: check its name",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "cannot connect to pacs.ward:104: permission denied",
            ),
        ];
        check(cases.map(|(kind, message)| (Error::Connect { kind }, message)));
    }

    #[test]
    fn rejected_associations_are_explained() {
        let busy = "the server PACS@pacs.ward:104 is busy: try again later";
        let cases = [
            (
                RejectReason::CallingTitle,
                "the server does not know our AE title ANONYMIZER: add it there as 127.0.0.1:1045",
            ),
            (
                RejectReason::CalledTitle,
                "the server at pacs.ward:104 has an AE title other than PACS: use its AE title",
            ),
            (RejectReason::LocalLimit, busy),
            (RejectReason::Congestion, busy),
            (
                RejectReason::NoReason,
                "the server PACS@pacs.ward:104 rejected the association: no reason given",
            ),
        ];
        let result = RejectResult::Permanent;
        check(cases.map(|(reason, message)| (Error::Rejected { result, reason }, message)));
    }

    #[test]
    fn broken_associations_are_explained() {
        let after = Duration::from_secs(30);
        let by = AbortedBy::User;
        let closed = "the server PACS@pacs.ward:104 closed the connection: check that it knows ANONYMIZER, and \
                      whether it requires TLS";
        let timed_out = |waiting| Error::TimedOut { waiting, after };
        check([
            (
                timed_out(Waiting::Association),
                "the server PACS@pacs.ward:104 accepted the connection but did not respond within 30 s: check \
                 that this is its DICOM port",
            ),
            (
                timed_out(Waiting::Message),
                "the server PACS@pacs.ward:104 stopped responding: gave up after 30 s",
            ),
            (Error::Aborted { by }, closed),
            (Error::Lost, closed),
            (Error::Closed, closed),
            (
                Error::Protocol { problem: "odd" },
                "the server PACS@pacs.ward:104 violates the DICOM protocol: odd",
            ),
            (
                Error::Tls { problem: "odd" },
                "TLS with the server PACS@pacs.ward:104 failed: odd",
            ),
            (
                BackendError::new(Remedy::Stop, "disk").into(),
                "cannot store a received object: disk",
            ),
        ]);
    }

    #[test]
    fn failure_statuses_are_explained() {
        let cases = [
            (
                (Operation::Move, 0xA801),
                "the server does not know the move destination ANONYMIZER: add it there as ANONYMIZER, \
                 127.0.0.1:1045",
            ),
            (
                (Operation::Move, 0xC000),
                "the server could not send (status C000): check that it knows ANONYMIZER as 127.0.0.1:1045 \
                 and can reach that address",
            ),
            (
                (Operation::Move, 0xA702),
                "the server could not send (status A702): this usually means that it has another address, \
                 port or AE title for ANONYMIZER: enter it there as ANONYMIZER, 127.0.0.1:1045, and check \
                 that no firewall is between",
            ),
            (
                (Operation::Find, 0xA700),
                "the server is out of resources (status A700): if it stops at a limit of matches, search day by \
                 day with --study-date FROM-TO --split days, or add keys",
            ),
            (
                (Operation::Get, 0xA701),
                "the server is out of resources (status A701): try again later, or request less",
            ),
            (
                (Operation::Find, 0xA900),
                "the server does not accept this C-FIND (status A900): add keys, such as a patient id",
            ),
            (
                (Operation::Find, 0x0124),
                "the server does not authorize ANONYMIZER for C-FIND (status 0124): allow it there",
            ),
            (
                (Operation::Move, 0x0120),
                "the server refused the C-MOVE (status 0120): its log says why; it may accept --via get",
            ),
            (
                (Operation::Echo, 0x0110),
                "the server responded to the C-ECHO with status 0110",
            ),
        ];
        check(cases.map(|((operation, code), message)| {
            let status = Status::new(code);
            (ServiceError::Refused { operation, status }, message)
        }));
    }

    #[test]
    fn a_broken_off_c_move_is_told_by_what_usually_causes_it() {
        let node: Node = "PACS@pacs.ward:104".parse().unwrap();
        let local = LocalNode {
            ae_title: "ANONYMIZER".into(),
            address: "127.0.0.1:1045".into(),
        };
        let by = AbortedBy::User;
        for error in [Error::Aborted { by }, Error::Lost, Error::Closed] {
            let error = ServiceError::from(error);
            let message = retrieve_failure_message(&error, RetrieveVia::Move, &node, &local);
            assert_eq!(
                message,
                "the server PACS@pacs.ward:104 broke off the C-MOVE: this usually means that it does not \
                 know the destination ANONYMIZER, or has another address or port for it: enter it there as \
                 ANONYMIZER, 127.0.0.1:1045"
            );
            let message = retrieve_failure_message(&error, RetrieveVia::Get, &node, &local);
            assert!(message.contains("closed the connection"), "{message}");
        }
    }

    #[test]
    fn a_c_get_that_brings_not_everything_is_explained() {
        let answered = Some(Status::new(0xA700));
        check([
            (
                ServiceError::NotSent { answered: None },
                "the server did not send them over C-GET: they are of a storage class that the project does \
                 not take (see modalities), or the server has them in a transfer syntax that it does not \
                 offer for C-GET: retrieve with --via move",
            ),
            (
                ServiceError::NotSent { answered },
                "the server sent them, and this project answered with status A700: see the log",
            ),
        ]);
    }

    #[test]
    fn other_failures_of_a_service_are_explained() {
        let refused = ServiceError::ContextRefused {
            sop_class: Uid::new("1.2.840.10008.5.1.4.1.2.2.1").unwrap(),
            transfer_syntax: None,
        };
        let stalled = ServiceError::Stalled {
            after: Duration::from_mins(1),
        };
        let too_many = ServiceError::TooMany {
            operation: Operation::Find,
            limit: 7,
        };
        check([
            (
                refused,
                "the server PACS@pacs.ward:104 does not offer this service (1.2.840.10008.5.1.4.1.2.2.1) to \
                 ANONYMIZER: enable it there",
            ),
            (
                ServiceError::NotFound,
                "the server PACS@pacs.ward:104 does not have this study",
            ),
            (
                stalled,
                "the server reported that it sent everything, but nothing arrived for 60 s: check that it sends \
                 to ANONYMIZER at 127.0.0.1:1045 and can reach that address",
            ),
            (
                too_many,
                "the server has more than 7 matches: narrow the search",
            ),
            (ServiceError::Cancelled, "cancelled"),
        ]);
    }
}
