//! Our SCU calls each server: C-ECHO, C-STORE and C-FIND.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anon_net::association::ul::UlDial;
use anon_net::error::RejectReason;
use anon_net::service::{
    Cancel, Detail, HierarchyRequest, Query, Scu, SendItem, SendOutcome, ServiceError, Timeouts,
};
use anon_net::tls::ClientTls;
use anon_net::{Error, Node, Status};

use crate::node;
use crate::shared::Test;
use crate::shared::servers::certificates::Authority;
use crate::shared::servers::corpus::{Corpus, Instance};
use crate::shared::servers::{Server, ServerKind, Setup};

const ALL: [ServerKind; 5] = [
    ServerKind::Orthanc,
    ServerKind::Dcmqrscp,
    ServerKind::Pynetdicom,
    ServerKind::PynetdicomStore,
    ServerKind::Storescp,
];

pub(crate) fn scu(dial: UlDial) -> Test<Scu> {
    let timeouts = Timeouts::all(Duration::from_secs(10));
    Ok(Scu::new(Arc::new(dial), node::TITLE.parse()?).with_timeouts(timeouts))
}

pub(crate) fn node_of(server: &Server) -> Test<Node> {
    let port = server.address().port();
    Ok(Node::new(server.title().parse()?, "127.0.0.1", port)?)
}

/// Sends files. Returns the indexes of the stored ones, and the errors of the others by index.
fn send(
    scu: &Scu,
    node: &Node,
    instances: &[Instance],
) -> Test<(BTreeSet<u64>, BTreeMap<u64, ServiceError>)> {
    let mut items = instances.iter().map(|it| SendItem::file(&it.path));
    let (mut stored, mut failed) = (BTreeSet::new(), BTreeMap::new());
    scu.send(
        node,
        &mut items,
        &Cancel::new(),
        &mut |event| match event.outcome {
            SendOutcome::Failed(error) => {
                failed.insert(event.number, error);
            }
            _ => {
                stored.insert(event.number);
            }
        },
    )?;
    Ok((stored, failed))
}

#[test]
fn every_server_responds_to_our_echo() -> Test {
    for kind in ALL {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let status = scu(UlDial::new())?.echo(&node_of(&server)?, &Cancel::new())?;
        assert_eq!(status, Status::SUCCESS, "{kind:?}");
    }
    Ok(())
}

#[test]
fn wrong_called_title_is_reported() -> Test {
    let strict = Setup::default().set("ORTHANC_CHECK_CALLED", "true");
    for (kind, setup) in [
        (ServerKind::Dcmqrscp, Setup::default()),
        (ServerKind::Orthanc, strict),
    ] {
        // The start-up check of Orthanc uses its own title.
        let Some(server) = kind.start(&setup)? else {
            continue;
        };
        let wrong = Node::new("SOMEBODY".parse()?, "127.0.0.1", server.address().port())?;
        let echoed = scu(UlDial::new())?.echo(&wrong, &Cancel::new());
        let reason = match echoed {
            Err(ServiceError::Association(Error::Rejected { reason, .. })) => Some(reason),
            _ => None,
        };
        assert_eq!(reason, Some(RejectReason::CalledTitle), "{kind:?}");
    }
    Ok(())
}

#[test]
fn every_server_stores_each_accepted_transfer_syntax() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ALL {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let (stored, failed) = send(&scu(UlDial::new())?, &node_of(&server)?, &corpus.instances)?;
        let accepted = (0..).zip(&corpus.instances);
        let accepted = accepted.filter(|(_, it)| kind.accepts(it.transfer_syntax));
        assert_eq!(
            stored,
            accepted.map(|(number, _)| number).collect(),
            "{kind:?}: {failed:?}"
        );
        // Nothing is transcoded: an object is not sent if the server does not accept its transfer
        // syntax.
        for (number, error) in failed {
            let refused = matches!(error, ServiceError::ContextRefused { .. });
            assert!(refused, "{kind:?}, {number}: {error}");
        }
    }
    Ok(())
}

/// Returns the data set of a DICOM file (PS3.10 section 7.1). It follows the file meta information,
/// whose length is at byte 140.
fn data_set(path: &Path) -> Test<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    let length = bytes.get(140..144).ok_or("no file meta information")?;
    let length = u32::from_le_bytes(length.try_into()?);
    Ok(bytes.split_off(144 + usize::try_from(length)?))
}

