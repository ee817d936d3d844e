//! [`ScriptPlayer`]: plays a script, from the view of the peer.

use std::collections::VecDeque;
use std::time::Duration;

use super::log::{Log, ReceivedMessage};
use super::message::{CompleteMessage, MessageAssembler};
use super::step::{Fragment, ScriptStep};
use crate::Error;
use crate::association::Pdv;
use crate::context::ContextId;
use crate::dimse::{Command, Request};
use crate::error::Waiting;

/// The rest of a script, and the state of the conversation.
pub(super) struct ScriptPlayer {
    steps: VecDeque<ScriptStep>,
    played: usize,
    log: Log,
    /// The number of the association.
    association: usize,
    open: bool,
    /// Whether the code under test has waited during a silence.
    waited: bool,
    /// What the peer has sent and the code under test has not received yet.
    outbox: VecDeque<Outgoing>,
    assembler: MessageAssembler,
    last_request: Option<(ContextId, Request)>,
}

/// What a peer sends.
pub(super) enum Outgoing {
    Fragment(Fragment),
    Release,
}

impl ScriptPlayer {
    pub(super) fn new(steps: VecDeque<ScriptStep>, log: Log, association: usize) -> Self {
        log.opened();
        Self {
            steps,
            played: 0,
            log,
            association,
            open: true,
            waited: false,
            outbox: VecDeque::new(),
            assembler: MessageAssembler::default(),
            last_request: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Returns how many steps were played, and how many are left.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.played, self.steps.len())
    }

    /// Receives a fragment.
    pub(super) fn receive(&mut self, pdv: Pdv<'_>, timeout: Duration) -> Result<(), Error> {
        self.end_silence();
        if let Some(error) = self.interrupted(Waiting::Room, timeout) {
            return Err(self.ended(error));
        }
        match self.steps.front() {
            Some(ScriptStep::StopReading) => {
                self.next();
                return Err(self.timed_out(Waiting::Room, timeout));
            }
            Some(step) if step.expects_fragment() => {}
            _ => {
                let problem = format!("it sends {pdv:?} {}", self.describe_next());
                return Err(self.end_with_mismatch(problem));
            }
        }
        let commands_only = matches!(self.steps.front(), Some(ScriptStep::Command));
        let message = match self.assembler.take(pdv, commands_only) {
            Ok(message) => message,
            Err(problem) => return Err(self.end_with_mismatch(problem)),
        };
        let met = self
            .steps
            .front()
            .map(|step| step.is_met(pdv, message.as_ref()));
        match met {
            Some(Some(true)) => drop(self.next()),
            Some(Some(false)) => {
                let what = |message: CompleteMessage| format!("{:?}", message.command);
                let received = message.map_or_else(|| format!("{pdv:?}"), what);
                let problem = format!("it sends {received} {}", self.describe_next());
                return Err(self.end_with_mismatch(problem));
            }
            // The message is not complete yet.
            _ => {}
        }
        self.log_message(message);
        Ok(())
    }

    fn log_message(&mut self, message: Option<CompleteMessage>) {
        let Some(message) = message else { return };
        if let Command::Request(request) = &message.command {
            self.last_request = Some((message.context, request.clone()));
        }
        self.log.received(ReceivedMessage {
            association: self.association,
            context: message.context,
            command: message.command,
            data_set: message.data_set,
            fragments: message.fragments,
        });
    }

    /// Returns what the peer sends next.
    pub(super) fn next_outgoing(&mut self, timeout: Duration) -> Result<Outgoing, Error> {
        let waiting = Waiting::Message;
        self.advance();
        if self.outbox.is_empty()
            && let Some(error) = self.interrupted(waiting, timeout)
        {
            return Err(error);
        }
        if let Some(outgoing) = self.outbox.pop_front() {
            return Ok(outgoing);
        }
        if timeout.is_zero() {
            // A check for a message, not a wait for one.
        } else if matches!(self.steps.front(), Some(ScriptStep::Silence)) {
            // A silence lasts for any number of waits.
            self.waited = true;
        } else {
            self.record_mismatch(format!("it waits {}", self.describe_next()));
        }
        let after = timeout;
        Err(Error::TimedOut { waiting, after })
    }

