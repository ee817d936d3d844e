//! Our SCU has archives send to us: C-MOVE to our SCP, and C-GET, at each level.

use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use anon_net::association::ul::UlDial;
use anon_net::service::retrieve::QueryLevel;
use anon_net::service::{
    Cancel, InstanceState, MoveRequest, RetrieveMethod, RetrieveRequest, SendItem, ServiceError,
    StudyReport, TransferFailure, TransferTarget,
};
use anon_net::testing::MemoryInstances;
use anon_net::{BackendError, InstanceHandler, Outcome, SupportedContexts, Uid};

use crate::calling::{node_of, scu};
use crate::node::{self, Inbox};
use crate::shared::Test;
use crate::shared::servers::corpus::{Corpus, Instance, UNCOMPRESSED};
use crate::shared::servers::{Kind, Server, Setup};

const LEVELS: [QueryLevel; 3] = [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance];

/// An inbox that tells what arrived.
#[derive(Default)]
struct Telling {
    inbox: Inbox,
    arrivals: MemoryInstances,
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

impl InstanceHandler for Telling {
    fn handle(
        &self,
        instance: &anon_net::Instance,
        body: &mut dyn BufRead,
    ) -> Result<Outcome, BackendError> {
        let outcome = self.inbox.handle(instance, body)?;
        if outcome == Outcome::Stored {
            self.arrivals
                .arrive(&instance.sop_instance, InstanceState::Stored);
        }
        Ok(outcome)
    }
}

/// Brings the study of the corpus here.
fn bring(
    server: &Server,
    via: RetrieveMethod,
    level: QueryLevel,
    telling: &Telling,
) -> Test<StudyReport> {
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
        let all = node::transfer_syntaxes()?;
        comes_at_every_level(&format!("{kind:?}"), &server, &taken, &move_to, &all)?;
    }
    Ok(())
}

/// It has one compressed transfer syntax at a time, by option, beside the uncompressed ones; and another
/// option has it send so.
#[test]
fn dcmqrscp_keeps_and_sends_each_compressed_syntax() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let (plain, compressed): (Vec<_>, Vec<_>) = corpus
        .instances
        .iter()
        .partition(|it| Kind::Dcmqrscp.takes(it.transfer_syntax));
    assert_eq!((plain.len(), compressed.len()), (3, 8));
    let options: BTreeSet<&str> = compressed.iter().map(|it| it.option).collect();
    for option in options {
        let of_option = compressed.iter().filter(|it| it.option == option);
        let taken: Vec<&Instance> = of_option.copied().collect();
        let syntax = Uid::new(taken.first().ok_or("an instance")?.transfer_syntax)?;
        // It proposes the uncompressed ones in the same context, and sends in whichever is accepted.
        let supported = node::classes()?
            .into_iter()
            .fold(SupportedContexts::new(), |supported, class| {
                supported.with(class, vec![syntax.clone()])
            });
        let move_to = Arc::new(Switch::default());
        let scp = node::listen(&move_to, |builder| builder.supported(supported))?;
        let setup = Setup::default()
            .knows(node::TITLE, scp.local_addr().port())
            .with(&option.replace('-', "+"))
            .with(option);
        let Some(server) = Kind::Dcmqrscp.start(&setup)? else {
            continue;
        };
        let mut items = taken.iter().map(|it| SendItem::file(&it.path));
        let sent =
            scu(UlDial::new())?.send(&node_of(&server)?, &mut items, &Cancel::new(), &mut |_| {});
        assert_eq!(
            sent.map_err(|error| error.error)?.stored,
            taken.len() as u64,
            "{option}"
        );
        // At C-GET it sends in the first context of the class, and cannot bring pixels into another syntax.
        comes_at_every_level(option, &server, &taken, &move_to, &[syntax])?;
    }
    Ok(())
}

/// What an archive has comes by C-MOVE and C-GET, asked for at each level.
fn comes_at_every_level(
    what: &str,
    server: &Server,
    has: &[&Instance],
    move_to: &Switch,
    got_in: &[Uid],
) -> Test {
    let uids: BTreeSet<&str> = has.iter().map(|it| it.uid.as_str()).collect();
    for level in LEVELS {
        let telling = move_to.anew();
        let destination = node::TITLE.parse()?;
        let report = bring(
            server,
            RetrieveMethod::Move { destination },
            level,
            &telling,
        )?;
        all_is_here(
            &format!("{what}, move, {level:?}"),
            &report,
            &telling,
            &uids,
        );
        same_syntaxes(&format!("{what}, move, {level:?}"), has, &telling);

        let telling = Arc::new(Telling::default());
        let report = bring(server, get(&telling, got_in)?, level, &telling)?;
        all_is_here(&format!("{what}, get, {level:?}"), &report, &telling, &uids);
        same_syntaxes(&format!("{what}, get, {level:?}"), has, &telling);
    }
    Ok(())
}

/// Nothing that is compressed was brought into another transfer syntax on its way.
#[track_caller]
fn same_syntaxes(what: &str, has: &[&Instance], telling: &Telling) {
    let came = telling.inbox.came();
    for instance in has {
        let syntax = came.get(&instance.uid).map(|(syntax, _)| syntax.as_str());
        let is_plain = UNCOMPRESSED.contains(&instance.transfer_syntax);
        let as_it_was = syntax == Some(instance.transfer_syntax);
        assert!(is_plain || as_it_was, "{what}: {syntax:?}");
    }
}

fn get(telling: &Arc<Telling>, transfer_syntaxes: &[Uid]) -> Test<RetrieveMethod> {
    Ok(RetrieveMethod::Get {
        handler: Arc::<Telling>::clone(telling),
        sop_classes: node::classes()?,
        transfer_syntaxes: transfer_syntaxes.to_vec(),
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
    fn handle(
        &self,
        instance: &anon_net::Instance,
        body: &mut dyn BufRead,
    ) -> Result<Outcome, BackendError> {
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
        let request = MoveRequest::new(TransferTarget::Study { study }, "UNKNOWN".parse()?);
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
