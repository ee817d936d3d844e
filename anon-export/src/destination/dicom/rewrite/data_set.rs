//! [`DataSetRewriter`]: walks a data set and writes each element in another form.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use dicom_core::Tag;

use super::Problem;
use super::element::{Header, HeaderError, ITEM, ITEM_END, SEQUENCE_END};
use super::encoding::Form;
use super::vr::Vr;

/// Reads a data set in one form as a data set in another form.
pub(super) struct DataSetRewriter<'r> {
    source: BufReader<Box<dyn Read + 'r>>,
    to: Form,
    /// The data set, and the sequences and items that are open in it. The innermost is last.
    levels: Vec<Level>,
    /// The value that is being written.
    value: Option<Value>,
    /// Bytes that were read from the source.
    position: u64,
    /// Headers that wait to be read, from `taken` on.
    out: Vec<u8>,
    taken: usize,
    /// The buffer for pieces of values, and which part of it waits to be read.
    piece: Box<[u8]>,
    waiting: Range<usize>,
    is_ended: bool,
    problem: &'r Problem,
}

/// An open data set, item or sequence.
#[derive(Debug, Clone, Copy)]
struct Level {
    kind: LevelKind,
    from: Form,
    /// Where it ends, if its length is defined.
    end: Option<u64>,
    /// The end of the innermost level with a defined length.
    limit: u64,
    /// The nearest Pixel Representation (0028,0103), here or further out, is 1.
    is_signed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LevelKind {
    DataSet,
    Sequence,
    Item,
}

/// The rest of a value.
#[derive(Debug, Clone, Copy)]
struct Value {
    tag: Tag,
    left: u64,
    /// The number of bytes to reverse. 1 leaves the order as it is.
    unit: usize,
    is_written: bool,
}

/// A value passes in pieces of so many bytes, a multiple of every unit.
const PIECE_BYTES: usize = 64 * 1024;
/// Sequences and items that may be open at the same time.
const MAX_LEVELS: usize = 1024;

const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);

const BEYOND: &str = "an element is longer than the sequence or item that holds it";

impl<'r> DataSetRewriter<'r> {
    pub(super) fn new(
        source: Box<dyn Read + 'r>,
        from: Form,
        to: Form,
        problem: &'r Problem,
    ) -> Self {
        let root = Level {
            kind: LevelKind::DataSet,
            from,
            end: None,
            limit: u64::MAX,
            is_signed: false,
        };
        Self {
            source: BufReader::with_capacity(PIECE_BYTES, source),
            to,
            levels: vec![root],
            value: None,
            position: 0,
            out: Vec::new(),
            taken: 0,
            piece: vec![0; PIECE_BYTES].into_boxed_slice(),
            waiting: 0..0,
            is_ended: false,
            problem,
        }
    }

    /// Makes some bytes wait to be read, unless the data set has ended or an element is left out.
    fn step(&mut self) -> Result<(), HeaderError> {
        if let Some(value) = self.value {
            return self.write_piece(value);
        }
        let Some(level) = self.levels.last().copied() else {
            return Err(HeaderError::Problem(BEYOND));
        };
        if level.end == Some(self.position) {
            self.close(level);
            return Ok(());
        }
        let Some((header, size)) = Header::read(&mut self.source, level.from)? else {
            if level.kind == LevelKind::DataSet {
                self.is_ended = true;
                return Ok(());
            }
            return Err(HeaderError::Problem("a sequence or item has no end"));
        };
        self.position += size;
        let end = header
            .length
            .map(|length| self.position + u64::from(length));
        if end.unwrap_or(self.position) > level.limit {
            return Err(HeaderError::Problem(BEYOND));
        }
        match level.kind {
            LevelKind::Sequence => self.item(level, header, end),
            LevelKind::DataSet | LevelKind::Item => self.element(level, header, end),
        }
    }

    /// Ends the innermost level.
    fn close(&mut self, level: Level) {
        let tag = match level.kind {
            LevelKind::Sequence => SEQUENCE_END,
            LevelKind::Item | LevelKind::DataSet => ITEM_END,
        };
        Header::without_vr(tag, Some(0)).write(self.to, &mut self.out);
        self.levels.pop();
    }

    /// Writes what stands in a sequence: an item, or its end.
    fn item(&mut self, level: Level, header: Header, end: Option<u64>) -> Result<(), HeaderError> {
        match header.tag {
            ITEM => {
                Header::without_vr(ITEM, None).write(self.to, &mut self.out);
                self.open(LevelKind::Item, level.from, end)?;
            }
            SEQUENCE_END if level.end.is_none() && header.length == Some(0) => self.close(level),
            _ => {
                return Err(HeaderError::Problem(
                    "a sequence contains something other than items",
                ));
            }
        }
        Ok(())
    }

