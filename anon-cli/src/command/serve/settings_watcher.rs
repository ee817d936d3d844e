//! [`SettingsWatcher`]: settings that change while a receiver runs.

use anon_model::ProjectSettings;

use crate::command::Context;
use crate::node::{self, Receiver};
use crate::project::Project;
use crate::project::settings;

/// Notices that `project.toml` was changed.
#[derive(Debug)]
pub(super) struct SettingsWatcher<'s> {
    project: &'s Project,
    /// The settings that the project was opened with.
    began: &'s ProjectSettings,
    text: String,
}

impl<'s> SettingsWatcher<'s> {
    pub(super) fn new(project: &'s Project, began: &'s ProjectSettings) -> Self {
        // Of what it is now nobody knows if it is what was opened: the first look finds out.
        let text = String::new();
        Self {
            project,
            began,
            text,
        }
    }

    /// Takes what the project does not take any more out of what the next associations are offered.
    pub(super) fn check(&mut self, context: &Context<'_>, receiver: &Receiver) {
        // An editor may be about to write it: it is read again soon.
        let Ok(text) = settings::read(self.project) else {
            return;
        };
        if text == self.text {
            return;
        }
        let is_first = self.text.is_empty();
        let now = settings::parse(&text);
        self.text = text;
        match now.and_then(|now| node::supported_now(self.began, &now)) {
            Ok(supported) => {
                receiver.running.set_supported(supported);
                if !is_first {
                    context.report.info(
                        "project.toml was changed: what the project takes no more is refused from the \
                         next association on; everything else counts when this is started again",
                    );
                }
            }
            Err(error) => context.report.warn(&format!(
                "project.toml was changed, and what it said before is kept: {error:#}"
            )),
        }
    }
}
