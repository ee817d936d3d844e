//! Checks of the test servers themselves: they start, keep what they were sent, and leave nothing
//! behind.

use std::collections::BTreeSet;
use std::net::TcpStream;

use crate::shared::Test;
use crate::shared::servers::certificates::Authority;
use crate::shared::servers::corpus::Corpus;
use crate::shared::servers::tool::dcmtk;
use crate::shared::servers::{Server, ServerKind, Setup};

/// Returns the SOP instances that a server lists for a series.
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
    let ran = dcmtk("findscu", &server.dcmtk_arguments(&keys))?.succeeds()?;
    Ok(ran.values("(0008,0018)").into_iter().collect())
}

#[test]
fn archives_list_what_they_were_sent() -> Test {
    for kind in ServerKind::ARCHIVES {
        let Some(corpus) = Corpus::new()? else {
            return Ok(());
        };
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let accepted = corpus.accepted_by(kind);
        server.load(&accepted)?;
        for series in ["1", "2"].map(|n| format!("{}.{n}", Corpus::STUDY)) {
            let sent = accepted.iter().filter(|it| it.series == series);
            let sent: BTreeSet<String> = sent.map(|it| it.uid.clone()).collect();
            assert_eq!(images(&server, &series)?, sent, "{kind:?}, series {series}");
        }
    }
    Ok(())
}

#[test]
fn receivers_store_what_they_were_sent() -> Test {
    for (kind, option) in [
        (ServerKind::Storescp, "+xa"),
        (ServerKind::PynetdicomStore, "--quiet"),
    ] {
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
fn archives_send_to_known_nodes() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let Some(receiver) = ServerKind::Storescp.start(&Setup::default().with("--fork"))? else {
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
        dcmtk("movescu", &server.dcmtk_arguments(&keys))?.succeeds()?;
        assert_eq!(receiver.received()?.len(), 2, "{kind:?}");
    }
    Ok(())
}

#[test]
fn tls_servers_require_a_trusted_certificate() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    for kind in [ServerKind::Storescp, ServerKind::Orthanc] {
        let Some(server) = kind.start(&Setup::default().tls(&authority, "server"))? else {
            return Ok(());
        };
        let echo = |more: &[String]| {
            let mut arguments = server.dcmtk_arguments(&["-to", "3", "-ta", "3"]);
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
fn server_without_echo_starts() -> Test {
    let Some(server) =
        ServerKind::Storescp.start(&Setup::default().with("--refuse").without_echo())?
    else {
        return Ok(());
    };
    dcmtk("echoscu", &server.dcmtk_arguments(&[]))?.fails()?;
    Ok(())
}

#[test]
fn failed_start_is_an_error() -> Test {
    let setup = Setup::default().with("--no-such-option");
    match ServerKind::Storescp.start(&setup) {
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
fn stopped_server_leaves_no_process_and_no_files() -> Test {
    use std::time::Duration;

    use crate::shared::servers::process::group;
    use crate::shared::wait;

    for kind in [
        ServerKind::Orthanc,
        ServerKind::Dcmqrscp,
        ServerKind::Pynetdicom,
        ServerKind::PynetdicomStore,
        ServerKind::Storescp,
    ] {
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        let (pid, address) = (server.pid(), server.address());
        // With an open connection dcmqrscp has a child process.
        let connected = TcpStream::connect(address)?;
        let state = server.directory().to_path_buf();
        assert!(
            group(pid)?.len() >= 2,
            "{kind:?}: the server and its watcher"
        );
        drop(server);
        wait::until(
            "the process group has ended",
            Duration::from_secs(5),
            || Ok(group(pid)?.is_empty()),
        )?;
        assert!(
            TcpStream::connect(address).is_err(),
            "{kind:?} still listens"
        );
        assert!(!state.exists(), "{kind:?}: its directory still exists");
        drop(connected);
    }
    Ok(())
}
