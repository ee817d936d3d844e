//! [`DicomError`]: why a node does not have an object, and what to do about it.

use anon_net::dimse::Status;
use anon_net::error::{RejectReason, RejectResult};
use anon_net::service::ServiceError;
use anon_net::{Error as NetError, Remedy as NetRemedy};

use crate::{Error, Remedy};

/// Why a DICOM node does not have an object, or cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// The node, or the network. What it says is what to do; its source is what happened.
    #[error("{}", advice(.0))]
    Service(#[source] ServiceError),
    /// The file is another SOP instance than its key says.
    #[error(
        "the object is another SOP instance than its name says: export it anew from its project"
    )]
    OtherInstance,
}

impl From<ServiceError> for DicomError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<DicomError> for Error {
    fn from(error: DicomError) -> Self {
        match error {
            DicomError::Service(ServiceError::Cancelled) => Self::Cancelled,
            error => Self::Dicom(error),
        }
    }
}

impl DicomError {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::OtherInstance => Remedy::Skip,
            // Some nodes say so of one patient.
            Self::Service(ServiceError::Refused { status, .. })
                if *status == Status::NOT_AUTHORIZED =>
            {
                Remedy::SkipPatient
            }
            // It refused these contexts on an association that it took.
            Self::Service(error) => match error.remedy() {
                NetRemedy::Retry => Remedy::Retry,
                NetRemedy::Skip => Remedy::Skip,
                NetRemedy::Stop => Remedy::Stop,
            },
        }
    }
}

fn advice(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::Association(error) => of_association(error),
        ServiceError::ContextRefused { .. } => {
            "the node does not take this kind of object in this encoding: allow it there"
        }
        ServiceError::Refused { status, .. } => of_status(*status),
        ServiceError::NotDicom { .. } => "the object is no DICOM file: import it again",
        ServiceError::Unreadable { .. } => "the object cannot be read: see to its file",
        ServiceError::TooMany { .. } => {
            "the node answers more than can be: see if it ignores what it is asked for"
        }
        ServiceError::Identifier(_) => "the node's answer cannot be read: see its log",
        ServiceError::Cancelled => "it was cancelled: export again",
        _ => "the node did not do it: see its log, and export again",
    }
}

fn of_association(error: &NetError) -> &'static str {
    match error {
        NetError::Connect { .. } => {
            "nothing answers for the node: see that it runs, and that its host and port are right"
        }
        NetError::Rejected { reason, result } => match (reason, result) {
            (RejectReason::CallingTitle, _) => {
                "the node does not know us: add our AE title there (setting scp.aet)"
            }
            (RejectReason::CalledTitle, _) => {
                "the node calls itself otherwise: set its AE title right"
            }
            (_, RejectResult::Transient) => "the node is busy: export again later",
            (_, RejectResult::Permanent) => {
                "the node does not admit us: see its configuration and log"
            }
        },
        NetError::Aborted { .. } | NetError::Lost | NetError::Closed => {
            "the node ended the association: see its log, and export again"
        }
        NetError::TimedOut { .. } => {
            "the node does not answer: see if it hangs, or give it longer (settings timeouts.…)"
        }
        NetError::Protocol { .. } => {
            "what answers does not speak DICOM as it should: see that the port is right"
        }
        NetError::Tls { .. } => "no TLS with the node: see the certificates on both sides",
        _ => "the association with the node failed: see its log, and export again",
    }
}

/// Statuses of C-STORE (PS3.4 Table B.2-1, PS3.7 Annex C).
fn of_status(status: Status) -> &'static str {
    match status.code() {
        0xA700..=0xA7FF => "the node is out of resources: make room there, and export again",
        0xA900..=0xA9FF => {
            "the node says that the object is not of its SOP class: look at the object"
        }
        0xC000..=0xCFFF => "the node does not understand the object: see its log for why",
        0x0111 => {
            "the node has this instance and takes no other: delete it there if it is to change"
        }
        0x0122 => "the node does not store objects of this SOP class: allow it there",
        0x0124 => "the node does not allow us to store: give us the right there",
        0x0117 => "the node does not take the instance's UID: look at the object",
        _ => "the node refuses the object: see its log for why",
    }
}

