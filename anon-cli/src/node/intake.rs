//! [`Intake`]: passes the objects that the SCP receives to the engine.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anon_engine::{Category, Engine, Error, Receipt, Received, Spool, Spooled};
use anon_net::{BackendError, HandlerResponse, Instance, InstanceHandler, Outcome, Remedy};

use super::arrival_log::{ArrivalLog, Notes};
use super::memory_limit::{MemoryLimit, Reservation};
use super::space_wait::{SpaceTimeout, SpaceWait};

/// The memory that all objects in transit may use together. The rest goes through `private/spool`.
const MEMORY_BYTES: usize = 64 << 20;

/// The memory that one object may use.
const OBJECT_BYTES: usize = 16 << 20;

/// The first allocation for an object: enough for a CT slice.
const FIRST_BYTES: usize = 1 << 20;

/// The adapter between anon-net and anon-engine.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Weak, so that an SCP that is slow to stop does not keep the project open.
    engine: Weak<Engine>,
    spool: Spool,
    memory: MemoryLimit,
    space_timeout: SpaceTimeout,
    arrivals: Arc<ArrivalLog>,
    /// Objects that are received and not yet durable.
    waiting: AtomicU64,
    /// Notes on all stored objects.
    notes: Mutex<Notes>,
}

impl Intake {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        spool: Spool,
        space_timeout: SpaceTimeout,
        arrivals: Arc<ArrivalLog>,
    ) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            spool,
            memory: MemoryLimit::new(MEMORY_BYTES),
            space_timeout,
            arrivals,
            waiting: AtomicU64::new(0),
            notes: Mutex::default(),
        }
    }

    /// Objects that are received and not yet durable.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Notes on all stored objects.
    pub(crate) fn notes(&self) -> Notes {
        self.notes_so_far().clone()
    }

    fn notes_so_far(&self) -> MutexGuard<'_, Notes> {
        // Counters: no panic leaves them inconsistent.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether a stored object had no Patient ID, and its remarks.
    fn take_notes(&self, instance: &Instance, receipt: &Receipt) {
        if !matches!(receipt.outcome, anon_engine::Outcome::Stored { .. }) {
            return;
        }
        let notes = Notes {
            shared_patient: u64::from(receipt.warnings.shared_patient),
            remarks: receipt.remarks.clone(),
        };
        if !notes.is_empty() {
            self.notes_so_far().add(&notes);
            self.arrivals.record_notes(&instance.sop_instance, notes);
        }
    }

    fn process(
        &self,
        instance: &Instance,
        object: Received,
        wait: &mut SpaceWait<'_>,
    ) -> Result<HandlerResponse, BackendError> {
        let Some(engine) = self.engine.upgrade() else {
            return Ok(Outcome::OutOfResources.because("the receiver stops"));
        };
        let origin = match instance.peer {
            Some(peer) => format!("{}@{}", instance.calling, peer.ip()),
            None => instance.calling.to_string(),
        };
        let object = object
            .as_data_set(instance.transfer_syntax.as_str())
            .announced(instance.sop_class.as_str(), instance.sop_instance.expose())
            .with_origin(origin);
        let _waiting = WaitingCount::begin(&self.waiting);
        let result = engine.process_with_retries(object, &mut |_| wait.retry());
        if let Ok(receipt) = &result {
            self.take_notes(instance, receipt);
        }
        response_to(result)
    }
}

/// Counts an object as waiting until this is dropped.
struct WaitingCount<'i>(&'i AtomicU64);

impl<'i> WaitingCount<'i> {
    fn begin(count: &'i AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for WaitingCount<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InstanceHandler for Intake {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        let mut wait = self.space_timeout.wait();
        let mut object = IncomingObject::new(&self.spool, self.memory.reserve());
        let response = match object.read(body, &mut wait) {
            Ok(()) => {
                let (received, _reservation) = object.finish().map_err(storage_full)?;
                self.process(instance, received, &mut wait)?
            }
            Err(ReadError::Body) => Outcome::BrokenOff.into(),
            Err(ReadError::Spool(error)) => return Err(storage_full(error)),
        };
        self.arrivals
            .record(&instance.sop_instance, response.outcome);
        Ok(response)
    }
}

