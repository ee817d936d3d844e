//! De-identifies a directory into a project on disk, with two workers and lines of progress.
//! A second run finds that all files are stored already, and changes nothing.
//!
//! ```text
//! cargo run -p anon-examples --bin deidentify_a_directory [FROM] [PROJECT]
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::path::PathBuf;
use std::sync::Arc;

use anon_engine::quarantine::{DirectoryQuarantine, QuarantineOptions};
use anon_engine::source::FileScan;
use anon_engine::store::{DirectoryStore, DirectoryStoreOptions};
use anon_engine::{Cancel, Engine, Event, Observer, Policy, import};
use anon_model::{DiskOptions, DiskStore, Identity, SiteId, UidRoot};
use anon_script::builtin;
use anyhow::Context as _;

/// Prints the progress of the import. These events identify nobody.
#[derive(Debug)]
struct PrintProgress;

impl Observer for PrintProgress {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Progress(progress) = event {
            println!("{} of {} so far", progress.done, progress.found);
        }
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let from = arguments.next().unwrap_or_else(anon_examples::directory);
    let project = arguments
        .next()
        .unwrap_or_else(|| "target/example-project".into());
    let (public, private) = (project.join("public"), project.join("private"));
    let tmp = private.join("tmp");

    let store = DirectoryStore::open(&public, &tmp, DirectoryStoreOptions::default())?;
    let quarantine = DirectoryQuarantine::new(
        private.join("quarantine"),
        &tmp,
        QuarantineOptions::default(),
    );
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let identity = Identity::new(SiteId::new("527408119")?, root)?;
    let lookups = DiskStore::open(
        &private.join("lookup.redb"),
        identity,
        &DiskOptions::default(),
    )?;
    let rules = builtin("rsna-v17").context("is built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "EXAMPLE");

    // Starting repairs what a crash left behind in an earlier run.
    let engine = Engine::builder(
        policy,
        Arc::new(lookups),
        Arc::new(store),
        Arc::new(quarantine),
    )
    .workers(2)
    .start()?;
    let summary = import(
        &engine,
        &mut FileScan::new([from]),
        &Cancel::new(),
        &PrintProgress,
    );
    println!(
        "{} stored, {} already stored, {} in quarantine, {} failed",
        summary.stored,
        summary.duplicates,
        summary.quarantined.values().sum::<u64>(),
        summary.failed
    );
    Ok(())
}
