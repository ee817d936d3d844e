//! [`Trust`]: whose certificates are believed.

use std::sync::Arc;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::s3::S3Error;

/// The authorities that the system trusts, and more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Certificates in PEM.
    more: Option<Arc<[u8]>>,
}

impl Trust {
    pub(super) fn with(pem: &[u8]) -> Self {
        let more = Some(Arc::from(pem));
        Self { more }
    }

    /// Why the certificates cannot be used. The client panics where this finds something.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.more.as_deref()?) {
            let Ok(certificate) = certificate else {
                return Some("they are damaged, or not PEM");
            };
            if roots.add(certificate).is_err() {
                return Some("one of them is no certificate of an authority");
            }
        }
        roots
            .is_empty()
            .then_some("there is none: PEM begins with -----BEGIN CERTIFICATE-----")
    }

    /// As the client takes it.
    pub(crate) fn context(&self) -> Result<TlsContext, S3Error> {
        let mut store = TrustStore::default();
        if let Some(more) = &self.more {
            store.add_pem_certificate(more.to_vec());
        }
        let context = TlsContext::builder().with_trust_store(store).build();
        context.map_err(|_| S3Error::Start {
            kind: std::io::ErrorKind::Other,
        })
    }
}
