//! [`Trust`]: the trusted certificate authorities.

use std::sync::Arc;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::s3::S3Error;

/// The authorities that the system trusts, and additional ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Additional certificates in PEM.
    additional: Option<Arc<[u8]>>,
}

impl Trust {
    pub(super) fn with(pem: &[u8]) -> Self {
        let additional = Some(Arc::from(pem));
        Self { additional }
    }

    /// Returns why the certificates cannot be used. The HTTP client would panic on invalid ones.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.additional.as_deref()?) {
            let Ok(certificate) = certificate else {
                return Some("they are damaged, or not PEM");
            };
            if roots.add(certificate).is_err() {
                return Some("one of them is not the certificate of an authority");
            }
        }
        roots
            .is_empty()
            .then_some("there are none: PEM begins with -----BEGIN CERTIFICATE-----")
    }

    /// Returns the TLS settings for the HTTP client.
    pub(crate) fn context(&self) -> Result<TlsContext, S3Error> {
        let mut store = TrustStore::default();
        if let Some(additional) = &self.additional {
            store.add_pem_certificate(additional.to_vec());
        }
        let context = TlsContext::builder().with_trust_store(store).build();
        context.map_err(|_| S3Error::Start {
            kind: std::io::ErrorKind::Other,
        })
    }
}
