//! The crate through its public face.

mod canary;
mod changes;
mod directory;
mod exporter;
mod faulty;
mod journal;
mod key;
mod memory;
mod world;
