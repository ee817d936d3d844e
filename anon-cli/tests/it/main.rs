//! The command as it is typed: the real binary, its exit codes and its output.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json value answers null to a key that it does not hold"
)]

mod config;
mod docs;
mod hand_over;
mod import;
mod init;
mod kill;
mod look;
mod quarantine;
mod script;
mod support;
