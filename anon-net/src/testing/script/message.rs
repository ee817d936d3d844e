//! [`MessageAssembler`]: assembles the messages sent to a scripted peer.

use crate::association::{Pdv, PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::dimse::Command;

/// The message that is being received.
#[derive(Debug, Default)]
pub(super) struct MessageAssembler {
    bytes: Vec<u8>,
    command: Option<Command>,
    data_set: Vec<u8>,
    fragments: Vec<usize>,
}

/// A message that was received completely.
pub(super) struct CompleteMessage {
    pub(super) context: ContextId,
    pub(super) command: Command,
    pub(super) data_set: Vec<u8>,
    pub(super) fragments: Vec<usize>,
}

impl MessageAssembler {
    /// Adds a fragment. Returns the message if the fragment completes it. With `commands_only` a
    /// message ends with its command set.
    pub(super) fn take(
        &mut self,
        pdv: Pdv<'_>,
        commands_only: bool,
    ) -> Result<Option<CompleteMessage>, String> {
        match pdv.kind {
            PdvKind::Command => self.take_command(pdv, commands_only),
            PdvKind::Data => Ok(self.take_data(pdv)),
        }
    }

    fn take_command(
        &mut self,
        pdv: Pdv<'_>,
        commands_only: bool,
    ) -> Result<Option<CompleteMessage>, String> {
        if self.command.is_some() {
            return Err(format!("it sends {pdv:?} inside a data set"));
        }
        self.bytes.extend_from_slice(pdv.bytes);
        if pdv.position == PdvPosition::More {
            return Ok(None);
        }
        let command = Command::decode(&std::mem::take(&mut self.bytes));
        let command =
            command.map_err(|error| format!("it sends a malformed command set: {error}"))?;
        if command.has_data_set() && !commands_only {
            self.command = Some(command);
            return Ok(None);
        }
        Ok(Some(CompleteMessage {
            context: pdv.context,
            command,
            data_set: Vec::new(),
            fragments: Vec::new(),
        }))
    }

    /// Ignores a data set whose command set was not received, or was taken as a message of its own.
    fn take_data(&mut self, pdv: Pdv<'_>) -> Option<CompleteMessage> {
        if self.command.is_some() {
            self.data_set.extend_from_slice(pdv.bytes);
            self.fragments.push(pdv.bytes.len());
        }
        if pdv.position == PdvPosition::More {
            return None;
        }
        Some(CompleteMessage {
            context: pdv.context,
            command: self.command.take()?,
            data_set: std::mem::take(&mut self.data_set),
            fragments: std::mem::take(&mut self.fragments),
        })
    }
}
