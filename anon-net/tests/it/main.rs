//! Tests of the public API.

mod arrivals;
mod broken_implementations;
mod canary;
mod cancelled;
mod context;
mod dimse;
mod echo;
mod find;
mod find_patients;
mod handler;
mod hierarchy;
mod hostile_transfer;
mod identifier;
mod memory_network;
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
mod ul;
mod ul_data;
mod ul_dial;
mod ul_request;
mod wire;
