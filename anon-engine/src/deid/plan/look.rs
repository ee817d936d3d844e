//! [`header_of`]: reads what rules must see of an object before they decide ([`Look`]).

use anon_script::object::{Look, ObjectHeader, SeenElement, SeenValue};
use dicom_core::{Tag, VR};

use crate::limits::Limits;
use crate::read::dictionary::{self, CharacterClass, Vr};
use crate::read::input::Input;
use crate::read::scan::{ElementContent, Encoding, Header, PIXEL_DATA, ScanError, Token, Walk};
use crate::read::text::Charset;

/// Memory for each element, in bytes.
const SEEN_ELEMENT: u64 = 64;

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

/// An item or the root.
#[derive(Debug, Clone, Default)]
struct Level {
    /// The sequence that holds it.
    parent: Option<u32>,
    item: u32,
    charset: Charset,
}

/// Reads the headers and short values of a data set.
struct Reader<'l, I> {
    walk: Walk<I>,
    limits: &'l Limits,
    header: ObjectHeader,
    /// The data sets that are open.
    levels: Vec<Level>,
    /// The sequences that are open, and how many items of each have begun.
    sequences: Vec<(u32, u32)>,
    used: u64,
}

/// Reads what rules must see of a data set. Returns the input too.
pub(super) fn header_of<I: Input>(
    look: Look,
    input: I,
    (begin, encoding): (u64, Encoding),
    limits: &Limits,
) -> Result<(ObjectHeader, I), ScanError> {
    let mut walk = Walk::new(input, begin, encoding, limits);
    let found = walk.detect_encoding()?;
    let mut reader = Reader {
        walk,
        limits,
        header: ObjectHeader::new().with_big_endian(found == Encoding::ExplicitBe),
        levels: vec![Level::default()],
        sequences: Vec::new(),
        used: 0,
    };
    reader.read(look)?;
    Ok((reader.header, reader.walk.into_input()))
}

impl<I: Input> Reader<'_, I> {
    fn read(&mut self, look: Look) -> Result<(), ScanError> {
        let last = match look {
            Look::Nothing => return Ok(()),
            Look::RootUpTo(last) => Some(dictionary::number(last)),
            Look::All => None,
        };
        let mut header = Header::NONE;
        loop {
            let token = if self.walk.next_simple(&mut header) {
                Token::Element
            } else {
                match self.walk.next(&mut header) {
                    Ok(token) => token,
                    // The planner decides about bytes behind the pixel data.
                    Err(_) if self.is_behind_pixels() => return Ok(()),
                    Err(error) => return Err(error),
                }
            };
            match token {
                Token::Element if last.is_some_and(|last| header.number > last) => return Ok(()),
                Token::Element => self.element(&header, last.is_none())?,
                Token::Item { .. } => self.begin_item(),
                Token::ItemEnd { .. } => {
                    self.levels.pop();
                }
                Token::SequenceEnd { .. } => {
                    self.sequences.pop();
                }
                Token::End => return Ok(()),
            }
        }
    }

    fn is_behind_pixels(&self) -> bool {
        let last = self.header.elements().last();
        self.levels.len() == 1 && last.is_some_and(|last| last.tag == PIXEL_DATA)
    }

    fn begin_item(&mut self) {
        let charset = self.charset();
        let Some((parent, items)) = self.sequences.last_mut() else {
            return;
        };
        *items += 1;
        let item = *items - 1;
        self.levels.push(Level {
            parent: Some(*parent),
            item,
            charset,
        });
    }

    fn charset(&self) -> Charset {
        let level = self.levels.last();
        level.map(|level| level.charset.clone()).unwrap_or_default()
    }

    fn element(&mut self, header: &Header, enters: bool) -> Result<(), ScanError> {
        self.used += SEEN_ELEMENT + u64::from(header.len.min(ObjectHeader::MAX_VALUE));
        if self.used > self.limits.max_plan_bytes {
            let problem = "the object has more headers than fit in memory";
            return Err(ScanError::memory(problem, header.tag(), header.at));
        }
        let level = self.levels.last();
        let seen = SeenElement {
            tag: header.tag(),
            vr: vr_of(header),
            parent: level.and_then(|level| level.parent),
            item: level.map_or(0, |level| level.item),
            offset: header.at,
            value: SeenValue::Long(header.len),
        };
        if header.tag() == PIXEL_DATA {
            self.header.push(seen);
            return self.walk.skip(header);
        }
        match self.walk.content(header)? {
            ElementContent::Sequence(inner) => {
                let value = SeenValue::Sequence;
                let index = self.header.push(SeenElement { value, ..seen });
                if !enters {
                    return self.walk.skip(header);
                }
                self.sequences.push((index, 0));
                self.walk.enter(header, inner)
            }
            ElementContent::Value if header.len <= ObjectHeader::MAX_VALUE => {
                self.value(header, seen)?;
                self.walk.skip(header)
            }
            ElementContent::Value | ElementContent::Fragments => {
                self.header.push(seen);
                self.walk.skip(header)
            }
        }
    }

    fn value(&mut self, header: &Header, seen: SeenElement) -> Result<(), ScanError> {
        let bytes = self.walk.value(header)?;
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        if seen.tag == SPECIFIC_CHARACTER_SET {
            level.charset = Charset::parse(bytes);
        }
        let class = Vr::of(seen.vr.to_bytes()).character_class();
        if class == CharacterClass::Binary {
            self.header.push_bytes(seen, bytes);
        } else {
            self.header
                .push_text(seen, &level.charset.decode(bytes).text);
        }
        Ok(())
    }
}

/// The VR of the object, or PS3.6's if the object has none or UN.
fn vr_of(header: &Header) -> VR {
    let known = dictionary::vr(header.tag());
    let vr = match known {
        Some(known) if header.encoding == Encoding::ImplicitLe || header.vr == Vr::UN => known,
        _ => header.vr,
    };
    VR::from_binary(vr.letters()).unwrap_or(VR::UN)
}
