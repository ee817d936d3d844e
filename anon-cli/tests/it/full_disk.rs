//! A file system that is really full: a small tmpfs in a mount namespace, where the system allows one.
//! No acknowledged object is lost, no output is partial, and once there is space the next run
//! finishes the work.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anon_net::Status;
use serde_json::Value;

use crate::serving::{STORED, Serving, StoreResult, cts, scu, statuses};
use crate::support::{Run, Scene, Test, finish, tree};

/// Too small for [`FILES`].
const SMALL: &str = "size=3m";
const LARGE: &str = "size=64m";
const FILES: u32 = 400;

/// A project on a small file system that only its own processes see.
struct SmallDisk {
    scene: Scene,
    /// Keeps the namespace, and with it the file system, until it or this test ends.
    keeper: Child,
    /// The arguments of `nsenter`.
    entering: &'static [&'static str],
}

impl SmallDisk {
    /// Returns `None` if the system allows no mount namespace; the test is skipped then.
    ///
    /// # Errors
    /// If the tool for it is not installed, and `ANON_REQUIRE_SERVERS` is set.
    fn new(size: &str) -> Test<Option<Self>> {
        let ways: [(&[&str], &'static [&'static str]); 2] = [
            (&["--mount"], &["--mount"]),
            (
                &["--mount", "--user", "--map-root-user"],
                &["--mount", "--user", "--preserve-credentials"],
            ),
        ];
        for (making, entering) in ways {
            let scene = Scene::new()?;
            fs::create_dir(scene.project())?;
            if let Some(keeper) = keep(&scene, size, making)? {
                return Ok(Some(Self {
                    scene,
                    keeper,
                    entering,
                }));
            }
        }
        // Written directly, because the test harness captures `eprintln!`.
        writeln!(
            io::stderr(),
            "skipped: no mount namespace (unshare --mount) can be had"
        )?;
        Ok(None)
    }

    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.keeper.id()))
            .args(self.entering)
            // The working directory of the keeper.
            .arg("--wd")
            .arg(program)
            .env_remove("ANON_PROJECT")
            .stdin(Stdio::null());
        command
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.inside(env!("CARGO_BIN_EXE_anon"));
        command
            .args(["-p", "project", "--format", "json"])
            .args(args);
        command
    }

    fn anon(&self, args: &[&str]) -> Test<Run> {
        finish(&mut self.command(args))
    }

    fn grow(&self) -> Test {
        let how = format!("remount,{LARGE}");
        finish(self.inside("mount").args(["-o", &how, "tmpfs", "project"]))?.exits(0);
        Ok(())
    }

    /// Fills the disk until `left` bytes are free. Removing the returned file frees the space.
    fn fill_up_to(&self, left: u64) -> Test<PathBuf> {
        let ballast = self.below("ballast");
        let mut file = File::create(&ballast)?;
        let room = rustix::fs::statvfs(&ballast)?;
        let free = room.f_bavail * room.f_frsize;
        let filled = free.saturating_sub(left);
        file.write_all(&vec![0; usize::try_from(filled)?])?;
        Ok(ballast)
    }

    /// A directory of the project, as its own processes see it.
    fn below(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        let project = self.scene.project();
        let project = project.strip_prefix("/").unwrap_or(&project);
        root.join(project).join(name)
    }

    /// Returns the visible outputs, each checked to be complete.
    fn seen(&self) -> Test<BTreeMap<String, Vec<u8>>> {
        let public = tree(&self.below("public"))?;
        for (name, bytes) in &public {
            dicom_object::from_reader(&**bytes).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(public)
    }

    /// Returns the visible outputs; they agree with `status`, and no temporary files are left.
    fn look(&self) -> Test<BTreeMap<String, Vec<u8>>> {
        let public = self.seen()?;
        let status = self.anon(&["status"])?.exits(0).summary()?;
        assert_eq!(status["instances"], public.len(), "{status}");
        for directory in ["tmp", "spool"] {
            let left = fs::read_dir(self.below("private").join(directory))?.count();
            assert_eq!(left, 0, "{directory}");
        }
        Ok(public)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Starts the process that keeps a small file system at the scene's project; nothing if there can
/// be none.
fn keep(scene: &Scene, size: &str, making: &[&str]) -> Test<Option<Child>> {
    let script =
        format!("mount -t tmpfs -o {size},mode=700 tmpfs project && echo there && read -r _");
    let spawned = Command::new("unshare")
        .args(making)
        .args(["sh", "-c", &script])
        .current_dir(scene.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut keeper = match spawned {
        Ok(keeper) => keeper,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if std::env::var_os("ANON_REQUIRE_SERVERS").is_some_and(|value| !value.is_empty()) {
                return Err("unshare is not installed, and ANON_REQUIRE_SERVERS is set".into());
            }
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let mut said = String::new();
    BufReader::new(keeper.stdout.take().ok_or("no pipe")?).read_line(&mut said)?;
    if said == "there\n" {
        return Ok(Some(keeper));
    }
    keeper.wait()?;
    Ok(None)
}

/// Returns the outputs that a run reports, by source; each must exist.
fn outputs(ran: &Run, public: &BTreeMap<String, Vec<u8>>) -> Test<BTreeMap<String, String>> {
    let mut outputs = BTreeMap::new();
    for event in ran.events()? {
        if let (Some(source), Some(output)) = (event["source"].as_str(), event["output"].as_str()) {
            assert!(public.contains_key(output), "{event}");
            outputs.insert(source.to_owned(), output.to_owned());
        }
    }
    Ok(outputs)
}

fn assert_disk_full(summary: &Value) {
    let error = summary["error"].as_str().unwrap_or_default();
    // The message of the system, or of the lookup store, which reserves some space.
    let is_full = ["No space left on device", "the disk is full"];
    assert!(
        is_full.iter().any(|words| error.contains(words)),
        "{summary}"
    );
}

fn an_import_into_a_full_disk(durability: &str) -> Test {
    let Some(small) = SmallDisk::new(SMALL)? else {
        return Ok(());
    };
    small.scene.cts(FILES)?;
    small.anon(&["init", "project"])?.exits(0);
    let set = ["config", "set", "durability", durability];
    small.anon(&set)?.exits(0);
    // One object is stored before the disk is full.
    let ran = small.anon(&["import", "in/000/00000.dcm"])?.exits(0);
    let mut told = outputs(&ran, &small.seen()?)?;
    assert_eq!(told.len(), 1);
    let first = small.anon(&["import", "in"])?.exits(4);
    let summary = first.summary()?;
    assert_disk_full(&summary);
    let before = small.seen()?;
    told.extend(outputs(&first, &before)?);
    assert_eq!(summary["stored"], told.len() - 1, "{summary}");

    // Still full. A lookup store that ran out of space cannot be repaired now either.
    let status = small.anon(&["status"])?;
    let is_sound = status.code == Some(0);
    if is_sound {
        assert_eq!(told.len(), before.len(), "{summary}");
        assert_eq!(status.summary()?["instances"], before.len());
    } else {
        assert_disk_full(&status.exits(4).summary()?);
    }
    let second = small.anon(&["import", "in"])?.exits(4);
    let summary = second.summary()?;
    assert_disk_full(&summary);
    if is_sound {
        assert_eq!(summary["duplicates"], before.len(), "{summary}");
    }
    let between = small.seen()?;
    let mut told_between = outputs(&second, &between)?;

    small.grow()?;
    let last = small.anon(&["import", "in"])?.exits(0);
    let summary = last.summary()?;
    assert_eq!(summary["duplicates"], between.len(), "{summary}");
    assert_eq!(
        summary["stored"],
        FILES as usize - between.len(),
        "{summary}"
    );
    let after = small.look()?;
    assert_eq!(after.len(), FILES as usize);
    for (name, bytes) in before.iter().chain(&between) {
        assert!(after.get(name) == Some(bytes), "{name} changed");
    }
    let told_last = outputs(&last, &after)?;
    told_between.extend(told);
    for (source, output) in told_between {
        assert_eq!(told_last.get(&source), Some(&output), "{source}");
    }
    Ok(())
}

#[test]
fn import_survives_a_full_disk_with_full_durability() -> Test {
    an_import_into_a_full_disk("full")
}

#[test]
fn import_survives_a_full_disk_with_relaxed_durability() -> Test {
    an_import_into_a_full_disk("relaxed")
}

/// The sender gets A700 and `serve` needs no restart, whether there is space for no file, for a file
/// but not for its lookups, or for a few objects.
#[test]
fn serve_continues_after_a_full_disk_has_space_again() -> Test {
    const NO_ROOM: StoreResult = StoreResult::Status(Status::OUT_OF_RESOURCES);
    let Some(small) = SmallDisk::new(LARGE)? else {
        return Ok(());
    };
    small.anon(&["init", "project"])?.exits(0);
    let set = ["config", "set", "timeouts.room", "1"];
    small.anon(&set)?.exits(0);
    let serving = Serving::of(&small.scene, small.command(&["serve", "--port", "0"]))?;
    let (scu, node) = (scu("CT_7")?, serving.node());
    assert_eq!(statuses(&scu, &node, cts(7, 3)?)?, [STORED; 3]);
    let mut stored = 3;
    let rounds = [0, 8, 64, 256, 1_024, 3_000];
    for (patient, kib) in (8..).zip(rounds) {
        let ballast = small.fill_up_to(kib << 10)?;
        let answers = statuses(&scu, &node, cts(patient, 2)?)?;
        assert_eq!(answers, [NO_ROOM; 2], "{kib} KiB");
        assert_eq!(small.look()?.len(), stored, "{kib} KiB");
        fs::remove_file(ballast)?;
        let answers = statuses(&scu, &node, cts(patient, 2)?)?;
        assert_eq!(answers, [STORED; 2], "{kib} KiB");
        stored += 2;
    }
    let summary = serving.stop()?.exits(143).summary()?;
    assert_eq!(summary["stored"], stored, "{summary}");
    assert_eq!(summary["failed"], 2 * rounds.len(), "{summary}");
    assert_eq!(small.look()?.len(), stored);
    Ok(())
}
