//! What DIMSE messages are made of (PS3.7).

pub mod status;

pub use status::{Status, StatusClass};
