//! [`Vr`]: value representations, by their two letters and by the dictionary of PS3.6.
//!
//! Dictionary lookups are cached, one machine word a tag, because an implicit VR data set needs one
//! for each element (PS3.5 section 7.1.3). Without the cache, small files on a RAM disk take 1.10
//! times as long.

use std::sync::atomic::{AtomicU64, Ordering};

use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// A value representation by its two letters (PS3.5 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vr(u16);

/// How the length of an explicit element is written (PS3.5 section 7.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LengthForm {
    /// 16 bits after the letters.
    Short,
    /// Two reserved bytes, then 32 bits.
    Long,
}

/// The kind of characters in the values of a VR (PS3.5 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CharacterClass {
    /// No characters.
    Binary,
    /// Digits with signs, points and the like: numbers, dates, times, ages, UIDs.
    Number,
    /// Short identifiers from a limited repertoire.
    Code,
    /// Free text.
    Text,
}

impl Vr {
    /// Returns the VR with these letters. Accepts any two bytes;
    /// [`length_form`](Self::length_form) tells whether they name a VR.
    #[inline]
    pub(crate) const fn of(letters: [u8; 2]) -> Self {
        Self(u16::from_le_bytes(letters))
    }

    /// Returns its two letters.
    #[inline]
    pub(crate) const fn letters(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }

    pub(crate) const AE: Self = Self::of(*b"AE");
    pub(crate) const AS: Self = Self::of(*b"AS");
    pub(crate) const AT: Self = Self::of(*b"AT");
    pub(crate) const CS: Self = Self::of(*b"CS");
    pub(crate) const DA: Self = Self::of(*b"DA");
    pub(crate) const DS: Self = Self::of(*b"DS");
    pub(crate) const DT: Self = Self::of(*b"DT");
    pub(crate) const FD: Self = Self::of(*b"FD");
    pub(crate) const FL: Self = Self::of(*b"FL");
    pub(crate) const IS: Self = Self::of(*b"IS");
    pub(crate) const LO: Self = Self::of(*b"LO");
    pub(crate) const LT: Self = Self::of(*b"LT");
    pub(crate) const OB: Self = Self::of(*b"OB");
    pub(crate) const OD: Self = Self::of(*b"OD");
    pub(crate) const OF: Self = Self::of(*b"OF");
    pub(crate) const OL: Self = Self::of(*b"OL");
    pub(crate) const OV: Self = Self::of(*b"OV");
    pub(crate) const OW: Self = Self::of(*b"OW");
    pub(crate) const PN: Self = Self::of(*b"PN");
    pub(crate) const SH: Self = Self::of(*b"SH");
    pub(crate) const SL: Self = Self::of(*b"SL");
    pub(crate) const SQ: Self = Self::of(*b"SQ");
    pub(crate) const SS: Self = Self::of(*b"SS");
    pub(crate) const ST: Self = Self::of(*b"ST");
    pub(crate) const SV: Self = Self::of(*b"SV");
    pub(crate) const TM: Self = Self::of(*b"TM");
    pub(crate) const UC: Self = Self::of(*b"UC");
    pub(crate) const UI: Self = Self::of(*b"UI");
    pub(crate) const UL: Self = Self::of(*b"UL");
    pub(crate) const UN: Self = Self::of(*b"UN");
    pub(crate) const UR: Self = Self::of(*b"UR");
    pub(crate) const US: Self = Self::of(*b"US");
    pub(crate) const UT: Self = Self::of(*b"UT");
    pub(crate) const UV: Self = Self::of(*b"UV");

    /// The number of values that [`slot`](Self::slot) can have.
    pub(crate) const SLOTS: usize = 1 << 10;

    /// Returns an index for tables by VR. No two VRs have the same.
    #[inline]
    pub(crate) const fn slot(self) -> usize {
        slot(self.letters())
    }

    /// Returns how its length is written, or `None` if the letters name no VR of PS3.5.
    #[inline]
    pub(crate) fn length_form(self) -> Option<LengthForm> {
        if self.0 & 0xE0E0 != CAPITALS {
            return None;
        }
        FORMS.get(slot(self.letters())).copied().flatten()
    }

    /// Returns the kind of characters in its values.
    #[inline]
    pub(crate) fn character_class(self) -> CharacterClass {
        match self {
            Self::DS | Self::IS | Self::DA | Self::TM | Self::DT | Self::AS | Self::UI => {
                CharacterClass::Number
            }
            Self::CS | Self::AE => CharacterClass::Code,
            Self::LO
            | Self::LT
            | Self::PN
            | Self::SH
            | Self::ST
            | Self::UC
            | Self::UR
            | Self::UT => CharacterClass::Text,
            _ => CharacterClass::Binary,
        }
    }

    /// Returns the byte that pads a value to even length: SPACE for text, NUL for UI and binary
    /// values (PS3.5 section 6.2).
    pub(crate) fn padding(self) -> u8 {
        if self.is_text() { b' ' } else { 0 }
    }

