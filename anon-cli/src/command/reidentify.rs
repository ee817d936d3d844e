//! `anon reidentify`: shows the original behind a pseudonym. Its output identifies patients.

use std::ops::ControlFlow;

use anon_model::{LookupStore, PatientPhi, Phi, Space, StudyRow};
use serde::Serialize;

use crate::args::Reidentify;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::Project;
use crate::project::{audit, open_project, settings};
use crate::report::{Report, Table};

/// An original. That of a UID or accession number comes once for each study whose objects hold it.
#[derive(Debug, Clone, Serialize)]
struct OriginalEvent<'o> {
    event: &'static str,
    pseudonym: &'o str,
    /// `patient`, `uid` or `accession`.
    kind: &'static str,
    original: &'o str,
    /// The patient's pseudonym. This and the next fields are null if no study in the index has the
    /// original.
    anon_patient: Option<&'o str>,
    patient_id: Option<&'o str>,
    patient_name: Option<&'o str>,
    birth_date: Option<&'o str>,
    sex: Option<&'o str>,
    /// The study. Absent for a patient, like the next two.
    anon_study: Option<&'o str>,
    study_uid: Option<&'o str>,
    study_date: Option<&'o str>,
}

impl<'o> OriginalEvent<'o> {
    fn new(pseudonym: &'o str, space: Space, original: &'o str) -> Self {
        Self {
            event: "original",
            pseudonym,
            kind: kind_of(space),
            original,
            anon_patient: None,
            patient_id: None,
            patient_name: None,
            birth_date: None,
            sex: None,
            anon_study: None,
            study_uid: None,
            study_date: None,
        }
    }

    fn of_patient(self, pseudonym: &'o str, phi: &'o PatientPhi) -> Self {
        Self {
            anon_patient: Some(pseudonym),
            patient_id: Some(phi.id.expose()),
            patient_name: Some(phi.name.expose()),
            birth_date: text(phi.birth_date.as_ref()),
            sex: text(phi.sex.as_ref()),
            ..self
        }
    }

    fn of_study(self, row: &'o StudyRow) -> Self {
        Self {
            anon_study: Some(&row.study),
            study_uid: Some(row.study_uid.expose()),
            study_date: text(row.phi.date.as_ref()),
            ..self.of_patient(&row.patient, &row.patient_phi)
        }
    }

    /// Returns the cells in the order of [`HEADERS`].
    fn cells(&self) -> [String; HEADERS.len()] {
        [
            Some(self.kind),
            Some(self.original),
            self.patient_id,
            self.patient_name,
            self.birth_date,
            self.sex,
            self.study_date,
            self.study_uid,
            self.anon_patient,
            self.anon_study,
        ]
        .map(|value| value.unwrap_or_default().to_owned())
    }
}

const HEADERS: [&str; 10] = [
    "kind",
    "original",
    "patient id",
    "patient name",
    "birth date",
    "sex",
    "study date",
    "study",
    "anon patient",
    "anon study",
];

fn text(value: Option<&Phi<String>>) -> Option<&str> {
    value.map(|value| value.expose().as_str())
}

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    pseudonym: &'s str,
    found: usize,
}

pub(crate) fn run(context: &Context<'_>, args: &Reidentify) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let lookups = open_project::read_lookups(&project, &settings)?;
    let report = context.report;
    let pseudonym = args.pseudonym.trim();
    // An accession number of several values has a pseudonym for each (PS3.5 section 6.2).
    let mut found = Vec::new();
    for part in pseudonym.split('\\').map(str::trim) {
        let originals = lookups.originals(part)?.into_iter();
        found.extend(originals.map(|(space, original)| (part, space, original)));
    }
    let count = u64::try_from(found.len())?;
    audit::append(&project.audit_file(), "reidentify", count)?;
    let mut output = Output {
        report,
        table: Table::new(&HEADERS),
    };
    for (part, space, original) in &found {
        let event = OriginalEvent::new(part, *space, original.expose());
        if *space == Space::Patient {
            match lookups.patient(part)? {
                Some(row) => output.print(&event.of_patient(part, &row.phi))?,
                None => output.print(&event)?,
            }
        } else {
            output.print_studies(&*lookups, &event, *space)?;
        }
    }
    let mut table = output.table;
    if found.is_empty() {
        report.info("there is no such pseudonym in this project");
    } else {
        table
            .finish()
            .iter()
            .try_for_each(|line| report.line(line))?;
    }
    report.summary(&Summary {
        event: "summary",
        command: "reidentify",
        pseudonym,
        found: found.len(),
    })?;
    Ok(if found.is_empty() {
        ExitStatus::Partial
    } else {
        ExitStatus::Done
    })
}

/// Where originals are printed.
struct Output<'r> {
    report: &'r Report,
    table: Table,
}

impl Output<'_> {
    fn print(&mut self, event: &OriginalEvent<'_>) -> anyhow::Result<()> {
        self.report.json(event)?;
        let lines = self.table.row(event.cells()).into_iter().flatten();
        lines
            .into_iter()
            .try_for_each(|line| self.report.line(&line))
    }

    /// Prints an original once for each study that has it, or once if none has.
    fn print_studies(
        &mut self,
        lookups: &dyn LookupStore,
        event: &OriginalEvent<'_>,
        space: Space,
    ) -> anyhow::Result<()> {
        let mut printed = Ok(());
        let mut found = false;
        lookups.studies_with(space, event.pseudonym, &mut |row| {
            found = true;
            printed = self.print(&event.clone().of_study(&row));
            match printed {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        printed?;
        if found { Ok(()) } else { self.print(event) }
    }
}

fn kind_of(space: Space) -> &'static str {
    match space {
        Space::Patient => "patient",
        Space::Uid => "uid",
        Space::Accession => "accession",
    }
}
