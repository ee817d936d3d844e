//! The SCP: one association, and the listener.

mod address;
mod listener;
mod serve;
mod support;
