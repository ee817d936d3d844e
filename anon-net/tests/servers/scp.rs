//! Other implementations send to our SCP: DCMTK's tools, and archives by C-MOVE.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anon_net::scp::RunningScp;
use anon_net::tls::ServerTls;

use crate::node::{self, Inbox};
use crate::shared::Test;
use crate::shared::servers::certificates::Authority;
use crate::shared::servers::corpus::{Corpus, Instance, UNCOMPRESSED};
use crate::shared::servers::dependency::{Dependency, are_installed};
use crate::shared::servers::tool::{ToolOutput, dcmtk};
use crate::shared::servers::{ServerKind, Setup};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs a DCMTK tool that calls our SCP.
fn call(scp: &RunningScp, tool: &str, options: &[&str], files: &[&Instance]) -> Test<ToolOutput> {
    call_as(scp, node::TITLE, tool, options, files)
}

fn call_as(
    scp: &RunningScp,
    title: &str,
    tool: &str,
    options: &[&str],
    files: &[&Instance],
) -> Test<ToolOutput> {
    let port = scp.local_addr().port().to_string();
    let peer = [options, &["-aec", title, "127.0.0.1", &port]].concat();
    let mut arguments: Vec<String> = peer.into_iter().map(str::to_owned).collect();
    let paths = files.iter().map(|it| it.path.to_string_lossy());
    arguments.extend(paths.map(std::borrow::Cow::into_owned));
    dcmtk(tool, &arguments)
}

/// Returns the transfer syntaxes by SOP Instance UID.
fn syntaxes<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> BTreeMap<String, String> {
    let instances = instances.into_iter();
    instances
        .map(|it| (it.uid.clone(), it.transfer_syntax.to_owned()))
        .collect()
}

fn received(inbox: &Inbox, count: usize) -> BTreeMap<String, String> {
    let received = inbox.wait_for(count, TIMEOUT).into_iter();
    received
        .map(|(uid, (syntax, bytes))| {
            assert!(bytes > 1000, "{uid} has {bytes} bytes");
            (uid, syntax)
        })
        .collect()
}

#[test]
fn echoscu_gets_a_response() -> Test {
    if !are_installed(&[Dependency::Dcmtk])? {
        return Ok(());
    }
    let scp = node::listen(&Arc::<Inbox>::default(), |builder| builder)?;
    call(&scp, "echoscu", &[], &[])?.succeeds()?;
    call(&scp, "echoscu", &["--repeat", "50"], &[])?.succeeds()?;
    // As many contexts and transfer syntaxes as possible.
    let many = ["--propose-ts", "38", "--propose-pc", "128"];
    call(&scp, "echoscu", &many, &[])?.succeeds()?;
    call(&scp, "echoscu", &["--abort"], &[])?.succeeds()?;
    call_as(&scp, "SOMEBODY", "echoscu", &[], &[])?.fails()?;
    Ok(())
}

/// Our SCP has no query service: it rejects the contexts, and the next association is served.
#[test]
fn contexts_of_findscu_and_movescu_are_rejected() -> Test {
    if !are_installed(&[Dependency::Dcmtk])? {
        return Ok(());
    }
    let scp = node::listen(&Arc::<Inbox>::default(), |builder| builder)?;
    let keys = [
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "StudyInstanceUID=1.2",
    ];
    for (tool, options) in [
        ("findscu", &["-S"][..]),
        ("findscu", &["-P"]),
        ("findscu", &["-W"]),
        ("movescu", &["-S", "-aem", "ANYBODY"]),
        ("movescu", &["-P", "-aem", "ANYBODY"]),
        ("getscu", &["-S"]),
    ] {
        let output = call(&scp, tool, &[options, &keys].concat(), &[])?.fails()?;
        assert!(
            output.text.contains("Presentation Context"),
            "{tool} {options:?}: {}",
            output.text
        );
        call(&scp, "echoscu", &[], &[])?.succeeds()?;
    }
    Ok(())
}

