//! SHA-256 of an original.

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
                // A file that grew meanwhile is hashed up to the given length only.
                let left = usize::try_from(len - offset).unwrap_or(usize::MAX);
                hash.update(buffer.get(..got.min(left)).unwrap_or_default());
                offset += got as u64;
            }
            Ok(hash.finalize().into())
        }
    }
}
