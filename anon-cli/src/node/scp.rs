//! The project's SCP, set up from its settings.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anon_model::ProjectSettings;
use anon_model::modality::transfer_syntaxes;
use anon_model::settings::{ScpTls, Selection};
use anon_net::scp::{AddressRange, RunningScp, Scp, ScpObserver, StopOutcome};
use anon_net::{AeTitle, SupportedContexts, Uid};
use anyhow::Context as _;

use super::Intake;
use super::peer::implementation;
use super::tls;
use crate::exit::Failure;
use crate::project::Project;

/// Verification (PS3.4 section A.4).
const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Explicit VR little endian (PS3.5 section A.2).
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
/// How long an association request waits for a place. Most peers wait 30 s for the answer.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Explicit and implicit VR little endian (PS3.5 section A.1): every peer supports one of them.
const UNCOMPRESSED: [&str; 2] = [EXPLICIT, "1.2.840.10008.1.2"];

/// A running SCP.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) running: RunningScp,
}

impl Receiver {
    /// Stops the SCP. Returns false if associations had to be aborted after `patience`.
    pub(crate) fn stop(&self, patience: Duration) -> bool {
        self.running.stop(patience) == StopOutcome::Drained
    }
}

/// Returns the address to listen on.
fn address(settings: &ProjectSettings) -> anyhow::Result<SocketAddr> {
    let scp = &settings.scp;
    let found = (scp.bind.as_str(), scp.port).to_socket_addrs();
    found
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| {
            Failure::configuration(format!(
                "scp.bind: {} is not an address of this machine",
                scp.bind
            ))
        })
}

