//! Reading PEM files, and saying which is wrong.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The longest file that is read: a bundle of all public authorities has a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// Which of the files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "there are these three")]
pub enum TlsFile {
    /// The certificate that is shown, and those between it and its authority.
    #[error("certificate chain")]
    Chain,
    /// Its private key.
    #[error("private key")]
    Key,
    /// The authorities whose certificates are trusted.
    #[error("authorities")]
    Authorities,
}

/// A file that TLS cannot be made from. It holds nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{file} in {}: {problem}", .path.display())]
#[non_exhaustive]
pub struct TlsError {
    /// What it is for.
    pub file: TlsFile,
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong and what to do, in words of ours.
    pub problem: &'static str,
    /// Why it cannot be read, if that is what is wrong.
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
        let problem = "it holds no certificate of an authority: give one in PEM form";
        Self::new(TlsFile::Authorities, path, problem)
    }
}

/// The error of a chain and key that were read, but do not go together or cannot be used.
pub(super) fn unusable(chain: &Path, private_key: &Path, error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::new(
            TlsFile::Key,
            private_key,
            "it is not the key of the certificate: give the pair that was made together",
        ),
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            TlsError::new(
                TlsFile::Chain,
                chain,
                "its first certificate is damaged: fetch it again",
            )
        }
        _ => TlsError::new(
            TlsFile::Key,
            private_key,
            "its kind of key is not supported: make one of ECDSA P-256, P-384, Ed25519 or RSA of \
             2048 bits or more",
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

/// The certificates of a chain.
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
            "it holds no certificate: give one in PEM form",
        )),
        Err(_) => Err(TlsError::new(
            file,
            path,
            "its PEM form is damaged: fetch it again",
        )),
    }
}

/// The private key.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(TlsFile::Key, path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let mark = b"ENCRYPTED";
        let problem = if pem.windows(mark.len()).any(|window| window == mark) {
            "it is encrypted: decrypt it with `openssl pkey`, into a file that only this program may \
             read"
        } else {
            "it holds no private key: give one in PEM form (PKCS #8, PKCS #1 or SEC 1)"
        };
        TlsError::new(TlsFile::Key, path, problem)
    })
}

/// The authorities that are trusted.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in all(TlsFile::Authorities, path)? {
        roots.add(certificate).map_err(|_| {
            let problem = "it holds a certificate that is damaged: fetch it again";
            TlsError::new(TlsFile::Authorities, path, problem)
        })?;
    }
    Ok(roots)
}
