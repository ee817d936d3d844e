//! The SCP: single associations and the listener.

mod address;
mod admission;
mod endings;
mod floods;
pub(crate) mod node;
mod refusals;
mod serve;
mod served;
mod stopping;
pub(crate) mod support;
