//! The crate through its public face.

mod canary;
mod directory;
mod faulty;
mod key;
mod memory;
