//! Tests of the public API.

#[cfg(feature = "dicom")]
mod archive;
mod broken_sinks;
mod canary;
mod changes;
#[cfg(feature = "dicom")]
mod dicom;
mod directory;
mod exporter;
mod journal;
mod journal_ends;
mod key;
mod memory;
mod origins;
#[cfg(feature = "dicom")]
mod rewrite;
#[cfg(unix)]
mod shared_directory;
mod support;
mod tags;
