//! File meta information (PS3.10 section 7.1): reads it from the source, writes it to the output.

use anon_model::modality::transfer_syntaxes;
use dicom_core::Tag;

use crate::limits::Limits;
use crate::read::archive;
use crate::read::dictionary::Vr;
use crate::read::input::Input;
use crate::read::scan::{Encoding, Header, HeaderError, ScanError, is_placeholder};
use crate::read::uid;
use crate::refusal::{Category, Refusal};

/// Our Implementation Class UID (0002,0012). It shares its root with the one of V17,
/// `1.2.826.0.1.3680043.10.474.1`.
pub const IMPLEMENTATION_CLASS_UID: &str = "1.2.826.0.1.3680043.10.474.3";

/// Our Implementation Version Name (0002,0013): an SH value, so at most 16 characters (PS3.5
/// section 6.2).
pub const IMPLEMENTATION_VERSION_NAME: &str = concat!(
    "ANON_",
    env!("CARGO_PKG_VERSION_MAJOR"),
    "_",
    env!("CARGO_PKG_VERSION_MINOR")
);

const _: () = assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16);

pub(crate) const IMPLICIT_LE: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
pub(crate) const EXPLICIT_BE: &str = "1.2.840.10008.1.2.2";
const DEFLATED_LE: &str = "1.2.840.10008.1.2.1.99";
/// Implicit little endian with big endian pixel data, which is copied without being decoded.
const GE_PRIVATE_IMPLICIT: &str = "1.2.840.113619.5.2";
const PAPYRUS_3_IMPLICIT: &str = "1.2.840.10008.1.20";
/// Deflated explicit little endian (PS3.5 section A.5), and JPIP referenced deflate in two forms.
const DEFLATED: [&str; 3] = [
    DEFLATED_LE,
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.205",
];

/// The root of the transfer syntaxes for JPEG and its successors, MPEG and HEVC (PS3.6 annex A).
const COMPRESSED: &str = "1.2.840.10008.1.2.4.";
/// Those under that root which reference pixel data at a server instead.
const JPIP: [&str; 4] = ["94", "95", "204", "205"];
const RLE: &str = "1.2.840.10008.1.2.5";
const DEFLATED_FRAMES: &str = "1.2.840.10008.1.2.8.1";

const MEDIA_STORAGE_SOP_CLASS: Tag = Tag(0x0002, 0x0002);
const MEDIA_STORAGE_SOP_INSTANCE: Tag = Tag(0x0002, 0x0003);
pub(crate) const TRANSFER_SYNTAX: Tag = Tag(0x0002, 0x0010);
const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";
/// A UI value has at most 64 characters (PS3.5 section 9.1). Longer ones are read too, because some
/// writers pad them with spaces.
const MAX_UID: u32 = 128;

/// Where a data set begins in its source, and in which transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataSetStart {
    /// Offset of the data set in the source.
    pub(crate) begin: u64,
    pub(crate) syntax: TransferSyntax,
    /// True if the file meta information names a second transfer syntax.
    pub(crate) names_two: bool,
    /// Number and offset of an element of group 0002 whose letters name no VR.
    pub(crate) odd_vr: Option<(u32, u64)>,
}

impl DataSetStart {
    /// A data set without file meta information.
    pub(crate) fn bare(syntax: TransferSyntax) -> Self {
        Self {
            begin: 0,
            syntax,
            names_two: false,
            odd_vr: None,
        }
    }
}

/// What reading a data set needs to know of its transfer syntax (PS3.5 section 10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferSyntax {
    pub(crate) uid: String,
    pub(crate) encoding: Encoding,
    pub(crate) deflated: bool,
}

