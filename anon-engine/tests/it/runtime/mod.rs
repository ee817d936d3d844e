//! Tests of the engine at work: durable storing, quarantine, workers, recovery.

#![expect(clippy::panic, reason = "helpers of tests fail like tests")]

mod canaries;
mod conformance;
mod crash;
mod engine;
mod faults;
mod files;
mod identities;
mod imports;
mod quarantine;
mod repeats;
mod replacing;
mod retry;
mod slow_quarantine;
mod sources;
mod world;
