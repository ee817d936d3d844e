//! [`Header`]: the header of a data element as it is encoded (PS3.5 section 7.1).

use dicom_core::Tag;

use super::ScanError;
use crate::read::dictionary::{self, LengthForm, Vr};

/// Undefined length: the value ends with a delimiter (PS3.5 section 7.5).
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// How headers are encoded (PS3.5 sections 7.1.2, 7.1.3 and 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    ImplicitLe,
    ExplicitLe,
    ExplicitBe,
}

impl Encoding {
    /// Returns an encoding with the other byte order.
    pub(crate) fn other_order(self) -> Self {
        match self {
            Self::ExplicitBe => Self::ExplicitLe,
            Self::ImplicitLe | Self::ExplicitLe => Self::ExplicitBe,
        }
    }

    #[inline]
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::ExplicitBe => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::ExplicitBe => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        }
    }

    pub(crate) fn put_u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::ExplicitBe => value.to_be_bytes(),
            _ => value.to_le_bytes(),
        }
    }

    pub(crate) fn put_u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::ExplicitBe => value.to_be_bytes(),
            _ => value.to_le_bytes(),
        }
    }

    #[inline]
    fn tag(self, [a, b, c, d]: [u8; 4]) -> Tag {
        Tag(self.u16([a, b]), self.u16([c, d]))
    }

    pub(crate) fn put_tag(self, tag: Tag) -> [u8; 4] {
        let [a, b] = self.put_u16(tag.0);
        let [c, d] = self.put_u16(tag.1);
        [a, b, c, d]
    }

    /// Appends a header. Writes UN if the length does not fit the length field of the VR (PS3.5
    /// section 6.2.2). The length field always ends the header.
    pub(crate) fn put_header(self, out: &mut Vec<u8>, tag: Tag, vr: Vr, len: u32) {
        let [g0, g1, e0, e1] = self.put_tag(tag);
        if self == Self::ImplicitLe {
            let [l0, l1, l2, l3] = self.put_u32(len);
            out.extend_from_slice(&[g0, g1, e0, e1, l0, l1, l2, l3]);
            return;
        }
        let form = vr.length_form();
        if let (Some(LengthForm::Short), Ok(len)) = (form, u16::try_from(len)) {
            let ([v0, v1], [l0, l1]) = (vr.letters(), self.put_u16(len));
            out.extend_from_slice(&[g0, g1, e0, e1, v0, v1, l0, l1]);
            return;
        }
        let vr = if form == Some(LengthForm::Long) {
            vr
        } else {
            Vr::UN
        };
        let [v0, v1] = vr.letters();
        out.extend_from_slice(&[g0, g1, e0, e1, v0, v1, 0, 0]);
        out.extend_from_slice(&self.put_u32(len));
    }
}

/// Why a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// The input ends in the header of this element.
    Incomplete(Option<Tag>),
    /// The letters name no VR, so its length can have two forms.
    UnknownVr,
}

impl HeaderError {
    /// Returns the error for a header at this offset, as far as it has been read.
    pub(crate) fn of(self, header: &Header, at: u64) -> ScanError {
        let (problem, tag) = match self {
            Self::Incomplete(tag) => (
                "the object is cut short or damaged: a header is not complete",
                tag,
            ),
            Self::UnknownVr => (
                "an element has an unknown value representation",
                Some(header.tag()),
            ),
        };
        ScanError::new(problem, tag, at)
    }
}

/// The header of a data element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The tag as one number, group first. Writing it as two halves and reading it as one would
    /// cost a failed store-to-load forwarding for each element, about 12 cycles.
    pub(crate) number: u32,
    /// The VR in the header. In an implicit data set, the VR of PS3.6, or UN if it has none.
    pub(crate) vr: Vr,
    /// How this header is encoded.
    pub(crate) encoding: Encoding,
    /// True if the VR was wrong and has been corrected. The output has the corrected one.
    pub(crate) corrected: bool,
    pub(crate) len: u32,
    /// Offset of the header.
    pub(crate) at: u64,
    /// Offset of the value.
    pub(crate) value: u64,
}

impl Header {
    /// An empty header, to be filled.
    pub(crate) const NONE: Self = Self {
        number: 0,
        vr: Vr::UN,
        encoding: Encoding::ImplicitLe,
        corrected: false,
        len: 0,
        at: 0,
        value: 0,
    };

