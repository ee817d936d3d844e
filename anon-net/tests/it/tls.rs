//! Associations over TLS.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anon_net::association::ul::{Acceptor, UlAssociation, UlDial};
use anon_net::error::Remedy;
use anon_net::scp::StopOutcome;
use anon_net::testing::conformance::{self, AssociationPair};
use anon_net::tls::{ClientTls, ServerTls, TlsFile};
use anon_net::{Association, Dial, Error, Event, Node};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use crate::memory_network::proposal;
use crate::scp::node::{bind, memory};
use crate::scp::support::{self, Peer};
use crate::ul::{LONG, Port, acceptor};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// The files of a certificate and its key.
pub(crate) struct Files {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

type Made<T> = Result<T, Box<dyn std::error::Error>>;

impl Authority {
    fn new(directory: &Path, name: &str) -> Made<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let directory = directory.join(name);
        fs::create_dir(&directory)?;
        put(&directory.join("ca.pem"), &issuer.pem())?;
        Ok(Self { issuer, directory })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Issues a certificate for a host, valid until the end of a year.
    fn certify(&self, host: &str, until: i32) -> Made<Files> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let pair = KeyPair::generate()?;
        let certificate = params.signed_by(&pair, &self.issuer)?;
        let files = Files {
            chain: self.directory.join(format!("{host}-{until}.pem")),
            key: self.directory.join(format!("{host}-{until}.key")),
        };
        put(&files.chain, &certificate.pem())?;
        put(&files.key, &pair.serialize_pem())?;
        Ok(files)
    }
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    fs::File::create(path)?.write_all(text.as_bytes())
}

/// The files of our authority, of another one, and certificates of both.
pub(crate) struct Certificates {
    directory: tempfile::TempDir,
    pub(crate) ours: Authority,
    pub(crate) server: Files,
    client: Files,
    expired: Files,
    elsewhere: Files,
    stranger: Authority,
    strange: Files,
}

impl Certificates {
    pub(crate) fn new() -> Made<Self> {
        let directory = tempfile::tempdir()?;
        let ours = Authority::new(directory.path(), "ours")?;
        let stranger = Authority::new(directory.path(), "stranger")?;
        Ok(Self {
            server: ours.certify("127.0.0.1", 4000)?,
            client: ours.certify("client", 4000)?,
            expired: ours.certify("127.0.0.1", 2001)?,
            elsewhere: ours.certify("elsewhere", 4000)?,
            strange: stranger.certify("127.0.0.1", 4000)?,
            ours,
            stranger,
            directory,
        })
    }

    fn server(&self) -> ServerTls {
        ServerTls::mutual(&self.server.chain, &self.server.key, &self.ours.file())
            .expect("a server")
    }

    pub(crate) fn client(&self) -> ClientTls {
        ClientTls::mutual(&self.ours.file(), &self.client.chain, &self.client.key)
            .expect("a client")
    }
}

/// The results of both sides of a connection.
struct HandshakeResults {
    dialled: Result<Box<dyn Association>, Error>,
    accepted: Result<UlAssociation, Error>,
}

fn meet(dial: &UlDial, acceptor: &Acceptor) -> HandshakeResults {
    let port = Port::open();
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| acceptor.accept(port.stream()));
        let dialled = dial.dial(&port.node, &proposal(), LONG);
        HandshakeResults {
            dialled,
            accepted: accepted.join().expect("a thread"),
        }
    })
}

#[track_caller]
fn problem<T: fmt::Debug>(result: &Result<T, Error>, expected: &str, case: &str) {
    let found = match result {
        Err(Error::Tls { problem }) => Some(*problem),
        _ => None,
    };
    assert_eq!(found, Some(expected), "{case}: {result:?}");
}

#[test]
fn tls_association_passes_the_conformance_suite() {
    let certificates = Certificates::new().expect("certificates");
    let dial = UlDial::new().with_tls(certificates.client());
    for max_pdu_bytes in [64, 131_072] {
        let acceptor = acceptor()
            .with_tls(certificates.server())
            .with_max_pdu_bytes(max_pdu_bytes);
        conformance::association(|| {
            let HandshakeResults { dialled, accepted } = meet(&dial, &acceptor);
            AssociationPair {
                requestor: dialled.expect("an association"),
                acceptor: Box::new(accepted.expect("an association")),
            }
        });
    }
}

