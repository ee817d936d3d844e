//! [`Noted`]: the values of the root data set that say what the object is and whose.

use std::ops::Range;

use dicom_core::Tag;

use crate::read::dictionary;

/// A value that is looked at whatever the rules do with its element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Note {
    Charset,
    ImageType,
    SopClass,
    Instance,
    StudyDate,
    Accession,
    Modality,
    StudyDescription,
    SeriesDescription,
    PatientName,
    PatientId,
    Issuer,
    BirthDate,
    Sex,
    EthnicGroup,
    Study,
    Series,
    BurnedIn,
}

const NOTES: usize = 18;

impl Note {
    /// The note that is taken of an element of the root, if any.
    #[inline]
    pub(crate) fn of(tag: Tag) -> Option<Self> {
        Some(match dictionary::number(tag) {
            0x0008_0005 => Self::Charset,
            0x0008_0008 => Self::ImageType,
            0x0008_0016 => Self::SopClass,
            0x0008_0018 => Self::Instance,
            0x0008_0020 => Self::StudyDate,
            0x0008_0050 => Self::Accession,
            0x0008_0060 => Self::Modality,
            0x0008_1030 => Self::StudyDescription,
            0x0008_103E => Self::SeriesDescription,
            0x0010_0010 => Self::PatientName,
            0x0010_0020 => Self::PatientId,
            0x0010_0021 => Self::Issuer,
            0x0010_0030 => Self::BirthDate,
            0x0010_0040 => Self::Sex,
            0x0010_2160 => Self::EthnicGroup,
            0x0020_000D => Self::Study,
            0x0020_000E => Self::Series,
            0x0028_0301 => Self::BurnedIn,
            _ => return None,
        })
    }
}

/// The notes of one object: ranges of the draft's originals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    ranges: [Option<(u32, u32)>; NOTES],
}

impl Noted {
    /// Takes a note. False if there is one already.
    pub(crate) fn take(&mut self, note: Note, range: &Range<u32>) -> bool {
        match self.ranges.get_mut(note as usize) {
            Some(slot @ None) => {
                *slot = Some((range.start, range.end));
                true
            }
            _ => false,
        }
    }

    /// The bytes of a note, out of the draft's originals.
    pub(crate) fn bytes<'o>(&self, note: Note, originals: &'o [u8]) -> Option<&'o [u8]> {
        let (begin, end) = self.ranges.get(note as usize).copied().flatten()?;
        originals.get(begin as usize..end as usize)
    }
}
