//! SIGKILL of `anon serve` while four associations or one association send: every object that was
//! acknowledged with 0000 is stored exactly once, no output is partial, and the counts agree.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anon_engine::testing::files::{DataSet, Noise, Place, Syntax, ct_slice, ct_small};
use anon_net::service::SendOutcome;
use anon_net::{Cancel, Node};
use dicom_core::{Tag, VR};

use crate::serving::{Serving, item, scu};
use crate::support::{Scene, Test, pause, tree};

/// The number of senders, and of kills with each durability setting.
#[derive(Clone, Copy)]
struct Load {
    senders: u32,
    kills: u32,
    object: fn(&Place) -> DataSet,
}

const MANY: Load = Load {
    senders: 4,
    kills: 100,
    object: ct_small,
};
const ALONE: Load = Load {
    senders: 1,
    kills: 40,
    object: ct_slice,
};

/// Kills in one project, several so that recovery runs on a recovered store.
const OF_PROJECT: u32 = 20;
/// Maximum number of objects each association sends before the kill.
const LOAD: u32 = 60;

/// What was observed in a project over all of its runs.
#[derive(Default)]
struct Observed {
    /// Numbers of the objects that were acknowledged with 0000.
    acknowledged: BTreeSet<u32>,
    /// Objects acknowledged in the last run.
    fresh: BTreeSet<u32>,
    /// Outputs that were parsed completely.
    whole: BTreeSet<String>,
    /// The next number to send.
    next: u32,
}

impl Load {
    fn item(self, n: u32) -> Test<anon_net::service::SendItem> {
        item(&(self.object)(&Place::nth(7, n, 5)), Syntax::ExplicitLittle)
    }
}

/// Sends these on one association, and reports each acknowledged number.
fn send(load: Load, node: &Node, numbers: &[u32], tell: &Sender<u32>) -> Test {
    let mut items = numbers.iter().filter_map(|n| load.item(*n).ok());
    let sent = scu("SENDER")?.send(node, &mut items, &Cancel::new(), &mut |event| {
        if matches!(event.outcome, SendOutcome::Stored { .. }) {
            let number = usize::try_from(event.number)
                .ok()
                .and_then(|at| numbers.get(at));
            if let Some(n) = number {
                // The receiver exists until all senders end.
                let _ = tell.send(*n);
            }
        }
    });
    // The kill is expected to end the association.
    drop(sent);
    Ok(())
}