#[test]
fn server_without_client_authentication_accepts() {
    let certificates = Certificates::new().expect("certificates");
    let server =
        ServerTls::new(&certificates.server.chain, &certificates.server.key).expect("a server");
    let dial = UlDial::new().with_tls(ClientTls::new(&certificates.ours.file()).expect("a client"));
    let HandshakeResults { dialled, accepted } = meet(&dial, &acceptor().with_tls(server));
    let mut theirs = accepted.expect("an association");
    drop(dialled.expect("an association"));
    let end = theirs.receive(LONG).map(|_| ());
    assert!(matches!(end, Err(Error::Aborted { .. })), "{end:?}");
}

#[test]
fn client_without_a_valid_certificate_is_refused() {
    let certificates = Certificates::new().expect("certificates");
    let server = acceptor().with_tls(certificates.server());
    let with = |files: &Files| {
        ClientTls::mutual(&certificates.ours.file(), &files.chain, &files.key).expect("a client")
    };
    let table = [
        (
            "none",
            ClientTls::new(&certificates.ours.file()).expect("a client"),
            "it presents no certificate",
            "it requires a certificate from us",
        ),
        (
            "expired",
            with(&certificates.expired),
            "its certificate has expired",
            "it says that our certificate has expired",
        ),
        (
            "a stranger's",
            with(&certificates.strange),
            "its certificate is not issued by an authority that we trust",
            "it does not trust the authority of our certificate",
        ),
    ];
    for (case, client, theirs, ours) in table {
        let HandshakeResults { dialled, accepted } = meet(&UlDial::new().with_tls(client), &server);
        problem(&accepted, theirs, case);
        problem(&dialled, ours, case);
    }
}

#[test]
fn server_without_a_valid_certificate_is_refused() {
    let certificates = Certificates::new().expect("certificates");
    let dial = UlDial::new().with_tls(certificates.client());
    let table = [
        (
            "expired",
            &certificates.expired,
            "its certificate has expired",
        ),
        (
            "a stranger's",
            &certificates.strange,
            "its certificate is not issued by an authority that we trust",
        ),
        (
            "another host's",
            &certificates.elsewhere,
            "its certificate is for another host",
        ),
    ];
    for (case, files, expected) in table {
        let tls = ServerTls::mutual(&files.chain, &files.key, &certificates.ours.file());
        let server = acceptor().with_tls(tls.expect("a server"));
        let HandshakeResults { dialled, accepted } = meet(&dial, &server);
        problem(&dialled, expected, case);
        assert!(matches!(accepted, Err(Error::Tls { .. })), "{case}");
    }
}

#[test]
fn host_names_are_checked() {
    let certificates = Certificates::new().expect("certificates");
    let files = certificates
        .ours
        .certify("localhost", 4000)
        .expect("a certificate");
    let server = ServerTls::new(&files.chain, &files.key).expect("a server");
    let server = acceptor().with_tls(server);
    let port = Port::open();
    let node = Node::new(port.node.title().clone(), "localhost", port.node.port());
    let node = node.expect("a node");
    let dial = UlDial::new().with_tls(certificates.client());
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| server.accept(port.stream()));
        let mut dialled = dial.dial(&node, &proposal(), LONG).expect("an association");
        let mut accepted = accepted.join().expect("a thread").expect("an association");
        let released = scope.spawn(move || dialled.release(LONG));
        assert_eq!(accepted.receive(LONG).expect("an event"), Event::Release);
        accepted.release(LONG).expect("a release");
        released.join().expect("a thread").expect("a release");
    });
}

#[test]
fn plain_and_tls_peers_fail_with_an_error() {
    let certificates = Certificates::new().expect("certificates");
    let HandshakeResults { dialled, accepted } =
        meet(&UlDial::new(), &acceptor().with_tls(certificates.server()));
    problem(&accepted, "it does not speak TLS", "a plain peer");
    assert!(matches!(dialled, Err(Error::Lost)), "{dialled:?}");

    let HandshakeResults { dialled, accepted } =
        meet(&UlDial::new().with_tls(certificates.client()), &acceptor());
    match accepted {
        Err(Error::Protocol { problem }) => assert_eq!(problem, "it speaks TLS"),
        other => panic!("a TLS hello on a plain port: {other:?}"),
    }
    problem(
        &dialled,
        "it closed the connection during the TLS handshake",
        "a plain acceptor",
    );
}

