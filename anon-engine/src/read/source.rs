//! [`Source`]: where the bytes of one object are.

use std::fs::File;
use std::path::Path;

/// The format of the bytes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two forms of PS3.10 and PS3.7")]
pub enum SourceFormat<'t> {
    /// A file of PS3.10. A missing preamble or file meta is detected.
    Part10,
    /// A data set alone, as C-STORE brings it.
    DataSet {
        /// UID of the transfer syntax.
        transfer_syntax: &'t str,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum SourceBytes<'a> {
    Memory(&'a [u8]),
    File { file: &'a File, len: u64 },
}

/// The bytes of one object, in memory or in a file.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub(crate) data: SourceBytes<'a>,
    pub(crate) format: SourceFormat<'a>,
    pub(crate) scratch: Option<&'a Path>,
}

impl<'a> Source<'a> {
    /// A file of PS3.10 in memory.
    pub fn part10(bytes: &'a [u8]) -> Self {
        Self {
            data: SourceBytes::Memory(bytes),
            format: SourceFormat::Part10,
            scratch: None,
        }
    }

    /// A data set in memory, in this transfer syntax.
    pub fn data_set(bytes: &'a [u8], transfer_syntax: &'a str) -> Self {
        Self::part10(bytes).as_data_set(transfer_syntax)
    }

    /// A file of PS3.10 of `len` bytes on disk. Only windows of headers are read; bulk values are
    /// never loaded.
    ///
    /// The file must not change while it is planned and applied: what is kept is read again then.
    pub fn file(file: &'a File, len: u64) -> Self {
        Self {
            data: SourceBytes::File { file, len },
            format: SourceFormat::Part10,
            scratch: None,
        }
    }

    /// Reads the bytes as a data set in this transfer syntax.
    #[must_use]
    pub fn as_data_set(mut self, transfer_syntax: &'a str) -> Self {
        self.format = SourceFormat::DataSet { transfer_syntax };
        self
    }

    /// The same, with a directory in which a large deflated object is inflated.
    ///
    /// The files made there are open to their owner only, and go when the plan goes.
    #[must_use]
    pub fn with_scratch(mut self, dir: &'a Path) -> Self {
        self.scratch = Some(dir);
        self
    }
}

impl std::fmt::Debug for Source<'_> {
    /// Tells kind and length only: the bytes identify a patient.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, len) = match self.data {
            SourceBytes::Memory(bytes) => ("bytes", bytes.len() as u64),
            SourceBytes::File { len, .. } => ("file", len),
        };
        f.debug_struct("Source")
            .field("kind", &kind)
            .field("len", &len)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
