//! TLS for associations (feature `tls`): [`ServerTls`] and [`ClientTls`], created from PEM files.
//!
//! Follows the profiles of PS3.15 sections B.12 and B.13 (BCP 195) as rustls implements them: TLS
//! 1.3 and 1.2 with ephemeral key exchange and authenticated ciphers. Nothing weaker is negotiated,
//! there is no fallback to a plain connection, and no session is resumed.

mod files;
mod problem;
mod stream;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

pub use files::{TlsError, TlsFile};

use super::tcp::Tcp;
use super::transport::TlsFailure;
use files::{authorities, certificates, key, unusable};
use problem::problem_of;
use stream::Tls;

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// The TLS settings of an acceptor: its certificate, and the authorities it trusts.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Presents a certificate, and requests none from the peer.
    ///
    /// `chain` holds the certificate first, then the intermediate certificates. `private_key` must
    /// not be encrypted. All files are PEM.
    ///
    /// # Errors
    /// [`TlsError`] with the file that is wrong and what to do.
    pub fn new(chain: &Path, private_key: &Path) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(VERSIONS)
            .map_err(|error| unusable(chain, private_key, &error))?
            .with_no_client_auth();
        let config = builder.with_single_cert(certificates(chain)?, key(private_key)?);
        Ok(Self::of(
            config.map_err(|error| unusable(chain, private_key, &error))?,
        ))
    }

    /// Presents a certificate, and accepts only peers with a certificate of one of these
    /// authorities (mutual authentication).
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn mutual(chain: &Path, private_key: &Path, peers: &Path) -> Result<Self, TlsError> {
        let provider = provider();
        let roots = Arc::new(authorities(peers)?);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let verifier = verifier.map_err(|_| TlsError::no_authority(peers))?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(|error| unusable(chain, private_key, &error))?
            .with_client_cert_verifier(verifier);
        let config = builder.with_single_cert(certificates(chain)?, key(private_key)?);
        Ok(Self::of(
            config.map_err(|error| unusable(chain, private_key, &error))?,
        ))
    }

    fn of(mut config: ServerConfig) -> Self {
        // A peer that does not read the session ticket would turn its close into a reset.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Self {
            config: Arc::new(config),
        }
    }

    /// Performs the handshake as the TLS server.
    pub(crate) fn accept(&self, tcp: Tcp, deadline: Instant) -> io::Result<Tls> {
        let connection = ServerConnection::new(Arc::clone(&self.config));
        let connection = connection.map_err(|error| TlsFailure(problem_of(&error)))?;
        Tls::open(connection.into(), tcp, deadline)
    }
}

/// The TLS settings of a dialler: the authorities it trusts, and its certificate.
///
/// The peer's certificate must be valid for the host of the [`Node`](crate::Node), a name or an
/// address as it was given.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts these authorities, and presents no certificate. The file is PEM.
    ///
    /// # Errors
    /// [`TlsError`] with the file that is wrong and what to do.
    pub fn new(peers: &Path) -> Result<Self, TlsError> {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(VERSIONS)
            .map_err(|_| TlsError::no_authority(peers))?
            .with_webpki_verifier(verifier(peers, provider)?)
            .with_no_client_auth();
        Ok(Self::of(config))
    }

    /// Trusts these authorities, and presents a certificate (mutual authentication). The files are
    /// as in [`ServerTls::new`].
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn mutual(peers: &Path, chain: &Path, private_key: &Path) -> Result<Self, TlsError> {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(VERSIONS)
            .map_err(|_| TlsError::no_authority(peers))?
            .with_webpki_verifier(verifier(peers, provider)?)
            .with_client_auth_cert(certificates(chain)?, key(private_key)?);
        Ok(Self::of(
            config.map_err(|error| unusable(chain, private_key, &error))?,
        ))
    }

    fn of(mut config: ClientConfig) -> Self {
        config.resumption = rustls::client::Resumption::disabled();
        Self {
            config: Arc::new(config),
        }
    }

    /// Performs the handshake as the TLS client of `host`.
    pub(crate) fn connect(&self, tcp: Tcp, host: &str, deadline: Instant) -> io::Result<Tls> {
        let name = match host.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(host.to_owned())
                .map_err(|_| TlsFailure("a certificate cannot be valid for its host name"))?,
        };
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let connection = connection.map_err(|error| TlsFailure(problem_of(&error)))?;
        Tls::open(connection.into(), tcp, deadline)
    }
}

// rustls' `Debug` output of a configuration contains certificates.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

fn verifier(
    peers: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let roots = Arc::new(authorities(peers)?);
    WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|_| TlsError::no_authority(peers))
}

/// Passed to each configuration. Installing a default for the process is up to the program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
