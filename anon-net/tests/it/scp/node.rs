//! An SCP on loopback, and peers that call it.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{self};
use std::time::{Duration, Instant};

use anon_net::association::ul::UlDial;
use anon_net::dimse::Status;
use anon_net::error::RejectReason;
use anon_net::scp::{RunningScp, Scp, ScpBuilder};
use anon_net::testing::MemoryHandler;
use anon_net::{Association, Dial, Error, InstanceHandler, Node};

use super::support::{Peer, TIMEOUT, TestResult, proposal, supported, title};

const ROUND: Duration = Duration::from_millis(50);

pub(crate) fn builder(handler: impl InstanceHandler + 'static) -> ScpBuilder {
    Scp::builder(title("SCP"), Arc::new(handler)).supported(supported())
}

pub(crate) fn memory() -> ScpBuilder {
    builder(MemoryHandler::new(64 << 20))
}

#[track_caller]
pub(crate) fn bind(builder: ScpBuilder) -> RunningScp {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    builder.bind(loopback).expect("a free port")
}

/// Returns the node of an SCP.
pub(crate) fn node(scp: &RunningScp) -> Node {
    called(scp, "SCP")
}

fn called(scp: &RunningScp, called: &str) -> Node {
    Node::new(title(called), "127.0.0.1", scp.local_addr().port()).expect("a node")
}

pub(crate) fn dial_as(
    scp: &RunningScp,
    calling: &str,
    name: &str,
) -> Result<Box<dyn Association>, Error> {
    let node = called(scp, name);
    UlDial::new().dial(&node, &proposal(calling), TIMEOUT)
}

pub(crate) fn dial(scp: &RunningScp) -> Result<Box<dyn Association>, Error> {
    dial_as(scp, "PEER", "SCP")
}

pub(crate) fn connect(scp: &RunningScp) -> TcpStream {
    let stream = TcpStream::connect(scp.local_addr()).expect("a connection");
    stream
        .set_read_timeout(Some(TIMEOUT))
        .expect("a socket has a timeout");
    stream
}

/// Dials, stores an instance and releases, as a well-behaved peer.
pub(crate) fn visit(scp: &RunningScp, instance: &str) -> TestResult {
    let mut association = dial(scp)?;
    let mut peer = Peer(&mut *association);
    let echo = peer.echo()?;
    let stored = peer.store(instance, &vec![7; 300_000])?;
    if (echo, stored) != (Status::SUCCESS, Status::SUCCESS) {
        return Err(format!("{echo} and {stored}").into());
    }
    Ok(association.release(TIMEOUT)?)
}

/// Checks that a well-behaved peer is served within seconds, with retries.
#[track_caller]
pub(crate) fn is_served(scp: &RunningScp, case: &str) {
    let began = Instant::now();
    loop {
        match visit(scp, "1.2.3") {
            Ok(()) => return,
            Err(error) => {
                assert!(began.elapsed() < Duration::from_secs(6), "{case}: {error}");
                pause();
            }
        }
    }
}

/// Waits a little between two attempts.
pub(crate) fn pause() {
    let (_keep, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(ROUND);
}

#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < TIMEOUT, "{what}");
        pause();
    }
}

#[track_caller]
pub(crate) fn rejected(dialled: &Result<Box<dyn Association>, Error>, expected: RejectReason) {
    let reason = match dialled {
        Err(Error::Rejected { reason, .. }) => Some(*reason),
        _ => None,
    };
    assert_eq!(reason, Some(expected), "{dialled:?}");
}

/// Returns true if the other side has closed or reset the connection.
pub(crate) fn closed(mut stream: &TcpStream) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), TimedOut | WouldBlock),
    }
}
