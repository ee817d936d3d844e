//! `anon serve`: who may send, which statuses senders get, what is kept, how it ends.

use std::net::{Ipv4Addr, TcpListener};

use anon_engine::testing::files::{
    Canaries, DataSet, LargeImage, Place, Syntax, ct_small, secondary_capture, us_colour,
};
use anon_net::error::{RejectReason, RejectResult};
use anon_net::service::{Cancel, SendItem};
use anon_net::{Error, ServiceError, Status};
use dicom_core::{Tag, VR};
use rustix::process::Signal;
use serde_json::json;

use crate::half_sent::HalfSent;
use crate::serving::{
    CT, EXPLICIT, STORED, Serving, StoreResult, announced, cts, item, scu, statuses, text,
};
use crate::support::{Scene, Test, tree};

const EXPLICIT_SYNTAX: Syntax = Syntax::ExplicitLittle;

fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    Ok(scene)
}

fn ct(n: u32) -> Test<SendItem> {
    item(&ct_small(&Place::nth(7, n, 5)), EXPLICIT_SYNTAX)
}

#[test]
fn serve_reports_its_address_each_association_and_a_summary() -> Test {
    let scene = made()?;
    let mut serving = Serving::start(&scene, &[])?;
    assert_eq!(
        serving.listening,
        json!({"event": "listening", "address": format!("127.0.0.1:{}", serving.port), "aet": "ANONYMIZER"})
    );
    let sender = scu("CT_7")?;
    assert_eq!(
        sender.echo(&serving.node(), &Cancel::new())?,
        Status::SUCCESS
    );
    let echoed = serving.next()?;
    assert_eq!(
        (&echoed["calling"], &echoed["stored"]),
        (&json!("CT_7"), &json!(0))
    );
    assert_eq!(statuses(&sender, &serving.node(), cts(7, 3)?)?, [STORED; 3]);
    let first = serving.next()?;
    let mut again = cts(7, 3)?;
    again.push(item(&secondary_capture(&Place::new(9)), EXPLICIT_SYNTAX)?);
    // Of a class that the project does not take: no context, nothing is sent.
    let answers = statuses(&sender, &serving.node(), again)?;
    assert_eq!(
        answers,
        [STORED, STORED, STORED, StoreResult::ContextRefused]
    );
    let second = serving.next()?;
    for (event, stored, duplicates) in [(&first, 3, 0), (&second, 0, 3)] {
        assert_eq!(event["event"], "association");
        assert_eq!(event["calling"], "CT_7");
        for (field, value) in [
            ("stored", stored),
            ("duplicates", duplicates),
            ("quarantined", 0),
            ("refused", 0),
            ("failed", 0),
        ] {
            assert_eq!(event[field], value, "{field}: {event}");
        }
        assert!(event["seconds"].is_f64() && event["bytes"].as_u64() > Some(30_000));
    }
    assert_eq!(scene.json(&["status"])?.exits(0).summary()?["instances"], 3);
    let summary = serving.stop()?.exits(143).summary()?;
    for (field, value) in [
        ("command", json!("serve")),
        ("associations", json!(3)),
        ("rejected", json!(0)),
        ("stored", json!(3)),
        ("duplicates", json!(3)),
        ("quarantined", json!(0)),
        ("refused", json!(0)),
        ("failed", json!(0)),
        ("drained", json!(true)),
    ] {
        assert_eq!(summary[field], value, "{field}: {summary}");
    }
    assert_eq!(scene.public()?.len(), 3);
    assert!(!scene.project().join("private/control.sock").exists());
    Ok(())
}