#[test]
fn sent_data_sets_arrive_unchanged() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let keeping = Setup::default().with("+xa").with("--bit-preserving");
    let Some(server) = ServerKind::Storescp.start(&keeping)? else {
        return Ok(());
    };
    let (stored, _) = send(&scu(UlDial::new())?, &node_of(&server)?, &corpus.instances)?;
    assert_eq!(stored.len(), corpus.instances.len());
    let received = server.received()?;
    let received: Test<BTreeSet<_>> = received.iter().map(|path| data_set(path)).collect();
    let sent = corpus.instances.iter().map(|it| data_set(&it.path));
    assert!(received? == sent.collect::<Test<BTreeSet<_>>>()?);
    Ok(())
}

#[test]
fn archives_are_queried_at_three_levels() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let (scu, node) = (scu(UlDial::new())?, node_of(&server)?);
        let accepted = corpus.accepted_by(kind);
        server.load(&accepted)?;
        check_queries(&scu, &node, kind)?;
        let request = HierarchyRequest::new(Corpus::STUDY.parse()?, Detail::Instances);
        let hierarchy = scu.hierarchy(&node, &request, &Cancel::new())?;
        let found = hierarchy.instances();
        let found: BTreeSet<(&str, &str)> = found
            .map(|(series, instance)| (series.uid.expose(), instance.uid.expose()))
            .collect();
        let has = accepted
            .iter()
            .map(|it| (it.series.as_str(), it.uid.as_str()));
        assert_eq!(found, has.collect(), "{kind:?}");
        // Counted by the archive, or by us if it cannot.
        let request = HierarchyRequest::new(Corpus::STUDY.parse()?, Detail::Series);
        let hierarchy = scu.hierarchy(&node, &request, &Cancel::new())?;
        assert_eq!(hierarchy.count(), accepted.len(), "{kind:?}");
    }
    Ok(())
}

/// Checks that each matching query finds the study once, and each other query finds nothing.
fn check_queries(scu: &Scu, node: &Node, kind: ServerKind) -> Test {
    let matching = [
        Query::new(),
        Query::new().with_study(Corpus::STUDY.parse()?),
        Query::new().with_patient_id(Corpus::PATIENT)?,
        Query::new().with_patient_name("Transfer*")?,
        Query::new().with_accession(Corpus::ACCESSION)?,
        Query::new().with_study_date("20240101-20240131")?,
        Query::new().with_modality("CT")?,
    ];
    let other = [
        Query::new().with_study("1.2.3".parse()?),
        Query::new().with_patient_id("NOBODY")?,
        Query::new().with_accession("NONE")?,
        Query::new().with_study_date("19990101-19991231")?,
        Query::new().with_modality("MG")?,
    ];
    for (queries, studies) in [(&matching[..], 1), (&other[..], 0)] {
        for query in queries {
            let mut found = Vec::new();
            scu.find(node, query, &Cancel::new(), &mut |study| {
                found.push(study.study);
            })?;
            assert_eq!(found.len(), studies, "{kind:?}: {query:?}");
            assert!(found.iter().all(|it| it.expose() == Corpus::STUDY));
        }
    }
    Ok(())
}

#[test]
fn tls_is_mutual_with_real_servers() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let trusted = authority.trusted();
    let client_tls = |name: &str| {
        let shown = authority.identity(name);
        ClientTls::mutual(&trusted, &shown.certificate, &shown.key)
    };
    let echo = |tls: ClientTls, node: &Node| {
        Test::Ok(scu(UlDial::new().with_tls(tls))?.echo(node, &Cancel::new()))
    };
    for kind in [ServerKind::Storescp, ServerKind::Orthanc] {
        let Some(server) = kind.start(&Setup::default().tls(&authority, "server"))? else {
            return Ok(());
        };
        let node = node_of(&server)?;
        assert_eq!(echo(client_tls("client")?, &node)??, Status::SUCCESS);
        for wrong in ["stranger", "expired"] {
            assert!(
                echo(client_tls(wrong)?, &node)?.is_err(),
                "{kind:?}: our certificate: {wrong}"
            );
        }
        let nobody = ClientTls::new(&trusted)?;
        assert!(
            echo(nobody, &node)?.is_err(),
            "{kind:?}: we present no certificate"
        );
        let plain = scu(UlDial::new())?.echo(&node, &Cancel::new());
        assert!(plain.is_err(), "{kind:?}: we do not speak TLS");
        for wrong in ["stranger", "expired", "elsewhere"] {
            let Some(server) = kind.start(&Setup::default().tls(&authority, wrong))? else {
                return Ok(());
            };
            let echoed = echo(client_tls("client")?, &node_of(&server)?)?;
            assert!(echoed.is_err(), "{kind:?}: its certificate: {wrong}");
        }
    }
    Ok(())
}
