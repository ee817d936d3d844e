//! Keys and certificates, fresh for each test.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::need::{Need, here};
use super::scripts;
use crate::shared::Test;

/// An authority, the identities it made, and some that it did not.
#[derive(Debug)]
pub(crate) struct Authority(tempfile::TempDir);

/// A key and its certificate, as PEM files.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
    /// Whom its holder trusts.
    pub(crate) trusted: PathBuf,
}

impl Authority {
    /// None, and a word about it, if openssl is not installed.
    pub(crate) fn new() -> Test<Option<Self>> {
        if !here(&[Need::Openssl])? {
            return Ok(None);
        }
        let directory = tempfile::tempdir()?;
        let output = Command::new("bash")
            .arg(scripts().join("certificates.sh"))
            .arg(directory.path())
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(Some(Self(directory)))
    }

    /// `server`, `client`, `expired`, `elsewhere` (for another host), or `stranger` (of another
    /// authority).
    pub(crate) fn identity(&self, name: &str) -> Identity {
        Identity {
            key: self.file(&format!("{name}.key")),
            certificate: self.file(&format!("{name}.crt")),
            trusted: self.trusted(),
        }
    }

    /// The authority's certificate.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// The certificate of the authority that nobody should trust.
    pub(crate) fn distrusted(&self) -> PathBuf {
        self.file("other_ca.crt")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Identity {
    /// Options of a DCMTK tool.
    pub(crate) fn dcmtk(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            "+tls".to_owned(),
            text(&self.key),
            text(&self.certificate),
            "+cf".to_owned(),
            text(&self.trusted),
        ]
    }
}
