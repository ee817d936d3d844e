//! Synthetic files, a disk with injected faults and conformance suites (feature `testing`).

pub mod conformance;
pub mod disk;
pub mod files;
pub mod rules;
