//! A study in every common transfer syntax.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::dependency::{self, Dependency, are_installed};
use super::{ServerKind, scripts};
use crate::shared::Test;

pub(crate) const UNCOMPRESSED: [&str; 3] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
];

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
const US_MULTI_FRAME: &str = "1.2.840.10008.5.1.4.1.1.3.1";

/// File name, SOP class, transfer syntax, and the option with which storescu proposes it, in the
/// order of instance numbers.
const FILES: [(&str, &str, &str, &str); 11] = [
    ("01-explicit", CT, "1.2.840.10008.1.2.1", "-xe"),
    ("02-implicit", CT, "1.2.840.10008.1.2", "-xi"),
    ("03-big-endian", CT, "1.2.840.10008.1.2.2", "-xb"),
    ("04-deflated", CT, "1.2.840.10008.1.2.1.99", "-xd"),
    (
        "05-jpeg-baseline",
        SECONDARY_CAPTURE,
        "1.2.840.10008.1.2.4.50",
        "-xy",
    ),
    ("06-jpeg-lossless", CT, "1.2.840.10008.1.2.4.70", "-xs"),
    ("07-jpeg-ls", CT, "1.2.840.10008.1.2.4.80", "-xt"),
    ("08-jpeg-ls-near", CT, "1.2.840.10008.1.2.4.81", "-xu"),
    ("09-jpeg-2000", CT, "1.2.840.10008.1.2.4.90", "-xv"),
    ("10-rle", CT, "1.2.840.10008.1.2.5", "-xr"),
    (
        "11-multi-frame",
        US_MULTI_FRAME,
        "1.2.840.10008.1.2.4.70",
        "-xs",
    ),
];

/// Ten images in ten transfer syntaxes, and a multi-frame one in a second series.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) instances: Vec<Instance>,
}

#[derive(Debug)]
pub(crate) struct Instance {
    /// A DICOM file (PS3.10).
    pub(crate) path: PathBuf,
    pub(crate) class: &'static str,
    pub(crate) transfer_syntax: &'static str,
    /// The option with which storescu proposes this transfer syntax.
    pub(crate) option: &'static str,
    pub(crate) uid: String,
    pub(crate) series: String,
}

impl Corpus {
    pub(crate) const STUDY: &str = "1.2.826.0.1.3680043.10.1474.77";
    pub(crate) const PATIENT: &str = "TSTEST";
    pub(crate) const ACCESSION: &str = "TS1";

    /// Writes the corpus. `None`, with a message, if the tools are not installed.
    pub(crate) fn new() -> Test<Option<Self>> {
        if !are_installed(&[Dependency::Dcmtk, Dependency::Python])? {
            return Ok(None);
        }
        let directory = write_once()?;
        let instances = (1..).zip(FILES);
        let instances = instances.map(|(number, (name, class, transfer_syntax, option))| {
            let series = format!("{}.{}", Self::STUDY, if number == 11 { 2 } else { 1 });
            Instance {
                path: directory.join(format!("{name}.dcm")),
                class,
                transfer_syntax,
                option,
                uid: format!("{series}.{number}"),
                series,
            }
        });
        Ok(Some(Self {
            instances: instances.collect(),
        }))
    }

    /// Returns the instances that a server accepts when started without options.
    pub(crate) fn accepted_by(&self, kind: ServerKind) -> Vec<&Instance> {
        let instances = self.instances.iter();
        instances
            .filter(|it| kind.accepts(it.transfer_syntax))
            .collect()
    }
}

/// Writes the corpus to the build's directory for test files, once for each version of the script.
fn write_once() -> Test<PathBuf> {
    static WRITING: Mutex<()> = Mutex::new(());
    let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let script = scripts().join("corpus.py");
    let mut hasher = DefaultHasher::new();
    fs::read(&script)?.hash(&mut hasher);
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = parent.join(format!("corpus-{:016x}", hasher.finish()));
    if directory.is_dir() {
        return Ok(directory);
    }
    let fresh = tempfile::tempdir_in(parent)?;
    let output = Command::new(dependency::python())
        .arg(script)
        .arg(fresh.path())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    // Another test binary may have written the same files already.
    if fs::rename(fresh.path(), &directory).is_ok() {
        let _ = fresh.keep();
    }
    Ok(directory)
}
