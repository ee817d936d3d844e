//! `anon reidentify`: shows the original behind a pseudonym. Its output identifies patients.

use anon_model::{PatientRow, Phi, Space};
use serde::Serialize;

use crate::args::Reidentify;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::Project;
use crate::project::{audit, open_project, settings};
use crate::report::Table;

#[derive(Debug, Serialize)]
struct OriginalEvent<'o> {
    event: &'static str,
    pseudonym: &'o str,
    /// `patient`, `uid` or `accession`.
    kind: &'static str,
    original: &'o str,
    /// Only for the pseudonym of a patient, like the next two.
    patient_name: Option<&'o str>,
    birth_date: Option<&'o str>,
    sex: Option<&'o str>,
}

impl<'o> OriginalEvent<'o> {
    fn new(
        pseudonym: &'o str,
        space: Space,
        original: &'o str,
        patient: Option<&'o PatientRow>,
    ) -> Self {
        let phi = patient.map(|row| &row.phi);
        let exposed = |value: Option<&'o Phi<String>>| value.map(|value| value.expose().as_str());
        Self {
            event: "original",
            pseudonym,
            kind: kind_of(space),
            original,
            patient_name: exposed(phi.map(|phi| &phi.name)),
            birth_date: exposed(phi.and_then(|phi| phi.birth_date.as_ref())),
            sex: exposed(phi.and_then(|phi| phi.sex.as_ref())),
        }
    }

    fn cells(&self) -> [String; 5] {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        [
            self.kind.to_owned(),
            self.original.to_owned(),
            text(self.patient_name),
            text(self.birth_date),
            text(self.sex),
        ]
    }
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
    let found = lookups.originals(pseudonym)?;
    let patient = lookups.patient(pseudonym)?;
    let count = u64::try_from(found.len())?;
    audit::append(&project.audit_file(), "reidentify", count)?;
    let mut table = Table::new(&["kind", "original", "patient name", "birth date", "sex"]);
    for (space, original) in &found {
        let patient = patient.as_ref().filter(|_| *space == Space::Patient);
        let event = OriginalEvent::new(pseudonym, *space, original.expose(), patient);
        report.json(&event)?;
        let lines = table.row(event.cells()).into_iter().flatten();
        lines.into_iter().try_for_each(|line| report.line(&line))?;
    }
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

fn kind_of(space: Space) -> &'static str {
    match space {
        Space::Patient => "patient",
        Space::Uid => "uid",
        Space::Accession => "accession",
    }
}