    /// Writes the start of an element of a data set or item.
    fn element(
        &mut self,
        level: Level,
        header: Header,
        end: Option<u64>,
    ) -> Result<(), HeaderError> {
        let tag = header.tag;
        if tag.group() == ITEM.group() {
            let is_end = tag == ITEM_END && level.kind == LevelKind::Item && level.end.is_none();
            if !is_end || header.length != Some(0) {
                return Err(HeaderError::Problem(
                    "an item or its end stands where an element should",
                ));
            }
            self.close(level);
            return Ok(());
        }
        let vr = header.vr.unwrap_or_else(|| match header.length {
            // Only sequences have undefined lengths, apart from compressed pixel data.
            None => Vr::SQ,
            Some(_) => Vr::of_implicit(tag, level.is_signed),
        });
        match header.length {
            Some(length) if vr != Vr::SQ => self.start_value(level.from, tag, vr, length),
            _ => self.start_sequence(level.from, tag, vr, end),
        }
    }

    fn start_sequence(
        &mut self,
        from: Form,
        tag: Tag,
        vr: Vr,
        end: Option<u64>,
    ) -> Result<(), HeaderError> {
        const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
        if tag == PIXEL_DATA {
            let problem = "its pixel data is compressed, and its transfer syntax says it is not";
            return Err(HeaderError::Problem(problem));
        }
        // UN of undefined length is a sequence in implicit VR little endian (PS3.5 section 6.2.2).
        let from = match vr {
            Vr::SQ => from,
            Vr::UN => Form::IMPLICIT,
            _ => {
                let problem = "an element that is no sequence has undefined length";
                return Err(HeaderError::Problem(problem));
            }
        };
        let (vr, length) = (Some(Vr::SQ), None);
        Header { tag, vr, length }.write(self.to, &mut self.out);
        self.open(LevelKind::Sequence, from, end)
    }

    fn start_value(
        &mut self,
        from: Form,
        tag: Tag,
        vr: Vr,
        length: u32,
    ) -> Result<(), HeaderError> {
        let mut header = Header {
            tag,
            vr: Some(vr),
            length: Some(length),
        };
        if self.to.explicit && !header.fits() {
            header.vr = Some(Vr::UN);
        }
        let is_swapped = from.big_endian != self.to.big_endian;
        let unit = match header.vr {
            Some(vr) if is_swapped => vr.unit(),
            _ => 1,
        };
        if u64::from(length) % unit as u64 != 0 {
            return Err(HeaderError::Problem(
                "the length of a number does not fit its VR",
            ));
        }
        let is_written = tag.element() != 0x0000;
        if is_written {
            header.write(self.to, &mut self.out);
        }
        self.value = Some(Value {
            tag,
            left: length.into(),
            unit,
            is_written,
        });
        Ok(())
    }

    fn open(&mut self, kind: LevelKind, from: Form, end: Option<u64>) -> Result<(), HeaderError> {
        if self.levels.len() > MAX_LEVELS {
            return Err(HeaderError::Problem("its sequences are nested too deeply"));
        }
        let outer = self.levels.last();
        self.levels.push(Level {
            kind,
            from,
            end,
            limit: end.unwrap_or(outer.map_or(u64::MAX, |it| it.limit)),
            is_signed: outer.is_some_and(|it| it.is_signed),
        });
        Ok(())
    }

    /// Writes the next piece of a value.
    fn write_piece(&mut self, mut value: Value) -> Result<(), HeaderError> {
        let left = usize::try_from(value.left).unwrap_or(usize::MAX);
        let count = left.min(self.piece.len());
        let piece = self.piece.get_mut(..count).unwrap_or_default();
        self.source.read_exact(piece)?;
        if value.tag == PIXEL_REPRESENTATION
            && let (&[first, second], Some(level)) = (&*piece, self.levels.last_mut())
        {
            // A number of 16 bits in either byte order.
            level.is_signed = first.max(second) == 1;
        }
        if value.unit > 1 {
            piece.chunks_exact_mut(value.unit).for_each(<[u8]>::reverse);
        }
        if value.is_written {
            self.waiting = 0..count;
        }
        self.position += count as u64;
        value.left -= count as u64;
        self.value = (value.left > 0).then_some(value);
        Ok(())
    }

    /// Records why the data set cannot be rewritten.
    fn failure(&self, error: HeaderError) -> io::Error {
        match error {
            HeaderError::Problem(problem) => {
                self.problem.set(Some(problem));
                io::ErrorKind::InvalidData.into()
            }
            HeaderError::Source(error) => {
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    self.problem.set(Some("it is cut short"));
                }
                error
            }
        }
    }
}

impl Read for DataSetRewriter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.out.len() && self.waiting.is_empty() && !self.is_ended {
            self.out.clear();
            self.taken = 0;
            self.step().map_err(|error| self.failure(error))?;
        }
        let headers = self.out.get(self.taken..).unwrap_or_default();
        if !headers.is_empty() {
            let count = copy(headers, buffer);
            self.taken += count;
            return Ok(count);
        }
        let value = self.piece.get(self.waiting.clone()).unwrap_or_default();
        let count = copy(value, buffer);
        self.waiting.start += count;
        Ok(count)
    }
}

/// Copies as many bytes as fit. Returns their number.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}
