//! [`Progress`]: a bar with rate and the time left.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar on standard error. Clones are one and the same.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

/// While the files are still being counted there is no time left to tell.
const COUNTING: &str = "{spinner} {human_pos} of {human_len}+ files  {rate}  {elapsed}";
const LIVE: &str = "{spinner} {msg}";
/// As these, of objects that are sent.
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

    /// A line that says what goes on, and has no end.
    pub(super) fn live() -> Self {
        let bar = ProgressBar::new_spinner().with_style(style(LIVE));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    /// A bar of objects that are sent.
    pub(super) fn export() -> Self {
        let bar = ProgressBar::new(0).with_style(style(LISTING));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// All objects are listed.
    pub(crate) fn all_listed(&self, objects: u64) {
        self.0.set_length(objects);
        self.0.set_style(style(LISTED));
    }

    /// What goes on now.
    pub(crate) fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// So many files are known to exist.
    pub(crate) fn counted(&self, files: u64) {
        self.0.set_length(files);
    }

    /// All files are counted.
    pub(crate) fn all_counted(&self, files: u64) {
        self.0.set_length(files);
        self.0.set_style(style(COUNTED));
    }

    /// So many files are dealt with.
    pub(crate) fn done(&self, files: u64) {
        self.0.set_position(files);
    }

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
    fn the_templates_are_sound() {
        for template in [COUNTING, COUNTED, LIVE, LISTING, LISTED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
