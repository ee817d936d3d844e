//! Keeps encapsulated pixel data (PS3.5 section A.4).

use anon_model::RemarkReason;

use super::{PixelData, Planner};
use crate::read::dictionary::Vr;
use crate::read::input::Input;
use crate::read::scan::{
    FragmentsEnd, Header, ITEM_HEADER, PIXEL_DATA, SEQUENCE_END, ScanError, UNDEFINED,
};

/// How the code streams of JPEG and JPEG-LS begin (SOI), and those of JPEG 2000 and HTJ2K (SOC and SIZ;
/// SOC alone can stand in the data).
const CODE_STREAMS: [&[u8]; 2] = [&[0xFF, 0xD8], &[0xFF, 0x4F, 0xFF, 0x51]];
/// How all of them end.
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

/// The fragments of pixel data, without the Basic Offset Table (PS3.5 section A.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deid::plan) struct Fragments {
    pub(in crate::deid::plan) count: u64,
    /// How many begin as a code stream of JPEG or of one of its successors does.
    pub(in crate::deid::plan) code_streams: u64,
    /// True if the last one ends as a code stream of JPEG does.
    pub(in crate::deid::plan) ends_as_jpeg: bool,
}

impl<I: Input> Planner<'_, I> {
    pub(super) fn keep_fragments(&mut self, header: &Header) -> Result<(), ScanError> {
        // Only pixel data is encapsulated (PS3.5 section A.4): fragments elsewhere could be the
        // items of a sequence.
        if header.tag() != PIXEL_DATA {
            let problem = "an undefined length where the element can have none";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        self.in_order(header)?;
        if self.target() != header.encoding {
            let problem = "encapsulated pixel data in an item of another encoding";
            return Err(ScanError::rule(problem, header.tag(), header.at));
        }
        let mut odd = None;
        let mut misplaced = false;
        let ended = self.walk.fragments(header, |at, len| {
            misplaced |= odd.is_some();
            odd = odd.or((len % 2 == 1).then_some((at, len)));
        })?;
        let end = self.walk.position();
        self.bulk.push((header.value, end));
        self.copied.push((header.value, end));
        // Offset tables count bytes: making a fragment longer would move the next ones.
        if let (Some((at, _)), true) = (odd, misplaced) {
            let problem = "a fragment that is not the last has an odd length";
            return Err(ScanError::new(problem, Some(header.tag()), at));
        }
        if self.depth == 0 {
            self.pixel_data = PixelData::Encapsulated;
        }
        match (odd, ended) {
            (None, FragmentsEnd::Delimiter) if !header.corrected => {
                self.template.source(header.at, end);
                Ok(())
            }
            _ => self.rewrite_fragments(header, odd, ended),
        }
    }

    /// Writes encapsulated pixel data and adds a missing VR, padding byte or sequence delimiter.
    #[cold]
    fn rewrite_fragments(
        &mut self,
        header: &Header,
        odd: Option<(u64, u32)>,
        ended: FragmentsEnd,
    ) -> Result<(), ScanError> {
        let encoding = header.encoding;
        let mut begin = header.at;
        if header.corrected {
            self.template
                .bytes(|arena| encoding.put_header(arena, header.tag(), Vr::OB, UNDEFINED));
            begin = header.value;
        }
        let end = match ended {
            FragmentsEnd::Delimiter => self.walk.position() - ITEM_HEADER,
            FragmentsEnd::Missing(at) => {
                let mended = &mut self.walk.mended;
                mended.add(RemarkReason::NoDelimiter, header.number, at);
                self.pixel_data = PixelData::Unended(self.count_fragments(header, at)?);
                at
            }
        };
        if let Some((at, len)) = odd {
            let length = encoding.put_u32(len + 1);
            self.template.source(begin, at + 4);
            self.template
                .bytes(|arena| arena.extend_from_slice(&length));
            self.template.source(at + 8, end);
            self.template.bytes(|arena| arena.push(0));
        } else {
            self.template.source(begin, end);
        }
        self.template.bytes(|arena| {
            arena.extend_from_slice(&encoding.put_tag(SEQUENCE_END));
            arena.extend_from_slice(&[0; 4]);
        });
        Ok(())
    }

    /// Counts fragments that have no delimiter. The last one ends at `end`.
    fn count_fragments(&mut self, header: &Header, end: u64) -> Result<Fragments, ScanError> {
        let tail = self.walk.bytes(end.saturating_sub(4), 4)?;
        let tail = tail.strip_suffix(&[0]).unwrap_or(tail);
        let mut fragments = Fragments {
            count: 0,
            code_streams: 0,
            ends_as_jpeg: tail.ends_with(&END_OF_IMAGE),
        };
        let mut at = header.value;
        while at < end {
            let is_table = at == header.value;
            let field = self.walk.bytes(at + 4, 4)?.first_chunk::<4>().copied();
            let len = header.encoding.u32(field.unwrap_or_default());
            let head = self.walk.bytes(at + ITEM_HEADER, len.min(4) as usize)?;
            if !is_table {
                let begins = CODE_STREAMS.iter().any(|begin| head.starts_with(begin));
                fragments.code_streams += u64::from(begins);
                fragments.count += 1;
            }
            at += ITEM_HEADER + u64::from(len);
        }
        Ok(fragments)
    }
}
