//! UIDs: their form (PS3.5 section 9), and which of them belong to the standard.

/// The root of the standard's own UIDs, which identify nobody (PS3.6 annex A).
const STANDARD_ROOT: &[u8] = b"1.2.840.10008";

/// Most characters of a UID (PS3.5 section 9.1).
const MAX_LENGTH: usize = 64;

/// Returns true for 1 to 64 digits and dots that begin and end with a digit.
///
/// Accepts leading zeros in a component, which PS3.5 section 9.1 forbids and many files have.
///
/// # Examples
/// ```
/// assert!(anon_engine::eval::uid::is_well_formed(b"1.2.840.10008.1.1"));
/// assert!(!anon_engine::eval::uid::is_well_formed(b"../../x"));
/// ```
pub fn is_well_formed(uid: &[u8]) -> bool {
    let ends = |end: Option<&u8>| end.is_some_and(u8::is_ascii_digit);
    uid.len() <= MAX_LENGTH
        && ends(uid.first())
        && ends(uid.last())
        // Without a branch, so that the compiler checks several bytes at once.
        && uid
            .iter()
            .fold(true, |is, b| is & matches!(b, b'0'..=b'9' | b'.'))
}

/// Returns true for a well-formed UID under 1.2.840.10008. These are the UIDs of the standard, and
/// they are always kept.
///
/// # Examples
/// ```
/// use anon_engine::eval::uid::is_standard;
/// assert!(is_standard(b"1.2.840.10008.1.2"));
/// assert!(!is_standard(b"1.2.840.100081"));
/// assert!(!is_standard(b"1.2.840.10008.DOE"));
/// ```
pub fn is_standard(uid: &[u8]) -> bool {
    uid.strip_prefix(STANDARD_ROOT)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'.')))
        && is_well_formed(uid)
}

/// Returns a UID as text, without SPACE and NUL at both ends. If it is not ASCII, each byte becomes
/// one character, so that two originals never become one text.
pub(crate) fn text(bytes: &[u8]) -> String {
    encoding_rs::mem::decode_latin1(trim(bytes)).into_owned()
}

/// Returns the bytes without SPACE and NUL at both ends.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | 0, rest @ ..] | [rest @ .., b' ' | 0] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_and_standard_uids_are_recognized() {
        let long = "1".repeat(65);
        for (uid, well_formed, standard) in [
            ("1.2.3", true, false),
            ("1.2.840.10008", true, true),
            ("1.2.840.10008.5.1.4.1.1.2", true, true),
            ("1.2.840.10008.", false, false),
            ("1.2.840.10008.JOHN", false, false),
            ("1.2.840.1000812", true, false),
            ("", false, false),
            (".1", false, false),
            (&long, false, false),
        ] {
            assert_eq!(is_well_formed(uid.as_bytes()), well_formed, "{uid}");
            assert_eq!(is_standard(uid.as_bytes()), standard, "{uid}");
        }
        assert_eq!(text(b" 1.2\0\0"), "1.2");
        assert_eq!(text(b"\0 "), "");
        assert_eq!(text(b"\xE9"), "\u{E9}");
    }
}
