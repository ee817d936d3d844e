//! [`Progress`]: a progress bar with rate and remaining time, or a status line.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A progress bar or a status line on standard error. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

/// For files: while they are counted, their number is a lower bound and the remaining time is unknown.
const COUNTING: &str = "{spinner} {human_pos} of {human_len}+ files  {rate}  {elapsed}";
/// A status line.
const LIVE: &str = "{spinner} {msg}";
/// For exported objects: while they are listed, and after.
const LISTING: &str = "{spinner} {human_pos} of {human_len}+ objects  {rate}  {msg}  {elapsed}";
const LISTED: &str =
    "{bar:30} {human_pos} of {human_len} objects  {rate}  {msg}  {elapsed}, {eta} left";
const COUNTED: &str = "{bar:30} {human_pos} of {human_len} files  {rate}  {elapsed}, {eta} left";

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

    /// Sets the message.
    pub(crate) fn set_message(&self, text: String) {
        self.0.set_message(text);
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
