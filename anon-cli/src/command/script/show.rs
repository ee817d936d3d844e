//! `anon script show`: shows the rules as understood, and what they keep.

use anon_script::{Action, Row, RuleSet, Tag};
use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use serde::Serialize;

use super::{open, print_problems, summary};
use crate::args::ScriptFile;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::report::{Table, counted};

#[derive(Debug, Serialize)]
struct RuleEvent<'r> {
    event: &'static str,
    tag: String,
    name: &'static str,
    vr: String,
    action: &'static str,
    rule: &'r str,
    line: Option<u32>,
}

#[derive(Debug, Serialize)]
struct RemarkEvent<'r> {
    event: &'static str,
    text: &'r str,
    tags: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, script: &ScriptFile) -> anyhow::Result<ExitStatus> {
    let loaded = open(context, script)?;
    print_problems(context, script, &loaded)?;
    let Some(rules) = &loaded.rules else {
        context.report.summary(&summary("script show", &loaded))?;
        return Ok(loaded.exit_status());
    };
    let report = context.report;
    let mut table = Table::new(&["tag", "rule", "vr", "name"]);
    for row in rules.rows() {
        let entry = StandardDataDictionary.by_tag(row.tag);
        let vr = entry.map_or_else(String::new, |entry| entry.vr().relaxed().to_string().into());
        let name = entry.map_or("", DataDictionaryEntry::alias);
        let rule = rule_text(&row.action);
        report.json(&RuleEvent {
            event: "rule",
            tag: tag_digits(row.tag),
            name,
            vr: vr.clone(),
            action: action_name(&row.action),
            rule: &rule,
            line: row.line,
        })?;
        let lines = table.row([row.tag.to_string(), rule, vr, name.to_owned()]);
        lines
            .into_iter()
            .flatten()
            .try_for_each(|line| report.line(&line))?;
    }
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    print_remarks(context, rules)?;
    report.summary(&summary("script show", &loaded))?;
    Ok(ExitStatus::Done)
}

/// Prints what the rules keep on purpose.
fn print_remarks(context: &Context<'_>, rules: &RuleSet) -> anyhow::Result<()> {
    let kept = |vrs: &[VR]| -> Vec<&Row> {
        let is_one = |row: &&Row| {
            let entry = StandardDataDictionary.by_tag(row.tag);
            row.action == Action::Keep && entry.is_some_and(|e| vrs.contains(&e.vr().relaxed()))
        };
        rules.rows().iter().filter(is_one).collect()
    };
    let shifted = rules
        .rows()
        .iter()
        .filter(|row| row.action == Action::ShiftDate);
    let text = [VR::LO, VR::LT, VR::SH, VR::ST, VR::UC, VR::UT, VR::PN];
    for (remark, rows) in [
        ("times are kept", kept(&[VR::TM])),
        ("dates and date-times are kept", kept(&[VR::DA, VR::DT])),
        ("free text is kept and can hold anything", kept(&text)),
        (
            "dates are shifted by V17's public formula (MD5 of Patient ID modulo 3652 days): anyone who \
             guesses a Patient ID can reverse it, unless the project sets dates = \"keyed\"",
            shifted.collect(),
        ),
    ] {
        if !rows.is_empty() {
            print_remark(context, remark, &rows)?;
        }
    }
    context
        .report
        .line("note: elements that no rule names are removed")
}

fn print_remark(context: &Context<'_>, remark: &str, rows: &[&Row]) -> anyhow::Result<()> {
    context.report.json(&RemarkEvent {
        event: "remark",
        text: remark,
        tags: rows.iter().map(|row| tag_digits(row.tag)).collect(),
    })?;
    let head = format!("note: {remark}: {}", counted(rows.len() as u64, "element"));
    context.report.line(&head)?;
    for row in rows {
        let entry = StandardDataDictionary.by_tag(row.tag);
        let name = entry.map_or("", DataDictionaryEntry::alias);
        context.report.line(&format!("  {} {name}", row.tag))?;
    }
    Ok(())
}

/// Returns a tag as eight hexadecimal digits.
pub(super) fn tag_digits(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

/// Returns the name of an action.
pub(super) fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Remove => "remove",
        Action::Empty => "empty",
        Action::Uid => "uid",
        Action::Patient => "patient",
        Action::Accession => "accession",
        Action::ShiftDate => "shift_date",
        Action::RoundAge { .. } => "round_age",
        Action::Replace(_) | Action::Computed(_) | Action::Cleaned(_) | Action::Item(_) => {
            "replace"
        }
        Action::Decide => "decide",
    }
}

/// Returns an action in the syntax of V17.
pub(super) fn rule_text(action: &Action) -> String {
    match action {
        Action::Keep => "@keep".into(),
        Action::Remove => "@remove()".into(),
        Action::Empty => "@empty()".into(),
        Action::Uid => "@uid".into(),
        Action::Patient => "@ptid".into(),
        Action::Accession => "@acc".into(),
        Action::ShiftDate => "@hashdate".into(),
        Action::RoundAge { width } => format!("@round(this,{width})"),
        Action::Replace(text) | Action::Computed(text) | Action::Cleaned(text) => text.to_string(),
        // No script says these.
        Action::Item(_) | Action::Decide => String::new(),
    }
}
