//! Creates a project, for `anon init`, and for `import` and `import-java-index` where there is none.

use std::fs;
use std::path::{Path, PathBuf};

use anon_model::settings::{DateScheme, KeyDoc, Value};
use anon_model::{ProjectSettings, SiteId};
use anon_script::profile::Profile;
use anyhow::Context as _;

use crate::args::NewProject;
use crate::command::Context;
use crate::exit::Failure;
use crate::platform;
use crate::project::settings::Missing;
use crate::project::trust::{self, Purpose};
use crate::project::{Privacy, Project, accepted, rules, settings, write_file};

/// The values that the built-in rules keep. Printed once a project: when it is created with them.
const KEPT_BY_V17: &str =
    "rsna-v17 keeps times of day and free text (descriptions, comments) unchanged";

/// Printed with it, unless the project has another date scheme.
const DATES_OF_V17: &str = "\
it shifts dates by V17's public formula, which anyone who guesses a Patient ID can reverse; to \
prevent that, before the first import:";

/// Creates a project.
///
/// Writes `project.toml` last. A directory without it is not a project, and creating it again continues.
pub(crate) fn make(
    context: &Context<'_>,
    project: &Project,
    options: &NewProject,
) -> anyhow::Result<ProjectSettings> {
    let (mut settings, origin) = initial_settings(options)?;
    apply(&mut settings, options)?;
    if options.profile.is_some() {
        // Anybody who guesses a Patient ID can undo V17's dates.
        settings.dates = DateScheme::Keyed;
    }
    let script = script_path(&settings, origin.as_ref())?;
    if let Some(path) = &script {
        // Checked first: a script with errors creates no project.
        let (_, warnings) = rules::of_file_with_warnings(path, settings.dialect)?;
        for warning in warnings {
            context.report.info(&warning);
        }
    }
    trust::check_place(project.root())?;
    let public = project.public(settings.public_dir.as_deref());
    project.make_directories(&public)?;
    project.check_access()?;
    project.check_file_system(context.network_fs())?;
    project.check_same_file_system(&public)?;
    if let Some(path) = script {
        rules::adopt(project, &path, &mut settings)?;
    }
    settings::secret(project, &settings, Missing::Make)?;
    accepted::accept(project, &settings)?;
    let text = anon_model::settings::file::write(&settings);
    write_file(&project.settings_file(), text.as_bytes(), Privacy::Public)
        .context("cannot write project.toml")?;
    print_kept_values(context, project, &settings);
    Ok(settings)
}

fn print_kept_values(context: &Context<'_>, project: &Project, settings: &ProjectSettings) {
    let report = context.report;
    if let Some(profile) = settings
        .profile
        .as_deref()
        .and_then(|name| Profile::named(name).ok())
    {
        for option in profile.options() {
            report.info(&format!("{} keeps {}", option.name(), option.keeps()));
        }
    } else if settings.script == "rsna-v17" {
        report.info(KEPT_BY_V17);
        if settings.dates == DateScheme::V17 {
            let project = context.project().unwrap_or(project.root());
            let project = platform::shell_quoted(&project.to_string_lossy());
            report.info(&format!(
                "{DATES_OF_V17}\n  anon -p {project} config set dates keyed"
            ));
        }
    }
}

/// Returns the defaults, or the settings of another project with a new site id.
fn initial_settings(options: &NewProject) -> anyhow::Result<(ProjectSettings, Option<Project>)> {
    let no_numbers = || Failure::CannotRun("the system cannot provide random numbers".into());
    let Some(from) = &options.from else {
        return Ok((ProjectSettings::random().with_context(no_numbers)?, None));
    };
    let origin = Project::at(from)?;
    if !origin.exists() {
        return Err(Failure::configuration(format!(
            "{} is not a project: --from needs one to copy its settings",
            from.display()
        )));
    }
    let origin = origin.trusted(Purpose::Any)?;
    let mut settings = settings::load(&origin)?;
    settings.site_id = SiteId::random().with_context(no_numbers)?;
    Ok((settings, Some(origin)))
}

/// Returns the given options as settings.
fn given_settings(options: &NewProject) -> anyhow::Result<Vec<(&'static str, Value)>> {
    if let Some(profile) = &options.profile {
        rules::profile(profile)?;
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
        ("profile", text(&options.profile)),
        ("modalities", modalities),
    ];
    Ok(all
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

fn apply(settings: &mut ProjectSettings, options: &NewProject) -> anyhow::Result<()> {
    for (key, value) in given_settings(options)? {
        settings.set(key, &value).map_err(|problem| {
            Failure::configuration(format!("{}: {problem}", option_name(key)))
        })?;
    }
    Ok(())
}

fn option_name(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// Returns the script file of the settings. `None` for a built-in script.
fn script_path(
    settings: &ProjectSettings,
    origin: Option<&Project>,
) -> anyhow::Result<Option<PathBuf>> {
    if rules::is_builtin(&settings.script) || settings.profile.is_some() {
        return Ok(None);
    }
    let path = PathBuf::from(&settings.script);
    // A copied setting names a file in the other project.
    let path = match origin.map(|origin| origin.root().join(&path)) {
        Some(copied) if copied.is_file() => copied,
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

/// Refuses options of a new project that differ from the settings of the existing project.
pub(crate) fn check_against(
    project: &Project,
    settings: &ProjectSettings,
    options: &NewProject,
) -> anyhow::Result<()> {
    if options.from.is_some() {
        return Err(Failure::configuration(
            "--from is only for a new project, and this one exists",
        ));
    }
    for (key, value) in given_settings(options)? {
        let mut changed = settings.clone();
        let mut same = changed.set(key, &value).is_ok() && changed == *settings;
        if let ("script", Value::Text(file)) = (key, &value) {
            // The copy of a script has another name in the project.
            same |= rules::is_copy_of(project, settings, Path::new(file));
        }
        if !same {
            return Err(Failure::configuration(format!(
                "{} is only for a new project, and this one exists; to change it:\n  \
                 anon config set {key} {}",
                option_name(key),
                platform::shell_quoted(&value.to_string())
            )));
        }
    }
    Ok(())
}
