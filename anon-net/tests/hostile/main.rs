//! Hostile peers against servers, and checks of the hostile peers themselves.
#![cfg(unix)]

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../shared/mod.rs"]
mod shared;

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../shared/node.rs"]
mod node;

mod dcmtk_scu;
mod scp;
mod scu;
mod storescp;
mod suite;
