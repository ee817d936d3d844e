//! [`DicomSink`]: objects at a DICOM node, by C-STORE and C-FIND (feature `dicom`).
//!
//! ```text
//! put   object ─► file meta information: SOP class × transfer syntax ─► an association that offers it
//!                 data set, as it stands in the file ─► C-STORE ─► status
//! list  patient ─► C-FIND: its studies ─► their series ─► their instances
//! ```

mod association_pool;
mod body;

use std::collections::BTreeSet;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use anon_net::Node;
use anon_net::dimse::{Operation, Status, StatusClass};
use anon_net::service::hierarchy::StudyHierarchy;
use anon_net::service::{FileMeta, Query, Scu, ServiceError, StorageContext, StudyMatch};

pub use crate::error::dicom::DicomError;

use crate::error::dicom::remark;
use crate::{Cancel, Capabilities, Error, KeyPart, ListedObject, ObjectKey, Put, Sink, Stored};
use association_pool::AssociationPool;
use body::{ExactBody, Tee};

/// A DICOM node that stores instances (PS3.4 Annex B) and, if it can, says which it has (PS3.4
/// Annex C).
///
/// An object is a DICOM file (PS3.10); its data set is sent as it stands in the file, in the transfer
/// syntax it has. Associations are kept open between objects and shared by all threads. A node keeps an
/// instance that it has as it likes: most keep the first. A listing tells neither lengths nor tags.
///
/// A node that takes fewer associations than are allowed is made do with: what it lets wait or rejects
/// for now is sent on those that are open. Begin with one: some nodes (dcmqrscp of DCMTK) lose objects
/// that come on two at once, and say that they have them.
#[derive(Debug)]
pub struct DicomSink {
    scu: Scu,
    node: Node,
    cancel: anon_net::Cancel,
    pool: AssociationPool,
    /// What objects needed so far: each association proposes all of it.
    contexts: Mutex<BTreeSet<StorageContext>>,
}

impl DicomSink {
    /// A node, asked and sent to by `scu`, on at most so many associations at once.
    pub fn new(scu: Scu, node: Node, associations: NonZeroUsize) -> Self {
        Self {
            pool: AssociationPool::new(associations),
            scu,
            node,
            cancel: anon_net::Cancel::new(),
            contexts: Mutex::default(),
        }
    }

    /// Ends what waits for the node once `cancel` is set.
    #[must_use]
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        let cancel = anon_net::Cancel::from(cancel.shared());
        Self { cancel, ..self }
    }

    /// What was needed so far, and this.
    fn needed(&self, context: &StorageContext) -> BTreeSet<StorageContext> {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if !contexts.contains(context) {
            contexts.insert(context.clone());
        }
        contexts.clone()
    }

    fn store(&self, key: &ObjectKey, body: &mut ExactBody<'_>) -> Result<Status, Error> {
        let len = body.len();
        let mut tee = Tee::new(body);
        let meta = FileMeta::read(&mut tee).map_err(DicomError::from)?;
        let [.., instance] = key.parts();
        if meta.sop_instance.expose() != instance.as_str() {
            return Err(DicomError::OtherInstance.into());
        }
        let mut data_set = tee.from(meta.data_set_at);
        let length = len.saturating_sub(meta.data_set_at);
        let stored = self.pool.with_sender(
            || self.scu.sender(&self.node),
            |sender| {
                sender.expect(self.needed(&meta.context));
                let FileMeta {
                    context,
                    sop_instance,
                    ..
                } = &meta;
                sender.store(context, sop_instance, &mut data_set, length, &self.cancel)
            },
        );
        stored.map_err(|error| DicomError::from(error).into())
    }
}

impl Sink for DicomSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_parallel(self.pool.most())
            .dicom_only()
            .without_comparing()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let mut body = ExactBody::new(body, len);
        let stored = self.store(key, &mut body);
        // What is wrong with the body comes before what comes of it.
        if let Some(error) = body.failure() {
            return Err(error);
        }
        let status = stored?;
        tracing::trace!(%key, len, %status, "put");
        match status.class() {
            StatusClass::Success => Ok(Stored::new(Put::Created)),
            StatusClass::Warning => Ok(Stored::new(Put::Created).with_warning(remark(status))),
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
        // Every key is a Patient ID: it has no backslash and no control character.
        let Ok(query) = Query::new().with_patient_id(patient.as_str()) else {
            return Ok(());
        };
        let mut each_study = |study: &StudyMatch, hierarchy: &StudyHierarchy| {
            // Some nodes ignore keys.
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

    /// C-ECHO (PS3.4 Annex A). A node that does not serve it, but takes the association, can be used.
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

/// Gives each instance of a study that can have a key.
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
