//! The log: `private/logs/anon.log`, and standard error with `-v`.
//!
//! The libraries log nothing that identifies a person, and this module adds no fields.

mod rotating_file;

use std::io;
use std::sync::Mutex;

use anon_model::settings::Log;
use anyhow::Context;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::args::Global;
use crate::exit::Failure;
use crate::project::Project;
use rotating_file::RotatingFile;

/// Starts the log of a command that writes to a project: file and standard error.
pub(crate) fn start(project: &Project, settings: &Log, global: &Global) -> anyhow::Result<()> {
    let file = RotatingFile::open(project.logs().join("anon.log")).context(Failure::CannotRun(
        "cannot open private/logs/anon.log".into(),
    ))?;
    let to_file = fmt::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .with_filter(filter(settings)?);
    tracing_subscriber::registry()
        .with(to_file)
        .with(to_stderr(global))
        .try_init()
        .context("cannot start the log twice")
}

/// Starts the log of a command that only reads or has no project: standard error alone.
pub(crate) fn start_without_file(global: &Global) -> anyhow::Result<()> {
    tracing_subscriber::registry()
        .with(to_stderr(global))
        .try_init()
        .context("cannot start the log twice")
}

fn to_stderr<S>(global: &Global) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    let level = match global.verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    fmt::layer()
        .with_ansi(false)
        .with_writer(io::stderr)
        .with_filter(level)
}

/// Builds the filter from `log.level` and, for single crates, `log.target.<crate>`. A target is a crate name
/// or a module path.
fn filter(settings: &Log) -> anyhow::Result<EnvFilter> {
    let mut directives = vec![settings.level.clone()];
    for (target, level) in &settings.targets {
        directives.push(format!("{}={level}", target.replace('-', "_")));
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .context(Failure::Configuration(
            "log.level or log.target is not a valid log filter".into(),
        ))
}
