//! What `anon serve` accepts with the settings of `init`: every transfer syntax, chosen storage classes,
//! large objects of several senders at once, and a limited number of associations from one sender.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Barrier};
use std::thread;

use anon_engine::testing::files::{
    DataSet, LargeImage, Place, Syntax, Value, ct_small, secondary_capture, us_colour,
};
use anon_net::association::ul::UlDial;
use anon_net::dimse::{Request, receive_command, send_with};
use anon_net::error::{RejectReason, RejectResult};
use anon_net::service::{FileMeta, SendItem};
use anon_net::{Association, Cancel, Command, Contexts, Dial, Error, Operation, Proposal, Status};
use dicom_core::{Tag, VR};
use dicom_object::FileMetaTable;

use crate::serving::{
    CT, EXPLICIT, LONG, STORED, Serving, StoreResult, announced, item, scu, statuses, uid,
};
use crate::support::{Scene, Test, tree};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const SC: &str = "1.2.840.10008.5.1.4.1.1.7";

/// The transfer syntaxes of PS3.6 Table A-1 in which a data set can be stored, retired ones too, as
/// they go on behind `1.2.840.10008.1.2`. Not among them: those of streams (SMPTE ST 2110), of MIME
/// and XML, and Papyrus 3.
const STANDARD: [&str; 57] = [
    "", ".1", ".1.98", ".1.99", ".2", ".4.50", ".4.51", ".4.52", ".4.53", ".4.54", ".4.55",
    ".4.56", ".4.57", ".4.58", ".4.59", ".4.60", ".4.61", ".4.62", ".4.63", ".4.64", ".4.65",
    ".4.66", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91", ".4.92", ".4.93", ".4.94", ".4.95",
    ".4.100", ".4.100.1", ".4.101", ".4.101.1", ".4.102", ".4.102.1", ".4.103", ".4.103.1",
    ".4.104", ".4.104.1", ".4.105", ".4.105.1", ".4.106", ".4.106.1", ".4.107", ".4.108", ".4.110",
    ".4.111", ".4.112", ".4.201", ".4.202", ".4.203", ".4.204", ".4.205", ".5", ".8.1",
];

fn made(modalities: &str) -> Test<Scene> {
    let scene = Scene::new()?;
    scene
        .run(&[
            "init",
            "project",
            "--site-id",
            "7",
            "--modalities",
            modalities,
        ])?
        .exits(0);
    Ok(scene)
}

/// A CT image as it is sent in a transfer syntax.
fn in_syntax(n: u32, syntax: &str) -> Test<SendItem> {
    let place = Place::nth(7, n, 5);
    let object = ct_small(&place);
    let bytes = match syntax.strip_prefix("1.2.840.10008.1.2").unwrap_or_default() {
        "" => object.write_data_set(Syntax::ImplicitLittle),
        ".1" => object.write_data_set(Syntax::ExplicitLittle),
        ".2" => object.write_data_set(Syntax::ExplicitBig),
        // The whole data set is deflated (PS3.5 sections A.5, A.7, A.12).
        ".1.99" | ".4.95" | ".4.205" => object.write_data_set(Syntax::Deflated),
        // The pixels are elsewhere (PS3.5 sections A.6, A.11).
        ".4.94" | ".4.204" => object
            .without(PIXEL_DATA)
            .write_data_set(Syntax::ExplicitLittle),
        _ => {
            let pixels = Value::Fragments(vec![syntax.as_bytes().to_vec(), vec![7; 64]]);
            let object = object.put(PIXEL_DATA, VR::OB, pixels);
            object.write_data_set(Syntax::RLE)
        }
    };
    announced(CT, &place.instance_uid(), syntax, bytes)
}

