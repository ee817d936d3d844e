//! Turns the engine's callback into a future, so that an async program waits for receipts without blocking a
//! thread. The channel and `block_on` replace those of a runtime, such as `tokio::sync::oneshot`. The engine
//! needs neither.
//!
//! ```text
//! cargo run -p anon-examples --bin async_program
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use anon_engine::quarantine::MemoryQuarantine;
use anon_engine::store::MemoryStore;
use anon_engine::{Engine, Error, Policy, Receipt, Received};
use anon_model::{Identity, SiteId, UidRoot};
use anon_script::builtin;
use anyhow::Context as _;

/// De-identifies and stores one object. It waits in the engine's queue, not on a thread.
///
/// `submit` blocks while the queue is full. `try_submit` returns the object instead.
async fn store(engine: &Engine, bytes: Vec<u8>) -> Result<Receipt, Error> {
    let (reply, receipt) = oneshot();
    engine.submit(Received::part10(bytes), reply);
    receipt.await
}

fn main() -> anyhow::Result<()> {
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let lookups = anon_model::MemoryStore::new(Identity::new(SiteId::new("527408119")?, root)?)?;
    let rules = builtin("rsna-v17").context("is built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "EXAMPLE");
    let outputs = Arc::new(MemoryStore::new());
    let quarantine = Arc::new(MemoryQuarantine::new());
    let engine = Engine::builder(policy, Arc::new(lookups), outputs, quarantine)
        .workers(2)
        .start()?;
    block_on(async {
        for (name, bytes) in anon_examples::files() {
            let receipt = store(&engine, bytes).await?;
            println!("{name}: {}", receipt.outcome.name());
        }
        Ok(())
    })
}

/// The value from the callback, and the waker of the task that awaits it.
type Shared<T> = Arc<Mutex<(Option<T>, Option<Waker>)>>;

struct OneshotReceiver<T>(Shared<T>);

fn oneshot<T: Send + 'static>() -> (impl FnOnce(T) + Send + 'static, OneshotReceiver<T>) {
    let shared: Shared<T> = Arc::new(Mutex::new((None, None)));
    let of_sender = Arc::clone(&shared);
    let reply = move |value| {
        let mut shared = of_sender.lock().unwrap_or_else(PoisonError::into_inner);
        shared.0 = Some(value);
        if let Some(waker) = shared.1.take() {
            waker.wake();
        }
    };
    (reply, OneshotReceiver(shared))
}

impl<T> Future for OneshotReceiver<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1 = Some(context.waker().clone());
        shared.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
