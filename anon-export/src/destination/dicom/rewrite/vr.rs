//! [`Vr`]: what a value representation says about lengths and byte order.

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

/// A value representation by its two letters (PS3.5 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vr([u8; 2]);

impl Vr {
    pub(super) const LO: Self = Self(*b"LO");
    pub(super) const OW: Self = Self(*b"OW");
    pub(super) const SQ: Self = Self(*b"SQ");
    pub(super) const SS: Self = Self(*b"SS");
    pub(super) const UN: Self = Self(*b"UN");
    pub(super) const US: Self = Self(*b"US");

    /// Returns the VR with these letters. `None` if PS3.5 has no such VR.
    pub(super) fn of(letters: [u8; 2]) -> Option<Self> {
        let vr = Self(letters);
        (vr.has_long_length() || SHORT.contains(&letters)).then_some(vr)
    }

    /// Returns its two letters.
    pub(super) const fn letters(self) -> [u8; 2] {
        self.0
    }

    /// Returns true if explicit lengths have 32 bits after two reserved bytes (PS3.5 Table 7.1-1).
    pub(super) fn has_long_length(self) -> bool {
        LONG.contains(&self.0)
    }

    /// Returns the number of bytes whose order depends on the byte ordering (PS3.5 section 7.3).
    ///
    /// UN has none: its value is little endian in every transfer syntax (PS3.5 section 6.2.2).
    pub(super) fn unit(self) -> usize {
        match &self.0 {
            b"AT" | b"OW" | b"SS" | b"US" => 2,
            b"FL" | b"OF" | b"OL" | b"SL" | b"UL" => 4,
            b"FD" | b"OD" | b"OV" | b"SV" | b"UV" => 8,
            _ => 1,
        }
    }

    /// Returns the VR of an element without one (PS3.5 section A.1, PS3.6). UN if PS3.6 does not
    /// know it. `is_signed` says whether pixels are signed (Pixel Representation).
    pub(super) fn of_implicit(tag: Tag, is_signed: bool) -> Self {
        if tag.group() % 2 == 1 {
            // PS3.5 section 7.8.1.
            let is_creator = (0x0010..=0x00FF).contains(&tag.element());
            return if is_creator { Self::LO } else { Self::UN };
        }
        let Some(entry) = StandardDataDictionary.by_tag(tag) else {
            return Self::UN;
        };
        match entry.vr() {
            VirtualVr::Exact(vr) => Self::of(vr.to_bytes()).unwrap_or(Self::UN),
            VirtualVr::Xs if is_signed => Self::SS,
            VirtualVr::Xs => Self::US,
            // Pixel, overlay, waveform and LUT data.
            _ => Self::OW,
        }
    }
}

/// VRs whose explicit length has 32 bits (PS3.5 Table 7.1-1).
const LONG: [[u8; 2]; 13] = [
    *b"OB", *b"OD", *b"OF", *b"OL", *b"OV", *b"OW", *b"SQ", *b"SV", *b"UC", *b"UN", *b"UR", *b"UT",
    *b"UV",
];

/// VRs whose explicit length has 16 bits (PS3.5 Table 7.1-2).
const SHORT: [[u8; 2]; 21] = [
    *b"AE", *b"AS", *b"AT", *b"CS", *b"DA", *b"DS", *b"DT", *b"FD", *b"FL", *b"IS", *b"LO", *b"LT",
    *b"PN", *b"SH", *b"SL", *b"SS", *b"ST", *b"TM", *b"UI", *b"UL", *b"US",
];
