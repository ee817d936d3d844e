//! Deflated data sets (PS3.5 section A.5): inflated under limits, and deflated again.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use crate::deid::deidentified::Deidentified;
use crate::limits::Limits;
use crate::platform;
use crate::read::input::Input;
use crate::read::scan::Fault;
use crate::refusal::{Category, Refusal};

const STEP: usize = 64 << 10;
const GZIP_TRAILER: u64 = 8;
/// Below this a ratio says nothing.
const RATIO_COUNTS_FROM: u64 = 1 << 20;

/// An inflated data set.
#[derive(Debug)]
pub(crate) enum Inflated {
    Memory(Vec<u8>),
    Scratch(Scratch),
}

/// A file that only its owner can open and that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    path: Option<PathBuf>,
    len: u64,
}

impl Scratch {
    fn create(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        platform::private_file(&mut options);
        let process = std::process::id();
        for n in 0_u32.. {
            let path = dir.join(format!("inflate-{process}-{n}"));
            match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    // Where the system allows it the name goes at once, so that a crash leaves
                    // nothing behind.
                    let path = std::fs::remove_file(&path).is_err().then_some(path);
                    return Ok(Self { file, path, len: 0 });
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            // The directory is emptied when its store is opened the next time.
            tracing::warn!(kind = ?error.kind(), "a scratch file could not be removed");
        }
    }
}

fn refused(reason: &str) -> Refusal {
    Refusal::new(Category::DicomReadError, reason)
}

fn no_scratch(error: &io::Error) -> Refusal {
    let reason = format!("a scratch file cannot be written ({})", error.kind());
    Refusal::new(Category::StorageError, reason)
}

/// Inflates from `begin` to the end: in memory up to the budget, beyond that into a scratch file.
pub(crate) fn inflate<I: Input>(
    mut input: I,
    begin: u64,
    limits: &Limits,
    scratch: Option<&Path>,
) -> Result<Inflated, Refusal> {
    let mut engine = Decompress::new(false);
    let mut held: Vec<u8> = Vec::with_capacity(STEP);
    let mut spilled: Option<Scratch> = None;
    let end = input.len();
    loop {
        let at = begin + engine.total_in();
        let bytes = input
            .window(at.min(end), STEP)
            .map_err(|failed| Fault::input(failed, at))?;
        let bytes = bytes.get(..STEP).unwrap_or(bytes);
        let (before_in, before_out) = (engine.total_in(), engine.total_out());
        held.reserve(STEP);
        let status = engine
            .decompress_vec(bytes, &mut held, FlushDecompress::None)
            .map_err(|_| refused("the deflated data set is damaged"))?;
        within_limits(&engine, limits)?;
        if status == Status::StreamEnd {
            break;
        }
        if (engine.total_in(), engine.total_out()) == (before_in, before_out) {
            return Err(refused("the deflated data set is not complete"));
        }
        if held.len() as u64 > limits.max_inflated_in_memory || spilled.is_some() {
            let dir = scratch.ok_or_else(|| {
                refused("the deflated data set is too large to inflate in memory")
            })?;
            if spilled.is_none() {
                spilled = Some(Scratch::create(dir).map_err(|error| no_scratch(&error))?);
            }
            if let Some(file) = &mut spilled {
                file.write_all(&held).map_err(|error| no_scratch(&error))?;
            }
            held.clear();
            held.shrink_to(STEP);
        }
    }
    nothing_follows(&mut input, begin + engine.total_in(), engine.total_out())?;
    match spilled {
        None => Ok(Inflated::Memory(held)),
        Some(mut file) => {
            file.write_all(&held).map_err(|error| no_scratch(&error))?;
            Ok(Inflated::Scratch(file))
        }
    }
}

fn within_limits(engine: &Decompress, limits: &Limits) -> Result<(), Refusal> {
    let (from, to) = (engine.total_in(), engine.total_out());
    let ratio = u64::from(limits.max_inflate_ratio);
    if to > limits.max_inflated || (to > RATIO_COUNTS_FROM && to / ratio > from) {
        return Err(refused("the deflated data set inflates beyond the limits"));
    }
    Ok(())
}

/// One NUL makes the stream even (PS3.5 section A.5); zeros tell nothing, anything else may be an
/// object of its own. Some writers leave the end of a gzip file behind: four bytes of CRC, four of
/// the inflated length (RFC 1952).
fn nothing_follows<I: Input>(input: &mut I, mut at: u64, inflated: u64) -> Result<(), Refusal> {
    let end = input.len();
    if end.saturating_sub(at) >= GZIP_TRAILER {
        let trailer = input
            .window(at, 8)
            .map_err(|failed| Fault::input(failed, at))?;
        let length = u64::to_le_bytes(inflated);
        if trailer.get(4..8) == length.get(..4) {
            at += GZIP_TRAILER;
        }
    }
    while at < end {
        let bytes = input
            .window(at, STEP)
            .map_err(|failed| Fault::input(failed, at))?;
        let bytes = bytes.get(..STEP).unwrap_or(bytes);
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(refused("there are bytes after the deflated data set"));
        }
        at += bytes.len() as u64;
    }
    Ok(())
}

/// A deflated output: whole in memory, or its file meta information and a scratch file.
#[derive(Debug)]
pub(crate) enum Packed {
    Memory(Vec<u8>),
    Scratch(Vec<u8>, Scratch),
}

/// Deflates an output: after `meta` in memory, or into a scratch file in `dir`.
pub(crate) fn deflate(
    inner: &Deidentified<'_>,
    meta: Vec<u8>,
    dir: Option<&Path>,
) -> io::Result<Packed> {
    let Some(dir) = dir else {
        let begin = meta.len();
        let mut encoder = DeflateEncoder::new(meta, Compression::default());
        inner.write_to(&mut encoder)?;
        let mut bytes = encoder.finish()?;
        if (bytes.len() - begin) % 2 == 1 {
            bytes.push(0);
        }
        return Ok(Packed::Memory(bytes));
    };
    let mut encoder = DeflateEncoder::new(Scratch::create(dir)?, Compression::default());
    inner.write_to(&mut encoder)?;
    let mut scratch = encoder.finish()?;
    if scratch.len % 2 == 1 {
        scratch.write_all(&[0])?;
    }
    scratch.file.rewind()?;
    Ok(Packed::Scratch(meta, scratch))
}
