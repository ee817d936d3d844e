//! What `anon serve` reports: every object that was offered, and why nothing comes in.

use std::collections::BTreeMap;

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use anon_net::association::ul::UlDial;
use anon_net::dimse::{Incoming, Request, receive_command, send, send_with};
use anon_net::{
    Association, Cancel, Command, ContextId, Contexts, Dial, Operation, Pdv, PdvKind, PdvPosition,
    Proposal, Status, StatusClass,
};
use dicom_core::{Tag, VR};
use serde_json::{Value, json};

use crate::serving::{
    CT, EXPLICIT, LONG, Serving, StoreResult, announced, item, scu, statuses, uid,
};
use crate::support::{Run, Scene, Test, tree};

const IMPLICIT: &str = "1.2.840.10008.1.2";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene
        .run(&["init", "project", "--site-id", "7", "--modalities", "CT"])?
        .exits(0);
    Ok(scene)
}

/// Returns the events with this name.
fn named(run: &Run, name: &str) -> Test<Vec<Value>> {
    let mut events = run.events()?;
    events.retain(|event| event["event"] == name);
    Ok(events)
}

fn log(scene: &Scene) -> Test<String> {
    let logs = tree(&scene.project().join("private/logs"))?;
    let bytes = logs.get("anon.log").ok_or("a log")?;
    Ok(String::from_utf8(bytes.clone())?)
}

/// A peer that counts the responses to what it offers.
struct Peer {
    association: Box<dyn Association>,
    context: ContextId,
    offered: u64,
    statuses: BTreeMap<String, u64>,
    comments: Vec<String>,
}

impl Peer {
    fn dial(serving: &Serving) -> Test<Self> {
        let mut contexts = Contexts::new();
        let context = contexts.add(uid(CT)?, vec![uid(EXPLICIT)?])?;
        let proposal = Proposal::new("CT_7".parse()?, contexts);
        Ok(Self {
            association: UlDial::new().dial(&serving.node(), &proposal, LONG)?,
            context,
            offered: 0,
            statuses: BTreeMap::new(),
            comments: Vec::new(),
        })
    }

    fn request(&self, instance: &str) -> Test<Request> {
        let number = u16::try_from(self.offered + 1)?;
        let request = Request::new(Operation::Store, number, uid(CT)?);
        Ok(request.with_instance(instance.parse()?))
    }

    fn offer(&mut self, request: Request, mut bytes: &[u8]) -> Test {
        let command = Command::Request(request);
        send_with(
            &mut *self.association,
            self.context,
            &command,
            &mut bytes,
            LONG,
        )?;
        self.response()
    }

    fn offer_object(&mut self, object: &DataSet, instance: &str) -> Test {
        let request = self.request(instance)?;
        self.offer(request, &object.write_data_set(Syntax::ExplicitLittle))
    }

    /// Sends a command set or data set unchanged.
    fn put(&mut self, kind: PdvKind, position: PdvPosition, bytes: &[u8]) -> Test {
        let context = self.context;
        let pdv = Pdv {
            context,
            kind,
            position,
            bytes,
        };
        Ok(self.association.send(&[pdv], LONG)?)
    }

    fn response(&mut self) -> Test {
        let response = match receive_command(&mut *self.association, LONG)? {
            Incoming::Message {
                command: Command::Response(response),
                ..
            } => response,
            other => return Err(format!("no response: {other:?}").into()),
        };
        self.offered += 1;
        *self
            .statuses
            .entry(response.status.to_string())
            .or_default() += 1;
        if response.status.class() == StatusClass::Failure {
            let comment = response.comment.ok_or("an Error Comment")?;
            assert!(comment.len() <= 64, "{comment}");
            self.comments.push(comment);
        } else {
            assert_eq!(response.comment, None);
        }
        Ok(())
    }

