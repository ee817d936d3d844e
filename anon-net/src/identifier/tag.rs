//! [`Tag`], [`Vr`], and the elements used in queries (PS3.4 section C.6.2, PS3.6).

use std::fmt;

use dicom_core::dictionary::DataDictionary as _;
use dicom_dictionary_std::StandardDataDictionary;

/// The tag of a data element. Ordered as in data sets.
///
/// In a damaged data set, letters of a value stand where a tag should. So `Debug` and `Display` show
/// only tags that PS3.6 lists, and call others an unknown element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these two")]
pub struct Tag {
    /// The group number.
    pub group: u16,
    /// The element number.
    pub element: u16,
}

impl Tag {
    /// Creates a tag.
    pub const fn new(group: u16, element: u16) -> Self {
        Self { group, element }
    }

    /// Returns true if PS3.6 lists the tag.
    fn is_listed(self) -> bool {
        let tag = dicom_core::Tag(self.group, self.element);
        self.group.is_multiple_of(2)
            && self.element != 0
            && StandardDataDictionary.by_tag(tag).is_some()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_listed() {
            write!(f, "({:04X},{:04X})", self.group, self.element)
        } else {
            f.write_str("an unknown element")
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// A value representation: two capital letters (PS3.5 section 6.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Vr([u8; 2]);

impl Vr {
    /// The unknown VR.
    pub const UN: Self = Self(*b"UN");
    pub(super) const SQ: Self = Self(*b"SQ");

    /// Creates a VR from two letters. `None` if they are not capitals.
    pub fn new(letters: [u8; 2]) -> Option<Self> {
        letters
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(letters))
    }

    /// Returns the VR of a tag listed here; `UN` for other tags.
    pub fn of(tag: Tag) -> Self {
        let found = DICTIONARY.iter().find(|(listed, _)| *listed == tag);
        found.map_or(Self::UN, |(_, letters)| Self(**letters))
    }

    /// Returns the letters.
    pub const fn letters(self) -> [u8; 2] {
        self.0
    }

    /// Returns true if the length field has four bytes, after two reserved ones (PS3.5 section
    /// 7.1.2). This holds for VRs of future editions too (PS3.5 section 6.2).
    pub(super) fn has_long_length(self) -> bool {
        !SHORT.contains(&&self.0)
    }

    /// Returns the byte that pads a value of odd length (PS3.5 section 6.2).
    pub(super) fn padding(self) -> u8 {
        if matches!(&self.0, b"UI" | b"OB" | b"UN") {
            0
        } else {
            b' '
        }
    }
}

impl fmt::Debug for Vr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Vr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0;
        write!(f, "{}{}", char::from(first), char::from(second))
    }
}

/// The VRs with a two-byte length field (PS3.5 Table 7.1-2).
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN",
    b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
];

macro_rules! dictionary {
    ($($(#[$doc:meta])* $name:ident = ($group:literal, $element:literal) $vr:literal;)*) => {
        $($(#[$doc])* pub const $name: Tag = Tag::new($group, $element);)*
        const DICTIONARY: &[(Tag, &[u8; 2])] = &[$(($name, $vr)),*];
    };
}

dictionary! {
    /// Specific Character Set.
    CHARSET = (0x0008, 0x0005) b"CS";
    /// SOP Class UID.
    SOP_CLASS = (0x0008, 0x0016) b"UI";
    /// SOP Instance UID.
    SOP_INSTANCE = (0x0008, 0x0018) b"UI";
    /// Study Date.
    STUDY_DATE = (0x0008, 0x0020) b"DA";
    /// Accession Number.
    ACCESSION = (0x0008, 0x0050) b"SH";
    /// Query/Retrieve Level.
    LEVEL = (0x0008, 0x0052) b"CS";
    /// Retrieve AE Title.
    RETRIEVE_TITLE = (0x0008, 0x0054) b"AE";
    /// Failed SOP Instance UID List.
    FAILED_INSTANCES = (0x0008, 0x0058) b"UI";
    /// Modality.
    MODALITY = (0x0008, 0x0060) b"CS";
    /// Modalities in Study.
    MODALITIES = (0x0008, 0x0061) b"CS";
    /// SOP Classes in Study.
    SOP_CLASSES = (0x0008, 0x0062) b"UI";
    /// Study Description.
    STUDY_DESCRIPTION = (0x0008, 0x1030) b"LO";
    /// Series Description.
    SERIES_DESCRIPTION = (0x0008, 0x103E) b"LO";
    /// Patient's Name.
    PATIENT_NAME = (0x0010, 0x0010) b"PN";
    /// Patient ID.
    PATIENT_ID = (0x0010, 0x0020) b"LO";
    /// Patient's Birth Date.
    BIRTH_DATE = (0x0010, 0x0030) b"DA";
    /// Patient's Sex.
    SEX = (0x0010, 0x0040) b"CS";
    /// Study Instance UID.
    STUDY_UID = (0x0020, 0x000D) b"UI";
    /// Series Instance UID.
    SERIES_UID = (0x0020, 0x000E) b"UI";
    /// Series Number.
    SERIES_NUMBER = (0x0020, 0x0011) b"IS";
    /// Instance Number.
    INSTANCE_NUMBER = (0x0020, 0x0013) b"IS";
    /// Number of Study Related Series.
    SERIES_IN_STUDY = (0x0020, 0x1206) b"IS";
    /// Number of Study Related Instances.
    INSTANCES_IN_STUDY = (0x0020, 0x1208) b"IS";
    /// Number of Series Related Instances.
    INSTANCES_IN_SERIES = (0x0020, 0x1209) b"IS";
}
