//! Others send to our SCP: DCMTK's tools of their own accord, archives because they are asked to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anon_net::scp::RunningScp;
use anon_net::tls::ServerTls;

use crate::node::{self, Inbox};
use crate::shared::Test;
use crate::shared::servers::certificates::Authority;
use crate::shared::servers::corpus::{Corpus, Instance, UNCOMPRESSED};
use crate::shared::servers::need::{Need, here};
use crate::shared::servers::tool::{Ran, dcmtk};
use crate::shared::servers::{Kind, Setup};

const SOON: Duration = Duration::from_secs(20);

/// Runs a DCMTK tool that calls our SCP.
fn call(scp: &RunningScp, tool: &str, options: &[&str], files: &[&Instance]) -> Test<Ran> {
    call_as(scp, node::TITLE, tool, options, files)
}

fn call_as(
    scp: &RunningScp,
    title: &str,
    tool: &str,
    options: &[&str],
    files: &[&Instance],
) -> Test<Ran> {
    let port = scp.local_addr().port().to_string();
    let peer = [options, &["-aec", title, "127.0.0.1", &port]].concat();
    let mut arguments: Vec<String> = peer.into_iter().map(str::to_owned).collect();
    let paths = files.iter().map(|it| it.path.to_string_lossy());
    arguments.extend(paths.map(std::borrow::Cow::into_owned));
    dcmtk(tool, &arguments)
}

/// SOP instance UIDs and transfer syntaxes.
fn syntaxes<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> BTreeMap<String, String> {
    let instances = instances.into_iter();
    instances
        .map(|it| (it.uid.clone(), it.transfer_syntax.to_owned()))
        .collect()
}

fn came(inbox: &Inbox, count: usize) -> BTreeMap<String, String> {
    let came = inbox.wait_for(count, SOON).into_iter();
    came.map(|(uid, (syntax, bytes))| {
        assert!(bytes > 1000, "{uid} has {bytes} bytes");
        (uid, syntax)
    })
    .collect()
}

#[test]
fn echoscu_is_answered() -> Test {
    if !here(&[Need::Dcmtk])? {
        return Ok(());
    }
    let scp = node::listen(&Arc::<Inbox>::default(), |builder| builder)?;
    call(&scp, "echoscu", &[], &[])?.succeeds()?;
    call(&scp, "echoscu", &["--repeat", "50"], &[])?.succeeds()?;
    // More contexts and transfer syntaxes than anyone needs.
    let many = ["--propose-ts", "38", "--propose-pc", "128"];
    call(&scp, "echoscu", &many, &[])?.succeeds()?;
    call(&scp, "echoscu", &["--abort"], &[])?.succeeds()?;
    call_as(&scp, "SOMEBODY", "echoscu", &[], &[])?.fails()?;
    Ok(())
}

/// We answer no queries: who asks is told so when the association opens, and the next is served.
#[test]
fn findscu_and_movescu_are_refused() -> Test {
    if !here(&[Need::Dcmtk])? {
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
        let asked = call(&scp, tool, &[options, &keys].concat(), &[])?.fails()?;
        assert!(
            asked.text.contains("Presentation Context"),
            "{tool} {options:?}: {}",
            asked.text
        );
        call(&scp, "echoscu", &[], &[])?.succeeds()?;
    }
    Ok(())
}

#[test]
fn dcmsend_sends_every_transfer_syntax() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let inbox = Arc::new(Inbox::default());
    let scp = node::listen(&inbox, |builder| builder)?;
    let all: Vec<&Instance> = corpus.instances.iter().collect();
    call(&scp, "dcmsend", &["--decompress-never"], &all)?.succeeds()?;
    let mut sent = syntaxes(all.iter().copied());
    // It makes one of all that is not compressed.
    for syntax in sent.values_mut() {
        if UNCOMPRESSED.contains(&syntax.as_str()) {
            "1.2.840.10008.1.2.1".clone_into(syntax);
        }
    }
    assert_eq!(came(&inbox, all.len()), sent);
    assert_eq!(scp.totals().opened, 1, "one association for all");
    Ok(())
}

#[test]
fn storescu_sends_each_transfer_syntax() -> Test {
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
        assert_eq!(came(&inbox, 1), syntaxes([instance]), "{option}");
    }
    Ok(())
}

#[test]
fn pdus_of_any_size_come_through() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let sizes = [("4096", "131072"), ("131072", "4096"), ("131072", "131072")];
    for (max_pdu, max_send) in sizes {
        let inbox = Arc::new(Inbox::default());
        let scp = node::listen(&inbox, |builder| builder)?;
        let options = ["--max-pdu", max_pdu, "--max-send-pdu", max_send];
        call(&scp, "storescu", &options, &[&corpus.instances[0]])?.succeeds()?;
        assert_eq!(came(&inbox, 1).len(), 1, "{max_pdu}, {max_send}");
    }
    Ok(())
}

/// Archives send what they have, as they have it, in one move of the study.
#[test]
fn archives_move_to_us() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in Kind::ARCHIVES {
        let inbox = Arc::new(Inbox::default());
        let scp = node::listen(&inbox, |builder| builder)?;
        let knows = Setup::default().knows(node::TITLE, scp.local_addr().port());
        let Some(archive) = kind.start(&knows)? else {
            continue;
        };
        let taken = corpus.taken_by(kind);
        archive.load(&taken)?;
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
        dcmtk("movescu", &archive.called(&keys))?.succeeds()?;
        let (got, sent) = (came(&inbox, taken.len()), syntaxes(taken));
        // dcmqrscp proposes one transfer syntax of its own choice for all that it has uncompressed.
        if kind == Kind::Dcmqrscp {
            assert!(got.keys().eq(sent.keys()), "{kind:?}: {got:?}");
        } else {
            assert_eq!(got, sent, "{kind:?}");
        }
    }
    Ok(())
}

#[test]
fn tls_wants_the_right_certificate() -> Test {
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
    let as_whom = |identity: &[String], tool: &str, files: &[&Instance]| {
        let options: Vec<&str> = identity.iter().map(String::as_str).collect();
        let options = [&["-to", "5", "-ta", "5"], &options[..]].concat();
        call(&scp, tool, &options, files)
    };
    let right = authority.identity("client").dcmtk();
    as_whom(&right, "echoscu", &[])?.succeeds()?;
    as_whom(&right, "storescu", &[&corpus.instances[0]])?.succeeds()?;
    for wrong in ["stranger", "expired"] {
        let wrong = authority.identity(wrong).dcmtk();
        as_whom(&wrong, "echoscu", &[])?.fails()?;
    }
    let anonymous = ["+tla", "+cf", &authority.trusted().to_string_lossy()].map(str::to_owned);
    as_whom(&anonymous, "echoscu", &[])?.fails()?;
    as_whom(&[], "echoscu", &[])?.fails()?;
    let mut distrusting = authority.identity("client");
    distrusting.trusted = authority.distrusted();
    as_whom(&distrusting.dcmtk(), "echoscu", &[])?.fails()?;
    assert_eq!(came(&inbox, 1).len(), 1);
    assert_eq!(scp.totals().opened, 2, "the two of the right client");
    Ok(())
}
