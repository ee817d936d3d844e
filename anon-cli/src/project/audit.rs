//! `private/audit.jsonl`: who looked at originals or removed them, when, and how many. No values.
//!
//! One JSON object a line, appended and synced before the command shows anything:
//! `{"version":1,"when":"2025-01-31T12:00:00Z","uid":1000,"user":"jane","command":"index","count":3}`

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::exit::Failure;
use crate::{clock, platform};

#[derive(Debug, Serialize)]
struct Line<'l> {
    version: u8,
    when: String,
    uid: u32,
    /// As the environment says; the number is what counts.
    user: Option<String>,
    command: &'l str,
    count: u64,
}

/// The name of who runs this, as the environment says.
fn user() -> Option<String> {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    name.ok()
}

/// Who runs this, in one word or two.
pub(crate) fn who() -> String {
    let uid = platform::user();
    user().map_or_else(|| uid.to_string(), |name| format!("{uid} {name}"))
}

/// Appends a line, durably.
pub(crate) fn append(file: &Path, command: &str, count: u64) -> anyhow::Result<()> {
    let line = Line {
        version: 1,
        when: clock::now(),
        uid: platform::user(),
        user: user(),
        command,
        count,
    };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    let mut options = OpenOptions::new();
    let appended = platform::private(options.append(true).create(true))
        .open(file)
        .and_then(|mut file| {
            // One write, so that lines of commands at the same time do not mix.
            file.write_all(text.as_bytes())?;
            file.sync_data()
        });
    appended.context(Failure::CannotRun(
        "cannot write private/audit.jsonl, and nothing is shown without a note of it".into(),
    ))
}
