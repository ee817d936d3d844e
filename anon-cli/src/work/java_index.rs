//! Adopts the pseudonyms in an index of the Java anonymizer.

use std::fs::File;
use std::path::Path;

use anon_model::java_index::{JavaIndex, Limits, ReadError, Report, RowOutcome};
use anon_model::settings::{MissingPatientId, PatientKey};
use anon_model::{Adopting, Identity, LookupStore, MemoryStore, ProjectSettings};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::record::{AdoptedRow, RowResult};
use crate::project::{NetworkFs, Project, audit, open_project, settings};

/// Reads an index. `shown` is what an error calls the file: its path can identify.
///
/// # Errors
/// If the file cannot be read, or is not an index of the Java anonymizer.
pub(crate) fn read(path: &Path, shown: &str) -> anyhow::Result<JavaIndex> {
    let cannot = || Failure::CannotRun(format!("cannot read {shown}"));
    let file = File::open(path).with_context(cannot)?;
    if file.metadata().with_context(cannot)?.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory)).with_context(cannot);
    }
    JavaIndex::read(file, &Limits::default()).map_err(|error| match error {
        ReadError::Io(error) => anyhow::Error::new(error).context(cannot()),
        error => Failure::configuration(error.to_string()),
    })
}

/// What would come of an index in a new project. Changes nothing.
///
/// # Errors
/// If the index has an identity that no project can have.
pub(crate) fn try_out(index: &JavaIndex, adopting: Adopting) -> anyhow::Result<Report> {
    let identity = Identity::new(index.site().clone(), index.root().clone())
        .context(Failure::Configuration("the index".into()))?;
    let store = MemoryStore::new(identity).context("the system has no random numbers to give")?;
    Ok(index.take_into(&store, MissingPatientId::Shared, adopting)?)
}

/// Adopts an index into a project that this process has locked and not opened.
///
/// # Errors
/// As [`adopt_into`], or if the project cannot be opened.
pub(crate) fn adopt(
    project: &Project,
    settings: &ProjectSettings,
    network_fs: NetworkFs,
    index: &JavaIndex,
    adopting: Adopting,
) -> anyhow::Result<Report> {
    check_identity(settings, index)?;
    open_project::prepare(project, settings, network_fs)?;
    // A lookup store that exists was made with a secret: a new one would not fit it.
    let missing = open_project::missing_secret(project);
    let secret = settings::secret(project, settings, missing)?;
    let lookups = open_project::open_lookups(project, settings, secret.as_ref())?;
    let store = open_project::open_store(project, settings)?;
    anon_engine::recover(&*lookups, &store).context("cannot repair what a crash left")?;
    let report = adopt_into(&*lookups, project, settings, index, adopting)?;
    lookups.close()?;
    Ok(report)
}

/// Adopts an index into an open lookup store, after a line in the audit trail.
///
/// # Errors
/// If the index has another identity than the project, or if the store fails. Then nothing is
/// adopted.
pub(crate) fn adopt_into(
    lookups: &dyn LookupStore,
    project: &Project,
    settings: &ProjectSettings,
    index: &JavaIndex,
    adopting: Adopting,
) -> anyhow::Result<Report> {
    check_identity(settings, index)?;
    let rows = index.len();
    audit::append(&project.audit_file(), "import-java-index", rows as u64)?;
    let report = index.take_into(lookups, settings.missing_patient_id, adopting)?;
    tracing::info!(rows, "adopted an index of the Java anonymizer");
    Ok(report)
}

/// Checks that a project gives the same pseudonyms as the index.
///
/// # Errors
/// If it does not.
pub(crate) fn check_identity(settings: &ProjectSettings, index: &JavaIndex) -> anyhow::Result<()> {
    let (site, root) = (index.site(), index.root());
    if (&settings.site_id, &settings.uid_root) != (site, root) {
        return Err(Failure::configuration(format!(
            "the index was made under site id {site} and UID root {root}, and the project has {} \
             and {}: import it into another project; --project DIR makes one if DIR does not exist",
            settings.site_id, settings.uid_root
        )));
    }
    if settings.patient_key == PatientKey::IdAndIssuer {
        return Err(Failure::configuration(
            "the project has patient_key = \"id+issuer\", and the index holds no issuers: later \
             objects of its patients would not be recognised",
        ));
    }
    Ok(())
}

/// The rows of a report, as they are printed.
pub(crate) fn rows(report: &Report) -> impl Iterator<Item = AdoptedRow> {
    report.rows().iter().map(|(row, outcome)| {
        let (outcome, reason) = match outcome {
            RowOutcome::Taken => (RowResult::Taken, None),
            RowOutcome::AlreadyThere => (RowResult::AlreadyThere, None),
            RowOutcome::HeldBack => (RowResult::HeldBack, None),
            RowOutcome::Refused(why) => (RowResult::Refused, Some(why.to_string())),
        };
        AdoptedRow {
            row: *row,
            outcome,
            reason,
        }
    })
}
