//! Checksums of what is sent, as S3 writes them.

use aws_smithy_types::base64;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::config::ChecksumMode;

/// Digests of some bytes.
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

    /// As an ETag, without quotes.
    pub(super) fn e_tag(&self) -> String {
        hex(&self.md5)
    }

    /// As the header of the mode has it.
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

/// Digests of an object in parts.
#[derive(Debug, Default)]
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

    /// The ETag of the whole: the MD5 of the parts' MD5s, and how many.
    pub(super) fn e_tag(&self) -> String {
        let md5: [u8; 16] = self.md5.clone().finalize().into();
        format!("{}-{}", hex(&md5), self.count)
    }

    /// The composite checksum: that of the parts' checksums, and how many.
    pub(super) fn checksum(&self, mode: ChecksumMode) -> Option<String> {
        let all = checksum(&self.checksums, mode)?;
        Some(format!("{}-{}", base64::encode(all), self.count))
    }
}

/// The ETag that bytes would have.
#[derive(Debug)]
pub(super) struct ETagHasher {
    /// None if they are no parts.
    part_bytes: Option<u64>,
    /// Of the bytes since the last whole part.
    md5: Md5,
    since: u64,
    /// Of the digests of whole parts, and how many.
    of_parts: Md5,
    parts: u64,
}

impl ETagHasher {
    /// Of bytes that are put in parts of this length, or whole.
    pub(super) fn new(part_bytes: Option<u64>) -> Self {
        Self {
            part_bytes,
            md5: Md5::new(),
            since: 0,
            of_parts: Md5::new(),
            parts: 0,
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.part_bytes.map_or(u64::MAX, |part| part - self.since);
            let now = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(now);
            self.md5.update(now);
            self.since += now.len() as u64;
            bytes = later;
            if self.part_bytes == Some(self.since) {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        self.of_parts.update(self.md5.finalize_reset());
        self.since = 0;
        self.parts += 1;
    }

    pub(super) fn finish(mut self) -> String {
        if self.part_bytes.is_none() {
            return hex(&self.md5.finalize());
        }
        if self.since > 0 {
            self.end_part();
        }
        format!("{}-{}", hex(&self.of_parts.finalize()), self.parts)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// An ETag without its quotes.
pub(super) fn unquoted(e_tag: &str) -> &str {
    e_tag.trim_matches('"')
}

/// Whether an ETag has the form of an MD5, alone or of parts. Others say nothing of bytes.
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
    fn known_digests() {
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
    fn tags_of_parts_are_of_the_parts_digests() {
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
    fn tags_can_be_told_beforehand() {
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
    fn tags_that_are_no_md5() {
        for (tag, is) in [
            ("25f9e794323b453885f5181f1b624d0b", true),
            ("25f9e794323b453885f5181f1b624d0b-12", true),
            ("25f9e794323b453885f5181f1b624d0b-", false),
            ("25f9e794323b453885f5181f1b624d0b-x", false),
            ("25f9e794", false),
            ("", false),
        ] {
            assert_eq!(is_md5(tag), is, "{tag}");
        }
        assert_eq!(unquoted("\"ab\""), "ab");
    }
}