impl TransferSyntax {
    /// Returns the transfer syntax with this UID. Encapsulated and unknown ones have explicit little
    /// endian headers (PS3.5 section A.4).
    pub(crate) fn from_uid(uid: &str) -> Result<Self, Refusal> {
        if !uid::is_well_formed(uid.as_bytes()) {
            let reason = "the transfer syntax is not a UID";
            return Err(Refusal::new(Category::DicomReadError, reason));
        }
        let encoding = match uid {
            IMPLICIT_LE | GE_PRIVATE_IMPLICIT | PAPYRUS_3_IMPLICIT => Encoding::ImplicitLe,
            EXPLICIT_BE => Encoding::ExplicitBe,
            _ => Encoding::ExplicitLe,
        };
        Ok(Self {
            uid: uid.to_owned(),
            encoding,
            deflated: DEFLATED.contains(&uid),
        })
    }

    /// Returns true if PS3.6 lists it, or if it is one of a vendor that this crate reads.
    pub(crate) fn is_known(&self) -> bool {
        let uid = self.uid.as_str();
        matches!(uid, GE_PRIVATE_IMPLICIT | PAPYRUS_3_IMPLICIT)
            || self.is_native()
            || transfer_syntaxes().any(|(known, _)| known == uid)
    }

    /// Returns the uncompressed transfer syntax of an encoding (PS3.5 sections A.1 to A.3).
    fn uncompressed(encoding: Encoding) -> Self {
        let uid = match encoding {
            Encoding::ImplicitLe => IMPLICIT_LE,
            Encoding::ExplicitLe => EXPLICIT_LE,
            Encoding::ExplicitBe => EXPLICIT_BE,
        };
        Self {
            uid: uid.to_owned(),
            encoding,
            deflated: false,
        }
    }

    /// Returns true if the root's pixel data cannot be encapsulated (PS3.5 sections A.1 to A.3, A.5).
    pub(crate) fn is_native(&self) -> bool {
        self.encoding != Encoding::ExplicitLe
            || matches!(self.uid.as_str(), EXPLICIT_LE | DEFLATED_LE)
    }

    /// Returns true if the root's pixel data must be encapsulated: JPEG and its successors, MPEG, RLE
    /// and deflated frames (PS3.5 section A.4). Private transfer syntaxes may do as they like, and JPIP
    /// has no pixel data (PS3.5 section A.6).
    pub(crate) fn is_encapsulated(&self) -> bool {
        if matches!(self.uid.as_str(), RLE | DEFLATED_FRAMES) {
            return true;
        }
        let standard = self.uid.strip_prefix(COMPRESSED);
        standard.is_some_and(|number| !JPIP.contains(&number))
    }

    /// Returns true if each code stream ends with a marker FFD9: JPEG, JPEG-LS, JPEG 2000 and HTJ2K
    /// (PS3.5 sections A.4.1, A.4.3 and A.4.4).
    pub(crate) fn has_end_marker(&self) -> bool {
        let number = self.uid.strip_prefix(COMPRESSED);
        let number = number.and_then(|number| number.parse().ok());
        matches!(number, Some(50..=93 | 201..=203))
    }

    /// Returns the transfer syntax of a data set that is declared as this one and is found in
    /// `encoding`; `None` if no UID is right for it.
    ///
    /// The two uncompressed little endian ones are mixed up in the field, so the bytes decide. A
    /// private transfer syntax may be implicit and keeps its UID.
    pub(crate) fn with_encoding(self, encoding: Encoding) -> Option<Self> {
        if encoding == self.encoding {
            return Some(self);
        }
        if matches!(self.uid.as_str(), IMPLICIT_LE | EXPLICIT_LE) {
            return Some(Self::uncompressed(encoding));
        }
        let is_private = !uid::is_standard(self.uid.as_bytes());
        (is_private && encoding == Encoding::ImplicitLe).then_some(Self { encoding, ..self })
    }
}

