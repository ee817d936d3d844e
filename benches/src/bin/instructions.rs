//! Counts the instructions of plan and apply, and compares them with `benches/instructions.toml`.
//!
//! ```text
//! instructions            counts each case under valgrind; exits 1 if one has grown
//! instructions --write    counts, and writes the file
//! instructions CASE N     the workload itself: plans and applies CASE N times
//! ```
//!
//! A count is the difference of a run with many rounds and one with few, divided by the rounds
//! between: what it takes to start, to compile the rules and to make the case falls out. Nothing is
//! copied to an output, because the cost of a copy hangs on the processor.

#![expect(clippy::print_stdout, reason = "a report for a terminal or a log")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anon_benches::{cases, work};
use anon_engine::{Segment, Source, plan};
use anyhow::{Context as _, bail, ensure};

const FEW: u64 = 5;
const MANY: u64 = 55;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => compare(&counted()?),
        ["--write"] => write(&counted()?),
        [case, rounds] => workload(case, rounds.parse()?),
        _ => bail!("usage: instructions [--write | CASE N]"),
    }
}

fn workload(name: &str, rounds: u64) -> anyhow::Result<()> {
    let case = cases::named(name).context("no such case")?;
    let policy = work::policy()?;
    let names = work::names_for(&policy, &case.bytes)?;
    let mut total = 0;
    for _ in 0..rounds {
        let plan = plan(&policy, Source::part10(black_box(&case.bytes)))?;
        let clean = plan.apply(&names)?;
        for segment in clean.segments() {
            total += match segment {
                Segment::Bytes(bytes) => bytes.len() as u64,
                Segment::File { len, .. } => len,
            };
        }
    }
    ensure!(black_box(total) > 0, "no output");
    Ok(())
}

/// Instructions of one plan and apply of each case.
fn counted() -> anyhow::Result<Vec<(&'static str, u64)>> {
    cases::names()
        .map(|name| {
            let few = count(name, FEW)?;
            let many = count(name, MANY)?;
            ensure!(many > few, "{name}: more rounds took fewer instructions");
            Ok((name, (many - few) / (MANY - FEW)))
        })
        .collect()
}

/// Instructions of a whole run.
fn count(case: &str, rounds: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([case, &rounds.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{case} under valgrind: {said}");
    said.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .with_context(|| format!("valgrind names no count: {said}"))
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

fn compare(counts: &[(&'static str, u64)]) -> anyhow::Result<()> {
    let known: toml::Table = fs::read_to_string(file())?.parse()?;
    let percent = known
        .get("tolerance_percent")
        .and_then(toml::Value::as_integer)
        .and_then(|percent| u64::try_from(percent).ok())
        .context("no tolerance_percent")?;
    let cases = known
        .get("cases")
        .and_then(toml::Value::as_table)
        .context("no [cases]")?;
    let mut grown = Vec::new();
    for (name, now) in counts {
        let before = cases
            .get(*name)
            .and_then(toml::Value::as_integer)
            .and_then(|count| u64::try_from(count).ok())
            .with_context(|| format!("no count for {name}: run with --write"))?;
        let verdict = if *now * 100 > before * (100 + percent) {
            grown.push(*name);
            "GROWN"
        } else if *now * 100 < before * (100 - percent.min(100)) {
            "fewer: lower the mark with --write"
        } else {
            "as before"
        };
        println!("{name:<20} {before:>10} -> {now:>10}  {verdict}");
    }
    ensure!(
        grown.is_empty(),
        "more than {percent} % more instructions: {}",
        grown.join(", ")
    );
    Ok(())
}

fn write(counts: &[(&'static str, u64)]) -> anyhow::Result<()> {
    let mut text = String::from(
        "# Instructions of one plan and apply of each case (callgrind, bench profile, x86-64), without\n\
         # the copy of the output. Written by `benches/instructions.sh --write`; more than the tolerance\n\
         # above a mark fails the gate.\n\
         tolerance_percent = 3\n\n[cases]\n",
    );
    for (name, count) in counts {
        println!("{name:<20} {count:>10}");
        writeln!(text, "{name} = {count}")?;
    }
    File::create(file())?.write_all(text.as_bytes())?;
    Ok(())
}
