//! [`ScpBuilder`]: the options of an SCP.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::listener::{Shared, listen};
use super::observer::{ScpEvent, ScpObserver, notify};
use super::registry::{ConnectionLimits, Registry};
use super::{AddressRange, InstanceHandler, RunningScp, Service};
use crate::association::ul::{Acceptor, Implementation};
#[cfg(feature = "tls")]
use crate::tls::ServerTls;
use crate::{AeTitle, SupportedContexts};

/// The Storage and Verification SCP over TCP: see [`builder`](Scp::builder).
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it has no values: it names the builder"
)]
pub enum Scp {}

impl Scp {
    /// Returns the options of an SCP with this AE title that passes instances to `handler`. It
    /// supports no SOP class until [`supported`](ScpBuilder::supported) is called.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use anon_net::scp::{Scp, StopOutcome};
    /// use anon_net::testing::MemoryHandler;
    /// use anon_net::{SupportedContexts, Uid};
    ///
    /// let verification = Uid::new("1.2.840.10008.1.1")?;
    /// let implicit = Uid::new("1.2.840.10008.1.2")?;
    /// let scp = Scp::builder("ARCHIVE".parse()?, Arc::new(MemoryHandler::new(1 << 20)))
    ///     .supported(SupportedContexts::new().with(verification, vec![implicit]))
    ///     .bind("127.0.0.1:0".parse()?)?;
    /// println!("ARCHIVE listens at {}", scp.local_addr());
    /// assert_eq!(scp.stop(Duration::from_secs(5)), StopOutcome::Drained);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(title: AeTitle, handler: Arc<dyn InstanceHandler>) -> ScpBuilder {
        ScpBuilder {
            acceptor: Acceptor::new(title, SupportedContexts::new()),
            service: Service::new(handler),
            peers: None,
            limits: ConnectionLimits {
                associations: 32,
                per_peer: usize::MAX,
                waiting: 64,
                patience: Duration::from_secs(10),
            },
        }
    }
}

/// The options of an SCP.
///
/// | option | default |
/// |---|---|
/// | `supported` | nothing |
/// | `any_called_title` | its own title only |
/// | `calling_titles`, `peers` | anyone |
/// | `max_associations`, `max_associations_per_peer`, `max_waiting` | 32, no limit of its own, 64 |
/// | `admission_timeout` | 10 s |
/// | `max_pdu_bytes` | 128 KiB |
/// | `artim_timeout`, `acse_timeout`, `dimse_timeout`, `idle_timeout` | 30 s, 30 s, 30 s, 60 s |
#[derive(Debug)]
pub struct ScpBuilder {
    acceptor: Acceptor,
    service: Service,
    peers: Option<Vec<AddressRange>>,
    limits: ConnectionLimits,
}

impl ScpBuilder {
    /// Sets the supported presentation contexts.
    #[must_use]
    pub fn supported(mut self, supported: SupportedContexts) -> Self {
        self.acceptor = self.acceptor.with_supported(supported);
        self
    }

    /// Accepts any called title.
    #[must_use]
    pub fn any_called_title(mut self) -> Self {
        self.acceptor = self.acceptor.with_any_called_title();
        self
    }

    /// Accepts only these calling titles.
    #[must_use]
    pub fn calling_titles(mut self, titles: impl IntoIterator<Item = AeTitle>) -> Self {
        self.acceptor = self.acceptor.with_calling_titles(titles);
        self
    }

    /// Accepts connections only from these addresses. Closes others before reading from them.
    #[must_use]
    pub fn peers(mut self, ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        self.peers = Some(ranges.into_iter().collect());
        self
    }

    /// Sets how many associations may be open. Further requests wait for a place: see
    /// [`admission_timeout`](Self::admission_timeout).
    ///
    /// An association that has completed no C-STORE request gives way to a waiting request, once it
    /// has done nothing for a second or receives less than a KiB per second. The oldest one without
    /// any response goes first, then the oldest that only had others, such as to a C-ECHO. It is
    /// aborted.
    ///
    /// An association that has completed a C-STORE request stays open until the idle timeout,
    /// because modalities keep associations open between series. A peer with such associations can
    /// therefore use up the limit for as long as that timeout. If not every peer is trusted, set
    /// [`max_associations_per_peer`](Self::max_associations_per_peer) well below this limit.
    #[must_use]
    pub fn max_associations(mut self, max_associations: usize) -> Self {
        self.limits.associations = max_associations;
        self
    }

