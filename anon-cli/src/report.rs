//! All printing. Data goes to standard output, talk and progress to standard error.

mod progress;
mod table;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::args::{Format, Global};
use crate::exit::Failure;

pub(crate) use progress::Progress;
pub(crate) use table::Table;

/// From here on a panic is told by its place alone: its text can hold a value, as that of a slice
/// of text does.
pub(crate) fn tell_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        tell_panic(&mut io::stderr().lock(), panic);
    }));
}

fn tell_panic(to: &mut dyn Write, panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(String::new, |location| {
        format!(" at {}:{}", location.file(), location.line())
    });
    // There is no other place to tell that standard error is gone.
    let _ = writeln!(
        to,
        "internal error{place}: this is a bug; what it says is not shown, because it can identify"
    );
}

/// Prints what a command has to say.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    quiet: bool,
    show_phi: bool,
    /// True once the one summary is on its way.
    is_concluded: AtomicBool,
    progress: Mutex<Option<Progress>>,
}

/// The summary of a command that ended in an error before it had one of its own.
#[derive(Debug, Serialize)]
struct Failed<'e> {
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
            is_concluded: AtomicBool::new(false),
            progress: Mutex::new(None),
        }
    }

    /// True if standard output is JSON Lines.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// True if paths may be shown to people.
    pub(crate) fn shows_phi(&self) -> bool {
        self.show_phi
    }

    /// One JSON line, if JSON is what is wanted.
    pub(crate) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        if self.is_json() {
            let mut line = serde_json::to_string(value)?;
            line.push('\n');
            self.out(line.as_bytes())?;
        }
        Ok(())
    }

    /// The one summary, which is the last line of JSON.
    pub(crate) fn summary(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.is_concluded.store(true, Ordering::Relaxed);
        self.json(value)
    }

    /// One line for people, if people are to read this. Control characters are shown, not sent.
    pub(crate) fn line(&self, text: &str) -> anyhow::Result<()> {
        if !self.is_json() {
            self.out(format!("{}\n", plain(text)).as_bytes())?;
        }
        Ok(())
    }

    /// A text whose lines end where it says so, in either format: a script, a manual page.
    pub(crate) fn text(&self, text: &str) -> anyhow::Result<()> {
        self.out(text.as_bytes())
    }

    fn out(&self, bytes: &[u8]) -> anyhow::Result<()> {
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
                Err(Failure::NoReader.into())
            }
            other => other.map_err(|error| {
                anyhow::Error::new(error).context("cannot write to standard output")
            }),
        }
    }

    /// Something for people to know. Never data, never an identifying value.
    pub(crate) fn info(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Something for people to look at.
    pub(crate) fn warn(&self, text: &str) {
        self.info(&format!("warning: {text}"));
    }

    /// Why the command ends: said also when quiet, and the summary if there is none yet.
    pub(crate) fn failed(&self, command: &'static str, error: &anyhow::Error, code: u8) {
        self.error(error);
        if self.is_concluded.load(Ordering::Relaxed) {
            return;
        }
        let failed = Failed {
            event: "summary",
            command,
            error: &format!("{error:#}"),
            code,
        };
        if let Err(error) = self.summary(&failed) {
            self.error(&error);
        }
    }

    fn error(&self, error: &anyhow::Error) {
        if !matches!(error.downcast_ref(), Some(Failure::NoReader)) {
            self.say(&format!("error: {error:#}"));
        }
    }

    fn say(&self, text: &str) {
        let print = || {
            let mut err = io::stderr().lock();
            for line in text.lines() {
                // Standard error is where failures are told; there is no other place to tell its own.
                let _ = writeln!(err, "{}", plain(line));
            }
        };
        match self.bar().as_ref() {
            Some(bar) => bar.hidden_while(print),
            None => print(),
        }
    }

    /// Shows a bar on standard error, if that is a terminal and talk is wanted.
    pub(crate) fn start_progress(&self) -> Option<Progress> {
        self.start(Progress::new)
    }

    /// Shows a bar of objects that are sent, where a bar would be shown.
    pub(crate) fn start_export(&self) -> Option<Progress> {
        self.start(Progress::export)
    }

    /// Shows a line that says what goes on, where a bar would be shown.
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

    /// The bar that is shown.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.bar().clone()
    }

    /// Takes the bar away.
    pub(crate) fn end_progress(&self) {
        if let Some(progress) = self.bar().take() {
            progress.clear();
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text with control characters made visible: a value from outside must not steer a terminal.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\t';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A number of bytes for people, in units of 1024.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} {}", UNITS[0]);
    }
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).unwrap_or(&"TiB");
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_without_its_text() {
        static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|panic| {
            tell_panic(&mut *SAID.lock().unwrap(), panic);
        }));
        let name = String::from("Jérôme");
        // What std says of this names the text.
        let caught = std::panic::catch_unwind(|| name[2..].len());
        std::panic::set_hook(before);
        assert!(caught.is_err());
        let said = String::from_utf8(SAID.lock().unwrap().clone()).unwrap();
        assert!(said.contains("report.rs:"), "{said}");
        assert!(!said.contains("rôme"), "{said}");
    }

    #[test]
    fn values_do_not_steer_the_terminal() {
        assert_eq!(plain("DOE^JANE\u{1b}[2J"), "DOE^JANE\\u{1b}[2J");
        assert_eq!(plain("Müller\ta"), "Müller\ta");
    }

    #[test]
    fn byte_counts() {
        for (count, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