/// Sends on all associations, and kills the receiver some time after a number of acknowledgements.
fn kill_under_load(
    load: Load,
    serving: &mut Serving,
    known: &mut Observed,
    random: &mut Noise,
) -> Test {
    let senders = load.senders;
    let (tell, told) = channel();
    let node = serving.node();
    // Objects in progress at the last kill are sent again and may be duplicates.
    let first = known.next.saturating_sub(random.below(3 * senders));
    let high = AtomicU32::new(first);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for sender in 0..senders {
            let numbers: Vec<u32> = (0..LOAD).map(|n| first + n * senders + sender).collect();
            let (tell, node, failed) = (tell.clone(), &node, &failed);
            scope.spawn(move || {
                if let Err(error) = send(load, node, &numbers, &tell) {
                    failed.lock().expect("errors").push(error.to_string());
                }
            });
        }
        drop(tell);
        let count = random.below(LOAD * senders / 2);
        let rest = Duration::from_micros(random.below(4_000).into());
        wait(&told, count, rest, known, &high);
        serving.kill()?;
        // Acknowledgements from before the kill that were not read yet.
        for n in told {
            high.fetch_max(n + 1, Ordering::Relaxed);
            known.fresh.insert(n);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    known.next = high.into_inner();
    let failed = failed.into_inner()?;
    assert!(failed.is_empty(), "{failed:?}");
    Ok(())
}

fn wait(told: &Receiver<u32>, count: u32, rest: Duration, known: &mut Observed, high: &AtomicU32) {
    for n in told.iter().take(usize::try_from(count).unwrap_or(0)) {
        high.fetch_max(n + 1, Ordering::Relaxed);
        known.fresh.insert(n);
    }
    pause(rest);
}

/// Checks the store after a kill.
fn look(scene: &Scene, known: &mut Observed) -> Test {
    let public = tree(&scene.project().join("public"))?;
    for (name, bytes) in &public {
        if known.whole.insert(name.clone()) {
            dicom_object::from_reader(&**bytes).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    let instances = scene.json(&["status"])?.exits(0).summary()?["instances"].clone();
    assert_eq!(instances, public.len(), "counts agree");
    let acknowledged = known.acknowledged.union(&known.fresh).count();
    assert!(public.len() >= acknowledged, "nothing is lost");
    for directory in ["tmp", "spool"] {
        let left = fs::read_dir(scene.project().join("private").join(directory))?.count();
        assert_eq!(left, 0, "{directory}");
    }
    Ok(())
}

/// Sends acknowledged objects again; each must be a duplicate.
fn again(load: Load, scene: &Scene, serving: &mut Serving, numbers: &BTreeSet<u32>) -> Test {
    if numbers.is_empty() {
        return Ok(());
    }
    let numbers: Vec<u32> = numbers.iter().copied().collect();
    let names = || -> Test<BTreeSet<String>> { Ok(scene.public()?.into_keys().collect()) };
    let before = names()?;
    let (tell, told) = channel();
    send(load, &serving.node(), &numbers, &tell)?;
    drop(tell);
    assert_eq!(told.iter().count(), numbers.len());
    let event = serving.next()?;
    assert_eq!(
        event["duplicates"],
        numbers.len(),
        "every acknowledged object is a duplicate: {event}"
    );
    assert_eq!(names()?, before, "no object is stored twice");
    Ok(())
}

fn kill_repeatedly(load: Load, durability: &str, seed: u64) -> Test {
    let mut random = Noise::new(seed);
    for _ in 0..load.kills / OF_PROJECT {
        let scene = Scene::new()?;
        scene.run(&["init", "project"])?.exits(0);
        scene.set("durability", durability)?;
        let mut known = Observed::default();
        for _ in 0..OF_PROJECT {
            let mut serving = Serving::start(&scene, &[])?;
            look(&scene, &mut known)?;
            let mut fresh = std::mem::take(&mut known.fresh);
            again(load, &scene, &mut serving, &fresh)?;
            known.acknowledged.append(&mut fresh);
            kill_under_load(load, &mut serving, &mut known, &mut random)?;
        }
        assert!(
            known.acknowledged.len() > 100,
            "enough objects were acknowledged"
        );
        let mut serving = Serving::start(&scene, &[])?;
        look(&scene, &mut known)?;
        known.acknowledged.append(&mut known.fresh);
        again(load, &scene, &mut serving, &known.acknowledged)?;
        serving.stop()?.exits(143);
        look(&scene, &mut known)?;
    }
    Ok(())
}

#[test]
fn serve_killed_under_load_with_full_durability() -> Test {
    kill_repeatedly(MANY, "full", 3)
}

#[test]
fn serve_killed_under_load_with_relaxed_durability() -> Test {
    kill_repeatedly(MANY, "relaxed", 4)
}

#[test]
fn serve_killed_while_one_sends_with_full_durability() -> Test {
    kill_repeatedly(ALONE, "full", 5)
}

#[test]
fn serve_killed_while_one_sends_with_relaxed_durability() -> Test {
    kill_repeatedly(ALONE, "relaxed", 6)
}

/// True if the bytes contain this UID, not merely as a prefix of a longer one.
fn names(bytes: &[u8], uid: &str) -> bool {
    let (uid, mut rest) = (uid.as_bytes(), bytes);
    while let Some(at) = rest.windows(uid.len()).position(|window| window == uid) {
        rest = rest.get(at + uid.len()..).unwrap_or_default();
        if !rest
            .first()
            .is_some_and(|next| b".0123456789".contains(next))
        {
            return true;
        }
    }
    false
}

/// Sends objects that the rules refuse, and kills the receiver after `kill_after` acknowledgements.
/// Returns the SOP Instance UIDs that were acknowledged.
fn quarantine_until_kill(
    serving: &mut Serving,
    first: u32,
    kill_after: usize,
) -> Test<Vec<String>> {
    let place = |n: u64| Place::nth(7, first + u32::try_from(n).unwrap_or(0), 5);
    let refused = |n| ct_small(&place(n)).put(Tag(0x0028, 0x0301), VR::CS, "YES");
    let items = (0..8).map(|n| item(&refused(n), Syntax::ExplicitLittle));
    let mut items = items.collect::<Test<Vec<_>>>()?.into_iter();
    let node = serving.node();
    let (mut acknowledged, mut killed) = (Vec::new(), Ok(()));
    let sent = scu("SENDER")?.send(&node, &mut items, &Cancel::new(), &mut |event| {
        if matches!(event.outcome, SendOutcome::Stored { .. }) {
            acknowledged.push(place(event.number).instance_uid());
            if acknowledged.len() == kill_after {
                killed = serving.kill();
            }
        }
    });
    // The kill is expected to end the association.
    drop(sent);
    killed?;
    assert!(acknowledged.len() >= kill_after, "it was killed in time");
    Ok(acknowledged)
}

/// Returns the listed quarantine entries.
fn entries(scene: &Scene) -> Test<Vec<String>> {
    let listed = scene.json(&["quarantine", "list"])?.exits(0).events()?;
    let entries = listed.iter().filter_map(|event| event["entry"].as_str());
    let entries: Vec<_> = entries.map(str::to_owned).collect();
    assert!(entries.iter().all(|entry| entry.starts_with("Burned_In/")));
    Ok(entries)
}

/// A quarantined object is acknowledged too, so its entry must survive the kill complete.
#[test]
fn acknowledged_quarantine_entries_survive_a_kill() -> Test {
    for durability in ["full", "relaxed"] {
        let scene = Scene::new()?;
        scene.run(&["init", "project"])?.exits(0);
        scene.set("durability", durability)?;
        let mut acknowledged = Vec::new();
        for round in 0..8 {
            let mut serving = Serving::start(&scene, &[])?;
            let kill_after = 1 + usize::try_from(round)? % 4;
            acknowledged.append(&mut quarantine_until_kill(
                &mut serving,
                round * 8,
                kill_after,
            )?);
            let entries = entries(&scene)?;
            let mut originals = Vec::new();
            for entry in &entries {
                let directory = scene.project().join("private/quarantine").join(entry);
                originals.push(fs::read(directory.join("original"))?);
            }
            for uid in &acknowledged {
                let is_there = originals.iter().any(|bytes| names(bytes, uid));
                assert!(is_there, "{durability}, {round}: one of {}", entries.len());
            }
            assert!(scene.public()?.is_empty());
        }
        // The entries hold the sent objects: once the rules accept them, each is stored.
        let entries = entries(&scene)?;
        scene.set("burned_in", "accept")?;
        let retried = scene.json(&["quarantine", "retry"])?.exits(0).summary()?;
        assert_eq!(retried["stored"], entries.len(), "{durability}");
        assert!(scene.public()?.len() >= acknowledged.len());
    }
    Ok(())
}