/// Each is offered alone, so that none is chosen for another; each is accepted, and what comes in it is
/// stored in it.
#[test]
fn serve_accepts_and_keeps_every_standard_transfer_syntax() -> Test {
    let syntaxes = STANDARD.map(|rest| format!("1.2.840.10008.1.2{rest}"));
    let scene = made("CT")?;
    let serving = Serving::start(&scene, &[])?;
    let mut contexts = Contexts::new();
    for syntax in &syntaxes {
        contexts.add(uid(CT)?, vec![uid(syntax)?])?;
    }
    let proposal = Proposal::new("ALL".parse()?, contexts);
    let mut association = UlDial::new().dial(&serving.node(), &proposal, LONG)?;
    let accepted = association.contexts().iter();
    let accepted: Vec<_> = accepted.map(|it| it.transfer_syntax.to_string()).collect();
    assert_eq!(accepted, syntaxes, "what is accepted");
    association.release(LONG)?;

    let items = (0..).zip(&syntaxes).map(|(n, syntax)| in_syntax(n, syntax));
    let answers = statuses(&scu("ALL")?, &serving.node(), items.collect::<Test<_>>()?)?;
    for (syntax, answer) in syntaxes.iter().zip(&answers) {
        assert_eq!(*answer, STORED, "{syntax}");
    }
    serving.stop()?.exits(143);
    let mut kept = Vec::new();
    for bytes in scene.public()?.values() {
        let file = bytes.get(128..).ok_or("a preamble")?;
        let meta = FileMetaTable::from_reader(file)?;
        let syntax = meta.transfer_syntax.trim_end_matches('\0').to_owned();
        // Encapsulated pixels begin with what they are said to be in.
        let is_encapsulated = bytes
            .windows(syntax.len())
            .filter(|window| *window == syntax.as_bytes())
            .count()
            > 1;
        let plain = [
            "", ".1", ".2", ".1.99", ".4.94", ".4.95", ".4.204", ".4.205",
        ];
        let is_plain = plain
            .iter()
            .any(|rest| syntax == format!("1.2.840.10008.1.2{rest}"));
        assert_eq!(is_encapsulated, !is_plain, "{syntax}: pixels are untouched");
        kept.push(syntax);
    }
    kept.sort_unstable();
    let mut wanted = syntaxes.to_vec();
    wanted.sort_unstable();
    assert_eq!(kept, wanted, "what is stored");
    Ok(())
}

/// Storage classes from the settings, by UID or name, are accepted besides those of the modalities.
#[test]
fn serve_accepts_storage_classes_from_the_settings_and_no_others() -> Test {
    for picked in [SC, "SecondaryCaptureImageStorage"] {
        let scene = made("MR")?;
        scene.set("storage_classes", picked)?;
        let serving = Serving::start(&scene, &[])?;
        let explicit = |object: &DataSet| item(object, Syntax::ExplicitLittle);
        let mr = "1.2.840.10008.5.1.4.1.1.4";
        let of_modality = ct_small(&Place::new(9)).put(Tag(0x0008, 0x0016), VR::UI, mr);
        let items = vec![
            explicit(&secondary_capture(&Place::new(7)))?,
            explicit(&ct_small(&Place::new(8)))?,
            item(&us_colour(&Place::new(8)), Syntax::RLE)?,
            explicit(&of_modality)?,
        ];
        let refused = StoreResult::ContextRefused;
        assert_eq!(
            statuses(&scu("MANY")?, &serving.node(), items)?,
            [STORED, refused, refused, STORED],
            "{picked}"
        );
        serving.stop()?.exits(143);
        assert_eq!(scene.public()?.len(), 2, "{picked}");
        let status = scene.json(&["status"])?.exits(0).summary()?;
        assert_eq!(status["quarantined"], serde_json::json!({}), "{picked}");
    }
    Ok(())
}

/// Reads half of a file, waits until all senders have, and reads the rest.
struct PausingReader {
    file: File,
    before: u64,
    all: Arc<Barrier>,
}

impl Read for PausingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.before == 0 {
            return self.file.read(buffer);
        }
        let most = usize::try_from(self.before).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.before -= count as u64;
        if self.before == 0 {
            self.all.wait();
        }
        Ok(count)
    }
}

const SENDERS: usize = 6;
/// 60 MiB: six of them exceed the memory limit of a receiver.
const FRAMES: u32 = 120;

