//! DIMSE messages (PS3.7).
//!
//! ```text
//! message = command set (group 0000, implicit VR little endian) [ + data set ]
//! command set ─► one or more command fragments ┐
//! data set    ─► one or more data fragments    ┴─► P-DATA-TF, all in one presentation context
//! ```
//!
//! [`command`] encodes and decodes a [`Command`] without I/O. [`message`] sends and receives
//! messages over an [`Association`](crate::Association).

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
