//! [`UlDial`]: the requestor's side of association establishment.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dicom_ul::pdu::{AssociationAC, PresentationContextResultReason};
use socket2::{Domain, Protocol, Socket, Type};

use super::acceptor::roles;
use super::association::{Agreement, Side, UlAssociation};
use super::encode::{self, LocalSettings};
use super::handshake::{self, TimeLimit, abort_for, after, announced, limit_of};
use super::pdu::{
    ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, PduHeader, SHORT_LEN, USER_ABORT, Violation, aborted_by,
    out_of_place, read_reject,
};
use super::receive_buffer::{ReadError, ReceiveBuffer};
use super::tcp::Tcp;
#[cfg(feature = "tls")]
use super::tls::ClientTls;
use super::transport::{Transport, close_gracefully, timed_out, write_all};
use super::{Implementation, decode};
use crate::association::{Association, Dial, Proposal};
use crate::context::{ContextResponse, ContextResult, NegotiatedContexts, Roles};
use crate::{ContextId, Error, Node, Uid};

/// The longest A-ASSOCIATE-AC that is read. One with 128 contexts takes less than a tenth of it.
const MAX_ANSWER_BYTES: usize = 128 * 1024;

/// Opens associations over TCP (PS3.8 section 9.2.1).
///
/// Tries the addresses of a host one after the other until one accepts the connection.
#[derive(Debug, Clone, Default)]
pub struct UlDial {
    local: Option<IpAddr>,
    connect_timeout: Option<Duration>,
    implementation: Implementation,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl UlDial {
    /// Creates a dialler that binds no local address.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects from this local address, and only to addresses of its family.
    #[must_use]
    pub fn with_local_address(self, local: IpAddr) -> Self {
        Self {
            local: Some(local),
            ..self
        }
    }

    /// Sets the time limit for resolving the host name and connecting. Without it, the limit of the
    /// whole call applies.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout: Some(connect_timeout),
            ..self
        }
    }

    /// Sets the implementation that is announced to the peer (PS3.7 section D.3.3.2).
    #[must_use]
    pub fn with_implementation(self, implementation: Implementation) -> Self {
        Self {
            implementation,
            ..self
        }
    }

    /// Uses TLS only. The time limit of the call includes the handshake.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, tls: ClientTls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// Requests an association over an open stream. The TLS setting is ignored.
    ///
    /// # Errors
    /// Those of [`Dial::dial`].
    pub fn dial_over(
        &self,
        transport: Box<dyn Transport>,
        node: &Node,
        proposal: &Proposal,
        timeout: Duration,
    ) -> Result<UlAssociation, Error> {
        let settings = self.settings(proposal);
        let request = encode::request(node.title(), proposal, &settings)?;
        associate(transport, node, proposal, &request, TimeLimit::of(timeout))
    }

    fn settings(&self, proposal: &Proposal) -> LocalSettings<'_> {
        LocalSettings {
            implementation: &self.implementation,
            max_pdu_bytes: announced(proposal.max_pdu_bytes),
        }
    }

    fn connect(&self, node: &Node, limit: TimeLimit) -> Result<Box<dyn Transport>, Error> {
        let deadline = self
            .connect_timeout
            .map_or(limit.deadline, |timeout| after(timeout).min(limit.deadline));
        let tcp = self
            .connect_tcp(node, deadline)
            .and_then(Tcp::new)
            .map_err(|error| Error::Connect { kind: error.kind() })?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let tls = tls.connect(tcp, node.host(), limit.deadline);
            return Ok(Box::new(tls.map_err(|error| limit.failed(&error))?));
        }
        Ok(Box::new(tcp))
    }

    fn connect_tcp(&self, node: &Node, deadline: Instant) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let addresses: Vec<SocketAddr> = addresses(node, deadline)?
            .into_iter()
            .filter(|to| self.local.is_none_or(|from| from.is_ipv4() == to.is_ipv4()))
            .collect();
        for (to, tries) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let left = deadline.saturating_duration_since(Instant::now());
            // Each address gets an equal share, so that one that drops all packets does not use up
            // the time.
            let share = left / u32::try_from(tries).unwrap_or(u32::MAX);
            if share.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match connect_to(*to, self.local, share) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Dial for UlDial {
    fn dial(
        &self,
        node: &Node,
        proposal: &Proposal,
        timeout: Duration,
    ) -> Result<Box<dyn Association>, Error> {
        let limit = TimeLimit::of(timeout);
        let request = encode::request(node.title(), proposal, &self.settings(proposal))?;
        let transport = self.connect(node, limit)?;
        let association = associate(transport, node, proposal, &request, limit)?;
        Ok(Box::new(association))
    }
}

fn connect_to(to: SocketAddr, local: Option<IpAddr>, timeout: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    socket.connect_timeout(&to.into(), timeout)?;
    Ok(socket.into())
}

