//! The digest of an output. After a crash it tells whether the file of a replaced object is the old one
//! or the new one.
//!
//! XXH3-128, as in a [`Fingerprint`](anon_model::Fingerprint): both files are of this program.

use std::io::{self, Write};

use twox_hash::XxHash3_128;

use crate::deid::deidentified::Deidentified;
use crate::keep::store::StoredObject;

/// Returns the digest of an output that is not stored yet.
///
/// # Errors
/// If its source cannot be read.
pub(crate) fn of_output(output: &Deidentified<'_>) -> io::Result<[u8; 16]> {
    let mut digest = Digest(XxHash3_128::new());
    output.write_to(&mut digest)?;
    Ok(digest.finish())
}

/// Returns the digest of a stored object.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn of_stored(object: StoredObject) -> io::Result<[u8; 16]> {
    let mut digest = Digest(XxHash3_128::new());
    match object {
        StoredObject::Bytes(bytes) => digest.0.write(&bytes),
        StoredObject::File(mut file, _) => {
            io::copy(&mut file, &mut digest)?;
        }
        StoredObject::NotReadable => return Err(io::ErrorKind::Unsupported.into()),
    }
    Ok(digest.finish())
}

struct Digest(XxHash3_128);

impl Digest {
    fn finish(&self) -> [u8; 16] {
        self.0.finish_128().to_le_bytes()
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
