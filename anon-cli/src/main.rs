//! `anon`: de-identifies DICOM, from the command line.
//!
//! Thin: each command is a few calls into the libraries. Only this crate prints, exits and reads
//! arguments, environment and settings.

#[expect(clippy::doc_markdown, reason = "help texts, not Markdown")]
mod args;
mod clock;
mod command;
mod exit;
#[cfg(feature = "keyring")]
#[cfg_attr(
    not(feature = "cognito"),
    expect(dead_code, reason = "only a user of Cognito has a password")
)]
mod keyring;
mod log;
mod node;
mod platform;
mod project;
mod report;
mod signal;
mod work;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    report::tell_panics_by_place();
    let cli = args::Cli::parse();
    let report = report::Report::new(&cli.global);
    let name = cli.command.name();
    match command::run(cli, &report) {
        Ok(ended) => ended.into(),
        Err(error) => {
            let code = exit::code(&error);
            report.failed(name, &error, code);
            code.into()
        }
    }
}
