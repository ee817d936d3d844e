//! Our SCU retrieves from archives: C-MOVE to our SCP, and C-GET, at each level.

use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use anon_net::association::ul::UlDial;
use anon_net::service::retrieve::QueryLevel;
use anon_net::service::{
    Cancel, InstanceState, MoveRequest, Query, RetrieveMethod, RetrieveRequest, SendItem,
    ServiceError, StudyReport, TransferFailure, TransferTarget,
};
use anon_net::testing::MemoryInstances;
use anon_net::{BackendError, HandlerResponse, InstanceHandler, Outcome, SupportedContexts, Uid};

use crate::node::{self, Inbox};
use crate::scu::{node_of, scu};
use crate::shared::Test;
use crate::shared::servers::corpus::{Corpus, Instance, UNCOMPRESSED};
use crate::shared::servers::{Server, ServerKind, Setup};

const LEVELS: [QueryLevel; 3] = [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance];

/// An inbox that reports arrivals.
#[derive(Default)]
struct NotifyingInbox {
    inbox: Inbox,
    arrivals: MemoryInstances,
}

impl fmt::Debug for NotifyingInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyingInbox").finish_non_exhaustive()
    }
}

impl InstanceHandler for NotifyingInbox {
    fn handle(
        &self,
        instance: &anon_net::Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        let response = self.inbox.handle(instance, body)?;
        if response.outcome == Outcome::Stored {
            self.arrivals
                .arrive(&instance.sop_instance, InstanceState::Stored);
        }
        Ok(response)
    }
}

/// Retrieves the study of the corpus.
fn retrieve(
    server: &Server,
    via: RetrieveMethod,
    level: QueryLevel,
    inbox: &NotifyingInbox,
) -> Test<StudyReport> {
    let request = RetrieveRequest::new(via).with_level(level);
    let reports = scu(UlDial::new())?.retrieve(
        &node_of(server)?,
        &request,
        &[Corpus::STUDY.parse()?],
        &inbox.arrivals,
        &Cancel::new(),
        &mut |_| {},
    );
    Ok(reports.into_iter().next().ok_or("no report")?)
}

/// Checks that everything was received and reported.
#[track_caller]
fn check_complete(what: &str, report: &StudyReport, inbox: &NotifyingInbox, uids: &BTreeSet<&str>) {
    assert!(report.is_complete(), "{what}: {report:?}");
    assert_eq!(report.stored, uids.len(), "{what}");
    let received = inbox.inbox.received();
    let received: BTreeSet<&str> = received.keys().map(String::as_str).collect();
    assert_eq!(received, *uids, "{what}");
}

#[test]
fn archives_send_by_move_and_get_at_every_level() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let move_to = Arc::new(CurrentInbox::default());
        let scp = node::listen(&move_to, |builder| builder)?;
        let knows = Setup::default().knows(node::TITLE, scp.local_addr().port());
        let Some(server) = kind.start(&knows)? else {
            continue;
        };
        let accepted = corpus.accepted_by(kind);
        server.load(&accepted)?;
        let all = node::transfer_syntaxes()?;
        check_every_level(&format!("{kind:?}"), &server, &accepted, &move_to, &all)?;
    }
    Ok(())
}

/// dcmqrscp accepts one compressed transfer syntax besides the uncompressed ones, chosen by an
/// option. Another option makes it send in that syntax.
#[test]
fn dcmqrscp_stores_and_sends_each_compressed_syntax() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let (plain, compressed): (Vec<_>, Vec<_>) = corpus
        .instances
        .iter()
        .partition(|it| ServerKind::Dcmqrscp.accepts(it.transfer_syntax));
    assert_eq!((plain.len(), compressed.len()), (3, 8));
    let options: BTreeSet<&str> = compressed.iter().map(|it| it.option).collect();
    for option in options {
        let of_option = compressed.iter().filter(|it| it.option == option);
        let accepted: Vec<&Instance> = of_option.copied().collect();
        let syntax = Uid::new(accepted.first().ok_or("an instance")?.transfer_syntax)?;
        // It proposes the uncompressed ones in the same context, and sends in the accepted one.
        let supported = node::classes()?
            .into_iter()
            .fold(SupportedContexts::new(), |supported, class| {
                supported.with(class, vec![syntax.clone()])
            });
        let move_to = Arc::new(CurrentInbox::default());
        let scp = node::listen(&move_to, |builder| builder.supported(supported))?;
        let setup = Setup::default()
            .knows(node::TITLE, scp.local_addr().port())
            .with(&option.replace('-', "+"))
            .with(option);
        let Some(server) = ServerKind::Dcmqrscp.start(&setup)? else {
            continue;
        };
        let mut items = accepted.iter().map(|it| SendItem::file(&it.path));
        let sent =
            scu(UlDial::new())?.send(&node_of(&server)?, &mut items, &Cancel::new(), &mut |_| {});
        assert_eq!(
            sent.map_err(|error| error.error)?.stored,
            accepted.len() as u64,
            "{option}"
        );
        // With C-GET it sends on the first context of the SOP class, and cannot transcode pixel
        // data.
        check_every_level(option, &server, &accepted, &move_to, &[syntax])?;
    }
    Ok(())
}

