//! [`Assignment`]: the pseudonyms of an object that is not committed yet.

use anon_model::{Pseudonyms, Wanted};

/// The pseudonyms assigned to an object. Dropping this gives them up, unless [`keep`](Self::keep) is
/// called.
pub(crate) struct Assignment<'a> {
    lookups: &'a dyn Pseudonyms,
    wanted: Option<&'a Wanted>,
}

impl<'a> Assignment<'a> {
    pub(crate) fn new(lookups: &'a dyn Pseudonyms, wanted: &'a Wanted) -> Self {
        Self {
            lookups,
            wanted: Some(wanted),
        }
    }

    pub(crate) fn keep(mut self) {
        self.wanted = None;
    }
}

impl Drop for Assignment<'_> {
    fn drop(&mut self) {
        if let Some(wanted) = self.wanted {
            self.lookups.abandon(wanted);
        }
    }
}
