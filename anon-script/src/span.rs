//! Positions in a script: [`Span`], [`Position`], and [`Text`], which remembers where it was
//! written.

/// A range of bytes of the script, on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[expect(clippy::exhaustive_structs, reason = "a range has two ends")]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// Returns the range between two bytes.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the part of `text` in this range. Empty if the text has no such range.
    pub fn of<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

/// A line and a column, both counted from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a position has two numbers")]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The starts of the lines of a text. Finds a position without reading the text again.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The first byte of each line. The first of them is 0.
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1));
        Self {
            starts: starts.collect(),
        }
    }

    /// Returns the line of a byte, counted from 1.
    pub(crate) fn line(&self, byte: usize) -> u32 {
        let line = self.starts.partition_point(|start| *start <= byte);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Returns the position of a byte of the text.
    pub(crate) fn position(&self, text: &str, byte: usize) -> Position {
        let after = self.starts.partition_point(|start| *start <= byte);
        let start = after.checked_sub(1).and_then(|line| self.starts.get(line));
        let before = start.and_then(|start| text.get(*start..byte)).unwrap_or("");
        Position {
            line: u32::try_from(after).unwrap_or(u32::MAX),
            column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
        }
    }
}

/// A text of the script with its escapes resolved. It remembers where each byte was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    value: String,
    /// Each begins where the one before ends in `value`. In the script there may be gaps.
    pieces: Vec<Piece>,
    /// The position of an empty text.
    start: usize,
}

/// A part of a text: copied from the script unchanged, or the meaning of one escape.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Its first byte in `value`.
    own: usize,
    /// Where it was written.
    written: Span,
    is_verbatim: bool,
}

impl Text {
    /// Returns an empty text that begins at this byte of the script.
    pub(crate) fn at(start: usize) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// Returns a text without escapes that begins at this byte of the script.
    #[cfg(test)]
    pub(crate) fn verbatim(value: &str, start: usize) -> Self {
        let mut text = Self::at(start);
        text.push(value, start, start + value.len());
        text
    }

    /// Appends `value`, which the bytes `start..end` of the script stand for.
    pub(crate) fn push(&mut self, value: &str, start: usize, end: usize) {
        let is_verbatim = value.len() == end - start;
        let own = self.value.len();
        self.value.push_str(value);
        match self.pieces.last_mut() {
            Some(last) if last.is_verbatim && is_verbatim && last.written.end == start => {
                last.written.end = end;
            }
            _ if value.is_empty() => {}
            _ => self.pieces.push(Piece {
                own,
                written: Span::new(start, end),
                is_verbatim,
            }),
        }
    }

    /// Returns the text.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns where a range of the text was written.
    pub fn span(&self, range: Span) -> Span {
        if range.end <= range.start {
            let at = self.source(range.start);
            return Span::new(at, at);
        }
        let start = self.source(range.start);
        let last = self.piece(range.end - 1);
        let end = last.map_or(start, |piece| {
            if piece.is_verbatim {
                piece.written.start + (range.end - piece.own)
            } else {
                piece.written.end
            }
        });
        Span::new(start, end.max(start))
    }

    /// Returns where the whole text was written.
    pub fn whole(&self) -> Span {
        self.span(Span::new(0, self.value.len()))
    }

    /// Returns the piece that holds a byte of the value.
    fn piece(&self, offset: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.own <= offset);
        after.checked_sub(1).and_then(|at| self.pieces.get(at))
    }

    /// Returns where a byte of the value was written. For a byte after the last one, the end of the
    /// text.
    fn source(&self, offset: usize) -> usize {
        if offset >= self.value.len() {
            return self
                .pieces
                .last()
                .map_or(self.start, |last| last.written.end);
        }
        self.piece(offset).map_or(self.start, |piece| {
            let into = if piece.is_verbatim {
                offset - piece.own
            } else {
                0
            };
            piece.written.start + into
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_after_an_escape_keeps_its_position() {
        // a&amp;b, from byte 10 on.
        let mut text = Text::at(10);
        text.push("a", 10, 11);
        text.push("&", 11, 16);
        text.push("b", 16, 17);
        assert_eq!(text.value(), "a&b");
        assert_eq!(text.span(Span::new(1, 2)), Span::new(11, 16));
        assert_eq!(text.span(Span::new(2, 3)), Span::new(16, 17));
        assert_eq!(text.whole(), Span::new(10, 17));
        assert_eq!(text.span(Span::new(3, 3)), Span::new(17, 17));
    }

    #[test]
    fn a_comment_between_two_pieces_belongs_to_neither() {
        // a<!-- -->b from byte 0 on.
        let mut text = Text::at(0);
        text.push("a", 0, 1);
        text.push("b", 9, 10);
        assert_eq!(text.span(Span::new(0, 1)), Span::new(0, 1));
        assert_eq!(text.span(Span::new(1, 2)), Span::new(9, 10));
        assert_eq!(text.whole(), Span::new(0, 10));
        assert_eq!(Text::at(7).whole(), Span::new(7, 7));
    }

    #[test]
    fn positions_count_characters() {
        let text = "ä\nbü@x";
        let at = text.find('@').expect("it is there");
        let lines = Lines::of(text);
        assert_eq!(lines.position(text, at), Position { line: 2, column: 3 });
        assert_eq!(lines.position(text, 0), Position { line: 1, column: 1 });
        assert_eq!((lines.line(2), lines.line(3), lines.line(99)), (1, 2, 2));
        assert_eq!(Lines::of("").line(0), 1);
    }
}
