//! [`Deidentified`]: a de-identified object. Only [`Plan::apply`](crate::Plan::apply) makes one, and a
//! store takes nothing else.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use anon_model::Remarks;

use crate::deid::body::Body;
pub use crate::deid::output_path::OutputPath;
use crate::read::input::{ReadError, read_at};
use crate::read::scratch::Scratch;

/// A range of the bytes of an output.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Segment<'s> {
    /// Bytes in memory.
    Bytes(&'s [u8]),
    /// A range of a file.
    File {
        /// The file: the source, or a scratch file.
        file: &'s File,
        /// Offset of the range in the file.
        offset: u64,
        /// Length of the range in bytes.
        len: u64,
    },
}

/// A range of an output, by begin and end in the buffer or in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputRange {
    Buffer(usize, usize),
    Source(u64, u64),
}

/// A deflated output: whole in memory, or file meta information in memory and the rest in a scratch
/// file.
#[derive(Debug)]
pub(crate) enum DeflatedOutput {
    Memory(Vec<u8>),
    Scratch(Vec<u8>, Scratch),
}

/// A de-identified object that can be stored. Only [`Plan::apply`](crate::Plan::apply) makes one.
pub struct Deidentified<'p> {
    body: Option<&'p Body<'p>>,
    buffer: Vec<u8>,
    parts: Vec<OutputRange>,
    scratch: Option<Scratch>,
    len: u64,
    path: OutputPath,
    date_offset: i32,
    remarks: Remarks,
}

impl<'p> Deidentified<'p> {
    pub(crate) fn new(
        body: &'p Body<'p>,
        buffer: Vec<u8>,
        parts: Vec<OutputRange>,
        path: OutputPath,
        date_offset: i32,
    ) -> Self {
        let length = |part: &OutputRange| match *part {
            OutputRange::Buffer(begin, end) => (end - begin) as u64,
            OutputRange::Source(begin, end) => end - begin,
        };
        Self {
            body: Some(body),
            len: parts.iter().map(length).sum(),
            buffer,
            parts,
            scratch: None,
            path,
            date_offset,
            remarks: Remarks::default(),
        }
    }

    pub(crate) fn from_deflated(
        deflated: DeflatedOutput,
        path: OutputPath,
        date_offset: i32,
    ) -> Self {
        let (buffer, scratch) = match deflated {
            DeflatedOutput::Memory(buffer) => (buffer, None),
            DeflatedOutput::Scratch(buffer, scratch) => (buffer, Some(scratch)),
        };
        let scratch_len = scratch.as_ref().map_or(0, Scratch::len);
        let mut parts = vec![OutputRange::Buffer(0, buffer.len())];
        if scratch.is_some() {
            parts.push(OutputRange::Source(0, scratch_len));
        }
        Self {
            body: None,
            len: buffer.len() as u64 + scratch_len,
            buffer,
            parts,
            scratch,
            path,
            date_offset,
            remarks: Remarks::default(),
        }
    }

    pub(crate) fn with_remarks(mut self, remarks: Remarks) -> Self {
        self.remarks = remarks;
        self
    }

    /// Returns the length of the output in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Always false: an output has at least a preamble and file meta information (PS3.10 section 7.1).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the path under which it is stored.
    pub fn path(&self) -> &OutputPath {
        &self.path
    }

    /// Returns the number of days by which its dates were moved.
    pub fn date_offset(&self) -> i32 {
        self.date_offset
    }

    /// Returns what a data manager should know about the object.
    pub fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// Returns the bytes of the output, range by range, in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.parts.iter().map(|part| self.segment(*part))
    }

    fn segment(&self, part: OutputRange) -> Segment<'_> {
        let (begin, end) = match part {
            OutputRange::Buffer(begin, end) => {
                return Segment::Bytes(self.buffer.get(begin..end).unwrap_or_default());
            }
            OutputRange::Source(begin, end) => (begin, end),
        };
        let in_file = |file| Segment::File {
            file,
            offset: begin,
            len: end - begin,
        };
        let in_memory = |bytes: &'p [u8]| {
            let range = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
            let bytes = range.and_then(|(begin, end)| bytes.get(begin..end));
            Segment::Bytes(bytes.unwrap_or_default())
        };
        match (self.body, &self.scratch) {
            (Some(Body::Bytes(bytes)), _) => in_memory(bytes),
            (Some(Body::Inflated(bytes)), _) => in_memory(bytes),
            (Some(Body::File(file, _)), _) => in_file(file),
            (Some(Body::Scratch(scratch)), _) | (None, Some(scratch)) => in_file(scratch.file()),
            (None, None) => Segment::Bytes(&[]),
        }
    }

    /// Returns the output in memory.
    ///
    /// # Errors
    /// If the source file cannot be read.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        self.write_to(&mut out)?;
        Ok(out)
    }

    /// Writes the output to `out`.
    ///
    /// # Errors
    /// If the source file cannot be read, or `out` cannot be written.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut block = Vec::new();
        for segment in self.segments() {
            match segment {
                Segment::Bytes(bytes) => out.write_all(bytes)?,
                Segment::File { file, offset, len } => {
                    block.resize(BLOCK, 0);
                    copy(file, offset, len, &mut block, out)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Deidentified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deidentified")
            .field("path", &self.path)
            .field("len", &self.len)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

/// Bytes copied at once from a file.
const BLOCK: usize = 256 << 10;

fn copy(
    file: &File,
    mut offset: u64,
    mut len: u64,
    block: &mut [u8],
    out: &mut dyn Write,
) -> io::Result<()> {
    while len > 0 {
        let want = usize::try_from(len).unwrap_or(BLOCK).min(block.len());
        let Some(into) = block.get_mut(..want) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        read_at(file, into, offset).map_err(|failed| match failed {
            ReadError::UnexpectedEnd => io::ErrorKind::UnexpectedEof,
            ReadError::Io(kind) => kind,
        })?;
        out.write_all(into)?;
        offset += want as u64;
        len -= want as u64;
    }
    Ok(())
}
