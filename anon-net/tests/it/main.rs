//! The crate through its public face.

mod canary;
mod context;
mod dimse;
mod echo;
mod exchange;
mod faulty;
mod handler;
mod names;
mod script;
mod send;
mod send_files;
mod send_many;
mod status;
