//! [`Source`]: where the bytes of one object are.

use std::fs::File;
use std::path::Path;

use anon_script::ctp::Moment;

/// The format of a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "PS3.10 has files, PS3.7 has data sets"
)]
pub enum SourceFormat<'t> {
    /// A DICOM file (PS3.10 section 7). The preamble and the file meta information may be missing.
    Part10,
    /// A data set without file meta information, as C-STORE transfers it (PS3.7 section 9.1.1).
    DataSet {
        /// The UID of its transfer syntax.
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
    /// The most memory for the plan, if the policy allows more.
    pub(crate) max_plan_bytes: u64,
    /// When the object is processed.
    pub(crate) moment: Option<Moment>,
}

impl<'a> Source<'a> {
    /// A DICOM file in memory (PS3.10 section 7).
    pub fn part10(bytes: &'a [u8]) -> Self {
        Self {
            data: SourceBytes::Memory(bytes),
            format: SourceFormat::Part10,
            scratch: None,
            max_plan_bytes: u64::MAX,
            moment: None,
        }
    }

    /// A data set in memory, in this transfer syntax.
    pub fn data_set(bytes: &'a [u8], transfer_syntax: &'a str) -> Self {
        Self::part10(bytes).as_data_set(transfer_syntax)
    }

    /// A DICOM file on disk (PS3.10 section 7), `len` bytes long. Bulk values are never loaded into
    /// memory.
    ///
    /// The file must not change until the plan has been applied: kept ranges are read again then.
    pub fn file(file: &'a File, len: u64) -> Self {
        Self {
            data: SourceBytes::File { file, len },
            format: SourceFormat::Part10,
            scratch: None,
            max_plan_bytes: u64::MAX,
            moment: None,
        }
    }

    /// Reads the bytes as a data set in this transfer syntax, not as a file.
    #[must_use]
    pub fn as_data_set(mut self, transfer_syntax: &'a str) -> Self {
        self.format = SourceFormat::DataSet { transfer_syntax };
        self
    }

    /// Sets when the object is processed, in UTC. Scripts of CTP may write it: `@date()`, `@time()`.
    #[must_use]
    pub fn processed_at(mut self, moment: Moment) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Lowers the limit of memory for the plan.
    #[must_use]
    pub(crate) fn with_max_plan_bytes(mut self, bytes: u64) -> Self {
        self.max_plan_bytes = bytes;
        self
    }

    /// Sets the directory in which a large deflated object is inflated.
    ///
    /// Only their owner can open the files made there. They are removed with the plan.
    #[must_use]
    pub fn with_scratch(mut self, dir: &'a Path) -> Self {
        self.scratch = Some(dir);
        self
    }
}

impl std::fmt::Debug for Source<'_> {
    /// Shows kind and length only: the bytes identify a patient.
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