    /// Aborts in the middle of an object. Returns how many were offered.
    fn abort_in_the_middle(mut self, instance: &str, bytes: &[u8]) -> Test<u64> {
        let command = Command::Request(self.request(instance)?);
        send(&mut *self.association, self.context, &command, LONG)?;
        self.put(PdvKind::Data, PdvPosition::More, bytes)?;
        self.association.abort();
        Ok(self.offered + 1)
    }
}

/// The command set of a C-STORE request whose SOP instance UID is a path.
fn with_a_path_as_uid(request: &Request) -> Vec<u8> {
    let mut bytes = Command::Request(request.clone()).encode();
    let uid = request.sop_instance.as_ref().map_or("", |uid| uid.expose());
    let at = bytes
        .windows(uid.len())
        .rposition(|it| it == uid.as_bytes());
    if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
        *byte = b'/';
    }
    bytes
}

/// Sequences in sequences, deeper than any object may be.
fn too_deep() -> Vec<u8> {
    let level = [
        &[8, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255][..],
        &[0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255],
    ];
    level.concat().repeat(1000)
}

/// Whatever becomes of an object, it is counted, and logged with its status.
#[test]
fn the_sums_of_serve_equal_what_a_peer_counted_that_aborts_in_the_middle() -> Test {
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    let place = Place::new(7);
    let instance = place.instance_uid();
    let object = ct_small(&place);
    let whole = object.write_data_set(Syntax::ExplicitLittle);
    let burned_in = ct_small(&Place::new(8)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    let mut peer = Peer::dial(&serving)?;
    peer.offer_object(&object, &instance)?;
    peer.offer_object(&object, &instance)?;
    peer.offer_object(&burned_in, &Place::new(8).instance_uid())?;
    // Another instance, no study, cut in two, sequences beyond the limit.
    peer.offer_object(&object, "1.2.3")?;
    peer.offer_object(&object.clone().without(Tag(0x0020, 0x000D)), &instance)?;
    let request = peer.request(&instance)?;
    peer.offer(request, whole.get(..whole.len() / 2).ok_or("long enough")?)?;
    let request = peer.request(&instance)?;
    peer.offer(request, &too_deep())?;
    // No SOP instance UID, an invalid one.
    let mut request = peer.request(&instance)?;
    request.sop_instance = None;
    peer.offer(request, &whole)?;
    let command = with_a_path_as_uid(&peer.request(&instance)?);
    peer.put(PdvKind::Command, PdvPosition::Last, &command)?;
    peer.put(PdvKind::Data, PdvPosition::Last, b"anything")?;
    peer.response()?;
    let statuses = peer.statuses.clone();
    let comments = peer.comments.clone();
    let offered = peer.abort_in_the_middle(&instance, &whole[..100])?;

    let mut serving = serving;
    let mut seen = Vec::new();
    while seen
        .last()
        .is_none_or(|event: &Value| event["event"] != "association")
    {
        seen.push(serving.next()?);
    }
    let run = serving.stop()?.exits(143);
    let association = named(&run, "association")?.pop().ok_or("an association")?;
    let summary = run.summary()?;
    let count = |status: &str| statuses.get(status).copied().unwrap_or(0);
    let failures = statuses.values().sum::<u64>() - count("0000");
    for counts in [&association, &summary] {
        let of = |field: &str| counts[field].as_u64().unwrap_or(0);
        assert_eq!(of("offered"), offered, "{counts}");
        assert_eq!(
            of("stored") + of("duplicates") + of("quarantined"),
            count("0000")
        );
        assert_eq!((of("refused"), of("failed")), (failures, 1), "{counts}");
        let taken = (of("stored"), of("duplicates"), of("quarantined"));
        assert_eq!(taken, (1, 1, 1), "{counts}");
    }
    assert_eq!(summary["unfinished"], 0);
    assert_eq!((count("A900"), count("0115"), count("0117")), (2, 1, 1));
    assert_eq!(
        (&association["ended"], &association["end"]),
        (&json!("aborted"), &json!("aborted by the peer"))
    );

    // An event, with status and reason, for each object that was not stored; the log has them too.
    let objects = named(&run, "object")?;
    let mut told = BTreeMap::<String, u64>::new();
    for object in &objects {
        assert!(
            object["reason"].as_str().is_some_and(|it| !it.is_empty()),
            "{object}"
        );
        let status = object["status"].as_str().unwrap_or("none").to_owned();
        *told.entry(status).or_default() += 1;
    }
    let mut expected = statuses.clone();
    expected.insert("0000".into(), 1); // The quarantined one.
    expected.insert("none".into(), 1);
    assert_eq!(told, expected);
    let log = log(&scene)?;
    for status in statuses.keys() {
        assert!(log.contains(&format!("status={status}")), "{status}: {log}");
    }
    let warned = "CT_7: an object was not stored (refused, status A900): the object's SOP Instance UID is not";
    assert!(run.err.contains(warned), "{}", run.err);
    assert!(
        comments.contains(&"the object's SOP Instance UID is not the one announced".to_owned()),
        "{comments:?}"
    );
    for value in [
        place.patient_id(),
        place.patient_name(),
        instance,
        place.study_uid(),
    ] {
        for text in [&log, &run.err, &run.out, &comments.join("\n")] {
            assert!(!text.contains(&value), "{value}: {text}");
        }
    }
    Ok(())
}

#[test]
fn an_administrator_sees_why_nothing_comes_in() -> Test {
    let scene = made()?;
    scene.set("scp.allow_calling", "KNOWN")?;
    scene.set("transfer_syntaxes", EXPLICIT)?;
    let serving = Serving::start(&scene, &[])?;
    let known = scu("KNOWN")?;
    // An AE title that is not allowed, ten times; a wrong one of ours.
    for _ in 0..10 {
        assert!(scu("CT 7")?.echo(&serving.node(), &Cancel::new()).is_err());
    }
    assert!(known.echo(&serving.called("PACS"), &Cancel::new()).is_err());
    // A class and a transfer syntax that are not accepted; an object that is not as announced.
    let object = ct_small(&Place::new(7));
    let bytes = |syntax| object.write_data_set(syntax);
    let refused = StoreResult::ContextRefused;
    let a900 = StoreResult::Status(Status::DATA_SET_DOES_NOT_MATCH);
    let mr = announced(MR, "1.2.3", EXPLICIT, bytes(Syntax::ExplicitLittle))?;
    let implicit = announced(CT, "1.2.3", IMPLICIT, bytes(Syntax::ImplicitLittle))?;
    let other = announced(CT, "1.2.3", EXPLICIT, bytes(Syntax::ExplicitLittle))?;
    for (item, answer) in [(mr, refused), (implicit, refused), (other, a900)] {
        assert_eq!(statuses(&known, &serving.node(), vec![item])?, [answer]);
    }
    let good = item(&object, Syntax::ExplicitLittle)?;
    statuses(&known, &serving.node(), vec![good])?;
    let run = serving.stop()?.exits(143);

    let rejected = named(&run, "rejected")?;
    assert_eq!(rejected.len(), 11);
    let first = &rejected[0];
    assert_eq!(
        (&first["calling"], &first["called"]),
        (&json!("CT 7"), &json!("ANONYMIZER"))
    );
    assert_eq!(first["reason"], "calling");
    assert!(
        first["address"]
            .as_str()
            .is_some_and(|it| it.starts_with("127.0.0.1:"))
    );
    let last = &rejected[10];
    assert_eq!(
        (&last["calling"], &last["called"], &last["reason"]),
        (&json!("KNOWN"), &json!("PACS"), &json!("called"))
    );

    let associations = named(&run, "association")?;
    let contexts: Vec<_> = associations
        .iter()
        .map(|it| &it["contexts_refused"])
        .collect();
    let class = |uid, name, syntaxes| json!([{"sop_class": uid, "name": name, "transfer_syntaxes": syntaxes}]);
    assert!(
        contexts.contains(&&class(MR, "MR Image Storage", json!([]))),
        "{contexts:?}"
    );
    assert!(
        contexts.contains(&&class(CT, "CT Image Storage", json!([IMPLICIT]))),
        "{contexts:?}"
    );
    let last = associations.last().ok_or("associations")?;
    assert_eq!(last["ended"], "released", "{last}");
    let objects = named(&run, "object")?;
    assert_eq!(objects.len(), 1);
    assert_eq!(
        (&objects[0]["status"], &objects[0]["sop_class"]),
        (&json!("A900"), &json!(CT))
    );

    let (err, log) = (&run.err, log(&scene)?);
    for words in [
        "CT 7 at 127.0.0.1 was rejected: its AE title is not in scp.allow_calling",
        "anon -p project config add scp.allow_calling 'CT 7'",
        "(10 times so far)",
        "it calls PACS, and this receiver is ANONYMIZER",
        "KNOWN offers MR Image Storage",
        "config add modalities MR",
        &format!("KNOWN offers CT Image Storage ({CT}) in {IMPLICIT}"),
        &format!("config add transfer_syntaxes {IMPLICIT}"),
        "status A900): the object's SOP Instance UID is not the one announced",
    ] {
        assert!(err.contains(words), "{words}: {err}");
    }
    assert_eq!(err.matches("CT 7 at 127.0.0.1").count(), 2, "{err}");
    for words in [
        "calling=CT 7",
        "called=PACS",
        MR,
        IMPLICIT,
        "status=A900",
        "end=released",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    Ok(())
}

/// A damaged object, or a peer, may name the UID of somebody's instance as its SOP class or transfer
/// syntax. The administrator learns how to accept a private one all the same.
#[test]
fn uids_that_the_standard_does_not_list_are_not_printed_or_logged() -> Test {
    const CANARY: &str = "1.2.840.777888999.4.1";
    let scene = made()?;
    scene.set("log.level", "trace")?;
    let serving = Serving::start(&scene, &["-vvv"])?;
    let peer = scu("KNOWN")?;
    let object = ct_small(&Place::new(7));
    let bytes = object.write_data_set(Syntax::ExplicitLittle);
    let class = announced(CANARY, "1.2.3", EXPLICIT, bytes.clone())?;
    let syntax = announced(CT, "1.2.3", CANARY, bytes)?;
    for item in [class, syntax] {
        let answers = statuses(&peer, &serving.node(), vec![item])?;
        assert_eq!(answers, [StoreResult::ContextRefused]);
    }
    // An object that says so only in itself.
    let other = ct_small(&Place::new(7)).put(Tag(0x0008, 0x0016), VR::UI, CANARY);
    let other = other.write_data_set(Syntax::ExplicitLittle);
    let other = announced(CT, "1.2.3", EXPLICIT, other)?;
    statuses(&peer, &serving.node(), vec![other])?;
    let run = serving.stop()?.exits(143);
    let file = ct_small(&Place::new(8)).put(Tag(0x0008, 0x0016), VR::UI, CANARY);
    scene.put("in/1.dcm", &file)?;
    let import = scene
        .run(&["-p", "project", "-vvv", "import", "in"])?
        .exits(1);
    let list = scene
        .run(&["-p", "project", "quarantine", "list"])?
        .exits(0);
    let show = scene.json(&["quarantine", "list"])?.exits(0);
    for text in [&run, &import, &list, &show].map(|run| format!("{}{}", run.out, run.err)) {
        assert!(!text.contains("777888999"), "{text}");
    }
    for (name, text) in tree(&scene.project().join("private/logs"))? {
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("777888999"), "{name}: {text}");
    }
    for words in [
        "KNOWN offers a SOP class that PS3.6 does not list",
        "anon -p project config add storage_classes UID",
        &format!("KNOWN offers CT Image Storage ({CT}) in an unknown UID"),
    ] {
        assert!(run.err.contains(words), "{words}: {}", run.err);
    }
    let words = "a private SOP class is accepted once its UID is in storage_classes";
    assert!(show.out.contains(words), "{}", show.out);
    Ok(())
}
