//! The crate through its public face.

#[cfg(feature = "dicom")]
mod archive;
mod canary;
mod changes;
#[cfg(feature = "dicom")]
mod dicom;
mod directory;
mod exporter;
mod faulty;
mod journal;
mod key;
mod memory;
mod tags;
mod world;
