//! `anon script`: checks, shows and explains scripts. Needs no project.

mod explain;
mod explain_ctp;
mod explained;
mod facts;
mod show;

use std::path::Path;

use anon_script::check::{Compiled, load, strict_ctp};
use anon_script::{Diagnostic, Dialect, RuleSet, Severity, builtin};
use serde::Serialize;

use crate::args::{DialectName, Script, ScriptFile};
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::rules;
use crate::report::counted;

#[derive(Debug, Serialize)]
struct Problem<'d> {
    event: &'static str,
    severity: &'static str,
    code: &'static str,
    message: &'static str,
    line: u32,
    column: u32,
    text: &'d str,
    help: &'d str,
}

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'s str,
    dialect: Option<&'static str>,
    rules: Option<usize>,
    errors: usize,
    warnings: usize,
}

pub(crate) fn run(context: &Context<'_>, action: &Script) -> anyhow::Result<ExitStatus> {
    log::start_without_file(&context.global)?;
    match action {
        Script::Check { script } => check(context, script),
        Script::Show { script } => show::run(context, script),
        Script::Explain {
            script,
            tag,
            with,
            lookup,
        } => explain::run(context, script, tag, with.as_deref(), lookup.as_deref()),
    }
}

/// The result of loading a script.
#[derive(Debug)]
struct LoadedScript {
    rules: Option<RuleSet>,
    dialect: Option<Dialect>,
    problems: Vec<Diagnostic>,
    /// The number of rules of a script of CTP.
    ctp_rules: Option<usize>,
    /// The text. `None` for a built-in script.
    text: Option<String>,
}

impl LoadedScript {
    fn count(&self, severity: Severity) -> usize {
        let same = |problem: &&Diagnostic| problem.severity == severity;
        self.problems.iter().filter(same).count()
    }

    fn exit_status(&self) -> ExitStatus {
        if self.rules.is_some() || self.ctp_rules.is_some() {
            ExitStatus::Done
        } else {
            ExitStatus::BadConfiguration
        }
    }
}

fn open(context: &Context<'_>, script: &ScriptFile) -> anyhow::Result<LoadedScript> {
    if let Some(rules) = builtin(&script.file) {
        return Ok(LoadedScript {
            rules: Some(rules),
            dialect: Some(Dialect::Rsna),
            problems: Vec::new(),
            ctp_rules: None,
            text: None,
        });
    }
    let text = rules::read(Path::new(&script.file))?;
    let stated = script.dialect.map(|dialect| match dialect {
        DialectName::Rsna => Dialect::Rsna,
        DialectName::Ctp | DialectName::CtpCompatible => Dialect::Ctp,
    });
    if rules::is_ctp(&text, stated) {
        return open_ctp(context, Path::new(&script.file), text);
    }
    Ok(match load(&text, stated) {
        Ok(compiled) => {
            let Compiled {
                rules,
                dialect,
                warnings,
                ..
            } = compiled;
            LoadedScript {
                rules: Some(rules),
                dialect: Some(dialect),
                problems: warnings,
                ctp_rules: None,
                text: Some(text),
            }
        }
        Err(problems) => LoadedScript {
            rules: None,
            dialect: stated,
            problems,
            ctp_rules: None,
            text: Some(text),
        },
    })
}

/// Opens a script of CTP.
fn open_ctp(context: &Context<'_>, path: &Path, text: String) -> anyhow::Result<LoadedScript> {
    let mut loaded = LoadedScript {
        rules: None,
        dialect: Some(Dialect::Ctp),
        problems: Vec::new(),
        ctp_rules: None,
        text: None,
    };
    match strict_ctp(&text) {
        Ok(script) => {
            let program = rules::program(path, &text, script)?;
            if program.keeps_unspecified() {
                context.report.info(rules::KEEPS_UNSPECIFIED);
            }
            loaded.ctp_rules = Some(program.rules());
        }
        Err(problems) => loaded.problems = problems,
    }
    loaded.text = Some(text);
    Ok(loaded)
}

/// Prints what is wrong with a script.
fn print_problems(
    context: &Context<'_>,
    script: &ScriptFile,
    loaded: &LoadedScript,
) -> anyhow::Result<()> {
    for problem in &loaded.problems {
        let severity = match problem.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        context.report.json(&Problem {
            event: "diagnostic",
            severity,
            code: problem.code.as_str(),
            message: problem.code.message(),
            line: problem.position.line,
            column: problem.position.column,
            text: &problem.text,
            help: &problem.help,
        })?;
        let placed = rules::placed(&script.file, problem);
        placed
            .lines()
            .try_for_each(|line| context.report.line(line))?;
    }
    Ok(())
}

fn summary<'s>(command: &'s str, loaded: &LoadedScript) -> Summary<'s> {
    Summary {
        event: "summary",
        command,
        dialect: loaded.dialect.map(Dialect::name),
        rules: (loaded.rules.as_ref())
            .map(|rules| rules.rows().len())
            .or(loaded.ctp_rules),
        errors: loaded.count(Severity::Error),
        warnings: loaded.count(Severity::Warning),
    }
}

fn check(context: &Context<'_>, script: &ScriptFile) -> anyhow::Result<ExitStatus> {
    let loaded = open(context, script)?;
    print_problems(context, script, &loaded)?;
    let summary = summary("script check", &loaded);
    context.report.summary(&summary)?;
    let counts = format!(
        "{}, {}",
        counted(summary.errors as u64, "error"),
        counted(summary.warnings as u64, "warning")
    );
    context
        .report
        .line(&match (summary.rules, summary.dialect) {
            (Some(rules), Some(dialect)) => {
                format!(
                    "{}: valid, {}, dialect {dialect}; {counts}",
                    script.file,
                    counted(rules as u64, "rule")
                )
            }
            _ => format!("{}: invalid; {counts}", script.file),
        })?;
    Ok(loaded.exit_status())
}
