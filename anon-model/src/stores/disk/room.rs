//! Room that is left to the lookup store when the disk fills up.
//!
//! redb does not go on after a write that failed: the store must be opened anew, and a receiver
//! ended. So no instance is added when there is too little room for what a commit can write. That
//! is an error that passes, and a receiver goes on once there is room. It is no promise, since
//! others write to the disk, too: if they fill it up in between, the store stops, and opening it
//! anew finds everything that was committed.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::stores::disk::platform::{self, Room};
use crate::{BackendError, Remedy};

/// What is left for a small store, on a disk of some size.
const LEFT_BYTES: u64 = 16 << 20;

/// Of a large store, a commit that writes the ids which waited in memory changes a part: this one
/// at most. Of a small disk no more is left than this part.
const PART: u64 = 16;

/// Bytes to leave on a file system of `whole` bytes to a store of `store` bytes.
fn left(whole: u64, store: u64) -> u64 {
    (LEFT_BYTES + store / PART).min(whole / PART)
}

/// How long a look is believed. To look for each object takes 3 % of an import of small files.
const BELIEVED: Duration = Duration::from_millis(10);

/// The room beside the store at a path.
pub(super) struct Watch {
    path: PathBuf,
    last: Mutex<Option<Look>>,
}

/// What was found, less what was granted since.
struct Look {
    at: Instant,
    spare: u64,
}

impl Watch {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }

    /// Refuses if too little room is left to the store when `bytes` more are written beside it.
    pub(super) fn check(&self, bytes: u64) -> Result<(), BackendError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = &mut *last
            && look.at.elapsed() < BELIEVED
            && let Some(spare) = look.spare.checked_sub(bytes)
        {
            look.spare = spare;
            return Ok(());
        }
        *last = None;
        let looked =
            platform::room(&self.path).and_then(|room| Ok((room, self.path.metadata()?.len())));
        let spare = match looked {
            Ok((Some(room), store)) => judge(room, store, bytes)?,
            Ok((None, _)) => u64::MAX,
            Err(error) => return Err(BackendError::new(Remedy::Stop, error)),
        };
        *last = Some(Look {
            at: Instant::now(),
            spare,
        });
        Ok(())
    }
}

/// What may be written after `bytes`.
fn judge(room: Room, store: u64, bytes: u64) -> Result<u64, BackendError> {
    let left = left(room.whole, store);
    if let Some(spare) = room.free.checked_sub(left.saturating_add(bytes)) {
        return Ok(spare);
    }
    let message = format!(
        "the disk is full: {} KiB are free, and {} KiB are left to the lookup store; make room",
        room.free >> 10,
        left >> 10
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
    fn what_is_left_goes_by_the_store_and_by_the_disk() {
        for (whole, store, expected) in [
            (0, 0, 0),
            (3 * MIB, 200 * KIB, 192 * KIB),
            (64 * MIB, 200 * KIB, 4 * MIB),
            (GIB, 0, 16 * MIB),
            (GIB, 160 * MIB, 26 * MIB),
            (100 * GIB, 8 * GIB, 528 * MIB),
            (u64::MAX, u64::MAX / 2, 16 * MIB + u64::MAX / 32),
        ] {
            assert_eq!(left(whole, store), expected, "{store} on {whole}");
        }
    }

    #[test]
    fn too_little_room_is_an_error_that_passes() {
        let room = |free| Room { free, whole: GIB };
        assert_eq!(judge(room(16 * MIB), 0, 0).unwrap(), 0);
        assert_eq!(judge(room(18 * MIB), 0, MIB).unwrap(), MIB);
        judge(room(17 * MIB - 1), 0, MIB).unwrap_err();
        judge(room(GIB), 0, u64::MAX).unwrap_err();
        let error = judge(room(16 * MIB - 1), 0, 0).unwrap_err();
        assert_eq!(error.remedy, Remedy::Retry);
        assert_eq!(
            error.source.to_string(),
            "the disk is full: 16383 KiB are free, and 16384 KiB are left to the lookup store; make \
             room"
        );
    }

    #[test]
    fn a_store_that_cannot_be_found_is_an_error_that_stays() {
        let dir = tempfile::tempdir().unwrap();
        let error = Watch::new(dir.path().join("missing")).check(0).unwrap_err();
        assert_eq!(error.remedy, Remedy::Stop);
    }

    #[test]
    fn a_look_is_believed_for_what_it_found_only() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(dir.path().to_owned());
        let at = Instant::now() + Duration::from_hours(1);
        let spare = |spare| *watch.last.lock().unwrap() = Some(Look { at, spare });
        // More than any disk has: only the look can grant it.
        spare(u64::MAX);
        watch.check(u64::MAX - 1).unwrap();
        assert_eq!(watch.last.lock().unwrap().as_ref().unwrap().spare, 1);
        watch.check(u64::MAX - 1).unwrap_err();
        assert!(watch.last.lock().unwrap().is_none());
    }
}
