//! [`Holder`]: listens, and runs the requests that are handed over.

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anon_engine::Cancel;

use super::protocol::{self, Request, Response, VERSION};
use crate::platform::{self, Listener, Stream};
use crate::signal::Signals;

/// Runs a request: passes each response to the function, and returns the one that ends it.
pub(crate) type Job =
    dyn Fn(Request, &Cancel, &(dyn Fn(Response) + Sync)) -> Response + Send + Sync;

/// The holder's end of the socket. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Holder {
    socket: PathBuf,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    closing: AtomicBool,
    signals: Signals,
    active: Mutex<usize>,
    idle: Condvar,
}

impl Shared {
    fn active(&self) -> MutexGuard<'_, usize> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// Starts to listen. The caller holds the lock, so an existing socket is a dead one.
    /// A signal also cancels every request that was handed over.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub(crate) fn listen(
        socket: &Path,
        tmp: &Path,
        signals: &Signals,
        job: Arc<Job>,
    ) -> io::Result<Self> {
        let listener = bind(socket, tmp)?;
        let shared = Arc::new(Shared {
            closing: AtomicBool::new(false),
            signals: signals.clone(),
            active: Mutex::new(0),
            idle: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let listener = thread::Builder::new()
            .name("control".into())
            .spawn(move || accept(&listener, &of_thread, &job))?;
        Ok(Self {
            socket: socket.into(),
            shared,
            listener: Some(listener),
        })
    }

    /// How many requests are running.
    pub(crate) fn active(&self) -> usize {
        *self.shared.active()
    }

    /// Takes requests until none is running, then closes.
    pub(crate) fn finish(mut self) {
        let mut active = self.shared.active();
        while *active > 0 {
            active = self
                .shared
                .idle
                .wait(active)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // Set under the lock: no request is accepted between the last check and the closing.
        self.shared.closing.store(true, Ordering::Release);
        drop(active);
        self.close();
    }

    fn close(&mut self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        self.shared.closing.store(true, Ordering::Release);
        // Wakes the listener. If the connect fails, the listener has ended.
        let woken = Listener::connect(&self.socket);
        // Clients that find no socket try to take the lock again.
        let _ = fs::remove_file(&self.socket);
        if woken.is_ok() {
            drop(listener.join());
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.close();
    }
}

/// Binds under another name and renames, so that others never see the socket before its mode is set.
fn bind(socket: &Path, tmp: &Path) -> io::Result<Listener> {
    let fresh = tmp.join("control.new");
    for stale in [socket, &fresh] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let listener = Listener::bind(&fresh)?;
    platform::set_mode(&fresh, 0o600)?;
    fs::rename(&fresh, socket)?;
    Ok(listener)
}

fn accept(listener: &Listener, shared: &Arc<Shared>, job: &Arc<Job>) {
    loop {
        let Ok(mut stream) = listener.accept() else {
            // Too many open files, for instance. The client sees a closed socket and tries again.
            if shared.closing.load(Ordering::Acquire) {
                return;
            }
            continue;
        };
        {
            let mut active = shared.active();
            if shared.closing.load(Ordering::Acquire) {
                // The client tries to take the lock again.
                let _ = protocol::write(&mut stream, &Response::Closing(true));
                return;
            }
            *active += 1;
        }
        let guard = Active(Arc::clone(shared));
        let job = Arc::clone(job);
        let served = thread::Builder::new()
            .name("request".into())
            .spawn(move || {
                if let Err(error) = serve(stream, &guard.0.signals, &job) {
                    tracing::warn!(%error, "a request that was handed over was not answered");
                }
                drop(guard);
            });
        if let Err(error) = served {
            tracing::warn!(%error, "cannot start a thread for a request that was handed over");
        }
    }
}

/// Counts a request as running until dropped.
struct Active(Arc<Shared>);

impl Drop for Active {
    fn drop(&mut self) {
        *self.0.active() -= 1;
        self.0.idle.notify_all();
    }
}

fn serve(stream: Stream, signals: &Signals, job: &Arc<Job>) -> io::Result<()> {
    let hello = Response::Hello {
        version: VERSION,
        pid: std::process::id(),
    };
    let mut out = stream.try_clone()?;
    protocol::write(&mut out, &hello)?;
    let mut lines = BufReader::new(stream);
    let request = match protocol::read(&mut lines)? {
        None | Some(Request::Cancel(_)) => return Ok(()),
        Some(request) => request,
    };
    let cancel = Cancel::new();
    let of_client = cancel.clone();
    // Ends when the client disconnects, at the latest after the last line.
    thread::Builder::new()
        .name("request, cancel".into())
        .spawn(move || {
            // A cancel, the end of the stream, or a line that is no request: each cancels.
            let _ = protocol::read::<Request>(&mut lines);
            of_client.cancel();
        })?;
    let of_signal = cancel.clone();
    let _waiting = signals.on_cancel(move || of_signal.cancel());
    let out = Mutex::new(out);
    let respond = |response: Response| {
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        if protocol::write(&mut *out, &response).is_err() {
            cancel.cancel();
        }
    };
    let last = job(request, &cancel, &respond);
    let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    protocol::write(&mut out, &last)?;
    // A Windows pipe loses what it still holds when the process that wrote it ends.
    out.flush()
}
