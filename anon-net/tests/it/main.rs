//! The crate through its public face.

mod canary;
mod context;
mod dimse;
mod echo;
mod exchange;
mod faulty;
mod find;
mod handler;
mod identifier;
mod names;
mod pacs;
mod scp;
mod script;
mod send;
mod send_files;
mod send_many;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod ul;
