//! Runs DCMTK's programs.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::shared::Test;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct ToolOutput {
    pub(crate) code: Option<i32>,
    /// Standard output, followed by standard error.
    pub(crate) text: String,
}

impl ToolOutput {
    /// Returns an error with the output unless the exit code is 0.
    pub(crate) fn succeeds(self) -> Test<Self> {
        if self.code == Some(0) {
            return Ok(self);
        }
        Err(format!("exit code {:?}\n{}", self.code, self.text).into())
    }

    /// Returns an error with the output if the exit code is 0.
    pub(crate) fn fails(self) -> Test<Self> {
        if self.code != Some(0) {
            return Ok(self);
        }
        Err(format!("succeeded\n{}", self.text).into())
    }

    /// Returns the values of an element in all printed data sets: `(0008,0018) UI [1.2.3] # …`.
    pub(crate) fn values(&self, tag: &str) -> Vec<String> {
        let lines = self.text.lines().filter(|line| line.contains(tag));
        lines
            .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0))
            .map(|value| value.trim_matches([' ', '\0']).to_owned())
            .collect()
    }
}

/// Runs a tool, for at most a minute.
///
/// Disables Nagle's algorithm, as in the servers: `TCP_NODELAY=1` is DCMTK's switch for it.
pub(crate) fn dcmtk(tool: &str, arguments: &[impl AsRef<OsStr>]) -> Test<ToolOutput> {
    let output = Command::new("timeout")
        .args(["--kill-after=1", "60", tool])
        .args(arguments)
        .env("TCP_NODELAY", "1")
        .stdin(Stdio::null())
        .output()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(ToolOutput {
        code: output.status.code(),
        text,
    })
}
