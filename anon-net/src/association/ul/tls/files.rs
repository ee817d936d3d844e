//! Reads PEM files, and names the one that is wrong.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The longest file that is read. A bundle of all public authorities has a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// The purpose of a PEM file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "there are these three")]
pub enum TlsFile {
    /// Our certificate and the intermediate certificates.
    #[error("certificate chain")]
    Chain,
    /// The private key of our certificate.
    #[error("private key")]
    Key,
    /// The certificates of the authorities we trust.
    #[error("authorities")]
    Authorities,
}

/// A PEM file cannot be used. The error contains nothing of the file's contents.
#[derive(Debug, thiserror::Error)]
#[error("{file} in {}: {problem}", .path.display())]
#[non_exhaustive]
pub struct TlsError {
    /// The purpose of the file.
    pub file: TlsFile,
    /// The path of the file.
    pub path: PathBuf,
    /// What is wrong and what to do.
    pub problem: &'static str,
    /// The I/O error, if the file cannot be read.
    #[source]
    pub source: Option<io::Error>,
}

impl TlsError {
    fn new(file: TlsFile, path: &Path, problem: &'static str) -> Self {
        Self {
            file,
            path: path.to_owned(),
            problem,
            source: None,
        }
    }

    pub(super) fn no_authority(path: &Path) -> Self {
        let problem = "it contains no certificate of an authority: give one in PEM format";
        Self::new(TlsFile::Authorities, path, problem)
    }
}

/// Returns the error for a certificate chain and key that do not match or cannot be used.
pub(super) fn unusable(chain: &Path, private_key: &Path, error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::new(
            TlsFile::Key,
            private_key,
            "it does not belong to the certificate: give the key the certificate was issued for",
        ),
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            TlsError::new(
                TlsFile::Chain,
                chain,
                "its first certificate is damaged: get it again",
            )
        }
        _ => TlsError::new(
            TlsFile::Key,
            private_key,
            "its type of key is not supported: use ECDSA P-256, P-384, Ed25519, or RSA with \
             at least 2048 bits",
        ),
    }
}

fn read(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|open| open.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(TlsError {
            source: Some(error),
            ..TlsError::new(
                file,
                path,
                "it cannot be read: check its path, owner and mode",
            )
        }),
        Ok(count) if count as u64 > MAX_BYTES => Err(TlsError::new(
            file,
            path,
            "it is longer than 1 MiB: give the PEM file itself",
        )),
        Ok(_) => Ok(bytes),
    }
}

/// Reads the certificates of a chain.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    all(TlsFile::Chain, path)
}

fn all(file: TlsFile, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TlsError::new(
            file,
            path,
            "it contains no certificate: give one in PEM format",
        )),
        Err(_) => Err(TlsError::new(
            file,
            path,
            "its PEM encoding is damaged: get it again",
        )),
    }
}

/// Reads the private key.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(TlsFile::Key, path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let mark = b"ENCRYPTED";
        let problem = if pem.windows(mark.len()).any(|window| window == mark) {
            "it is encrypted: decrypt it with `openssl pkey`, into a file that only this program may \
             read"
        } else {
            "it contains no private key: give one in PEM format (PKCS #8, PKCS #1 or SEC 1)"
        };
        TlsError::new(TlsFile::Key, path, problem)
    })
}

/// Reads the certificates of the trusted authorities.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in all(TlsFile::Authorities, path)? {
        roots.add(certificate).map_err(|_| {
            let problem = "it contains a damaged certificate: get it again";
            TlsError::new(TlsFile::Authorities, path, problem)
        })?;
    }
    Ok(roots)
}