/// Nothing was kept, and the sender may try again later.
fn storage_full(error: io::Error) -> BackendError {
    BackendError::new(Remedy::Retry, error)
}

/// Returns the response to a C-STORE. The reasons of the engine hold no value of the object.
fn response_to(result: Result<Receipt, Error>) -> Result<HandlerResponse, BackendError> {
    use anon_engine::Outcome as EngineOutcome;
    match result {
        Ok(receipt) => Ok(match receipt.outcome {
            EngineOutcome::Stored { .. } => Outcome::Stored.into(),
            EngineOutcome::Duplicate { .. } => Outcome::AlreadyStored.into(),
            EngineOutcome::Quarantined { reason, .. } => Outcome::Quarantined.because(reason),
            EngineOutcome::Ignored { reason, .. } => Outcome::CannotUnderstand.because(reason),
            _ => Outcome::ClassNotSupported.into(),
        }),
        Err(error @ Error::NotAsAnnounced { .. }) => {
            Ok(Outcome::Mismatch.because(error.to_string()))
        }
        Err(Error::Refused(refusal)) => {
            let outcome = if refusal.category == Category::MissingAttributes {
                Outcome::Mismatch
            } else {
                Outcome::CannotUnderstand
            };
            Ok(outcome.because(refusal.reason))
        }
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

/// Repeats a call while the disk is full, until the wait ends.
fn retry_when_full<T>(
    wait: &mut SpaceWait<'_>,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    use io::ErrorKind::{Interrupted, QuotaExceeded, StorageFull};
    loop {
        match call() {
            Err(error) if error.kind() == Interrupted => {}
            Err(error) if matches!(error.kind(), StorageFull | QuotaExceeded) && wait.retry() => {}
            result => return result,
        }
    }
}

fn write_all(file: &mut dyn Write, mut bytes: &[u8], wait: &mut SpaceWait<'_>) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = retry_when_full(wait, || file.write(bytes))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Why an object could not be received.
enum ReadError {
    /// The body ended early.
    Body,
    /// The spool could not be written.
    Spool(io::Error),
}

/// An object that is being received.
struct IncomingObject<'s> {
    spool: &'s Spool,
    reservation: Reservation,
    bytes: Vec<u8>,
    spooled: Option<Spooled>,
}

impl<'s> IncomingObject<'s> {
    fn new(spool: &'s Spool, reservation: Reservation) -> Self {
        Self {
            spool,
            reservation,
            bytes: Vec::new(),
            spooled: None,
        }
    }

    fn read(&mut self, body: &mut dyn BufRead, wait: &mut SpaceWait<'_>) -> Result<(), ReadError> {
        loop {
            let piece = match body.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(ReadError::Body),
            };
            self.append(piece, wait).map_err(ReadError::Spool)?;
            let n = piece.len();
            body.consume(n);
        }
    }

    fn append(&mut self, piece: &[u8], wait: &mut SpaceWait<'_>) -> io::Result<()> {
        if let Some(spooled) = &mut self.spooled {
            return write_all(spooled, piece, wait);
        }
        let len = self.bytes.len() + piece.len();
        if len > self.reservation.bytes() && !self.grow(len) {
            let mut spooled = retry_when_full(wait, || self.spool.create())?;
            write_all(&mut spooled, &self.bytes, wait)?;
            write_all(&mut spooled, piece, wait)?;
            self.bytes = Vec::new();
            self.reservation.release();
            self.spooled = Some(spooled);
            return Ok(());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Reserves memory for `len` bytes. Returns false if that exceeds a limit.
    fn grow(&mut self, len: usize) -> bool {
        let preferred = len.max(self.reservation.bytes() * 2).max(FIRST_BYTES);
        let capacity = [preferred.min(OBJECT_BYTES), len]
            .into_iter()
            .find(|bytes| (len..=OBJECT_BYTES).contains(bytes) && self.reservation.grow_to(*bytes));
        if let Some(bytes) = capacity {
            self.bytes.reserve_exact(bytes - self.bytes.len());
        }
        capacity.is_some()
    }

    /// Returns the object, with its reserved memory if it is not spooled.
    fn finish(self) -> io::Result<(Received, Reservation)> {
        let received = match self.spooled {
            Some(spooled) => Received::spooled(spooled.finish()?),
            None => Received::part10(self.bytes),
        };
        Ok((received, self.reservation))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::OnceLock;
    use std::time::Duration;

    use anon_engine::store::DirectoryStoreOptions;
    use anon_engine::testing::disk::SimDisk;
    use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
    use anon_engine::testing::rules::PlainRules;
    use anon_engine::{Cancel, DirectoryStore, MemoryQuarantine, Policy, Quarantine};
    use anon_model::{Identity, MemoryStore, SiteId, UidRoot};
    use anon_net::scp::failure_status;
    use anon_net::{AeTitle, InstanceUid, Status, Uid};
    use dicom_core::{Tag, VR};

    use super::super::space_wait::tests::ManualClock;
    use super::*;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const EXPLICIT: &str = "1.2.840.10008.1.2.1";
    const BURNED_IN: Tag = Tag(0x0028, 0x0301);

    /// An intake over a disk and a quarantine that can be full. It waits one second for space, by a clock
    /// that advances only in its pauses.
    struct Scene {
        disk: SimDisk,
        quarantine: Arc<MemoryQuarantine>,
        intake: Arc<Intake>,
        _engine: Arc<Engine>,
        _spool: tempfile::TempDir,
    }

    impl Scene {
        /// `pause` is called at each pause.
        fn new(disk: &SimDisk, pause: impl FnMut() + Send + 'static) -> Self {
            let identity =
                Identity::new(SiteId::new("99").unwrap(), UidRoot::new("1.2.3").unwrap());
            let lookups = Arc::new(MemoryStore::new(identity.unwrap()).unwrap());
            let options = DirectoryStoreOptions::default().with_disk(Arc::new(disk.clone()));
            let store = DirectoryStore::open("/public", "/tmp", options).unwrap();
            let quarantine = Arc::new(MemoryQuarantine::with_max_bytes(20_000));
            let policy = Policy::new(Arc::new(PlainRules::default()), "99", "full");
            let engine =
                Engine::builder(policy, lookups.clone(), Arc::new(store), quarantine.clone());
            let engine = Arc::new(engine.workers(0).start().unwrap());
            let dir = tempfile::tempdir().unwrap();
            let spool = Spool::open(dir.path().join("spool")).unwrap();
            let clock = Box::new(ManualClock::new(pause));
            let timeout = SpaceTimeout::with_clock(Duration::from_secs(1), Cancel::new(), clock);
            let lookups: Arc<dyn anon_model::RetrieveProgress> = lookups;
            let arrivals = Arc::new(ArrivalLog::new(&lookups, quarantine.clone()));
            let intake = Intake::new(&engine, spool, timeout, arrivals);
            Self {
                disk: disk.clone(),
                quarantine,
                intake: Arc::new(intake),
                _engine: engine,
                _spool: dir,
            }
        }

        fn files(&self) -> usize {
            self.disk.files(Path::new("/")).len()
        }
    }

    fn send(intake: &Intake, place: Place, object: &DataSet) -> Status {
        let uid = |text: &str| Uid::new(text).unwrap();
        let instance = Instance::new(
            uid(CT),
            InstanceUid::new(&place.instance_uid()).unwrap(),
            uid(EXPLICIT),
            AeTitle::new("SENDER").unwrap(),
        );
        let body = object.write_data_set(Syntax::ExplicitLittle);
        match intake.handle(&instance, &mut body.as_slice()) {
            Ok(response) => response.outcome.status().unwrap(),
            Err(error) => failure_status(&error),
        }
    }

    #[test]
    fn an_object_is_stored_once_the_disk_has_space_again() {
        let disk = SimDisk::new();
        let (full, mut pauses) = (disk.clone(), 0);
        let scene = Scene::new(&disk, move || {
            pauses += 1;
            if pauses == 3 {
                full.repair();
            }
        });
        disk.fill_up_at(disk.steps() + 1);
        let place = Place::new(1);
        assert_eq!(
            send(&scene.intake, place, &ct_small(&place)),
            Status::SUCCESS
        );
        assert_eq!(scene.files(), 1);
    }

    #[test]
    fn a_sender_gets_a700_after_the_timeout_and_can_send_again() {
        let disk = SimDisk::new();
        let pauses = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&pauses);
        let scene = Scene::new(&disk, move || *counted.lock().unwrap() += 1);
        disk.fill_up_at(disk.steps() + 1);
        let place = Place::new(1);
        let status = send(&scene.intake, place, &ct_small(&place));
        assert_eq!(status, Status::OUT_OF_RESOURCES);
        assert_eq!((*pauses.lock().unwrap(), scene.files()), (10, 0));
        disk.repair();
        assert_eq!(
            send(&scene.intake, place, &ct_small(&place)),
            Status::SUCCESS
        );
        assert_eq!(*pauses.lock().unwrap(), 10);
    }

    #[test]
    fn waiting_for_quarantine_space_does_not_block_other_senders() {
        let disk = SimDisk::new();
        let others = Arc::new(OnceLock::<(Arc<Intake>, Arc<MemoryQuarantine>)>::new());
        let (known, mut pauses) = (Arc::clone(&others), 0);
        let scene = Scene::new(&disk, move || {
            pauses += 1;
            let (intake, quarantine) = known.get().unwrap();
            let place = Place::new(100 + pauses);
            assert_eq!(send(intake, place, &ct_small(&place)), Status::SUCCESS);
            if pauses == 4 {
                for entry in quarantine.entries().unwrap() {
                    quarantine.clear(&entry.unwrap().id).unwrap();
                }
            }
        });
        let parts = (Arc::clone(&scene.intake), Arc::clone(&scene.quarantine));
        others.set(parts).unwrap();
        for n in 1..=2 {
            let place = Place::new(n);
            // Sent without error, and quarantined by the rules.
            let refused = ct_small(&place).put(BURNED_IN, VR::CS, "YES");
            let status = send(&scene.intake, place, &refused);
            assert_eq!(status, Status::SUCCESS, "{n}");
        }
        assert_eq!(scene.files(), 4);
    }

    /// Writes seven bytes at a time, and is full at every third call.
    #[derive(Default)]
    struct AlmostFull {
        written: Vec<u8>,
        calls: u32,
    }

    impl Write for AlmostFull {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(io::ErrorKind::StorageFull.into()),
                1 => Err(io::ErrorKind::Interrupted.into()),
                _ => {
                    let some = bytes.iter().take(7);
                    self.written.extend(some);
                    Ok(bytes.len().min(7))
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn spooling_waits_in_the_middle_of_an_object_too() {
        let timeout = |seconds| {
            let clock = Box::new(ManualClock::new(|| ()));
            SpaceTimeout::with_clock(Duration::from_secs(seconds), Cancel::new(), clock)
        };
        let bytes: Vec<u8> = (0..200).collect();
        let mut file = AlmostFull::default();
        write_all(&mut file, &bytes, &mut timeout(3600).wait()).unwrap();
        assert_eq!(file.written, bytes);
        let mut file = AlmostFull::default();
        let error = write_all(&mut file, &bytes, &mut timeout(1).wait()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // Eleven attempts found the disk full, after seven bytes each.
        assert_eq!(file.written.len(), 10 * 7 + 7);
    }
}
