//! Versions and cipher suites of TLS (PS3.15 section B.12, BCP 195). Peers with only TLS 1.2 or
//! only 1.3 can connect. TLS 1.1, and 1.2 without an ephemeral key exchange, are refused with an
//! alert.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use anon_net::association::ul::UlDial;
use anon_net::error::{RejectReason, RejectResult};
use anon_net::tls::ServerTls;
use anon_net::{Dial, Error};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
    StreamOwned, SupportedProtocolVersion,
};

use crate::memory_network::proposal;
use crate::tls::{Certificates, Files};
use crate::ul::{LONG, Port, acceptor};
use crate::wire::{Request, pdu};

const ONLY: [(&SupportedProtocolVersion, ProtocolVersion); 2] = [
    (&TLS12, ProtocolVersion::TLSv1_2),
    (&TLS13, ProtocolVersion::TLSv1_3),
];

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn connect(port: &Port) -> TcpStream {
    let stream = TcpStream::connect((port.node.host(), port.node.port())).expect("a stream");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream
}

/// Reads a PDU. Returns its type and its body.
fn next_pdu(stream: &mut dyn Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let [kind, _, a, b, c, d] = head;
    Ok((kind, body(stream, u32::from_be_bytes([a, b, c, d]))?))
}

/// Reads a TLS record. Returns its type and its body.
fn next_record(stream: &mut dyn Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, _, _, a, b] = head;
    Ok((kind, body(stream, u32::from_be_bytes([0, 0, a, b]))?))
}

fn body(stream: &mut dyn Read, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(length.into()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Dials with this TLS version only. Returns the negotiated version.
fn dials(
    certificates: &Certificates,
    only: &'static SupportedProtocolVersion,
    port: &Port,
) -> ProtocolVersion {
    let mut roots = RootCertStore::empty();
    let pem = BufReader::new(File::open(certificates.ours.file()).expect("the authority"));
    for authority in CertificateDer::pem_reader_iter(pem) {
        roots
            .add(authority.expect("a certificate"))
            .expect("an authority");
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[only])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(connection, connect(port));
    stream.write_all(&Request::new().bytes()).expect("written");
    let (kind, _) = next_pdu(&mut stream).expect("a response");
    assert_eq!(kind, 2, "A-ASSOCIATE-AC");
    stream.conn.protocol_version().expect("a version")
}

#[test]
fn dialling_peer_can_use_tls_1_2_or_1_3() {
    let certificates = Certificates::new().expect("certificates");
    for (only, version) in ONLY {
        let tls =
            ServerTls::new(&certificates.server.chain, &certificates.server.key).expect("a server");
        let (port, server) = (Port::open(), acceptor().with_tls(tls));
        thread::scope(|scope| {
            let accepted = scope.spawn(|| server.accept(port.stream()));
            assert_eq!(dials(&certificates, only, &port), version);
            accepted.join().expect("a thread").expect("an association");
        });
    }
}

/// Accepts with this TLS version only, rejects the association, and returns the negotiated version.
fn is_dialled(
    files: &Files,
    only: &'static SupportedProtocolVersion,
    stream: TcpStream,
) -> ProtocolVersion {
    let pem = BufReader::new(File::open(&files.chain).expect("a chain"));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(pem).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[only])
        .expect("a version")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), key)
        .expect("a certificate and its key");
    let connection = ServerConnection::new(Arc::new(config)).expect("a server");
    let mut stream = StreamOwned::new(connection, stream);
    let (kind, _) = next_pdu(&mut stream).expect("a proposal");
    assert_eq!(kind, 1, "A-ASSOCIATE-RQ");
    // Rejected temporarily: local limit exceeded (PS3.8 Table 9-21).
    stream.write_all(&pdu(3, &[0, 2, 3, 2])).expect("written");
    stream.flush().expect("written");
    stream.conn.protocol_version().expect("a version")
}

#[test]
fn dialled_peer_can_use_tls_1_2_or_1_3() {
    let certificates = Certificates::new().expect("certificates");
    let dial = UlDial::new().with_tls(certificates.client());
    for (only, version) in ONLY {
        let port = Port::open();
        thread::scope(|scope| {
            let peer = scope.spawn(|| is_dialled(&certificates.server, only, port.stream()));
            let dialled = dial.dial(&port.node, &proposal(), LONG);
            assert_eq!(peer.join().expect("a thread"), version);
            assert!(
                matches!(
                    dialled,
                    Err(Error::Rejected {
                        result: RejectResult::Transient,
                        reason: RejectReason::LocalLimit
                    })
                ),
                "{dialled:?}"
            );
        });
    }
}

