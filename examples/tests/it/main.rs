//! Tests of the example files and programs, the layering of the workspace, and the whole repository.

#[cfg(feature = "s3")]
#[expect(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../../anon-export/tests/shared/s3.rs"]
mod s3_servers;
#[cfg(feature = "s3")]
#[expect(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../../anon-net/tests/shared/mod.rs"]
mod shared;

mod files;
mod folders;
mod layering;
mod programs;
mod repository;
#[cfg(feature = "s3")]
mod s3;
mod standard;