    /// Returns true for character strings other than UI.
    pub(crate) fn is_text(self) -> bool {
        const TEXT: [Vr; 16] = [
            Vr::AE,
            Vr::AS,
            Vr::CS,
            Vr::DA,
            Vr::DS,
            Vr::DT,
            Vr::IS,
            Vr::LO,
            Vr::LT,
            Vr::PN,
            Vr::SH,
            Vr::ST,
            Vr::TM,
            Vr::UC,
            Vr::UR,
            Vr::UT,
        ];
        TEXT.contains(&self)
    }

    /// Returns true for text VRs that limit a value to 64 characters, or 194 for PN
    /// (PS3.5 section 6.2).
    pub(crate) fn is_short_text(self) -> bool {
        matches!(
            self,
            Self::AE
                | Self::AS
                | Self::CS
                | Self::DA
                | Self::DT
                | Self::LO
                | Self::PN
                | Self::SH
                | Self::TM
                | Self::UI
        )
    }

    /// Returns the bytes of one number, or 1 for the other VRs (PS3.5 section 6.2).
    pub(crate) fn unit(self) -> u32 {
        match self {
            Self::US | Self::SS | Self::OW => 2,
            Self::UL | Self::SL | Self::FL | Self::AT | Self::OF | Self::OL => 4,
            Self::FD | Self::SV | Self::UV | Self::OD | Self::OV => 8,
            _ => 1,
        }
    }

    /// Returns true for binary numbers. The other binary VRs have one value of any length (PS3.5
    /// section 6.4).
    pub(crate) fn is_binary_number(self) -> bool {
        matches!(
            self,
            Self::US
                | Self::SS
                | Self::UL
                | Self::SL
                | Self::FL
                | Self::FD
                | Self::AT
                | Self::SV
                | Self::UV
        )
    }

    /// Returns true for the VRs whose undefined length means fragments (PS3.5 section A.4).
    pub(crate) fn is_bulk(self) -> bool {
        matches!(
            self,
            Self::OB | Self::OW | Self::OD | Self::OF | Self::OL | Self::OV
        )
    }
}

/// A VR is two capital letters (PS3.5 section 6.2). In ASCII, a capital has bit 6 set and bits 5 and
/// 7 clear.
const CAPITALS: u16 = 0x4040;

/// Returns the index of two capital letters in [`FORMS`].
#[inline]
#[expect(clippy::as_conversions, reason = "widening, in a const fn")]
const fn slot([a, b]: [u8; 2]) -> usize {
    (a as usize & 31) << 5 | (b as usize & 31)
}

const fn forms() -> [Option<LengthForm>; 1 << 10] {
    const SHORT: &[u8] = b"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS";
    const LONG: &[u8] = b"OBODOFOLOVOWSQSVUCUNURUTUV";
    let mut table = [None; 1 << 10];
    let mut all = [(SHORT, LengthForm::Short), (LONG, LengthForm::Long)].as_slice();
    while let [(letters, form), others @ ..] = all {
        let mut rest = *letters;
        while let [a, b, tail @ ..] = rest {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            {
                table[slot([*a, *b])] = Some(*form);
            }
            rest = tail;
        }
        all = others;
    }
    table
}

static FORMS: [Option<LengthForm>; 1 << 10] = forms();

/// The cache has 2^13 entries of one word: a bit for "filled", the tag, and the letters (zero if it
/// has no VR). All threads store the same entry for a tag, so a lost race costs one more lookup.
static CACHE: [AtomicU64; 1 << BITS] = [const { AtomicU64::new(0) }; 1 << BITS];

const BITS: u32 = 13;
const FILLED: u64 = 1 << 48;

/// Returns the index of a tag in [`CACHE`]. Eight consecutive tags share one cache line of the
/// processor.
#[inline]
fn cache_slot(key: u32) -> usize {
    let line = (key >> 3).wrapping_mul(0x9E37_79B1) >> (32 - (BITS - 3));
    (line << 3 | key & 7) as usize
}

/// The cached result for a tag without a VR.
const NONE: Vr = Vr(0);

#[cold]
fn look_up(tag: Tag) -> Vr {
    let vr = match StandardDataDictionary.by_tag(tag).map(|entry| entry.vr) {
        None => return NONE,
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Xs) => VR::US,
        Some(_) => VR::OW,
    };
    Vr::of(vr.to_bytes())
}

/// Returns a tag as one number, group first. Numbers sort as tags do.
#[inline]
pub(crate) fn number(tag: Tag) -> u32 {
    u32::from(tag.0) << 16 | u32::from(tag.1)
}

/// Returns the tag with this number.
#[inline]
pub(crate) fn tag(number: u32) -> Tag {
    let [g0, g1, e0, e1] = number.to_be_bytes();
    Tag(u16::from_be_bytes([g0, g1]), u16::from_be_bytes([e0, e1]))
}

/// Returns true if PS3.6 gives the tag US or SS, as Pixel Representation (0028,0103) says.
#[cold]
pub(crate) fn is_us_or_ss(tag: Tag) -> bool {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.is_some_and(|entry| entry.vr == VirtualVr::Xs)
}

