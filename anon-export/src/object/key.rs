//! [`ObjectKey`]: the name of an object.

use std::fmt;
use std::str::FromStr;

use crate::KeyError;

/// One part of an [`ObjectKey`]: a pseudonym that is a valid file name on every system.
///
/// It has 1 to 64 characters of `A-Z a-z 0-9 _ - .` and spaces; the first and the last are neither
/// a dot nor a space. So it is never `.` or `..`, and in a path or URL only its spaces need
/// escaping. The longest UID fits (64 characters, PS3.5 section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPart(String);

impl KeyPart {
    /// The greatest length of a part in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks and wraps a pseudonym.
    ///
    /// # Errors
    /// [`KeyError`] if it does not have the form above.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        match problem(text.as_bytes()) {
            None => Ok(Self(text)),
            Some(problem) => Err(KeyError {
                len: text.len(),
                problem,
            }),
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn problem(text: &[u8]) -> Option<&'static str> {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"_-. ".contains(b);
    let edge = |b: &u8| matches!(b, b'.' | b' ');
    match (text.first(), text.last()) {
        (None, _) | (_, None) => Some("it is empty"),
        _ if text.len() > KeyPart::MAX_LEN => Some("it is longer than 64 bytes"),
        _ if !text.iter().all(allowed) => {
            Some("it has a character outside A-Z a-z 0-9 _ - . and space")
        }
        (Some(first), Some(last)) if edge(first) || edge(last) => {
            Some("it begins or ends with a dot or a space")
        }
        _ => None,
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyPart {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// The name of an object: the pseudonyms of its patient, study, series and instance.
///
/// Displayed as `patient/study/series/instance.dcm`, the layout of a project's `public/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    parts: [KeyPart; 4],
}

impl ObjectKey {
    /// Creates a key from the pseudonyms of patient, study, series and instance, in this order.
    ///
    /// # Errors
    /// [`KeyError`] if one of them is not a valid [`KeyPart`].
    ///
    /// # Examples
    /// ```
    /// use anon_export::ObjectKey;
    ///
    /// assert!(ObjectKey::new(["S-1", "1.2", "1.3", "1.4"]).is_ok());
    /// assert!(ObjectKey::new(["S-1", "..", "1.3", "1.4"]).is_err());
    /// ```
    pub fn new(parts: [&str; 4]) -> Result<Self, KeyError> {
        let [patient, study, series, instance] = parts;
        Ok(Self {
            parts: [
                KeyPart::new(patient)?,
                KeyPart::new(study)?,
                KeyPart::new(series)?,
                KeyPart::new(instance)?,
            ],
        })
    }

    /// Creates a key from checked parts.
    pub fn of(parts: [KeyPart; 4]) -> Self {
        Self { parts }
    }

    /// Returns the parts: patient, study, series, instance.
    pub fn parts(&self) -> &[KeyPart; 4] {
        &self.parts
    }

    /// Returns the patient's pseudonym.
    pub fn patient(&self) -> &KeyPart {
        let [patient, ..] = &self.parts;
        patient
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [patient, study, series, instance] = &self.parts;
        write!(f, "{patient}/{study}/{series}/{instance}.dcm")
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;

    /// Parses what `Display` writes.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let refuse = |problem| KeyError {
            len: text.len(),
            problem,
        };
        let path = text
            .strip_suffix(".dcm")
            .ok_or_else(|| refuse("it does not end with .dcm"))?;
        let mut parts = path.split('/');
        let mut next = || {
            parts
                .next()
                .ok_or_else(|| refuse("it has fewer than four parts"))
        };
        let key = Self::new([next()?, next()?, next()?, next()?])?;
        match parts.next() {
            None => Ok(key),
            Some(_) => Err(refuse("it has more than four parts")),
        }
    }
}
