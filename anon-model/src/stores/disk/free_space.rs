//! [`FreeSpace`]: disk space that stays reserved for the lookup store.
//!
//! After a failed write redb cannot continue: the store must be opened again, and a receiver has to
//! stop. So instances are refused while the free space is less than a commit may need. That error is
//! temporary: a receiver continues once there is space. Other programs may still fill the disk
//! between the check and the commit. Then the store stops, and opening it again finds everything
//! that was committed.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::stores::disk::platform::{self, DiskSpace};
use crate::{BackendError, Remedy};

/// Bytes reserved for a small store, unless the disk is small.
const RESERVED_BYTES: u64 = 16 << 20;

/// A commit that writes the waiting ids changes at most this fraction of a large store. Not more than
/// this fraction of a small disk is reserved.
const FRACTION: u64 = 16;

/// Returns the bytes to reserve for a store of `store` bytes on a file system of `total` bytes.
fn reserved(total: u64, store: u64) -> u64 {
    (RESERVED_BYTES + store / FRACTION).min(total / FRACTION)
}

/// How long a free-space reading is cached. A reading for each object would take 3 % of an import of
/// small files.
const CACHE_TIME: Duration = Duration::from_millis(10);

/// Checks the free space on the disk of a store.
pub(super) struct FreeSpace {
    path: PathBuf,
    last: Mutex<Option<Reading>>,
}

/// A free-space reading.
struct Reading {
    at: Instant,
    /// Bytes above the reserve that were not granted yet.
    available: u64,
}

impl FreeSpace {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }

    /// Checks that the reserve is still free after `bytes` more are written to the disk.
    ///
    /// # Errors
    /// With [`Remedy::Retry`] if it is not; with [`Remedy::Stop`] if the space cannot be read.
    pub(super) fn check(&self, bytes: u64) -> Result<(), BackendError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = &mut *last
            && reading.at.elapsed() < CACHE_TIME
            && let Some(available) = reading.available.checked_sub(bytes)
        {
            reading.available = available;
            return Ok(());
        }
        *last = None;
        let space = platform::disk_space(&self.path)
            .and_then(|space| Ok((space, self.path.metadata()?.len())));
        let available = match space {
            Ok((Some(space), store)) => available_after(bytes, space, store)?,
            Ok((None, _)) => u64::MAX,
            Err(error) => return Err(BackendError::new(Remedy::Stop, error)),
        };
        *last = Some(Reading {
            at: Instant::now(),
            available,
        });
        Ok(())
    }
}

/// Returns the bytes that are still available above the reserve after `bytes` are written.
fn available_after(bytes: u64, space: DiskSpace, store: u64) -> Result<u64, BackendError> {
    let reserved = reserved(space.total, store);
    if let Some(available) = space.free.checked_sub(reserved.saturating_add(bytes)) {
        return Ok(available);
    }
    let message = format!(
        "the disk is full: {} KiB are free, and {} KiB are reserved for the lookup store; free some \
         space",
        space.free >> 10,
        reserved >> 10
    );
    let full = io::Error::new(io::ErrorKind::StorageFull, message);
    Err(BackendError::new(Remedy::Retry, full))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn the_reserve_depends_on_the_store_and_the_disk() {
        for (total, store, expected) in [
            (0, 0, 0),
            (3 * MIB, 200 * KIB, 192 * KIB),
            (64 * MIB, 200 * KIB, 4 * MIB),
            (GIB, 0, 16 * MIB),
            (GIB, 160 * MIB, 26 * MIB),
            (100 * GIB, 8 * GIB, 528 * MIB),
            (u64::MAX, u64::MAX / 2, 16 * MIB + u64::MAX / 32),
        ] {
            assert_eq!(reserved(total, store), expected, "{store} on {total}");
        }
    }

    #[test]
    fn a_full_disk_is_a_temporary_error() {
        let space = |free| DiskSpace { free, total: GIB };
        assert_eq!(available_after(0, space(16 * MIB), 0).unwrap(), 0);
        assert_eq!(available_after(MIB, space(18 * MIB), 0).unwrap(), MIB);
        available_after(MIB, space(17 * MIB - 1), 0).unwrap_err();
        available_after(u64::MAX, space(GIB), 0).unwrap_err();
        let error = available_after(0, space(16 * MIB - 1), 0).unwrap_err();
        assert_eq!(error.remedy, Remedy::Retry);
        assert_eq!(
            error.source.to_string(),
            "the disk is full: 16383 KiB are free, and 16384 KiB are reserved for the lookup store; \
             free some space"
        );
    }

    #[test]
    fn a_missing_store_is_a_permanent_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = FreeSpace::new(dir.path().join("missing"))
            .check(0)
            .unwrap_err();
        assert_eq!(error.remedy, Remedy::Stop);
    }

    #[test]
    fn a_cached_reading_grants_no_more_than_it_found() {
        let dir = tempfile::tempdir().unwrap();
        let space = FreeSpace::new(dir.path().to_owned());
        let at = Instant::now() + Duration::from_hours(1);
        // More than any disk has: only the cached reading can grant it.
        let available = u64::MAX;
        *space.last.lock().unwrap() = Some(Reading { at, available });
        space.check(u64::MAX - 1).unwrap();
        assert_eq!(space.last.lock().unwrap().as_ref().unwrap().available, 1);
        space.check(u64::MAX - 1).unwrap_err();
        assert!(space.last.lock().unwrap().is_none());
    }
}