/// Returns true if PS3.6 lists the tag. In a damaged object, the bytes of another tag may be letters of
/// a value, so messages do not show it.
#[cold]
pub(crate) fn is_listed(tag: Tag) -> bool {
    let is_listed = || StandardDataDictionary.by_tag(tag).is_some();
    match tag {
        // Items and delimiters are in no dictionary.
        Tag(0xFFFE, element) => matches!(element, 0xE000 | 0xE00D | 0xE0DD),
        Tag(group, element) => group.is_multiple_of(2) && element != 0 && is_listed(),
    }
}

/// Returns the number of a tag for a remark: 0, which stands for the whole object, if PS3.6 does not list
/// the tag.
pub(crate) fn number_to_show(number: u32) -> u32 {
    if is_listed(tag(number)) { number } else { 0 }
}

/// Returns the VR that PS3.6 gives a tag; `None` for private and unknown tags.
///
/// Group lengths are UL (PS3.5 section 7.2) and private creators LO (PS3.5 section 7.8.1). Where
/// PS3.6 allows several VRs, returns US for US or SS, and OW for OB or OW.
#[inline]
pub(crate) fn vr(tag: Tag) -> Option<Vr> {
    if tag.1 == 0 {
        return Some(Vr::UL);
    }
    if tag.0 & 1 == 1 {
        return (0x10..=0xFF).contains(&tag.1).then_some(Vr::LO);
    }
    let key = number(tag);
    let slot = CACHE.get(cache_slot(key))?;
    let cached = slot.load(Ordering::Relaxed);
    let [.., high, low] = cached.to_be_bytes();
    let found = if cached & !0xFFFF == cache_word(key, NONE) {
        Vr(u16::from_be_bytes([high, low]))
    } else {
        let found = look_up(tag);
        slot.store(cache_word(key, found), Ordering::Relaxed);
        found
    };
    (found != NONE).then_some(found)
}

/// Returns the entry of [`CACHE`] for a tag.
#[inline]
fn cache_word(key: u32, vr: Vr) -> u64 {
    FILLED | u64::from(key) << 16 | u64::from(vr.0)
}

/// Returns true if PS3.6 gives this VR to the tag and the cache has that entry. Always false for
/// group lengths and private tags.
#[inline]
pub(crate) fn is_known(key: u32, vr: Vr) -> bool {
    let slot = CACHE.get(cache_slot(key));
    slot.is_some_and(|slot| slot.load(Ordering::Relaxed) == cache_word(key, vr))
}

/// Returns true if PS3.6 gives the tag the VR SQ.
#[inline]
pub(crate) fn is_sequence(tag: Tag) -> bool {
    vr(tag) == Some(Vr::SQ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_the_vr_of_ps3_6() {
        for (tag, expect) in [
            (Tag(0x0008, 0x0018), Some(Vr::UI)),
            (Tag(0x0040, 0xA730), Some(Vr::SQ)),
            (Tag(0x6002, 0x3000), Some(Vr::OW)),
            (Tag(0x5004, 0x2600), Some(Vr::SQ)),
            (Tag(0x0020, 0x3101), Some(Vr::CS)),
            (Tag(0x0009, 0x0010), Some(Vr::LO)),
            (Tag(0x0009, 0x1010), None),
            (Tag(0x0010, 0x0000), Some(Vr::UL)),
            (Tag(0x0010, 0xFFFF), None),
            (Tag(0x7FE0, 0x0010), Some(Vr::OW)),
        ] {
            assert_eq!(vr(tag), expect, "{tag}");
        }
    }

    #[test]
    fn tags_that_ps3_6_does_not_list_may_be_letters_of_a_value() {
        for (tag, expect) in [
            (Tag(0x0010, 0x0010), true),
            (Tag(0x6002, 0x3000), true),
            (Tag(0xFFFE, 0xE000), true),
            (Tag(0xFFFE, 0xE0DD), true),
            (Tag(0x0009, 0x0010), false),
            (Tag(0x4D53, 0x5449), false),
            (Tag(0x4854, 0x0000), false),
        ] {
            assert_eq!(is_listed(tag), expect, "{tag}");
        }
    }

    #[test]
    fn a_cached_vr_is_the_vr_that_was_looked_up() {
        // More tags than entries, so that tags replace each other in the cache.
        let tags = |group: u16| (0..0x6000_u16).map(move |element| Tag(group, element));
        for tag in tags(0x0018).chain(tags(0x0040)).chain(tags(0x0018)) {
            let first = vr(tag);
            assert_eq!(first, vr(tag), "{tag}");
            let expect = look_up(tag);
            let expect = (expect != NONE).then_some(expect);
            assert!(tag.1 == 0 || first == expect, "{tag}");
        }
    }

    #[test]
    fn only_the_letters_of_a_vr_have_a_length_form() {
        assert_eq!(Vr::UT.length_form(), Some(LengthForm::Long));
        assert_eq!(Vr::UI.length_form(), Some(LengthForm::Short));
        for letters in [*b"ZZ", *b"ui", *b"uI", [0, 0], *b"  ", *b"5)"] {
            assert_eq!(Vr::of(letters).length_form(), None);
        }
    }
}
