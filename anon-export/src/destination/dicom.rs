//! [`DicomSink`]: a DICOM node, by C-STORE and C-FIND (feature `dicom`).
//!
//! ```text
//! put   object ─► file meta information: SOP class × transfer syntax ─► an association that offers it
//!                 data set, unchanged or in another uncompressed encoding ─► C-STORE ─► status
//! list  patient ─► C-FIND: its studies ─► their series ─► their instances
//! ```

mod association_pool;
mod body;
mod rewrite;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use anon_net::dimse::{Operation, Status, StatusClass};
use anon_net::service::hierarchy::StudyHierarchy;
use anon_net::service::{FileMeta, Query, Scu, Sender, ServiceError, StorageContext, StudyMatch};
use anon_net::{Node, Uid};

pub use crate::error::dicom::DicomError;

use crate::error::dicom::warning_text;
use crate::{Cancel, Capabilities, Error, KeyPart, ListedObject, ObjectKey, Put, Sink, Stored};
use association_pool::AssociationPool;
use body::{ExactBody, Tee};
use rewrite::{Encoding, Problem};

/// A DICOM node that stores instances (PS3.4 Annex B) and, if it supports queries, lists them
/// (PS3.4 Annex C).
///
/// An object is a DICOM file (PS3.10 section 7). Its data set is sent unchanged, in its transfer
/// syntax, if the node accepts that. If not, and it is uncompressed, it is sent in another
/// uncompressed transfer syntax that the node accepts; [`Stored::rewritten`] names it. Values keep
/// their bytes, apart from the byte order of numbers, and the data set is not held in memory. A
/// compressed object is never decompressed. Associations stay open between objects and are shared by
/// all threads. The node decides what to do with an instance that it already has; most keep the
/// first. Listings contain neither lengths nor tags.
///
/// If the node accepts fewer associations than allowed, objects wait for the associations that are
/// open. Start with one association: some nodes (dcmqrscp of DCMTK) lose objects that arrive on two
/// associations at the same time, although they report success.
#[derive(Debug)]
pub struct DicomSink {
    scu: Scu,
    node: Node,
    cancel: anon_net::Cancel,
    pool: AssociationPool,
    /// The presentation contexts of all objects so far. Each association proposes all of them.
    contexts: Mutex<BTreeSet<StorageContext>>,
}

impl DicomSink {
    /// Creates a sink to `node` with at most so many concurrent associations of `scu`.
    pub fn new(scu: Scu, node: Node, associations: NonZeroUsize) -> Self {
        Self {
            pool: AssociationPool::new(associations),
            scu,
            node,
            cancel: anon_net::Cancel::new(),
            contexts: Mutex::default(),
        }
    }

    /// Aborts waiting for the node once `cancel` is set.
    #[must_use]
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        let cancel = anon_net::Cancel::from(cancel.shared());
        Self { cancel, ..self }
    }

    /// Returns the presentation contexts of all objects so far, including this one.
    fn needed(&self, context: &StorageContext) -> BTreeSet<StorageContext> {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if !contexts.contains(context) {
            contexts.insert(context.clone());
        }
        contexts.clone()
    }

    fn sender(&self) -> Sender {
        let alternatives = Encoding::ALL.map(|encoding| Uid::new(encoding.uid()));
        let sender = self.scu.sender(&self.node);
        sender.with_alternatives(alternatives.into_iter().flatten().collect())
    }

    /// Sends an object. Returns the status, and the name of the encoding it was rewritten into.
    fn store(
        &self,
        key: &ObjectKey,
        body: &mut ExactBody<'_>,
    ) -> Result<(Status, Option<&'static str>), Error> {
        let len = body.len();
        let mut tee = Tee::new(body);
        let meta = FileMeta::read(&mut tee).map_err(DicomError::from)?;
        let [.., instance] = key.parts();
        if meta.sop_instance.expose() != instance.as_str() {
            return Err(DicomError::OtherInstance.into());
        }
        let mut data_set = tee.replay_from(meta.data_set_at);
        let length = len.saturating_sub(meta.data_set_at);
        let problem = Problem::default();
        let rewritten = Cell::new(None);
        let stored = self.pool.with_sender(
            || self.sender(),
            |sender| {
                // Called again if the node accepts no further association.
                rewritten.set(None);
                sender.expect(self.needed(&meta.context));
                let (instance, cancel) = (&meta.sop_instance, &self.cancel);
                let accepted = sender.negotiated(&meta.context, cancel)?;
                let Some((from, to)) = encodings(&meta.context, &accepted) else {
                    return sender.store(&accepted, instance, &mut data_set, length, cancel);
                };
                rewritten.set(Some(to.name()));
                let mut body = rewrite::rewritten(&mut data_set, from, to, &problem);
                sender.store_to_end(&accepted, instance, &mut body, cancel)
            },
        );
        match (stored, problem.get()) {
            (Ok(status), _) => Ok((status, rewritten.get())),
            (Err(_), Some(problem)) => Err(DicomError::Rewrite { problem }.into()),
            (Err(error), None) => Err(DicomError::from(error).into()),
        }
    }
}

