//! The example of the README: one object in memory, from a file to its de-identified bytes.
//!
//! ```text
//! cargo run -p anon-examples --bin first_steps        # in the root of the repository
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use anon_engine::{Policy, Source, plan};
use anon_model::{Assigned, Identity, MemoryStore, Pseudonyms, SiteId, UidRoot};
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = anon_script::builtin("rsna-v17").ok_or("it is built in")?;
    let policy = Policy::new(std::sync::Arc::new(rules), "527408119", "TRIAL-7");
    let identity = Identity::new(SiteId::new("527408119")?, UidRoot::default())?;
    let lookups = MemoryStore::new(identity)?;
    let bytes = std::fs::read("examples/files/ct_1_explicit.dcm")?;
    let plan = plan(&policy, Source::part10(&bytes))?; // pure: what to do
    let (Assigned::New(names) | Assigned::Duplicate(names)) = lookups.assign(plan.wanted())?;
    let clean = plan.apply(&names)?.to_vec()?; // pure: the output
    println!("{} bytes of {} are clean", clean.len(), names.patient);
    Ok(())
}
