//! Recognises archives by their content.

/// Bytes at the start of a file that show what it is.
pub(crate) const HEAD: usize = 512;

/// The name of each kind of archive, with the offset and the bytes of its signature.
const SIGNATURES: [(&str, usize, &[u8]); 10] = [
    ("zip", 0, b"PK\x03\x04"),
    ("zip", 0, b"PK\x05\x06"),
    ("zip", 0, b"PK\x07\x08"),
    ("tar", 257, b"ustar"),
    ("gzip", 0, &[0x1F, 0x8B, 8]),
    ("bzip2", 0, b"BZh"),
    ("xz", 0, b"\xFD7zXZ\0"),
    ("Zstandard", 0, &[0x28, 0xB5, 0x2F, 0xFD]),
    ("7z", 0, b"7z\xBC\xAF\x27\x1C"),
    ("RAR", 0, b"Rar!\x1A\x07"),
];

/// The first entry of ZIP files that are programs or documents: of Java, of office programs, and
/// electronic books.
const NOT_ARCHIVES: [&[u8]; 4] = [b"META-INF/", b"[Content_Types].xml", b"_rels/", b"mimetype"];

/// Returns the kind of archive that begins with these bytes. `None` if they are no archive, or a
/// program or document that is stored as a ZIP file.
pub(crate) fn kind(head: &[u8]) -> Option<&'static str> {
    let (kind, ..) = SIGNATURES.iter().find(|(_, at, signature)| {
        head.get(*at..)
            .is_some_and(|rest| rest.starts_with(signature))
    })?;
    // The name of the entry follows 30 bytes of its header.
    let is_document = *kind == "zip"
        && head
            .get(30..)
            .is_some_and(|name| NOT_ARCHIVES.iter().any(|first| name.starts_with(first)));
    (!is_document).then_some(*kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(first: &str) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(30, 0);
        bytes.extend(first.as_bytes());
        bytes
    }

    #[test]
    fn archives_are_recognised_by_their_content() {
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\x0000");
        for (bytes, expected) in [
            (zip("IM0001.dcm"), Some("zip")),
            (tar, Some("tar")),
            (vec![0x1F, 0x8B, 8, 0], Some("gzip")),
            (b"7z\xBC\xAF\x27\x1C".to_vec(), Some("7z")),
            (zip("META-INF/MANIFEST.MF"), None),
            (zip("[Content_Types].xml"), None),
            (b"PKI".to_vec(), None),
            (b"%PDF-1.7".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(kind(&bytes), expected, "{bytes:?}");
        }
    }
}
