//! The command as it is typed: the real binary, its exit codes and its output.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json value answers null to a key that it does not hold"
)]

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../../../anon-net/tests/shared/mod.rs"]
mod shared;

#[cfg(feature = "s3")]
#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../../../anon-export/tests/shared/s3.rs"]
mod s3_servers;

mod archive;
mod bad_input;
mod config;
mod disk_faults;
mod docs;
mod export;
mod export_kill;
#[cfg(feature = "s3")]
mod export_s3;
#[cfg(all(feature = "s3", target_os = "linux"))]
mod export_s3_kill;
mod export_servers;
mod full_disk;
mod halting;
mod hand_over;
mod hostile;
mod import;
mod index_files;
mod init;
mod java_index;
mod kill;
mod large;
mod look;
mod quarantine;
mod query;
mod query_canary;
mod room;
mod script;
mod serve;
mod serve_kill;
mod serve_takes;
mod servers;
mod serving;
mod summaries;
mod support;
#[cfg(all(feature = "cognito", target_os = "linux"))]
mod terminal;
mod tls;
mod v17;
