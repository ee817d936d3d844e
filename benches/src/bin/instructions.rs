//! Counts the instructions of plan and apply, and compares them with `benches/instructions.toml`.
//!
//! ```text
//! instructions            counts each case under valgrind; exits 1 if one needs more instructions
//! instructions --write    counts each case and writes the file
//! instructions CASE N     runs the workload: plans and applies CASE N times
//! ```
//!
//! A count is the difference between a run with many rounds and one with few, divided by the difference in
//! rounds. This excludes the start, compiling the rules and making the case. The output is not copied,
//! because the instructions of a copy depend on the processor.

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

const FEW_ROUNDS: u64 = 5;
const MANY_ROUNDS: u64 = 55;

/// Cases under a profile instead of `rsna-v17`: the name, the case, and the profile.
const PROFILES: [(&str, &str, &str); 3] = [
    ("ct_slice_basic", "ct_slice", "basic+modified-dates"),
    ("ct_slice_usual", "ct_slice", USUAL),
    ("everything_phi_usual", "everything_phi", USUAL),
];

const USUAL: &str = "basic+clean-descriptors+modified-dates+patient-characteristics";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => compare(&count_all()?),
        ["--write"] => write(&count_all()?),
        [case, rounds] => workload(case, rounds.parse()?),
        _ => bail!("usage: instructions [--write | CASE N]"),
    }
}

fn workload(name: &str, rounds: u64) -> anyhow::Result<()> {
    let of_profile = PROFILES.iter().find(|(known, ..)| *known == name);
    let (case, policy) = match of_profile {
        Some((_, case, profile)) => (*case, work::policy_of_profile(profile)?),
        None => (name, work::policy()?),
    };
    let case = cases::named(case).context("no such case")?;
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

/// Counts the instructions of one plan and apply, for each case.
fn count_all() -> anyhow::Result<Vec<(&'static str, u64)>> {
    let profiles = PROFILES.iter().map(|(name, ..)| *name);
    cases::names()
        .chain(profiles)
        .map(|name| {
            let few = count(name, FEW_ROUNDS)?;
            let many = count(name, MANY_ROUNDS)?;
            ensure!(many > few, "{name}: more rounds needed fewer instructions");
            Ok((name, (many - few) / (MANY_ROUNDS - FEW_ROUNDS)))
        })
        .collect()
}

/// Counts the instructions of a whole run.
fn count(case: &str, rounds: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([case, &rounds.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{case} under valgrind: {errors}");
    errors
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .with_context(|| format!("valgrind printed no count: {errors}"))
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
    let mut exceeded = Vec::new();
    for (name, now) in counts {
        let before = cases
            .get(*name)
            .and_then(toml::Value::as_integer)
            .and_then(|count| u64::try_from(count).ok())
            .with_context(|| format!("no count for {name}: run with --write"))?;
        let result = if *now * 100 > before * (100 + percent) {
            exceeded.push(*name);
            "MORE"
        } else if *now * 100 < before * (100 - percent.min(100)) {
            "fewer: lower the limit with --write"
        } else {
            "as before"
        };
        println!("{name:<20} {before:>10} -> {now:>10}  {result}");
    }
    ensure!(
        exceeded.is_empty(),
        "more than {percent} % more instructions: {}",
        exceeded.join(", ")
    );
    Ok(())
}

fn write(counts: &[(&'static str, u64)]) -> anyhow::Result<()> {
    let mut text = String::from(
        "# Instructions of one plan and apply of each case (callgrind, bench profile, x86-64), without\n\
         # the copy of the output. Written by `benches/instructions.sh --write`. CI fails if a count exceeds its\n\
         # value here by more than the tolerance.\n\
         tolerance_percent = 3\n\n[cases]\n",
    );
    for (name, count) in counts {
        println!("{name:<20} {count:>10}");
        writeln!(text, "{name} = {count}")?;
    }
    File::create(file())?.write_all(text.as_bytes())?;
    Ok(())
}