    #[inline]
    pub(crate) fn tag(&self) -> Tag {
        dictionary::tag(self.number)
    }

    #[inline]
    pub(crate) fn is_undefined(&self) -> bool {
        self.len == UNDEFINED
    }

    /// Returns the offset of the end of a value of defined length.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.value + u64::from(self.len)
    }

    /// Reads a header on the fast path: little endian, and neither group 0 nor a delimiter. If it
    /// returns false, the content of `self` is undefined; call [`read`](Self::read).
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "5 % fewer instructions of plan and apply"
    )]
    pub(crate) fn read_simple(&mut self, bytes: &[u8], at: u64, encoding: Encoding) -> bool {
        let Some(&[g0, g1, e0, e1, v0, v1, l0, l1]) = bytes.first_chunk::<8>() else {
            return false;
        };
        let number = u32::from_le_bytes([e0, e1, g0, g1]);
        if matches!(number >> 16, 0 | 0xFFFE) {
            return false;
        }
        let mut value = at + 8;
        let (vr, len) = match encoding {
            Encoding::ExplicitLe => {
                let vr = Vr::of([v0, v1]);
                let len = match vr.length_form() {
                    Some(LengthForm::Short) => u16::from_le_bytes([l0, l1]).into(),
                    Some(LengthForm::Long) => {
                        let Some(long) = bytes.get(8..12).and_then(|rest| rest.first_chunk::<4>())
                        else {
                            return false;
                        };
                        value = at + 12;
                        u32::from_le_bytes(*long)
                    }
                    None => return false,
                };
                (vr, len)
            }
            Encoding::ImplicitLe => {
                let tag = Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
                let vr = dictionary::vr(tag).unwrap_or(Vr::UN);
                (vr, u32::from_le_bytes([v0, v1, l0, l1]))
            }
            Encoding::ExplicitBe => return false,
        };
        *self = Self {
            number,
            vr,
            encoding,
            corrected: false,
            len,
            at,
            value,
        };
        true
    }

    /// Reads the header at offset `at`, where `bytes` begins. The enclosing item or data set ends at
    /// `end`, at least 8 bytes later. After [`HeaderError::UnknownVr`] only tag, letters and offset
    /// are set.
    #[inline]
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        at: u64,
        end: u64,
        encoding: Encoding,
    ) -> Result<(), HeaderError> {
        let Some(&[a, b, c, d, v0, v1, l0, l1]) = bytes.first_chunk::<8>() else {
            return Err(HeaderError::Incomplete(None));
        };
        let tag = encoding.tag([a, b, c, d]);
        *self = Self {
            number: dictionary::number(tag),
            vr: Vr::of([v0, v1]),
            encoding,
            corrected: false,
            len: 0,
            at,
            value: at + 8,
        };
        // Items and delimiters have no VR in any encoding (PS3.5 section 7.5).
        if encoding == Encoding::ImplicitLe || tag.0 == 0xFFFE {
            self.len = encoding.u32([v0, v1, l0, l1]);
            if encoding == Encoding::ImplicitLe {
                self.vr = dictionary::vr(tag).unwrap_or(Vr::UN);
            }
            return Ok(());
        }
        match self.vr.length_form() {
            Some(LengthForm::Short) => self.len = encoding.u16([l0, l1]).into(),
            Some(LengthForm::Long) => {
                let long = bytes.get(8..12).and_then(|rest| rest.first_chunk::<4>());
                let (Some(long), true) = (long, end - at >= 12) else {
                    return Err(HeaderError::Incomplete(Some(tag)));
                };
                self.len = encoding.u32(*long);
                self.value = at + 12;
            }
            None => return Err(HeaderError::UnknownVr),
        }
        Ok(())
    }

    /// Sets the VR and the length of an element whose VR field is invalid. Returns false if the
    /// following bytes are needed to decide. `bytes` and `end` are those of [`read`](Self::read).
    ///
    /// Lower case letters of a VR with a 16-bit length are that VR. Capitals are the VR of PS3.6 if
    /// that has one. Zeros after them could be the reserved bytes before a 32-bit length (PS3.5
    /// section 7.1.2), unless that length would not fit.
    #[cold]
    pub(crate) fn correct_vr(&mut self, bytes: &[u8], end: u64) -> bool {
        let short = self.short_len(bytes);
        let long_fits = self
            .long_len(bytes)
            .is_some_and(|len| len == UNDEFINED || self.at + 12 + u64::from(len) <= end);
        let upper = Vr::of(self.vr.letters().map(|letter| letter.to_ascii_uppercase()));
        let own = (upper.length_form() == Some(LengthForm::Short)).then_some(upper);
        let known =
            dictionary::vr(self.tag()).filter(|vr| vr.length_form() == Some(LengthForm::Short));
        let capitals = self.vr.letters().iter().all(u8::is_ascii_uppercase);
        let Some(vr) = own.or(known.filter(|_| capitals && (short != 0 || !long_fits))) else {
            return false;
        };
        self.vr = vr;
        self.corrected = true;
        self.len = short;
        true
    }

    /// Takes the VR of PS3.6, and its form of the length unless the 16-bit length is not zero. Returns
    /// false if PS3.6 does not list the tag.
    #[cold]
    pub(crate) fn take_vr_of_dictionary(&mut self, bytes: &[u8]) -> bool {
        let Some(vr) = dictionary::vr(self.tag()) else {
            return false;
        };
        self.vr = vr;
        self.corrected = true;
        self.len = self.short_len(bytes);
        if self.len == 0 && vr.length_form() == Some(LengthForm::Long) {
            self.len = self.long_len(bytes).unwrap_or(0);
            self.value = self.at + 12;
        }
        true
    }

    /// Returns the 16-bit length in the bytes of the header (PS3.5 section 7.1.2).
    pub(super) fn short_len(&self, bytes: &[u8]) -> u32 {
        let field = bytes.get(6..8).and_then(|field| field.first_chunk::<2>());
        field.map_or(0, |field| self.encoding.u16(*field).into())
    }

    /// Returns the 32-bit length in the bytes of the header (PS3.5 section 7.1.2).
    pub(super) fn long_len(&self, bytes: &[u8]) -> Option<u32> {
        let field = bytes.get(8..12)?.first_chunk::<4>()?;
        Some(self.encoding.u32(*field))
    }
}

