//! What went wrong with a peer, in words of a data manager, and what to do.

use std::io;

use anon_model::ProjectSettings;
use anon_net::dimse::{Operation, Status};
use anon_net::error::Rejection;
use anon_net::service::ServiceError;
use anon_net::{Error, Node};

use crate::exit::Failure;

/// Who we are to peers.
#[derive(Debug, Clone)]
pub(crate) struct Us {
    /// Our AE title.
    pub(crate) title: String,
    /// Where we listen, as host:port.
    pub(crate) address: String,
}

/// Who we are, as the settings say.
pub(crate) fn us(settings: &ProjectSettings) -> Us {
    let scp = &settings.scp;
    Us {
        title: scp.aet.clone(),
        address: format!("{}:{}", scp.bind, scp.port),
    }
}

/// The failure of a command that one peer is needed for: exit code 5.
pub(crate) fn failure(error: &ServiceError, node: &Node, us: &Us) -> anyhow::Error {
    Failure::Peer(service(error, node, us)).into()
}

/// Why a service was not done.
pub(crate) fn service(error: &ServiceError, node: &Node, us: &Us) -> String {
    match error {
        ServiceError::Association(error) => connection(error, node, us),
        ServiceError::ContextRefused { sop_class, .. } => format!(
            "the server {node} does not offer this service ({sop_class}), or not to {}",
            us.title
        ),
        ServiceError::Refused { operation, status } => refused(*operation, *status, us),
        other => format!("{node}: {other}"),
    }
}

fn refused(operation: Operation, status: Status, us: &Us) -> String {
    let Us { title, address } = us;
    match (operation, status.code()) {
        (Operation::Move, 0xA801) => format!(
            "the server does not know {title} as a place to send to; add it there as {title}, {address}"
        ),
        (Operation::Move, 0xC000..=0xCFFF) => format!(
            "the server cannot send (status {status}): it may not know {title}, which is to be added \
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
            format!("the server does not allow {title} to {operation} (status {status})")
        }
        _ => format!("the server answers the {operation} with status {status}"),
    }
}

/// Why there is no association.
pub(crate) fn connection(error: &Error, node: &Node, us: &Us) -> String {
    let Us { title, address } = us;
    let place = format!("{}:{}", node.host(), node.port());
    match error {
        Error::Connect { kind } => match kind {
            io::ErrorKind::ConnectionRefused => {
                format!("nothing listens at {place}: is the server running, and is the port right?")
            }
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => {
                format!("{place} does not answer: is the address right, or a firewall in the way?")
            }
            _ => format!("cannot connect to {place}: {kind}"),
        },
        Error::Rejected { reason, .. } => match reason {
            Rejection::CallingTitle => {
                format!("the server does not know our AE title {title}; add it there as {address}")
            }
            Rejection::CalledTitle => format!(
                "the server at {place} does not call itself {}: its AE title is another",
                node.title()
            ),
            Rejection::LocalLimit | Rejection::Congestion => {
                format!("the server {node} is busy: try again later")
            }
            other => format!("the server {node} refuses the association: {other}"),
        },
        Error::TimedOut { after, .. } => format!(
            "the server {node} took the connection and did not answer within {} s: is this its DICOM \
             port?",
            after.as_secs()
        ),
        Error::Aborted { .. } | Error::Lost | Error::Closed => format!(
            "the server {node} closed the connection: it may not admit {title}, or speak TLS only"
        ),
        Error::Protocol { problem } => {
            format!("what answers at {place} does not speak DICOM as it should: {problem}")
        }
        other => format!("{node}: {other}"),
    }
}