/// Finds the data set in a file. PS3.10 section 7.1 requires a preamble and file meta information;
/// either may be missing here.
pub(crate) fn find<I: Input>(input: &mut I, limits: &Limits) -> Result<DataSetStart, Refusal> {
    let head = input
        .window(0, PREAMBLE + 16)
        .map_err(|failed| ScanError::input(failed, 0))?;
    if head.is_empty() {
        return Err(foreign("the file is empty"));
    }
    let starts: [(usize, bool); 4] = [
        (PREAMBLE + MAGIC.len(), true),
        (MAGIC.len(), true),
        (0, false),
        (PREAMBLE, false),
    ];
    for (start, magic) in starts {
        let marked = magic
            && start
                .checked_sub(MAGIC.len())
                .and_then(|at| head.get(at..start))
                .is_some_and(|bytes| bytes == MAGIC);
        let blank = start == 0 || head.get(..start).is_some_and(|b| b.iter().all(|b| *b == 0));
        if marked || (!magic && blank && guess(head.get(start..).unwrap_or_default()).is_some()) {
            return read(input, start as u64, limits);
        }
    }
    let head = input
        .window(0, archive::HEAD)
        .map_err(|failed| ScanError::input(failed, 0))?;
    Err(match archive::kind(head) {
        Some(kind) => {
            let reason = format!("a {kind} archive: unpack it and import its files");
            let mut refusal = foreign(reason);
            refusal.archive = true;
            refusal
        }
        None => foreign("the file has no sign of DICOM"),
    })
}

fn foreign(reason: impl Into<String>) -> Refusal {
    let mut refusal = Refusal::new(Category::InvalidDicom, reason);
    refusal.foreign = true;
    refusal
}

/// Returns the encoding of bytes that look like the first element of group 0002 or 0008.
fn guess(bytes: &[u8]) -> Option<Encoding> {
    let &[g0, g1, e0, e1, v0, v1, l0, l1] = bytes.first_chunk::<8>()?;
    let letters = Vr::of([v0, v1]).length_form().is_some();
    match [g0, g1] {
        [2 | 8, 0] if letters => Some(Encoding::ExplicitLe),
        [0, 8] if letters => Some(Encoding::ExplicitBe),
        // Implicit, if the element number is low and the value short.
        [2 | 8, 0] if u16::from_le_bytes([e0, e1]) <= 0x0100 => {
            (u32::from_le_bytes([v0, v1, l0, l1]) <= 256).then_some(Encoding::ImplicitLe)
        }
        _ => None,
    }
}

/// Reads the file meta information from `begin` on. It ends where group 0002 ends; its group length
/// (0002,0000) is often wrong, so it is not used.
///
/// The first transfer syntax counts. Some writers put file meta information in front of a file that
/// has its own, which DCMTK and GDCM then read as part of the data set.
fn read<I: Input>(input: &mut I, begin: u64, limits: &Limits) -> Result<DataSetStart, Refusal> {
    let end = input.len();
    let mut at = begin;
    let mut named = None;
    let mut names_two = false;
    let mut odd_vr = None;
    let mut header = Header::NONE;
    let mut left = limits.max_elements.min(10_000);
    while end.saturating_sub(at) >= 8 {
        let window = input
            .window(at, 12)
            .map_err(|failed| ScanError::input(failed, at))?;
        if !window.starts_with(&[2, 0]) {
            break;
        }
        if read_header(&mut header, window, at, end)? {
            odd_vr = Some((header.number, at));
        }
        left = left.checked_sub(1).ok_or_else(|| {
            ScanError::new("the file meta information has too many elements", None, at)
        })?;
        if header.is_undefined() || header.end() > end {
            let problem = "the file meta information is not complete";
            return Err(ScanError::new(problem, Some(header.tag()), at).into());
        }
        names_two |= header.tag() == TRANSFER_SYNTAX && named.is_some();
        if header.tag() == TRANSFER_SYNTAX && named.is_none() {
            let len = usize::try_from(header.len).unwrap_or(usize::MAX);
            named = Some(if header.len <= MAX_UID {
                let value = input.exact(header.value, len);
                uid::text(value.map_err(|failed| ScanError::input(failed, at))?)
            } else {
                String::new()
            });
        }
        at = header.end();
    }
    let syntax = match named.filter(|uid| !uid.is_empty()) {
        Some(uid) => TransferSyntax::from_uid(&uid)?,
        None => guess_at(input, at)?,
    };
    Ok(DataSetStart {
        begin: at,
        syntax,
        names_two,
        odd_vr,
    })
}

