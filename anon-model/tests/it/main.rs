//! Integration tests through the public API.

#![cfg_attr(
    all(feature = "conformance", feature = "disk"),
    expect(
        clippy::indexing_slicing,
        reason = "tests and their helpers: a test fails by a panic"
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
mod position;
#[cfg(feature = "disk")]
mod schemes;
mod settings;
#[cfg(all(feature = "conformance", feature = "disk"))]
mod stores;
