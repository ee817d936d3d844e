//! Compares receiving and sending over DICOM with DCMTK. `benches/network.sh` builds and runs it.
//!
//! The rounds of a row and of its reference are interleaved, each in a fresh directory. A ratio compares two
//! rounds. Processor time, read from `/proc`, is the most reliable figure on a shared machine.

#![expect(clippy::print_stdout, reason = "a report for a terminal")]

mod memory;
mod process;
mod receive;
mod report;
mod send;
mod server;

use std::path::{Path, PathBuf};

use anon_benches::{baseline, cases};
use anyhow::{Context as _, bail};

/// The number of directories with slices: one for each of four associations.
const SHARDS: u32 = 4;

/// The sizes of the measurements.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    slices: u32,
    rounds: usize,
    /// The number of frames of the large object, 512 KiB each.
    large_frames: u32,
}

/// The slices to send.
#[derive(Debug)]
struct Slices {
    shards: Vec<PathBuf>,
    files: u64,
    bytes: u64,
}

fn main() -> anyhow::Result<()> {
    let mut sizes = Sizes {
        slices: 2_000,
        rounds: 3,
        large_frames: 4_096,
    };
    let mut parts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> anyhow::Result<u32> {
            let text = arguments.next().context("an option needs a number")?;
            Ok(text.parse()?)
        };
        match argument.as_str() {
            "--slices" => sizes.slices = number()?.max(SHARDS),
            "--rounds" => sizes.rounds = usize::try_from(number()?.max(1))?,
            "--large-frames" => sizes.large_frames = number()?,
            "receive" | "send" | "memory" => parts.push(argument),
            _ => bail!(
                "usage: network [--slices N] [--rounds N] [--large-frames N] [receive|send|memory]..."
            ),
        }
    }
    if cfg!(debug_assertions) {
        println!("warning: not a release build, so the figures are meaningless\n");
    }
    let is_selected = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    let directory = cases::directory()?;
    let slices = Slices::make(&directory.path().join("slices"), sizes.slices)?;
    println!(
        "{} slices, {:.0} MB; {} rounds",
        slices.files,
        report::float(slices.bytes) / 1e6,
        sizes.rounds
    );
    if is_selected("receive") {
        receive::measure(directory.path(), &slices, sizes.rounds)?;
    }
    if is_selected("send") {
        send::measure(directory.path(), &slices, sizes.rounds)?;
    }
    if is_selected("memory") {
        memory::measure(directory.path(), &slices, sizes.large_frames)?;
    }
    Ok(())
}

impl Slices {
    fn make(root: &Path, count: u32) -> anyhow::Result<Self> {
        let tree = cases::ct_tree(root, count)?;
        let mut shards = Vec::new();
        for shard in 0..SHARDS {
            let path = root.join(format!("shard{shard}"));
            std::fs::create_dir(&path)?;
            shards.push(path);
        }
        let files = baseline::files_below(&tree.root)?;
        for (file, shard) in files.iter().zip(shards.iter().cycle()) {
            let name = file.file_name().context("a file has no name")?;
            std::fs::rename(file, shard.join(name))?;
        }
        Ok(Self {
            shards,
            files: tree.files.into(),
            bytes: tree.bytes,
        })
    }

    /// Splits the directories among 1, 2 or 4 associations.
    fn shares(&self, associations: usize) -> impl Iterator<Item = &[PathBuf]> {
        self.shards
            .chunks(self.shards.len().div_ceil(associations).max(1))
    }
}
