//! The workbook as an archive: looked at under limits before anything parses it.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Limits, ReadError};

/// What every ZIP archive with an entry begins with (APPNOTE 4.3.7).
const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";

/// Parts of a workbook: one with a sheet has about ten.
const MAX_PARTS: usize = 1000;

const BUFFER: usize = 64 << 10;

/// The attribute of the table of texts for which the reader reserves memory unseen.
const PROMISE: &[u8] = b"uniqueCount";

/// After [`PROMISE`]: equals sign, quotes, digits, and spaces around them.
const ROOM: usize = 64;

/// Reads a workbook into memory and inflates every part once, to nowhere: what is too large,
/// damaged, or promises more than it can hold is refused.
pub(super) fn read(source: impl Read, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let most = limits.max_file_bytes;
    source
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(ReadError::Io)?;
    if bytes.len() as u64 > most {
        return Err(too_large("the file in bytes", most));
    }
    if bytes.is_empty() {
        return Err(ReadError::Damaged);
    }
    if !bytes.starts_with(&LOCAL_HEADER) {
        return Err(ReadError::NotXlsx);
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes.as_slice())).map_err(damaged)?;
    if archive.len() > MAX_PARTS {
        return Err(too_large("its parts", MAX_PARTS as u64));
    }
    let mut total = 0;
    for place in 0..archive.len() {
        let part = archive.by_index(place).map_err(damaged)?;
        total += inflate(part, limits)?;
        if total > limits.max_part_bytes.saturating_mul(2) {
            return Err(too_large(
                "all parts in bytes",
                limits.max_part_bytes.saturating_mul(2),
            ));
        }
    }
    Ok(bytes)
}

/// The length of a part.
fn inflate(part: impl Read, limits: &Limits) -> Result<u64, ReadError> {
    let most = limits.max_part_bytes;
    let mut part = part.take(most.saturating_add(1));
    let mut total = 0;
    // What was read last stays in front: a word may lie across two reads.
    let mut window = Vec::with_capacity(BUFFER + PROMISE.len() + ROOM);
    loop {
        let kept = window.len();
        let read = (&mut part)
            .take(BUFFER as u64)
            .read_to_end(&mut window)
            // The bytes are in memory: only what inflates them can fail.
            .map_err(|_| ReadError::Damaged)?;
        total += read as u64;
        if total > most {
            return Err(too_large("a part in bytes", most));
        }
        check_promises(&window, most)?;
        if read == 0 {
            return Ok(total);
        }
        let begin = (kept + read).saturating_sub(PROMISE.len() + ROOM);
        window.drain(..begin);
    }
}

/// Refuses a count of texts that a part cannot hold.
fn check_promises(window: &[u8], most: u64) -> Result<(), ReadError> {
    let places = window.windows(PROMISE.len()).enumerate();
    for (place, _) in places.filter(|(_, word)| *word == PROMISE) {
        let rest = window.get(place + PROMISE.len()..).unwrap_or_default();
        let digits: Vec<u8> = rest
            .iter()
            .copied()
            .skip_while(|byte| !byte.is_ascii_digit())
            .take_while(u8::is_ascii_digit)
            .collect();
        let Ok(digits) = String::from_utf8(digits) else {
            return Err(ReadError::Damaged);
        };
        if digits.is_empty() {
            // Cut off, or no count. In the first case it comes again, at the front of the window.
            continue;
        }
        // A text takes 12 bytes: <si><t/></si>.
        if !digits.parse::<u64>().is_ok_and(|count| count <= most / 12) {
            return Err(ReadError::Damaged);
        }
    }
    Ok(())
}

fn too_large(what: &'static str, limit: u64) -> ReadError {
    ReadError::TooLarge { what, limit }
}

/// The archive's own words can name its parts.
fn damaged(_: ZipError) -> ReadError {
    ReadError::Damaged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(part: &[u8]) -> Result<u64, ReadError> {
        let limits = Limits {
            max_part_bytes: 1 << 20,
            ..Limits::default()
        };
        inflate(part, &limits)
    }

    #[test]
    fn a_promise_is_held_against_what_there_is_room_for() {
        for (text, good) in [
            ("<sst count='9' uniqueCount='9'>", true),
            ("<sst uniqueCount=\"87381\">", true),
            ("<sst uniqueCount=\"87382\">", false),
            ("<sst uniqueCount = '99999999'>", false),
            ("<sst uniqueCount='99999999999999999999999999'>", false),
            ("<sst uniqueCount=''>", true),
        ] {
            assert_eq!(inflated(text.as_bytes()).is_ok(), good, "{text}");
            // Wherever it lies in the reads.
            for pad in [
                BUFFER - 70,
                BUFFER - 20,
                BUFFER - 6,
                BUFFER,
                3 * BUFFER - 11,
            ] {
                let part = [vec![b' '; pad], text.as_bytes().to_vec()].concat();
                assert_eq!(inflated(&part).is_ok(), good, "{text} after {pad}");
            }
        }
    }

    #[test]
    fn a_part_has_an_end() {
        assert_eq!(inflated(&vec![b' '; 1 << 20]).unwrap(), 1 << 20);
        let long = inflated(&vec![b' '; (1 << 20) + 1]);
        assert!(matches!(long, Err(ReadError::TooLarge { .. })));
    }
}
