//! [`Evidence`]: what the mark, the outputs and the export journals say about the lookup store.

use anon_export::journal;
use anon_model::disk::{Numbers, Position, StoreMark, StoreMismatch};
use anon_model::settings::Durability;
use anon_model::{Identity, ProjectSettings, Space};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform;
use crate::project::Project;
use crate::project::mark::file::{self, Found};
use crate::project::mark::outputs;

/// What is known of a lookup store without opening it.
///
/// It must be gathered before the store is read: a process that writes at the same time commits to the
/// store first.
#[derive(Debug)]
pub(crate) struct Evidence {
    mark: Option<StoreMark>,
    /// The highest number of a patient that has outputs or was exported.
    patient: u64,
    /// True if a patient of this site has outputs or was exported.
    has_patients: bool,
    /// True if a power cut can lose commits of the store whose outputs are visible.
    is_relaxed: bool,
}

impl Evidence {
    /// Reads the mark, and the names of the patients in `public/` and in the export journals.
    ///
    /// # Errors
    /// If the mark is damaged, or one of them cannot be read.
    pub(crate) fn gather(
        project: &Project,
        settings: &ProjectSettings,
        identity: &Identity,
    ) -> anyhow::Result<Self> {
        let mark = match file::find(project)? {
            Found::Nothing => None,
            Found::Mark(mark) => Some(mark),
            Found::Damaged => {
                return Err(refused(
                    project,
                    "store.mark is damaged, so nothing shows that private/lookup.redb is not an older \
                     copy: put store.mark back from a copy, or make a new one and go on above every \
                     number that was seen",
                ));
            }
        };
        let patients = patients(project, settings)?;
        let begin = format!("{}-", settings.site_id.as_str());
        Ok(Self {
            mark,
            patient: highest(&patients, identity),
            has_patients: patients.iter().any(|name| name.starts_with(&begin)),
            is_relaxed: settings.durability == Durability::Relaxed,
        })
    }

    pub(crate) fn mark(&self) -> Option<&StoreMark> {
        self.mark.as_ref()
    }

    /// Compares an open store with the evidence.
    ///
    /// # Errors
    /// If it is another store, or an older copy.
    pub(crate) fn check(&self, project: &Project, store: &Position) -> anyhow::Result<()> {
        match self.mark.map_or(Ok(()), |mark| mark.check(store)) {
            Err(StoreMismatch::Foreign) => return Err(foreign(project)),
            Err(_) => return Err(older(project)),
            Ok(()) => {}
        }
        let given = self.lost_numbers(store).unwrap_or(store.numbers);
        if self.patient > given.patients {
            return Err(older(project));
        }
        Ok(())
    }

    /// Returns the highest numbers that the store may have given, if it may have lost some: with relaxed
    /// durability, a crash leaves the ceilings of the mark above the counters.
    pub(crate) fn lost_numbers(&self, store: &Position) -> Option<Numbers> {
        let ceilings = self.mark?.ceilings;
        let may_be_lost = self.is_relaxed && !ceilings.is_within(store.numbers);
        may_be_lost.then(|| ceilings.max(store.numbers))
    }

    /// Compares the evidence with a project that has no store.
    ///
    /// # Errors
    /// If it had one: a new one would give its pseudonyms to other patients.
    pub(crate) fn check_none(&self, project: &Project) -> anyhow::Result<()> {
        if self.mark.is_none() && !self.has_patients {
            return Ok(());
        }
        Err(refused(
            project,
            "private/lookup.redb is not there, and pseudonyms were given: put it back from a \
             copy or restore the newest backup (anon restore FILE). A new one would give their \
             pseudonyms to others. If all are lost, begin a new one above every number that was given; \
             no patient is recognised any more then",
        ))
    }
}

/// Returns the names of the patients in `public/` and in the export journals.
pub(super) fn patients(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<Vec<String>> {
    let public = project.public(settings.public_dir.as_deref());
    let mut names = outputs::top_level(&public).context("cannot read the directory of outputs")?;
    let journals = project.export_journal(settings.export.journal.as_deref());
    names.extend(journal::patient_names(&journals)?);
    Ok(names)
}

/// Returns the highest number of these patients.
pub(super) fn highest(patients: &[String], identity: &Identity) -> u64 {
    let numbers = patients
        .iter()
        .map(|name| outputs::number(identity, Space::Patient, name));
    numbers.max().unwrap_or(0)
}

fn older(project: &Project) -> anyhow::Error {
    refused(
        project,
        "private/lookup.redb is an older copy: the project was in use after it was made, and it would \
         give the numbers of that time to others. Put the newest one back, restore the newest backup \
         (anon restore FILE), or, if both are lost, go on with this one above every number that was \
         given",
    )
}

pub(super) fn foreign(project: &Project) -> anyhow::Error {
    refused(
        project,
        "private/lookup.redb is not the lookup store of this project: put the right one back, or, if \
         it is lost, move this one away and begin a new one above every number that was given",
    )
}

/// Returns an error with the command that raises the counters.
fn refused(project: &Project, why: &str) -> anyhow::Error {
    let root = platform::shell_quoted(&project.root().to_string_lossy());
    Failure::cannot_run(format!("{why}:\n  anon -p {root} status --raise-counters"))
}

#[cfg(test)]
mod tests {
    use anon_model::{DiskOptions, DiskStore};

    use super::*;

    /// The file system can keep the directory of a patient whose commit it lost.
    #[test]
    fn outputs_that_a_power_cut_left_are_no_sign_of_an_older_copy() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path()).unwrap();
        let identity = Identity::new("9".parse().unwrap(), "1.2.3".parse().unwrap()).unwrap();
        let path = directory.path().join("lookup.redb");
        let store = DiskStore::open(&path, identity, &DiskOptions::default()).unwrap();
        let position = store.position().unwrap();
        let ceilings = Numbers {
            patients: 100,
            ..Numbers::default()
        };
        let evidence = |patient, is_relaxed| Evidence {
            mark: Some(StoreMark {
                store: position.store,
                group: position.group,
                ceilings,
            }),
            patient,
            has_patients: true,
            is_relaxed,
        };
        assert!(evidence(100, true).check(&project, &position).is_ok());
        assert_eq!(evidence(100, true).lost_numbers(&position), Some(ceilings));
        assert!(evidence(101, true).check(&project, &position).is_err());
        assert!(evidence(1, false).check(&project, &position).is_err());
        assert_eq!(evidence(1, false).lost_numbers(&position), None);
    }
}
