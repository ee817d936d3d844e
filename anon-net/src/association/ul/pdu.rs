//! PDU types, headers, and the PDUs of ten bytes (PS3.8 section 9.3).

use crate::association::{PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::error::{AbortedBy, RejectReason, RejectResult};

/// Type, reserved byte, length: what stands before each PDU.
pub(super) const HEADER_LEN: usize = 6;

/// Item length, context id, control header: what stands before each fragment.
pub(super) const PDV_HEADER_LEN: usize = 6;

pub(super) const ASSOCIATE_RQ: u8 = 1;
pub(super) const ASSOCIATE_AC: u8 = 2;
pub(super) const ASSOCIATE_RJ: u8 = 3;
pub(super) const DATA_TF: u8 = 4;
pub(super) const RELEASE_RQ: u8 = 5;
pub(super) const RELEASE_RP: u8 = 6;
pub(super) const ABORT: u8 = 7;

/// The length of the PDUs that have nothing but a source or reserved bytes.
pub(super) const SHORT_LEN: usize = 4;

/// DICOM's application context name (PS3.7 section A.2.1).
pub(super) const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// A-RELEASE-RQ (PS3.8 section 9.3.6).
pub(super) const RELEASE_REQUEST: [u8; 10] = [RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-RELEASE-RP (PS3.8 section 9.3.7).
pub(super) const RELEASE_REPLY: [u8; 10] = [RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-ABORT of the service user (PS3.8 section 9.3.8).
pub(super) const USER_ABORT: [u8; 10] = [ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// What stands before each PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PduHeader {
    /// The PDU type, as it was sent.
    pub(super) kind: u8,
    /// The bytes that follow, as it says.
    pub(super) length: usize,
}

impl PduHeader {
    /// Reads a header.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[kind, _, a, b, c, d], _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        Some(Self {
            kind,
            length: usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX),
        })
    }
}

/// Why the service provider aborts (PS3.8 Table 9-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AbortReason {
    /// Unrecognized PDU.
    UnrecognizedPdu = 1,
    /// Unexpected PDU.
    UnexpectedPdu = 2,
    /// Unexpected PDU parameter.
    UnexpectedParameter = 5,
    /// Invalid PDU parameter value.
    InvalidParameter = 6,
}

/// How the peer broke the protocol, and what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    /// What the abort says; nothing is sent to one that does not speak DICOM at all.
    pub(super) reason: Option<AbortReason>,
    /// How, in words of ours.
    pub(super) problem: &'static str,
}

impl Violation {
    pub(super) const fn new(reason: AbortReason, problem: &'static str) -> Self {
        Self {
            reason: Some(reason),
            problem,
        }
    }

    /// A parameter has a value that it cannot have.
    pub(super) const fn invalid(problem: &'static str) -> Self {
        Self::new(AbortReason::InvalidParameter, problem)
    }

    /// The A-ABORT that answers it, empty if nothing does.
    pub(super) fn answer(self) -> Vec<u8> {
        match self.reason {
            Some(reason) => vec![ABORT, 0, 0, 0, 0, 4, 0, 0, 2, reason as u8],
            None => Vec::new(),
        }
    }
}

/// Checks the header of a PDU that comes where none but a known type may.
pub(super) const fn out_of_place(kind: u8) -> Violation {
    match kind {
        ASSOCIATE_RQ..=ABORT => {
            Violation::new(AbortReason::UnexpectedPdu, "it sends a PDU out of place")
        }
        _ => Violation::new(
            AbortReason::UnrecognizedPdu,
            "it sends a PDU of a type that there is not",
        ),
    }
}

/// Who aborted, from the source field of an A-ABORT (PS3.8 section 9.3.8).
pub(super) fn aborted_by(body: &[u8]) -> AbortedBy {
    match body {
        [_, _, 2, ..] => AbortedBy::Provider,
        _ => AbortedBy::User,
    }
}

