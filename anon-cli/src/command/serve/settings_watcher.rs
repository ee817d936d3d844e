//! [`SettingsWatcher`]: applies changes of the settings while the receiver runs.

use anon_model::ProjectSettings;

use crate::command::Context;
use crate::node::{self, Receiver};
use crate::project::Project;
use crate::project::settings;

/// Detects changes of `project.toml`.
#[derive(Debug)]
pub(super) struct SettingsWatcher<'s> {
    project: &'s Project,
    /// The settings that the project was opened with.
    opened_with: &'s ProjectSettings,
    text: String,
}

impl<'s> SettingsWatcher<'s> {
    pub(super) fn new(project: &'s Project, opened_with: &'s ProjectSettings) -> Self {
        // Empty, so that the first check applies any change since the project was opened.
        let text = String::new();
        Self {
            project,
            opened_with,
            text,
        }
    }

    /// Applies a change: the next associations no longer accept what the project no longer accepts.
    pub(super) fn check(&mut self, context: &Context<'_>, receiver: &Receiver) {
        // An editor may be writing it. The next check reads it again.
        let Ok(text) = settings::read(self.project) else {
            return;
        };
        if text == self.text {
            return;
        }
        let is_first = self.text.is_empty();
        let now = settings::parse(&text);
        self.text = text;
        match now.and_then(|now| node::supported_now(self.opened_with, &now)) {
            Ok(supported) => {
                receiver.running.set_supported(supported);
                if !is_first {
                    context.report.info(
                        "project.toml changed: removed storage classes and transfer syntaxes are refused \
                         from the next association on; restart anon serve to apply other changes",
                    );
                }
            }
            Err(error) => context.report.warn(&format!(
                "project.toml changed but is invalid, so the previous settings stay in use: {error:#}"
            )),
        }
    }
}
