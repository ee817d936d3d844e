//! The synthetic files of `examples/files`, and the shared code of the programs in `src/bin`.
//!
//! Every program embeds the crates for one task and runs on those files:
//!
//! | program | shows |
//! |---|---|
//! | `first_steps` | the example of the README |
//! | `deidentify_bytes` | one object in memory, in one call and in two pure steps |
//! | `deidentify_a_directory` | a directory with progress, with threads and a store on disk |
//! | `write_your_own_store` | your own output store behind the trait, and its conformance check |
//! | `write_your_own_sink` | your own destination behind the trait, its conformance check, and an export to it |
//! | `async_program` | the engine's callback as a future, without a runtime |
//! | `check_a_script` | the problems of a script with their positions, and what its rules do |
//! | `receive_over_dicom` | a DICOM node that de-identifies the objects it receives |
//! | `query_retrieve` | studies found on a PACS, and retrieved by C-GET |
//! | `pacs_double` | a test double of a PACS: C-FIND, C-MOVE, C-GET and C-STORE |
//! | `re_identify` | the original behind a pseudonym |
//! | `generate_files` | how the files of `examples/files` are generated |
//! | `upload_to_s3` | a directory uploaded to an S3 bucket (feature `s3`) |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anon_engine::quarantine::{DirectoryQuarantine, QuarantineOptions};
use anon_engine::store::{DirectoryStore, DirectoryStoreOptions};
use anon_engine::testing::files::{
    Form, Place, Syntax, ct_small, everything_phi, mr_multiframe, sr, us_colour,
};
use anon_engine::{Engine, Error, Policy, Receipt};
use anon_model::{DiskOptions, DiskStore, Identity, SiteId, UidRoot};
use anon_net::{BackendError, HandlerResponse, Outcome, Remedy};
use anon_script::builtin;
use anyhow::Context as _;

/// The SOP classes of the example files.
pub const SOP_CLASSES: [&str; 5] = [
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.88.11",
];

/// The seed of every example file.
const SEED: u64 = 20_190_304;

/// Returns the directory of the example files in a checkout.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files")
}

/// Generates the example files: names and bytes. They are the same in every run and on every machine.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let patient = |number| Place::new(SEED).patient(number);
    let slice = |number| ct_small(&patient(1).instance(number));
    let implicit = Form::new(Syntax::ImplicitLittle).undefined_lengths();
    let big_endian = Form::new(Syntax::ExplicitBig).undefined_lengths();
    let multi_frame = Form::new(Syntax::ExplicitLittle).undefined_lengths();
    vec![
        ("ct_1_explicit.dcm", slice(1).write(Syntax::ExplicitLittle)),
        ("ct_2_implicit.dcm", slice(2).write_as(&implicit)),
        ("ct_3_deflated.dcm", slice(3).write(Syntax::Deflated)),
        ("ct_4_big_endian.dcm", slice(4).write_as(&big_endian)),
        (
            "everything_phi.dcm",
            everything_phi(&patient(5)).write(Syntax::ExplicitLittle),
        ),
        (
            "mr_multiframe.dcm",
            mr_multiframe(&patient(2), 8, 64).write_as(&multi_frame),
        ),
        (
            "sr_report.dcm",
            sr(&patient(4)).write(Syntax::ExplicitLittle),
        ),
        (
            "us_colour_rle.dcm",
            us_colour(&patient(3)).write(Syntax::RLE),
        ),
    ]
}

/// Starts an engine over a project on disk. `deidentify_a_directory` shows the same step by step.
///
/// # Errors
/// If the project cannot be opened.
pub fn engine(project: &Path) -> anyhow::Result<Engine> {
    let (public, private) = (project.join("public"), project.join("private"));
    let tmp = private.join("tmp");
    let store = DirectoryStore::open(&public, &tmp, DirectoryStoreOptions::default())?;
    let quarantine = private.join("quarantine");
    let quarantine = DirectoryQuarantine::new(quarantine, &tmp, QuarantineOptions::default());
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let identity = Identity::new(SiteId::new("527408119")?, root)?;
    let lookups = private.join("lookup.redb");
    let lookups = DiskStore::open(&lookups, identity, &DiskOptions::default())?;
    let rules = builtin("rsna-v17").context("is built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "EXAMPLE");
    let engine = Engine::builder(
        policy,
        Arc::new(lookups),
        Arc::new(store),
        Arc::new(quarantine),
    );
    Ok(engine.start()?)
}

/// Converts the engine's result to the response to a C-STORE (PS3.4 section B.2.3). The reasons hold no value
/// of the object.
///
/// # Errors
/// If the engine failed. The sender may try again.
pub fn store_response(result: Result<Receipt, Error>) -> Result<HandlerResponse, BackendError> {
    use anon_engine::Outcome as EngineOutcome;
    match result {
        Ok(receipt) => Ok(match receipt.outcome {
            EngineOutcome::Stored { .. } => Outcome::Stored.into(),
            EngineOutcome::Duplicate { .. } => Outcome::AlreadyStored.into(),
            EngineOutcome::Quarantined { reason, .. } => Outcome::Quarantined.because(reason),
            _ => Outcome::ClassNotSupported.into(),
        }),
        Err(error @ Error::NotAsAnnounced { .. }) => {
            Ok(Outcome::Mismatch.because(error.to_string()))
        }
        Err(Error::Refused(refusal)) => Ok(Outcome::CannotUnderstand.because(refusal.reason)),
        Err(error) => Err(BackendError::new(Remedy::Retry, error)),
    }
}
