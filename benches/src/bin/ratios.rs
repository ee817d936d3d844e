//! Measures every performance goal of the project in one run, compared with copies of the same bytes.
//!
//! ```text
//! cargo run --profile bench -p anon-benches --bin ratios -- --quick     takes less than three minutes
//! cargo run --profile bench -p anon-benches --bin ratios                uses the sizes of the goals
//! ```
//!
//! Files go below `ANON_BENCH_DIR`, or the system's directory for temporary files (about 0.5 GB
//! with `--quick`, 4 GB without), and are removed at the end. The import of a tree is compared with a
//! copy of the same tree in rounds: each round runs the copies and the imports in turn, each into a
//! fresh directory that is removed afterwards. A time is the median of the rounds, a ratio the median
//! of the ratios of the rounds, so that a disk that is slow for a while slows both sides. A goal holds
//! or is missed if the quartiles of the ratios agree; else the line says "about the goal". Each import
//! runs in a process of its own, which has its own peak memory. Its start and the opening of a new
//! project are shown apart.

#![expect(clippy::print_stdout, reason = "a report for a terminal")]

use std::fs::{self, File};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anon_benches::cases::{self, Tree};
use anon_benches::{baseline, work};
use anon_engine::store::Durability;
use anon_engine::{Segment, Source, plan};
use anyhow::{Context as _, bail, ensure};

const THREADS: usize = 2;

/// The sizes of the measurements.
struct Sizes {
    slices: u32,
    small: u32,
    large: (u32, u32),
    rounds: usize,
    known_uids: u64,
}

const QUICK: Sizes = Sizes {
    slices: 200,
    small: 3_000,
    large: (1, 250),
    rounds: 7,
    known_uids: 100_000,
};

const FULL: Sizes = Sizes {
    slices: 2_000,
    small: 5_000,
    large: (5, 500),
    rounds: 7,
    known_uids: 1_000_000,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => FULL,
        ["--quick"] => QUICK,
        ["import", tree, project, durability, files] => {
            return import_here(tree, project, durability, files);
        }
        _ => bail!("usage: ratios [--quick]"),
    };
    if cfg!(debug_assertions) {
        println!("warning: not a release build, so the figures are meaningless\n");
    }
    let directory = cases::directory()?;
    println!(
        "{:<34} {:>10} {:>12} {:>8}  goal",
        "", "MB/s", "objects/s", "ratio"
    );
    in_memory()?;
    from_a_file(directory.path(), &sizes)?;
    assign(directory.path(), &sizes)?;
    imports(directory.path(), &sizes)
}

/// Times divided by those of the baseline.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    median: f64,
    /// The quartiles of the rounds.
    spread: (f64, f64),
}

impl Ratio {
    fn of_one(time: Duration, baseline: Duration) -> Self {
        let median = ratio_to(time, baseline);
        Self {
            median,
            spread: (median, median),
        }
    }

    /// Compares each time with the baseline of the same round.
    fn of_rounds(times: &[Duration], baselines: &[Duration]) -> anyhow::Result<Self> {
        let pairs = times.iter().zip(baselines);
        let ratios: Vec<f64> = pairs.map(|(time, base)| ratio_to(*time, *base)).collect();
        Ok(Self {
            median: at_quarter(&ratios, 2)?,
            spread: (at_quarter(&ratios, 1)?, at_quarter(&ratios, 3)?),
        })
    }

    /// Says if the goal is met. With the goal between the quartiles, the next run could say the opposite.
    fn result(self, goal: f64) -> String {
        let (low, high) = self.spread;
        if high <= goal {
            "holds".to_owned()
        } else if low > goal {
            "MISSED".to_owned()
        } else {
            format!("about the goal ({low:.2} to {high:.2})")
        }
    }
}

/// Prints one line of the table. `ratio` has an upper bound.
fn print_line(name: &str, bytes: u64, objects: u64, time: Duration, ratio: Option<(Ratio, f64)>) {
    let per_second = |count: u64| as_float(count) / time.as_secs_f64();
    let (ratio, goal) = match ratio {
        None => ("-".to_owned(), String::new()),
        Some((ratio, goal)) => {
            let result = ratio.result(goal);
            let result = goal.is_finite().then(|| format!("<= {goal:.1} {result}"));
            (format!("{:.2}", ratio.median), result.unwrap_or_default())
        }
    };
    println!(
        "{name:<34} {:>10.0} {:>12.0} {ratio:>8}  {goal}",
        per_second(bytes) / 1e6,
        per_second(objects)
    );
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn ratio_to(time: Duration, baseline: Duration) -> f64 {
    time.as_secs_f64() / baseline.as_secs_f64()
}

/// Returns the best time of one round, over batches of rounds that take half a second together.
fn best_round(mut round: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut best = Duration::MAX;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        for _ in 0..20 {
            round()?;
        }
        best = best.min(start.elapsed() / 20);
    }
    Ok(best)
}

