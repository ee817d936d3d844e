//! `anon serve` without space: the sender waits and then gets A700; other senders do not wait.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anon_engine::testing::files::{Place, Syntax, ct_small};
use anon_net::Status;
use anon_net::service::SendItem;
use dicom_core::{Tag, VR};

use crate::serving::{LONG, STORED, Serving, StoreResult, cts, item, scu, statuses};
use crate::support::{Scene, Test};

const NO_ROOM: StoreResult = StoreResult::Status(Status::OUT_OF_RESOURCES);

/// A project whose quarantine is full, and that waits this many seconds for space.
fn full(seconds: &str) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    for (key, value) in [("quarantine.max_bytes", "1"), ("timeouts.room", seconds)] {
        scene.set(key, value)?;
    }
    Ok(scene)
}

/// A valid object that the rules refuse.
fn refused(n: u64) -> Test<SendItem> {
    let object = ct_small(&Place::new(n)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    item(&object, Syntax::ExplicitLittle)
}

/// Waits until the log says that an object waits for space.
fn wait_until_an_object_waits(scene: &Scene) -> Test {
    let log = scene.project().join("private/logs/anon.log");
    let began = Instant::now();
    while !fs::read_to_string(&log)?.contains("an object waits for some") {
        if began.elapsed() > LONG {
            return Err("nothing waits for room".into());
        }
        thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_sender_gets_a700_after_the_room_timeout() -> Test {
    let scene = full("1")?;
    let serving = Serving::start(&scene, &[])?;
    let answers = statuses(&scu("CT_7")?, &serving.node(), vec![refused(1)?])?;
    assert_eq!(answers, [NO_ROOM]);
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["failed"], &summary["drained"]),
        (&1.into(), &true.into())
    );
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["instances"], 0);
    Ok(())
}

/// `serve` also ends without waiting for the timeout.
#[test]
fn a_sender_that_waits_for_space_does_not_delay_others() -> Test {
    let scene = full("3600")?;
    let serving = Serving::start(&scene, &[])?;
    let node = serving.node();
    let (one, other) = (scu("CT_7")?, scu("CT_8")?);
    let waits = thread::spawn(move || {
        let refused = refused(1).map_err(|error| error.to_string())?;
        statuses(&one, &node, vec![refused]).map_err(|error| error.to_string())
    });
    wait_until_an_object_waits(&scene)?;
    assert_eq!(statuses(&other, &serving.node(), cts(7, 3)?)?, [STORED; 3]);
    assert!(!waits.is_finished());
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(
        (&summary["stored"], &summary["drained"]),
        (&3.into(), &true.into())
    );
    let answers = waits.join().map_err(|_| "the sender panicked")??;
    assert_eq!(answers, [NO_ROOM]);
    Ok(())
}
