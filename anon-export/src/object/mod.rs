//! Names of objects, and the traits of the places between which they are copied.

pub(crate) mod layout;

pub mod key;
pub mod sink;
pub mod source;
