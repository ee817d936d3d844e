//! The crate through its public face.

mod canary;
mod context;
mod dimse;
mod exchange;
mod faulty;
mod handler;
mod names;
mod scp;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod ul;