#[test]
fn dcmsend_can_send_every_transfer_syntax() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let inbox = Arc::new(Inbox::default());
    let scp = node::listen(&inbox, |builder| builder)?;
    let all: Vec<&Instance> = corpus.instances.iter().collect();
    call(&scp, "dcmsend", &["--decompress-never"], &all)?.succeeds()?;
    let mut sent = syntaxes(all.iter().copied());
    // dcmsend converts all uncompressed ones to this one.
    for syntax in sent.values_mut() {
        if UNCOMPRESSED.contains(&syntax.as_str()) {
            "1.2.840.10008.1.2.1".clone_into(syntax);
        }
    }
    assert_eq!(received(&inbox, all.len()), sent);
    assert_eq!(scp.totals().opened, 1, "one association for all");
    Ok(())
}

#[test]
fn storescu_can_send_each_transfer_syntax() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for instance in &corpus.instances {
        let option = instance.option;
        let inbox = Arc::new(Inbox::default());
        let scp = node::listen(&inbox, |builder| builder)?;
        call(&scp, "storescu", &[option, "--required"], &[instance])?
            .succeeds()
            .map_err(|error| format!("{option}: {error}"))?;
        assert_eq!(received(&inbox, 1), syntaxes([instance]), "{option}");
    }
    Ok(())
}

#[test]
fn pdus_of_any_size_are_received() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let sizes = [("4096", "131072"), ("131072", "4096"), ("131072", "131072")];
    for (max_pdu, max_send) in sizes {
        let inbox = Arc::new(Inbox::default());
        let scp = node::listen(&inbox, |builder| builder)?;
        let options = ["--max-pdu", max_pdu, "--max-send-pdu", max_send];
        call(&scp, "storescu", &options, &[&corpus.instances[0]])?.succeeds()?;
        assert_eq!(received(&inbox, 1).len(), 1, "{max_pdu}, {max_send}");
    }
    Ok(())
}

/// Archives send a study unchanged by C-MOVE.
#[test]
fn archives_move_studies_to_our_scp() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let inbox = Arc::new(Inbox::default());
        let scp = node::listen(&inbox, |builder| builder)?;
        let knows = Setup::default().knows(node::TITLE, scp.local_addr().port());
        let Some(archive) = kind.start(&knows)? else {
            continue;
        };
        let accepted = corpus.accepted_by(kind);
        archive.load(&accepted)?;
        let study = format!("StudyInstanceUID={}", Corpus::STUDY);
        let keys = [
            "-S",
            "-aem",
            node::TITLE,
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            &study,
        ];
        dcmtk("movescu", &archive.dcmtk_arguments(&keys))?.succeeds()?;
        let (received, sent) = (received(&inbox, accepted.len()), syntaxes(accepted));
        // dcmqrscp proposes one transfer syntax for all uncompressed instances.
        if kind == ServerKind::Dcmqrscp {
            assert!(received.keys().eq(sent.keys()), "{kind:?}: {received:?}");
        } else {
            assert_eq!(received, sent, "{kind:?}");
        }
    }
    Ok(())
}

#[test]
fn tls_requires_a_trusted_certificate() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let shown = authority.identity("server");
    let tls = ServerTls::mutual(&shown.certificate, &shown.key, &authority.trusted())?;
    let inbox = Arc::new(Inbox::default());
    let scp = node::listen(&inbox, |builder| builder.tls(tls))?;
    let call_with = |identity: &[String], tool: &str, files: &[&Instance]| {
        let options: Vec<&str> = identity.iter().map(String::as_str).collect();
        let options = [&["-to", "5", "-ta", "5"], &options[..]].concat();
        call(&scp, tool, &options, files)
    };
    let right = authority.identity("client").dcmtk();
    call_with(&right, "echoscu", &[])?.succeeds()?;
    call_with(&right, "storescu", &[&corpus.instances[0]])?.succeeds()?;
    for wrong in ["stranger", "expired"] {
        let wrong = authority.identity(wrong).dcmtk();
        call_with(&wrong, "echoscu", &[])?.fails()?;
    }
    let anonymous = ["+tla", "+cf", &authority.trusted().to_string_lossy()].map(str::to_owned);
    call_with(&anonymous, "echoscu", &[])?.fails()?;
    call_with(&[], "echoscu", &[])?.fails()?;
    let mut distrusting = authority.identity("client");
    distrusting.trusted = authority.distrusted();
    call_with(&distrusting.dcmtk(), "echoscu", &[])?.fails()?;
    assert_eq!(received(&inbox, 1).len(), 1);
    assert_eq!(
        scp.totals().opened,
        2,
        "the two associations of the trusted client"
    );
    Ok(())
}
