//! All printing. Data goes to standard output, messages and progress to standard error.

mod progress;
mod table;
mod words;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::args::{Format, Global};
use crate::exit::Failure;
use crate::platform;

pub(crate) use progress::Progress;
pub(crate) use table::{Table, record};
pub(crate) use words::{bytes, counted};

/// Makes panics print their location only. The message can hold a value, such as a sliced string.
pub(crate) fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        print_panic(&mut io::stderr().lock(), panic);
    }));
}

fn print_panic(to: &mut dyn Write, panic: &PanicHookInfo<'_>) {
    let location = panic.location().map_or_else(String::new, |location| {
        format!(" at {}:{}", location.file(), location.line())
    });
    // A failure to write to standard error cannot be reported anywhere.
    let _ = writeln!(
        to,
        "internal error{location}: this is a bug, please report it; its message is hidden because it can \
         identify a patient"
    );
}

/// Prints the output of a command.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    quiet: bool,
    show_phi: bool,
    /// `anon`, with the project of this run if one is named.
    command: String,
    /// True once the summary is printed.
    has_summary: AtomicBool,
    progress: Mutex<Option<Progress>>,
}

/// The summary of a command that failed before it printed its own.
#[derive(Debug, Serialize)]
struct FailureSummary<'e> {
    event: &'static str,
    command: &'static str,
    error: &'e str,
    /// The exit code.
    code: u8,
}

