//! [`Uid`], [`UidRoot`] and [`SiteId`]. Their form is checked once, when they are made.

use std::fmt;

/// Longest UID in characters (PS3.5 section 9.1).
pub const MAX_UID: usize = 64;

/// Longest UID root in characters. It leaves room for a site id and a counter.
pub const MAX_ROOT: usize = 44;

/// Longest site id in characters.
pub const MAX_SITE: usize = 16;

/// The most digits of a counter. Numbers stay below 10^15.
pub const COUNTER_DIGITS: u32 = 15;

/// Why a text is not a UID, a UID root or a site id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UidError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text has too many characters.
    #[error("has {length} characters, at most {limit} are allowed")]
    TooLong {
        /// Its length in characters.
        length: usize,
        /// The longest length that is allowed.
        limit: usize,
    },
    /// A component has no digits: two dots in a row, or a dot at an end.
    #[error("has an empty component: two dots in a row, or a dot at an end")]
    EmptyComponent,
    /// A component of several digits begins with a zero.
    #[error("has a component with a leading zero")]
    LeadingZero,
    /// The text has other characters than digits and dots.
    #[error("may hold only digits and dots")]
    Character,
    /// The first component of a root is not 0, 1 or 2 (PS3.5 Annex B).
    #[error("must begin with 0, 1 or 2")]
    FirstArc,
}

/// Checks the form of PS3.5 section 9.1: components of digits without leading zeros, joined by
/// dots.
fn check_components(text: &str, limit: usize) -> Result<(), UidError> {
    if text.is_empty() {
        return Err(UidError::Empty);
    }
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(UidError::Character);
    }
    if text.len() > limit {
        return Err(UidError::TooLong {
            length: text.len(),
            limit,
        });
    }
    for component in text.split('.') {
        if component.is_empty() {
            return Err(UidError::EmptyComponent);
        }
        if component.len() > 1 && component.starts_with('0') {
            return Err(UidError::LeadingZero);
        }
    }
    Ok(())
}

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = UidError;

            fn from_str(text: &str) -> Result<Self, UidError> {
                Self::new(text)
            }
        }
    };
}

/// A UID: components of digits without leading zeros, joined by dots, at most 64 characters (PS3.5
/// section 9.1). It is for UIDs that identify nobody, such as those of SOP classes. The UIDs of
/// received objects are [`Phi`](crate::Phi).
///
/// # Examples
/// ```
/// use anon_model::{Uid, UidError};
///
/// assert_eq!(Uid::new("1.2.840.10008.1.1")?.as_str(), "1.2.840.10008.1.1");
/// assert_eq!(Uid::new("1.02.3"), Err(UidError::LeadingZero));
/// # Ok::<(), UidError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// Makes a UID of a text.
    ///
    /// # Errors
    /// [`UidError`] if the text is not a UID by PS3.5 section 9.1.
    pub fn new(text: impl Into<String>) -> Result<Self, UidError> {
        let text = text.into();
        check_components(&text, MAX_UID)?;
        Ok(Self(text))
    }
}

text_type!(Uid);

/// The prefix of every UID that a project makes, at most [`MAX_ROOT`] characters. A user who sets
/// one must own it: PS3.5 section 9 and Annex B say how roots are registered.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UidRoot(String);

impl UidRoot {
    /// V17's root, which Medical Connections registered for RSNA.
    pub const DEFAULT: &'static str = "1.2.826.0.1.3680043.10.474.2";

    /// Makes a root of a text.
    ///
    /// # Errors
    /// [`UidError`] if UIDs under it could break PS3.5 section 9.1.
    pub fn new(text: impl Into<String>) -> Result<Self, UidError> {
        let text = text.into();
        check_components(&text, MAX_ROOT)?;
        if !matches!(text.split('.').next(), Some("0" | "1" | "2")) {
            return Err(UidError::FirstArc);
        }
        Ok(Self(text))
    }

    /// Checks that UIDs of a site under this root leave room for a counter of
    /// [`COUNTER_DIGITS`] digits.
    ///
    /// # Errors
    /// [`UidError::TooLong`] if root and site together are too long.
    pub fn check_site(&self, site: &SiteId) -> Result<(), UidError> {
        let length = self.0.len() + 1 + site.0.len();
        // One dot more stands before the counter.
        let limit = MAX_UID - COUNTER_DIGITS as usize - 1;
        if length > limit {
            return Err(UidError::TooLong { length, limit });
        }
        Ok(())
    }
}

text_type!(UidRoot);

impl Default for UidRoot {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

/// A part of every pseudonym that makes projects with the same root differ: one or more UID
/// components, at most [`MAX_SITE`] characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SiteId(String);

impl SiteId {
    /// Makes a site id of a text.
    ///
    /// # Errors
    /// [`UidError`] if it cannot be a part of a UID.
    pub fn new(text: impl Into<String>) -> Result<Self, UidError> {
        let text = text.into();
        check_components(&text, MAX_SITE)?;
        Ok(Self(text))
    }

    /// Returns nine random digits, the first not zero, for a new project. V17 derives the id from
    /// the clock, so two projects of the same half hour get the same one.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn random() -> Result<Self, RandomError> {
        // 2^32 is not a multiple of 900,000,000: without rejection, some ids would be more likely.
        const SPAN: u32 = 900_000_000;
        loop {
            let mut bytes = [0_u8; 4];
            getrandom::fill(&mut bytes).map_err(|_| RandomError)?;
            let number = u32::from_le_bytes(bytes);
            if number < SPAN * (u32::MAX / SPAN) {
                return Ok(Self((100_000_000 + number % SPAN).to_string()));
            }
        }
    }
}

text_type!(SiteId);

/// The operating system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct RandomError;