    /// Sets how many associations may be open from one address. The rules are those of
    /// [`max_associations`](Self::max_associations).
    #[must_use]
    pub fn max_associations_per_peer(mut self, max_associations: usize) -> Self {
        self.limits.per_peer = max_associations;
        self
    }

    /// Sets how long a request waits for a place before it is rejected (PS3.8 Table 9-21:
    /// transient, local limit exceeded). Requests of one address are served in their order. Keep it
    /// below the ARTIM timeout, and below the time that peers wait for an answer.
    #[must_use]
    pub fn admission_timeout(mut self, timeout: Duration) -> Self {
        self.limits.patience = timeout;
        self
    }

    /// Sets how many connections without an association may exist: those that have not requested
    /// one yet, those that wait for a place, and those that are being rejected. At the limit, a new
    /// connection closes the oldest one of the address with the most.
    #[must_use]
    pub fn max_waiting(mut self, max_waiting: usize) -> Self {
        self.limits.waiting = max_waiting.max(1);
        self
    }

    /// Sets the longest P-DATA-TF that is accepted, in bytes: see [`Acceptor::with_max_pdu_bytes`].
    /// Each association has a buffer of up to twice this length.
    #[must_use]
    pub fn max_pdu_bytes(mut self, max_pdu_bytes: u32) -> Self {
        self.acceptor = self.acceptor.with_max_pdu_bytes(max_pdu_bytes);
        self
    }

    /// Sets the time limit from the connection to the last byte of the association request (PS3.8
    /// section 9.1.5).
    #[must_use]
    pub fn artim_timeout(mut self, artim: Duration) -> Self {
        self.acceptor = self.acceptor.with_artim(artim);
        self
    }

    /// Sets the time limit for releasing an association.
    #[must_use]
    pub fn acse_timeout(mut self, acse: Duration) -> Self {
        self.service = self.service.with_acse_timeout(acse);
        self
    }

    /// Sets the time limit for each wait inside a message.
    #[must_use]
    pub fn dimse_timeout(mut self, dimse: Duration) -> Self {
        self.service = self.service.with_dimse_timeout(dimse);
        self
    }

    /// Sets how long an association may be idle between messages.
    #[must_use]
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.service = self.service.with_idle_timeout(idle);
        self
    }

    /// Sets the implementation that is announced to the peer (PS3.7 section D.3.3.2).
    #[must_use]
    pub fn implementation(mut self, implementation: Implementation) -> Self {
        self.acceptor = self.acceptor.with_implementation(implementation);
        self
    }

    /// Accepts TLS only.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.acceptor = self.acceptor.with_tls(tls);
        self
    }

    /// Sets the observer that is notified of events.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn ScpObserver>) -> Self {
        self.service = self.service.with_observer(observer);
        self
    }

    /// Starts to listen. Port 0 selects a free port.
    ///
    /// # Errors
    /// The I/O error if the address is in use, does not belong to this machine, or is not
    /// permitted.
    pub fn bind(self, address: SocketAddr) -> io::Result<RunningScp> {
        let listener = Arc::new(TcpListener::bind(address)?);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            acceptor: Mutex::new(Arc::new(self.acceptor)),
            service: self.service,
            peers: self.peers,
            registry: Arc::new(Registry::new(self.limits)),
        });
        let (thread_shared, thread_listener) = (Arc::clone(&shared), Arc::clone(&listener));
        thread::Builder::new()
            .name("anon-net-listen".to_owned())
            .spawn(move || listen(&thread_shared, &thread_listener))?;
        notify(&*shared.service.observer, &ScpEvent::Listening { address });
        Ok(RunningScp::new(shared, listener, address))
    }
}
