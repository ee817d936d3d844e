//! The log: `private/logs/anon.log`, and standard error with `-v`.
//!
//! The libraries say nothing that identifies a person, and nothing here adds to what they say.

mod rotate;

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
use rotate::Rotating;

/// Starts the log of a command that writes to a project.
pub(crate) fn start(project: &Project, settings: &Log, global: &Global) -> anyhow::Result<()> {
    let file = Rotating::open(project.logs().join("anon.log")).context(Failure::CannotRun(
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
        .context("the log was started already")
}

/// Starts the log of a command that only reads, or has no project.
pub(crate) fn start_without_file(global: &Global) -> anyhow::Result<()> {
    tracing_subscriber::registry()
        .with(to_stderr(global))
        .try_init()
        .context("the log was started already")
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

/// `log.level`, and `log.target.<crate>` for single crates. A target may be written as the crate or
/// as its module path.
fn filter(settings: &Log) -> anyhow::Result<EnvFilter> {
    let mut directives = vec![settings.level.clone()];
    for (target, level) in &settings.targets {
        directives.push(format!("{}={level}", target.replace('-', "_")));
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .context(Failure::Configuration(
            "log.level or log.target cannot be understood".into(),
        ))
}
