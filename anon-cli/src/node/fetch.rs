//! [`Fetch`]: brings studies of a server into the project.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use anon_engine::Cancel;
use anon_model::settings::Selection;
use anon_model::{LookupStore, Phi, ProjectSettings};
use anon_net::service::hierarchy::Wanted;
use anon_net::service::retrieve::{Level, RetrieveRequest, StudyReport};
use anon_net::service::{self, Scu, ServiceError};
use anon_net::{AeTitle, InstanceHandler, InstanceUid};

use super::{Fates, Peer, Purpose, Us, scp, words};
use crate::args::{LevelName, Via};
use crate::exit::Failure;
use crate::project::Project;
use crate::record::{Fetched, Retrieved, Wish};

/// A retrieve that is ready to go.
#[derive(Debug)]
pub(crate) struct Fetch {
    scu: Scu,
    peer: Peer,
    us: Us,
    via: Via,
    request: RetrieveRequest,
    studies: Vec<InstanceUid>,
}

impl Fetch {
    /// # Errors
    /// A configuration failure if the settings do not allow it.
    pub(crate) fn new(
        project: &Project,
        settings: &ProjectSettings,
        wish: &Wish,
        handler: Arc<dyn InstanceHandler>,
    ) -> anyhow::Result<Self> {
        let peer = Peer::typed(settings, &wish.node, Purpose::Query)?;
        if wish.via == Via::Move {
            check_reachable(settings, &peer)?;
        }
        let studies = wish.studies.iter().map(|uid| InstanceUid::new(uid));
        let studies = studies
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::configuration(error.to_string()))?;
        Ok(Self {
            scu: super::scu(project, settings, &peer)?,
            us: words::us(settings),
            via: wish.via,
            request: request(settings, wish, handler)?,
            peer,
            studies,
        })
    }

    /// True if the server sends to our receiver.
    pub(crate) fn needs_receiver(&self) -> bool {
        self.via == Via::Move
    }

    /// Fetches, and tells each study when all are done with, in their order.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub(crate) fn run(
        &self,
        lookups: &dyn LookupStore,
        fates: &Fates,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Fetched),
    ) -> anyhow::Result<Retrieved> {
        let wish = service::Cancel::new();
        let mut done = Retrieved::default();
        // One study after the other is told, as many at a time as are retrieved at once.
        for some in self.studies.chunks(self.request.concurrency.max(1)) {
            if cancel.is_cancelled() {
                break;
            }
            let reports = std::thread::scope(|scope| {
                let watch = watching(scope, cancel, &wish);
                let node = &self.peer.node;
                let reports =
                    self.scu
                        .retrieve(node, &self.request, some, fates, &wish, &mut |_| {});
                drop(watch);
                reports
            });
            for report in reports {
                self.count(lookups, &report, &mut done, tell)?;
            }
        }
        done.interrupted = cancel.is_cancelled();
        Ok(done)
    }

    fn count(
        &self,
        lookups: &dyn LookupStore,
        report: &StudyReport,
        done: &mut Retrieved,
        tell: &mut dyn FnMut(Fetched),
    ) -> anyhow::Result<()> {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let study = Fetched {
            study_uid: report.study.expose().to_owned(),
            expected: number(report.expected),
            stored: number(report.stored),
            quarantined: number(report.quarantined),
            excluded: number(report.excluded),
            failed: number(report.missing.len()),
            error: report.error.as_ref().map(|error| self.say(error, report)),
        };
        if report.is_complete() && study.stored > 0 {
            let uid = Phi::new(study.study_uid.clone());
            lookups.expect_instances(&uid, study.stored)?;
        }
        done.studies += 1;
        done.complete += u64::from(report.is_complete());
        done.expected += study.expected;
        done.stored += study.stored;
        done.quarantined += study.quarantined;
        done.excluded += study.excluded;
        done.failed += study.failed;
        tracing::info!(
            expected = study.expected,
            stored = study.stored,
            quarantined = study.quarantined,
            excluded = study.excluded,
            missing = study.failed,
            "a study was retrieved"
        );
        tell(study);
        Ok(())
    }

    fn say(&self, error: &ServiceError, report: &StudyReport) -> String {
        let why = words::service(error, &self.peer.node, &self.us);
        match report.missing.len() {
            0 => why,
            missing => format!(
                "{why}; {missing} of {} instances are missing",
                report.expected
            ),
        }
    }
}

/// Hands a cancel on for as long as what this returns is kept.
fn watching<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    cancel: &Cancel,
    wish: &service::Cancel,
) -> crossbeam_channel::Sender<()> {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
    let (kept, gone) = crossbeam_channel::bounded(0);
    let (cancel, wish) = (cancel.clone(), wish.clone());
    scope.spawn(move || {
        // Nothing is ever sent: this waits for the other end to be dropped.
        while gone.recv_timeout(LOOK) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            if cancel.is_cancelled() {
                wish.cancel();
                return;
            }
        }
    });
    kept
}

fn request(
    settings: &ProjectSettings,
    wish: &Wish,
    handler: Arc<dyn InstanceHandler>,
) -> anyhow::Result<RetrieveRequest> {
    let sop_classes = scp::classes(settings)?;
    let mut wanted = Wanted::all().with_sop_classes(sop_classes.clone());
    if let Selection::These(modalities) = &settings.modalities
        && settings.storage_classes.is_empty()
    {
        wanted = wanted.with_modalities(modalities.iter().map(|modality| modality.code));
    }
    let via = match wish.via {
        Via::Move => service::retrieve::Via::Move {
            destination: AeTitle::new(&settings.scp.aet)?,
        },
        Via::Get => service::retrieve::Via::Get {
            handler,
            sop_classes,
            transfer_syntaxes: scp::syntaxes(settings)?,
        },
    };
    let level = match wish.level {
        LevelName::Study => Level::Study,
        LevelName::Series => Level::Series,
        LevelName::Instance => Level::Instance,
    };
    Ok(RetrieveRequest::new(via)
        .with_level(level)
        .with_wanted(wanted)
        .with_concurrency(settings.retrieve_studies.into()))
}

/// A server elsewhere cannot send to a receiver that only this machine can reach.
pub(crate) fn check_reachable(settings: &ProjectSettings, peer: &Peer) -> anyhow::Result<()> {
    if !scp::is_local(settings) {
        return Ok(());
    }
    let found = (peer.node.host(), peer.node.port()).to_socket_addrs();
    let is_here = found.is_ok_and(|mut all| all.all(|address| is_loopback(address.ip())));
    if is_here {
        return Ok(());
    }
    Err(Failure::configuration(format!(
        "{} is to send to us, and only this machine can reach scp.bind = {}: anon config set scp.bind \
         0.0.0.0, and anon config add scp.allow_calling {}; or fetch with --via get",
        peer.node,
        settings.scp.bind,
        peer.node.title()
    )))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
