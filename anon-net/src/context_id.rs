//! [`ContextId`]: the number of a presentation context (PS3.8 section 9.3.2.2).

use std::fmt;

/// The id of a presentation context: an odd number from 1 to 255 (PS3.8 section 9.3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub(crate) u8);

impl ContextId {
    /// The lowest id.
    pub const FIRST: Self = Self(1);

    /// Creates an id. `None` if the number is even.
    pub const fn new(id: u8) -> Option<Self> {
        if id % 2 == 1 { Some(Self(id)) } else { None }
    }

    /// Returns the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
