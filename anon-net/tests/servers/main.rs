//! Tests with real servers on loopback: Orthanc, DCMTK and pynetdicom.
//!
//! `.ci/servers/install.sh` installs them. Without them these tests print a message and pass.
#![cfg(unix)]

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../shared/mod.rs"]
mod shared;

#[path = "../shared/node.rs"]
mod node;

mod harness;
mod retrieve;
mod scp;
mod scu;
