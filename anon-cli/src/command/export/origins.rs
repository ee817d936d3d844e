//! The originals of the objects of an export, from the lookup store.

use std::ops::ControlFlow;
use std::sync::Arc;

use anon_export::{Error, KeyPart, ObjectKey, Origin, Origins};
use anon_model::{LookupStore, ProjectSettings};

use crate::platform;
use crate::project::Project;
use crate::project::open_project;

/// The lookup store as the exporter sees it: digests, and nothing that they were made from.
#[derive(Debug)]
struct LookupOrigins(Arc<dyn LookupStore>);

impl Origins for LookupOrigins {
    fn of_patient(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ObjectKey, Origin) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let visited = self.0.outputs(patient.as_str(), &mut |output| {
            let [patient, study, series, instance] = output.names.each_ref();
            // An object whose name cannot be a key is not exported either.
            let Ok(key) = ObjectKey::new([patient, study, series, instance]) else {
                return ControlFlow::Continue(());
            };
            each(
                key,
                Origin::new(output.digest.original, output.digest.version),
            )
        });
        visited.map_err(|error| Error::Origins(Box::new(error)))
    }
}

/// Opens the lookup store for reading, beside the process that holds the project. `None` for an
/// account that has no access to it, and for a project that has none: then no origin is known.
///
/// # Errors
/// If it is not that of the project, or an older copy.
pub(super) fn open(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<Option<Arc<dyn Origins>>> {
    let is_ours = match platform::access(&project.private()) {
        Ok(Some(access)) => access.owner == platform::user(),
        // The system does not tell owners.
        Ok(None) => true,
        Err(_) => false,
    };
    if !is_ours || !project.lookup_file().exists() {
        tracing::debug!("no lookups: the origins of objects are not known");
        return Ok(None);
    }
    let lookups = open_project::read_lookups(project, settings)?;
    Ok(Some(Arc::new(LookupOrigins(lookups))))
}
