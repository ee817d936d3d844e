//! [`MemoryStore`]: objects in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;

use super::{Staged, Store, StoreError, StoredObject};

/// Keeps objects in memory, for tests and for programs that forward them.
/// [`take`](MemoryStore::take) empties it; otherwise it only grows.
#[derive(Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<OutputPath, Vec<u8>>>,
    /// True if objects were taken: one that is missing cannot be read back.
    is_taken: AtomicBool,
}

struct Bytes(Vec<u8>);

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the bytes of the object at this path.
    pub fn get(&self, path: &OutputPath) -> Option<Vec<u8>> {
        self.objects().get(path).cloned()
    }

    /// Returns the paths of all objects, in order.
    pub fn paths(&self) -> Vec<OutputPath> {
        self.objects().keys().cloned().collect()
    }

    /// Removes and returns all objects. The index still lists them, so importing them again gives
    /// duplicates. They are [`StoredObject::NotReadable`] then.
    pub fn take(&self) -> BTreeMap<OutputPath, Vec<u8>> {
        self.is_taken.store(true, Ordering::SeqCst);
        std::mem::take(&mut *self.objects())
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<OutputPath, Vec<u8>>> {
        // A panic cannot leave the map in an inconsistent state.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, staged: Staged) -> Result<(), StoreError> {
        let (path, Bytes(bytes)) = staged.into_parts()?;
        let mut objects = self.objects();
        if objects.get(&path).is_some_and(|known| *known != bytes) {
            return Err(StoreError::Occupied);
        }
        objects.insert(path, bytes);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} objects)", self.objects().len())
    }
}

impl Store for MemoryStore {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        let bytes = object.to_vec().map_err(StoreError::Source)?;
        let known = self
            .objects()
            .get(object.path())
            .map(|known| *known == bytes);
        match known {
            Some(false) => Err(StoreError::Occupied),
            Some(true) | None => Ok(Staged::new(
                object.path().clone(),
                bytes.len() as u64,
                Bytes(bytes),
            )),
        }
    }

    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        group.into_iter().map(|staged| self.put(staged)).collect()
    }

    fn stage_over(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        let bytes = object.to_vec().map_err(StoreError::Source)?;
        let len = bytes.len() as u64;
        Ok(Staged::new(object.path().clone(), len, Bytes(bytes)))
    }

    fn replace(&self, staged: Staged) -> Result<(), StoreError> {
        let (path, Bytes(bytes)) = staged.into_parts()?;
        self.objects().insert(path, bytes);
        Ok(())
    }

    fn discard(&self, staged: Staged) -> Result<(), StoreError> {
        staged.into_parts::<Bytes>().map(drop)
    }

    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError> {
        Ok(self.objects().contains_key(path))
    }

    fn stored(&self, path: &OutputPath) -> Result<Option<StoredObject>, StoreError> {
        let object = self.objects().get(path).cloned().map(StoredObject::Bytes);
        let is_taken = self.is_taken.load(Ordering::SeqCst);
        Ok(object.or(is_taken.then_some(StoredObject::NotReadable)))
    }

    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        let objects = self.objects();
        Ok(paths
            .iter()
            .map(|path| objects.contains_key(path))
            .collect())
    }

    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        self.objects().retain(|path, _| {
            let [of_patient, of_study, ..] = path.parts();
            (of_patient, of_study) != (patient, study)
        });
        Ok(())
    }
}
