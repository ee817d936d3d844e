//! [`Acceptor`]: the acceptor's side of association establishment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::net::TcpStream;
use std::time::Duration;

use dicom_ul::pdu::{AssociationRQ, UserVariableItem};

use super::association::{Agreement, Side, UlAssociation};
use super::encode::{self, LocalSettings};
use super::handshake::{self, TimeLimit, abort_for, announced, limit_of, send_and_close};
use super::pdu::{
    ABORT, APPLICATION_CONTEXT, ASSOCIATE_RQ, PduHeader, Violation, out_of_place, reject_pdu,
};
use super::receive_buffer::ReceiveBuffer;
use super::tcp::Tcp;
#[cfg(feature = "tls")]
use super::tls::ServerTls;
use super::transport::{Transport, write_all};
use super::{Implementation, decode};
use crate::context::{
    ContextResult, Contexts, NegotiatedContexts, ProposedContext, Roles, SupportedContexts,
};
use crate::error::RejectReason;
use crate::{AeTitle, ContextId, Error, Uid};

/// Answers association requests on accepted TCP connections (PS3.8 section 9.2.2). One value can be
/// used by any number of threads.
///
/// By default it accepts only its own title as the called title, and any calling title.
#[derive(Debug, Clone)]
pub struct Acceptor {
    title: AeTitle,
    supported: SupportedContexts,
    any_called: bool,
    calling: Option<BTreeSet<AeTitle>>,
    max_pdu_bytes: u32,
    max_request_bytes: u32,
    implementation: Implementation,
    artim: Duration,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl Acceptor {
    /// The default time limit for a request, from the connection to its last byte.
    pub const ARTIM: Duration = Duration::from_secs(30);
    /// The default limit for a request. 128 contexts with every transfer syntax of the standard
    /// take half of it.
    pub const MAX_REQUEST_BYTES: u32 = 256 * 1024;

    /// Creates an acceptor with this title for these contexts.
    pub fn new(title: AeTitle, supported: SupportedContexts) -> Self {
        Self {
            title,
            supported,
            any_called: false,
            calling: None,
            max_pdu_bytes: 128 * 1024,
            max_request_bytes: Self::MAX_REQUEST_BYTES,
            implementation: Implementation::default(),
            artim: Self::ARTIM,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the supported contexts.
    #[must_use]
    pub fn with_supported(self, supported: SupportedContexts) -> Self {
        Self { supported, ..self }
    }

    /// Accepts any called title.
    #[must_use]
    pub fn with_any_called_title(self) -> Self {
        Self {
            any_called: true,
            ..self
        }
    }

    /// Accepts only these calling titles.
    #[must_use]
    pub fn with_calling_titles(self, titles: impl IntoIterator<Item = AeTitle>) -> Self {
        Self {
            calling: Some(titles.into_iter().collect()),
            ..self
        }
    }

    /// Sets the longest P-DATA-TF that the acceptor takes, in bytes after the PDU's length field:
    /// 64 to 16,777,216. A value outside this range, also the one for no limit, is moved into it,
    /// because a received PDU is held in memory.
    #[must_use]
    pub fn with_max_pdu_bytes(self, max_pdu_bytes: u32) -> Self {
        Self {
            max_pdu_bytes,
            ..self
        }
    }

    /// Sets the longest A-ASSOCIATE-RQ that is read, in bytes after the PDU's length field.
    #[must_use]
    pub fn with_max_request_bytes(self, max_request_bytes: u32) -> Self {
        Self {
            max_request_bytes,
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

    /// Sets the time from the connection to the last byte of the request (the ARTIM timer of PS3.8
    /// section 9.1.5). Bytes that arrive do not extend it.
    #[must_use]
    pub fn with_artim(self, artim: Duration) -> Self {
        Self { artim, ..self }
    }

    /// Accepts TLS only. The ARTIM timer includes the handshake. Peers without TLS are refused.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, tls: ServerTls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// Reads an association request from a connection and answers it. It may accept no context:
    /// check [`Association::contexts`](crate::Association::contexts).
    ///
    /// # Errors
    /// [`Error::Refused`] if the request was rejected. [`Error::Protocol`], [`Error::TimedOut`],
    /// [`Error::Tls`] or [`Error::Lost`] if there was no request to answer. The connection is
    /// closed then. The peer was informed as PS3.8 says, unless it speaks HTTP or TLS.
    pub fn accept(&self, stream: TcpStream) -> Result<UlAssociation, Error> {
        self.accept_if(stream, |_, checked| checked)
    }

    /// Like [`accept`](Self::accept), but `decide` has the last word. It gets the titles of the
    /// request and the result of all checks; if that is `Ok`, the calling title is valid. A
    /// listener at its limit waits in it, or returns an error.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept).
    pub fn accept_if(
        &self,
        stream: TcpStream,
        decide: impl FnOnce(&RequestedTitles, Result<(), RejectReason>) -> Result<(), RejectReason>,
    ) -> Result<UlAssociation, Error> {
        let limit = TimeLimit::of(self.artim);
        self.accept_within(self.transport(stream, limit)?, limit, decide)
    }

    /// Like [`accept`](Self::accept), over another kind of stream.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept).
    pub fn accept_over(&self, transport: Box<dyn Transport>) -> Result<UlAssociation, Error> {
        let limit = TimeLimit::of(self.artim);
        self.accept_within(transport, limit, |_, checked| checked)
    }

    /// Reads an association request from a connection and rejects it.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept), if there was no request to reject.
    pub fn reject(&self, stream: TcpStream, reason: RejectReason) -> Result<(), Error> {
        let limit = TimeLimit::of(self.artim);
        let mut transport = self.transport(stream, limit)?;
        self.request(&mut ReceiveBuffer::new(), &mut *transport, limit)?;
        send_and_close(&mut *transport, &reject_pdu(reason), limit);
        Ok(())
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_self, reason = "only the TLS setting is read")
    )]
    fn transport(&self, stream: TcpStream, limit: TimeLimit) -> Result<Box<dyn Transport>, Error> {
        let tcp = Tcp::new(stream).map_err(|error| limit.failed(&error))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let tls = tls.accept(tcp, limit.deadline);
            return Ok(Box::new(tls.map_err(|error| limit.failed(&error))?));
        }
        Ok(Box::new(tcp))
    }

    fn accept_within(
        &self,
        mut transport: Box<dyn Transport>,
        limit: TimeLimit,
        decide: impl FnOnce(&RequestedTitles, Result<(), RejectReason>) -> Result<(), RejectReason>,
    ) -> Result<UlAssociation, Error> {
        let mut buffer = ReceiveBuffer::new();
        let request = self.request(&mut buffer, &mut *transport, limit)?;
        let titles = RequestedTitles::of(&request);
        let decision = decide(&titles, self.check(&request, &titles));
        let admitted = decision.and(titles.calling.ok_or(RejectReason::CallingTitle));
        let calling = match admitted {
            Ok(calling) => calling,
            Err(reason) => {
                send_and_close(&mut *transport, &reject_pdu(reason), limit);
                return Err(Error::Refused { reason });
            }
        };
        let requested = match RequestedContexts::of(&request) {
            Ok(requested) => requested,
            Err(violation) => return Err(abort_for(&mut *transport, violation, limit)),
        };
        let agreement = self.respond(&mut *transport, &request, calling, &requested, limit)?;
        Ok(UlAssociation::new(transport, buffer, agreement))
    }

    fn request(
        &self,
        buffer: &mut ReceiveBuffer,
        transport: &mut dyn Transport,
        limit: TimeLimit,
    ) -> Result<AssociationRQ, Error> {
        let longest = usize::try_from(self.max_request_bytes).unwrap_or(usize::MAX);
        let admit = |header: PduHeader, first: &[u8]| match header.kind {
            ASSOCIATE_RQ if header.length <= longest => Ok(()),
            ASSOCIATE_RQ => Err(Violation::invalid("its association request is too long")),
            ABORT => Err(without_abort("it aborts before its association request")),
            kind => Err(other_protocol(first).unwrap_or(out_of_place(kind))),
        };
        let (_, body) = handshake::read(buffer, transport, limit, admit)?;
        decode::request(&body).map_err(|violation| abort_for(transport, violation, limit))
    }

    /// Checks everything but the contexts.
    fn check(&self, request: &AssociationRQ, titles: &RequestedTitles) -> Result<(), RejectReason> {
        // Bit 0 stands for version 1, and only that bit is tested (PS3.8 section 9.3.2).
        if request.protocol_version & 1 == 0 {
            return Err(RejectReason::ProtocolVersion);
        }
        if request.application_context_name != APPLICATION_CONTEXT {
            return Err(RejectReason::ApplicationContext);
        }
        if !self.any_called && titles.called.as_ref() != Some(&self.title) {
            return Err(RejectReason::CalledTitle);
        }
        let known = |title: &AeTitle| self.calling.as_ref().is_none_or(|all| all.contains(title));
        if titles.calling.as_ref().is_some_and(known) {
            Ok(())
        } else {
            Err(RejectReason::CallingTitle)
        }
    }

    fn respond(
        &self,
        transport: &mut dyn Transport,
        request: &AssociationRQ,
        calling: AeTitle,
        requested: &RequestedContexts,
        limit: TimeLimit,
    ) -> Result<Agreement, Error> {
        let responses = self.supported.answer(&requested.contexts);
        let roles = self.supported.answer_roles(&requested.contexts);
        let contexts = NegotiatedContexts::new(&requested.contexts, &responses)?
            .with_roles(&requested.contexts, &roles);
        let mut results = requested.refused.clone();
        results.extend(
            responses
                .into_iter()
                .map(|response| (response.id, response.result)),
        );
        let settings = LocalSettings {
            implementation: &self.implementation,
            max_pdu_bytes: announced(self.max_pdu_bytes),
        };
        let called = AeTitle::new(&request.called_ae_title).unwrap_or_else(|_| self.title.clone());
        let pdu = encode::acceptance(called.as_str(), &calling, &results, &roles, &settings)?;
        write_all(transport, &mut [IoSlice::new(&pdu)], limit.deadline)
            .map_err(|error| limit.failed(&error))?;
        Ok(Agreement {
            side: Side::Acceptor,
            peer: calling,
            contexts,
            max_pdu_bytes: requested.max_pdu_bytes,
            announced: settings.max_pdu_bytes,
        })
    }
}

/// The AE titles of an association request (PS3.8 section 9.3.2). A title is `None` if it is not a
/// valid one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RequestedTitles {
    /// The title of the peer.
    pub calling: Option<AeTitle>,
    /// The title that the peer calls.
    pub called: Option<AeTitle>,
}

impl RequestedTitles {
    fn of(request: &AssociationRQ) -> Self {
        Self {
            calling: AeTitle::new(&request.calling_ae_title).ok(),
            called: AeTitle::new(&request.called_ae_title).ok(),
        }
    }
}

/// The contents of an association request.
#[derive(Debug)]
struct RequestedContexts {
    contexts: Contexts,
    /// Contexts whose abstract syntax is not a UID. They are answered as not supported.
    refused: BTreeMap<ContextId, ContextResult>,
    /// The longest P-DATA-TF that the peer accepts.
    max_pdu_bytes: u32,
}

impl RequestedContexts {
    fn of(request: &AssociationRQ) -> Result<Self, Violation> {
        if request.presentation_contexts.is_empty() {
            return Err(Violation::invalid(
                "its association request has no presentation context",
            ));
        }
        let mut ids = BTreeSet::new();
        let mut proposed = Vec::new();
        let mut refused = BTreeMap::new();
        for context in &request.presentation_contexts {
            let id = ContextId::new(context.id).ok_or(Violation::invalid(
                "it proposes a presentation context with an even id",
            ))?;
            if !ids.insert(id) {
                return Err(Violation::invalid(
                    "it proposes two presentation contexts with one id",
                ));
            }
            let syntaxes = context.transfer_syntaxes.iter();
            match Uid::new(&context.abstract_syntax) {
                Ok(abstract_syntax) => proposed.push(ProposedContext {
                    id,
                    abstract_syntax,
                    transfer_syntaxes: syntaxes.filter_map(|uid| Uid::new(uid).ok()).collect(),
                }),
                Err(_) => {
                    refused.insert(id, ContextResult::AbstractSyntaxNotSupported);
                }
            }
        }
        let contexts = Contexts::of_peer(proposed, roles(&request.user_variables));
        Ok(Self {
            contexts,
            refused,
            max_pdu_bytes: limit_of(&request.user_variables)?,
        })
    }
}

/// Returns the roles in the user information of a request or response (PS3.7 section D.3.3.4).
pub(super) fn roles(variables: &[UserVariableItem]) -> BTreeMap<Uid, Roles> {
    let roles = variables.iter().filter_map(|variable| match variable {
        UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) => {
            let (scu, scp) = (roles.scu, roles.scp);
            Some((Uid::new(class).ok()?, Roles { scu, scp }))
        }
        _ => None,
    });
    roles.collect()
}

const fn without_abort(problem: &'static str) -> Violation {
    Violation {
        reason: None,
        problem,
    }
}

/// Returns the violation for a peer that speaks another protocol. It gets no A-ABORT, because it
/// would not understand one.
fn other_protocol(first: &[u8]) -> Option<Violation> {
    const VERBS: [&[u8]; 9] = [
        b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"CONN", b"OPTI", b"TRAC", b"PRI ",
    ];
    // A TLS handshake record: type 22, version 3.x (RFC 8446 section 5.1).
    if first.starts_with(&[22, 3]) {
        Some(without_abort("it speaks TLS"))
    } else if VERBS.iter().any(|verb| first.starts_with(verb)) {
        Some(without_abort("it speaks HTTP"))
    } else {
        None
    }
}
