//! The network commands with real archives and DCMTK tools.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anon_engine::testing::files::{Place, ct_small};
use dicom_core::value::Value;
use dicom_core::{Tag, VR};
use dicom_object::OpenFileOptions;
use serde_json::json;

use crate::serving::Serving;
use crate::shared::servers::corpus::{Corpus, Instance, UNCOMPRESSED};
use crate::shared::servers::dependency::{Dependency, are_installed};
use crate::shared::servers::tool::{ToolOutput as Dcmtk, dcmtk};
use crate::shared::servers::{Server, ServerKind, Setup};
use crate::support::{Scene, Test};

const LEVELS: [&str; 3] = ["study", "series", "instance"];

fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene
        .run(&[
            "init",
            "project",
            "--site-id",
            "7",
            "--modalities",
            "CT,SC,US",
        ])?
        .exits(0);
    Ok(scene)
}

fn node(server: &Server) -> String {
    format!("{}@{}", server.title(), server.address())
}

/// How many there are of each SOP class and transfer syntax.
type Kinds = BTreeMap<(String, String), usize>;

/// Those of what an archive took.
fn kinds(taken: &[&Instance]) -> Kinds {
    let mut kinds = Kinds::new();
    for instance in taken {
        let kind = (
            instance.class.to_owned(),
            instance.transfer_syntax.to_owned(),
        );
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// Those of what is stored.
fn stored(scene: &Scene) -> Test<Kinds> {
    let mut kinds = Kinds::new();
    for (name, bytes) in scene.public()? {
        let object = OpenFileOptions::new()
            .from_reader(&*bytes)
            .map_err(|error| format!("{name}: {error}"))?;
        let meta = object.meta();
        let trimmed = |uid: &str| uid.trim_end_matches(['\0', ' ']).to_owned();
        let kind = (
            trimmed(&meta.media_storage_sop_class_uid),
            trimmed(&meta.transfer_syntax),
        );
        *kinds.entry(kind).or_default() += 1;
    }
    Ok(kinds)
}

/// Retrieves the study of the corpus, and checks what is stored.
fn retrieve(scene: &Scene, server: &Server, args: &[&str], taken: &[&Instance]) -> Test {
    let what = format!("{}, {args:?}", server.title());
    let node = node(server);
    let mut all = vec!["retrieve", &node, "--study-uid", Corpus::STUDY];
    all.extend(args);
    let ran = scene.json(&all)?.exits(0);
    let summary = ran.summary()?;
    assert_eq!(summary["complete"], 1, "{what}: {}", ran.out);
    assert_eq!(summary["stored"], taken.len(), "{what}: {}", ran.out);
    let mut expected = kinds(taken);
    // An archive may send what is not compressed in another of the three ways than it got it in.
    let mut found = stored(scene)?;
    for kinds in [&mut expected, &mut found] {
        let plain = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"];
        let moved: Vec<_> = kinds
            .keys()
            .filter(|kind| plain.contains(&kind.1.as_str()))
            .cloned()
            .collect();
        for kind in moved {
            let count = kinds.remove(&kind).unwrap_or(0);
            *kinds
                .entry((kind.0, "1.2.840.10008.1.2.1".to_owned()))
                .or_default() += count;
        }
    }
    assert_eq!(found, expected, "{what}");
    Ok(())
}

#[test]
fn retrieve_from_archives_at_every_level() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let scene = made()?;
        let serving = Serving::start(&scene, &[])?;
        let sends_to = Setup::default().knows("ANONYMIZER", serving.port);
        let Some(server) = kind.start(&sends_to)? else {
            continue;
        };
        let taken = corpus.accepted_by(kind);
        server.load(&taken)?;
        scene.json(&["echo", &node(&server)])?.exits(0);
        let found = scene
            .json(&["find", &node(&server), "--patient-id", Corpus::PATIENT])?
            .exits(0);
        assert_eq!(found.summary()?["studies"], 1, "{}", found.out);
        for level in LEVELS {
            retrieve(&scene, &server, &["--level", level], &taken)?;
            forget(&scene)?;
        }
        let summary = serving.stop()?.exits(143).summary()?;
        assert_eq!(summary["stored"], 3 * taken.len(), "{kind:?}: {summary}");
        // Without a receiver.
        for level in LEVELS {
            retrieve(&scene, &server, &["--via", "get", "--level", level], &taken)?;
            forget(&scene)?;
        }
    }
    Ok(())
}

