//! What is done to a project: by the process that holds it, for itself and for commands beside it.
//!
//! ```text
//! command ─► run_or_hand_over ─┬─► the project is free: OpenProject ─► Jobs
//!                              └─► it is held: control socket ─► Jobs of the holder
//! ```
//!
//! Nothing here knows the arguments or the terminal: every front end works on it.

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
