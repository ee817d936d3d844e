//! New keys and certificates for each test.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::dependency::{Dependency, are_installed};
use super::scripts;
use crate::shared::Test;

/// An authority, identities that it signed, and one that it did not sign.
#[derive(Debug)]
pub(crate) struct Authority(tempfile::TempDir);

/// A key and its certificate, as PEM files.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
    /// The authority that its holder trusts.
    pub(crate) trusted: PathBuf,
}

impl Authority {
    /// Creates the files. `None`, with a message, if openssl is not installed.
    pub(crate) fn new() -> Test<Option<Self>> {
        if !are_installed(&[Dependency::Openssl])? {
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

    /// Returns an identity: `server`, `client`, `expired`, `elsewhere` (for another host), or
    /// `stranger` (of another authority).
    pub(crate) fn identity(&self, name: &str) -> Identity {
        Identity {
            key: self.file(&format!("{name}.key")),
            certificate: self.file(&format!("{name}.crt")),
            trusted: self.trusted(),
        }
    }

    /// Returns the authority's certificate.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// Returns the certificate of the other authority.
    pub(crate) fn distrusted(&self) -> PathBuf {
        self.file("other_ca.crt")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Identity {
    /// Returns the TLS options of a DCMTK tool.
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
