//! Re-identifies: finds the original behind a pseudonym in an output. This needs the lookup store.
//!
//! ```text
//! cargo run -p anon-examples --bin re_identify
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use anon_engine::{Policy, Source, plan};
use anon_model::{
    Assigned, Identity, MemoryStore, Pseudonyms as _, SiteId, Transactions as _, UidRoot,
};
use anon_script::builtin;
use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let lookups = MemoryStore::new(Identity::new(SiteId::new("527408119")?, root)?)?;
    let rules = builtin("rsna-v17").context("is built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "EXAMPLE");
    let bytes = std::fs::read(anon_examples::directory().join("ct_1_explicit.dcm"))?;
    let plan = plan(&policy, Source::part10(&bytes))?;
    let (Assigned::New(names) | Assigned::Duplicate(names)) = lookups.assign(plan.wanted())?;
    let group = lookups.commit(&[])?;
    lookups.settle(group, &[])?;

    // Originals are `Phi`: they print as `Phi(..)`, and reading one takes `expose`.
    for pseudonym in [&names.patient, &names.study, &names.instance] {
        for (space, original) in lookups.originals(pseudonym)? {
            println!("{pseudonym} is {space:?} {}", original.expose());
        }
    }
    Ok(())
}
