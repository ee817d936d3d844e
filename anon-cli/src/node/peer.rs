//! [`Peer`]: a remote DICOM node, named in the settings or given as `AET@host:port`.

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

/// What a command does with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Verify it (C-ECHO).
    Any,
    /// Query it and retrieve from it.
    Query,
    /// Export to it.
    Export,
}

/// A remote DICOM node.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) tls: bool,
}

impl Peer {
    /// Resolves a name of the settings or an `AET@host:port`.
    ///
    /// # Errors
    /// A configuration failure if no node has this name, or the settings do not allow this purpose.
    pub(crate) fn resolve(
        settings: &ProjectSettings,
        name: &str,
        purpose: Purpose,
    ) -> anyhow::Result<Self> {
        if name.contains('@') {
            let node = name
                .parse()
                .map_err(|error| Failure::configuration(format!("NODE: {error}")))?;
            return Ok(Self { node, tls: false });
        }
        let Some(known) = settings.nodes.get(name) else {
            return Err(Failure::configuration(unknown_node(settings, name)));
        };
        if purpose == Purpose::Query && !known.uses.contains(&NodeUse::Query) {
            return Err(Failure::configuration(format!(
                "node {name} is not used for queries; to allow them:\n  anon config add node.{name}.use query"
            )));
        }
        if purpose == Purpose::Export && !known.uses.contains(&NodeUse::Export) {
            return Err(Failure::configuration(format!(
                "node {name} is not used for exports, so that nothing is sent to a clinical archive by \
                 mistake; to allow them:\n  anon config add node.{name}.use export"
            )));
        }
        let Some(host) = &known.host else {
            return Err(Failure::configuration(format!(
                "node {name} has no host; to set it:\n  anon config set node.{name}.host HOST"
            )));
        };
        let title = AeTitle::new(&known.aet)?;
        let node = Node::new(title, host, known.port)
            .with_context(|| Failure::Configuration(format!("node {name}")))?;
        let tls = known.tls;
        Ok(Self { node, tls })
    }
}

fn unknown_node(settings: &ProjectSettings, name: &str) -> String {
    let known: Vec<&str> = settings.nodes.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "the settings have no node".to_owned()
    } else {
        format!("the settings have {}", known.join(", "))
    };
    format!(
        "there is no node {name}; {known}: give one as AET@host:port, or add it:\n  \
         anon config set node.{name}.aet AET\n  anon config set node.{name}.host HOST"
    )
}

/// Returns an SCU for a peer, under our AE title.
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

/// Returns the implementation identification for associations, the same as in the file meta information.
pub(super) fn implementation() -> anyhow::Result<Implementation> {
    use anon_engine::file_meta::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
    let class = Uid::new(IMPLEMENTATION_CLASS_UID)?;
    Ok(Implementation::new(class, IMPLEMENTATION_VERSION_NAME)?)
}