#[test]
fn serve_rejects_peers_that_are_not_allowed() -> Test {
    let rejected = |error: Result<Status, ServiceError>| match error {
        Err(ServiceError::Association(Error::Rejected { reason, .. })) => Some(reason),
        _ => None,
    };
    let scene = made()?;
    scene.set("scp.allow_calling", "KNOWN,OTHER")?;
    let serving = Serving::start(&scene, &["--aet", "WARD"])?;
    assert_eq!(serving.listening["aet"], "WARD");
    let wrong = scu("KNOWN")?.echo(&serving.called("ANONYMIZER"), &Cancel::new());
    assert_eq!(rejected(wrong), Some(RejectReason::CalledTitle));
    let stranger = scu("STRANGER")?.echo(&serving.called("WARD"), &Cancel::new());
    assert_eq!(rejected(stranger), Some(RejectReason::CallingTitle));
    assert_eq!(
        scu("OTHER")?.echo(&serving.called("WARD"), &Cancel::new())?,
        Status::SUCCESS
    );
    assert_eq!(serving.stop()?.exits(143).summary()?["rejected"], 2);

    // With scp.check_called = false any called title is accepted.
    scene.set("scp.check_called", "false")?;
    let serving = Serving::start(&scene, &[])?;
    assert_eq!(
        scu("KNOWN")?.echo(&serving.called("ANYBODY"), &Cancel::new())?,
        Status::SUCCESS
    );
    serving.stop()?.exits(143);

    // A peer address that is not in the list is rejected.
    scene.set("scp.allow_peers", "10.0.0.0/8")?;
    let serving = Serving::start(&scene, &[])?;
    let barred = scu("KNOWN")?.echo(&serving.node(), &Cancel::new());
    assert!(
        matches!(barred, Err(ServiceError::Association(_))),
        "{barred:?}"
    );
    serving.stop()?.exits(143);
    scene.set("scp.allow_peers", "10.0.0.0/8,127.0.0.1")?;
    let serving = Serving::start(&scene, &[])?;
    assert_eq!(
        scu("KNOWN")?.echo(&serving.node(), &Cancel::new())?,
        Status::SUCCESS
    );
    serving.stop()?.exits(143);
    Ok(())
}

