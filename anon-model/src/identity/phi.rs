//! [`Phi`]: a value that came in and can identify a person.

use std::fmt;

/// A value that can identify a person. `Debug` prints `Phi(..)`, there is no `Display`, and every
/// reading is an [`expose`](Phi::expose) that a reviewer can search for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks a value as identifying.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. What it returns must not reach a log, an error or a file outside
    /// `private/`.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, by value. The same caution holds.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Phi<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phi(..)")
    }
}
