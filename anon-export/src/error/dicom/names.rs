//! Names of SOP classes and transfer syntaxes (PS3.6 Table A-1), for messages.

use anon_net::Uid;
use dicom_core::dictionary::{UidDictionary as _, UidDictionaryEntry as _};
use dicom_dictionary_std::{StandardSopClassDictionary, uids};

/// Returns the name and UID of a SOP class.
pub(super) fn sop_class(uid: &Uid) -> String {
    match StandardSopClassDictionary.by_uid(uid.as_str()) {
        Some(entry) => format!("{} ({uid})", entry.name()),
        None => "a SOP class that PS3.6 does not list".to_owned(),
    }
}

/// Returns the name and UID of a compressed transfer syntax.
pub(super) fn transfer_syntax(uid: &Uid) -> String {
    let names = COMPRESSED.iter();
    match names.into_iter().find(|(known, _)| *known == uid.as_str()) {
        Some((_, name)) => format!("{name} ({uid})"),
        None => uid.to_string(),
    }
}

/// Returns true for the transfer syntaxes that are rewritten into each other.
pub(super) fn is_uncompressed(uid: &Uid) -> bool {
    UNCOMPRESSED.contains(&uid.as_str())
}

/// The UIDs of the uncompressed transfer syntaxes.
pub(crate) const UNCOMPRESSED: [&str; 4] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    // Explicit VR big endian, which is retired.
    "1.2.840.10008.1.2.2",
];

/// Names of the common compressed syntaxes. Others are shown by UID.
const COMPRESSED: [(&str, &str); 13] = [
    (uids::JPEG_BASELINE8_BIT, "JPEG Baseline"),
    (uids::JPEG_EXTENDED12_BIT, "JPEG Extended"),
    (uids::JPEG_LOSSLESS, "JPEG Lossless"),
    (uids::JPEG_LOSSLESS_SV1, "JPEG Lossless SV1"),
    (uids::JPEGLS_LOSSLESS, "JPEG-LS Lossless"),
    (uids::JPEGLS_NEAR_LOSSLESS, "JPEG-LS Near-Lossless"),
    (uids::JPEG2000_LOSSLESS, "JPEG 2000 Lossless"),
    (uids::JPEG2000, "JPEG 2000"),
    (uids::HTJ2K_LOSSLESS, "HTJ2K Lossless"),
    (uids::HTJ2K_LOSSLESS_RPCL, "HTJ2K Lossless RPCL"),
    (uids::HTJ2K, "HTJ2K"),
    (uids::HEVCMP51, "HEVC/H.265 Main Profile 5.1"),
    (uids::RLE_LOSSLESS, "RLE Lossless"),
];
