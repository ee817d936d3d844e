//! MD5 as CTP writes it, and its encryption.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blowfish::Blowfish;
use blowfish::cipher::{Block, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use md5::{Digest as _, Md5};

/// Bytes of a block of Blowfish.
const BLOCK: usize = 8;

/// Characters of a key in Base64, without its two `=`.
const KEY_LENGTH: usize = 22;

/// What a short key is filled up with.
const FILLER: &str = "tszyihnnphlyeaglle";

/// Returns MD5 of a text as a decimal number.
pub(super) fn decimal(text: &str) -> String {
    number(text).to_string()
}

/// Returns MD5 of a text as a number.
pub(super) fn number(text: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(text.as_bytes()).into())
}

/// Encrypts a text with Blowfish, block by block, as CTP does. Everyone who knows the script can decrypt it.
pub(super) fn encrypt(text: &str, key: &str) -> Option<String> {
    let cipher = cipher(key)?;
    let mut bytes = text.as_bytes().to_vec();
    let padding = BLOCK - bytes.len() % BLOCK;
    bytes.resize(bytes.len() + padding, u8::try_from(padding).ok()?);
    for block in bytes.chunks_exact_mut(BLOCK) {
        cipher.encrypt_block(<&mut Block<Blowfish>>::try_from(block).ok()?);
    }
    Some(STANDARD.encode(bytes))
}

/// Decrypts what [`encrypt`] made. `None` if it did not make it with this key.
pub(super) fn decrypt(text: &str, key: &str) -> Option<String> {
    let cipher = cipher(key)?;
    let mut bytes = STANDARD.decode(text).ok()?;
    if bytes.is_empty() || bytes.len() % BLOCK != 0 {
        return None;
    }
    for block in bytes.chunks_exact_mut(BLOCK) {
        cipher.decrypt_block(<&mut Block<Blowfish>>::try_from(block).ok()?);
    }
    let padding = usize::from(*bytes.last()?);
    let length = bytes.len().checked_sub(padding)?;
    let is_padding = |byte: &u8| usize::from(*byte) == padding;
    if !(1..=BLOCK).contains(&padding) || !bytes.get(length..)?.iter().all(is_padding) {
        return None;
    }
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}

fn cipher(key: &str) -> Option<Blowfish> {
    let is_base64 = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/');
    let mut key: String = key.chars().filter(is_base64).collect();
    while key.len() < KEY_LENGTH {
        key.push_str(FILLER);
    }
    key.truncate(KEY_LENGTH);
    key.push_str("==");
    // CTP ignores bits behind the last byte.
    let lenient = base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let lenient = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
    Blowfish::new_from_slice(&lenient.decode(key).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encrypted_as_ctp_does_and_come_back() {
        let table = [
            ("MRN-12345", "my secret key", "zHUnyErF7tK0IZZr4OOUUQ=="),
            ("MRN-12345", "abc", "fejQ9ku6TkMvKbMgOdeBQA=="),
            ("", "abc", "DCot2Rm3LhU="),
        ];
        for (text, key, expected) in table {
            assert_eq!(encrypt(text, key).as_deref(), Some(expected));
            assert_eq!(decrypt(expected, key).as_deref(), Some(text));
        }
        assert_eq!(decrypt("MRN-12345", "abc"), None);
    }
}
