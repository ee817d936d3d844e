//! What the rules compute: one function an action.

pub mod date;
pub mod number;
pub mod text;

pub use crate::read::uid;
