//! SIGKILL in the middle of exports to S3, of objects in one request and in parts: a second run sends
//! what is missing and nothing that the journal or the listing could have told, the bucket holds
//! exactly the set, and no upload in parts is left.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use anon_engine::testing::files::{LargeImage, Place};

use crate::s3_servers::{BUCKET, S3Server};
use crate::shared::servers::dependency::{self, Dependency};
use crate::shared::{servers, wait};
use crate::support::{Scene, Test, finish, pause, tree};

const ACCESS: &str = "ANONKEY";
const SECRET: &str = "anon-secret-key";

const SMALL: u32 = 40;
/// In three parts each, of the least length that S3 has.
const LARGE: u32 = 4;
const PART: &str = "5242880";
/// Of half a MiB each.
const FRAMES: u32 = 24;
const KILLS: u64 = 12;

fn made(server: &S3Server) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(SMALL)?;
    for n in 0..LARGE {
        let mut image = Vec::new();
        LargeImage::new(Place::nth(8, n, 1), FRAMES).write_to(&mut image)?;
        scene.write(&format!("in/large/{n}.dcm"), &image)?;
    }
    scene
        .run(&[
            "init",
            "project",
            "--name",
            "TRIAL",
            "--modalities",
            "CT,XA",
        ])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    for (key, value) in [
        ("s3.endpoint", &*server.endpoint()),
        ("s3.bucket", BUCKET),
        ("s3.part_bytes", PART),
    ] {
        scene.set(key, value)?;
    }
    Ok(scene)
}

fn export(scene: &Scene) -> Command {
    let mut command =
        scene.command(&["-p", "project", "--format", "json", "export", "s3", "--all"]);
    command
        .env("HOME", scene.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", ACCESS)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

/// What the bucket holds of a round, by its path below `public/`.
fn there(server: &S3Server, round: u64) -> Test<BTreeMap<String, Vec<u8>>> {
    let below = format!("{round}/TRIAL/");
    let all = tree(&server.files())?.into_iter();
    let of_round =
        |(name, bytes): (String, _)| Some((name.strip_prefix(&below)?.to_owned(), bytes));
    Ok(all.filter_map(of_round).collect())
}

/// The same without parts that rclone keeps until their object is complete.
fn whole(server: &S3Server, round: u64) -> Test<BTreeMap<String, Vec<u8>>> {
    let mut there = there(server, round)?;
    there.retain(|name, _| !name.contains("/.rclone_temp_multipart_"));
    Ok(there)
}

/// The uploads in parts that the server has.
fn uploads(server: &S3Server) -> Test<Vec<String>> {
    let listed = Command::new(dependency::python())
        .arg(servers::scripts().join("uploads.py"))
        .args([&server.endpoint(), BUCKET, ACCESS, SECRET])
        .output()?;
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).into());
    }
    let listed = String::from_utf8(listed.stdout)?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Waits until the server has seen that its client is gone. Before that it may still finish, or take
/// back, what it was sent, and neither a journal nor a listing tells.
fn settle(server: &S3Server) -> Test {
    /// States of sockets, as `/proc/net/tcp` has them: established, and closed by the other end.
    const OPEN: [&str; 2] = ["01", "08"];
    let port = format!(":{:04X}", server.address().port());
    wait::until("the server lets go", Duration::from_mins(1), || {
        let table = fs::read_to_string("/proc/net/tcp")?;
        let is_open = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next(), words.nth(1));
            local.is_some_and(|local| local.ends_with(&port))
                && state.is_some_and(|state| OPEN.contains(&state))
        };
        Ok(!table.lines().any(is_open))
    })
}

fn kill(scene: &Scene, turn: u64) -> Test {
    let mut child = export(scene)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut said = String::new();
    if turn.is_multiple_of(2) {
        out.read_line(&mut said)?;
    }
    // A pause of another length each time.
    pause(Duration::from_millis(turn * 7919 % 400));
    child.kill()?;
    child.wait()?;
    out.read_to_string(&mut said)?;
    Ok(())
}

#[test]
fn export_to_s3_survives_kills() -> Test {
    // The second says what uploads there are.
    if !dependency::are_installed(&[Dependency::Rclone, Dependency::Moto])? {
        return Ok(());
    }
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let public = scene.public()?;
    let all = public.len();
    assert_eq!(all, (SMALL + LARGE) as usize);
    let (mut cut, mut begun) = (0, 0);
    for round in 0..KILLS / 2 {
        let prefix = round.to_string();
        scene.set("s3.prefix", &prefix)?;
        for turn in [2 * round, 2 * round + 1] {
            kill(&scene, turn)?;
            settle(&server)?;
            for (name, bytes) in whole(&server, round)? {
                assert!(
                    public.get(&name) == Some(&bytes),
                    "{name} is half there after kill {turn}"
                );
            }
        }
        if round % 2 == 1 {
            // The listing alone decides.
            let journal = scene.project().join("export");
            if journal.exists() {
                fs::remove_dir_all(journal)?;
            }
        }
        let before = whole(&server, round)?.len();
        begun += uploads(&server)?.len();
        cut += usize::from(before > 0 && before < all);
        let summary = finish(&mut export(&scene))?.exits(0).summary()?;
        assert_eq!(summary["sent"], all - before, "round {round}: {summary}");
        assert_eq!(summary["skipped"], before, "round {round}: {summary}");
        assert!(there(&server, round)? == public, "round {round}");
        let left = uploads(&server)?;
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    eprintln!(
        "{cut} of {} rounds were cut in the middle, {begun} uploads in parts",
        KILLS / 2
    );
    Ok(())
}
