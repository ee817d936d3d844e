//! The conformance suites for [`Sink`](crate::Sink) and [`Source`](crate::Source).
//!
//! A suite panics at the first broken promise, with a message that names it.
#![expect(
    clippy::panic,
    reason = "a suite reports by panicking, as its module says"
)]

mod image;
mod sink;
mod source;

pub use image::image;
pub use sink::check;
pub use source::check_source;

use crate::ObjectKey;

/// Returns a key. Different patients and series have different UIDs.
fn key(patient: &str, series: u32, n: u32) -> ObjectKey {
    const ROOT: &str = "1.2.826.0.1.3680043.10.474";
    let of = patient.bytes().fold(7, |sum: u32, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    ObjectKey::new([
        patient,
        &format!("{ROOT}.1.{of}"),
        &format!("{ROOT}.2.{of}.{series}"),
        &format!("{ROOT}.3.{of}.{series}.{n}"),
    ])
    .unwrap_or_else(|error| panic!("the suite's own key: {error}"))
}

/// Returns `len` bytes that depend on their position and `seed`.
fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 251).to_le_bytes()[0] ^ seed)
        .collect()
}
