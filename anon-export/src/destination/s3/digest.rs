//! Checksums of sent data, in the formats of S3.

use aws_smithy_types::base64;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::config::ChecksumMode;

/// The MD5 and the checksum of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digests {
    md5: [u8; 16],
    checksum: Option<Vec<u8>>,
}

impl Digests {
    pub(super) fn of(bytes: &[u8], mode: ChecksumMode) -> Self {
        Self {
            md5: Md5::digest(bytes).into(),
            checksum: checksum(bytes, mode),
        }
    }

    /// Returns the MD5 as an ETag, without quotes.
    pub(super) fn e_tag(&self) -> String {
        hex(&self.md5)
    }

    /// Returns the checksum as its header contains it.
    pub(super) fn checksum(&self) -> Option<String> {
        self.checksum.as_ref().map(base64::encode)
    }
}

fn checksum(bytes: &[u8], mode: ChecksumMode) -> Option<Vec<u8>> {
    match mode {
        ChecksumMode::Crc32c => Some(crc32c(bytes).to_be_bytes().to_vec()),
        ChecksumMode::Sha256 => Some(Sha256::digest(bytes).to_vec()),
        ChecksumMode::None => None,
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    // A 32-bit CRC has no higher bits.
    u32::try_from(crc).unwrap_or_default()
}

/// The digests of an object in parts.
#[derive(Debug, Clone, Default)]
pub(super) struct PartDigests {
    md5: Md5,
    checksums: Vec<u8>,
    count: usize,
}

impl PartDigests {
    pub(super) fn add(&mut self, part: &Digests) {
        self.md5.update(part.md5);
        self.checksums
            .extend_from_slice(part.checksum.as_deref().unwrap_or_default());
        self.count += 1;
    }

    /// Returns the ETag of the object: the MD5 of the parts' MD5s, and the number of parts.
    pub(super) fn e_tag(&self) -> String {
        let md5: [u8; 16] = self.md5.clone().finalize().into();
        format!("{}-{}", hex(&md5), self.count)
    }

    /// Returns the composite checksum: that of the parts' checksums, and the number of parts.
    pub(super) fn checksum(&self, mode: ChecksumMode) -> Option<String> {
        let all = checksum(&self.checksums, mode)?;
        Some(format!("{}-{}", base64::encode(all), self.count))
    }
}

/// Computes the ETag that an object would get.
#[derive(Debug)]
pub(super) struct ETagHasher {
    /// `None` for an object that is sent whole.
    part_bytes: Option<u64>,
    /// Hash of the bytes after the last complete part.
    md5: Md5,
    part_len: u64,
    /// Hash of the MD5s of complete parts.
    md5_of_parts: Md5,
    parts: u64,
}

impl ETagHasher {
    /// Creates a hasher for an object in parts of this length, or sent whole.
    pub(super) fn new(part_bytes: Option<u64>) -> Self {
        Self {
            part_bytes,
            md5: Md5::new(),
            part_len: 0,
            md5_of_parts: Md5::new(),
            parts: 0,
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self
                .part_bytes
                .map_or(u64::MAX, |part| part - self.part_len);
            let now = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(now);
            self.md5.update(now);
            self.part_len += now.len() as u64;
            bytes = later;
            if self.part_bytes == Some(self.part_len) {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        self.md5_of_parts.update(self.md5.finalize_reset());
        self.part_len = 0;
        self.parts += 1;
    }

    pub(super) fn finish(mut self) -> String {
        if self.part_bytes.is_none() {
            return hex(&self.md5.finalize());
        }
        if self.part_len > 0 {
            self.end_part();
        }
        format!("{}-{}", hex(&self.md5_of_parts.finalize()), self.parts)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Returns an ETag without its quotes.
pub(super) fn unquoted(e_tag: &str) -> &str {
    e_tag.trim_matches('"')
}

/// Returns whether an ETag has the form of an MD5, alone or of parts. Other ETags cannot be
/// compared with bytes.
pub(super) fn is_md5(e_tag: &str) -> bool {
    let (md5, parts) = match e_tag.split_once('-') {
        None => (e_tag, true),
        Some((md5, parts)) => (
            md5,
            !parts.is_empty() && parts.bytes().all(|b| b.is_ascii_digit()),
        ),
    };
    parts && md5.len() == 32 && md5.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_published_values() {
        // RFC 1321, RFC 3720 B.4, FIPS 180-4.
        let digests = |mode| Digests::of(b"123456789", mode);
        let none = digests(ChecksumMode::None);
        assert_eq!(none.e_tag(), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(none.checksum(), None);
        let crc = digests(ChecksumMode::Crc32c).checksum();
        assert_eq!(crc, Some(base64::encode(0xE306_9283_u32.to_be_bytes())));
        let sha = digests(ChecksumMode::Sha256).checksum();
        assert_eq!(
            sha.as_deref(),
            Some("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=")
        );
    }

    #[test]
    fn e_tag_of_parts_is_the_md5_of_their_md5s() {
        let mut parts = PartDigests::default();
        for part in [b"1234".as_slice(), b"5678", b"9"] {
            parts.add(&Digests::of(part, ChecksumMode::Crc32c));
        }
        // md5(md5("1234") + md5("5678") + md5("9")), by md5sum.
        assert_eq!(parts.e_tag(), "393e928fcf5925fcbd3a06aaf20b2d38-3");
        let composite = parts.checksum(ChecksumMode::Crc32c).expect("a checksum");
        assert!(composite.ends_with("==-3"), "{composite}");
        assert_eq!(parts.checksum(ChecksumMode::None), None);
    }

    #[test]
    fn hasher_computes_the_e_tag_in_advance() {
        let tag = |part, pieces: &[&[u8]]| {
            let mut e_tag = ETagHasher::new(part);
            for piece in pieces {
                e_tag.update(piece);
            }
            e_tag.finish()
        };
        let whole = "25f9e794323b453885f5181f1b624d0b";
        let in_parts = "393e928fcf5925fcbd3a06aaf20b2d38-3";
        for pieces in [
            &[b"123456789".as_slice()] as &[_],
            &[b"12".as_slice(), b"345", b"6789"],
        ] {
            assert_eq!(tag(None, pieces), whole);
            assert_eq!(tag(Some(4), pieces), in_parts);
        }
        assert_eq!(
            tag(Some(3), &[b"123456789"]).split_once('-').map(|it| it.1),
            Some("3")
        );
        assert_eq!(tag(None, &[]), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn md5_tags_are_recognized() {
        for (tag, expected) in [
            ("25f9e794323b453885f5181f1b624d0b", true),
            ("25f9e794323b453885f5181f1b624d0b-12", true),
            ("25f9e794323b453885f5181f1b624d0b-", false),
            ("25f9e794323b453885f5181f1b624d0b-x", false),
            ("25f9e794", false),
            ("", false),
        ] {
            assert_eq!(is_md5(tag), expected, "{tag}");
        }
        assert_eq!(unquoted("\"ab\""), "ab");
    }
}
