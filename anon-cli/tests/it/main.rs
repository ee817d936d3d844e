//! Tests of the real binary: its exit codes, its output and the files it writes.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a serde_json value by a missing key returns null"
)]

#[expect(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../../anon-net/tests/shared/mod.rs"]
mod shared;

#[cfg(feature = "s3")]
#[expect(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../../anon-export/tests/shared/s3.rs"]
mod s3_servers;

mod accepted;
mod archive;
mod backup;
#[cfg(target_os = "linux")]
mod backup_kill;
mod bad_input;
mod clashes;
mod config;
mod disk_faults;
mod docs;
mod export;
#[cfg(feature = "cognito")]
mod export_cognito;
mod export_kill;
mod export_origins;
mod export_patients;
#[cfg(feature = "s3")]
mod export_s3;
#[cfg(all(feature = "s3", target_os = "linux"))]
mod export_s3_kill;
mod export_servers;
mod full_disk;
mod half_sent;
mod hand_over;
mod hostile;
mod import;
mod index_files;
mod index_truth;
mod init;
mod java_index;
mod kill;
mod large;
mod last_find;
mod list;
mod look;
#[cfg(target_os = "linux")]
mod many_uids;
#[cfg(target_os = "linux")]
mod narrow;
mod newcomer;
mod profile;
mod quarantine;
mod query;
mod query_canary;
mod remarks;
mod replacing;
mod retrieve;
mod room;
mod script;
mod script_ctp;
mod serve;
mod serve_kill;
mod serve_reports;
mod serve_takes;
mod servers;
mod serving;
#[cfg(unix)]
mod shared_places;
mod store_mark;
mod studies;
mod summaries;
mod support;
#[cfg(all(feature = "cognito", target_os = "linux"))]
mod terminal;
mod tls;
#[cfg(target_os = "linux")]
mod trust;
mod v17;
mod v17_peers;