/// What a fragment's header says (PS3.8 sections 9.3.5.1 and E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PdvHeader {
    pub(super) context: ContextId,
    pub(super) kind: PdvKind,
    pub(super) position: PdvPosition,
    /// The bytes of the fragment.
    pub(super) length: usize,
}

impl PdvHeader {
    const COMMAND: u8 = 1;
    const LAST: u8 = 2;

    /// Reads the first fragment's header of what is left of a P-DATA-TF, and checks that the fragment
    /// does not go beyond it.
    pub(super) fn read(rest: &[u8]) -> Result<Self, Violation> {
        let (&[a, b, c, d, id, control], body) = rest
            .split_first_chunk::<PDV_HEADER_LEN>()
            .ok_or_else(|| Violation::invalid("it sends a fragment without a header"))?;
        let item = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let length = item
            .checked_sub(2)
            .filter(|length| *length <= body.len())
            .ok_or_else(|| Violation::invalid("it sends a fragment longer than its PDU"))?;
        let context = ContextId::new(id).ok_or_else(|| Violation::invalid(UNKNOWN_CONTEXT))?;
        // Bits 2 to 7 are never looked at (PS3.8 section E.2).
        Ok(Self {
            context,
            kind: if control & Self::COMMAND == 0 {
                PdvKind::Data
            } else {
                PdvKind::Command
            },
            position: if control & Self::LAST == 0 {
                PdvPosition::More
            } else {
                PdvPosition::Last
            },
            length,
        })
    }

    /// The control header.
    pub(super) fn control(kind: PdvKind, position: PdvPosition) -> u8 {
        let kind = match kind {
            PdvKind::Command => Self::COMMAND,
            PdvKind::Data => 0,
        };
        match position {
            PdvPosition::More => kind,
            PdvPosition::Last => kind | Self::LAST,
        }
    }
}

/// The problem with a fragment for a context that was not accepted.
pub(super) const UNKNOWN_CONTEXT: &str = "it uses a presentation context that was not accepted";

/// For how long a rejection of ours lasts (PS3.8 Table 9-21).
pub(super) const fn reject_result(reason: RejectReason) -> RejectResult {
    match reason {
        RejectReason::Congestion | RejectReason::LocalLimit => RejectResult::Transient,
        RejectReason::NoReason
        | RejectReason::ApplicationContext
        | RejectReason::CallingTitle
        | RejectReason::CalledTitle
        | RejectReason::ProtocolVersion => RejectResult::Permanent,
    }
}

/// The A-ASSOCIATE-RJ with this reason (PS3.8 section 9.3.4).
pub(super) const fn reject_pdu(reason: RejectReason) -> [u8; 10] {
    let (source, diagnostic) = match reason {
        RejectReason::NoReason => (1, 1),
        RejectReason::ApplicationContext => (1, 2),
        RejectReason::CallingTitle => (1, 3),
        RejectReason::CalledTitle => (1, 7),
        RejectReason::ProtocolVersion => (2, 2),
        RejectReason::Congestion => (3, 1),
        RejectReason::LocalLimit => (3, 2),
    };
    let result = match reject_result(reason) {
        RejectResult::Permanent => 1,
        RejectResult::Transient => 2,
    };
    [ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, result, source, diagnostic]
}

/// What an A-ASSOCIATE-RJ says. A reserved reason is none.
pub(super) fn read_reject(body: &[u8]) -> (RejectResult, RejectReason) {
    let (result, source, diagnostic) = match body {
        [_, result, source, diagnostic, ..] => (*result, *source, *diagnostic),
        _ => (1, 1, 1),
    };
    let result = match result {
        2 => RejectResult::Transient,
        _ => RejectResult::Permanent,
    };
    let reason = match (source, diagnostic) {
        (1, 2) => RejectReason::ApplicationContext,
        (1, 3) => RejectReason::CallingTitle,
        (1, 7) => RejectReason::CalledTitle,
        (2, 2) => RejectReason::ProtocolVersion,
        (3, 1) => RejectReason::Congestion,
        (3, 2) => RejectReason::LocalLimit,
        _ => RejectReason::NoReason,
    };
    (result, reason)
}
