//! [`BytesSource`]: objects in memory, from an iterator.

use std::fmt;

use crate::keep::received::Received;

use super::{ObjectSource, SourceItem};

/// A source that returns the objects of an iterator, in its order.
pub struct BytesSource<I> {
    objects: I,
}

impl<I: Iterator<Item = Received> + Send> BytesSource<I> {
    /// Returns a source of these objects.
    ///
    /// ```
    /// use anon_engine::{BytesSource, Received};
    /// let files = vec![vec![0; 132], vec![1; 132]];
    /// let source = BytesSource::new(files.into_iter().map(Received::part10));
    /// # let _ = source;
    /// ```
    pub fn new(objects: impl IntoIterator<IntoIter = I>) -> Self {
        Self {
            objects: objects.into_iter(),
        }
    }
}

impl<I> fmt::Debug for BytesSource<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BytesSource(..)")
    }
}

impl<I: Iterator<Item = Received> + Send> ObjectSource for BytesSource<I> {
    fn next(&mut self) -> Option<SourceItem> {
        self.objects.next().map(SourceItem::Object)
    }
}
