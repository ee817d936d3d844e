//! `find` and `retrieve` never print to standard error or log an identifying value, whatever the query
//! and the result.

use std::path::Path;

use anon_engine::testing::files::{DataSet, Place, ct_small};
use anon_net::Operation;
use dicom_core::{Tag, VR};

use crate::archive::{Archive, Behaviour};
use crate::serving::{Serving, text};
use crate::support::{Run, Scene, Test, tree};

const NAME: &str = "CANARY^JANE";
const ID: &str = "CANARY-4711";
const ACCESSION: &str = "CANARYACC";
const NOT_THERE: &str = "CANARYMISSING";
const DESCRIPTION: &str = "CANARY DESCRIPTION";

/// Two images of a study with canaries as identifying values.
fn study() -> Vec<DataSet> {
    let image = |n| {
        ct_small(&Place::new(3).instance(n))
            .put(Tag(0x0010, 0x0010), VR::PN, NAME)
            .put(Tag(0x0010, 0x0020), VR::LO, ID)
            .put(Tag(0x0008, 0x0050), VR::SH, ACCESSION)
            .put(Tag(0x0008, 0x1030), VR::LO, DESCRIPTION)
    };
    vec![image(1), image(2)]
}

/// The values that must not be printed or logged.
fn canaries() -> Vec<String> {
    let mut all: Vec<String> = [NAME, ID, ACCESSION, NOT_THERE, DESCRIPTION]
        .map(str::to_owned)
        .to_vec();
    for object in study() {
        let uids = [(0x0020, 0x000D), (0x0020, 0x000E), (0x0008, 0x0018)];
        all.extend(uids.map(|(group, element)| text(&object, Tag(group, element))));
    }
    all
}

/// A project that logs at the most detailed level.
fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    for (key, value) in [("log.level", "trace"), ("timeouts.network", "1")] {
        scene.set(key, value)?;
    }
    Ok(scene)
}

fn assert_no_canaries(scene: &Scene, ran: &[Run]) -> Test {
    let mut texts = tree(&scene.project().join("private/logs"))?;
    for (n, ran) in ran.iter().enumerate() {
        texts.insert(format!("standard error {n}"), ran.err.clone().into_bytes());
    }
    for (name, bytes) in texts {
        let text = String::from_utf8_lossy(&bytes);
        for canary in canaries() {
            let at = text.find(&canary);
            let around = at.map(|at| text.get(at.saturating_sub(200)..at).unwrap_or_default());
            assert_eq!(around, None, "{name} holds {canary}");
        }
    }
    Ok(())
}

#[test]
fn find_prints_and_logs_no_identifying_values() -> Test {
    let scene = made()?;
    let archive = Archive::start(Behaviour::default(), study())?;
    let refuses = Behaviour {
        refuses: Some((Operation::Find, 0xA700)),
        ..Behaviour::default()
    };
    let refusing = Archive::start(refuses, study())?;
    scene.write("list.txt", format!("{NOT_THERE}\n{ACCESSION}\n").as_bytes())?;
    scene.write(
        "ids.txt",
        format!("{ID}\n{NOT_THERE}\n{NAME}*\n").as_bytes(),
    )?;
    let study_uid = Place::new(3).study_uid();
    let (node, other) = (archive.node(), refusing.node());
    let mut said = Vec::new();
    for (code, args) in [
        (0, &[&*node, "--patient-name", NAME][..]),
        (0, &[&node, "--patient-id", ID, "--accession", ACCESSION]),
        (0, &[&node, "--study-uid", &study_uid]),
        (0, &[&node, "--accession-file", "list.txt"]),
        (1, &[&node, "--patient-id-file", "ids.txt"]),
        (0, &[&node, "--patient-id", NOT_THERE, "--hide-imported"]),
        (
            5,
            &[&other, "--patient-name", NAME, "--study-uid", &study_uid],
        ),
        (5, &[&other, "--accession", ACCESSION]),
    ] {
        let mut all = vec!["-vvv", "find"];
        all.extend(args);
        let ran = scene.json(&all)?.exits(code);
        assert!(ran.err.contains("TRACE"), "{args:?}: it tells all there is");
        said.push(ran);
    }
    assert!(said.iter().any(|ran| ran.out.contains(NAME)), "they came");
    assert_no_canaries(&scene, &said)
}

#[test]
fn retrieve_prints_and_logs_no_identifying_values() -> Test {
    for (level, via) in [
        ("study", "move"),
        ("series", "move"),
        ("instance", "move"),
        ("study", "get"),
        ("instance", "get"),
    ] {
        for (omits, refuses) in [
            (0, None),
            (1, None),
            (0, Some((Operation::Move, 0xC000))),
            (0, Some((Operation::Get, 0xC000))),
        ] {
            let scene = made()?;
            let serving = Serving::start(&scene, &["-vvv"])?;
            let behaviour = Behaviour {
                refuses,
                omits,
                ..Behaviour::default()
            };
            let archive = Archive::start(behaviour, study())?;
            archive.sends_to("ANONYMIZER", serving.port);
            let node = archive.node();
            let args = [
                "-vvv",
                "retrieve",
                &node,
                "--patient-id",
                ID,
                "--level",
                level,
                "--via",
                via,
            ];
            let ran = scene.json(&args)?;
            assert!(ran.err.contains("TRACE"), "{level}, {via}: {}", ran.err);
            let served = serving.stop()?.exits(143);
            assert!(Path::new(&scene.project()).join("private/logs").is_dir());
            assert_no_canaries(&scene, &[ran, served])?;
        }
    }
    Ok(())
}
