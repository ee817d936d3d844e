//! Our own SCP, for test peers.
//!
//! ```ignore
//! #[path = "../shared/node.rs"]
//! mod node;
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anon_net::scp::{RunningScp, Scp, ScpBuilder};
use anon_net::{
    BackendError, HandlerResponse, Instance, InstanceHandler, Outcome, SupportedContexts,
    TextError, Uid,
};

/// The AE title of the SCP.
pub(crate) const TITLE: &str = "ANONYMIZER";

const VERIFICATION: &str = "1.2.840.10008.1.1";

/// CT, secondary capture, multi-frame ultrasound.
const CLASSES: [&str; 3] = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.3.1",
];

/// The transfer syntaxes of the corpus, without the prefix `1.2.840.10008.1.2`.
const SYNTAXES: [&str; 10] = [
    ".1", "", ".2", ".1.99", ".4.50", ".4.70", ".4.80", ".4.81", ".4.90", ".5",
];

/// Returns the storage SOP classes of the SCP.
pub(crate) fn classes() -> Result<Vec<Uid>, TextError> {
    CLASSES.into_iter().map(Uid::new).collect()
}

/// Returns the transfer syntaxes of the SCP.
pub(crate) fn transfer_syntaxes() -> Result<Vec<Uid>, TextError> {
    let uids = SYNTAXES.map(|end| Uid::new(&format!("1.2.840.10008.1.2{end}")));
    uids.into_iter().collect()
}

fn supported() -> Result<SupportedContexts, TextError> {
    let implicit = Uid::new("1.2.840.10008.1.2")?;
    let mut supported = SupportedContexts::new().with(Uid::new(VERIFICATION)?, vec![implicit]);
    for class in classes()? {
        supported = supported.with(class, transfer_syntaxes()?);
    }
    Ok(supported)
}

/// Starts an SCP on a free loopback port. Instances go to `handler`.
pub(crate) fn listen<H: InstanceHandler + 'static>(
    handler: &Arc<H>,
    configure: impl FnOnce(ScpBuilder) -> ScpBuilder,
) -> Result<RunningScp, Box<dyn Error>> {
    let handler: Arc<dyn InstanceHandler> = Arc::<H>::clone(handler);
    let builder = Scp::builder(TITLE.parse()?, handler).supported(supported()?);
    Ok(configure(builder).bind("127.0.0.1:0".parse()?)?)
}

/// A handler that records instances without their data sets.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Transfer syntax and length by SOP Instance UID.
    received: Mutex<BTreeMap<String, (String, u64)>>,
    changed: Condvar,
}

impl Inbox {
    /// Returns the instances received so far.
    pub(crate) fn received(&self) -> BTreeMap<String, (String, u64)> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until `count` instances were received.
    pub(crate) fn wait_for(
        &self,
        count: usize,
        limit: Duration,
    ) -> BTreeMap<String, (String, u64)> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(received, limit, |received| received.len() < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl InstanceHandler for Inbox {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        let Ok(bytes) = io::copy(body, &mut io::sink()) else {
            return Ok(Outcome::BrokenOff.into());
        };
        let uid = instance.sop_instance.expose().to_owned();
        let syntax = instance.transfer_syntax.as_str().to_owned();
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.insert(uid, (syntax, bytes));
        self.changed.notify_all();
        Ok(Outcome::Stored.into())
    }
}
