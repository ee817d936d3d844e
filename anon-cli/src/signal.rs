//! SIGINT and SIGTERM: the first ends the command cleanly, the second ends the process at once.
//!
//! On systems without these signals the process is simply killed. That is as safe as a crash: the next run
//! repairs and continues.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anon_engine::Cancel;

use crate::platform;

type Callback = Box<dyn FnOnce() + Send>;

/// The signals that this process received. Clones share them.
#[derive(Clone)]
pub(crate) struct Signals(Arc<Shared>);

struct Shared {
    cancel: Cancel,
    caught: AtomicI32,
    callbacks: Mutex<Callbacks>,
}

#[derive(Default)]
struct Callbacks {
    next: u64,
    registered: Vec<(u64, Callback)>,
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signals").field(&self.caught()).finish()
    }
}

/// A registered callback. Dropping this removes it.
#[derive(Debug)]
pub(crate) struct CallbackGuard {
    signals: Signals,
    id: u64,
}

impl Signals {
    /// Installs the signal handlers.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self::unconnected();
        let received = signals.clone();
        platform::on_signal(move |signal| received.receive(signal))?;
        Ok(signals)
    }

    /// Returns signals without handlers.
    fn unconnected() -> Self {
        Self(Arc::new(Shared {
            cancel: Cancel::new(),
            caught: AtomicI32::new(0),
            callbacks: Mutex::default(),
        }))
    }

    /// Returns the flag that long operations poll.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// Returns the first signal received.
    pub(crate) fn caught(&self) -> Option<i32> {
        match self.0.caught.load(Ordering::Acquire) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Calls `callback` once at the first signal, or now if there was one.
    pub(crate) fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> CallbackGuard {
        let mut callbacks = self.callbacks();
        let id = callbacks.next;
        callbacks.next += 1;
        if self.0.cancel.is_cancelled() {
            drop(callbacks);
            callback();
        } else {
            callbacks.registered.push((id, Box::new(callback)));
        }
        CallbackGuard {
            signals: self.clone(),
            id,
        }
    }

    /// Cancels and calls all callbacks.
    fn receive(&self, signal: i32) {
        // The first signal determines the exit code.
        let _ = self
            .0
            .caught
            .compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
        let callbacks = {
            let mut callbacks = self.callbacks();
            self.0.cancel.cancel();
            std::mem::take(&mut callbacks.registered)
        };
        for (_, callback) in callbacks {
            callback();
        }
    }

    fn callbacks(&self) -> MutexGuard<'_, Callbacks> {
        self.0
            .callbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallbackGuard {
    fn drop(&mut self) {
        let mut callbacks = self.signals.callbacks();
        callbacks.registered.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn callbacks_run_once_unless_dropped_before() {
        let signals = Signals::unconnected();
        let calls = Arc::new(AtomicU32::new(0));
        let add = |n: u32| {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(n, Ordering::Relaxed);
            }
        };
        let kept = signals.on_cancel(add(1));
        drop(signals.on_cancel(add(10)));
        signals.receive(15);
        signals.receive(2);
        drop(kept);
        let _late = signals.on_cancel(add(100));
        assert_eq!(calls.load(Ordering::Relaxed), 101);
        assert_eq!(signals.caught(), Some(15));
        assert!(signals.cancel().is_cancelled());
    }
}
