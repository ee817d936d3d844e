//! The work on a project. The process that holds it works for itself and for other commands.
//!
//! ```text
//! command ─► run_or_hand_over ─┬─► the project is free: OpenProject ─► Jobs
//!                              └─► it is held: control socket ─► Jobs of the holder
//! ```
//!
//! These modules know neither the arguments nor the terminal. Every front end can use them.

mod acceptance;
pub(crate) mod clashes;
pub(crate) mod control;
pub(crate) mod delete;
mod hand_over;
pub(crate) mod import;
pub(crate) mod java_index;
mod jobs;
pub(crate) mod quarantine;
pub(crate) mod settings;

pub(crate) use control::Holder;
pub(crate) use hand_over::{Job, run_or_hand_over};
pub(crate) use jobs::Jobs;
