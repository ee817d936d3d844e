//! [`MemorySink`]: a sink in memory.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sink::copy_exact;
use crate::{
    Capabilities, Error, IfThere, KeyPart, ListedObject, ObjectKey, Origin, Put, PutOptions, Sink,
    Stored,
};

/// A sink in memory, for tests and small programs. Clones share their objects.
#[derive(Debug, Clone)]
pub struct MemorySink {
    objects: Arc<Mutex<Objects>>,
    capabilities: Capabilities,
}

type Objects = BTreeMap<ObjectKey, (Bytes, Option<Origin>)>;

/// The bytes of an object. `Debug` prints only their number.
#[derive(Clone, PartialEq, Eq)]
struct Bytes(Arc<[u8]>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl MemorySink {
    /// Creates an empty sink that accepts objects of any length.
    pub fn new() -> Self {
        const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
        let capabilities = Capabilities::new().keeping().with_origins();
        Self::with_capabilities(capabilities.with_parallel(PARALLEL))
    }

    /// Creates an empty sink with these capabilities.
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self {
            objects: Arc::default(),
            capabilities,
        }
    }

    /// Returns the bytes of an object.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<[u8]>> {
        self.lock().get(key).map(|(bytes, _)| Arc::clone(&bytes.0))
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns true if there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // A poisoned lock is safe to use: no thread panics in the middle of a change to the map.
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemorySink {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for MemorySink {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        self.put_with(key, len, body, &PutOptions::default())
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        let max = self.capabilities.max_object_bytes;
        if len > max {
            return Err(Error::TooLarge { len, max });
        }
        // No allocation of `len` bytes in advance: the body may be shorter.
        let mut bytes = Vec::new();
        copy_exact(body, len, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        let bytes = Bytes(bytes.into());
        let mut objects = self.lock();
        match objects.get(key) {
            Some((existing, _)) if *existing == bytes => {
                tracing::trace!(%key, len, "already there");
                return Ok(Stored::new(Put::AlreadyThere));
            }
            // There are no tags.
            Some(_) if options.if_there != IfThere::Replace => return Err(Error::OtherObject),
            _ => {}
        }
        objects.insert(key.clone(), (bytes, options.origin));
        tracing::trace!(%key, len, "put");
        Ok(Stored::new(Put::Created))
    }

    fn origin_of(&self, key: &ObjectKey) -> Result<Option<Origin>, Error> {
        Ok(self.lock().get(key).and_then(|(_, origin)| *origin))
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        // `each` is called without the lock, so that it may call `put`.
        let listed: Vec<_> = self
            .lock()
            .iter()
            .filter(|(key, _)| key.patient() == patient)
            .map(|(key, (bytes, _))| ListedObject::new(key.clone(), Some(bytes.0.len() as u64)))
            .collect();
        for object in listed {
            if each(object).is_break() {
                break;
            }
        }
        Ok(())
    }
}
