//! [`Status`]: how an operation went (PS3.7 Annex C).

use std::fmt;

/// The Status (0000,0900) of a response. Shown as four hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

/// What a status means for the operation (PS3.7 section C.1 and following).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these five")]
pub enum StatusClass {
    /// It is done.
    Success,
    /// It is done, but not quite as asked.
    Warning,
    /// It is not done.
    Failure,
    /// It was cancelled.
    Cancel,
    /// It goes on: more responses follow.
    Pending,
}

impl Status {
    /// Done.
    pub const SUCCESS: Self = Self(0x0000);
    /// Something went wrong while it was done (PS3.7 section C.5).
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// The SOP class is not supported (PS3.7 section C.5.6).
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// The peer may not do this (PS3.7 section C.5.24).
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// The operation is none that the peer knows (PS3.7 section C.5.23).
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// The SOP instance UID breaks the rules for UIDs (PS3.7 section C.5.12).
    pub const INVALID_INSTANCE: Self = Self(0x0117);
    /// An argument of the request is missing or wrong (PS3.7 section C.5.10).
    pub const INVALID_ARGUMENT: Self = Self(0x0115);
    /// Storage: out of resources (PS3.4 Table B.2-1).
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// Storage: the data set and the command disagree (PS3.4 Table B.2-1).
    pub const DATA_SET_DOES_NOT_MATCH: Self = Self(0xA900);
    /// Storage: the data set cannot be understood (PS3.4 Table B.2-1 leaves C000 to CFFF).
    pub const CANNOT_UNDERSTAND: Self = Self(0xC210);

    /// C-FIND, C-MOVE, C-GET: more responses follow (PS3.4 Annex C).
    pub const PENDING: Self = Self(0xFF00);
    /// C-FIND, C-MOVE, C-GET: ended by C-CANCEL (PS3.4 Annex C).
    pub const CANCELLED: Self = Self(0xFE00);

    /// A status as received. Every number is one.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// What it means. A code that the standard does not list is a failure: nothing is taken for done
    /// that may not be.
    ///
    /// # Examples
    /// ```
    /// use anon_net::{Status, StatusClass};
    ///
    /// assert_eq!(Status::new(0xA7FF).class(), StatusClass::Failure);
    /// ```
    pub const fn class(self) -> StatusClass {
        match self.0 {
            0x0000 => StatusClass::Success,
            0xFF00 | 0xFF01 => StatusClass::Pending,
            0xFE00 => StatusClass::Cancel,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => StatusClass::Warning,
            _ => StatusClass::Failure,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}
