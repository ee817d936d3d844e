//! `anon`: de-identifies DICOM, from the command line.
//!
//! Each command is a few calls into the libraries. Only this crate prints, exits, and reads
//! arguments, environment and settings.

#[expect(clippy::doc_markdown, reason = "help texts, not Markdown")]
mod args;
mod clock;
mod command;
mod exit;
#[cfg(feature = "keyring")]
#[cfg_attr(
    not(feature = "cognito"),
    expect(dead_code, reason = "only Cognito users have a password")
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
    report::hide_panic_messages();
    let cli = args::Cli::parse();
    let report = report::Report::new(&cli.global);
    let name = cli.command.name();
    match command::run(cli, &report) {
        Ok(status) => status.into(),
        Err(error) => {
            let code = exit::code(&error);
            report.failure(name, &error, code);
            code.into()
        }
    }
}
