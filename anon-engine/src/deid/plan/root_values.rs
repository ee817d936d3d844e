//! [`RootValues`]: the values of the root data set that identify the object and its patient.

use std::ops::Range;

use dicom_core::Tag;

/// An element of the root whose value is read, whatever the rules do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RootValue {
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
    PixelRepresentation,
    BurnedIn,
    /// An element that describes the pixels. Its value is not recorded here.
    Image,
}

const ROOT_VALUES: usize = 19;

impl RootValue {
    /// Returns the root value with this tag, if there is one. Matches the group first, because most
    /// elements are in other groups: one table of all tags takes 1 % more instructions to plan a CT slice.
    #[inline]
    pub(crate) fn of(tag: Tag) -> Option<Self> {
        Some(match (tag.0, tag.1) {
            (0x0008, element) => return Self::of_study(element),
            (0x0010, 0x0010) => Self::PatientName,
            (0x0010, 0x0020) => Self::PatientId,
            (0x0010, 0x0021) => Self::Issuer,
            (0x0010, 0x0030) => Self::BirthDate,
            (0x0010, 0x0040) => Self::Sex,
            (0x0010, 0x2160) => Self::EthnicGroup,
            (0x0020, 0x000D) => Self::Study,
            (0x0020, 0x000E) => Self::Series,
            (0x0028, 0x0002..=0x0100) => Self::Image,
            (0x0028, 0x0103) => Self::PixelRepresentation,
            (0x0028, 0x0301) => Self::BurnedIn,
            _ => return None,
        })
    }

    /// As [`of`](Self::of), in group 0008.
    fn of_study(element: u16) -> Option<Self> {
        Some(match element {
            0x0005 => Self::Charset,
            0x0008 => Self::ImageType,
            0x0016 => Self::SopClass,
            0x0018 => Self::Instance,
            0x0020 => Self::StudyDate,
            0x0050 => Self::Accession,
            0x0060 => Self::Modality,
            0x1030 => Self::StudyDescription,
            0x103E => Self::SeriesDescription,
            _ => return None,
        })
    }
}

/// The root values of one object, as ranges of the template's originals.
#[derive(Debug, Clone, Default)]
pub(crate) struct RootValues {
    ranges: [Option<(u32, u32)>; ROOT_VALUES],
}

impl RootValues {
    /// Records a value. Returns false if the element was recorded before.
    pub(crate) fn record(&mut self, field: RootValue, range: &Range<u32>) -> bool {
        match self.ranges.get_mut(field as usize) {
            Some(slot @ None) => {
                *slot = Some((range.start, range.end));
                true
            }
            _ => false,
        }
    }

    /// Returns the bytes of a root value.
    pub(crate) fn bytes<'o>(&self, field: RootValue, originals: &'o [u8]) -> Option<&'o [u8]> {
        let (begin, end) = self.ranges.get(field as usize).copied().flatten()?;
        originals.get(begin as usize..end as usize)
    }
}