#[test]
fn serve_listens_to_other_machines_only_with_an_allow_list_or_scp_open() -> Test {
    let scene = made()?;
    let any = ["serve", "--port", "0", "--bind", "0.0.0.0"];
    let refused = scene.json(&any)?.exits(3);
    for key in ["scp.allow_calling", "scp.allow_peers", "scp.open"] {
        assert!(refused.err.contains(key), "{key}: {}", refused.err);
    }
    for (key, value, back) in [
        ("scp.allow_calling", "CT_7", ""),
        ("scp.allow_peers", "127.0.0.1", ""),
        ("scp.open", "true", "false"),
    ] {
        scene.set(key, value)?;
        let serving = Serving::start(&scene, &["--bind", "0.0.0.0"])?;
        assert_eq!(
            scu("CT_7")?.echo(&serving.node(), &Cancel::new())?,
            Status::SUCCESS,
            "{key}"
        );
        let ran = serving.stop()?.exits(143);
        assert!(ran.err.contains("in clear"), "{}", ran.err);
        if back.is_empty() {
            scene.json(&["config", "remove", key, value])?.exits(0);
        } else {
            scene.set(key, back)?;
        }
    }
    // On a loopback address it says how to listen to other machines.
    let ran = Serving::start(&scene, &[])?.stop()?.exits(143);
    assert!(
        ran.err.contains("config set scp.bind 0.0.0.0"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("in clear"), "{}", ran.err);
    Ok(())
}

#[test]
fn serve_explains_why_it_cannot_start() -> Test {
    let scene = made()?;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = taken.local_addr()?.port().to_string();
    let ran = scene.json(&["serve", "--port", &port])?.exits(4);
    assert!(
        ran.err.contains(&format!("127.0.0.1:{port}")),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--port"), "{}", ran.err);
    // It does not say who can reach it, because it does not listen.
    assert!(!ran.err.contains("can reach the receiver"), "{}", ran.err);
    for (args, code) in [
        (&["serve", "--aet", "a\\b"][..], 3),
        (&["serve", "--bind", "no such address"], 3),
        (&["serve", "--port", "70000"], 2),
    ] {
        scene.json(args)?.exits(code);
    }
    // Only one `serve` per project.
    let serving = Serving::start(&scene, &[])?;
    let second = scene.json(&["serve", "--port", "0"])?.exits(4);
    assert!(
        second.err.contains(&serving.pid().to_string()),
        "{}",
        second.err
    );
    serving.stop()?.exits(143);
    let scene = Scene::new()?;
    let none = scene.json(&["serve", "--port", "0"])?.exits(3);
    assert!(none.err.contains("anon -p project init"), "{}", none.err);
    Ok(())
}

/// Replaces the value of one element.
fn with(object: DataSet, tag: u32, vr: VR, value: &str) -> DataSet {
    let [high, low] = [tag >> 16, tag & 0xFFFF].map(|half| u16::try_from(half).unwrap_or(0));
    object.put(Tag(high, low), vr, value)
}

#[test]
fn serve_refuses_bad_objects_with_a_status_and_keeps_nothing() -> Test {
    let scene = made()?;
    scene.set("modalities", "CT,MR")?;
    let serving = Serving::start(&scene, &[])?;
    let place = Place::new(7);
    let object = ct_small(&place);
    let uid = place.instance_uid();
    let whole = object.write_data_set(EXPLICIT_SYNTAX);
    let without = |tag: Tag| object.clone().without(tag).write_data_set(EXPLICIT_SYNTAX);
    let cut = whole.get(..whole.len() / 2).ok_or("long enough")?.to_vec();
    let mismatch = StoreResult::Status(Status::DATA_SET_DOES_NOT_MATCH);
    let not_understood = StoreResult::Status(Status::CANNOT_UNDERSTAND);
    let mr = "1.2.840.10008.5.1.4.1.1.4";
    let table = [
        ("another instance", CT, "1.2.3", whole.clone(), mismatch),
        ("another class", mr, &uid, whole.clone(), mismatch),
        (
            "no instance",
            CT,
            &uid,
            without(Tag(0x0008, 0x0018)),
            mismatch,
        ),
        ("no class", CT, &uid, without(Tag(0x0008, 0x0016)), mismatch),
        ("no study", CT, &uid, without(Tag(0x0020, 0x000D)), mismatch),
        (
            "no series",
            CT,
            &uid,
            without(Tag(0x0020, 0x000E)),
            mismatch,
        ),
        ("cut", CT, &uid, cut, not_understood),
        (
            "noise",
            CT,
            &uid,
            b"this is no data set at all, is it".to_vec(),
            not_understood,
        ),
    ];
    for (what, class, instance, bytes, answer) in table {
        let item = announced(class, instance, EXPLICIT, bytes)?;
        let said = statuses(&scu("CT_7")?, &serving.node(), vec![item])?;
        assert_eq!(said, [answer], "{what}");
    }
    // A correct object is accepted afterwards.
    let good = announced(CT, &uid, EXPLICIT, whole)?;
    assert_eq!(
        statuses(&scu("CT_7")?, &serving.node(), vec![good])?,
        [STORED]
    );
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["refused"], &summary["stored"]),
        (&json!(8), &json!(1))
    );
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(
        (&status["instances"], &status["quarantined"]),
        (&json!(1), &json!({}))
    );
    for directory in ["tmp", "spool", "quarantine"] {
        let left = tree(&scene.project().join("private").join(directory))?;
        assert!(left.is_empty(), "{directory}: {:?}", left.keys());
    }
    Ok(())
}

#[test]
fn serve_quarantines_and_acknowledges_objects_that_the_rules_refuse() -> Test {
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    let first = ct_small(&Place::new(7));
    // The same study under another patient, the same instance with another header, text in the pixels.
    let other_patient = with(
        ct_small(&Place::new(7).instance(2)),
        0x0010_0020,
        VR::LO,
        "SOMEBODY ELSE",
    );
    let changed = with(first.clone(), 0x0008_103E, VR::LO, "changed");
    let burned_in = with(ct_small(&Place::new(8)), 0x0028_0301, VR::CS, "YES");
    let items = [&first, &other_patient, &changed, &burned_in];
    let items = items
        .into_iter()
        .map(|object| item(object, EXPLICIT_SYNTAX));
    let items = items.collect::<Test<Vec<_>>>()?;
    assert_eq!(
        statuses(&scu("CT_7")?, &serving.node(), items)?,
        [STORED; 4]
    );
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (
            &summary["stored"],
            &summary["quarantined"],
            &summary["refused"]
        ),
        (&json!(1), &json!(3), &json!(0))
    );
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(
        status["quarantined"],
        json!({"Burned_In": 1, "Capture_PHI_Error": 2})
    );
    assert_eq!(scene.public()?.len(), 1);
    Ok(())
}

