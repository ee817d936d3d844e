//! [`ScriptedAssociation`]: the association that the code under test sees.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::hearing::{Hearing, Whole};
use super::log::{Heard, Log};
use super::step::{Fragment, Step};
use crate::association::{Association, Event, Kind, Pdv, Place};
use crate::context::{ContextId, Negotiated};
use crate::dimse::{Command, Request};
use crate::error::Waiting;
use crate::{AeTitle, Error};

/// What the code under test sees of its peer.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) peer: AeTitle,
    pub(super) contexts: Negotiated,
    pub(super) max_pdu_bytes: u32,
}

/// An association that plays a [`Script`](super::Script).
pub struct ScriptedAssociation {
    seen: Seen,
    steps: VecDeque<Step>,
    played: usize,
    log: Log,
    number: usize,
    open: bool,
    /// What the peer has sent and the code has not received yet.
    outbox: VecDeque<Outgoing>,
    /// What the last event lends.
    current: Fragment,
    hearing: Hearing,
    last_request: Option<(ContextId, Request)>,
}

enum Outgoing {
    Fragment(Fragment),
    Release,
}

impl ScriptedAssociation {
    pub(super) fn new(seen: Seen, steps: VecDeque<Step>, log: Log, number: usize) -> Self {
        log.opened();
        Self {
            seen,
            steps,
            played: 0,
            log,
            number,
            open: true,
            outbox: VecDeque::new(),
            current: Fragment {
                context: ContextId::FIRST,
                kind: Kind::Data,
                place: Place::Last,
                bytes: Vec::new(),
            },
            hearing: Hearing::default(),
            last_request: None,
        }
    }

    fn next(&mut self) -> Option<Step> {
        let step = self.steps.pop_front();
        self.played += usize::from(step.is_some());
        step
    }

