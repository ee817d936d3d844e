//! SIGINT and SIGTERM: the first asks for a clean end, the second ends at once.
//!
//! Where there are no such signals, ending the process is as safe as a crash: the next run goes on.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anon_engine::Cancel;

use crate::platform;

type Callback = Box<dyn FnOnce() + Send>;

/// Says if and by which signal this process was asked to end. Clones are one and the same.
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
    waiting: Vec<(u64, Callback)>,
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signals").field(&self.caught()).finish()
    }
}

/// A callback that waits for a signal, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    signals: Signals,
    id: u64,
}

impl Signals {
    /// Starts to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self::deaf();
        let told = signals.clone();
        platform::on_signal(move |signal| told.come(signal))?;
        Ok(signals)
    }

    fn deaf() -> Self {
        Self(Arc::new(Shared {
            cancel: Cancel::new(),
            caught: AtomicI32::new(0),
            callbacks: Mutex::default(),
        }))
    }

    /// What long operations watch.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// The signal that came first.
    pub(crate) fn caught(&self) -> Option<i32> {
        match self.0.caught.load(Ordering::Acquire) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Calls back once when a signal comes, or now if it has come.
    pub(crate) fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Waiting {
        let mut callbacks = self.callbacks();
        let id = callbacks.next;
        callbacks.next += 1;
        if self.0.cancel.is_cancelled() {
            drop(callbacks);
            callback();
        } else {
            callbacks.waiting.push((id, Box::new(callback)));
        }
        Waiting {
            signals: self.clone(),
            id,
        }
    }

    /// Ends everything that waits. `signal` is 0 if it was not a signal.
    fn come(&self, signal: i32) {
        // The first one names the exit code.
        let _ = self
            .0
            .caught
            .compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
        let waiting = {
            let mut callbacks = self.callbacks();
            self.0.cancel.cancel();
            std::mem::take(&mut callbacks.waiting)
        };
        for (_, callback) in waiting {
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

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut callbacks = self.signals.callbacks();
        callbacks.waiting.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn callbacks_are_called_once_and_not_after_they_are_dropped() {
        let signals = Signals::deaf();
        let calls = Arc::new(AtomicU32::new(0));
        let add = |n: u32| {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(n, Ordering::Relaxed);
            }
        };
        let kept = signals.on_cancel(add(1));
        drop(signals.on_cancel(add(10)));
        signals.come(15);
        signals.come(2);
        drop(kept);
        let _late = signals.on_cancel(add(100));
        assert_eq!(calls.load(Ordering::Relaxed), 101);
        assert_eq!(signals.caught(), Some(15));
        assert!(signals.cancel().is_cancelled());
    }
}
