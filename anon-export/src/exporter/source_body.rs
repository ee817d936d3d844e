//! [`SourceBody`]: reads an object for a sink; fails if the object changed since it was listed.

use std::io::{self, Read};

use super::export_run::ExportRun;
use crate::{Error, ExportEvent, SourceObject};

/// The bytes of an object. It reports the end of the data only if the object is unchanged since it
/// was listed. A sink commits nothing before the end, so a changed object is never put.
pub(super) struct SourceBody<'b> {
    run: &'b ExportRun<'b>,
    object: &'b SourceObject,
    reader: Box<dyn Read + Send + 'b>,
    /// Bytes that were read and not yet reported.
    unreported: u64,
    is_checked: bool,
    /// The first error. A sink gets only the kind: a reader's message may identify something.
    error: Option<Error>,
}

/// Progress is reported at least every so many bytes.
const PROGRESS_BYTES: u64 = 1 << 20;

impl<'b> SourceBody<'b> {
    pub(super) fn open(run: &'b ExportRun<'b>, object: &'b SourceObject) -> Result<Self, Error> {
        let reader = run.state.source.open_listed(object)?;
        Ok(Self {
            run,
            object,
            reader,
            unreported: 0,
            is_checked: false,
            error: None,
        })
    }

    /// Takes the error, if reading failed.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Checks that the object is unchanged since it was listed.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        if self.is_checked {
            return Ok(());
        }
        let now = self.run.state.source.state(&self.object.key)?;
        if now != *self.object {
            return Err(Error::Changed);
        }
        self.is_checked = true;
        Ok(())
    }

    fn report_progress(&mut self, min_bytes: u64) {
        if self.unreported >= min_bytes {
            let bytes = std::mem::take(&mut self.unreported);
            self.run.state.emit(&ExportEvent::Progress { bytes });
        }
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.error.get_or_insert(error);
        io::ErrorKind::Other.into()
    }
}

impl Read for SourceBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        if self.run.state.is_over() {
            return Err(self.fail(Error::Cancelled));
        }
        match self.reader.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                self.check().map_err(|error| self.fail(error))?;
                Ok(0)
            }
            Ok(count) => {
                self.unreported += count as u64;
                self.report_progress(PROGRESS_BYTES);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(Error::Read { kind: error.kind() })),
        }
    }
}

impl Drop for SourceBody<'_> {
    fn drop(&mut self) {
        self.report_progress(1);
    }
}
