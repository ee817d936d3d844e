//! [`Intake`]: gives the engine what the SCP receives.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use anon_engine::{Category, Engine, Error, Receipt, Received, Spool, Spooled};
use anon_net::{BackendError, Instance, InstanceHandler, Outcome, Remedy};

use super::Fates;
use super::budget::{Budget, Share};

/// Memory that all objects on their way may take together. What has no room in it goes through
/// `private/spool`.
const MEMORY_BYTES: usize = 64 << 20;

/// Memory that one object may take.
const OBJECT_BYTES: usize = 16 << 20;

/// What an object begins with: a CT slice fits.
const FIRST_BYTES: usize = 1 << 20;

/// The adapter between anon-net and anon-engine.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Weak: an SCP that is slow to end must not keep the project open.
    engine: Weak<Engine>,
    spool: Spool,
    budget: Budget,
    fates: Arc<Fates>,
    /// Objects that came whole and are not durable yet.
    waiting: AtomicU64,
    /// Objects stored that name no patient and share one.
    shared_patient: AtomicU64,
}

impl Intake {
    pub(crate) fn new(engine: &Arc<Engine>, spool: Spool, fates: Arc<Fates>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            spool,
            budget: Budget::new(MEMORY_BYTES),
            fates,
            waiting: AtomicU64::new(0),
            shared_patient: AtomicU64::new(0),
        }
    }

    /// Objects that came whole and are not durable yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Objects stored that name no patient and share one.
    pub(crate) fn shared_patient(&self) -> u64 {
        self.shared_patient.load(Ordering::Relaxed)
    }

    fn process(&self, instance: &Instance, object: Received) -> Result<Outcome, BackendError> {
        let Some(engine) = self.engine.upgrade() else {
            return Ok(Outcome::OutOfResources);
        };
        let origin = match instance.peer {
            Some(peer) => format!("{}@{}", instance.calling, peer.ip()),
            None => instance.calling.to_string(),
        };
        let object = object
            .as_data_set(instance.transfer_syntax.as_str())
            .announced(instance.sop_class.as_str(), instance.sop_instance.expose())
            .with_origin(origin);
        let _waiting = Waiting::begin(&self.waiting);
        let result = engine.process(object);
        if let Ok(receipt) = &result
            && receipt.warnings.shared_patient
            && matches!(receipt.outcome, anon_engine::Outcome::Stored { .. })
        {
            self.shared_patient.fetch_add(1, Ordering::Relaxed);
            self.fates.note_shared_patient(&instance.sop_instance);
        }
        outcome_of(result)
    }
}

/// Counts an object as waiting until this is dropped.
struct Waiting<'i>(&'i AtomicU64);

impl<'i> Waiting<'i> {
    fn begin(count: &'i AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InstanceHandler for Intake {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        let mut object = Object::new(&self.spool, self.budget.share());
        let outcome = match object.read(body) {
            Ok(()) => {
                let (received, _share) = object.finish().map_err(out_of_room)?;
                self.process(instance, received)?
            }
            Err(Broken::Body) => Outcome::BrokenOff,
            Err(Broken::Spool(error)) => return Err(out_of_room(error)),
        };
        self.fates.note(&instance.sop_instance, outcome);
        Ok(outcome)
    }
}

/// Nothing was kept, and there may be room later.
fn out_of_room(error: io::Error) -> BackendError {
    BackendError::new(Remedy::Retry, error)
}

fn outcome_of(result: Result<Receipt, Error>) -> Result<Outcome, BackendError> {
    use anon_engine::Outcome as Became;
    match result {
        Ok(receipt) => Ok(match receipt.outcome {
            Became::Stored { .. } => Outcome::Stored,
            Became::Duplicate { .. } => Outcome::AlreadyStored,
            Became::Quarantined { .. } => Outcome::Quarantined,
            _ => Outcome::ClassNotSupported,
        }),
        Err(Error::NotAsAnnounced { .. }) => Ok(Outcome::Mismatch),
        Err(Error::Refused(refusal)) if refusal.category == Category::MissingAttributes => {
            Ok(Outcome::Mismatch)
        }
        Err(Error::Refused(_)) => Ok(Outcome::CannotUnderstand),
        Err(error) => Err(BackendError::new(remedy_of(&error), error)),
    }
}

fn remedy_of(error: &Error) -> Remedy {
    match error.remedy() {
        anon_engine::Remedy::Retry => Remedy::Retry,
        anon_engine::Remedy::Quarantine => Remedy::Skip,
        anon_engine::Remedy::Stop => Remedy::Stop,
    }
}

/// Why an object did not come whole.
enum Broken {
    /// Its body broke off.
    Body,
    /// The spool has no room.
    Spool(io::Error),
}

/// An object that is being received.
struct Object<'s> {
    spool: &'s Spool,
    share: Share,
    bytes: Vec<u8>,
    spooled: Option<Spooled>,
}

impl<'s> Object<'s> {
    fn new(spool: &'s Spool, share: Share) -> Self {
        Self {
            spool,
            share,
            bytes: Vec::new(),
            spooled: None,
        }
    }

    fn read(&mut self, body: &mut dyn BufRead) -> Result<(), Broken> {
        loop {
            let piece = match body.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Broken::Body),
            };
            self.take(piece).map_err(Broken::Spool)?;
            let n = piece.len();
            body.consume(n);
        }
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Some(spooled) = &mut self.spooled {
            return spooled.write_all(piece);
        }
        let len = self.bytes.len() + piece.len();
        if len > self.share.bytes() && !self.grow(len) {
            let mut spooled = self.spool.create()?;
            spooled.write_all(&self.bytes)?;
            spooled.write_all(piece)?;
            self.bytes = Vec::new();
            self.share.clear();
            self.spooled = Some(spooled);
            return Ok(());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Makes room in memory for so many bytes; false if that is not to be had.
    fn grow(&mut self, len: usize) -> bool {
        let wish = len.max(self.share.bytes() * 2).max(FIRST_BYTES);
        let granted = [wish.min(OBJECT_BYTES), len]
            .into_iter()
            .find(|room| (len..=OBJECT_BYTES).contains(room) && self.share.grow_to(*room));
        if let Some(room) = granted {
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        granted.is_some()
    }

    fn finish(self) -> io::Result<(Received, Share)> {
        let received = match self.spooled {
            Some(spooled) => Received::spooled(spooled.finish()?),
            None => Received::part10(self.bytes),
        };
        Ok((received, self.share))
    }
}