/// Resolves a host name. A resolver that hangs is left running, because it cannot be interrupted.
fn addresses(node: &Node, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = node.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, node.port())]);
    }
    let (found, receiver) = mpsc::sync_channel(1);
    let at = (node.host().to_owned(), node.port());
    std::thread::Builder::new()
        .name("anon-net-resolve".to_owned())
        .spawn(move || {
            // The resolver's error has no useful kind.
            let addresses = at
                .to_socket_addrs()
                .map(Iterator::collect)
                .map_err(|_| io::ErrorKind::NotFound.into());
            // Fails if the caller has given up.
            let _ = found.send(addresses);
        })?;
    let left = deadline.saturating_duration_since(Instant::now());
    receiver
        .recv_timeout(left)
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Sends the association request and waits for the response.
fn associate(
    mut transport: Box<dyn Transport>,
    node: &Node,
    proposal: &Proposal,
    request: &[u8],
    limit: TimeLimit,
) -> Result<UlAssociation, Error> {
    let mut buffer = ReceiveBuffer::new();
    let mut parts = [IoSlice::new(request)];
    if let Err(error) = write_all(&mut *transport, &mut parts, limit.deadline) {
        read_early_response(&mut buffer, &mut *transport, error)
            .map_err(|error| limit.failed(&error))?;
    }
    let received = handshake::read(&mut buffer, &mut *transport, limit, admit);
    let (header, body) = received.inspect_err(|error| {
        if matches!(error, Error::TimedOut { .. }) {
            // Informs a peer that may still answer (PS3.8 section 9.2.3, AA-1).
            close_gracefully(&mut *transport, &USER_ABORT, Instant::now());
        }
    })?;
    match header.kind {
        ASSOCIATE_AC => {}
        ASSOCIATE_RJ => {
            let (result, reason) = read_reject(&body);
            return Err(Error::Rejected { result, reason });
        }
        _ => {
            let by = aborted_by(&body);
            return Err(Error::Aborted { by });
        }
    }
    let agreed = decode::acceptance(&body).and_then(|response| negotiate(proposal, &response));
    let (contexts, max_pdu_bytes) =
        agreed.map_err(|violation| abort_for(&mut *transport, violation, limit))?;
    let agreement = Agreement {
        side: Side::Requestor,
        peer: node.title().clone(),
        contexts,
        max_pdu_bytes,
        announced: announced(proposal.max_pdu_bytes),
    };
    Ok(UlAssociation::new(transport, buffer, agreement))
}

/// Reads a response although the request could not be written: a peer at its limit may reject and
/// close before it has read the request.
fn read_early_response(
    buffer: &mut ReceiveBuffer,
    transport: &mut dyn Transport,
    error: io::Error,
) -> io::Result<()> {
    if timed_out(&error) {
        return Err(error);
    }
    match buffer.pdu(transport, Instant::now(), admit) {
        Ok(_) => Ok(()),
        Err(ReadError::Io(cause)) if !timed_out(&cause) => Err(cause),
        Err(_) => Err(error),
    }
}

fn admit(header: PduHeader, _: &[u8]) -> Result<(), Violation> {
    match header.kind {
        ASSOCIATE_AC if header.length <= MAX_ANSWER_BYTES => Ok(()),
        ASSOCIATE_AC => Err(Violation::invalid("its association response is too long")),
        ASSOCIATE_RJ | ABORT if header.length == SHORT_LEN => Ok(()),
        ASSOCIATE_RJ | ABORT => Err(Violation::invalid(
            "it sends a rejection or abort with a wrong length",
        )),
        kind => Err(out_of_place(kind)),
    }
}

fn negotiate(
    proposal: &Proposal,
    response: &AssociationAC,
) -> Result<(NegotiatedContexts, u32), Violation> {
    let responses = responses(response)?;
    let contexts = NegotiatedContexts::new(&proposal.contexts, &responses).map_err(|error| {
        Violation::invalid(match error {
            Error::Protocol { problem } => problem,
            _ => "its association response does not match the request",
        })
    })?;
    let roles: Vec<(Uid, Roles)> = roles(&response.user_variables).into_iter().collect();
    let contexts = contexts.with_roles(&proposal.contexts, &roles);
    Ok((contexts, limit_of(&response.user_variables)?))
}

fn responses(response: &AssociationAC) -> Result<Vec<ContextResponse>, Violation> {
    let results = response.presentation_contexts.iter().map(|result| {
        let id = ContextId::new(result.id).ok_or(Violation::invalid(
            "it answers a presentation context with an even id",
        ))?;
        let result = match result.reason {
            PresentationContextResultReason::Acceptance => {
                ContextResult::Accepted(Uid::new(&result.transfer_syntax).map_err(|_| {
                    Violation::invalid("it accepts a transfer syntax that is not a UID")
                })?)
            }
            PresentationContextResultReason::UserRejection => ContextResult::UserRejection,
            PresentationContextResultReason::NoReason => ContextResult::NoReason,
            PresentationContextResultReason::AbstractSyntaxNotSupported => {
                ContextResult::AbstractSyntaxNotSupported
            }
            PresentationContextResultReason::TransferSyntaxesNotSupported => {
                ContextResult::TransferSyntaxesNotSupported
            }
        };
        Ok(ContextResponse { id, result })
    });
    results.collect()
}
