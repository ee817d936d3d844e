//! A project on disk: directory, lock, settings, rules, audit trail, records, opening.
//!
//! These modules know neither the arguments nor the terminal. Every front end can use them.

pub(crate) mod accepted;
pub(crate) mod audit;
pub(crate) mod backup;
mod directory;
pub(crate) mod document;
pub(crate) mod lock;
pub(crate) mod mark;
pub(crate) mod open_project;
pub(crate) mod recent;
pub(crate) mod record;
pub(crate) mod remark;
pub(crate) mod roots;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod trust;

pub(crate) use directory::*;
pub(crate) use open_project::{NewRules, OpenOptions, OpenProject};
