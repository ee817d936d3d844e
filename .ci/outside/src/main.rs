//! De-identifies the file named by the first argument in memory, and writes it to the second.
//!
//! It fails if the output holds the Patient ID of the third argument, or has no preamble and prefix.

use std::error::Error;
use std::sync::Arc;
use std::{env, fs};

use anon_engine::{Policy, deidentify};
use anon_model::{Identity, MemoryStore, SiteId, UidRoot};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to, patient_id] = arguments.as_slice() else {
        return Err("three arguments: FROM TO PATIENT-ID".into());
    };
    let bytes = fs::read(from)?;
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    if !has(&bytes, patient_id) {
        return Err("the source does not hold the Patient ID".into());
    }

    let rules = anon_script::builtin("rsna-v17").ok_or("the rules are built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "OUTSIDE");
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let lookups = MemoryStore::new(Identity::new(SiteId::new("527408119")?, root)?)?;
    let clean = deidentify(&policy, &lookups, &bytes)?;

    if clean.get(..132) != Some([[0; 128].as_slice(), b"DICM"].concat().as_slice()) {
        return Err("the output has no empty preamble and prefix".into());
    }
    if has(&clean, patient_id) {
        return Err("the output holds the Patient ID".into());
    }
    if !has(&clean, "527408119-000001") {
        return Err("the output does not hold the pseudonym".into());
    }
    fs::write(to, &clean)?;
    Ok(())
}
