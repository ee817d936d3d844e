//! Exports to real archives on loopback: Orthanc, DCMTK and pynetdicom.
//!
//! `.ci/servers/install.sh` installs them. Without them these tests print a message and pass.
#![cfg(unix)]

#[expect(dead_code, reason = "each binary uses some of it")]
#[path = "../../../anon-net/tests/shared/mod.rs"]
mod shared;

mod rewriting;
mod settling_sink;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_export::{
    Cancel, DicomSink, DirectorySource, ExportReport, Exporter, KeyPart, ObjectKey, Quiet,
    Selection, Sink, conformance,
};
use anon_net::association::ul::UlDial;
use anon_net::service::{FileMeta, GetRequest, Scu, Timeouts, TransferTarget};
use anon_net::testing::MemoryHandler;
use anon_net::{Node, Uid};

use settling_sink::SettlingSink;
use shared::Test;
use shared::servers::corpus::{Corpus, Instance};
use shared::servers::{Server, ServerKind, Setup};

const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

fn scu() -> Test<Scu> {
    let timeouts = Timeouts::all(Duration::from_secs(20));
    Ok(Scu::new(Arc::new(UlDial::new()), "ANONYMIZER".parse()?).with_timeouts(timeouts))
}

fn node(server: &Server) -> Test<Node> {
    Ok(Node::new(
        server.title().parse()?,
        "127.0.0.1",
        server.address().port(),
    )?)
}

fn sink(server: &Server) -> Test<DicomSink> {
    // dcmqrscp gives two objects that arrive at the same time on two associations the same file
    // name, and keeps only one.
    let more = if server.title() == ServerKind::Dcmqrscp.title() {
        0
    } else {
        2
    };
    let associations = NonZeroUsize::MIN.saturating_add(more);
    Ok(DicomSink::new(scu()?, node(server)?, associations))
}

/// The suite runs on each archive, restarted for each promise.
#[test]
fn dicom_sink_passes_the_conformance_suite_on_real_archives() -> Test {
    for kind in ServerKind::ARCHIVES {
        if kind.start(&Setup::default())?.is_none() {
            continue;
        }
        let running = Mutex::new(Vec::new());
        conformance::check(|| {
            let server = kind.start(&Setup::default());
            let server = server
                .expect("the server starts")
                .expect("the server is installed");
            let sink = SettlingSink::new(sink(&server).expect("a sink"), &server);
            let mut running = running.lock().expect("the servers");
            running.clear();
            running.push(server);
            sink
        });
    }
    Ok(())
}

fn key(instance: &Instance) -> Test<ObjectKey> {
    let parts = [
        Corpus::PATIENT,
        Corpus::STUDY,
        &instance.series,
        &instance.uid,
    ];
    Ok(ObjectKey::new(parts)?)
}

fn export(server: &Server, public: &Path) -> Test<ExportReport> {
    let exporter = Exporter::new(Arc::new(sink(server)?));
    let source = DirectorySource::new(public);
    Ok(exporter.export(&source, &Selection::all(), &Cancel::new(), &Quiet)?)
}

/// Returns the data set of each file.
fn data_sets(instances: &[&Instance]) -> Test<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for instance in instances {
        let file = fs::read(&instance.path)?;
        let meta = FileMeta::read(&mut &*file)?;
        let at = usize::try_from(meta.data_set_at)?;
        all.insert(instance.uid.clone(), file.get(at..).ok_or("cut")?.to_vec());
    }
    Ok(all)
}

/// Returns what the archive sends back for each instance, in its original transfer syntax.
fn retrieved(server: &Server, instances: &[&Instance]) -> Test<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for instance in instances {
        let handler = MemoryHandler::new(64 << 20);
        let target = TransferTarget::Instances {
            study: Corpus::STUDY.parse()?,
            series: instance.series.parse()?,
            instances: vec![instance.uid.parse()?],
        };
        let classes = vec![Uid::new(instance.class)?];
        let syntaxes = vec![Uid::new(instance.transfer_syntax)?];
        let request = GetRequest::new(target, classes, syntaxes);
        scu()?.get(
            &node(server)?,
            &request,
            &handler,
            &anon_net::Cancel::new(),
            &mut |_| {},
        )?;
        let data_set = handler.stored(&instance.uid.parse()?);
        all.insert(
            instance.uid.clone(),
            data_set.ok_or("nothing was retrieved")?,
        );
    }
    Ok(all)
}

fn listed(server: &Server) -> Test<BTreeSet<ObjectKey>> {
    let mut all = BTreeSet::new();
    sink(server)?.list(&KeyPart::new(Corpus::PATIENT)?, &mut |listed| {
        all.insert(listed.key);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

/// Every transfer syntax and three modalities in two series are sent, listed, retrieved byte for
/// byte, and not sent again.
#[test]
fn exported_objects_are_retrieved_byte_for_byte() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let directory = tempfile::tempdir()?;
        let accepted = corpus.accepted_by(kind);
        for instance in &corpus.instances {
            let path = directory.path().join(key(instance)?.to_string());
            fs::create_dir_all(path.parent().ok_or("a series")?)?;
            fs::copy(&instance.path, path)?;
        }
        let sent_instances: Vec<&Instance> = corpus
            .instances
            .iter()
            .filter(|it| kind.accepts(it.transfer_syntax) || it.transfer_syntax == DEFLATED)
            .collect();
        let (all, sent) = (corpus.instances.len() as u64, sent_instances.len() as u64);
        let report = export(&server, directory.path())?;
        assert_eq!(report.counts.sent, sent, "{kind:?}: {report:?}");
        // Uncompressed objects are rewritten if the archive does not accept their transfer syntax.
        let rewritten = sent - accepted.len() as u64;
        assert_eq!(report.counts.rewritten, rewritten, "{kind:?}: {report:?}");
        // Compressed ones fail, and the others are sent.
        assert_eq!(report.counts.failed, all - sent, "{kind:?}: {report:?}");
        let expected: Test<BTreeSet<ObjectKey>> = sent_instances.iter().map(|it| key(it)).collect();
        assert_eq!(listed(&server)?, expected?, "{kind:?}");
        let (back, sent_bytes) = (retrieved(&server, &accepted)?, data_sets(&accepted)?);
        for (uid, bytes) in &sent_bytes {
            assert!(
                back.get(uid) == Some(bytes),
                "{kind:?}: {uid} has other bytes"
            );
        }
        let again = export(&server, directory.path())?;
        assert_eq!(
            (again.counts.sent, again.counts.skipped),
            (0, sent),
            "{kind:?}"
        );
    }
    Ok(())
}
