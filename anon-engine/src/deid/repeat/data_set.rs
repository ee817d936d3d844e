//! [`DataSet`]: a data set that can be read several times, wherever its bytes are.

use std::path::Path;

use crate::deid::body::Body;
use crate::deid::deidentified::{Deidentified, Segment};
use crate::limits::Limits;
use crate::read::file_meta::{self, TransferSyntax};
use crate::read::inflate::{self, Inflated};
use crate::read::input::{BytesInput, FileInput, Input, ReadError, read_at};
use crate::read::source::{Source, SourceBytes};
use crate::refusal::Refusal;

/// Bytes of an output that are read at once.
const STEP: usize = 64 << 10;

pub(super) type AnyInput<'a> = Box<dyn Input + 'a>;

/// Where the bytes of a DICOM file are (PS3.10 section 7).
pub(super) enum DataSetBytes<'a> {
    Source(Source<'a>),
    Output(&'a Deidentified<'a>),
    /// Its data set, inflated.
    Inflated(Inflated),
}

/// The data set of a DICOM file.
pub(super) struct DataSet<'a> {
    bytes: DataSetBytes<'a>,
    /// Offset of the data set.
    pub(super) begin: u64,
    pub(super) syntax: TransferSyntax,
}

impl<'a> DataSet<'a> {
    /// Finds the data set of a file, and inflates it if it is deflated (PS3.5 section A.5).
    pub(super) fn of(
        bytes: DataSetBytes<'a>,
        limits: &Limits,
        scratch: Option<&Path>,
    ) -> Result<Self, Refusal> {
        let start = file_meta::find(&mut bytes.input(), limits)?;
        if !start.syntax.deflated {
            return Ok(Self {
                bytes,
                begin: start.begin,
                syntax: start.syntax,
            });
        }
        let inflated = inflate::inflate(bytes.input(), start.begin, limits, scratch)?;
        Ok(Self {
            bytes: DataSetBytes::Inflated(inflated),
            begin: 0,
            syntax: start.syntax,
        })
    }

    pub(super) fn input(&self) -> AnyInput<'_> {
        self.bytes.input()
    }
}

impl DataSetBytes<'_> {
    fn input(&self) -> AnyInput<'_> {
        match self {
            Self::Source(source) => match source.data {
                SourceBytes::Memory(bytes) => Box::new(BytesInput(bytes)),
                SourceBytes::File { file, len } => Box::new(FileInput::new(file, len)),
            },
            Self::Output(output) => Box::new(OutputInput::new(output)),
            Self::Inflated(Inflated::Memory(bytes)) => Box::new(BytesInput(bytes)),
            Self::Inflated(Inflated::Scratch(scratch)) => {
                Box::new(FileInput::new(scratch.file(), scratch.len()))
            }
        }
    }
}

/// Reads the bytes of an object that is planned.
pub(super) fn body_input<'b>(body: &'b Body<'_>) -> AnyInput<'b> {
    match body {
        Body::Bytes(bytes) => Box::new(BytesInput(bytes)),
        Body::Inflated(bytes) => Box::new(BytesInput(bytes)),
        Body::File(file, len) => Box::new(FileInput::new(file, *len)),
        Body::Scratch(scratch) => Box::new(FileInput::new(scratch.file(), scratch.len())),
    }
}

impl Input for AnyInput<'_> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn window(&mut self, at: u64, want: usize) -> Result<&[u8], ReadError> {
        (**self).window(at, want)
    }
}

/// An output, read segment by segment.
struct OutputInput<'o> {
    len: u64,
    /// Each segment after its offset in the output.
    segments: Vec<(u64, Segment<'o>)>,
    /// Offset of `buffer` in the output.
    begin: u64,
    buffer: Vec<u8>,
}

impl<'o> OutputInput<'o> {
    fn new(output: &'o Deidentified<'_>) -> Self {
        let mut at = 0;
        let place = |segment: Segment<'o>| {
            let begin = at;
            at += length(&segment);
            (begin, segment)
        };
        Self {
            len: output.len(),
            segments: output.segments().map(place).collect(),
            begin: 0,
            buffer: Vec::new(),
        }
    }

    fn fill(&mut self, at: u64, size: usize) -> Result<(), ReadError> {
        self.buffer.clear();
        self.begin = at;
        let ends_before = |(begin, segment): &(u64, Segment<'_>)| begin + length(segment) <= at;
        let first = self.segments.partition_point(ends_before);
        for (begin, segment) in self.segments.iter().skip(first) {
            let here = at + self.buffer.len() as u64;
            let missing = (size - self.buffer.len()) as u64;
            if missing == 0 {
                break;
            }
            let end = begin + length(segment);
            if end <= here {
                continue;
            }
            let skip = here.saturating_sub(*begin);
            let take = missing.min(end - here);
            let filled = self.buffer.len();
            let want = usize::try_from(take).unwrap_or(0);
            match *segment {
                Segment::Bytes(bytes) => {
                    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                    let part = bytes.get(skip..).and_then(|rest| rest.get(..want));
                    self.buffer
                        .extend_from_slice(part.ok_or(ReadError::UnexpectedEnd)?);
                }
                Segment::File { file, offset, .. } => {
                    self.buffer.resize(filled + want, 0);
                    let part = self.buffer.get_mut(filled..).unwrap_or_default();
                    read_at(file, part, offset + skip)?;
                }
            }
        }
        Ok(())
    }
}

fn length(segment: &Segment<'_>) -> u64 {
    match segment {
        Segment::Bytes(bytes) => bytes.len() as u64,
        Segment::File { len, .. } => *len,
    }
}

impl Input for OutputInput<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn window(&mut self, at: u64, want: usize) -> Result<&[u8], ReadError> {
        let left = self.len.checked_sub(at).ok_or(ReadError::UnexpectedEnd)?;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let buffered = at
            .checked_sub(self.begin)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| self.buffer.len().saturating_sub(*skip) >= want.min(left));
        let skip = if let Some(skip) = buffered {
            skip
        } else {
            self.fill(at, want.max(STEP).min(left))?;
            0
        };
        self.buffer.get(skip..).ok_or(ReadError::UnexpectedEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_reads_the_same_from_every_offset() {
        let bytes: Vec<u8> = (0..250).collect();
        let mut segments = Vec::new();
        let mut at = 0;
        for len in [0, 1, 0, 0, 7, 100, 0, 142, 0] {
            let segment = Segment::Bytes(&bytes[at..at + len]);
            segments.push((at as u64, segment));
            at += len;
        }
        assert_eq!(at, bytes.len());
        for at in 0..bytes.len() {
            for want in [1, 3, 300] {
                let mut input = OutputInput {
                    len: bytes.len() as u64,
                    segments: segments.clone(),
                    begin: 0,
                    buffer: Vec::new(),
                };
                input.fill(at as u64, want.min(bytes.len() - at)).unwrap();
                let expect = bytes[at..].iter().take(want);
                assert!(input.buffer.iter().eq(expect), "{at} {want}");
            }
        }
    }
}