/// Encodes bytes after their length, which has `WIDTH` bytes.
fn counted<const WIDTH: usize>(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    let length = length.last_chunk::<WIDTH>().expect("of eight");
    [length, bytes].concat()
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &counted::<2>(value)].concat()
}

/// Encodes a record with one handshake message (RFC 5246 sections 6.2.1 and 7.4).
fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind][..], &counted::<3>(body)].concat();
    [&[22, 3, 1][..], &counted::<2>(&message)].concat()
}

/// Encodes a client hello with this greatest version and these cipher suites.
fn client_hello(version: [u8; 2], suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let extensions = [
        // Curves x25519 and P-256, uncompressed points, signatures with ECDSA P-256 and RSA.
        extension(10, &counted::<2>(&[0, 29, 0, 23])),
        extension(11, &counted::<1>(&[0])),
        extension(13, &counted::<2>(&[4, 3, 4, 1])),
    ];
    let body = [
        &version[..],
        &[7; 32],
        &counted::<1>(&[]),
        &counted::<2>(&suites),
        &counted::<1>(&[0]),
        &counted::<2>(&extensions.concat()),
    ];
    handshake(1, &body.concat())
}

/// Expects a fatal alert with this description (RFC 5246 section 7.2).
#[track_caller]
fn is_alert(stream: &mut TcpStream, reason: u8, case: &str) {
    let record = next_record(stream).expect(case);
    assert_eq!(record, (21, vec![2, reason]), "{case}");
}

#[test]
fn outdated_dialling_peer_is_refused_with_an_alert() {
    let certificates = Certificates::new().expect("certificates");
    let modern = [0xC02B, 0xC02F, 0xCCA9];
    let table = [
        ("TLS 1.1", [3, 2], &[0xC013, 0xC009, 0x002F][..], 70),
        ("TLS 1.1 with suites of 1.2", [3, 2], &modern[..], 70),
        ("TLS 1.0", [3, 1], &[0xC013, 0x002F], 70),
        ("no ephemeral key", [3, 3], &[0x009C, 0x009D, 0x003C], 40),
        (
            "no authenticated cipher",
            [3, 3],
            &[0xC027, 0xC023, 0xC013],
            40,
        ),
    ];
    for (case, version, suites, reason) in table {
        let tls =
            ServerTls::new(&certificates.server.chain, &certificates.server.key).expect("a server");
        let (port, server) = (Port::open(), acceptor().with_tls(tls));
        thread::scope(|scope| {
            let accepted = scope.spawn(|| server.accept(port.stream()));
            let mut stream = connect(&port);
            let hello = client_hello(version, suites);
            stream.write_all(&hello).expect("written");
            is_alert(&mut stream, reason, case);
            drop(stream);
            let accepted = accepted.join().expect("a thread");
            assert!(
                matches!(accepted, Err(Error::Tls { .. })),
                "{case}: {accepted:?}"
            );
        });
    }
    // With a modern cipher suite the same hello gets a server hello.
    let tls =
        ServerTls::new(&certificates.server.chain, &certificates.server.key).expect("a server");
    let (port, server) = (Port::open(), acceptor().with_tls(tls));
    thread::scope(|scope| {
        let accepted = scope.spawn(|| server.accept(port.stream()));
        let mut stream = connect(&port);
        stream
            .write_all(&client_hello([3, 3], &modern))
            .expect("written");
        let (kind, body) = next_record(&mut stream).expect("a record");
        assert_eq!(
            (kind, body.first()),
            (22, Some(&2)),
            "a hello of the server"
        );
        drop(stream);
        assert!(accepted.join().expect("a thread").is_err());
    });
}

#[test]
fn outdated_dialled_peer_is_refused_with_an_alert() {
    let certificates = Certificates::new().expect("certificates");
    let dial = UlDial::new().with_tls(certificates.client());
    let port = Port::open();
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut stream = port.stream();
            let (kind, hello) = next_record(&mut stream).expect("a record");
            assert_eq!(
                (kind, hello.first()),
                (22, Some(&1)),
                "a hello of the client"
            );
            let body = [&[3, 2][..], &[7; 32], &[0], &0xC013_u16.to_be_bytes(), &[0]];
            stream
                .write_all(&handshake(2, &body.concat()))
                .expect("written");
            is_alert(&mut stream, 70, "TLS 1.1");
        });
        let dialled = dial.dial(&port.node, &proposal(), LONG);
        peer.join().expect("a thread");
        assert!(matches!(dialled, Err(Error::Tls { .. })), "{dialled:?}");
    });
}
