//! Our SCU has archives send to us: C-MOVE to our SCP, and C-GET, at each level.

use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use anon_net::association::ul::UlDial;
use anon_net::service::retrieve::Level;
use anon_net::service::{
    Arrival, Cancel, MoveRequest, RetrieveRequest, ServiceError, StudyReport, Target,
    TransferFailure, Via,
};
use anon_net::testing::MemoryArrivals;
use anon_net::{BackendError, Instance, InstanceHandler, Outcome};

use crate::calling::{node_of, scu};
use crate::node::{self, Inbox};
use crate::shared::Test;
use crate::shared::servers::corpus::Corpus;
use crate::shared::servers::{Kind, Server, Setup};

const LEVELS: [Level; 3] = [Level::Study, Level::Series, Level::Instance];

/// An inbox that tells what arrived.
#[derive(Default)]
struct Telling {
    inbox: Inbox,
    arrivals: MemoryArrivals,
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

impl InstanceHandler for Telling {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        let outcome = self.inbox.handle(instance, body)?;
        if outcome == Outcome::Stored {
            self.arrivals
                .arrive(&instance.sop_instance, Arrival::Stored);
        }
        Ok(outcome)
    }
}

/// Brings the study of the corpus here.
fn bring(server: &Server, via: Via, level: Level, telling: &Telling) -> Test<StudyReport> {
    let request = RetrieveRequest::new(via).with_level(level);
    let reports = scu(UlDial::new())?.retrieve(
        &node_of(server)?,
        &request,
        &[Corpus::STUDY.parse()?],
        &telling.arrivals,
        &Cancel::new(),
        &mut |_| {},
    );
    Ok(reports.into_iter().next().ok_or("no report")?)
}

/// All of what the archive has is here, and reported so.
#[track_caller]
fn all_is_here(what: &str, report: &StudyReport, telling: &Telling, uids: &BTreeSet<&str>) {
    assert!(report.is_complete(), "{what}: {report:?}");
    assert_eq!(report.stored, uids.len(), "{what}");
    let came = telling.inbox.came();
    let came: BTreeSet<&str> = came.keys().map(String::as_str).collect();
    assert_eq!(came, *uids, "{what}");
}

#[test]
fn archives_move_and_get_at_every_level() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in Kind::ARCHIVES {
        let move_to = Arc::new(Switch::default());
        let scp = node::listen(&move_to, |builder| builder)?;
        let knows = Setup::default().knows(node::TITLE, scp.local_addr().port());
        let Some(server) = kind.start(&knows)? else {
            continue;
        };
        let taken = corpus.taken_by(kind);
        server.load(&taken)?;
        let uids: BTreeSet<&str> = taken.iter().map(|it| it.uid.as_str()).collect();
        for level in LEVELS {
            let telling = move_to.anew();
            let destination = node::TITLE.parse()?;
            let report = bring(&server, Via::Move { destination }, level, &telling)?;
            all_is_here(
                &format!("{kind:?}, move, {level:?}"),
                &report,
                &telling,
                &uids,
            );

            let telling = Arc::new(Telling::default());
            let report = bring(&server, get(&telling)?, level, &telling)?;
            all_is_here(
                &format!("{kind:?}, get, {level:?}"),
                &report,
                &telling,
                &uids,
            );
        }
    }
    Ok(())
}

fn get(telling: &Arc<Telling>) -> Test<Via> {
    Ok(Via::Get {
        handler: Arc::<Telling>::clone(telling),
        sop_classes: node::classes()?,
        transfer_syntaxes: node::transfer_syntaxes()?,
    })
}

/// Hands over to a new inbox for each retrieve.
#[derive(Debug, Default)]
struct Switch(std::sync::Mutex<Arc<Telling>>);

impl Switch {
    fn anew(&self) -> Arc<Telling> {
        let mut now = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = Arc::default();
        Arc::clone(&now)
    }
}

impl InstanceHandler for Switch {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        let now = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let telling = Arc::clone(&now);
        drop(now);
        telling.handle(instance, body)
    }
}

#[test]
fn a_destination_that_an_archive_does_not_know_is_told_as_such() -> Test {
    for kind in [Kind::Dcmqrscp, Kind::Pynetdicom] {
        let Some(corpus) = Corpus::new()? else {
            return Ok(());
        };
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        server.load(&corpus.taken_by(kind))?;
        let study = Corpus::STUDY.parse()?;
        let request = MoveRequest::new(Target::Study { study }, "UNKNOWN".parse()?);
        let moved =
            scu(UlDial::new())?.move_to(&node_of(&server)?, &request, &Cancel::new(), &mut |_| {});
        let failure = match moved {
            Err(ServiceError::Refused { status, .. }) => TransferFailure::of(status),
            other => return Err(format!("{kind:?}: {other:?}").into()),
        };
        assert_eq!(
            failure,
            Some(TransferFailure::DestinationUnknown),
            "{kind:?}"
        );
    }
    Ok(())
}
