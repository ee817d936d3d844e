//! The functions behind the actions of a rule: dates, ages, texts, UIDs.

pub mod date;
pub mod number;
pub mod text;

pub use crate::read::uid;
