//! `anon find --pick`: asks which studies to retrieve.

use std::io;

use anyhow::Context as _;

use crate::command::Context;
use crate::exit::Failure;
use crate::node::LastFind;
use crate::platform::terminal;

/// Fails unless there is a terminal and output is for people.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<()> {
    if context.report.is_json() || !terminal::is_there() {
        return Err(Failure::configuration(
            "--pick asks on a terminal: without one, name the studies with anon retrieve --from-last-find 1,3-5",
        ));
    }
    Ok(())
}

/// Asks for the numbers of studies until they can be used. `None` if none is picked, or after a
/// signal.
pub(super) fn ask(context: &Context<'_>, last: &LastFind) -> anyhow::Result<Option<String>> {
    let question = "Studies to retrieve (numbers such as 1,3-5, or all; Enter for none): ";
    loop {
        let ended = || context.signals.caught().is_some();
        let answer = match terminal::ask(question, ended) {
            Ok(answer) => answer.unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => {
                let cannot = Failure::CannotRun("cannot read from the terminal".into());
                return Err(error).context(cannot);
            }
        };
        if answer.trim().is_empty() {
            return Ok(None);
        }
        match last.choose(&answer) {
            Ok(_) => return Ok(Some(answer)),
            Err(error) => context.report.warn(&format!("{error:#}")),
        }
    }
}
