//! [`DicomError`]: why a DICOM node did not store an object, and what to do about it.

use std::borrow::Cow;

use anon_net::dimse::Status;
use anon_net::error::{RejectReason, RejectResult};
use anon_net::service::ServiceError;
use anon_net::{Error as NetError, Remedy as NetRemedy, Uid};

use crate::{Error, Remedy};

mod names;

pub(crate) use names::UNCOMPRESSED;

/// Why a DICOM node did not store an object or could not be queried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// An error of the node or the network. `Display` says what to do; the source says what
    /// happened.
    #[error("{}", advice(.0))]
    Service(#[source] ServiceError),
    /// The SOP Instance UID of the file differs from its key.
    #[error(
        "the SOP Instance UID of the object differs from its file name, so the file was renamed or replaced: import it again"
    )]
    OtherInstance,
    /// The node accepts other transfer syntaxes than the object has, and the object cannot be
    /// rewritten.
    #[error(
        "the node does not accept the transfer syntax of the object, and the object cannot be \
         rewritten: {problem}: enable the transfer syntax there"
    )]
    Rewrite {
        /// What is wrong. A constant of this crate, never part of the object.
        problem: &'static str,
    },
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
    /// Returns what to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::OtherInstance | Self::Rewrite { .. } => Remedy::Skip,
            // Some nodes deny access to single patients.
            Self::Service(ServiceError::Refused { status, .. })
                if *status == Status::NOT_AUTHORIZED =>
            {
                Remedy::SkipPatient
            }
            // A node that accepts the association but not these presentation contexts accepts other
            // objects.
            Self::Service(error) => match error.remedy() {
                NetRemedy::Retry => Remedy::Retry,
                NetRemedy::Skip => Remedy::Skip,
                NetRemedy::Stop => Remedy::Stop,
            },
        }
    }
}

fn advice(error: &ServiceError) -> Cow<'static, str> {
    let advice = match error {
        ServiceError::Association(error) => association_advice(error),
        ServiceError::ContextRefused {
            sop_class,
            transfer_syntax,
        } => return context_advice(sop_class, transfer_syntax.as_ref()).into(),
        ServiceError::Refused { status, .. } => status_advice(*status),
        ServiceError::NotDicom { .. } => "the object is not a DICOM file: import it again",
        ServiceError::Unreadable { .. } => "the object cannot be read: check its file",
        ServiceError::TooMany { .. } => {
            "the node returns too many matches: check whether it ignores the query keys"
        }
        ServiceError::Identifier(_) => "the node's response cannot be read: see its log",
        ServiceError::Cancelled => "cancelled: export again",
        _ => "the node failed: see its log, and export again",
    };
    advice.into()
}

/// Names what the node must accept. An uncompressed object was offered in every uncompressed
/// transfer syntax.
fn context_advice(sop_class: &Uid, transfer_syntax: Option<&Uid>) -> String {
    let class = names::sop_class(sop_class);
    match transfer_syntax.filter(|syntax| !names::is_uncompressed(syntax)) {
        Some(syntax) => {
            let syntax = names::transfer_syntax(syntax);
            format!(
                "the node does not accept {class} with the transfer syntax {syntax}, and compressed \
                 pixels are not decoded for it: enable it there"
            )
        }
        None => format!("the node does not accept {class} uncompressed: enable it there"),
    }
}

fn association_advice(error: &NetError) -> &'static str {
    match error {
        NetError::Connect { .. } => {
            "the node cannot be reached: check that it runs, and its host and port"
        }
        NetError::Rejected { reason, result } => match (reason, result) {
            (RejectReason::CallingTitle, _) => {
                "the node does not know our AE title: add it there (setting scp.aet)"
            }
            (RejectReason::CalledTitle, _) => {
                "the node has another AE title: correct it in the settings"
            }
            (_, RejectResult::Transient) => "the node is busy: export again later",
            (_, RejectResult::Permanent) => {
                "the node rejects our associations: see its configuration and log"
            }
        },
        NetError::Aborted { .. } | NetError::Lost | NetError::Closed => {
            "the node ended the association: see its log, and export again"
        }
        NetError::TimedOut { .. } => {
            "the node does not respond: check whether it hangs, or raise the timeouts (settings timeouts.…)"
        }
        NetError::Protocol { .. } => "the peer violates the DICOM protocol: check the port",
        NetError::Tls { .. } => "TLS with the node failed: check the certificates on both sides",
        _ => "the association with the node failed: see its log, and export again",
    }
}