/// What a warning of C-STORE means (PS3.4 Table B.2-1).
pub(crate) fn remark(status: Status) -> String {
    let what = match status.code() {
        0xB000 => "it changed elements",
        0xB006 => "it dropped elements",
        0xB007 => "it says that the object is not of its SOP class",
        _ => "it has a remark",
    };
    format!("the node has the object, and {what} (status {status})")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use anon_net::Uid;
    use anon_net::dimse::Operation;
    use anon_net::error::{AbortedBy, Waiting};

    use super::*;

    fn refused(code: u16) -> ServiceError {
        ServiceError::Refused {
            operation: Operation::Store,
            status: Status::new(code),
        }
    }

    #[test]
    fn each_failure_has_its_remedy_and_says_what_to_do() {
        use Remedy::{Retry, Skip, SkipPatient, Stop};
        let rejected = |reason, result| NetError::Rejected { result, reason };
        let table: [(ServiceError, Remedy, &str); 16] = [
            (refused(0xA700), Retry, "make room there"),
            (refused(0xA900), Skip, "look at the object"),
            (refused(0xC123), Skip, "see its log"),
            (refused(0x0122), Skip, "allow it there"),
            (refused(0x0111), Skip, "delete it there"),
            (refused(0x0124), SkipPatient, "give us the right"),
            (
                NetError::Connect {
                    kind: io::ErrorKind::ConnectionRefused,
                }
                .into(),
                Retry,
                "host and port",
            ),
            (
                rejected(RejectReason::CallingTitle, RejectResult::Permanent).into(),
                Stop,
                "scp.aet",
            ),
            (
                rejected(RejectReason::CalledTitle, RejectResult::Permanent).into(),
                Stop,
                "AE title right",
            ),
            (
                rejected(RejectReason::LocalLimit, RejectResult::Transient).into(),
                Retry,
                "later",
            ),
            (
                NetError::Aborted {
                    by: AbortedBy::Provider,
                }
                .into(),
                Retry,
                "see its log",
            ),
            (NetError::Lost.into(), Retry, "see its log"),
            (
                NetError::TimedOut {
                    waiting: Waiting::Message,
                    after: Duration::ZERO,
                }
                .into(),
                Retry,
                "timeouts",
            ),
            (
                NetError::Protocol {
                    problem: "it speaks HTTP",
                }
                .into(),
                Stop,
                "port is right",
            ),
            (
                NetError::Tls {
                    problem: "no certificate",
                }
                .into(),
                Stop,
                "certificates",
            ),
            (
                ServiceError::ContextRefused {
                    sop_class: Uid::new("1.2").unwrap(),
                    transfer_syntax: None,
                },
                Skip,
                "allow it there",
            ),
        ];
        for (error, remedy, words) in table {
            let said = format!("{error:?}");
            let error = Error::from(DicomError::from(error));
            assert_eq!(error.remedy(), remedy, "{said}");
            assert!(error.to_string().contains(words), "{said}: {error}");
            assert!(
                error.text().len() > error.to_string().len(),
                "{said}: what happened is told too"
            );
        }
        assert!(matches!(
            DicomError::from(ServiceError::Cancelled).into(),
            Error::Cancelled
        ));
    }

    #[test]
    fn a_warning_says_what_became_of_the_object() {
        for (code, words) in [
            (0xB000, "changed"),
            (0xB006, "dropped"),
            (0xB007, "SOP class"),
            (0xB123, "remark"),
        ] {
            let said = remark(Status::new(code));
            assert!(
                said.contains(words) && said.contains(&format!("{code:04X}")),
                "{said}"
            );
        }
    }
}
