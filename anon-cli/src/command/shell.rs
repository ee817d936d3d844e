//! `anon completions` and `anon man`, generated from the definition of the arguments.

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

/// Prints one manual page for `anon` and all its commands.
pub(crate) fn man(report: &Report) -> anyhow::Result<ExitStatus> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in visible(&command) {
        render_command(sub, &format!("anon {}", sub.get_name()), &mut page)?;
    }
    report.text(&String::from_utf8(page)?)?;
    Ok(ExitStatus::Done)
}

fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

fn render_command(command: &clap::Command, name: &str, page: &mut Vec<u8>) -> anyhow::Result<()> {
    page.extend_from_slice(format!(".SH {}\n", name.to_uppercase()).as_bytes());
    let man = clap_mangen::Man::new(command.clone());
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    man.render_description_section(&mut section)?;
    man.render_options_section(&mut section)?;
    // A section in a page of its own becomes a subsection here.
    let section = String::from_utf8(section)?.replace(".SH ", ".SS ");
    page.extend_from_slice(section.as_bytes());
    for sub in visible(command) {
        render_command(sub, &format!("{name} {}", sub.get_name()), page)?;
    }
    Ok(())
}
