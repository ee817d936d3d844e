//! [`Peer`]: a node that is asked or sent to, by its name in the settings or as `AET@host:port`.

use std::sync::Arc;

use anon_model::ProjectSettings;
use anon_model::settings::NodeUse;
use anon_net::association::ul::{Implementation, UlDial};
use anon_net::service::{Scu, Timeouts};
use anon_net::{AeTitle, Node, Uid};
use anyhow::Context as _;

use super::tls;
use crate::exit::Failure;
use crate::project::Project;

/// What a node is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is verified only.
    Any,
    /// It is queried and retrieved from.
    Query,
    /// It is exported to.
    Export,
}

/// A node that is asked or sent to.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) tls: bool,
}

impl Peer {
    /// The node that was typed.
    ///
    /// # Errors
    /// A configuration failure if there is none of this name, or it is not for this purpose.
    pub(crate) fn resolve(
        settings: &ProjectSettings,
        typed: &str,
        purpose: Purpose,
    ) -> anyhow::Result<Self> {
        if typed.contains('@') {
            let node = typed
                .parse()
                .map_err(|error| Failure::configuration(format!("NODE: {error}")))?;
            return Ok(Self { node, tls: false });
        }
        let Some(known) = settings.nodes.get(typed) else {
            return Err(Failure::configuration(unknown(settings, typed)));
        };
        if purpose == Purpose::Query && !known.uses.contains(&NodeUse::Query) {
            return Err(Failure::configuration(format!(
                "node {typed} is not used for queries; to change that: anon config add \
                 node.{typed}.use query"
            )));
        }
        if purpose == Purpose::Export && !known.uses.contains(&NodeUse::Export) {
            return Err(Failure::configuration(format!(
                "node {typed} is not used for exports, so that nothing lands in a clinical archive by a \
                 slip; if it is meant: anon config add node.{typed}.use export"
            )));
        }
        let title = AeTitle::new(&known.aet)?;
        let node = Node::new(title, &known.host, known.port)
            .with_context(|| Failure::Configuration(format!("node {typed}")))?;
        let tls = known.tls;
        Ok(Self { node, tls })
    }
}

fn unknown(settings: &ProjectSettings, typed: &str) -> String {
    let known: Vec<&str> = settings.nodes.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    format!(
        "no node is called {typed}: {known}; give one as AET@host:port, or make it with: anon \
         config set node.{typed}.aet AET"
    )
}

/// A user of a peer's services, under our AE title.
pub(crate) fn scu(
    project: &Project,
    settings: &ProjectSettings,
    peer: &Peer,
) -> anyhow::Result<Scu> {
    let mut dial = UlDial::new()
        .with_connect_timeout(settings.timeouts.tcp)
        .with_implementation(implementation()?);
    if peer.tls {
        dial = tls::dial(dial, project, settings)?;
    }
    let mut timeouts = Timeouts::default();
    timeouts.tcp = settings.timeouts.tcp;
    timeouts.acse = settings.timeouts.acse;
    timeouts.dimse = settings.timeouts.dimse;
    timeouts.network = settings.timeouts.network;
    Ok(Scu::new(Arc::new(dial), AeTitle::new(&settings.scp.aet)?)
        .with_timeouts(timeouts)
        .with_max_pdu_bytes(settings.scp.max_pdu_bytes))
}

/// The program that is told to peers: the one that is written into outputs.
pub(super) fn implementation() -> anyhow::Result<Implementation> {
    use anon_engine::file_meta::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
    let class = Uid::new(IMPLEMENTATION_CLASS_UID)?;
    Ok(Implementation::new(class, IMPLEMENTATION_VERSION_NAME)?)
}