/// Deletes what was retrieved, so that it can be again.
fn forget(scene: &Scene) -> Test {
    let public = scene.public()?;
    let patient = public.keys().next().and_then(|name| name.split('/').next());
    let patient = patient.ok_or("something stored")?;
    scene.json(&["delete", "--patient", patient])?.exits(0);
    assert!(scene.public()?.is_empty());
    Ok(())
}

#[test]
fn find_accession_numbers_at_archives() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let scene = made()?;
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        server.load(&corpus.accepted_by(kind))?;
        scene.write(
            "list.txt",
            format!("X9\n{}\n", Corpus::ACCESSION).as_bytes(),
        )?;
        let ran = scene
            .json(&["find", &node(&server), "--accession-file", "list.txt"])?
            .exits(0);
        let summary = ran.summary()?;
        assert_eq!(
            (&summary["studies"], &summary["not_found"]),
            (&json!(1), &json!(["X9"])),
            "{kind:?}"
        );
    }
    Ok(())
}

#[test]
fn retrieve_reports_an_archive_that_does_not_know_our_title() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    for kind in ServerKind::ARCHIVES {
        let scene = made()?;
        let serving = Serving::start(&scene, &[])?;
        let Some(server) = kind.start(&Setup::default())? else {
            continue;
        };
        server.load(&corpus.accepted_by(kind))?;
        for level in LEVELS {
            let args = [
                "retrieve",
                &node(&server),
                "--study-uid",
                Corpus::STUDY,
                "--level",
                level,
            ];
            let ran = scene.json(&args)?.exits(5);
            let study = ran.events()?.into_iter().next().ok_or("a study")?;
            let error = study["error"].as_str().unwrap_or_default();
            let address = format!("127.0.0.1:{}", serving.port);
            let told = error.contains("ANONYMIZER") && error.contains(&address);
            assert!(told, "{kind:?}, {level}: {error}");
        }
    }
    Ok(())
}

/// Runs a DCMTK tool that calls a receiver of ours.
fn call(serving: &Serving, tool: &str, options: &[&str], files: &[&Instance]) -> Test<Dcmtk> {
    let port = serving.port.to_string();
    let peer = ["-aec", "ANONYMIZER", "127.0.0.1", &port];
    let files = files.iter().map(|it| it.path.to_string_lossy());
    let words = options.iter().chain(&peer).map(|word| (*word).to_owned());
    let all: Vec<String> = words.chain(files.map(Cow::into_owned)).collect();
    dcmtk(tool, &all)
}

/// SOP class and pixel data of a file, fragment by fragment.
type Pixels = (String, Vec<Vec<u8>>);

fn pixels(bytes: &[u8]) -> Test<Pixels> {
    let object = OpenFileOptions::new().from_reader(bytes)?;
    let class = object.meta().media_storage_sop_class_uid.clone();
    let class = class.trim_end_matches('\0').to_owned();
    let element = object.element(Tag(0x7FE0, 0x0010))?;
    let pixels = match element.value() {
        Value::PixelSequence(sequence) => sequence.fragments().iter().map(Clone::clone).collect(),
        _ => vec![element.to_bytes()?.into_owned()],
    };
    Ok((class, pixels))
}

/// What is stored, and what was sent, by their pixels.
fn same_pixels(scene: &Scene, sent: &[&Instance]) -> Test<bool> {
    let stored = scene.public()?;
    let stored = stored.values().map(|bytes| pixels(bytes));
    let mut stored = stored.collect::<Test<Vec<Pixels>>>()?;
    let sent = sent.iter().map(|it| pixels(&std::fs::read(&it.path)?));
    let mut sent = sent.collect::<Test<Vec<Pixels>>>()?;
    stored.sort_unstable();
    sent.sort_unstable();
    Ok(stored == sent)
}

/// Sends each transfer syntax on its own association; it is stored unchanged.
#[test]
fn storescu_sends_every_transfer_syntax_to_serve() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    let mut sent: Vec<&Instance> = Vec::new();
    for instance in &corpus.instances {
        let options = [instance.option, "--required"];
        call(&serving, "storescu", &options, &[instance])?
            .succeeds()
            .map_err(|error| format!("{}: {error}", instance.transfer_syntax))?;
        sent.push(instance);
        assert_eq!(
            stored(&scene)?,
            kinds(&sent),
            "{}",
            instance.transfer_syntax
        );
    }
    assert!(same_pixels(&scene, &sent)?, "pixels are untouched");
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["stored"], &summary["associations"]),
        (
            &json!(corpus.instances.len()),
            &json!(corpus.instances.len())
        )
    );
    Ok(())
}

