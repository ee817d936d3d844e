//! Hostile, broken and odd peers, as a table of cases; std only, so that it runs everywhere.
//!
//! [`run`] plays every [`Case`] against a server at an address. After each, and during those that hold
//! a connection, a good peer's C-ECHO and C-STORE must succeed within [`good::WITHIN`]. Whatever the
//! server, it must survive that; what else a case expects is what PS3.7 and PS3.8 ask for.
//!
//! ```ignore
//! let target = Target::new(address, "ANONYMIZER").of_process(process::id());
//! let report = hostile::run(&target);
//! report.survived()?;
//! hostile::nothing_climbed()?;
//! report.as_expected()?;
//! ```

mod arena;
mod cases;
mod good;
pub(crate) mod impostors;
pub(crate) mod memory;
mod object;
mod peer;
mod wire;

use std::fmt::{self, Display};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::arena::Arena;
pub(crate) use self::cases::all;
use self::peer::{Played, Reaction};
use super::Test;

/// The server under test.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    called: String,
    process: Option<u32>,
    memory: u64,
    artim: Option<Duration>,
    patience: Duration,
    reads: bool,
}

impl Target {
    /// A server that stores CT images, in implicit VR at least.
    pub(crate) fn new(address: SocketAddr, called: &str) -> Self {
        Self {
            address,
            called: called.to_owned(),
            process: None,
            memory: 256 << 20,
            artim: None,
            patience: Duration::from_secs(3),
            reads: true,
        }
    }

    /// Its process: its memory is looked at after each case.
    pub(crate) fn of_process(mut self, process: u32) -> Self {
        self.process = Some(process);
        self
    }

    /// The most resident memory it may ever have, in bytes. 256 MiB unless this says otherwise.
    pub(crate) fn within(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// It ends connections that do not come to an association within this (ARTIM): cases that hold
    /// one wait for the end.
    pub(crate) fn ends_after(mut self, artim: Duration) -> Self {
        self.artim = Some(artim);
        self
    }

    /// How long to wait for a reaction, 3 s unless this says otherwise. Shorter is quicker where what a
    /// server does not answer is no fault.
    pub(crate) fn answers_in(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// It keeps data sets without reading them, so that a wrong one is stored.
    pub(crate) fn keeps_anything(mut self) -> Self {
        self.reads = false;
        self
    }
}

/// A reaction that is right.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Allowed {
    Accept,
    /// A-ASSOCIATE-RJ with result, source and reason.
    Reject(u8, u8, u8),
    AnyReject,
    /// A-ABORT by the service provider, for one of these reasons.
    AbortFor(&'static [u8]),
    AnyAbort,
    Release,
    Close,
    Status(u16),
    /// A status of the failure class (PS3.7 Annex C.5).
    Failure,
    /// As [`Allowed::Failure`]; a server that does not read data sets may also store it.
    Unreadable,
    Ignore,
    /// Nothing is asked of the server but that it lives.
    Anything,
}

impl Allowed {
    fn holds(self, reaction: Reaction, target: &Target) -> bool {
        match (self, reaction) {
            (Self::Anything, reaction) => reaction != Reaction::Unreachable,
            (Self::Accept, Reaction::Accepted)
            | (Self::AnyReject, Reaction::Rejected(..))
            | (Self::AnyAbort, Reaction::Aborted(..))
            | (Self::Release, Reaction::Released)
            | (Self::Close, Reaction::Closed)
            | (Self::Ignore, Reaction::Silent) => true,
            (Self::Reject(result, source, reason), got) => {
                got == Reaction::Rejected(result, source, reason)
            }
            (Self::AbortFor(reasons), Reaction::Aborted(2, reason)) => reasons.contains(&reason),
            (Self::Status(status), Reaction::Answered(got)) => status == got,
            (Self::Failure, Reaction::Answered(status)) => is_failure(status),
            (Self::Unreadable, Reaction::Answered(status)) => !target.reads || is_failure(status),
            _ => false,
        }
    }
}

/// The failure class of PS3.7 Annex C.5 and of PS3.4 Table B.2-1.
fn is_failure(status: u16) -> bool {
    matches!(status, 0x0105..=0x0106 | 0x0110..=0x0115 | 0x0117..=0x0124 | 0x0210..=0x0213)
        || matches!(status >> 12, 0xA | 0xC)
}

/// One way to be a bad peer, or an odd one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) allowed: &'static [Allowed],
    play: fn(&mut Arena<'_>) -> Played,
}

/// What became of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    name: &'static str,
    reaction: Reaction,
    expected: bool,
    /// Whether the good peer was served during the case, if the case asked.
    during: Option<bool>,
    /// Whether the good peer was served after the case.
    after: bool,
    /// The most resident memory that the process had during and after it.
    memory: Option<u64>,
    took: Duration,
}

impl Outcome {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The server reacted as the standard has it.
    pub(crate) fn is_expected(&self) -> bool {
        self.expected
    }

