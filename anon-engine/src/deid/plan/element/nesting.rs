//! Begins and ends sequences and items of the output.

use super::{Level, Planner, index};
use crate::deid::template::{LengthPosition, Piece};
use crate::read::dictionary::Vr;
use crate::read::input::Input;
use crate::read::scan::{Encoding, Header, ITEM_HEADER, UNDEFINED};

impl<I: Input> Planner<'_, I> {
    pub(super) fn begin_sequence(&mut self, header: &Header) {
        let target = self.target();
        let is_unknown = header.vr == Vr::UN && header.encoding != Encoding::ImplicitLe;
        let vr = if is_unknown { Vr::UN } else { Vr::SQ };
        // What stands in UN is implicit little endian (PS3.5 section 6.2.2).
        let inner = if is_unknown {
            Encoding::ImplicitLe
        } else {
            target
        };
        let is_right = header.encoding == Encoding::ImplicitLe || header.vr == vr;
        let is_right = is_right && !header.corrected;
        if target == header.encoding && is_right {
            self.begin_verbatim(header.at, header.value, header.len, inner);
            self.set_open_order(target);
            return;
        }
        let mut level = Level {
            target: Some(inner),
            ..Level::default()
        };
        let begin = index(self.template.arena.len());
        target.put_header(&mut self.template.arena, header.tag(), vr, header.len);
        let end = index(self.template.arena.len());
        if header.is_undefined() {
            self.template.push(Piece::Arena(begin, end));
        } else {
            self.template.push(Piece::Arena(begin, end - 4));
            let open = self.template.open(target);
            level.open = Some((open, LengthPosition::Arena(end - 4), header.len));
        }
        self.levels.push(level);
    }

    /// A UN sequence in a big endian data set has its own length in that order.
    pub(super) fn set_open_order(&mut self, order: Encoding) {
        if let Some(level) = self.levels.last()
            && let Some((open, ..)) = level.open
            && let Some(piece) = self.template.pieces.get_mut(open)
        {
            *piece = Piece::Open(order);
        }
    }

    /// Begins a sequence or item whose header stays, but for its length.
    pub(super) fn begin_verbatim(&mut self, at: u64, value: u64, len: u32, inner: Encoding) {
        let mut level = Level {
            target: Some(inner),
            state: self.state,
            ..Level::default()
        };
        if len == UNDEFINED {
            self.template.source(at, value);
        } else {
            self.template.source(at, value - 4);
            let open = self.template.open(inner);
            level.open = Some((open, LengthPosition::Source(value - 4), len));
        }
        self.levels.push(level);
    }

    pub(super) fn end(&mut self, delimiter: Option<u64>) {
        let open = self.levels.pop().and_then(|level| level.open);
        self.state = self.levels.last().map_or(self.state, |level| level.state);
        match (open, delimiter) {
            (Some((piece, place, declared)), _) => self.template.close(piece, place, declared),
            (None, Some(at)) => self.template.source(at, at + ITEM_HEADER),
            (None, None) => {}
        }
    }
}
