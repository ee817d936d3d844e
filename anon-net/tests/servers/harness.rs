//! The servers start, hold what they were sent, and end without a trace: what every other test here
//! stands on.

use std::collections::BTreeSet;
use std::net::TcpStream;

use crate::shared::Test;
use crate::shared::servers::certificates::Authority;
use crate::shared::servers::corpus::Corpus;
use crate::shared::servers::tool::dcmtk;
use crate::shared::servers::{Kind, Server, Setup};

/// The SOP instances that a server says it has of a series.
fn images(server: &Server, series: &str) -> Test<BTreeSet<String>> {
    let series = format!("SeriesInstanceUID={series}");
    let study = format!("StudyInstanceUID={}", Corpus::STUDY);
    let keys = [
        "-S",
        "-k",
        "QueryRetrieveLevel=IMAGE",
        "-k",
        &study,
        "-k",
        &series,
        "-k",
        "SOPInstanceUID",
    ];
    let ran = dcmtk("findscu", &server.called(&keys))?.succeeds()?;
    Ok(ran.values("(0008,0018)").into_iter().collect())
}

#[test]
fn archives_hold_what_they_are_sent() -> Test {
    for kind in Kind::ARCHIVES {
        let Some(corpus) = Corpus::new()? else {
            return Ok(());
        };
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let taken = corpus.taken_by(kind);
        server.load(&taken)?;
        for series in ["1", "2"].map(|n| format!("{}.{n}", Corpus::STUDY)) {
            let sent = taken.iter().filter(|it| it.series == series);
            let sent: BTreeSet<String> = sent.map(|it| it.uid.clone()).collect();
            assert_eq!(images(&server, &series)?, sent, "{kind:?}, series {series}");
        }
    }
    Ok(())
}

#[test]
fn receivers_keep_what_they_are_sent() -> Test {
    for (kind, option) in [(Kind::Storescp, "+xa"), (Kind::PynetdicomStore, "--quiet")] {
        let Some(corpus) = Corpus::new()? else {
            return Ok(());
        };
        let Some(server) = kind.start(&Setup::default().with(option))? else {
            continue;
        };
        server.load(&corpus.instances.iter().collect::<Vec<_>>())?;
        assert_eq!(server.received()?.len(), corpus.instances.len(), "{kind:?}");
    }
    Ok(())
}

#[test]
fn archives_send_to_nodes_they_know() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in Kind::ARCHIVES {
        let Some(receiver) = Kind::Storescp.start(&Setup::default().with("--fork"))? else {
            return Ok(());
        };
        let knows = Setup::default().knows("MOVER", receiver.address().port());
        let Some(server) = kind.start(&knows)? else {
            continue;
        };
        server.load(&[&corpus.instances[0], &corpus.instances[1]])?;
        let study = format!("StudyInstanceUID={}", Corpus::STUDY);
        let keys = [
            "-S",
            "-aem",
            "MOVER",
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            &study,
        ];
        dcmtk("movescu", &server.called(&keys))?.succeeds()?;
        assert_eq!(receiver.received()?.len(), 2, "{kind:?}");
    }
    Ok(())
}

#[test]
fn tls_servers_want_the_right_certificate() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    for kind in [Kind::Storescp, Kind::Orthanc] {
        let Some(server) = kind.start(&Setup::default().tls(&authority, "server"))? else {
            return Ok(());
        };
        let echo = |more: &[String]| {
            let mut arguments = server.called(&["-to", "3", "-ta", "3"]);
            arguments.extend_from_slice(more);
            dcmtk("echoscu", &arguments)
        };
        echo(&authority.identity("client").dcmtk())?.succeeds()?;
        for name in ["stranger", "expired"] {
            echo(&authority.identity(name).dcmtk())?.fails()?;
        }
        let anonymous = ["+tla", "+cf", &authority.trusted().to_string_lossy()].map(str::to_owned);
        echo(&anonymous)?.fails()?;
        echo(&[])?.fails()?;
        let mut distrusting = authority.identity("client");
        distrusting.trusted = authority.distrusted();
        echo(&distrusting.dcmtk())?.fails()?;
    }
    Ok(())
}

#[test]
fn a_server_that_answers_nothing_is_started_too() -> Test {
    let Some(server) = Kind::Storescp.start(&Setup::default().with("--refuse").mute())? else {
        return Ok(());
    };
    dcmtk("echoscu", &server.called(&[]))?.fails()?;
    Ok(())
}

#[test]
fn a_server_that_cannot_start_is_an_error() -> Test {
    let setup = Setup::default().with("--no-such-option");
    match Kind::Storescp.start(&setup) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err("started".into()),
        Err(error) => {
            assert!(error.to_string().contains("--no-such-option"), "{error}");
            Ok(())
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_of_a_stopped_server() -> Test {
    use std::time::Duration;

    use crate::shared::servers::process::group;
    use crate::shared::wait;

    for kind in [
        Kind::Orthanc,
        Kind::Dcmqrscp,
        Kind::Pynetdicom,
        Kind::PynetdicomStore,
        Kind::Storescp,
    ] {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let (pid, address) = (server.pid(), server.address());
        // Someone is connected: dcmqrscp has forked a child.
        let connected = TcpStream::connect(address)?;
        let state = server.directory().to_path_buf();
        assert!(
            group(pid)?.len() >= 2,
            "{kind:?}: the server and its watcher"
        );
        drop(server);
        wait::until("the group is gone", Duration::from_secs(5), || {
            Ok(group(pid)?.is_empty())
        })?;
        assert!(TcpStream::connect(address).is_err(), "{kind:?} listens");
        assert!(!state.exists(), "{kind:?}: its directory is there");
        drop(connected);
    }
    Ok(())
}
