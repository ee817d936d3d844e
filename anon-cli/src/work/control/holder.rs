//! [`Holder`]: listens, and runs what is handed over.

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

/// What is done with work that is handed over: what comes of it is told as it comes, and the last
/// word is given back.
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
    /// Starts to listen. The caller holds the lock, so a socket that is there is a dead one.
    /// A signal ends everything that is handed over, too.
    ///
    /// # Errors
    /// If there can be no socket here.
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

    /// How much work is handed over now.
    pub(crate) fn active(&self) -> usize {
        *self.shared.active()
    }

    /// Serves what is handed over until nothing is left, then closes.
    pub(crate) fn finish(mut self) {
        let mut active = self.shared.active();
        while *active > 0 {
            active = self
                .shared
                .idle
                .wait(active)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // Under the lock: nobody is let in between the last look and the closing.
        self.shared.closing.store(true, Ordering::Release);
        drop(active);
        self.close();
    }

    fn close(&mut self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        self.shared.closing.store(true, Ordering::Release);
        // Wakes the listener. If it cannot be reached it is not there.
        let woken = Listener::connect(&self.socket);
        // Clients that find no socket try the lock again.
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

/// Binds under another name and renames, so that the socket is never seen with a loose mode.
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
            // Too many open files, say: the client sees a closed socket and tries again.
            if shared.closing.load(Ordering::Acquire) {
                return;
            }
            continue;
        };
        {
            let mut active = shared.active();
            if shared.closing.load(Ordering::Acquire) {
                // Whoever this is tries the lock again.
                let _ = protocol::write(&mut stream, &Response::Closing(true));
                return;
            }
            *active += 1;
        }
        let guard = Active(Arc::clone(shared));
        let job = Arc::clone(job);
        let served = thread::Builder::new()
            .name("handed over".into())
            .spawn(move || {
                if let Err(error) = serve(stream, &guard.0.signals, &job) {
                    tracing::warn!(%error, "work that was handed over was left");
                }
                drop(guard);
            });
        if let Err(error) = served {
            tracing::warn!(%error, "no thread for work that was handed over");
        }
    }
}

/// Counts one out when it is done, whatever happens.
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
    let ask = match protocol::read(&mut lines)? {
        None | Some(Request::Cancel(_)) => return Ok(()),
        Some(ask) => ask,
    };
    let cancel = Cancel::new();
    let of_client = cancel.clone();
    // Ends when the client goes away, which it does after the summary at the latest.
    thread::Builder::new()
        .name("handed over, watch".into())
        .spawn(move || {
            // A cancel, the end, or what makes no sense here.
            let _ = protocol::read::<Request>(&mut lines);
            of_client.cancel();
        })?;
    let of_signal = cancel.clone();
    let _waiting = signals.on_cancel(move || of_signal.cancel());
    let out = Mutex::new(out);
    let tell = |answer: Response| {
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        if protocol::write(&mut *out, &answer).is_err() {
            cancel.cancel();
        }
    };
    let last = job(ask, &cancel, &tell);
    let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    protocol::write(&mut out, &last)?;
    // What a pipe still holds goes with the process that wrote it.
    out.flush()
}