/// Reads the header of an element of group 0002. Returns true if its letters name no VR.
///
/// PS3.10 section 7.1 requires explicit little endian; some writers use implicit. The letters of
/// writers that do not know the VR look like an implicit length that no element of group 0002 has.
fn read_header(header: &mut Header, bytes: &[u8], at: u64, end: u64) -> Result<bool, ScanError> {
    const LONG: u32 = 8 << 10;
    let field = bytes.get(4..8).and_then(|field| field.first_chunk::<4>());
    let [v0, v1, l0, l1] = field.copied().unwrap_or_default();
    let is_placeholder = is_placeholder([v0, v1]) && u32::from_le_bytes([v0, v1, l0, l1]) >= LONG;
    let is_capital = v0.is_ascii_uppercase() && v1.is_ascii_uppercase();
    let encoding = if is_capital || is_placeholder {
        Encoding::ExplicitLe
    } else {
        Encoding::ImplicitLe
    };
    match header.read(bytes, at, end, encoding) {
        Ok(()) => Ok(false),
        Err(HeaderError::UnknownVr)
            if is_placeholder && header.take_vr_of_dictionary(bytes)
                || header.correct_vr(bytes, end) =>
        {
            Ok(true)
        }
        Err(error) => Err(error.of(header, at)),
    }
}

fn guess_at<I: Input>(input: &mut I, at: u64) -> Result<TransferSyntax, Refusal> {
    let window = input
        .window(at, 12)
        .map_err(|failed| ScanError::input(failed, at))?;
    let encoding = guess(window).ok_or_else(|| {
        let reason = "the transfer syntax is missing, and the first bytes do not show it";
        Refusal::new(Category::DicomReadError, reason)
    })?;
    Ok(TransferSyntax::uncompressed(encoding))
}

/// Appends a zeroed preamble and file meta information (PS3.10 section 7.1).
pub(crate) fn write(out: &mut Vec<u8>, sop_class: &str, instance: &str, syntax: &str) {
    const E: Encoding = Encoding::ExplicitLe;
    out.extend_from_slice(&[0; PREAMBLE]);
    out.extend_from_slice(MAGIC);
    let even = |len: usize| u32::try_from(len + len % 2).unwrap_or(u32::MAX);
    let values = [
        (MEDIA_STORAGE_SOP_CLASS, Vr::UI, sop_class),
        (MEDIA_STORAGE_SOP_INSTANCE, Vr::UI, instance),
        (TRANSFER_SYNTAX, Vr::UI, syntax),
        (Tag(0x0002, 0x0012), Vr::UI, IMPLEMENTATION_CLASS_UID),
        (Tag(0x0002, 0x0013), Vr::SH, IMPLEMENTATION_VERSION_NAME),
    ];
    // The version (0002,0001) takes 14 bytes; each other header takes 8.
    let length = values
        .iter()
        .fold(14, |sum, (_, _, value)| sum + 8 + even(value.len()));
    E.put_header(out, Tag(0x0002, 0x0000), Vr::UL, 4);
    out.extend_from_slice(&length.to_le_bytes());
    E.put_header(out, Tag(0x0002, 0x0001), Vr::OB, 2);
    out.extend_from_slice(&[0, 1]);
    for (tag, vr, value) in values {
        E.put_header(out, tag, vr, even(value.len()));
        out.extend_from_slice(value.as_bytes());
        if value.len() % 2 == 1 {
            out.push(vr.padding());
        }
    }
}
