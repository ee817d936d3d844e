//! [`ObjectKey`]: where an object stands.

use std::fmt;
use std::str::FromStr;

use crate::KeyError;

/// One part of an [`ObjectKey`]: a pseudonym that is a file name everywhere.
///
/// 1 to 64 characters of `A-Z a-z 0-9 _ - .` and spaces; neither the first nor the last is a dot or
/// a space. So it is never `.` or `..`, needs no escaping in a path or a URL but for its spaces, and
/// holds the longest UID (64 characters, PS3.5 section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPart(String);

impl KeyPart {
    /// The longest part in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks a pseudonym.
    ///
    /// # Errors
    /// [`KeyError`] if it could not be a file name as above.
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

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn problem(text: &[u8]) -> Option<&'static str> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-. ".contains(b);
    let edge = |b: &u8| matches!(b, b'.' | b' ');
    match (text.first(), text.last()) {
        (None, _) | (_, None) => Some("it is empty"),
        _ if text.len() > KeyPart::MAX_LEN => Some("it is longer than 64 bytes"),
        _ if !text.iter().all(plain) => {
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

/// Where an object stands: the pseudonyms of patient, study, series and instance.
///
/// Shown as `patient/study/series/instance.dcm`, the layout of a project's `public/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    parts: [KeyPart; 4],
}

impl ObjectKey {
    /// A key of the pseudonyms of patient, study, series and instance, in this order.
    ///
    /// # Errors
    /// [`KeyError`] if one of them is no [`KeyPart`].
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

    /// A key of parts that are checked already.
    pub fn of(parts: [KeyPart; 4]) -> Self {
        Self { parts }
    }

    /// The parts: patient, study, series, instance.
    pub fn parts(&self) -> &[KeyPart; 4] {
        &self.parts
    }

    /// The patient's pseudonym.
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

    /// Reads what `Display` writes.
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
