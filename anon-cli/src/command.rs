//! The commands, one module each.

mod backup;
mod config;
mod delete;
mod echo;
mod export;
mod find;
mod import;
mod index;
mod init;
mod java_index;
mod list;
mod new_project;
mod outcome;
mod patients;
mod profile;
mod quarantine;
mod reidentify;
mod restore;
mod retrieve;
mod script;
mod serve;
mod shell;
mod status;
mod studies;

use std::path::Path;

use anon_model::ProjectSettings;
use anyhow::Context as _;

use crate::args::{Cli, Command, Global};
use crate::exit::{ExitStatus, Failure};
use crate::platform;
use crate::project::trust::{Foreign, Purpose};
use crate::project::{self, NetworkFs, NewRules, OpenOptions, Project, accepted, recent};
use crate::report::Report;
use crate::signal::Signals;

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context<'r> {
    pub(crate) global: Global,
    pub(crate) report: &'r Report,
    pub(crate) signals: Signals,
}

impl Context<'_> {
    /// Returns the project of `--project`.
    pub(crate) fn project(&self) -> Option<&Path> {
        self.global.project.as_deref()
    }

    /// Returns the settings of a project. A change of them that was not accepted is refused.
    pub(crate) fn settings(&self, project: &Project) -> anyhow::Result<ProjectSettings> {
        let (settings, is_taken_over) = accepted::load(project)?;
        if is_taken_over {
            self.report.info(
                "the settings are accepted as they are now; a change of burned_in or of where objects \
                 go, made outside anon config, must be accepted once from now on",
            );
        }
        Ok(settings)
    }

    /// Returns whether `--allow-network-fs` is given.
    pub(crate) fn network_fs(&self) -> NetworkFs {
        if self.global.allow_network_fs {
            NetworkFs::Allow
        } else {
            NetworkFs::Refuse
        }
    }

    /// Returns the options to open a project for writing.
    pub(crate) fn open_options(&self, accept_new_rules: bool, jobs: Option<u16>) -> OpenOptions {
        OpenOptions {
            network_fs: self.network_fs(),
            new_rules: if accept_new_rules {
                NewRules::Accept
            } else {
                NewRules::Refuse
            },
            workers: jobs.map(usize::from),
        }
    }

    /// Returns the exit status of a received signal, else `otherwise`.
    pub(crate) fn exit_status(&self, otherwise: ExitStatus) -> ExitStatus {
        self.signals
            .caught()
            .map_or(otherwise, ExitStatus::Signalled)
    }

    /// Returns an `anon` command line for the project of this run.
    pub(crate) fn command_line(&self, command: &str) -> String {
        self.report.command_line(command)
    }
}

/// Runs the command of the command line.
pub(crate) fn run(cli: Cli, report: &Report) -> anyhow::Result<ExitStatus> {
    let project = project_of(&cli);
    if let Some(project) = &project
        && project::backup::finish(project)?
    {
        report.info("a restore that was interrupted is finished now");
    }
    let existed = project.as_ref().is_some_and(Project::exists);
    if let Some(project) = project.as_ref().filter(|_| existed) {
        recent::remember(project);
    }
    let done = dispatch(cli, report).map_err(|error| match error.downcast::<Foreign>() {
        Ok(foreign) => foreign.advised(&typed()),
        Err(error) => error,
    });
    if let Some(project) = project.filter(|project| !existed && project.exists()) {
        recent::remember(&project);
    }
    done
}

/// Returns the command line of this run, to be run again as another user.
fn typed() -> String {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| platform::shell_quoted(&word.to_string_lossy()));
    let mut line = Vec::new();
    // Another user has another environment.
    if let Some(root) = std::env::var_os("ANON_PROJECT") {
        let root = platform::shell_quoted(&root.to_string_lossy());
        line.extend(["env".to_owned(), format!("ANON_PROJECT={root}")]);
    }
    line.push("anon".to_owned());
    line.extend(words);
    line.join(" ")
}

/// Returns the project that a command is about to use or create.
fn project_of(cli: &Cli) -> Option<Project> {
    let named = cli.global.project.as_deref();
    match &cli.command {
        Command::Script(_)
        | Command::Profile(_)
        | Command::List(_)
        | Command::Completions { .. }
        | Command::Man => None,
        Command::Init(args) if args.dir.is_some() => Project::at(args.dir.as_deref()?).ok(),
        Command::Init(_) => init::project(named).ok(),
        Command::Export(_) => Project::chosen(named, Purpose::Export).ok(),
        _ => Project::chosen(named, Purpose::Any).ok(),
    }
}

fn dispatch(cli: Cli, report: &Report) -> anyhow::Result<ExitStatus> {
    let signals = Signals::listen().context(Failure::CannotRun("cannot handle signals".into()))?;
    let context = Context {
        global: cli.global,
        report,
        signals,
    };
    match cli.command {
        Command::Init(args) => init::run(&context, &args),
        Command::Import(args) => import::run(&context, &args),
        Command::ImportJavaIndex(args) => java_index::run(&context, &args),
        Command::Serve(args) => serve::run(&context, &args),
        Command::Echo(args) => echo::run(&context, &args),
        Command::Find(args) => find::run(&context, &args),
        Command::Retrieve(args) => retrieve::run(&context, &args),
        Command::Export(args) => export::run(&context, &args),
        Command::Status(args) => status::run(&context, &args),
        Command::Patients => patients::run(&context),
        Command::Studies(args) => studies::run(&context, &args),
        Command::List(what) => list::run(&context, &what),
        Command::Index(args) => index::run(&context, &args),
        Command::Reidentify(args) => reidentify::run(&context, &args),
        Command::Delete(args) => delete::run(&context, &args),
        Command::Backup(args) => backup::run(&context, &args),
        Command::Restore(args) => restore::run(&context, &args),
        Command::Quarantine(action) => quarantine::run(&context, action),
        Command::Script(action) => script::run(&context, &action),
        Command::Profile(action) => profile::run(&context, &action),
        Command::Config(action) => config::run(&context, action),
        Command::Completions { shell } => shell::completions(report, shell),
        Command::Man => shell::man(report),
    }
}
