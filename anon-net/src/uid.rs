//! [`Uid`] names a kind of thing, [`InstanceUid`] one thing.

use std::fmt;
use std::str::FromStr;

use crate::TextError;

/// The UID of an abstract syntax, SOP class or transfer syntax: a name out of a registry, so it is
/// shown.
///
/// 1 to 64 characters: numbers joined by dots (PS3.5 section 9.1). Padding (NUL, or a space as some
/// peers send) is dropped. Leading zeros in a number, which the standard forbids and peers send, stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// The longest UID in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks a UID.
    ///
    /// # Errors
    /// [`TextError`] if it is none as above. It does not hold the text.
    pub fn new(text: &str) -> Result<Self, TextError> {
        checked(text).map(|uid| Self(uid.to_owned()))
    }

    /// A UID of the standard's registry (PS3.6 Annex A), written as it is there.
    pub(crate) fn registered(uid: &'static str) -> Self {
        debug_assert!(checked(uid).is_ok(), "the registry has UIDs only");
        Self(uid.to_owned())
    }

    /// The UID without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Uid {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// The UID of a SOP instance: it can lead to a person, so it is never shown. Form as [`Uid`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceUid(String);

impl InstanceUid {
    /// Checks a UID.
    ///
    /// # Errors
    /// [`TextError`] if it is none. It does not hold the text.
    pub fn new(text: &str) -> Result<Self, TextError> {
        checked(text).map(|uid| Self(uid.to_owned()))
    }

    /// The UID itself. Not for logs or errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceUid {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl fmt::Debug for InstanceUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceUid({} bytes)", self.0.len())
    }
}

fn checked(text: &str) -> Result<&str, TextError> {
    let uid = text.trim_end_matches(['\0', ' ']);
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let problem = if uid.is_empty() {
        "it is empty"
    } else if uid.len() > Uid::MAX_LEN {
        "it is longer than 64 characters"
    } else if !uid.split('.').all(number) {
        "it is not numbers joined by dots"
    } else {
        return Ok(uid);
    };
    Err(TextError::new("UID", text, problem))
}
