//! Room that is left to the lookup store when the disk fills up.
//!
//! redb does not go on after a write that failed: the store must be opened anew, and a receiver
//! ended. So no instance is added when there is too little room for what a commit can write. That
//! is an error that passes, and a receiver goes on once there is room. It is no promise, since
//! others write to the disk, too: if they fill it up in between, the store stops, and opening it
//! anew finds everything that was committed.

use std::io;
use std::path::Path;

use crate::disk::platform::{self, Room};
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

/// Refuses if too little room is left to the store at this path when `bytes` more are written beside
/// it.
pub(super) fn check(path: &Path, bytes: u64) -> Result<(), BackendError> {
    let looked = platform::room(path).and_then(|room| Ok((room, path.metadata()?.len())));
    match looked {
        Ok((Some(room), store)) => judge(room, store, bytes),
        Ok((None, _)) => Ok(()),
        Err(error) => Err(BackendError::new(Remedy::Stop, error)),
    }
}

fn judge(room: Room, store: u64, bytes: u64) -> Result<(), BackendError> {
    let left = left(room.whole, store);
    if room.free >= left.saturating_add(bytes) {
        return Ok(());
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
        judge(room(16 * MIB), 0, 0).unwrap();
        judge(room(17 * MIB), 0, MIB).unwrap();
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
        let error = check(&dir.path().join("missing"), 0).unwrap_err();
        assert_eq!(error.remedy, Remedy::Stop);
    }
}
