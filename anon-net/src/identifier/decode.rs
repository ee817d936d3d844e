//! Decodes elements, and skips sequences without recursion (PS3.5 sections 7.1 and 7.5).

use super::tag::{Tag, Vr};
use super::{Element, Encoding, Identifier, IdentifierError};

/// The undefined length: the value ends at a delimiter (PS3.5 section 7.5).
const UNDEFINED: u32 = u32::MAX;

const ITEM: Tag = Tag::new(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag::new(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag::new(0xFFFE, 0xE0DD);

struct ElementHeader {
    tag: Tag,
    vr: Vr,
    length: u32,
}

/// A sequence or item of undefined length that has not ended yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenScope {
    Sequence,
    Item,
}

/// Returns the elements of the outermost level in the order of the bytes, without group lengths and
/// sequences.
pub(super) fn elements(bytes: &[u8], encoding: Encoding) -> Result<Vec<Element>, IdentifierError> {
    let mut reader = ElementReader { bytes, encoding };
    let mut elements = Vec::new();
    while !reader.bytes.is_empty() {
        let ElementHeader { tag, vr, length } = reader.header()?;
        if tag.group == ITEM.group {
            return Err(IdentifierError::Structure { tag });
        }
        if length == UNDEFINED {
            reader.pass_over(vr, tag)?;
            continue;
        }
        let value = reader.take(length)?;
        if vr != Vr::SQ && tag.element != 0 {
            let value = value.to_vec();
            elements.push(Element { tag, vr, value });
        }
    }
    Ok(elements)
}

struct ElementReader<'b> {
    bytes: &'b [u8],
    encoding: Encoding,
}

impl<'b> ElementReader<'b> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], IdentifierError> {
        let cut = IdentifierError::Truncated;
        let (chunk, rest) = self.bytes.split_first_chunk().ok_or(cut)?;
        self.bytes = rest;
        Ok(*chunk)
    }

    fn u16(&mut self) -> Result<u16, IdentifierError> {
        let chunk = self.chunk()?;
        Ok(match self.encoding {
            Encoding::ExplicitBig => u16::from_be_bytes(chunk),
            _ => u16::from_le_bytes(chunk),
        })
    }

    fn u32(&mut self) -> Result<u32, IdentifierError> {
        let chunk = self.chunk()?;
        Ok(match self.encoding {
            Encoding::ExplicitBig => u32::from_be_bytes(chunk),
            _ => u32::from_le_bytes(chunk),
        })
    }

    fn take(&mut self, length: u32) -> Result<&'b [u8], IdentifierError> {
        let length = usize::try_from(length).map_err(|_| IdentifierError::Truncated)?;
        let (value, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(IdentifierError::Truncated)?;
        self.bytes = rest;
        Ok(value)
    }

    fn header(&mut self) -> Result<ElementHeader, IdentifierError> {
        let tag = Tag::new(self.u16()?, self.u16()?);
        // Items and delimiters have no VR in any encoding (PS3.5 section 7.5).
        if tag.group == ITEM.group || !self.encoding.is_explicit() {
            let (vr, length) = (Vr::of(tag), self.u32()?);
            return Ok(ElementHeader { tag, vr, length });
        }
        let vr = Vr::new(self.chunk()?).ok_or(IdentifierError::Structure { tag })?;
        let length = if vr.has_long_length() {
            self.u16()?;
            self.u32()?
        } else {
            self.u16()?.into()
        };
        Ok(ElementHeader { tag, vr, length })
    }

    /// Skips the value of an element of undefined length, whose header was already read.
    fn pass_over(&mut self, vr: Vr, tag: Tag) -> Result<(), IdentifierError> {
        let outer = self.encoding;
        // An explicit stack: a hostile peer can nest as deep as its bytes allow.
        let mut open = vec![(OpenScope::Sequence, inside(vr, tag, outer)?)];
        while let Some((level, encoding)) = open.last().copied() {
            self.encoding = encoding;
            let ElementHeader { tag, vr, length } = self.header()?;
            match (level, tag) {
                (OpenScope::Sequence, SEQUENCE_END) | (OpenScope::Item, ITEM_END) => {
                    open.pop();
                }
                (OpenScope::Sequence, ITEM) if length == UNDEFINED => {
                    open.push((OpenScope::Item, encoding));
                }
                (OpenScope::Item, _) if tag.group != ITEM.group && length == UNDEFINED => {
                    open.push((OpenScope::Sequence, inside(vr, tag, encoding)?));
                }
                (OpenScope::Sequence, ITEM) => drop(self.take(length)?),
                (OpenScope::Item, _) if tag.group != ITEM.group => drop(self.take(length)?),
                _ => return Err(IdentifierError::Structure { tag }),
            }
            // A sequence and its item are two levels of the stack.
            if open.len() > Identifier::MAX_DEPTH * 2 {
                return Err(IdentifierError::TooDeep);
            }
        }
        self.encoding = outer;
        Ok(())
    }
}

/// Returns the encoding inside an element of undefined length. Inside UN it is implicit VR little
/// endian (PS3.5 section 6.2.2).
fn inside(vr: Vr, tag: Tag, outside: Encoding) -> Result<Encoding, IdentifierError> {
    match vr {
        Vr::SQ => Ok(outside),
        Vr::UN => Ok(Encoding::ImplicitLittle),
        _ => Err(IdentifierError::Structure { tag }),
    }
}
