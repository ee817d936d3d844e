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
    /// The options of an SCP with this AE title, whose instances go to this handler. It supports
    /// nothing until it is told [what](ScpBuilder::supported).
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
    /// Sets which contexts are accepted.
    #[must_use]
    pub fn supported(mut self, supported: SupportedContexts) -> Self {
        self.acceptor = self.acceptor.with_supported(supported);
        self
    }

    /// Lets a peer call it by any title.
    #[must_use]
    pub fn any_called_title(mut self) -> Self {
        self.acceptor = self.acceptor.with_any_called_title();
        self
    }

    /// Admits peers with these titles only.
    #[must_use]
    pub fn calling_titles(mut self, titles: impl IntoIterator<Item = AeTitle>) -> Self {
        self.acceptor = self.acceptor.with_calling_titles(titles);
        self
    }

    /// Admits peers with these addresses only. Of others no byte is read.
    #[must_use]
    pub fn peers(mut self, ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        self.peers = Some(ranges.into_iter().collect());
        self
    }

    /// Sets how many associations may be open. Others are rejected (PS3.8 Table 9-21: transient, local
    /// limit exceeded), unless there is one that has said nothing since it was opened, a second ago or
    /// longer: that one is aborted, and makes room.
    ///
    /// One that has spoken keeps its place until the idle timeout: peers keep associations open between
    /// series, and are not sent away for others. So where not every peer is trusted, set
    /// [`max_associations_per_peer`](Self::max_associations_per_peer) too, well below this: else one
    /// that is idle can hold all places for as long as the idle timeout.
    #[must_use]
    pub fn max_associations(mut self, max_associations: usize) -> Self {
        self.limits.associations = max_associations;
        self
    }

    /// Sets how many associations may be open from one address; as
    /// [`max_associations`](Self::max_associations).
    #[must_use]
    pub fn max_associations_per_peer(mut self, max_associations: usize) -> Self {
        self.limits.per_peer = max_associations;
        self
    }

    /// Sets how many connections may be there without an association: those that have not asked for
    /// one, and those that are being rejected. When one more comes, the oldest of the address with the
    /// most is closed.
    #[must_use]
    pub fn max_waiting(mut self, max_waiting: usize) -> Self {
        self.limits.waiting = max_waiting.max(1);
        self
    }

    /// Sets the longest P-DATA-TF that is taken, in bytes: see [`Acceptor::with_max_pdu_bytes`]. Each
    /// association has a buffer of up to twice that.
    #[must_use]
    pub fn max_pdu_bytes(mut self, max_pdu_bytes: u32) -> Self {
        self.acceptor = self.acceptor.with_max_pdu_bytes(max_pdu_bytes);
        self
    }

    /// Sets the time from connecting to the last byte of the request for an association (PS3.8 section
    /// 9.1.5).
    #[must_use]
    pub fn artim_timeout(mut self, artim: Duration) -> Self {
        self.acceptor = self.acceptor.with_artim(artim);
        self
    }

    /// Sets how long the end of an association may take.
    #[must_use]
    pub fn acse_timeout(mut self, acse: Duration) -> Self {
        self.service = self.service.with_acse_timeout(acse);
        self
    }

    /// Sets how long each wait inside a message may take.
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

    /// Sets which program it says it is.
    #[must_use]
    pub fn implementation(mut self, implementation: Implementation) -> Self {
        self.acceptor = self.acceptor.with_implementation(implementation);
        self
    }

    /// Talks TLS only.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.acceptor = self.acceptor.with_tls(tls);
        self
    }

    /// Sets who hears what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn ScpObserver>) -> Self {
        self.service = self.service.with_observer(observer);
        self
    }

    /// Begins to listen; at port 0, at any port that is free.
    ///
    /// # Errors
    /// If the address is taken, is none of this machine, or is not allowed.
    pub fn bind(self, address: SocketAddr) -> io::Result<RunningScp> {
        let listener = Arc::new(TcpListener::bind(address)?);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            acceptor: Mutex::new(Arc::new(self.acceptor)),
            service: self.service,
            peers: self.peers,
            registry: Arc::new(Registry::new(self.limits)),
        });
        let (theirs, accepts) = (Arc::clone(&shared), Arc::clone(&listener));
        thread::Builder::new()
            .name("anon-net-listen".to_owned())
            .spawn(move || listen(&theirs, &accepts))?;
        notify(&*shared.service.observer, &ScpEvent::Listening { address });
        Ok(RunningScp::new(shared, listener, address))
    }
}
