//! [`Reply`]: the callback of one object, called exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;
use crate::run::receipt::Receipt;

type OnDone = Box<dyn FnOnce(Result<Receipt, Error>) + Send>;

/// The callback of one object. It is called exactly once; dropping it uncalled reports
/// [`Error::Stopped`].
pub(crate) struct Reply(Option<OnDone>);

impl Reply {
    pub(crate) fn new(on_done: impl FnOnce(Result<Receipt, Error>) + Send + 'static) -> Self {
        Self(Some(Box::new(on_done)))
    }

    pub(crate) fn send(mut self, result: Result<Receipt, Error>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<Receipt, Error>) {
        let Some(on_done) = self.0.take() else {
            return;
        };
        // A panic in the callback must not end a thread of the engine.
        if catch_unwind(AssertUnwindSafe(|| on_done(result))).is_err() {
            tracing::error!("the callback of an object panicked");
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.call(Err(Error::Stopped));
    }
}
