//! [`Input`]: the bytes of an object, read by offset from memory or from a file.

use std::fs::File;
use std::io;

use crate::platform;

/// Bytes read at once from a file while headers follow each other.
const LARGE_WINDOW: usize = 64 << 10;
/// Bytes read after a jump over a bulk value. The elements after it are usually few and short.
const SMALL_WINDOW: usize = 4 << 10;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The source is too short.
    UnexpectedEnd,
    /// The system reported an error.
    Io(io::ErrorKind),
}

/// The bytes of one object, by offset.
pub(crate) trait Input {
    /// Returns the length of the object in bytes.
    fn len(&self) -> u64;

    /// Returns at least `want` bytes from `at` on, or fewer if the object ends before.
    fn window(&mut self, at: u64, want: usize) -> Result<&[u8], ReadError>;

    /// Returns exactly `want` bytes from `at` on.
    #[inline]
    fn exact(&mut self, at: u64, want: usize) -> Result<&[u8], ReadError> {
        self.window(at, want)?
            .get(..want)
            .ok_or(ReadError::UnexpectedEnd)
    }
}

/// An object in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BytesInput<'a>(pub(crate) &'a [u8]);

impl Input for BytesInput<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    #[inline]
    fn window(&mut self, at: u64, _want: usize) -> Result<&[u8], ReadError> {
        usize::try_from(at)
            .ok()
            .and_then(|at| self.0.get(at..))
            .ok_or(ReadError::UnexpectedEnd)
    }
}

/// A file, read through a buffer. Fastest if offsets ascend.
#[derive(Debug)]
pub(crate) struct FileInput<'a> {
    file: &'a File,
    len: u64,
    /// Offset of `buffer` in the file.
    begin: u64,
    buffer: Vec<u8>,
    next_window: usize,
}

impl<'a> FileInput<'a> {
    /// Reads the first `len` bytes of a file.
    pub(crate) fn new(file: &'a File, len: u64) -> Self {
        Self {
            file,
            len,
            begin: 0,
            buffer: Vec::new(),
            next_window: LARGE_WINDOW,
        }
    }

    fn fill(&mut self, at: u64, want: usize) -> Result<(), ReadError> {
        let left = self.len.checked_sub(at).ok_or(ReadError::UnexpectedEnd)?;
        let follows = at == 0 || at <= self.begin + self.buffer.len() as u64;
        let size = if follows {
            self.next_window
        } else {
            SMALL_WINDOW
        };
        self.next_window = size.saturating_mul(4).min(LARGE_WINDOW);
        let size = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(size.max(want));
        self.buffer.clear();
        self.buffer.resize(size, 0);
        self.begin = at;
        read_at(self.file, &mut self.buffer, at).inspect_err(|_| self.buffer.clear())
    }
}

impl Input for FileInput<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn window(&mut self, at: u64, want: usize) -> Result<&[u8], ReadError> {
        let left = self.len.checked_sub(at).ok_or(ReadError::UnexpectedEnd)?;
        let need = want.min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffered = at
            .checked_sub(self.begin)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| {
                self.buffer
                    .len()
                    .checked_sub(*skip)
                    .is_some_and(|n| n >= need)
            });
        let skip = if let Some(skip) = buffered {
            skip
        } else {
            self.fill(at, need)?;
            0
        };
        self.buffer.get(skip..).ok_or(ReadError::UnexpectedEnd)
    }
}

/// Fills `into` with the bytes of a file from `at` on. Does not move the file's cursor, where the
/// system allows it.
pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> Result<(), ReadError> {
    let read = platform::read_exact_at(file, into, at);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::UnexpectedEnd,
        kind => ReadError::Io(kind),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_and_memory_give_the_same_bytes() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mut windowed = FileInput::new(&file, bytes.len() as u64);
        for (at, want) in [
            (0, 12),
            (65_530, 12),
            (10, 4),
            (199_990, 10),
            (1_000, 100_000),
        ] {
            let expect = BytesInput(&bytes).exact(at, want).map(<[u8]>::to_vec);
            assert_eq!(
                windowed.exact(at, want).map(<[u8]>::to_vec),
                expect,
                "{at} {want}"
            );
        }
        assert_eq!(windowed.window(199_995, 12).unwrap().len(), 5);
        assert_eq!(windowed.exact(199_995, 12), Err(ReadError::UnexpectedEnd));
        assert_eq!(windowed.window(200_001, 1), Err(ReadError::UnexpectedEnd));
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let mut windowed = FileInput::new(&file, 1_000);
        assert_eq!(windowed.window(0, 12), Err(ReadError::UnexpectedEnd));
        assert_eq!(windowed.window(0, 12), Err(ReadError::UnexpectedEnd));
    }
}
