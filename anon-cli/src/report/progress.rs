//! [`Progress`]: a progress bar with rate and remaining time, or a status line.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::platform;
use crate::report::words;

/// A progress bar or a status line on standard error. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

/// For files: while they are counted, their number is a lower bound and the remaining time is unknown.
const COUNTING: &str = "{spinner} {human_pos} of {human_len}+ files  {rate}  {elapsed}";
/// A status line. It is cut at the width of the terminal: a longer line would leave its parts behind.
const LIVE: &str = "{spinner} {wide_msg}";
/// For exported objects: while they are listed, and after. The message is the first to be cut.
const LISTING: &str =
    "{spinner} {human_pos} of {human_len}+ objects  {rate}  {elapsed}  {wide_msg}";
const LISTED: &str = "{bar:15} {human_pos} of {human_len} objects  {rate}  {eta} left  {wide_msg}";
const COUNTED: &str = "{bar:15} {human_pos} of {human_len} files  {rate}  {elapsed}, {eta} left";

impl Progress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0).with_style(style(COUNTING));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Returns a status line.
    pub(super) fn live() -> Self {
        let bar = ProgressBar::new_spinner().with_style(style(LIVE));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    /// Returns a bar of exported objects.
    pub(super) fn export() -> Self {
        let bar = ProgressBar::new(0).with_style(style(LISTING));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Sets the final number of objects.
    pub(crate) fn all_listed(&self, objects: u64) {
        self.0.set_length(objects);
        self.0.set_style(style(LISTED));
    }

    /// Sets the message. Parts at its end that the terminal has no room for are left out.
    pub(crate) fn set_message(&self, text: String) {
        // The spinner and a blank stand before it.
        let columns = platform::columns_of_stderr().map(|columns| columns.saturating_sub(2));
        self.0.set_message(match columns {
            Some(columns) => words::cut(&text, columns).to_owned(),
            None => text,
        });
    }

    /// Sets the number of files counted so far.
    pub(crate) fn counted(&self, files: u64) {
        self.0.set_length(files);
    }

    /// Sets the final number of files.
    pub(crate) fn all_counted(&self, files: u64) {
        self.0.set_length(files);
        self.0.set_style(style(COUNTED));
    }

    /// Sets the number of finished files or objects.
    pub(crate) fn done(&self, files: u64) {
        self.0.set_position(files);
    }

    /// Hides the bar while `print` runs.
    pub(super) fn hidden_while<R>(&self, print: impl FnOnce() -> R) -> R {
        self.0.suspend(print)
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, to: &mut dyn Write| {
            let _ = write!(to, "{:.0}/s", state.per_sec());
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [COUNTING, COUNTED, LIVE, LISTING, LISTED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
