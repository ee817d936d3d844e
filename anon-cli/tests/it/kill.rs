//! SIGKILL of an import at pseudo-random times: no acknowledged object is lost, no output is partial, no
//! pseudonym is used twice, and the next import finishes the work.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Scene, Test, pause, tree};

const FILES: u32 = 240;
/// Number of kills with each durability setting.
const KILLS: u32 = 200;

/// A reproducible pseudo-random sequence (Steele and Vigna's `SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// When to kill the process.
enum KillTime {
    /// After this many events.
    Events(u64),
    /// After this time.
    Time(Duration),
}

/// What was observed in a project over all of its runs.
#[derive(Default)]
struct Observed {
    /// The output of each source, as first reported.
    outputs: BTreeMap<String, String>,
    /// Outputs that were parsed completely.
    whole: BTreeSet<String>,
    /// How often `status` repaired a lookup store that was not closed.
    repaired: u32,
}

impl Observed {
    fn hear(&mut self, line: &str, scene: &Scene) -> Test {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            // A partial line, written when the kill came.
            return Ok(());
        };
        if event["event"] != "instance" {
            return Ok(());
        }
        let outcome = event["outcome"].as_str().unwrap_or_default();
        assert!(matches!(outcome, "stored" | "duplicate"), "{event}");
        let source = event["source"].as_str().ok_or("no source")?.to_owned();
        let output = event["output"].as_str().ok_or("no output")?.to_owned();
        let path = scene.project().join("public").join(&output);
        assert!(path.is_file(), "acknowledged but missing: {output}");
        let first = self.outputs.entry(source).or_insert_with(|| output.clone());
        assert_eq!(*first, output, "a source always has the same output");
        Ok(())
    }

    /// Checks that every visible output is complete.
    fn look(&mut self, scene: &Scene) -> Test {
        for (name, bytes) in tree(&scene.project().join("public"))? {
            if self.whole.insert(name.clone()) {
                dicom_object::from_reader(&*bytes).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(())
    }
}

/// Without a running holder, `status` repairs the store after a kill, and its counts match the
/// outputs.
fn count(scene: &Scene, known: &mut Observed) -> Test {
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["instances"], scene.public()?.len(), "{status}");
    known.repaired += u32::from(status["lookup_store"] == "repaired");
    let again = scene.json(&["status"])?.exits(0).summary()?;
    assert_ne!(again["lookup_store"], "repaired");
    assert_eq!(again["instances"], status["instances"]);
    Ok(())
}

/// Runs an import and kills it; true if it finished first.
fn run(scene: &Scene, known: &mut Observed, moment: &KillTime) -> Test<bool> {
    let mut child = scene
        .command(&["-p", "project", "--format", "json", "import", "in"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut lines = String::new();
    match moment {
        KillTime::Events(count) => {
            for _ in 0..*count {
                out.read_line(&mut lines)?;
            }
        }
        KillTime::Time(time) => {
            pause(*time);
        }
    }
    child.kill()?;
    let status = child.wait()?;
    out.read_to_string(&mut lines)?;
    for line in lines.lines() {
        known.hear(line, scene)?;
    }
    Ok(status.success())
}

fn kill_repeatedly(durability: &str, seed: u64) -> Test {
    let mut random = Random(seed);
    let (mut kills, mut repaired) = (0, 0);
    while kills < KILLS {
        let scene = Scene::new()?;
        scene.cts(FILES)?;
        scene.run(&["init", "project"])?.exits(0);
        scene.set("durability", durability)?;
        let mut known = Observed::default();
        let mut of_project = 0;
        // Several kills in one project, so that recovery runs on a recovered store.
        while of_project < 12 {
            let moment = match random.below(3) {
                0 => KillTime::Events(random.below(u64::from(FILES) / 4)),
                1 => KillTime::Time(Duration::from_micros(random.below(30_000))),
                _ => KillTime::Time(Duration::from_micros(random.below(120_000))),
            };
            let done = run(&scene, &mut known, &moment)?;
            known.look(&scene)?;
            if done {
                break;
            }
            if of_project % 4 == 3 {
                count(&scene, &mut known)?;
            }
            of_project += 1;
            kills += 1;
        }
        finish(&scene, &mut known)?;
        repaired += known.repaired;
    }
    assert!(repaired > 5, "only {repaired} were there to repair");
    Ok(())
}

fn finish(scene: &Scene, known: &mut Observed) -> Test {
    let last = scene.json(&["import", "in"])?.exits(0);
    for line in last.out.lines() {
        known.hear(line, scene)?;
    }
    let public = scene.public()?;
    assert_eq!(public.len(), FILES as usize);
    let outputs: BTreeSet<&String> = known.outputs.values().collect();
    assert_eq!(
        outputs.len(),
        FILES as usize,
        "each source has its own pseudonym"
    );
    assert!(outputs.iter().all(|output| public.contains_key(*output)));
    known.look(scene)?;
    let status = scene.json(&["status"])?.exits(0).summary()?;
    assert_eq!(status["instances"], FILES);
    // No run took the store for an older copy, and none left a temporary file.
    assert!(scene.project().join("store.mark").is_file());
    assert!(!scene.project().join("store.mark.new").exists());
    for directory in ["tmp", "spool"] {
        let left = fs::read_dir(scene.project().join("private").join(directory))?.count();
        assert_eq!(left, 0, "{directory}");
    }
    Ok(())
}

#[test]
fn import_survives_kills_with_full_durability() -> Test {
    kill_repeatedly("full", 1)
}

#[test]
fn import_survives_kills_with_relaxed_durability() -> Test {
    kill_repeatedly("relaxed", 2)
}
