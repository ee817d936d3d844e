//! What DIMSE messages are made of (PS3.7).
//!
//! ```text
//! message = command set (group 0000, implicit VR little endian) [ + data set ]
//! command set ─► one or more command fragments ┐
//! data set    ─► one or more data fragments    ┴─► P-DATA-TF, all in one presentation context
//! ```
//!
//! [`command`] is pure: bytes to [`Command`] and back. [`message`] takes messages apart and puts them
//! together over an [`Association`](crate::Association).

pub mod command;
mod elements;
pub(crate) mod handler;
mod malformed;
pub mod message;
mod operation;
pub mod status;

pub use command::{
    Command, Malformed, MessageId, Operation, Originator, Priority, Request, Response,
    SubOperations,
};
pub use message::{Body, Incoming, receive_command, refuse, send, send_with};
pub use status::{Status, StatusClass};