impl Report {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            format: global.format,
            quiet: global.quiet,
            show_phi: global.show_phi,
            command: words::command(global.project.as_deref()),
            has_summary: AtomicBool::new(false),
            progress: Mutex::new(None),
        }
    }

    /// Returns true if standard output is JSON Lines.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns true if paths may be shown in tables and messages.
    pub(crate) fn shows_phi(&self) -> bool {
        self.show_phi
    }

    /// Returns the command line of `anon` with these words, for the project of this run.
    pub(crate) fn command_line(&self, words: &str) -> String {
        format!("{} {words}", self.command)
    }

    /// Prints one line of JSON, with `--format json` only.
    pub(crate) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        if self.is_json() {
            let mut line = serde_json::to_string(value)?;
            line.push('\n');
            self.write_stdout(line.as_bytes())?;
        }
        Ok(())
    }

    /// Prints the summary, which is the last line of JSON.
    pub(crate) fn summary(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.has_summary.store(true, Ordering::Relaxed);
        self.json(value)
    }

    /// Prints one line for people, with `--format human` only. Control characters are escaped. On a
    /// terminal, a longer line continues in the next one.
    pub(crate) fn line(&self, text: &str) -> anyhow::Result<()> {
        if self.is_json() {
            return Ok(());
        }
        let text = escaped(text);
        let mut lines = String::with_capacity(text.len() + 1);
        for line in words::wrapped(&text, platform::columns_of_stdout()) {
            lines.push_str(&line);
            lines.push('\n');
        }
        self.write_stdout(lines.as_bytes())
    }

    /// Prints a text unchanged, in either format: a completion script, a manual page.
    pub(crate) fn text(&self, text: &str) -> anyhow::Result<()> {
        self.write_stdout(text.as_bytes())
    }

    fn write_stdout(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let print = || {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        };
        let printed = match self.bar().as_ref() {
            Some(bar) if io::stdout().is_terminal() => bar.hidden_while(print),
            _ => print(),
        };
        match printed {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(Failure::OutputClosed.into())
            }
            other => other.map_err(|error| {
                anyhow::Error::new(error).context("cannot write to standard output")
            }),
        }
    }

    /// Prints a message on standard error unless `--quiet`. Messages hold no data and identify nobody.
    /// A line that begins with `  anon ` is a command: it gets the project of this run.
    pub(crate) fn info(&self, text: &str) {
        if !self.quiet {
            self.write_stderr("", text);
        }
    }

    /// Prints a warning on standard error unless `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            self.write_stderr("warning", text);
        }
    }

    /// Prints the error of a command, also with `--quiet`, and the summary if there was none.
    pub(crate) fn failure(&self, command: &'static str, error: &anyhow::Error, code: u8) {
        self.error(error);
        if self.has_summary.load(Ordering::Relaxed) {
            return;
        }
        let summary = FailureSummary {
            event: "summary",
            command,
            error: &words::with_project(&format!("{error:#}"), &self.command),
            code,
        };
        if let Err(error) = self.summary(&summary) {
            self.error(&error);
        }
    }

    fn error(&self, error: &anyhow::Error) {
        if !matches!(error.downcast_ref(), Some(Failure::OutputClosed)) {
            self.write_stderr("error", &format!("{error:#}"));
        }
    }

    /// Prints a message, with its kind in colour if standard error shows colours. As for clap's own
    /// errors, that is decided by the terminal, `NO_COLOR` and `CLICOLOR`.
    fn write_stderr(&self, kind: &str, text: &str) {
        let text = words::with_project(text, &self.command);
        let text = if kind.is_empty() {
            text
        } else {
            format!("{kind}: {text}")
        };
        let (columns, colour) = (platform::columns_of_stderr(), words::colour(kind));
        let print = || {
            let mut err = anstream::stderr().lock();
            for (number, line) in text.lines().enumerate() {
                let line = escaped(line);
                for (part, line) in words::wrapped(&line, columns).into_iter().enumerate() {
                    let label = line.get(..=kind.len()).filter(|_| number + part == 0);
                    let line = match label.filter(|_| !kind.is_empty()) {
                        Some(label) => {
                            let rest = line.get(label.len()..).unwrap_or_default();
                            format!("{colour}{label}{colour:#}{rest}\n")
                        }
                        None => format!("{line}\n"),
                    };
                    // A failure to write to standard error cannot be reported anywhere.
                    let _ = err.write_all(line.as_bytes());
                }
            }
        };
        match self.bar().as_ref() {
            Some(bar) => bar.hidden_while(print),
            None => print(),
        }
    }

    /// Shows a progress bar of files on standard error, if that is a terminal and not `--quiet`.
    pub(crate) fn start_progress(&self) -> Option<Progress> {
        self.start(Progress::new)
    }

    /// Shows a progress bar of exported objects, on the same conditions.
    pub(crate) fn start_export(&self) -> Option<Progress> {
        self.start(Progress::export)
    }

    /// Shows a status line, on the same conditions.
    pub(crate) fn start_live(&self) -> Option<Progress> {
        self.start(Progress::live)
    }

    fn start(&self, new: fn() -> Progress) -> Option<Progress> {
        if self.quiet || !io::stderr().is_terminal() {
            return None;
        }
        let progress = new();
        *self.bar() = Some(progress.clone());
        Some(progress)
    }

    /// Returns the progress bar that is shown.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.bar().clone()
    }

    /// Removes the progress bar.
    pub(crate) fn end_progress(&self) {
        if let Some(progress) = self.bar().take() {
            progress.clear();
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Escapes control characters: a value from outside must not control the terminal.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\t';
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut output = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_control(c) {
            let _ = write!(output, "{}", c.escape_default());
        } else {
            output.push(c);
        }
    }
    Cow::Owned(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_prints_its_location_but_not_its_message() {
        static PRINTED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|panic| {
            print_panic(&mut *PRINTED.lock().unwrap(), panic);
        }));
        let name = String::from("Jérôme");
        // The default message of this panic contains the sliced text.
        let caught = std::panic::catch_unwind(|| name[2..].len());
        std::panic::set_hook(before);
        assert!(caught.is_err());
        let printed = String::from_utf8(PRINTED.lock().unwrap().clone()).unwrap();
        assert!(printed.contains("report.rs:"), "{printed}");
        assert!(!printed.contains("rôme"), "{printed}");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("DOE^JANE\u{1b}[2J"), "DOE^JANE\\u{1b}[2J");
        assert_eq!(escaped("Müller\ta"), "Müller\ta");
    }
}
