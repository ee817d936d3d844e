//! [`Phi`]: a received value that can identify a person.

use std::fmt;

/// A value that can identify a person. `Debug` prints `Phi(..)`, and there is no `Display`. Reading
/// it takes a call of [`expose`](Phi::expose), which a reviewer can search for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks a value as identifying.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. It must not reach a log, an error or a file outside `private/`.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Returns the value by value. As with [`expose`](Phi::expose), it must not leave `private/`.
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