/// Returns what to do about a failure status of C-STORE (PS3.4 Table B.2-1, PS3.7 Annex C).
fn status_advice(status: Status) -> &'static str {
    match status.code() {
        0xA700..=0xA7FF => "the node is out of resources: free space there, and export again",
        0xA900..=0xA9FF => {
            "the node reports that the data set does not match its SOP class: check the object"
        }
        0xC000..=0xCFFF => "the node cannot understand the object: see its log",
        0x0111 => {
            "the node already has this instance and does not replace it: delete it there first"
        }
        0x0122 => "the node does not store objects of this SOP class: enable it there",
        0x0124 => "the node does not authorize us to store: grant the right there",
        0x0117 => "the node rejects the SOP Instance UID: check the object",
        _ => "the node rejects the object: see its log",
    }
}

/// Describes a warning status of C-STORE (PS3.4 Table B.2-1).
pub(crate) fn warning_text(status: Status) -> String {
    let what = match status.code() {
        0xB000 => "it coerced elements",
        0xB006 => "it discarded elements",
        0xB007 => "reports that the data set does not match its SOP class",
        _ => "it returned a warning",
    };
    format!("the node stored the object, but {what} (status {status})")
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
    fn each_error_has_a_remedy_and_says_what_to_do() {
        use Remedy::{Retry, Skip, SkipPatient, Stop};
        let rejected = |reason, result| NetError::Rejected { result, reason };
        let table: [(ServiceError, Remedy, &str); 16] = [
            (refused(0xA700), Retry, "free space there"),
            (refused(0xA900), Skip, "check the object"),
            (refused(0xC123), Skip, "see its log"),
            (refused(0x0122), Skip, "enable it there"),
            (refused(0x0111), Skip, "delete it there"),
            (refused(0x0124), SkipPatient, "grant the right"),
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
                "correct it in the settings",
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
                "check the port",
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
                "enable it there",
            ),
        ];
        for (error, remedy, words) in table {
            let text = format!("{error:?}");
            let error = Error::from(DicomError::from(error));
            assert_eq!(error.remedy(), remedy, "{text}");
            assert!(error.to_string().contains(words), "{text}: {error}");
            assert!(
                error.text().len() > error.to_string().len(),
                "{text}: the source is part of the text"
            );
        }
        assert!(matches!(
            DicomError::from(ServiceError::Cancelled).into(),
            Error::Cancelled
        ));
    }

    /// In a damaged object, the UID of somebody's instance may stand as the SOP class.
    #[test]
    fn an_error_names_only_uids_of_the_standard() {
        const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
        const CANARY: &str = "1.2.840.777888999.4.1";
        let uid = |text| Uid::new(text).unwrap();
        for (class, syntax) in [(CANARY, None), (CT, Some(CANARY)), (CANARY, Some(CANARY))] {
            let error = Error::from(DicomError::from(ServiceError::ContextRefused {
                sop_class: uid(class),
                transfer_syntax: syntax.map(uid),
            }));
            let text = format!("{error} {} {error:?}", error.text());
            assert!(!text.contains("777888999"), "{text}");
            assert_eq!(text.contains("CT Image Storage"), class == CT, "{text}");
        }
    }

    #[test]
    fn a_warning_says_what_the_node_did() {
        for (code, words) in [
            (0xB000, "coerced"),
            (0xB006, "discarded"),
            (0xB007, "SOP class"),
            (0xB123, "warning"),
        ] {
            let text = warning_text(Status::new(code));
            assert!(
                text.contains(words) && text.contains(&format!("{code:04X}")),
                "{text}"
            );
        }
    }
}
