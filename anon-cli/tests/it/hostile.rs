//! `anon serve` with hostile peers, where the engine reads the data sets.

use std::time::Duration;

use anon_engine::testing::files::Place;

use crate::serving::{Serving, cts, scu, statuses};
use crate::shared::hostile::{self, Target};
use crate::support::{Scene, Test, tree};

/// Malformed objects that the engine stores although a server may refuse them. The rules remove the
/// malformed element without reading its content, and a wrongly declared encoding is detected.
/// The test checks that the outputs are valid.
const STORED_WITHOUT: [&str; 3] = [
    "an item that is longer than its sequence",
    "delimiters outside of sequences",
    "implicit VR on a context with explicit VR",
];

#[test]
fn serve_survives_hostile_peers() -> Test {
    let artim = Duration::from_secs(2);
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    for (key, value) in [
        ("timeouts.acse", "2"),
        ("timeouts.dimse", "10"),
        ("log.level", "trace"),
        ("scp.max_associations_per_peer", "200"),
    ] {
        scene.set(key, value)?;
    }
    let serving = Serving::start(&scene, &["-vvv"])?;
    let address = ([127, 0, 0, 1], serving.port).into();
    let target = Target::new(address, "ANONYMIZER")
        .of_process(serving.pid())
        .ends_after(artim);
    let report = hostile::run(&target);
    for outcome in &report.outcomes {
        println!("{outcome}");
    }
    report.survived()?;
    hostile::no_path_traversal()?;
    // Everything is as expected, except that exactly these are stored.
    let odd = report.outcomes.iter().filter(|it| !it.is_expected());
    let odd: Vec<_> = odd.map(|it| (it.name(), it.is_stored())).collect();
    assert_eq!(odd, STORED_WITHOUT.map(|name| (name, true)), "{odd:?}");
    // It still accepts objects.
    let answers = statuses(&scu("GOOD")?, &serving.node(), cts(7, 5)?)?;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == crate::serving::STORED),
        "{answers:?}"
    );
    let ran = serving.stop()?.exits(143);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    let place = Place::nth(7, 0, 5);
    for (name, text) in tree(&scene.project().join("private/logs"))? {
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("panicked"), "{name}");
        assert!(!text.contains(&place.instance_uid()), "{name}");
    }
    // Every output is in its place and complete.
    for (name, bytes) in scene.public()? {
        assert!(
            name.starts_with("7-") && name.split('/').count() == 4,
            "{name}"
        );
        dicom_object::from_reader(&*bytes).map_err(|error| format!("{name}: {error}"))?;
    }
    let at_the_top = std::fs::read_dir(scene.project())?.count();
    assert_eq!(at_the_top, 4, "project.toml, store.mark, private, public");
    for directory in ["tmp", "spool"] {
        assert!(tree(&scene.project().join("private").join(directory))?.is_empty());
    }
    Ok(())
}
