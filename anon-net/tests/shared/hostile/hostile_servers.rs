//! Hostile servers for SCUs, as the cases are for SCPs.
//!
//! Each [`HostileServer`] listens on a free loopback port and misbehaves in one way, whatever SCU
//! calls it (C-ECHO, C-STORE, and any other service with one request and one response). The SCU
//! must end within about its own timeouts, with the result that [`HostileServer::ends`] expects.
//!
//! ```ignore
//! for impostor in impostors::all() {
//!     let listening = impostor.listen()?;
//!     let echoed = echo(listening.address());
//!     assert!(impostor.ends.agrees(echoed.is_ok()), "{}", impostor.name);
//! }
//! ```

mod answering;
mod associating;
mod conversation;
mod ending;

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use self::conversation::Conversation;

/// The expected result of the SCU's operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpectedEnd {
    /// It must fail: nothing was done, or the result is unknown.
    Failed,
    /// It must succeed: the server's behavior is legal, or comes after the response.
    Done,
    /// The standard leaves it open.
    Either,
}

impl ExpectedEnd {
    /// Returns whether this result is expected.
    pub(crate) fn agrees(self, succeeded: bool) -> bool {
        match self {
            Self::Failed => !succeeded,
            Self::Done => succeeded,
            Self::Either => true,
        }
    }
}

/// A hostile or unusual behavior of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostileServer {
    pub(crate) name: &'static str,
    pub(crate) ends: ExpectedEnd,
    /// True if it waits until the SCU gives up.
    pub(crate) stalls: bool,
    play: fn(&mut Conversation) -> io::Result<()>,
}

pub(crate) fn all() -> impl Iterator<Item = &'static HostileServer> {
    [associating::ALL, answering::ALL, ending::ALL]
        .into_iter()
        .flatten()
}

impl HostileServer {
    /// Listens until the returned guard is dropped.
    pub(crate) fn listen(&self) -> io::Result<RunningServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let open = Arc::new(OpenConversations::default());
        let (play, theirs) = (self.play, Arc::clone(&open));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.over.load(Ordering::Acquire) {
                    break;
                }
                theirs.converse(stream, play);
            }
        });
        Ok(RunningServer {
            address,
            open,
            thread: Some(thread),
        })
    }
}

/// A running hostile server. Dropping it ends all its conversations.
#[derive(Debug)]
pub(crate) struct RunningServer {
    address: SocketAddr,
    open: Arc<OpenConversations>,
    thread: Option<JoinHandle<()>>,
}

impl RunningServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.open.over.store(true, Ordering::Release);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.open.end();
    }
}

/// The open conversations.
#[derive(Debug, Default)]
struct OpenConversations {
    over: AtomicBool,
    now: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

impl OpenConversations {
    fn converse(&self, stream: TcpStream, play: fn(&mut Conversation) -> io::Result<()>) {
        let Ok(handle) = stream.try_clone() else {
            return;
        };
        let thread = thread::spawn(move || {
            let mut conversation = Conversation::new(stream);
            // Errors are ignored: the SCU is under test.
            let _ = play(&mut conversation);
            conversation.close();
        });
        self.lock().push((handle, thread));
    }

    fn end(&self) {
        for (stream, thread) in self.lock().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(TcpStream, JoinHandle<()>)>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
