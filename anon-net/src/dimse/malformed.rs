//! [`Malformed`]: why a command set cannot be read.

use super::operation::{MessageId, Operation};

/// Why a command set cannot be understood. Holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Malformed {
    /// It ends in the middle of an element.
    #[error("the command set ends in the middle of an element")]
    Truncated,
    /// It has an element of another group.
    #[error("the command set has an element of another group than 0000")]
    WrongGroup,
    /// An element stands twice.
    #[error("the command set has the element (0000,{element:04X}) twice")]
    Duplicate {
        /// Its element number.
        element: u16,
    },
    /// There are more elements than any command set has.
    #[error("the command set has too many elements")]
    TooMany,
    /// An element is missing.
    #[error("the command set lacks the element (0000,{element:04X})")]
    Missing {
        /// Its element number.
        element: u16,
    },
    /// An element has a value that cannot be one.
    #[error("the command set has a value in (0000,{element:04X}) that cannot be one")]
    InvalidValue {
        /// Its element number.
        element: u16,
    },
    /// It is a request that can be answered, but not understood: an element is missing or cannot be
    /// what it is.
    #[error("the {operation} request has no sound (0000,{element:04X})")]
    Request {
        /// What is asked for.
        operation: Operation,
        /// Its id.
        message_id: MessageId,
        /// The element.
        element: u16,
        /// True if a data set follows.
        has_data_set: bool,
    },
    /// It is not one of the composite services: an N-GET, say.
    #[error("the command field {field:04X} is of no service here")]
    UnknownOperation {
        /// The command field.
        field: u16,
        /// The message id, if it is a request that has one: it can be answered.
        message_id: Option<MessageId>,
        /// True if a data set follows.
        has_data_set: bool,
    },
}
