//! The crate through its public face.

mod canary;
mod context;
mod exchange;
mod faulty;
mod handler;
mod names;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod ul;
mod ul_data;
mod ul_dial;
mod ul_request;
mod wire;
