//! [`SourceBody`]: an object on its way to a sink, which is not let go of if it changes meanwhile.

use std::io::{self, Read};

use super::export_run::ExportRun;
use crate::{Error, ExportEvent, SourceObject};

/// The bytes of an object. Its end is told only if the object still is what was listed: a sink commits
/// nothing before the end, so nothing half-changed is put.
pub(super) struct SourceBody<'b> {
    shared: &'b ExportRun<'b>,
    object: &'b SourceObject,
    from: Box<dyn Read + Send + 'b>,
    /// Bytes read and not told yet.
    untold: u64,
    is_checked: bool,
    /// Why it failed. What a reader says of itself is not repeated to a sink.
    failure: Option<Error>,
}

/// Progress is told in steps of so many bytes.
const STEP: u64 = 1 << 20;

impl<'b> SourceBody<'b> {
    pub(super) fn open(shared: &'b ExportRun<'b>, object: &'b SourceObject) -> Result<Self, Error> {
        let from = shared.state.source.open(&object.key)?;
        Ok(Self {
            shared,
            object,
            from,
            untold: 0,
            is_checked: false,
            failure: None,
        })
    }

    /// Why it failed, if it did.
    pub(super) fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Sees to it that the object is what was listed.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        if self.is_checked {
            return Ok(());
        }
        let now = self.shared.state.source.state(&self.object.key)?;
        if now != *self.object {
            return Err(Error::Changed);
        }
        self.is_checked = true;
        Ok(())
    }

    fn tell(&mut self, least: u64) {
        if self.untold >= least {
            let bytes = std::mem::take(&mut self.untold);
            self.shared.state.tell(&ExportEvent::Progress { bytes });
        }
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.failure.get_or_insert(error);
        io::ErrorKind::Other.into()
    }
}

impl Read for SourceBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        if self.shared.state.is_over() {
            return Err(self.fail(Error::Cancelled));
        }
        match self.from.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                self.check().map_err(|error| self.fail(error))?;
                Ok(0)
            }
            Ok(count) => {
                self.untold += count as u64;
                self.tell(STEP);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(Error::Read { kind: error.kind() })),
        }
    }
}

impl Drop for SourceBody<'_> {
    fn drop(&mut self) {
        self.tell(1);
    }
}