/// Compares plan and apply in memory with a copy of the same bytes, and the 20 KB file also with the copy of
/// the CT slice.
fn in_memory() -> anyhow::Result<()> {
    let policy = work::policy()?;
    let mut ct_copy = None;
    for case in cases::in_memory() {
        let names = work::names_for(&policy, &case.bytes)?;
        let bytes = case.bytes.len() as u64;
        let mut out = Vec::with_capacity(case.bytes.len() + 65_536);
        let copy = best_round(|| {
            baseline::copy_bytes(black_box(&case.bytes), &mut out);
            Ok(())
        })?;
        let time =
            best_round(|| work::plan_apply(&policy, black_box(&case.bytes), &names, &mut out))?;
        let ct_copy = *ct_copy.get_or_insert(copy);
        print_line(&format!("copy {}", case.name), bytes, 1, copy, None);
        let goal = if case.name == "ct_slice" {
            2.0
        } else {
            f64::INFINITY
        };
        print_line(
            &format!("plan+apply {}", case.name),
            bytes,
            1,
            time,
            Some((Ratio::of_one(time, copy), goal)),
        );
        if case.name == "metadata_heavy" {
            print_line(
                "  compared with the copy of ct_slice",
                bytes,
                1,
                time,
                Some((Ratio::of_one(time, ct_copy), 1.0)),
            );
        }
    }
    Ok(())
}

/// Measures plan and apply of a multi-frame file, of which only headers are read.
fn from_a_file(directory: &Path, sizes: &Sizes) -> anyhow::Result<()> {
    let path = directory.join("multi_frame.dcm");
    let length = cases::large_file(&path, 0, sizes.large.1)?;
    let policy = work::policy()?;
    let file = File::open(&path)?;
    let names = work::names(plan(&policy, Source::file(&file, length))?.wanted());
    let mut bytes = vec![1_u8; usize::try_from(length)?];
    let mut out = Vec::with_capacity(bytes.len());
    let copy = (0..3)
        .map(|_| {
            let start = Instant::now();
            baseline::copy_bytes(black_box(&bytes), &mut out);
            start.elapsed()
        })
        .min()
        .context("three runs")?;
    bytes.clear();
    let time = best_round(|| {
        let plan = plan(&policy, Source::file(&file, length))?;
        let clean = plan.apply(&names)?;
        let kept: u64 = clean
            .segments()
            .map(|segment| match segment {
                Segment::Bytes(bytes) => bytes.len() as u64,
                Segment::File { len, .. } => len,
            })
            .sum();
        ensure!(kept == clean.len(), "segments and length differ");
        Ok(())
    })?;
    print_line("copy multi-frame", length, 1, copy, None);
    print_line(
        "plan+apply multi-frame, from a file",
        length,
        1,
        time,
        Some((Ratio::of_one(time, copy), f64::INFINITY)),
    );
    Ok(())
}

/// Measures new and known UIDs per second, on disk with full durability.
fn assign(directory: &Path, sizes: &Sizes) -> anyhow::Result<()> {
    const GROUP: u64 = 250; // 1,000 UIDs
    let lookups = work::disk_lookups(&directory.join("lookup.redb"), Durability::Full)?;
    let instances = sizes.known_uids / work::OWN_UIDS;
    for first in (0..instances).step_by(usize::try_from(GROUP)?) {
        work::assign_new(&*lookups, first..first + GROUP)?;
    }
    let mut times = Vec::new();
    for group in 0..100 {
        let first = instances + group * GROUP;
        let start = Instant::now();
        work::assign_new(&*lookups, first..first + GROUP)?;
        times.push(start.elapsed());
    }
    print_rate(
        "new UIDs, groups of 1,000",
        GROUP * work::OWN_UIDS,
        median(&times)?,
        100_000,
    );
    // In an order spread over the whole store, which defeats caches.
    times.clear();
    for batch in 0..20 {
        let start = Instant::now();
        for nth in 0..1_000 {
            let n = (batch * 1_000 + nth) * 7_919 % instances;
            work::assign_known(&*lookups, n..n + 1)?;
        }
        times.push(start.elapsed());
    }
    print_rate(
        "known UIDs, one thread",
        1_000 * work::OWN_UIDS,
        median(&times)?,
        200_000,
    );
    Ok(())
}

fn print_rate(name: &str, uids: u64, time: Duration, goal: u64) {
    let per_second = as_float(uids) / time.as_secs_f64();
    let result = if per_second >= as_float(goal) {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "{name:<34} {:>10} {per_second:>12.0} {:>8}  >= {goal} {result}",
        "-", "-"
    );
}

/// The times of one tree, one of each a round, and the highest peak memory.
#[derive(Debug, Default)]
struct Times {
    cp: Vec<Duration>,
    copy_durable: Vec<Duration>,
    relaxed: Vec<Duration>,
    full: Vec<Duration>,
    /// From the start of a process until its project is open.
    opening: Vec<Duration>,
    peak_kib: u64,
}

fn median<T: PartialOrd + Copy>(values: &[T]) -> anyhow::Result<T> {
    at_quarter(values, 2)
}