#[test]
fn handshake_has_the_timeout_of_a_request() {
    let certificates = Certificates::new().expect("certificates");
    let short = Duration::from_millis(50);
    let server = acceptor().with_tls(certificates.server()).with_artim(short);
    let port = Port::open();
    // The beginning of a client hello, then nothing.
    let mut silent = TcpStream::connect((port.node.host(), port.node.port())).expect("a stream");
    silent.write_all(&[22, 3, 1, 2, 0, 1, 0]).expect("written");
    let over = server.accept(port.stream());
    assert!(matches!(over, Err(Error::TimedOut { .. })), "{over:?}");
    assert_eq!(
        silent.read(&mut [0; 8]).unwrap_or(0),
        0,
        "the connection is closed"
    );
}

#[test]
fn invalid_files_are_named_in_errors() {
    let certificates = Certificates::new().expect("certificates");
    let at = |name: &str| certificates.directory.path().join(name);
    let (missing, empty, sealed) = (at("missing"), at("empty"), at("sealed"));
    put(&empty, "").expect("a file");
    let pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    put(&sealed, pem).expect("a file");
    let (chain, key, ca) = (
        &certificates.server.chain,
        &certificates.server.key,
        &certificates.ours.file(),
    );
    let table = [
        (&missing, key, ca, TlsFile::Chain, "cannot be read"),
        (&empty, key, ca, TlsFile::Chain, "no certificate"),
        (key, key, ca, TlsFile::Chain, "no certificate"),
        (chain, &missing, ca, TlsFile::Key, "cannot be read"),
        (chain, &empty, ca, TlsFile::Key, "no private key"),
        (chain, &sealed, ca, TlsFile::Key, "is encrypted"),
        (
            chain,
            &certificates.client.key,
            ca,
            TlsFile::Key,
            "does not belong to the certificate",
        ),
        (chain, key, &missing, TlsFile::Authorities, "cannot be read"),
        (chain, key, &empty, TlsFile::Authorities, "no certificate"),
    ];
    for (chain, key, ca, file, words) in table {
        let server = ServerTls::mutual(chain, key, ca).expect_err("a server of wrong files");
        let client = ClientTls::mutual(ca, chain, key).expect_err("a client of wrong files");
        for error in [server, client] {
            assert_eq!(error.file, file, "{error}");
            assert!(error.problem.contains(words), "{error}: {words}");
            let named = [chain, key, ca].contains(&&error.path);
            assert!(named, "{error}: names the file");
        }
    }
    let no_authority = certificates.stranger.file();
    assert!(
        ClientTls::new(&no_authority).is_ok(),
        "any authority will do"
    );
    assert_eq!(
        Error::Tls {
            problem: "it presents no certificate"
        }
        .remedy(),
        Remedy::Stop
    );
}

/// An SCP with TLS serves only clients with a trusted certificate.
#[test]
fn scp_with_tls_refuses_plain_connections() {
    let certificates = Certificates::new().expect("certificates");
    let scp = bind(memory().tls(certificates.server()));
    let port = scp.local_addr().port();
    let node = Node::new("SCP".parse().expect("a title"), "127.0.0.1", port).expect("a node");
    let proposal = support::proposal("PEER");
    let plain = UlDial::new().dial(&node, &proposal, LONG);
    assert!(plain.is_err(), "{plain:?}");
    let tls = UlDial::new().with_tls(certificates.client());
    let mut association = tls.dial(&node, &proposal, LONG).expect("an association");
    let body = vec![7; 300_000];
    let status = Peer(&mut *association).store("1.2.3", &body);
    assert_eq!(status.expect("a response").code(), 0);
    association.release(LONG).expect("released");
    assert_eq!(scp.stop(LONG), StopOutcome::Drained);
    assert_eq!(scp.totals().instances.stored, 1);
}
