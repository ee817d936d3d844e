//! Making a project: what `anon init` does, and `import` and `import-java-index` where there is none.

use std::fs;
use std::path::{Path, PathBuf};

use anon_model::settings::{KeyDoc, Value};
use anon_model::{ProjectSettings, SiteId};
use anyhow::Context as _;

use crate::args::NewProject;
use crate::command::Context;
use crate::exit::Failure;
use crate::project::settings::Missing;
use crate::project::{Privacy, Project, rules, settings, write_file};
use crate::report::Report;

/// What the built-in rules leave, said whenever a project begins with them.
const WHAT_STAYS: &str = "\
with rsna-v17, times of day and free text (descriptions, comments) stay as they are;
dates move by V17's public formula, which anyone who guesses a PatientID can undo: dates = \"keyed\" closes that";

/// Makes a project where there is none. `project.toml` comes last: a directory without it is no
/// project, and making it again goes on.
pub(crate) fn make(
    context: &Context<'_>,
    project: &Project,
    options: &NewProject,
) -> anyhow::Result<ProjectSettings> {
    let (mut settings, origin) = begin_with(options)?;
    apply(&mut settings, options)?;
    let script = script_of(&settings, origin.as_ref())?;
    if let Some(path) = &script {
        // Before anything is made: a script with faults makes no project.
        rules::of_file(path, settings.dialect)?;
    }
    let public = project.public(settings.public_dir.as_deref());
    project.make_directories(&public)?;
    project.check_access()?;
    project.check_file_system(context.network_fs())?;
    project.check_same_file_system(&public)?;
    if let Some(path) = script {
        rules::adopt(project, &path, &mut settings)?;
    }
    settings::secret(project, &settings, Missing::Make)?;
    let text = anon_model::settings::file::write(&settings);
    write_file(&project.settings_file(), text.as_bytes(), Privacy::Public)
        .context("cannot write project.toml")?;
    say_what_stays(context.report, &settings);
    Ok(settings)
}

fn say_what_stays(report: &Report, settings: &ProjectSettings) {
    if settings.script == "rsna-v17" {
        report.info(WHAT_STAYS);
    }
}

/// The settings to begin with: the defaults, or those of another project under a new site id.
fn begin_with(options: &NewProject) -> anyhow::Result<(ProjectSettings, Option<Project>)> {
    let no_numbers = || Failure::CannotRun("the system has no random numbers to give".into());
    let Some(from) = &options.from else {
        return Ok((ProjectSettings::random().with_context(no_numbers)?, None));
    };
    let origin = Project::at(from)?;
    if !origin.exists() {
        return Err(Failure::configuration(format!(
            "{} is not a project: there are no settings to take over",
            from.display()
        )));
    }
    let mut settings = settings::load(&origin)?;
    settings.site_id = SiteId::random().with_context(no_numbers)?;
    Ok((settings, Some(origin)))
}

/// The options as keys and values.
pub(crate) fn wanted(options: &NewProject) -> anyhow::Result<Vec<(&'static str, Value)>> {
    if let Some(profile) = &options.profile {
        return Err(Failure::configuration(format!(
            "there is no profile {profile:?}: no PS3.15 profile is built in yet; use --script"
        )));
    }
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let modalities = (!options.modalities.is_empty())
        .then(|| {
            KeyDoc::of("modalities")?
                .kind
                .parse(&options.modalities.join(","))
        })
        .flatten();
    let all = [
        ("uid_root", text(&options.uid_root)),
        ("site_id", text(&options.site_id)),
        ("name", text(&options.name)),
        ("script", text(&options.script)),
        ("modalities", modalities),
    ];
    Ok(all
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

fn apply(settings: &mut ProjectSettings, options: &NewProject) -> anyhow::Result<()> {
    for (key, value) in wanted(options)? {
        settings
            .set(key, &value)
            .map_err(|problem| Failure::configuration(format!("{}: {problem}", option(key))))?;
    }
    Ok(())
}

fn option(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// The script file that the settings name, if they name a file.
fn script_of(
    settings: &ProjectSettings,
    origin: Option<&Project>,
) -> anyhow::Result<Option<PathBuf>> {
    if rules::is_builtin(&settings.script) {
        return Ok(None);
    }
    let path = PathBuf::from(&settings.script);
    // One that was taken over stands in the other project.
    let path = match origin.map(|origin| origin.root().join(&path)) {
        Some(there) if there.is_file() => there,
        _ => path,
    };
    fs::metadata(&path).with_context(|| {
        Failure::Configuration(format!(
            "--script {:?} is neither a file nor a built-in script ({})",
            settings.script,
            anon_script::BUILTINS.join(", ")
        ))
    })?;
    Ok(Some(path))
}

/// Refuses options of a new project that say something else than the project that is there.
pub(crate) fn check_against(
    project: &Project,
    settings: &ProjectSettings,
    options: &NewProject,
) -> anyhow::Result<()> {
    if options.from.is_some() {
        return Err(Failure::configuration(
            "--from is for a project that does not exist yet",
        ));
    }
    for (key, value) in wanted(options)? {
        let mut changed = settings.clone();
        let mut same = changed.set(key, &value).is_ok() && changed == *settings;
        if let ("script", Value::Text(file)) = (key, &value) {
            // A script that was copied has another name in the project.
            same |= rules::is_copy_of(project, settings, Path::new(file));
        }
        if !same {
            return Err(Failure::configuration(format!(
                "the project exists, and {} is for a new one: use `anon config set {key} …`",
                option(key)
            )));
        }
    }
    Ok(())
}
