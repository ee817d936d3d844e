//! [`ScriptPlayer`]: a script that is being played, seen from the peer's side.

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

/// What is left of a script, and what was heard.
pub(super) struct ScriptPlayer {
    steps: VecDeque<ScriptStep>,
    played: usize,
    log: Log,
    /// Its number among those of its peer.
    association: usize,
    open: bool,
    /// True once something was waited for in a silence.
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

    /// How many steps were played, and how many are left.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.played, self.steps.len())
    }

    /// Hears a fragment.
    pub(super) fn hear(&mut self, pdv: Pdv<'_>, timeout: Duration) -> Result<(), Error> {
        self.end_silence();
        if let Some(error) = self.interrupted(Waiting::Room, timeout) {
            return Err(self.ended(error));
        }
        match self.steps.front() {
            Some(ScriptStep::Deaf) => {
                self.next();
                return Err(self.given_up(Waiting::Room, timeout));
            }
            Some(step) if step.hears() => {}
            _ => {
                let problem = format!("it sends {pdv:?} {}", self.due());
                return Err(self.leave(problem));
            }
        }
        let commands_only = matches!(self.steps.front(), Some(ScriptStep::Command));
        let message = match self.assembler.take(pdv, commands_only) {
            Ok(message) => message,
            Err(problem) => return Err(self.leave(problem)),
        };
        let met = self
            .steps
            .front()
            .map(|step| step.met(pdv, message.as_ref()));
        match met {
            Some(Some(true)) => drop(self.next()),
            Some(Some(false)) => {
                let what = |message: CompleteMessage| format!("{:?}", message.command);
                let heard = message.map_or_else(|| format!("{pdv:?}"), what);
                let problem = format!("it sends {heard} {}", self.due());
                return Err(self.leave(problem));
            }
            // Its message is not whole yet.
            _ => {}
        }
        self.keep(message);
        Ok(())
    }

    fn keep(&mut self, message: Option<CompleteMessage>) {
        let Some(message) = message else { return };
        if let Command::Request(request) = &message.command {
            self.last_request = Some((message.context, request.clone()));
        }
        self.log.heard(ReceivedMessage {
            association: self.association,
            context: message.context,
            command: message.command,
            data_set: message.data_set,
            fragments: message.fragments,
        });
    }

    /// Says what comes next.
    pub(super) fn say(&mut self, timeout: Duration) -> Result<Outgoing, Error> {
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
            // A look whether anything came, not a wait for it.
        } else if matches!(self.steps.front(), Some(ScriptStep::Silence)) {
            // It lasts for as long as it is waited for, in however many calls.
            self.waited = true;
        } else {
            self.departed(format!("it waits {}", self.due()));
        }
        let after = timeout;
        Err(Error::TimedOut { waiting, after })
    }

    /// Hears the wish to end the association, or the answer to its own.
    pub(super) fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        self.end_silence();
        if let Some(error) = self.interrupted(Waiting::Release, timeout) {
            return Err(self.ended(error));
        }
        match self.steps.front() {
            Some(ScriptStep::ReleaseHeard) => {
                self.next();
                self.close();
                Ok(())
            }
            Some(ScriptStep::Silence) => {
                self.next();
                Err(self.given_up(Waiting::Release, timeout))
            }
            _ => {
                let problem = format!("it releases {}", self.due());
                Err(self.leave(problem))
            }
        }
    }

    /// Finds the association aborted.
    pub(super) fn abort(&mut self) {
        if !self.open {
            return;
        }
        self.end_silence();
        match self.steps.front() {
            // The latter two: both at once.
            Some(ScriptStep::AbortHeard | ScriptStep::Abort(_) | ScriptStep::Cut) => {
                drop(self.next());
            }
            _ => self.departed(format!("it aborts {}", self.due())),
        }
        self.close();
    }

    /// An error that closes the association, also if it is a wait in vain.
    fn ended(&mut self, error: Error) -> Error {
        match error {
            Error::TimedOut { waiting, after } => self.given_up(waiting, after),
            error => error,
        }
    }

    fn next(&mut self) -> Option<ScriptStep> {
        let step = self.steps.pop_front();
        self.played += usize::from(step.is_some());
        step
    }

    fn departed(&self, problem: impl Into<String>) {
        let step = self.played + 1;
        self.log.departed(self.association, step, problem);
    }

    /// What the peer does next, in words.
    fn due(&self) -> String {
        match self.steps.front() {
            Some(step) => format!("where the script has {step}"),
            None => "where the script is over".to_owned(),
        }
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.open, false) {
            if !self.steps.is_empty() {
                self.departed(format!("the association is over {}", self.due()));
            }
            self.log.closed();
        }
    }

    /// Closes it on a departure; the code under test finds the connection lost.
    fn leave(&mut self, problem: impl Into<String>) -> Error {
        self.departed(problem);
        self.close();
        Error::Lost
    }

    /// As [`advance`](Self::advance). A silence that was waited in is over: something else is done.
    fn end_silence(&mut self) {
        if std::mem::take(&mut self.waited)
            && matches!(self.steps.front(), Some(ScriptStep::Silence))
        {
            self.next();
        }
        self.advance();
    }

    /// Does what the peer does without waiting.
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
                    None => self.departed("an answer where no request was heard"),
                },
                Some(ScriptStep::Act(act)) => act.0(),
                Some(ScriptStep::Send(fragment)) => {
                    self.outbox.push_back(Outgoing::Fragment(fragment));
                }
                _ => self.outbox.push_back(Outgoing::Release),
            }
        }
    }

    /// Plays what can happen whatever the code under test does. None if the step is another.
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

    /// A wait in vain that closes the association; the peer may find it aborted.
    fn given_up(&mut self, waiting: Waiting, after: Duration) -> Error {
        if matches!(self.steps.front(), Some(ScriptStep::AbortHeard)) {
            self.next();
        }
        self.close();
        Error::TimedOut { waiting, after }
    }
}
