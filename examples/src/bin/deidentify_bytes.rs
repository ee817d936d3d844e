//! De-identifies one object in memory: in one call, and in the two pure steps behind it.
//!
//! ```text
//! cargo run -p anon-examples --bin deidentify_bytes [FILE]
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use anon_engine::{Policy, Source, deidentify, plan};
use anon_model::{Assigned, Identity, MemoryStore, Pseudonyms as _, SiteId, UidRoot};
use anon_script::builtin;
use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).map_or_else(
        || anon_examples::directory().join("everything_phi.dcm"),
        Into::into,
    );
    let bytes = std::fs::read(path)?;
    let rules = builtin("rsna-v17").context("is built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "EXAMPLE");
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let lookups = MemoryStore::new(Identity::new(SiteId::new("527408119")?, root)?)?;

    // One call. With a lookup store on disk, the pseudonyms are durable before it returns.
    let clean = deidentify(&policy, &lookups, &bytes)?;
    println!("{} bytes in, {} bytes out", bytes.len(), clean.len());

    // The same in steps. Planning and applying are pure: no threads, no clock, no files. Between them the
    // lookup store assigns names. A program can take the names from elsewhere.
    let plan = plan(&policy, Source::part10(&bytes))?;
    let (Assigned::New(names) | Assigned::Duplicate(names)) = lookups.assign(plan.wanted())?;
    let output = plan.apply(&names)?;
    println!("output path: {}", output.path());
    anyhow::ensure!(
        output.to_vec()? == clean,
        "the same object and names give the same bytes"
    );
    Ok(())
}
