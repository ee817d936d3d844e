//! Our own SCP, for peers of all kinds to call.
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
    BackendError, Instance, InstanceHandler, Outcome, SupportedContexts, TextError, Uid,
};

/// Its AE title.
pub(crate) const TITLE: &str = "ANONYMIZER";

const VERIFICATION: &str = "1.2.840.10008.1.1";

/// CT, secondary capture, multi-frame ultrasound.
const CLASSES: [&str; 3] = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.3.1",
];

/// What is after `1.2.840.10008.1.2` in the transfer syntaxes of the corpus.
const SYNTAXES: [&str; 10] = [
    ".1", "", ".2", ".1.99", ".4.50", ".4.70", ".4.80", ".4.81", ".4.90", ".5",
];

/// The storage SOP classes of such a node.
pub(crate) fn classes() -> Result<Vec<Uid>, TextError> {
    CLASSES.into_iter().map(Uid::new).collect()
}

/// The transfer syntaxes of such a node.
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

/// Listens at a free port of loopback; what it receives goes to `handler`.
pub(crate) fn listen<H: InstanceHandler + 'static>(
    handler: &Arc<H>,
    set: impl FnOnce(ScpBuilder) -> ScpBuilder,
) -> Result<RunningScp, Box<dyn Error>> {
    let handler: Arc<dyn InstanceHandler> = Arc::<H>::clone(handler);
    let builder = Scp::builder(TITLE.parse()?, handler).supported(supported()?);
    Ok(set(builder).bind("127.0.0.1:0".parse()?)?)
}

/// Remembers what came, not its data sets.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Transfer syntax and bytes by SOP instance UID.
    came: Mutex<BTreeMap<String, (String, u64)>>,
    more: Condvar,
}

impl Inbox {
    /// What came by now.
    pub(crate) fn came(&self) -> BTreeMap<String, (String, u64)> {
        self.came
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until so many instances came.
    pub(crate) fn wait_for(
        &self,
        count: usize,
        limit: Duration,
    ) -> BTreeMap<String, (String, u64)> {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .more
            .wait_timeout_while(came, limit, |came| came.len() < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl InstanceHandler for Inbox {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        let Ok(bytes) = io::copy(body, &mut io::sink()) else {
            return Ok(Outcome::BrokenOff);
        };
        let uid = instance.sop_instance.expose().to_owned();
        let syntax = instance.transfer_syntax.to_string();
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.insert(uid, (syntax, bytes));
        self.more.notify_all();
        Ok(Outcome::Stored)
    }
}