    fn departed(&self, problem: impl Into<String>) {
        self.log.departed(self.number, self.played + 1, problem);
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

    /// Does what the peer does without waiting.
    fn advance(&mut self) {
        loop {
            match self.steps.front() {
                Some(Step::Reply(_) | Step::Send(_) | Step::Release) => {}
                _ => return,
            }
            match self.next() {
                Some(Step::Reply(reply)) => match &self.last_request {
                    Some((context, request)) => {
                        let fragments = reply.fragments(*context, request);
                        self.outbox
                            .extend(fragments.into_iter().map(Outgoing::Fragment));
                    }
                    None => self.departed("an answer where no request was heard"),
                },
                Some(Step::Send(fragment)) => self.outbox.push_back(Outgoing::Fragment(fragment)),
                _ => self.outbox.push_back(Outgoing::Release),
            }
        }
    }

    /// Plays what can happen whatever the code under test does. None if the step is another.
    fn interrupted(&mut self, waiting: Waiting, after: Duration) -> Option<Error> {
        loop {
            match self.steps.front()? {
                Step::Abort(_) | Step::Cut => {
                    let error = match self.next() {
                        Some(Step::Abort(by)) => Error::Aborted { by },
                        _ => Error::Lost,
                    };
                    self.close();
                    return Some(error);
                }
                Step::Wait(gate) => {
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
        if matches!(self.steps.front(), Some(Step::AbortHeard)) {
            self.next();
        }
        self.close();
        Error::TimedOut { waiting, after }
    }

    fn hear(&mut self, pdv: Pdv<'_>, timeout: Duration) -> Result<(), Error> {
        if let Some(error) = self.interrupted(Waiting::Room, timeout) {
            return Err(match error {
                Error::TimedOut { waiting, after } => self.given_up(waiting, after),
                error => error,
            });
        }
        match self.steps.front() {
            Some(Step::Deaf) => {
                self.next();
                return Err(self.given_up(Waiting::Room, timeout));
            }
            Some(
                Step::Request(_)
                | Step::Response(_)
                | Step::Cancel
                | Step::Command
                | Step::Fragment(_),
            ) => {}
            _ => {
                let what = format!("it sends {pdv:?} {}", self.due());
                return Err(self.leave(what));
            }
        }
        let commands_only = matches!(self.steps.front(), Some(Step::Command));
        match self.hearing.take(pdv, commands_only) {
            Ok(whole) => self.met(pdv, whole),
            Err(problem) => Err(self.leave(problem)),
        }
    }

    /// A fragment was heard, which may have made a message whole.
    fn met(&mut self, pdv: Pdv<'_>, whole: Option<Whole>) -> Result<(), Error> {
        let fits = match (self.steps.front(), &whole) {
            (Some(Step::Fragment(kind)), _) => *kind == pdv.kind,
            // Not whole yet.
            (_, None) => return self.keep(whole),
            (Some(Step::Command), Some(_)) => true,
            (Some(Step::Request(wanted)), Some(whole)) => {
                matches!(&whole.command, Command::Request(request) if request.operation == *wanted)
            }
            (Some(Step::Response(wanted)), Some(whole)) => {
                matches!(&whole.command, Command::Response(answer) if answer.operation == *wanted)
            }
            (_, Some(whole)) => matches!(whole.command, Command::Cancel { .. }),
        };
        if fits {
            self.next();
            return self.keep(whole);
        }
        let heard = whole.map_or_else(
            || format!("{pdv:?}"),
            |whole| format!("{:?}", whole.command),
        );
        let problem = format!("it sends {heard} {}", self.due());
        Err(self.leave(problem))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends what `met` does")]
    fn keep(&mut self, whole: Option<Whole>) -> Result<(), Error> {
        if let Some(whole) = whole {
            if let Command::Request(request) = &whole.command {
                self.last_request = Some((whole.context, request.clone()));
            }
            self.log.heard(Heard {
                association: self.number,
                context: whole.context,
                command: whole.command,
                data_set: whole.data_set,
                fragments: whole.fragments,
            });
        }
        Ok(())
    }

    fn check(&self, pdvs: &[Pdv<'_>]) -> Result<(), Error> {
        if !self.open {
            return Err(Error::Closed);
        }
        let refused = |pdv: &&Pdv<'_>| self.seen.contexts.get(pdv.context).is_none();
        if let Some(pdv) = pdvs.iter().find(refused) {
            return Err(Error::Context { id: pdv.context });
        }
        let found = pdvs.iter().map(Pdv::pdu_bytes).sum();
        let limit = u64::from(self.seen.max_pdu_bytes);
        if found > limit {
            let what = "bytes of a PDU";
            return Err(Error::Limit { what, limit, found });
        }
        Ok(())
    }
}

impl Association for ScriptedAssociation {
    fn peer(&self) -> &AeTitle {
        &self.seen.peer
    }

    fn contexts(&self) -> &Negotiated {
        &self.seen.contexts
    }

    fn max_pdu_bytes(&self) -> u32 {
        self.seen.max_pdu_bytes
    }

    fn send(&mut self, pdvs: &[Pdv<'_>], timeout: Duration) -> Result<(), Error> {
        self.check(pdvs)?;
        for pdv in pdvs {
            self.advance();
            self.hear(*pdv, timeout)?;
        }
        Ok(())
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        self.current.bytes.clear();
        if !self.open {
            return Err(Error::Closed);
        }
        self.advance();
        if self.outbox.is_empty()
            && let Some(error) = self.interrupted(Waiting::Message, timeout)
        {
            return Err(error);
        }
        match self.outbox.pop_front() {
            Some(Outgoing::Fragment(fragment)) => {
                self.current = fragment;
                return Ok(Event::Pdv(self.current.pdv()));
            }
            Some(Outgoing::Release) => return Ok(Event::Release),
            None => {}
        }
        if matches!(self.steps.front(), Some(Step::Silence)) {
            self.next();
        } else {
            self.departed(format!("it waits {}", self.due()));
        }
        Err(Error::TimedOut {
            waiting: Waiting::Message,
            after: timeout,
        })
    }

    fn fragment(&self) -> &[u8] {
        &self.current.bytes
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        if !self.open {
            return Err(Error::Closed);
        }
        self.advance();
        if let Some(error) = self.interrupted(Waiting::Release, timeout) {
            return Err(match error {
                Error::TimedOut { waiting, after } => self.given_up(waiting, after),
                error => error,
            });
        }
        match self.steps.front() {
            Some(Step::ReleaseHeard) => {
                self.next();
                self.close();
                Ok(())
            }
            Some(Step::Silence) => {
                self.next();
                Err(self.given_up(Waiting::Release, timeout))
            }
            _ => {
                let problem = format!("it releases {}", self.due());
                Err(self.leave(problem))
            }
        }
    }

    fn abort(&mut self) {
        if !self.open {
            return;
        }
        self.advance();
        match self.steps.front() {
            // The latter two: both at once.
            Some(Step::AbortHeard | Step::Abort(_) | Step::Cut) => drop(self.next()),
            _ => self.departed(format!("it aborts {}", self.due())),
        }
        self.close();
    }
}

impl Drop for ScriptedAssociation {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for ScriptedAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedAssociation")
            .field("seen", &self.seen)
            .field("played", &self.played)
            .field("left", &self.steps.len())
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
