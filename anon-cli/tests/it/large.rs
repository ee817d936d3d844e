//! Objects of 4 GiB and more. They take 9 GB of disk, so they are imported only where
//! `ANON_LARGE_OBJECTS=1` says so: `.ci/run large` does.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anon_engine::testing::files::{Place, Syntax, ct_small};
use dicom_core::Tag;

use crate::support::{Run, Scene, Test, pause};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const ROWS: Tag = Tag(0x0028, 0x0010);
const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const DELIMITER: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

/// The longest value that PS3.5 section 7.1 has room for: even, and not the undefined length.
const LONGEST: u32 = 0xFFFF_FFFE;

/// Limit of the memory that the process may write in KiB, a quarter of an object.
const MEMORY: u32 = 1 << 20;

/// Limit of resident memory, in bytes.
const RESIDENT: u64 = 256 << 20;

/// The first and last bytes of each value, with a hole between them.
const ENDS: [&[u8]; 2] = [b"first bytes of it", b"last bytes of it"];

fn large_tests_enabled() -> Test<bool> {
    let wanted = std::env::var_os("ANON_LARGE_OBJECTS").is_some_and(|value| value == "1");
    if !wanted {
        writeln!(
            std::io::stderr(),
            "skipped: ANON_LARGE_OBJECTS=1 is not set"
        )?;
    }
    Ok(wanted)
}

/// Writes an image up to its pixel data, whose header is `head`. Without rows nobody knows how many
/// bytes the pixels take, so none are cut off.
fn begin(path: &Path, syntax: Syntax, head: &[u8]) -> Test<File> {
    let object = ct_small(&Place::new(3)).without(PIXEL_DATA).without(ROWS);
    let mut file = File::create_new(path)?;
    file.write_all(&object.write(syntax))?;
    file.write_all(head)?;
    Ok(file)
}

/// Writes a sparse value, which takes no disk space.
fn sparse_value(file: &mut File, length: u32) -> Test {
    let begin = file.stream_position()?;
    file.write_all(ENDS[0])?;
    let last = begin + u64::from(length) - ENDS[1].len() as u64;
    file.seek(SeekFrom::Start(last))?;
    file.write_all(ENDS[1])?;
    Ok(())
}

/// Runs a command with little output. Returns its peak memory, too, in bytes.
pub(crate) fn run_measuring_memory(command: &mut Command) -> Test<(Run, u64)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak.max(high_water(child.id()));
        pause(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    let ran = Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    };
    Ok((ran, peak))
}

/// Returns the peak memory so far (proc(5), `VmHWM`); 0 if the process has ended.
fn high_water(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Imports `in/` under the memory limit and returns the only output.
fn import_in_little_memory(scene: &Scene) -> Test<File> {
    let run = format!(
        "ulimit -d {MEMORY}; exec '{}' -p project --format json import in --jobs 1 --site-id 5",
        env!("CARGO_BIN_EXE_anon")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &run]).current_dir(scene.path());
    let (ran, peak) = run_measuring_memory(&mut command)?;
    let summary = ran.exits(0).summary()?;
    assert_eq!(summary["stored"], 1);
    assert!(peak > 0 && peak < RESIDENT, "{peak} bytes at once");
    let mut directory = scene.project().join("public");
    while directory.is_dir() {
        let entry = fs::read_dir(&directory)?
            .next()
            .ok_or("nothing is stored")?;
        directory = entry?.path();
    }
    let output = File::open(&directory)?;
    assert_eq!(summary["bytes_out"], output.metadata()?.len());
    Ok(output)
}

/// Returns `length` bytes that end `before` bytes ahead of the end of the file.
fn bytes_before_end(file: &mut File, before: u64, length: usize) -> Test<Vec<u8>> {
    let at = file.metadata()?.len() - before - length as u64;
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn import_of_the_longest_possible_value() -> Test {
    if !large_tests_enabled()? {
        return Ok(());
    }
    let scene = Scene::new()?;
    fs::create_dir(scene.path().join("in"))?;
    let head = [
        &[0xE0, 0x7F, 0x10, 0x00, b'O', b'W', 0, 0][..],
        &LONGEST.to_le_bytes(),
    ]
    .concat();
    let mut file = begin(&scene.path().join("in/1"), Syntax::ExplicitLittle, &head)?;
    sparse_value(&mut file, LONGEST)?;
    let mut output = import_in_little_memory(&scene)?;
    let value = u64::from(LONGEST);
    let begin = bytes_before_end(
        &mut output,
        value - ENDS[0].len() as u64,
        ENDS[0].len() + head.len(),
    )?;
    assert_eq!(begin, [&head, ENDS[0]].concat());
    assert_eq!(bytes_before_end(&mut output, 0, ENDS[1].len())?, ENDS[1]);
    let middle = bytes_before_end(&mut output, value / 2, 4096)?;
    assert!(middle.iter().all(|byte| *byte == 0));
    Ok(())
}

#[test]
fn import_of_fragments_larger_than_four_gib_together() -> Test {
    const FRAGMENT: u32 = (1 << 31) + 1024;
    const COUNT: u64 = 2;
    if !large_tests_enabled()? {
        return Ok(());
    }
    let scene = Scene::new()?;
    fs::create_dir(scene.path().join("in"))?;
    let undefined = u32::MAX.to_le_bytes();
    let empty_table = [&ITEM[..], &[0; 4]].concat();
    let head = [
        &[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0][..],
        &undefined,
        &empty_table,
    ]
    .concat();
    let mut file = begin(&scene.path().join("in/1"), Syntax::RLE, &head)?;
    for _ in 0..COUNT {
        file.write_all(&ITEM)?;
        file.write_all(&FRAGMENT.to_le_bytes())?;
        sparse_value(&mut file, FRAGMENT)?;
    }
    file.write_all(&DELIMITER)?;
    let mut output = import_in_little_memory(&scene)?;
    assert!(output.metadata()?.len() > 1 << 32);
    let fragment = 8 + u64::from(FRAGMENT);
    for number in 1..=COUNT {
        let end = DELIMITER.len() as u64 + (COUNT - number) * fragment;
        assert_eq!(bytes_before_end(&mut output, end, ENDS[1].len())?, ENDS[1]);
        let begin = end + u64::from(FRAGMENT) - ENDS[0].len() as u64;
        let item = [&ITEM[..], &FRAGMENT.to_le_bytes(), ENDS[0]].concat();
        assert_eq!(bytes_before_end(&mut output, begin, item.len())?, item);
    }
    assert_eq!(
        bytes_before_end(&mut output, 0, DELIMITER.len())?,
        DELIMITER
    );
    Ok(())
}