/// Returns the lower quartile, the median or the upper quartile.
fn at_quarter<T: PartialOrd + Copy>(values: &[T], quarter: usize) -> anyhow::Result<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let place = sorted.len() * quarter / 4;
    sorted.get(place).copied().context("no rounds")
}

fn imports(directory: &Path, sizes: &Sizes) -> anyhow::Result<()> {
    let (large, frames) = sizes.large;
    let trees = [
        (cases::ct_tree(directory, sizes.slices)?, 1.2),
        (cases::small_tree(directory, sizes.small)?, 1.0),
        (cases::large_tree(directory, large, frames)?, 2.5),
    ];
    let (mut peak_kib, mut opening) = (0, Vec::new());
    for (tree, goal) in trees {
        let times = time_tree(directory, &tree, sizes.rounds)?;
        let show = |name: &str, times: &[Duration], ratio| {
            let name = format!("{name} {}", tree.name);
            print_line(&name, tree.bytes, tree.files.into(), median(times)?, ratio);
            anyhow::Ok(())
        };
        let relaxed = Ratio::of_rounds(&times.relaxed, &times.cp)?;
        let full = Ratio::of_rounds(&times.full, &times.copy_durable)?;
        show("cp -r", &times.cp, None)?;
        show("import relaxed", &times.relaxed, Some((relaxed, goal)))?;
        show("copy durable", &times.copy_durable, None)?;
        show("import durable", &times.full, Some((full, 1.3)))?;
        peak_kib = peak_kib.max(times.peak_kib);
        opening.extend(times.opening);
    }
    println!(
        "start of a process and opening of a new project, not in the figures: {} ms",
        median(&opening)?.as_millis()
    );
    let result = if peak_kib < 256 * 1024 {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "peak memory of an import: {} MiB, goal < 256 MiB {result}",
        peak_kib / 1024
    );
    Ok(())
}

fn time_tree(directory: &Path, tree: &Tree, rounds: usize) -> anyhow::Result<Times> {
    let mut times = Times::default();
    let fresh = directory.join(format!("{}-copy", tree.name));
    // The first copy warms the page cache. It is not counted.
    timed(&fresh, || Ok(baseline::cp_r(&tree.root, &fresh)?))?;
    for _ in 0..rounds {
        let cp = timed(&fresh, || Ok(baseline::cp_r(&tree.root, &fresh)?))?;
        times.cp.push(cp.0);
        let relaxed = timed(&fresh, || import_in_child(tree, &fresh, "relaxed"))?;
        times.add_opening(&relaxed);
        times.relaxed.push(relaxed.1.time);
        let copy = timed(&fresh, || {
            Ok(baseline::copy_durable(&tree.root, &fresh, THREADS)?)
        })?;
        times.copy_durable.push(copy.0);
        let full = timed(&fresh, || import_in_child(tree, &fresh, "full"))?;
        times.add_opening(&full);
        times.full.push(full.1.time);
    }
    Ok(times)
}

impl Times {
    fn add_opening(&mut self, (whole, import): &(Duration, Imported)) {
        self.opening.push(whole.saturating_sub(import.time));
        self.peak_kib = self.peak_kib.max(import.peak_kib);
    }
}

/// Runs what makes the directory `fresh`, removes it, and returns the time of the run. Begins when
/// the system has written what earlier runs left in its caches.
fn timed<T>(
    fresh: &Path,
    run: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(Duration, T)> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    let start = Instant::now();
    let result = run()?;
    let time = start.elapsed();
    fs::remove_dir_all(fresh)?;
    Ok((time, result))
}

/// What the process of an import says of it.
#[derive(Debug, Clone, Copy)]
struct Imported {
    time: Duration,
    peak_kib: u64,
}

/// Imports in a process of its own.
fn import_in_child(tree: &Tree, project: &Path, durability: &str) -> anyhow::Result<Imported> {
    let output = Command::new(std::env::current_exe()?)
        .arg("import")
        .args([&tree.root, project])
        .args([durability, &tree.files.to_string()])
        .output()?;
    ensure!(
        output.status.success(),
        "import of {}: {}",
        tree.name,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let (micros, peak) = text.trim().split_once(' ').context("two numbers")?;
    Ok(Imported {
        time: Duration::from_micros(micros.parse()?),
        peak_kib: peak.parse()?,
    })
}

/// Runs in the child process of [`import_in_child`].
fn import_here(tree: &str, project: &str, durability: &str, files: &str) -> anyhow::Result<()> {
    let durability = match durability {
        "full" => Durability::Full,
        "relaxed" => Durability::Relaxed,
        _ => bail!("no such durability"),
    };
    let time = work::import_tree(
        Path::new(tree),
        Path::new(project),
        THREADS,
        durability,
        files.parse()?,
    )?;
    println!("{} {}", time.as_micros(), peak_kib()?);
    Ok(())
}

/// Returns the peak resident size of this process in KiB. 0 where there is no `/proc`.
fn peak_kib() -> anyhow::Result<u64> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(0);
    };
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
