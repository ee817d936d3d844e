//! [`Status`]: the result of an operation (PS3.7 Annex C).

use std::fmt;

/// The Status (0000,0900) of a response. Displayed as four hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

/// The class of a status (PS3.7 section C.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these five")]
pub enum StatusClass {
    /// The operation succeeded.
    Success,
    /// The operation was performed with deviations.
    Warning,
    /// The operation failed.
    Failure,
    /// The operation was cancelled.
    Cancel,
    /// The operation continues: more responses follow.
    Pending,
}

impl Status {
    /// Success.
    pub const SUCCESS: Self = Self(0x0000);
    /// Processing failure (PS3.7 section C.5).
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// SOP class not supported (PS3.7 section C.5.6).
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// Not authorized (PS3.7 section C.5.24).
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// Unrecognized operation (PS3.7 section C.5.23).
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// Invalid SOP instance UID (PS3.7 section C.5.12).
    pub const INVALID_INSTANCE: Self = Self(0x0117);
    /// Invalid argument value: a missing or wrong argument (PS3.7 section C.5.10).
    pub const INVALID_ARGUMENT: Self = Self(0x0115);
    /// Storage: refused, out of resources (PS3.4 Table B.2-1).
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// Storage: the data set does not match the SOP class (PS3.4 Table B.2-1).
    pub const DATA_SET_DOES_NOT_MATCH: Self = Self(0xA900);
    /// Storage: cannot understand (PS3.4 Table B.2-1 assigns C000 to CFFF).
    pub const CANNOT_UNDERSTAND: Self = Self(0xC210);

    /// C-FIND, C-MOVE, C-GET: pending, more responses follow (PS3.4 Annex C).
    pub const PENDING: Self = Self(0xFF00);
    /// C-FIND, C-MOVE, C-GET: terminated due to a C-CANCEL request (PS3.4 Annex C).
    pub const CANCELLED: Self = Self(0xFE00);

    /// Creates a status from any code.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the code.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Returns the class of the status. A code that the standard does not list is a failure, so
    /// that nothing unfinished counts as done.
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
