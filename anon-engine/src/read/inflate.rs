//! Inflates deflated data sets (PS3.5 section A.5) under limits.

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
/// The inflate ratio is checked only above this length.
const RATIO_CHECKED_FROM: u64 = 1 << 20;

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
    let reason = format!("cannot write a scratch file ({})", error.kind());
    Refusal::new(Category::StorageError, reason)
}

/// Inflates from `begin` to the end of the input: in memory up to
/// [`Limits::max_inflated_in_memory`], above that into a scratch file.
pub(crate) fn inflate<I: Input>(
    mut input: I,
    begin: u64,
    limits: &Limits,
    scratch: Option<&Path>,
) -> Result<Inflated, Refusal> {
    let mut engine = Decompress::new(false);
    let mut buffer: Vec<u8> = Vec::with_capacity(STEP);
    let mut spilled: Option<Scratch> = None;
    let end = input.len();
    loop {
        let at = begin + engine.total_in();
        let bytes = input
            .window(at.min(end), STEP)
            .map_err(|failed| ScanError::input(failed, at))?;
        let bytes = bytes.get(..STEP).unwrap_or(bytes);
        let (before_in, before_out) = (engine.total_in(), engine.total_out());
        buffer.reserve(STEP);
        let status = engine
            .decompress_vec(bytes, &mut buffer, FlushDecompress::None)
            .map_err(|_| refused("the deflated data set is damaged"))?;
        check_limits(&engine, limits)?;
        if status == Status::StreamEnd {
            break;
        }
        if (engine.total_in(), engine.total_out()) == (before_in, before_out) {
            return Err(refused("the deflated data set is not complete"));
        }
        if buffer.len() as u64 > limits.max_inflated_in_memory || spilled.is_some() {
            let dir = scratch.ok_or_else(|| {
                refused("the deflated data set is too large to inflate in memory")
            })?;
            if spilled.is_none() {
                spilled = Some(Scratch::create(dir).map_err(|error| no_scratch(&error))?);
            }
            if let Some(file) = &mut spilled {
                file.write_all(&buffer)
                    .map_err(|error| no_scratch(&error))?;
            }
            buffer.clear();
            buffer.shrink_to(STEP);
        }
    }
    check_trailer(&mut input, begin + engine.total_in(), engine.total_out())?;
    match spilled {
        None => Ok(Inflated::Memory(buffer)),
        Some(mut file) => {
            file.write_all(&buffer)
                .map_err(|error| no_scratch(&error))?;
            Ok(Inflated::Scratch(file))
        }
    }
}

fn check_limits(engine: &Decompress, limits: &Limits) -> Result<(), Refusal> {
    let (from, to) = (engine.total_in(), engine.total_out());
    let ratio = u64::from(limits.max_inflate_ratio);
    if to > limits.max_inflated || (to > RATIO_CHECKED_FROM && to / ratio > from) {
        return Err(refused("the deflated data set inflates beyond the limits"));
    }
    Ok(())
}

/// Refuses bytes after the deflated stream that could be another object.
///
/// Accepts zeros: one NUL pads the stream to even length (PS3.5 section A.5). Accepts a gzip trailer,
/// which some writers append: four bytes of CRC, four of the inflated length (RFC 1952).
fn check_trailer<I: Input>(input: &mut I, mut at: u64, inflated: u64) -> Result<(), Refusal> {
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
