//! Hostile, broken and unusual peers, as a table of cases. Uses only std, so that it runs
//! everywhere.
//!
//! [`run`] plays every [`HostileCase`] against a server. After each case, and during those that
//! keep a connection open, a well-behaved peer's C-ECHO and C-STORE must succeed within
//! [`well_behaved::WITHIN`]. Every server must survive all cases. The further expectations of a
//! case come from PS3.7 and PS3.8.
//!
//! ```ignore
//! let target = Target::new(address, "ANONYMIZER").of_process(process::id());
//! let report = hostile::run(&target);
//! report.survived()?;
//! hostile::no_path_traversal()?;
//! report.as_expected()?;
//! ```

mod case_runner;
mod cases;
pub(crate) mod hostile_servers;
pub(crate) mod memory;
mod object;
mod peer;
mod well_behaved;
mod wire;

use std::fmt::{self, Display};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::case_runner::CaseRunner;
pub(crate) use self::cases::all;
use self::peer::{CaseResult, Reaction};
use super::Test;

/// The server under test.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    called: String,
    process: Option<u32>,
    memory: u64,
    artim: Option<Duration>,
    timeout: Duration,
    parses: bool,
}

impl Target {
    /// Creates a target: a server that stores CT images, at least in implicit VR.
    pub(crate) fn new(address: SocketAddr, called: &str) -> Self {
        Self {
            address,
            called: called.to_owned(),
            process: None,
            memory: 256 << 20,
            artim: None,
            timeout: Duration::from_secs(3),
            parses: true,
        }
    }

    /// Sets the process whose memory is checked after each case.
    pub(crate) fn of_process(mut self, process: u32) -> Self {
        self.process = Some(process);
        self
    }

    /// Sets the limit of its resident memory in bytes. Default: 256 MiB.
    pub(crate) fn within(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Declares its ARTIM timeout. Cases that keep a connection without an association wait for its
    /// end.
    pub(crate) fn ends_after(mut self, artim: Duration) -> Self {
        self.artim = Some(artim);
        self
    }

    /// Sets how long to wait for a reaction. Default: 3 s. A shorter time is faster if missing
    /// reactions are not a failure.
    pub(crate) fn responds_within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Declares that it stores data sets without parsing them, so that invalid ones are stored.
    pub(crate) fn stores_anything(mut self) -> Self {
        self.parses = false;
        self
    }
}

/// A correct reaction.
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
    /// As [`Allowed::Failure`]; a server that does not parse data sets may store the object
    /// instead.
    Unreadable,
    Ignore,
    /// The server only has to survive.
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
            (Self::Status(status), Reaction::Responded(got)) => status == got,
            (Self::Failure, Reaction::Responded(status)) => is_failure(status),
            (Self::Unreadable, Reaction::Responded(status)) => !target.parses || is_failure(status),
            _ => false,
        }
    }
}

/// Returns whether a status is a failure (PS3.7 Annex C.5 and PS3.4 Table B.2-1).
fn is_failure(status: u16) -> bool {
    matches!(status, 0x0105..=0x0106 | 0x0110..=0x0115 | 0x0117..=0x0124 | 0x0210..=0x0213)
        || matches!(status >> 12, 0xA | 0xC)
}

/// A hostile or unusual behavior of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostileCase {
    pub(crate) name: &'static str,
    pub(crate) allowed: &'static [Allowed],
    play: fn(&mut CaseRunner<'_>) -> CaseResult,
}

/// The result of a case.
#[derive(Debug)]
pub(crate) struct CaseOutcome {
    name: &'static str,
    reaction: Reaction,
    expected: bool,
    /// Whether the well-behaved peer was served during the case, if the case checked it.
    during: Option<bool>,
    /// Whether the well-behaved peer was served after the case.
    after: bool,
    /// The peak of the process's resident memory during and after the case.
    memory: Option<u64>,
    duration: Duration,
}

impl CaseOutcome {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns true if the server reacted according to the standard.
    pub(crate) fn is_expected(&self) -> bool {
        self.expected
    }

    /// Returns true if the server reported the instance as stored.
    pub(crate) fn is_stored(&self) -> bool {
        self.reaction == Reaction::Responded(0)
    }
}

impl Display for CaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name, self.reaction)?;
        f.write_str(if self.expected {
            ""
        } else {
            ", not as expected"
        })?;
        if self.during == Some(false) {
            f.write_str(", no service during the case")?;
        }
        f.write_str(if self.after {
            ""
        } else {
            ", no service after the case"
        })?;
        if let Some(memory) = self.memory {
            write!(f, ", {} MiB", memory >> 20)?;
        }
        write!(f, ", {} ms", self.duration.as_millis())
    }
}

/// The results of all cases.
#[derive(Debug)]
pub(crate) struct HostileReport {
    pub(crate) outcomes: Vec<CaseOutcome>,
    memory: u64,
}

impl HostileReport {
    /// Returns an error that lists the cases that the server did not survive, that exceeded the
    /// memory limit, or during which the well-behaved peer was not served.
    pub(crate) fn survived(&self) -> Test {
        let fits = |memory: Option<u64>| memory.is_none_or(|memory| memory <= self.memory);
        self.require(|it| it.after && it.during != Some(false) && fits(it.memory))
    }

    /// Returns an error that lists the cases in which the server did not react according to the
    /// standard.
    pub(crate) fn as_expected(&self) -> Test {
        self.require(|it| it.expected)
    }

    fn require(&self, good: impl Fn(&CaseOutcome) -> bool) -> Test {
        let failed = self.outcomes.iter().filter(|it| !good(it));
        let failed: Vec<String> = failed.map(ToString::to_string).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let (count, of) = (failed.len(), self.outcomes.len());
        Err(format!("{count} of {of} cases:\n  {}", failed.join("\n  ")).into())
    }
}

/// Returns an error if a UID with `../` led to a file outside of the server's directory.
pub(crate) fn no_path_traversal() -> Test {
    let name = object::traversal_name();
    for entry in fs::read_dir("/tmp")? {
        let entry = entry?.file_name();
        if entry.to_string_lossy().starts_with(&name) {
            return Err(format!("/tmp/{} was created", entry.display()).into());
        }
    }
    Ok(())
}

/// Plays all cases, one after the other.
pub(crate) fn run(target: &Target) -> HostileReport {
    run_named(target, |_| true)
}

/// Plays the cases for whose names `selected` returns true.
pub(crate) fn run_named(target: &Target, selected: impl Fn(&str) -> bool) -> HostileReport {
    let cases = all().filter(|case| selected(case.name));
    HostileReport {
        outcomes: cases.map(|case| play(case, target)).collect(),
        memory: target.memory,
    }
}

fn play(case: &HostileCase, target: &Target) -> CaseOutcome {
    if let Some(process) = target.process {
        memory::reset_peak(process);
    }
    let start = Instant::now();
    let mut runner = CaseRunner::new(target);
    let reaction = (case.play)(&mut runner).unwrap_or_else(|early| early);
    let duration = start.elapsed();
    let allowed = case.allowed.iter();
    let optional = [Reaction::NotApplicable, Reaction::NotWaitedFor].contains(&reaction);
    CaseOutcome {
        name: case.name,
        reaction,
        expected: optional || allowed.clone().any(|it| it.holds(reaction, target)),
        during: runner.during(),
        after: well_behaved::is_served(target),
        memory: target.process.and_then(memory::peak),
        duration,
    }
}