/// Returns the encodings of an object and of the accepted context. `None` if they are the same.
fn encodings(own: &StorageContext, accepted: &StorageContext) -> Option<(Encoding, Encoding)> {
    if own == accepted {
        return None;
    }
    let of = |context: &StorageContext| Encoding::of(&context.transfer_syntax);
    of(own).zip(of(accepted))
}

impl Sink for DicomSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_parallel(self.pool.max())
            .dicom_only()
            .without_comparing()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let mut body = ExactBody::new(body, len);
        let stored = self.store(key, &mut body);
        // An error of the body is the cause of the error that follows from it.
        if let Some(error) = body.take_error() {
            return Err(error);
        }
        let (status, rewritten) = stored?;
        tracing::trace!(%key, len, %status, rewritten, "put");
        let stored = Stored::new(Put::Created).with_rewritten(rewritten);
        match status.class() {
            StatusClass::Success => Ok(stored),
            StatusClass::Warning => Ok(stored.with_warning(warning_text(status))),
            StatusClass::Failure | StatusClass::Cancel | StatusClass::Pending => {
                let operation = Operation::Store;
                Err(DicomError::from(ServiceError::Refused { operation, status }).into())
            }
        }
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        // Every key part is a valid Patient ID: it has no backslash and no control character.
        let Ok(query) = Query::new().with_patient_id(patient.as_str()) else {
            return Ok(());
        };
        let mut each_study = |study: &StudyMatch, hierarchy: &StudyHierarchy| {
            // Some nodes ignore query keys.
            if !study.patient_id.is_empty() && study.patient_id != patient.as_str() {
                return ControlFlow::Continue(());
            }
            instances(patient, hierarchy, each)
        };
        let listed = self.pool.with_own_association(|| {
            self.scu
                .hierarchies(&self.node, &query, &self.cancel, &mut each_study)
        });
        match listed {
            Err(ServiceError::ContextRefused { .. }) => Err(Error::NoListing),
            listed => listed.map_err(|error| DicomError::from(error).into()),
        }
    }

    /// Sends a C-ECHO (PS3.4 Annex A). A node that accepts the association but not the verification
    /// SOP class can be used.
    fn check(&self) -> Result<(), Error> {
        match self.scu.echo(&self.node, &self.cancel) {
            Ok(status) if status.class() == StatusClass::Success => Ok(()),
            Ok(status) => {
                let operation = Operation::Echo;
                Err(DicomError::from(ServiceError::Refused { operation, status }).into())
            }
            Err(ServiceError::ContextRefused { .. }) => Ok(()),
            Err(error) => Err(DicomError::from(error).into()),
        }
    }
}

/// Calls `each` with the instances of a study that can have a key.
fn instances(
    patient: &KeyPart,
    hierarchy: &StudyHierarchy,
    each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut seen = BTreeSet::new();
    for (series, instance) in hierarchy.instances() {
        let parts = [
            patient.as_str(),
            hierarchy.study.expose(),
            series.uid.expose(),
            instance.uid.expose(),
        ];
        let Ok(key) = ObjectKey::new(parts) else {
            continue;
        };
        if seen.insert(key.clone()) {
            each(ListedObject::new(key, None))?;
        }
    }
    ControlFlow::Continue(())
}