/// Reads tag and length of an item header or delimiter (PS3.5 section 7.5).
pub(crate) fn item(bytes: &[u8], encoding: Encoding) -> Option<(Tag, u32)> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    Some((encoding.tag(*tag), encoding.u32(*rest.first_chunk::<4>()?)))
}

/// Returns true for the letters of a VR that the writer did not know: blanks, question marks or NULs.
pub(crate) fn is_placeholder(letters: [u8; 2]) -> bool {
    letters
        .iter()
        .all(|letter| matches!(letter, b' ' | b'?' | 0))
}

/// Returns the encoding that the first element of a data set or item shows. `encoding` is the one it
/// should have, `left` the length of the data set or item.
///
/// The letters of a VR could also be the low half of an implicit length of at least 16,705. They are
/// a VR if that length does not fit, or if PS3.6 gives this VR to the tag.
pub(crate) fn detected_encoding(bytes: &[u8], left: u64, encoding: Encoding) -> Encoding {
    let Some(&[a, b, c, d, v0, v1, l0, l1]) = bytes.first_chunk::<8>() else {
        return encoding;
    };
    let tag = Encoding::ImplicitLe.tag([a, b, c, d]);
    let implicit_len = u32::from_le_bytes([v0, v1, l0, l1]);
    let implicit_fits = implicit_len == UNDEFINED || u64::from(implicit_len) + 8 <= left;
    let form = Vr::of([v0, v1]).length_form();
    match encoding {
        Encoding::ExplicitLe if form.is_none() && tag.0 != 0xFFFE => {
            // Only for a known tag: a wrong guess would hide the elements that follow.
            let known = dictionary::vr(tag).is_some();
            let lower = Vr::of([v0.to_ascii_uppercase(), v1.to_ascii_uppercase()]);
            if implicit_fits && known && lower.length_form().is_none() {
                Encoding::ImplicitLe
            } else {
                encoding
            }
        }
        Encoding::ImplicitLe if form.is_some() && tag.0 != 0xFFFE => {
            if !implicit_fits || dictionary::vr(tag) == Some(Vr::of([v0, v1])) {
                Encoding::ExplicitLe
            } else {
                encoding
            }
        }
        _ => encoding,
    }
}
