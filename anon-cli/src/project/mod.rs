//! A project on disk: its directory, lock, settings, rules, audit trail and records, and how it is opened.
//!
//! Nothing here knows the arguments or the terminal: every front end works on it.

pub(crate) mod audit;
mod directory;
pub(crate) mod document;
pub(crate) mod lock;
pub(crate) mod open_project;
pub(crate) mod record;
pub(crate) mod roots;
pub(crate) mod rules;
pub(crate) mod settings;

pub(crate) use directory::*;
pub(crate) use open_project::{NewRules, OpenOptions, OpenProject};
