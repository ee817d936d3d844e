//! `anon completions` and `anon man`: made from the same description as the arguments.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::ExitStatus;
use crate::report::Report;

pub(crate) fn completions(report: &Report, shell: Shell) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "anon", &mut script);
    report.text(&String::from_utf8(script)?)?;
    Ok(ExitStatus::Done)
}

/// One page: the command, then each of its commands.
pub(crate) fn man(report: &Report) -> anyhow::Result<ExitStatus> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in visible(&command) {
        of_sub(sub, &format!("anon {}", sub.get_name()), &mut page)?;
    }
    report.text(&String::from_utf8(page)?)?;
    Ok(ExitStatus::Done)
}

fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

fn of_sub(command: &clap::Command, name: &str, page: &mut Vec<u8>) -> anyhow::Result<()> {
    page.extend_from_slice(format!(".SH {}\n", name.to_uppercase()).as_bytes());
    let man = clap_mangen::Man::new(command.clone());
    let mut part = Vec::new();
    man.render_synopsis_section(&mut part)?;
    man.render_description_section(&mut part)?;
    man.render_options_section(&mut part)?;
    // What is a section of a page of its own is a part of this one.
    let part = String::from_utf8(part)?.replace(".SH ", ".SS ");
    page.extend_from_slice(part.as_bytes());
    for sub in visible(command) {
        of_sub(sub, &format!("{name} {}", sub.get_name()), page)?;
    }
    Ok(())
}
