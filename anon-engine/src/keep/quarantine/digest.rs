//! SHA-256 of an original, and its text.

use std::fmt::Write as _;
use std::io;

use sha2::{Digest, Sha256};

use crate::platform::read_at;

use super::Original;

pub(super) fn of(original: &Original<'_>) -> io::Result<[u8; 32]> {
    match *original {
        Original::Bytes(bytes) => Ok(Sha256::digest(bytes).into()),
        Original::File { file, len } => {
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 64 * 1024];
            let mut offset = 0;
            while offset < len {
                let got = match read_at(file, &mut buffer, offset) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(got) => got,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                // A file that grew is cut at the length it was announced with.
                let left = usize::try_from(len - offset).unwrap_or(usize::MAX);
                hash.update(buffer.get(..got.min(left)).unwrap_or_default());
                offset += got as u64;
            }
            Ok(hash.finalize().into())
        }
    }
}

pub(super) fn to_text(digest: &[u8; 32]) -> String {
    digest
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

pub(super) fn from_text(text: &str) -> Option<[u8; 32]> {
    let lower = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    if text.len() != 64 || !text.as_bytes().iter().all(lower) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}
