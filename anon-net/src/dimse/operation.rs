//! [`Operation`]: the DIMSE-C services (PS3.7 section 9.1).

use std::fmt;

/// The id of a message on its association (PS3.7 section 9.1).
pub type MessageId = u16;

/// A DIMSE-C operation (PS3.7 section 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the composite services of the standard are these five"
)]
pub enum Operation {
    /// C-STORE.
    Store,
    /// C-GET.
    Get,
    /// C-FIND.
    Find,
    /// C-MOVE.
    Move,
    /// C-ECHO.
    Echo,
}

impl Operation {
    /// Returns the command field of a request (PS3.7 Table E.1-1).
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Store => 0x0001,
            Self::Get => 0x0010,
            Self::Find => 0x0020,
            Self::Move => 0x0021,
            Self::Echo => 0x0030,
        }
    }

    pub(super) const fn of(code: u16) -> Option<Self> {
        match code {
            0x0001 => Some(Self::Store),
            0x0010 => Some(Self::Get),
            0x0020 => Some(Self::Find),
            0x0021 => Some(Self::Move),
            0x0030 => Some(Self::Echo),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "C-STORE",
            Self::Get => "C-GET",
            Self::Find => "C-FIND",
            Self::Move => "C-MOVE",
            Self::Echo => "C-ECHO",
        })
    }
}
