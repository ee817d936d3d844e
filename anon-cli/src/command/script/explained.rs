//! What `anon script explain` says of an element, and the file that it reads.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use anyhow::Context as _;
use dicom_object::{FileDicomObject, InMemDicomObject, OpenFileOptions};
use serde::Serialize;

use crate::command::Context;
use crate::exit::Failure;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;

#[derive(Debug, Serialize)]
pub(super) struct Summary<'s> {
    pub(super) event: &'static str,
    pub(super) command: &'static str,
    pub(super) tag: String,
    pub(super) rule: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) action: &'static str,
    pub(super) value: Option<String>,
    pub(super) outcome: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// The result for one element.
#[derive(Debug, Default)]
pub(super) struct ElementResult {
    pub(super) outcome: &'static str,
    pub(super) value: Option<String>,
    pub(super) reason: Option<String>,
}

impl ElementResult {
    pub(super) fn from_outcome(outcome: &'static str) -> Self {
        Self {
            outcome,
            ..Self::default()
        }
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || Failure::CannotRun(format!("cannot read {}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::cannot_run(format!(
            "{} is larger than 1 GiB",
            path.display()
        )));
    }
    Ok(bytes)
}

pub(super) fn parsed(bytes: &[u8]) -> anyhow::Result<FileDicomObject<InMemDicomObject>> {
    Ok(OpenFileOptions::new().from_reader(Cursor::new(bytes))?)
}

pub(super) fn print(context: &Context<'_>, summary: &Summary<'_>) -> anyhow::Result<()> {
    let line = |text: String| context.report.line(&text);
    match (&summary.rule, summary.line) {
        (Some(rule), Some(number)) => {
            line(format!("{}: {rule} (line {number})", summary.tag))?;
        }
        (Some(rule), None) => line(format!("{}: {rule}", summary.tag))?,
        (None, _) => line(format!("{}: no rule names it", summary.tag))?,
    }
    line(format!("action:  {}", summary.action))?;
    line(format!("outcome: {}", summary.outcome))?;
    if let Some(value) = &summary.value {
        line(format!("value:   {value}"))?;
    }
    if let Some(reason) = &summary.reason {
        line(format!("reason:  {reason}"))?;
    }
    Ok(())
}
