//! Deflates the output of an object that came deflated (PS3.5 section A.5).

use std::io::{self, Seek, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::deid::deidentified::{DeflatedOutput, Deidentified};
use crate::read::scratch::Scratch;

/// Deflates an output after `meta`: in memory, or into a scratch file if `dir` is given. Pads the
/// stream to even length with one NUL (PS3.5 section A.5).
pub(crate) fn deflate(
    inner: &Deidentified<'_>,
    meta: Vec<u8>,
    dir: Option<&Path>,
) -> io::Result<DeflatedOutput> {
    let Some(dir) = dir else {
        let begin = meta.len();
        let mut encoder = DeflateEncoder::new(meta, Compression::default());
        inner.write_to(&mut encoder)?;
        let mut bytes = encoder.finish()?;
        if (bytes.len() - begin) % 2 == 1 {
            bytes.push(0);
        }
        return Ok(DeflatedOutput::Memory(bytes));
    };
    let mut encoder = DeflateEncoder::new(Scratch::create(dir)?, Compression::default());
    inner.write_to(&mut encoder)?;
    let mut scratch = encoder.finish()?;
    if scratch.len() % 2 == 1 {
        scratch.write_all(&[0])?;
    }
    scratch.file().rewind()?;
    Ok(DeflatedOutput::Scratch(meta, scratch))
}
