//! Receiving and sending over DICOM beside DCMTK, in one run: see `benches/network.sh`, which runs it.
//!
//! The rounds of a row are interleaved with those of the row it is compared with, each into a fresh
//! directory, and a ratio is of one round. On a machine that others use the steady figure is the
//! processor time, read from `/proc`.

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

/// Slices are sent from four directories: one for each of four associations.
const SHARDS: u32 = 4;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    slices: u32,
    rounds: usize,
    /// Frames of 512 KiB of the large object.
    large_frames: u32,
}

/// What is sent.
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
            let text = arguments.next().context("an option wants a number")?;
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
        println!("warning: not a release build, the figures say nothing\n");
    }
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    let directory = cases::directory()?;
    let slices = Slices::make(&directory.path().join("slices"), sizes.slices)?;
    println!(
        "{} slices, {:.0} MB; {} rounds",
        slices.files,
        report::float(slices.bytes) / 1e6,
        sizes.rounds
    );
    if wants("receive") {
        receive::measure(directory.path(), &slices, sizes.rounds)?;
    }
    if wants("send") {
        send::measure(directory.path(), &slices, sizes.rounds)?;
    }
    if wants("memory") {
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
            let name = file.file_name().context("a file has a name")?;
            std::fs::rename(file, shard.join(name))?;
        }
        Ok(Self {
            shards,
            files: tree.files.into(),
            bytes: tree.bytes,
        })
    }

    /// The directories that each of so many associations sends: 1, 2 or 4.
    fn shares(&self, associations: usize) -> impl Iterator<Item = &[PathBuf]> {
        self.shards
            .chunks(self.shards.len().div_ceil(associations).max(1))
    }
}
