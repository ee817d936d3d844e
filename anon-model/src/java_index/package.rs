//! Checks the limits of the workbook's ZIP archive before it is parsed.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Limits, ReadError};

/// The first bytes of every ZIP archive that is not empty (APPNOTE 4.3.7).
const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";

/// The most parts of a workbook. One with a single sheet has about ten.
const MAX_PARTS: usize = 1000;

const BUFFER: usize = 64 << 10;

/// The attribute for whose value calamine allocates memory without a check.
const UNIQUE_COUNT: &[u8] = b"uniqueCount";

/// The most bytes after [`UNIQUE_COUNT`] that can belong to it: an equals sign, quotes, digits and
/// spaces.
const MAX_COUNT_BYTES: usize = 64;

/// Reads a workbook into memory, and inflates every part once without keeping it. Refuses a
/// workbook that is too large or damaged, or that declares more texts than a part can hold.
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

/// Returns the inflated length of a part.
fn inflate(part: impl Read, limits: &Limits) -> Result<u64, ReadError> {
    let most = limits.max_part_bytes;
    let mut part = part.take(most.saturating_add(1));
    let mut total = 0;
    // The end of the last read stays at the front, because the attribute may span two reads.
    let mut window = Vec::with_capacity(BUFFER + UNIQUE_COUNT.len() + MAX_COUNT_BYTES);
    loop {
        let kept = window.len();
        let read = (&mut part)
            .take(BUFFER as u64)
            .read_to_end(&mut window)
            // The bytes are in memory, so only inflating can fail.
            .map_err(|_| ReadError::Damaged)?;
        total += read as u64;
        if total > most {
            return Err(too_large("a part in bytes", most));
        }
        check_counts(&window, most)?;
        if read == 0 {
            return Ok(total);
        }
        let begin = (kept + read).saturating_sub(UNIQUE_COUNT.len() + MAX_COUNT_BYTES);
        window.drain(..begin);
    }
}

/// Refuses a declared count of texts that a part cannot hold.
fn check_counts(window: &[u8], most: u64) -> Result<(), ReadError> {
    let places = window.windows(UNIQUE_COUNT.len()).enumerate();
    for (place, _) in places.filter(|(_, word)| *word == UNIQUE_COUNT) {
        let rest = window.get(place + UNIQUE_COUNT.len()..).unwrap_or_default();
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
            // Either there is no count, or the window ends before it. The next window then has it.
            continue;
        }
        // A text has at least 12 bytes: <si><t/></si>.
        if !digits.parse::<u64>().is_ok_and(|count| count <= most / 12) {
            return Err(ReadError::Damaged);
        }
    }
    Ok(())
}

/// Returns true if a number format of the workbook shows a number with leading zeros, such as
/// `00000`. The cell of 00123 then holds the number 123.
pub(super) fn shows_leading_zeros(bytes: &[u8]) -> bool {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else {
        return false;
    };
    let Ok(mut part) = archive.by_name("xl/styles.xml") else {
        return false;
    };
    let mut styles = Vec::new();
    part.read_to_end(&mut styles).is_ok() && has_zero_format(&styles)
}

fn has_zero_format(styles: &[u8]) -> bool {
    let styles = String::from_utf8_lossy(styles);
    styles.split("formatCode=").skip(1).any(|rest| {
        let quote = rest.chars().next().unwrap_or_default();
        let code = rest.split(quote).nth(1).unwrap_or_default();
        // Zeros behind the decimal point are fractions.
        let whole = code.split('.').next().unwrap_or_default();
        whole.contains("00")
    })
}

fn too_large(what: &'static str, limit: u64) -> ReadError {
    ReadError::TooLarge { what, limit }
}

/// Drops the error of zip: its message may contain names of parts.
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
    fn a_count_of_texts_that_does_not_fit_is_refused() {
        for (text, good) in [
            ("<sst count='9' uniqueCount='9'>", true),
            ("<sst uniqueCount=\"87381\">", true),
            ("<sst uniqueCount=\"87382\">", false),
            ("<sst uniqueCount = '99999999'>", false),
            ("<sst uniqueCount='99999999999999999999999999'>", false),
            ("<sst uniqueCount=''>", true),
        ] {
            assert_eq!(inflated(text.as_bytes()).is_ok(), good, "{text}");
            // The attribute may be anywhere in the reads.
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
    fn formats_with_leading_zeros_are_found() {
        for (code, found) in [
            ("00000", true),
            ("\\A00", true),
            ("0", false),
            ("#,##0.00", false),
            ("yyyy-mm-dd hh:mm:ss.000", false),
            ("General", false),
        ] {
            let styles = format!("<numFmt numFmtId='164' formatCode=\"{code}\"/>");
            assert_eq!(has_zero_format(styles.as_bytes()), found, "{code}");
        }
        assert!(!has_zero_format(b"<styleSheet/> 00000"));
    }

    #[test]
    fn a_part_over_the_limit_is_refused() {
        assert_eq!(inflated(&vec![b' '; 1 << 20]).unwrap(), 1 << 20);
        let long = inflated(&vec![b' '; (1 << 20) + 1]);
        assert!(matches!(long, Err(ReadError::TooLarge { .. })));
    }
}