#[test]
fn removed_classes_and_syntaxes_are_refused_from_the_next_association_on() -> Test {
    let scene = made()?;
    scene.set("modalities", "CT,US")?;
    let serving = Serving::start(&scene, &[])?;
    let us = |seed| item(&us_colour(&Place::new(seed)), Syntax::RLE);
    let sender = scu("US_1")?;
    let send = |item: SendItem| statuses(&sender, &serving.node(), vec![item]);
    assert_eq!(send(us(1)?)?, [STORED]);
    // Sends until the change takes effect; a refused object leaves nothing behind.
    let until = |answer: StoreResult, seed: u64| -> Test {
        let deadline = std::time::Instant::now() + crate::serving::LONG;
        while send(us(seed)?)? != [answer] {
            assert!(std::time::Instant::now() < deadline, "{answer:?} in time");
        }
        Ok(())
    };
    scene
        .json(&["config", "remove", "modalities", "US"])?
        .exits(0);
    until(StoreResult::ContextRefused, 1)?;
    assert_eq!(send(ct(0)?)?, [STORED]);
    // A class that was accepted at the start can be accepted again.
    scene.json(&["config", "add", "modalities", "US"])?.exits(0);
    until(STORED, 2)?;
    // The same for a transfer syntax.
    scene.set("transfer_syntaxes", EXPLICIT)?;
    until(StoreResult::ContextRefused, 2)?;
    assert_eq!(send(ct(1)?)?, [STORED]);
    // A class that was not accepted at the start needs a restart.
    scene.json(&["config", "add", "modalities", "SC"])?.exits(0);
    scene.set("transfer_syntaxes", "all")?;
    until(STORED, 3)?;
    let capture = item(&secondary_capture(&Place::new(9)), EXPLICIT_SYNTAX)?;
    assert_eq!(send(capture)?, [StoreResult::ContextRefused]);
    // A settings file that cannot be read changes nothing and is reported.
    scene.write("project/project.toml", b"no settings at all")?;
    let deadline = std::time::Instant::now() + crate::serving::LONG;
    while !serving
        .errors()?
        .contains("the previous settings stay in use")
    {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            serving.errors()?
        );
        assert_eq!(send(ct(2)?)?, [STORED]);
    }
    serving.stop()?.exits(143);
    Ok(())
}

#[test]
fn a_signal_lets_serve_finish_objects_in_progress() -> Test {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let scene = made()?;
        let mut serving = Serving::start(&scene, &[])?;
        let halted = HalfSent::begin(&serving.node(), &Place::new(7))?;
        // Half of the data set has arrived.
        serving.signal(signal)?;
        // The port closes while the object is still in progress.
        let deadline = std::time::Instant::now() + crate::serving::LONG;
        while scu("LATE")?.echo(&serving.node(), &Cancel::new()).is_ok() {
            assert!(std::time::Instant::now() < deadline);
        }
        assert_eq!(halted.finish()?, Status::SUCCESS);
        // Peers that come meanwhile are rejected, and reported too.
        while serving.next()?["stored"] != 1 {}
        let summary = serving.finish()?.exits(code).summary()?;
        assert_eq!(
            (&summary["stored"], &summary["drained"]),
            (&json!(1), &json!(true))
        );
        assert_eq!(scene.public()?.len(), 1);
    }
    Ok(())
}

#[test]
fn serve_honours_association_and_pdu_limits() -> Test {
    for (key, other) in [
        ("scp.max_associations", "scp.max_associations_per_peer"),
        ("scp.max_associations_per_peer", "scp.max_associations"),
    ] {
        let scene = made()?;
        scene.set(key, "1")?;
        scene.set(other, "8")?;
        // A request waits for a place for half of this time.
        scene.set("timeouts.acse", "2")?;
        let serving = Serving::start(&scene, &[])?;
        // An association in use is not closed to admit another.
        let held = HalfSent::begin(&serving.node(), &Place::new(7))?;
        let refused = scu("LATE")?.echo(&serving.node(), &Cancel::new());
        assert!(
            matches!(
                refused,
                Err(ServiceError::Association(Error::Rejected {
                    result: RejectResult::Transient,
                    reason: RejectReason::LocalLimit,
                }))
            ),
            "{key}: {refused:?}"
        );
        assert_eq!(held.finish()?, Status::SUCCESS, "{key}");
        assert_eq!(
            scu("LATE")?.echo(&serving.node(), &Cancel::new())?,
            Status::SUCCESS,
            "{key}"
        );
        assert_eq!(
            serving.stop()?.exits(143).summary()?["rejected"],
            1,
            "{key}"
        );
    }
    for bytes in [16_384_u32, 65_536] {
        let scene = made()?;
        scene.set("scp.max_pdu_bytes", &bytes.to_string())?;
        let serving = Serving::start(&scene, &[])?;
        let held = HalfSent::begin(&serving.node(), &Place::new(7))?;
        assert_eq!(held.max_pdu_bytes(), bytes);
        assert_eq!(held.finish()?, Status::SUCCESS);
        serving.stop()?.exits(143);
    }
    Ok(())
}

