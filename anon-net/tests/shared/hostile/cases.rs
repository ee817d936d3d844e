//! All cases, grouped by what they do wrong.

mod association;
mod commands;
mod fragments;
mod objects;
mod stalled;
mod streams;
mod unusual;

use super::HostileCase;

pub(crate) fn all() -> impl Iterator<Item = &'static HostileCase> {
    [
        streams::CASES,
        association::CASES,
        fragments::CASES,
        commands::CASES,
        objects::CASES,
        unusual::CASES,
        stalled::CASES,
    ]
    .into_iter()
    .flatten()
}
