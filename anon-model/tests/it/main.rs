//! The features of the crate, through its public seams.

#![cfg_attr(
    all(feature = "conformance", feature = "disk"),
    expect(
        clippy::indexing_slicing,
        reason = "helpers of tests: a panic is how a test fails"
    )
)]

#[cfg(all(feature = "conformance", feature = "disk"))]
mod adopting;
#[cfg(all(feature = "conformance", feature = "disk"))]
mod crash;
#[cfg(feature = "disk")]
mod disk;
#[cfg(all(feature = "conformance", feature = "disk", feature = "java-index"))]
mod java_index;
#[cfg(feature = "disk")]
mod schemes;
mod settings;
#[cfg(all(feature = "conformance", feature = "disk"))]
mod stores;
