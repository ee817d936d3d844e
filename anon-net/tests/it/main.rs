//! The crate through its public face.

mod arrivals;
mod canary;
mod cancelled;
mod context;
mod dimse;
mod echo;
mod exchange;
mod faulty;
mod find;
mod handler;
mod hierarchy;
mod identifier;
mod names;
mod pacs;
mod retrieve;
mod scp;
mod script;
mod send;
mod send_files;
mod send_many;
mod sender;
mod status;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_versions;
mod transfer;
mod transfer_rogues;
mod ul;
mod ul_data;
mod ul_dial;
mod ul_request;
mod wire;
