//! `private/audit.jsonl`: records who saw or removed originals, accepted an object from quarantine,
//! raised the counters, or made or restored a backup, when, and how many. It holds no values, but for the reason that the user typed.
//!
//! One JSON object a line, appended and synced before the command shows anything:
//! `{"version":1,"when":"2025-01-31T12:00:00Z","uid":1000,"user":"jane","command":"index","count":3}`

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::exit::Failure;
use crate::platform::files;
use crate::{clock, platform};

#[derive(Debug, Serialize)]
struct Line<'l> {
    version: u8,
    when: String,
    uid: u32,
    /// From the environment, which the user can change. `uid` identifies the user.
    user: Option<String>,
    command: &'l str,
    count: u64,
    /// The quarantine entry that was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'l str>,
    /// Why it was accepted, in the words of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'l str>,
}

/// Returns the user name that the environment gives.
fn user() -> Option<String> {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    name.ok()
}

/// Returns the user id, and the user name if there is one.
pub(crate) fn who() -> String {
    let uid = platform::user();
    user().map_or_else(|| uid.to_string(), |name| format!("{uid} {name}"))
}

/// Appends a line and syncs the file.
pub(crate) fn append(file: &Path, command: &str, count: u64) -> anyhow::Result<()> {
    append_line(file, command, count, None)
}

/// Appends that a quarantine entry is accepted, and why.
pub(crate) fn append_accepted(file: &Path, entry: &str, reason: &str) -> anyhow::Result<()> {
    append_line(file, "quarantine accept", 1, Some((entry, reason)))
}

fn append_line(
    file: &Path,
    command: &str,
    count: u64,
    accepted: Option<(&str, &str)>,
) -> anyhow::Result<()> {
    let line = Line {
        version: 1,
        when: clock::now(),
        uid: platform::user(),
        user: user(),
        command,
        count,
        entry: accepted.map(|(entry, _)| entry),
        reason: accepted.map(|(_, reason)| reason),
    };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    let mut options = OpenOptions::new();
    let appended =
        files::open_private(file, options.append(true).create(true)).and_then(|mut file| {
            // One write, so that the lines of several commands do not mix.
            file.write_all(text.as_bytes())?;
            file.sync_data()
        });
    appended.context(Failure::CannotRun(
        "cannot write private/audit.jsonl: nothing is shown or changed without a record".into(),
    ))
}