/// Sends all on one association. dcmsend converts uncompressed objects to one transfer syntax.
#[test]
fn dcmsend_sends_every_transfer_syntax_to_serve() -> Test {
    let Some(corpus) = Corpus::new()? else {
        return Ok(());
    };
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    let all: Vec<&Instance> = corpus.instances.iter().collect();
    call(&serving, "dcmsend", &["--decompress-never"], &all)?.succeeds()?;
    let mut expected = Kinds::new();
    for ((class, syntax), count) in kinds(&all) {
        let syntax = if UNCOMPRESSED.contains(&syntax.as_str()) {
            "1.2.840.10008.1.2.1".to_owned()
        } else {
            syntax
        };
        *expected.entry((class, syntax)).or_default() += count;
    }
    assert_eq!(stored(&scene)?, expected);
    assert!(same_pixels(&scene, &all)?, "pixels are untouched");
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["stored"], &summary["associations"]),
        (&json!(all.len()), &json!(1))
    );
    Ok(())
}

/// Unsupported services are refused properly, and `serve` continues.
#[test]
fn serve_refuses_queries_and_continues() -> Test {
    if !are_installed(&[Dependency::Dcmtk])? {
        return Ok(());
    }
    let scene = made()?;
    let serving = Serving::start(&scene, &[])?;
    call(&serving, "echoscu", &[], &[])?.succeeds()?;
    call(&serving, "echoscu", &["--repeat", "20"], &[])?.succeeds()?;
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
        let requests = call(&serving, tool, &[options, &keys].concat(), &[])?.fails()?;
        let text = &requests.text;
        assert!(text.contains("Presentation Context"), "{tool}: {text}");
        call(&serving, "echoscu", &[], &[])?.succeeds()?;
    }
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["failed"], &summary["refused"], &summary["drained"]),
        (&json!(0), &json!(0), &json!(true))
    );
    Ok(())
}

/// What storescu and dcmsend counted is what `serve` counted, whatever became of an object.
#[test]
fn sums_of_serve_equal_what_storescu_and_dcmsend_counted() -> Test {
    if !are_installed(&[Dependency::Dcmtk])? {
        return Ok(());
    }
    let scene = made()?;
    let object = |seed| ct_small(&Place::new(seed));
    let files = [
        scene.put("1.dcm", &object(1))?,
        scene.put("2.dcm", &object(2))?,
        scene.put("again.dcm", &object(1))?,
        scene.put(
            "burned_in.dcm",
            &object(3).put(Tag(0x0028, 0x0301), VR::CS, "YES"),
        )?,
        scene.put("no_study.dcm", &object(4).without(Tag(0x0020, 0x000D)))?,
        scene.put("no_series.dcm", &object(5).without(Tag(0x0020, 0x000E)))?,
    ];
    for (tool, options) in [
        ("storescu", ["-d", "--no-halt"]),
        ("dcmsend", ["-v", "--no-halt"]),
    ] {
        let serving = Serving::start(&scene, &[])?;
        let port = serving.port.to_string();
        let files = files.iter().map(|path| path.to_string_lossy().into_owned());
        let words = options
            .into_iter()
            .chain(["-aec", "ANONYMIZER", "127.0.0.1", &port]);
        let all: Vec<String> = words.map(str::to_owned).chain(files).collect();
        let text = dcmtk(tool, &all)?.text;
        let summary = serving.stop()?.exits(143).summary()?;
        let (offered, taken) = if tool == "storescu" {
            let responses = text.matches("DIMSE Status").count();
            assert!(text.contains("(0000,0902)"), "{text}");
            (responses, text.matches("0x0000: Success").count())
        } else {
            let counted = |words: &str| {
                let line = text.lines().find(|line| line.contains(words));
                let number = line.and_then(|line| line.rsplit(':').next());
                number.and_then(|number| number.trim().parse::<usize>().ok())
            };
            let offered = counted("- sent to the peer").ok_or(text.clone())?;
            (offered, counted("with status SUCCESS").ok_or(text.clone())?)
        };
        assert_eq!((offered, taken), (6, 4), "{tool}: {text}");
        let of = |field: &str| summary[field].as_u64().unwrap_or(0);
        assert_eq!(of("offered"), 6, "{tool}: {summary}");
        assert_eq!(
            of("stored") + of("duplicates") + of("quarantined"),
            4,
            "{tool}: {summary}"
        );
        assert_eq!(
            (of("refused"), of("failed"), of("quarantined")),
            (2, 0, 1),
            "{tool}: {summary}"
        );
    }
    Ok(())
}