    /// The server says that it has the instance.
    pub(crate) fn is_stored(&self) -> bool {
        self.reaction == Reaction::Answered(0)
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name, self.reaction)?;
        f.write_str(if self.expected {
            ""
        } else {
            ", not as expected"
        })?;
        if self.during == Some(false) {
            f.write_str(", nobody served meanwhile")?;
        }
        f.write_str(if self.after {
            ""
        } else {
            ", nobody served after"
        })?;
        if let Some(memory) = self.memory {
            write!(f, ", {} MiB", memory >> 20)?;
        }
        write!(f, ", {} ms", self.took.as_millis())
    }
}

/// What became of all of them.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    memory: u64,
}

impl Report {
    /// An error that names the cases which the server did not survive, or which grew its memory too
    /// far, or during which it served nobody else.
    pub(crate) fn survived(&self) -> Test {
        let fits = |memory: Option<u64>| memory.is_none_or(|memory| memory <= self.memory);
        self.require(|it| it.after && it.during != Some(false) && fits(it.memory))
    }

    /// An error that names the cases to which the server reacted in another way than the standard
    /// has it.
    pub(crate) fn as_expected(&self) -> Test {
        self.require(|it| it.expected)
    }

    fn require(&self, good: impl Fn(&Outcome) -> bool) -> Test {
        let bad = self.outcomes.iter().filter(|it| !good(it));
        let bad: Vec<String> = bad.map(ToString::to_string).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let (count, of) = (bad.len(), self.outcomes.len());
        Err(format!("{count} of {of} cases:\n  {}", bad.join("\n  ")).into())
    }
}

/// An error if a UID that climbs directories led to a file.
pub(crate) fn nothing_climbed() -> Test {
    let name = object::climbing_name();
    for entry in fs::read_dir("/tmp")? {
        let entry = entry?.file_name();
        if entry.to_string_lossy().starts_with(&name) {
            return Err(format!("/tmp/{} was made", entry.display()).into());
        }
    }
    Ok(())
}

/// Plays all cases, one after another.
pub(crate) fn run(target: &Target) -> Report {
    run_those(target, |_| true)
}

/// Plays the cases whose names are wanted.
pub(crate) fn run_those(target: &Target, wanted: impl Fn(&str) -> bool) -> Report {
    let cases = all().filter(|case| wanted(case.name));
    Report {
        outcomes: cases.map(|case| play(case, target)).collect(),
        memory: target.memory,
    }
}

fn play(case: &Case, target: &Target) -> Outcome {
    if let Some(process) = target.process {
        memory::forget(process);
    }
    let start = Instant::now();
    let mut arena = Arena::new(target);
    let reaction = (case.play)(&mut arena).unwrap_or_else(|early| early);
    let took = start.elapsed();
    let allowed = case.allowed.iter();
    let optional = [Reaction::NotApplicable, Reaction::Held].contains(&reaction);
    Outcome {
        name: case.name,
        reaction,
        expected: optional || allowed.clone().any(|it| it.holds(reaction, target)),
        during: arena.during(),
        after: good::is_served(target),
        memory: target.process.and_then(memory::peak),
        took,
    }
}
