//! PDU types, headers, and the PDUs of ten bytes (PS3.8 section 9.3).

use crate::association::{PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::error::{AbortedBy, RejectReason, RejectResult};

/// The header of a PDU: type, reserved byte, length.
pub(super) const HEADER_LEN: usize = 6;

/// The header of a fragment: item length, context id, message control header.
pub(super) const PDV_HEADER_LEN: usize = 6;

pub(super) const ASSOCIATE_RQ: u8 = 1;
pub(super) const ASSOCIATE_AC: u8 = 2;
pub(super) const ASSOCIATE_RJ: u8 = 3;
pub(super) const DATA_TF: u8 = 4;
pub(super) const RELEASE_RQ: u8 = 5;
pub(super) const RELEASE_RP: u8 = 6;
pub(super) const ABORT: u8 = 7;

/// The length field of A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP and A-ABORT.
pub(super) const SHORT_LEN: usize = 4;

/// The DICOM application context name (PS3.7 section A.2.1).
pub(super) const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// A-RELEASE-RQ (PS3.8 section 9.3.6).
pub(super) const RELEASE_REQUEST: [u8; 10] = [RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-RELEASE-RP (PS3.8 section 9.3.7).
pub(super) const RELEASE_REPLY: [u8; 10] = [RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-ABORT of the service user (PS3.8 section 9.3.8).
pub(super) const USER_ABORT: [u8; 10] = [ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// The header of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PduHeader {
    /// The PDU type.
    pub(super) kind: u8,
    /// The value of the length field: the bytes that follow the header.
    pub(super) length: usize,
}

impl PduHeader {
    /// Decodes a header. `None` if there are too few bytes.
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

/// A protocol violation of the peer, and the abort that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    /// The reason in the A-ABORT. `None` sends no A-ABORT, because the peer does not speak DICOM or
    /// has aborted.
    pub(super) reason: Option<AbortReason>,
    /// The violation. A constant of this crate, never bytes of the peer.
    pub(super) problem: &'static str,
}

impl Violation {
    pub(super) const fn new(reason: AbortReason, problem: &'static str) -> Self {
        Self {
            reason: Some(reason),
            problem,
        }
    }

    /// Creates a violation for an invalid value of a PDU parameter.
    pub(super) const fn invalid(problem: &'static str) -> Self {
        Self::new(AbortReason::InvalidParameter, problem)
    }

    /// Returns the A-ABORT that answers it; empty if none is sent.
    pub(super) fn abort_pdu(self) -> Vec<u8> {
        match self.reason {
            Some(reason) => vec![ABORT, 0, 0, 0, 0, 4, 0, 0, 2, reason as u8],
            None => Vec::new(),
        }
    }
}

/// Returns the violation for a PDU that is not allowed at this point.
pub(super) const fn out_of_place(kind: u8) -> Violation {
    match kind {
        ASSOCIATE_RQ..=ABORT => Violation::new(
            AbortReason::UnexpectedPdu,
            "it sends a PDU that is not allowed at this point",
        ),
        _ => Violation::new(
            AbortReason::UnrecognizedPdu,
            "it sends a PDU of an unknown type",
        ),
    }
}

/// Returns who aborted, from the source field of an A-ABORT (PS3.8 section 9.3.8).
pub(super) fn aborted_by(body: &[u8]) -> AbortedBy {
    match body {
        [_, _, 2, ..] => AbortedBy::Provider,
        _ => AbortedBy::User,
    }
}

/// The decoded header of a fragment (PS3.8 sections 9.3.5.1 and E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PdvHeader {
    pub(super) context: ContextId,
    pub(super) kind: PdvKind,
    pub(super) position: PdvPosition,
    /// The number of bytes of the fragment.
    pub(super) length: usize,
}

impl PdvHeader {
    const COMMAND: u8 = 1;
    const LAST: u8 = 2;

    /// Decodes the first fragment header in the rest of a P-DATA-TF, and checks that the fragment
    /// ends within it.
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
        // Bits 2 to 7 are not tested (PS3.8 section E.2).
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

    /// Returns the message control header.
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

/// The violation for a fragment in a context that was not accepted.
pub(super) const UNKNOWN_CONTEXT: &str = "it uses a presentation context that was not accepted";

/// Returns for how long a rejection of ours lasts (PS3.8 Table 9-21).
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

/// Encodes an A-ASSOCIATE-RJ (PS3.8 section 9.3.4).
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

/// Decodes an A-ASSOCIATE-RJ. A reserved reason becomes [`RejectReason::NoReason`].
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
