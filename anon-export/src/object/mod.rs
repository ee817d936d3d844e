//! Names of objects, and the traits of sources and sinks.

pub(crate) mod layout;

pub mod key;
pub mod origin;
pub mod sink;
pub mod source;