    /// Receives a release request, or the response to the peer's own.
    pub(super) fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        self.end_silence();
        if let Some(error) = self.interrupted(Waiting::Release, timeout) {
            return Err(self.ended(error));
        }
        match self.steps.front() {
            Some(ScriptStep::ExpectRelease) => {
                self.next();
                self.close();
                Ok(())
            }
            Some(ScriptStep::Silence) => {
                self.next();
                Err(self.timed_out(Waiting::Release, timeout))
            }
            _ => {
                let problem = format!("it releases {}", self.describe_next());
                Err(self.end_with_mismatch(problem))
            }
        }
    }

    /// Records that the association was aborted.
    pub(super) fn abort(&mut self) {
        if !self.open {
            return;
        }
        self.end_silence();
        match self.steps.front() {
            // Abort and Cut: both sides end the association at the same time.
            Some(ScriptStep::ExpectAbort | ScriptStep::Abort(_) | ScriptStep::Cut) => {
                drop(self.next());
            }
            _ => self.record_mismatch(format!("it aborts {}", self.describe_next())),
        }
        self.close();
    }

    /// Converts an error so that it closes the association, also after a timeout.
    fn ended(&mut self, error: Error) -> Error {
        match error {
            Error::TimedOut { waiting, after } => self.timed_out(waiting, after),
            error => error,
        }
    }

    fn next(&mut self) -> Option<ScriptStep> {
        let step = self.steps.pop_front();
        self.played += usize::from(step.is_some());
        step
    }

    fn record_mismatch(&self, problem: impl Into<String>) {
        let step = self.played + 1;
        self.log.mismatched(self.association, step, problem);
    }

    /// Describes the next step.
    fn describe_next(&self) -> String {
        match self.steps.front() {
            Some(step) => format!("where the script has {step}"),
            None => "where the script is over".to_owned(),
        }
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.open, false) {
            if !self.steps.is_empty() {
                self.record_mismatch(format!("the association is over {}", self.describe_next()));
            }
            self.log.closed();
        }
    }

    /// Records a mismatch and closes the association. The code under test finds the connection
    /// lost.
    fn end_with_mismatch(&mut self, problem: impl Into<String>) -> Error {
        self.record_mismatch(problem);
        self.close();
        Error::Lost
    }

    /// Like [`advance`](Self::advance), but first ends a silence in which the code under test has
    /// waited.
    fn end_silence(&mut self) {
        if std::mem::take(&mut self.waited)
            && matches!(self.steps.front(), Some(ScriptStep::Silence))
        {
            self.next();
        }
        self.advance();
    }

    /// Performs the steps that do not depend on the code under test.
    pub(super) fn advance(&mut self) {
        loop {
            match self.steps.front() {
                Some(
                    ScriptStep::Reply(_)
                    | ScriptStep::Send(_)
                    | ScriptStep::Release
                    | ScriptStep::Act(_),
                ) => {}
                _ => return,
            }
            match self.next() {
                Some(ScriptStep::Reply(reply)) => match &self.last_request {
                    Some((context, request)) => {
                        let fragments = reply.fragments(*context, request);
                        self.outbox
                            .extend(fragments.into_iter().map(Outgoing::Fragment));
                    }
                    None => self.record_mismatch("a response step without a request"),
                },
                Some(ScriptStep::Act(act)) => act.0(),
                Some(ScriptStep::Send(fragment)) => {
                    self.outbox.push_back(Outgoing::Fragment(fragment));
                }
                _ => self.outbox.push_back(Outgoing::Release),
            }
        }
    }

    /// Performs an abort, a dropped connection or a gate. `None` if the next step is another one.
    fn interrupted(&mut self, waiting: Waiting, after: Duration) -> Option<Error> {
        loop {
            match self.steps.front()? {
                ScriptStep::Abort(_) | ScriptStep::Cut => {
                    let error = match self.next() {
                        Some(ScriptStep::Abort(by)) => Error::Aborted { by },
                        _ => Error::Lost,
                    };
                    self.close();
                    return Some(error);
                }
                ScriptStep::Wait(gate) => {
                    if !gate.clone().wait(after) {
                        return Some(Error::TimedOut { waiting, after });
                    }
                    self.next();
                    self.advance();
                    if !self.outbox.is_empty() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    /// Closes the association after a timeout. The peer may expect the abort.
    fn timed_out(&mut self, waiting: Waiting, after: Duration) -> Error {
        if matches!(self.steps.front(), Some(ScriptStep::ExpectAbort)) {
            self.next();
        }
        self.close();
        Error::TimedOut { waiting, after }
    }
}
