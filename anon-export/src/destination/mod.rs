//! The sinks of this crate.

pub mod directory;
pub mod memory;

#[cfg(feature = "dicom")]
pub mod dicom;

#[cfg(feature = "s3")]
pub mod s3;
