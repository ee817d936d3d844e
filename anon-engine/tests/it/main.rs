//! Tests of the public API, in one binary.

mod core;
#[cfg(feature = "testing")]
mod runtime;
