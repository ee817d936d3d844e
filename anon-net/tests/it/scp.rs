//! The SCP: one association, and the listener.

mod serve;
mod support;
