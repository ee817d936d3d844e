//! [`Secret`]: text that is wiped from memory and never printed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Text that is wiped from memory when it is dropped, and never shown.
///
/// The clients below make copies of their own for each request; this one does not outlive its use.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
