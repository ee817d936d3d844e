//! Servers that are none: for the SCU side, as the cases are for the SCP side.
//!
//! Each [`Impostor`] listens on a free port of loopback and is bad in one way, whatever SCU calls it
//! (C-ECHO, C-STORE, and any other that asks once and is answered once). An SCU must come to its end
//! in about its own timeouts, and as [`Impostor::ends`] says.
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

/// What the SCU's operation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It must fail: nothing was done, or nobody can tell.
    Failed,
    /// It must succeed: all that is odd is legal, or comes after the answer.
    Done,
    /// The standard leaves it open.
    Either,
}

impl Ends {
    /// Whether an operation might end so.
    pub(crate) fn agrees(self, succeeded: bool) -> bool {
        match self {
            Self::Failed => !succeeded,
            Self::Done => succeeded,
            Self::Either => true,
        }
    }
}

/// One way to be a bad server, or an odd one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Impostor {
    pub(crate) name: &'static str,
    pub(crate) ends: Ends,
    /// How long it lets its SCU wait: for ever, unless the SCU gives up.
    pub(crate) stalls: bool,
    play: fn(&mut Conversation) -> io::Result<()>,
}

pub(crate) fn all() -> impl Iterator<Item = &'static Impostor> {
    [associating::ALL, answering::ALL, ending::ALL]
        .into_iter()
        .flatten()
}

impl Impostor {
    /// Listens until what this returns is dropped.
    pub(crate) fn listen(&self) -> io::Result<Listening> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let open = Arc::new(Open::default());
        let (play, theirs) = (self.play, Arc::clone(&open));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.over.load(Ordering::Acquire) {
                    break;
                }
                theirs.converse(stream, play);
            }
        });
        Ok(Listening {
            address,
            open,
            thread: Some(thread),
        })
    }
}

/// An impostor at work; dropping it ends all of its conversations.
#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    open: Arc<Open>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
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

/// The conversations that go on.
#[derive(Debug, Default)]
struct Open {
    over: AtomicBool,
    now: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

impl Open {
    fn converse(&self, stream: TcpStream, play: fn(&mut Conversation) -> io::Result<()>) {
        let Ok(handle) = stream.try_clone() else {
            return;
        };
        let thread = thread::spawn(move || {
            let mut conversation = Conversation::new(stream);
            // What the SCU makes of it is what is looked at.
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