/// Checks that C-MOVE and C-GET retrieve everything at each level.
fn check_every_level(
    what: &str,
    server: &Server,
    expected: &[&Instance],
    move_to: &CurrentInbox,
    get_syntaxes: &[Uid],
) -> Test {
    let uids: BTreeSet<&str> = expected.iter().map(|it| it.uid.as_str()).collect();
    for level in LEVELS {
        let inbox = move_to.replace();
        let destination = node::TITLE.parse()?;
        let report = retrieve(server, RetrieveMethod::Move { destination }, level, &inbox)?;
        check_complete(&format!("{what}, move, {level:?}"), &report, &inbox, &uids);
        check_syntaxes(&format!("{what}, move, {level:?}"), expected, &inbox);

        let inbox = Arc::new(NotifyingInbox::default());
        let report = retrieve(server, get(&inbox, get_syntaxes)?, level, &inbox)?;
        check_complete(&format!("{what}, get, {level:?}"), &report, &inbox, &uids);
        check_syntaxes(&format!("{what}, get, {level:?}"), expected, &inbox);
    }
    Ok(())
}

/// Checks that no compressed instance was transcoded.
#[track_caller]
fn check_syntaxes(what: &str, expected: &[&Instance], inbox: &NotifyingInbox) {
    let received = inbox.inbox.received();
    for instance in expected {
        let syntax = received
            .get(&instance.uid)
            .map(|(syntax, _)| syntax.as_str());
        let is_plain = UNCOMPRESSED.contains(&instance.transfer_syntax);
        let is_unchanged = syntax == Some(instance.transfer_syntax);
        assert!(is_plain || is_unchanged, "{what}: {syntax:?}");
    }
}

fn get(inbox: &Arc<NotifyingInbox>, transfer_syntaxes: &[Uid]) -> Test<RetrieveMethod> {
    Ok(RetrieveMethod::Get {
        handler: Arc::<NotifyingInbox>::clone(inbox),
        sop_classes: node::classes()?,
        transfer_syntaxes: transfer_syntaxes.to_vec(),
    })
}

/// dcmqrscp takes a query of the patient root only for one patient. Option -QS turns the study root off.
#[test]
fn dcmqrscp_without_the_study_root_is_queried_and_sends() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let move_to = Arc::new(CurrentInbox::default());
    let scp = node::listen(&move_to, |builder| builder)?;
    let setup = Setup::default()
        .knows(node::TITLE, scp.local_addr().port())
        .with("-QS");
    let Some(server) = ServerKind::Dcmqrscp.start(&setup)? else {
        return Ok(());
    };
    let accepted = corpus.accepted_by(ServerKind::Dcmqrscp);
    server.load(&accepted)?;
    let query = Query::new().with_accession(Corpus::ACCESSION)?;
    let mut found = Vec::new();
    scu(UlDial::new())?.find(&node_of(&server)?, &query, &Cancel::new(), &mut |study| {
        found.push(study.study.expose().to_owned());
    })?;
    assert_eq!(found, [Corpus::STUDY]);
    let all = node::transfer_syntaxes()?;
    check_every_level("the patient root", &server, &accepted, &move_to, &all)
}

/// The transfer syntaxes that every archive converts into each other. With so many classes they share
/// a context, and pynetdicom does not convert big endian.
const LITTLE_ENDIAN: [&str; 2] = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"];

/// dcmqrscp and pynetdicom do not return the classes of instances, so that more classes are proposed
/// than one association has room for.
#[test]
fn archives_send_by_get_what_comes_after_300_other_classes() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let accepted: Vec<&Instance> = corpus
            .accepted_by(kind)
            .into_iter()
            .filter(|it| LITTLE_ENDIAN.contains(&it.transfer_syntax))
            .collect();
        server.load(&accepted)?;
        let uids: BTreeSet<&str> = accepted.iter().map(|it| it.uid.as_str()).collect();
        let others = (0..300).map(|n| Uid::new(&format!("1.2.840.77.{n}")));
        let mut sop_classes = others.collect::<Result<Vec<_>, _>>()?;
        sop_classes.extend(node::classes()?);
        let inbox = Arc::new(NotifyingInbox::default());
        let via = RetrieveMethod::Get {
            handler: Arc::<NotifyingInbox>::clone(&inbox),
            sop_classes,
            transfer_syntaxes: node::transfer_syntaxes()?,
        };
        let report = retrieve(&server, via, QueryLevel::Study, &inbox)?;
        check_complete(&format!("{kind:?}"), &report, &inbox, &uids);
    }
    Ok(())
}

/// A handler that uses a new inbox for each retrieve.
#[derive(Debug, Default)]
struct CurrentInbox(std::sync::Mutex<Arc<NotifyingInbox>>);

impl CurrentInbox {
    fn replace(&self) -> Arc<NotifyingInbox> {
        let mut now = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = Arc::default();
        Arc::clone(&now)
    }
}

impl InstanceHandler for CurrentInbox {
    fn handle(
        &self,
        instance: &anon_net::Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        let now = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let inbox = Arc::clone(&now);
        drop(now);
        inbox.handle(instance, body)
    }
}

#[test]
fn unknown_move_destination_is_reported() -> Test {
    for kind in [ServerKind::Dcmqrscp, ServerKind::Pynetdicom] {
        let Some(corpus) = Corpus::new()? else {
            return Ok(());
        };
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        server.load(&corpus.accepted_by(kind))?;
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