/// Returns the peak memory of a process in bytes (proc(5), `VmHWM`).
#[cfg(target_os = "linux")]
pub(crate) fn peak(pid: u32) -> Test<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(words.ok_or("no VmHWM")?.parse::<u64>()? * 1024)
}

#[cfg(target_os = "linux")]
#[test]
fn serve_spools_a_large_object() -> Test {
    let scene = made()?;
    scene.set("modalities", "XA")?;
    let large = LargeImage::new(Place::new(7), 600);
    let path = scene.path().join("large.dcm");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    large.write_to(&mut file)?;
    std::io::Write::flush(&mut file)?;
    let serving = Serving::start(&scene, &[])?;
    let item = SendItem::file(&path);
    assert_eq!(
        statuses(&scu("XA_1")?, &serving.node(), vec![item])?,
        [STORED]
    );
    let peak = peak(serving.pid())?;
    assert!(peak < 256 << 20, "{} MB", peak >> 20);
    serving.stop()?.exits(143);
    let public = scene.public()?;
    let stored = public.values().next().ok_or("nothing is stored")?;
    assert!(stored.len() as u64 > 600 * u64::from(LargeImage::FRAME_BYTES));
    assert!(tree(&scene.project().join("private/spool"))?.is_empty());
    Ok(())
}

#[test]
fn serve_prints_and_logs_no_received_values() -> Test {
    let scene = made()?;
    scene.set("log.level", "trace")?;
    let is_kept = |path: &[Tag]| {
        // The UIDs and the image attributes stay valid.
        !matches!(path, [Tag(0x0008, 0x0016 | 0x0018) | Tag(0x0028, _)])
    };
    let mut object = ct_small(&Place::new(7));
    let canaries = Canaries::plant_where(&mut object, is_kept);
    let serving = Serving::start(&scene, &["-vvv"])?;
    let place = Place::new(7);
    let whole = object.write_data_set(EXPLICIT_SYNTAX);
    let half = whole.get(..whole.len() / 2).ok_or("long enough")?.to_vec();
    let uid = text(&object, Tag(0x0008, 0x0018));
    let other = object.clone().without(Tag(0x0010, 0x0020));
    let items = vec![
        announced(CT, "1.2.3", EXPLICIT, whole.clone())?,
        announced(CT, &uid, EXPLICIT, half)?,
        announced(CT, &uid, EXPLICIT, whole)?,
        item(&other, EXPLICIT_SYNTAX)?,
        item(&object, EXPLICIT_SYNTAX)?,
    ];
    let said = statuses(&scu("CT_7")?, &serving.node(), items)?;
    assert_eq!(said.len(), 5);
    let ran = serving.stop()?.exits(143);
    let mut texts = tree(&scene.project().join("private/logs"))?;
    assert!(!texts.is_empty());
    assert!(
        ran.err.contains("TRACE"),
        "it tells all that there is: {}",
        ran.err
    );
    texts.insert("standard error".into(), ran.err.into_bytes());
    texts.insert("standard output".into(), ran.out.into_bytes());
    for (name, text) in texts {
        let found = canaries.found_in(&text);
        assert!(found.is_empty(), "{name}: {found:?}");
        for value in [
            place.patient_id(),
            place.patient_name(),
            uid.clone(),
            place.study_uid(),
        ] {
            let held = String::from_utf8_lossy(&text).contains(&value);
            assert!(!held, "{name} holds {value}");
        }
    }
    Ok(())
}
