//! Bad peers against servers, and the proof that they are what they claim to be.
#![cfg(unix)]

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../shared/mod.rs"]
mod shared;

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../shared/node.rs"]
mod node;

mod bits;
mod dcmtk_scu;
mod scp;
mod scu;
mod storescp;
