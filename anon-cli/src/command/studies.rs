//! `anon studies`: lists the stored studies by pseudonym. The output identifies nobody.

use std::fmt::Write as _;

use anon_model::{Cursor, Phi, SearchScope, SortDirection, StudyQuery, StudyRow, StudySort};
use serde::Serialize;

use crate::args::{Studies, StudyOrder};
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::platform::shell_quoted;
use crate::project::Project;
use crate::project::{open_project, settings};
use crate::report::{Table, counted};

#[derive(Debug, Serialize)]
struct StudyEvent {
    event: &'static str,
    patient: String,
    study: String,
    accession: Option<String>,
    series: u64,
    instances: u64,
    /// Instances that a retrieve expects. `None` if no retrieve asked for the study.
    expected: Option<u64>,
}

impl From<StudyRow> for StudyEvent {
    fn from(row: StudyRow) -> Self {
        Self {
            event: "study",
            patient: row.patient,
            study: row.study,
            accession: row.accession,
            series: row.series,
            instances: row.instances,
            expected: (row.target > 0).then_some(row.target),
        }
    }
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    /// Studies on this page.
    studies: usize,
    /// Studies on all pages.
    matches: u64,
    /// The position for `--after`. `None` on the last page.
    next: Option<String>,
}

pub(crate) fn run(context: &Context<'_>, args: &Studies) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let query = query(args)?;
    let settings = settings::load(&project)?;
    let lookups = open_project::read_lookups(&project, &settings)?;
    let page = lookups.studies_page(&query)?;
    let report = context.report;
    let headers = ["patient", "study", "series", "instances", "accession"];
    let mut table = Table::new(&headers).may_drop(&["accession", "series", "instances"]);
    let studies = page.rows.len();
    for row in page.rows {
        let study = StudyEvent::from(row);
        report.json(&study)?;
        let counts = [study.series, study.instances].map(|count| count.to_string());
        let cells = [study.patient, study.study].into_iter().chain(counts);
        let cells = cells.chain([study.accession.unwrap_or_default()]);
        let lines = table.row(cells).into_iter().flatten();
        lines.into_iter().try_for_each(|line| report.line(&line))?;
    }
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    let next = page.next.map(|next| position(&next));
    report.line(&total(studies, page.matches, args))?;
    if !report.is_json() {
        tell_more(context, args, &table, next.as_deref());
    }
    report.summary(&Summary {
        event: "summary",
        command: "studies",
        studies,
        matches: page.matches,
        next,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}

fn query(args: &Studies) -> anyhow::Result<StudyQuery> {
    let after = args.after.as_deref().map(|after| {
        let (value, study) = after.rsplit_once('/').ok_or_else(|| {
            Failure::configuration("--after is no position: take the one of the page before")
        })?;
        Ok::<_, anyhow::Error>(Cursor {
            value: Phi::new(value.to_owned()),
            pseudonym: study.to_owned(),
        })
    });
    Ok(StudyQuery {
        sort: match args.sort {
            StudyOrder::Patient => StudySort::Patient,
            StudyOrder::FirstSeen => StudySort::FirstSeen,
            StudyOrder::Instances => StudySort::Instances,
        },
        direction: if args.descending {
            SortDirection::Descending
        } else {
            SortDirection::Ascending
        },
        search: Phi::new(args.filter.clone()),
        // A search among originals would show whose pseudonym is whose.
        scope: SearchScope::Pseudonyms,
        limit: args.limit,
        after: after.transpose()?,
    })
}

/// Formats a cursor for `--after`. In these sort orders its value is a pseudonym or a number, never
/// an original.
fn position(cursor: &Cursor) -> String {
    format!("{}/{}", cursor.value.expose(), cursor.pseudonym)
}

fn total(studies: usize, matches: u64, args: &Studies) -> String {
    match (studies as u64, matches) {
        (_, 0) if args.filter.is_empty() => {
            "no studies yet: import, receive or retrieve objects first".to_owned()
        }
        (_, 0) => "no study has this text in an anonymous id".to_owned(),
        (studies, matches) if studies < matches => {
            format!("{studies} of {}", counted(matches, "study"))
        }
        (studies, _) => counted(studies, "study"),
    }
}

/// Prints which columns are left out, and how to get the next page.
fn tell_more(context: &Context<'_>, args: &Studies, table: &Table, next: Option<&str>) {
    let report = context.report;
    if !table.dropped().is_empty() {
        report.info(&format!(
            "left out on this terminal: {}; --format json shows them",
            table.dropped().join(", ")
        ));
    }
    let Some(next) = next else { return };
    let mut command = format!("studies --limit {}", args.limit);
    let order = match args.sort {
        StudyOrder::Patient => "",
        StudyOrder::FirstSeen => " --sort first-seen",
        StudyOrder::Instances => " --sort instances",
    };
    command.push_str(order);
    if args.descending {
        command.push_str(" --descending");
    }
    for (option, value) in [("--filter", args.filter.as_str()), ("--after", next)] {
        if !value.is_empty() {
            let _ = write!(command, " {option} {}", shell_quoted(value));
        }
    }
    report.info(&format!("the next page:\n  anon {command}"));
}
