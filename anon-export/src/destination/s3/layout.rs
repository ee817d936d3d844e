//! The names of objects in a bucket:
//! `<prefix>/<user>/<project>/<patient>/<study>/<series>/<instance>.dcm`.

use crate::{KeyPart, ObjectKey};

/// The part of the names before the patient.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Ends with a slash.
    top: String,
}

impl Layout {
    /// Creates a layout from checked parts. An empty prefix and an absent user are left out.
    pub(super) fn new(prefix: &str, user: Option<&str>, project: &str) -> Self {
        let parts = [
            Some(prefix).filter(|it| !it.is_empty()),
            user,
            Some(project),
        ];
        let mut top = String::new();
        for part in parts.into_iter().flatten() {
            top.push_str(part);
            top.push('/');
        }
        Self { top }
    }

    /// Returns the part of the names before the patient; ends with a slash.
    pub(super) fn top(&self) -> &str {
        &self.top
    }

    pub(super) fn name(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.top)
    }

    /// Returns the prefix of a patient's names. Its final slash excludes patients whose pseudonym
    /// begins with this one.
    pub(super) fn patient(&self, patient: &KeyPart) -> String {
        format!("{}{patient}/", self.top)
    }

    /// Returns the key of a name. `None` if the name does not have this layout.
    pub(super) fn key(&self, name: &str) -> Option<ObjectKey> {
        name.strip_prefix(&self.top)?.parse().ok()
    }
}

/// Decodes names of a listing with `encoding-type=url`: `+` is a space, `%XX` is a byte. `None` if
/// an escape is invalid or the result is not UTF-8.
pub(super) fn url_decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_keys_convert_both_ways() {
        let key: ObjectKey = "S-1/1.2/1.3/1.4.dcm".parse().expect("a key");
        for (prefix, user, name) in [
            ("", None, "P/S-1/1.2/1.3/1.4.dcm"),
            ("a b/ü", None, "a b/ü/P/S-1/1.2/1.3/1.4.dcm"),
            ("a", Some("sub-1"), "a/sub-1/P/S-1/1.2/1.3/1.4.dcm"),
            ("", Some("sub-1"), "sub-1/P/S-1/1.2/1.3/1.4.dcm"),
        ] {
            let layout = Layout::new(prefix, user, "P");
            assert_eq!(layout.name(&key), name);
            assert_eq!(layout.key(name), Some(key.clone()), "{name}");
            assert!(name.starts_with(&layout.patient(key.patient())), "{name}");
            assert_eq!(layout.key("other/S-1/1.2/1.3/1.4.dcm"), None);
            assert_eq!(layout.key(&format!("{}S-1/1.2/1.3/", layout.top())), None);
        }
    }

    #[test]
    fn invalid_escapes_are_refused() {
        for name in ["%", "%2", "a%zz", "%+1", "%ff"] {
            assert_eq!(url_decoded(name), None, "{name}");
        }
        assert_eq!(
            url_decoded("a+b%2Bc%25%C3%BC/d").as_deref(),
            Some("a b+c%ü/d")
        );
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(name in "\\PC{0,40}", spaces_as_plus: bool) {
            let mut encoded = String::new();
            for byte in name.bytes() {
                match byte {
                    b' ' if spaces_as_plus => encoded.push('+'),
                    b'/' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
                    _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
                    _ => encoded.extend(format!("%{byte:02X}").chars()),
                }
            }
            prop_assert_eq!(url_decoded(&encoded), Some(name));
        }
    }
}
