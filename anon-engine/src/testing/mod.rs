//! Generators and fault-injecting doubles for tests (feature `testing`).

pub mod conformance;
pub mod disk;
pub mod files;
pub mod rules;
