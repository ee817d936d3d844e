//! [`Uid`] for SOP classes and transfer syntaxes, [`InstanceUid`] for studies, series and
//! instances.

use std::fmt;
use std::str::FromStr;

use crate::TextError;
use crate::registry;

/// The UID of an abstract syntax, SOP class or transfer syntax.
///
/// A damaged object, or a peer, may name the UID of somebody's instance instead. So `Debug` and
/// `Display` show only UIDs that PS3.6 Annex A lists, and call others an unknown UID.
///
/// 1 to 64 characters: numbers joined by dots (PS3.5 section 9.1). Padding is dropped: NUL, or the
/// space that some peers send. Leading zeros of a component are kept: the standard forbids them,
/// but peers send them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// The longest UID in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks and creates a UID.
    ///
    /// # Errors
    /// [`TextError`] if `text` is not a UID as described above. The error does not contain the
    /// text.
    pub fn new(text: &str) -> Result<Self, TextError> {
        checked(text).map(|uid| Self(uid.to_owned()))
    }

    /// Creates a UID from a constant of the standard's registry (PS3.6 Annex A).
    pub(crate) fn registered(uid: &'static str) -> Self {
        debug_assert!(checked(uid).is_ok(), "the constant is a UID");
        Self(uid.to_owned())
    }

    /// Returns the UID without padding. Put it in a log or an error only if it
    /// [is listed](Self::is_listed).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for the SOP classes and transfer syntaxes that PS3.6 Annex A lists. Their UIDs
    /// identify no person.
    pub fn is_listed(&self) -> bool {
        registry::lists(&self.0)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_listed() {
            &self.0
        } else {
            "an unknown UID"
        })
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

impl FromStr for Uid {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// The UID of a study, series or SOP instance. It can identify a person, so it is never shown. It
/// has the same form as a [`Uid`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceUid(String);

impl InstanceUid {
    /// Checks and creates a UID.
    ///
    /// # Errors
    /// [`TextError`] if `text` is not a UID. The error does not contain the text.
    pub fn new(text: &str) -> Result<Self, TextError> {
        checked(text).map(|uid| Self(uid.to_owned()))
    }

    /// Returns the UID. Do not put it in logs or errors.
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
