//! [`Malformed`]: why a command set cannot be decoded.

use super::operation::{MessageId, Operation};

/// Why a command set cannot be understood. The error contains no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Malformed {
    /// The bytes end inside an element.
    #[error("the command set ends inside an element")]
    Truncated,
    /// An element of another group.
    #[error("the command set has an element outside group 0000")]
    WrongGroup,
    /// An element occurs twice.
    #[error("the command set has the element (0000,{element:04X}) twice")]
    Duplicate {
        /// The element number.
        element: u16,
    },
    /// More elements than the limit.
    #[error("the command set has too many elements")]
    TooMany,
    /// A required element is missing.
    #[error("the command set has no element (0000,{element:04X})")]
    Missing {
        /// The element number.
        element: u16,
    },
    /// An element has an invalid value.
    #[error("the command set has an invalid value in (0000,{element:04X})")]
    InvalidValue {
        /// The element number.
        element: u16,
    },
    /// A request in which an element is missing or invalid. It can be answered.
    #[error("the {operation} request has no valid (0000,{element:04X})")]
    Request {
        /// The operation.
        operation: Operation,
        /// The message id.
        message_id: MessageId,
        /// The element number.
        element: u16,
        /// Whether a data set follows.
        has_data_set: bool,
    },
    /// Not one of the composite services, for example N-GET.
    #[error("the command field {field:04X} is not supported")]
    UnknownOperation {
        /// The command field.
        field: u16,
        /// The message id. `None` if it is not a request or has none, so that it cannot be
        /// answered.
        message_id: Option<MessageId>,
        /// True if a data set follows.
        has_data_set: bool,
    },
}