/// Returns true if only programs on this machine can reach the SCP.
pub(crate) fn is_local(settings: &ProjectSettings) -> bool {
    let bind = settings.scp.bind.as_str();
    bind == "localhost" || bind.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses to listen to every machine unless the settings allow it. [`start`] checks this too.
pub(crate) fn check_access_list(settings: &ProjectSettings) -> anyhow::Result<()> {
    let scp = &settings.scp;
    let is_listed = !scp.allow_calling.is_empty() || !scp.allow_peers.is_empty();
    if is_local(settings) || is_listed || scp.open {
        return Ok(());
    }
    Err(Failure::configuration(format!(
        "listening on {} would accept objects from every machine: list the senders in \
         scp.allow_calling or scp.allow_peers, or allow all of them:\n  \
         anon config add scp.allow_calling AET\n  anon config set scp.open true",
        scp.bind
    )))
}

/// Starts the SCP of an open project.
///
/// # Errors
/// If the settings do not allow it (see [`check_access_list`]), or the address is in use.
pub(crate) fn start(
    project: &Project,
    settings: &ProjectSettings,
    intake: Arc<Intake>,
    observer: Arc<dyn ScpObserver>,
) -> anyhow::Result<Receiver> {
    check_access_list(settings)?;
    let scp = &settings.scp;
    let titles = scp.allow_calling.iter().map(|title| AeTitle::new(title));
    let mut builder = Scp::builder(AeTitle::new(&scp.aet)?, intake)
        .supported(supported(settings)?)
        .max_associations(scp.max_associations.into())
        .max_associations_per_peer(scp.max_associations_per_peer.into())
        .max_pdu_bytes(scp.max_pdu_bytes)
        .artim_timeout(settings.timeouts.acse)
        .acse_timeout(settings.timeouts.acse)
        // The answer must come before the ARTIM timer runs out.
        .admission_timeout(ADMISSION_TIMEOUT.min(settings.timeouts.acse / 2))
        .dimse_timeout(settings.timeouts.dimse)
        .idle_timeout(settings.timeouts.network)
        .implementation(implementation()?)
        .observer(observer);
    if !scp.allow_calling.is_empty() {
        builder = builder.calling_titles(titles.collect::<Result<Vec<_>, _>>()?);
    }
    if !scp.allow_peers.is_empty() {
        builder = builder.peers(allowed_peers(&scp.allow_peers)?);
    }
    if !scp.check_called {
        builder = builder.any_called_title();
    }
    if scp.tls != ScpTls::Off {
        builder = tls::listen(builder, project, settings)?;
    }
    let address = address(settings)?;
    let running = builder.bind(address).map_err(|error| {
        let message = cannot_listen(address, error.kind());
        anyhow::Error::new(error).context(Failure::CannotRun(message))
    })?;
    Ok(Receiver { running })
}

/// Says why an address cannot be listened on, and what to do.
fn cannot_listen(address: SocketAddr, kind: io::ErrorKind) -> String {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    let what = format!("cannot listen on {address}");
    match kind {
        PermissionDenied if (1..1024).contains(&address.port()) => format!(
            "{what}: ports below 1024 need a right that this program does not have; to give it on Linux, run \
             sudo setcap cap_net_bind_service=+ep \"$(command -v anon)\" (again after each update of the \
             program), or set AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit; or choose a port \
             from 1024 on with --port"
        ),
        AddrInUse => {
            format!("{what}: another program uses it; choose another port with --port (0: any)")
        }
        AddrNotAvailable => format!("{what}: scp.bind is not an address of this machine"),
        _ => format!(
            "{what}: choose another port with --port (0: any), or another address with --bind"
        ),
    }
}

/// Returns the addresses that may connect. A host name is resolved once, to all its addresses.
fn allowed_peers(allowed: &[String]) -> anyhow::Result<Vec<AddressRange>> {
    let mut ranges = Vec::new();
    for peer in allowed {
        if let Ok(range) = peer.parse() {
            ranges.push(range);
            continue;
        }
        let found = (peer.as_str(), 0).to_socket_addrs().with_context(|| {
            Failure::Configuration(format!("scp.allow_peers: the host {peer} has no address"))
        })?;
        ranges.extend(found.map(|address| AddressRange::from(address.ip())));
    }
    Ok(ranges)
}

/// Returns what the project accepts: each of its storage classes in each of its transfer syntaxes, and C-ECHO.
fn supported(settings: &ProjectSettings) -> anyhow::Result<SupportedContexts> {
    supported_contexts(classes(settings)?, &syntaxes(settings)?)
}

/// Returns what an SCP accepts that was opened with the settings `opened_with`, now that they are `now`.
///
/// Storage classes and transfer syntaxes removed since are no longer accepted. Those added since are not
/// accepted yet, because the project was opened without them.
pub(crate) fn supported_now(
    opened_with: &ProjectSettings,
    now: &ProjectSettings,
) -> anyhow::Result<SupportedContexts> {
    let (mut syntaxes, accepted_now) = (syntaxes(opened_with)?, self::syntaxes(now)?);
    syntaxes.retain(|syntax| accepted_now.contains(syntax));
    supported_contexts(shared_classes(opened_with, now)?, &syntaxes)
}

/// Returns the storage classes that both settings accept.
pub(crate) fn shared_classes(
    opened_with: &ProjectSettings,
    now: &ProjectSettings,
) -> anyhow::Result<Vec<Uid>> {
    let (mut classes, accepted_now) = (classes(opened_with)?, self::classes(now)?);
    classes.retain(|class| accepted_now.contains(class));
    Ok(classes)
}

fn supported_contexts(classes: Vec<Uid>, syntaxes: &[Uid]) -> anyhow::Result<SupportedContexts> {
    let plain = UNCOMPRESSED
        .map(Uid::new)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let mut supported = SupportedContexts::new().with(Uid::new(VERIFICATION)?, plain);
    for class in classes {
        supported = supported.with(class, syntaxes.to_vec());
    }
    Ok(supported)
}

/// Returns the storage classes that the project accepts.
fn classes(settings: &ProjectSettings) -> anyhow::Result<Vec<Uid>> {
    let classes = settings.accepted_classes();
    Ok(classes
        .iter()
        .map(|uid| Uid::new(uid))
        .collect::<Result<_, _>>()?)
}

/// Returns the transfer syntaxes that the project accepts, in order of preference.
///
/// With the default, explicit VR little endian is first: implicit VR loses the VRs of private elements.
pub(crate) fn syntaxes(settings: &ProjectSettings) -> anyhow::Result<Vec<Uid>> {
    let syntaxes: Result<_, _> = match &settings.transfer_syntaxes {
        Selection::All => {
            let mut all: Vec<_> = transfer_syntaxes().map(|(uid, _)| uid).collect();
            all.sort_by_key(|uid| *uid != EXPLICIT);
            all.into_iter().map(Uid::new).collect()
        }
        Selection::These(these) => these.iter().map(|uid| Uid::new(uid.as_str())).collect(),
    };
    Ok(syntaxes?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_below_1024_without_the_right_is_said_with_how_it_is_given() {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
        let said = |port, kind| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            cannot_listen(address, kind)
        };
        let privileged = said(104, PermissionDenied);
        for words in [
            "127.0.0.1:104",
            "ports below 1024",
            "cap_net_bind_service",
            "--port",
        ] {
            assert!(privileged.contains(words), "{words}: {privileged}");
        }
        assert!(!privileged.contains("another program"), "{privileged}");
        assert!(said(104, AddrInUse).contains("another program uses it"));
        assert!(!said(11112, PermissionDenied).contains("below 1024"));
        assert!(said(11112, AddrNotAvailable).contains("scp.bind"));
    }
}
