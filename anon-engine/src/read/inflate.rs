//! Deflated data sets (PS3.5 section A.5): inflated under limits.

use std::io::{self, Write};
use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::Limits;
use crate::read::input::Input;
use crate::read::scan::ScanError;
use crate::read::scratch::Scratch;
use crate::refusal::{Category, Refusal};

const STEP: usize = 64 << 10;
const GZIP_TRAILER: u64 = 8;
/// The ratio is checked only beyond this length.
const RATIO_COUNTS_FROM: u64 = 1 << 20;

/// An inflated data set.
#[derive(Debug)]
pub(crate) enum Inflated {
    Memory(Vec<u8>),
    Scratch(Scratch),
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
            .map_err(|failed| ScanError::input(failed, at))?;
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

/// One NUL makes the stream even (PS3.5 section A.5); more zeros are accepted; anything
/// else could be another object. Some writers append a gzip trailer: four bytes of CRC, four of
/// the inflated length (RFC 1952).
fn nothing_follows<I: Input>(input: &mut I, mut at: u64, inflated: u64) -> Result<(), Refusal> {
    let end = input.len();
    if end.saturating_sub(at) >= GZIP_TRAILER {
        let trailer = input
            .window(at, 8)
            .map_err(|failed| ScanError::input(failed, at))?;
        let length = u64::to_le_bytes(inflated);
        if trailer.get(4..8) == length.get(..4) {
            at += GZIP_TRAILER;
        }
    }
    while at < end {
        let bytes = input
            .window(at, STEP)
            .map_err(|failed| ScanError::input(failed, at))?;
        let bytes = bytes.get(..STEP).unwrap_or(bytes);
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(refused("there are bytes after the deflated data set"));
        }
        at += bytes.len() as u64;
    }
    Ok(())
}