/// Objects too large for memory, all in progress at the same time.
#[cfg(target_os = "linux")]
#[test]
fn serve_spools_concurrent_large_objects() -> Test {
    let scene = made("XA")?;
    let mut paths = Vec::new();
    for n in 0..SENDERS {
        let place = Place::new(7).patient(u32::try_from(n)? + 1);
        let path = scene.path().join(format!("{n}.dcm"));
        let mut file = BufWriter::new(File::create(&path)?);
        LargeImage::new(place, FRAMES).write_to(&mut file)?;
        file.flush()?;
        paths.push(path);
    }
    let serving = Serving::start(&scene, &[])?;
    let all = Arc::new(Barrier::new(SENDERS));
    let node = serving.node();
    let send = |path: &std::path::Path| -> Test<Status> {
        let mut file = File::open(path)?;
        let meta = FileMeta::read(&mut file)?;
        let length = file.metadata()?.len() - meta.data_set_at;
        file.seek(SeekFrom::Start(meta.data_set_at))?;
        let (before, all) = (length / 2, Arc::clone(&all));
        let mut body = PausingReader { file, before, all };
        let mut sender = scu("XA_1")?.sender(&node);
        let stored = sender.store(
            &meta.context,
            &meta.sop_instance,
            &mut body,
            length,
            &Cancel::new(),
        );
        sender.release();
        Ok(stored?)
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let senders: Vec<_> = paths
            .iter()
            .map(|path| scope.spawn(|| send(path).map_err(|error| error.to_string())))
            .collect();
        senders
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    for answer in answers {
        assert_eq!(answer.map_err(|_| "a panic")??, Status::SUCCESS);
    }
    let peak = crate::serve::peak(serving.pid())?;
    assert!(peak < 256 << 20, "{} MiB", peak >> 20);
    serving.stop()?.exits(143);
    let public = scene.public()?;
    assert_eq!(public.len(), SENDERS);
    let pixels = u64::from(FRAMES) * u64::from(LargeImage::FRAME_BYTES);
    assert!(public.values().all(|file| file.len() as u64 > pixels));
    assert!(tree(&scene.project().join("private/spool"))?.is_empty());
    Ok(())
}

/// Requests an association from this local address.
fn dial(serving: &Serving, from: &str) -> Test<Result<Box<dyn Association>, Error>> {
    let mut contexts = Contexts::new();
    contexts.add(uid(CT)?, vec![uid(EXPLICIT)?])?;
    let proposal = Proposal::new("IDLE".parse()?, contexts);
    let dial = UlDial::new().with_local_address(from.parse()?);
    Ok(dial.dial(&serving.node(), &proposal, LONG))
}

/// Opens an association, stores an object, and leaves it idle.
fn idle(serving: &Serving, from: &str) -> Test<Box<dyn Association>> {
    let mut association = dial(serving, from)??;
    let context = association.contexts().iter().next().map(|it| it.id);
    let place = Place::new(7);
    let request =
        Request::new(Operation::Store, 1, uid(CT)?).with_instance(place.instance_uid().parse()?);
    let (context, request) = (context.ok_or("a context")?, Command::Request(request));
    let object = ct_small(&place).write_data_set(Syntax::ExplicitLittle);
    send_with(&mut *association, context, &request, &mut &*object, LONG)?;
    receive_command(&mut *association, LONG)?;
    Ok(association)
}

fn is_full(dialled: &Result<Box<dyn Association>, Error>) -> bool {
    matches!(
        dialled,
        Err(Error::Rejected {
            result: RejectResult::Transient,
            reason: RejectReason::LocalLimit,
        })
    )
}

/// With the default settings one idle sender uses at most half of the associations, and none longer
/// than the idle timeout.
#[test]
fn an_idle_sender_cannot_use_all_associations() -> Test {
    let scene = made("CT")?;
    // A request waits for a place for half of this time.
    scene.set("timeouts.acse", "2")?;
    let serving = Serving::start(&scene, &[])?;
    let sixteen = |from| {
        (0..16)
            .map(|_| idle(&serving, from))
            .collect::<Test<Vec<_>>>()
    };
    let first = sixteen("127.0.0.1")?;
    assert!(is_full(&dial(&serving, "127.0.0.1")?), "it has its sixteen");
    let second = sixteen("127.0.0.2")?;
    assert!(is_full(&dial(&serving, "127.0.0.3")?), "there are no more");
    drop((first, second));
    serving.stop()?.exits(143);

    scene.set("timeouts.network", "1")?;
    let serving = Serving::start(&scene, &[])?;
    // However slow this is: the first may have to go before the last is there.
    let mut held = Vec::new();
    while held.len() < 16 {
        held.extend(idle(&serving, "127.0.0.1"));
    }
    for association in &mut held {
        let end = association.receive(LONG).map(drop);
        assert!(matches!(end, Err(Error::Aborted { .. })), "{end:?}");
    }
    drop(idle(&serving, "127.0.0.1")?);
    serving.stop()?.exits(143);
    Ok(())
}

/// It waits, while the oldest association that did nothing gives way.
#[test]
fn an_honest_sender_gets_in_although_idle_associations_hold_the_places_of_its_address() -> Test {
    let scene = made("CT")?;
    let mut serving = Serving::start(&scene, &[])?;
    let silent = (0..16).map(|_| dial(&serving, "127.0.0.1"));
    let silent = silent.collect::<Test<Vec<_>>>()?;
    assert!(silent.iter().all(Result::is_ok), "they have the places");
    let items = vec![in_syntax(0, EXPLICIT)?];
    assert_eq!(statuses(&scu("CT_7")?, &serving.node(), items)?, [STORED]);
    while serving.next()?["ended"] != "crowded" {}
    drop(silent);
    let run = serving.stop()?.exits(143);
    let summary = run.summary()?;
    assert_eq!(
        (&summary["rejected"], &summary["stored"]),
        (&0.into(), &1.into())
    );
    let events = run.events()?;
    let crowded = events.iter().filter(|event| event["ended"] == "crowded");
    assert_eq!(crowded.count(), 1, "{}", run.out);
    Ok(())
}
