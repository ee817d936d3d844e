//! All cases, by what they do wrong.

mod association;
mod commands;
mod fragments;
mod held;
mod objects;
mod odd;
mod streams;

use super::Case;

pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        streams::CASES,
        association::CASES,
        fragments::CASES,
        commands::CASES,
        objects::CASES,
        odd::CASES,
        held::CASES,
    ]
    .into_iter()
    .flatten()
}
