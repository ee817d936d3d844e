//! Where rules come from: a name that is built in, or a script file.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anon_model::ProjectSettings;
use anon_model::settings::{DateScheme, Dialect as Setting};
use anon_script::ctp::{CtpProgram, CtpScript};
use anon_script::profile::Profile;
use anon_script::syntax::Position;
use anon_script::{BUILTINS, Diagnostic, Dialect, Rules, Severity, builtin, check};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::{Privacy, Project, trust, write_file};

/// Said of a script of CTP.
pub(crate) const KEEPS_UNSPECIFIED: &str = "\
the script keeps every element that no row names; <r en=\"T\" t=\"unspecifiedelements\"/> removes them";

/// The name of a script's copy in the project.
pub(crate) const COPY: &str = trust::SCRIPT;

/// True for the name of a built-in rule set.
pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(&name)
}

/// The rules of a project.
pub(crate) fn of_project(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<Arc<dyn Rules>> {
    if let Some(name) = &settings.profile {
        let profile = profile(name)?;
        return Ok(Arc::new(match settings.dates {
            DateScheme::V17 => profile.without_claim_of_dates(),
            DateScheme::Keyed => profile,
        }));
    }
    if let Some(rules) = builtin(&settings.script) {
        return Ok(Arc::new(rules));
    }
    let path = project.root().join(&settings.script);
    trust::check_file(project.root(), &path)?;
    of_file(&path, settings.dialect)
}

/// The profile of this name.
pub(crate) fn profile(name: &str) -> anyhow::Result<Profile> {
    Profile::named(name).map_err(|error| Failure::configuration(error.to_string()))
}

/// The rules of a script file. Warnings go to the log, where its directory could identify: they have
/// only the name of the file.
pub(crate) fn of_file(path: &Path, dialect: Setting) -> anyhow::Result<Arc<dyn Rules>> {
    let (rules, warnings) = compiled(path, dialect)?;
    for warning in &warnings {
        tracing::warn!("{}", placed(&file_name(path), warning));
    }
    Ok(rules)
}

/// The rules of a script file, and what people should be warned of.
pub(crate) fn of_file_with_warnings(
    path: &Path,
    dialect: Setting,
) -> anyhow::Result<(Arc<dyn Rules>, Vec<String>)> {
    let (rules, warnings) = compiled(path, dialect)?;
    let mut warnings = all_placed(path, &warnings);
    let text = read(path)?;
    if is_ctp(&text, stated(dialect))
        && let Ok(script) = check::strict_ctp(&text)
        && program(path, &text, script)?.keeps_unspecified()
    {
        warnings.push(KEEPS_UNSPECIFIED.to_owned());
    }
    Ok((rules, warnings))
}

fn compiled(path: &Path, dialect: Setting) -> anyhow::Result<(Arc<dyn Rules>, Vec<Diagnostic>)> {
    let text = read(path)?;
    let refused = |problems: Vec<Diagnostic>| {
        Failure::configuration(format!(
            "the script {} is refused:\n{}",
            path.display(),
            all_placed(path, &problems).join("\n")
        ))
    };
    if is_ctp(&text, stated(dialect)) {
        let script = check::strict_ctp(&text).map_err(refused)?;
        return Ok((Arc::new(program(path, &text, script)?), Vec::new()));
    }
    let compiled = check::load(&text, stated(dialect)).map_err(refused)?;
    let rules = compiled.rules.named(&file_name(path));
    Ok((Arc::new(rules), compiled.warnings))
}

/// True for a script of CTP, by what is stated or by what only such a script has.
pub(crate) fn is_ctp(text: &str, stated: Option<Dialect>) -> bool {
    let dialect = stated.or_else(|| check::detect(&anon_script::parse(text).0));
    dialect == Some(Dialect::Ctp)
}

/// A script of CTP as rules.
pub(crate) fn program(path: &Path, text: &str, script: CtpScript) -> anyhow::Result<CtpProgram> {
    CtpProgram::new(&file_name(path), text, script).map_err(|error| {
        Failure::configuration(format!("the script {} is refused: {error}", path.display()))
    })
}

fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn all_placed(path: &Path, problems: &[Diagnostic]) -> Vec<String> {
    let file = path.display().to_string();
    let placed = problems.iter().map(|problem| placed(&file, problem));
    placed.collect()
}

/// Returns a problem with its place in the form of compilers, `file:line:column`, so that editors
/// find it.
pub(crate) fn placed(file: &str, problem: &Diagnostic) -> String {
    let severity = match problem.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let Position { line, column } = problem.position;
    let code = problem.code;
    let mut placed = format!(
        "{file}:{line}:{column}: {severity}[{code}]: {}",
        code.message()
    );
    if !problem.text.is_empty() {
        let text = problem.text.replace(char::is_control, " ");
        let _ = write!(placed, ": {text}");
    }
    if !problem.help.is_empty() {
        let _ = write!(placed, "\n  help: {}", problem.help);
    }
    placed
}

/// The text of a script.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| {
        Failure::Configuration(format!("cannot read the script {}", path.display()))
    })
}

/// What the setting says of the dialect; none: what the script's calls say.
pub(crate) fn stated(dialect: Setting) -> Option<Dialect> {
    match dialect {
        Setting::Auto => None,
        Setting::Rsna => Some(Dialect::Rsna),
        Setting::Ctp => Some(Dialect::Ctp),
    }
}

/// Copies a script into the project, so that it cannot vanish or change unseen, and names the copy
/// in the settings.
pub(crate) fn adopt(
    project: &Project,
    path: &Path,
    settings: &mut ProjectSettings,
) -> anyhow::Result<()> {
    of_file(path, settings.dialect)?;
    write_copy(project, &read(path)?)?;
    COPY.clone_into(&mut settings.script);
    Ok(())
}

/// Writes the text of a script to the copy in the project.
pub(crate) fn write_copy(project: &Project, text: &str) -> anyhow::Result<()> {
    write_file(&project.root().join(COPY), text.as_bytes(), Privacy::Public)
        .context("cannot copy the script into the project")
}

/// True if the project's script is a copy of this file.
pub(crate) fn is_copy_of(project: &Project, settings: &ProjectSettings, path: &Path) -> bool {
    let ours = fs::read(project.root().join(&settings.script));
    matches!((ours, fs::read(path)), (Ok(ours), Ok(theirs)) if ours == theirs)
}
