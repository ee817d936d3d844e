//! `anon profile`: shows what a profile of PS3.15 does. Needs no project.

use anon_script::profile::EDITION;
use anon_script::stays::keyword;
use serde::Serialize;

use crate::args::Profile;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::rules;
use crate::report::Table;

#[derive(Debug, Serialize)]
struct Row {
    event: &'static str,
    tag: String,
    keyword: &'static str,
    action: &'static str,
}

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    profile: &'s str,
    edition: &'static str,
    keeps: Vec<&'static str>,
    codes: Vec<&'s str>,
    rows: usize,
}

pub(crate) fn run(context: &Context<'_>, action: &Profile) -> anyhow::Result<ExitStatus> {
    use anon_script::Rules as _;
    log::start_without_file(&context.global)?;
    let Profile::Show { name } = action;
    let profile = rules::profile(name)?;
    let report = context.report;
    let mut table = Table::new(&["tag", "action", "name"]);
    let mut rows = 0;
    for (tag, action) in profile.rows() {
        let keyword = keyword(tag).unwrap_or_default();
        report.json(&Row {
            event: "attribute",
            tag: format!("{:04X}{:04X}", tag.group(), tag.element()),
            keyword,
            action,
        })?;
        let lines = table.row([tag.to_string(), action.to_owned(), keyword.to_owned()]);
        lines
            .into_iter()
            .flatten()
            .try_for_each(|line| report.line(&line))?;
        rows += 1;
    }
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    report.line(&format!("{} (PS3.15 {EDITION})", profile.name()))?;
    for option in profile.options() {
        report.line(&format!("{} keeps {}", option.name(), option.keeps()))?;
    }
    let codes = profile.method().codes.iter().map(|(code, _)| &**code);
    report.summary(&Summary {
        event: "summary",
        command: "profile show",
        profile: profile.name(),
        edition: EDITION,
        keeps: profile
            .options()
            .iter()
            .map(|option| option.keeps())
            .collect(),
        codes: codes.collect(),
        rows,
    })?;
    Ok(ExitStatus::Done)
}
