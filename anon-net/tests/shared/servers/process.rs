//! A process group that ends with its guard.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::shared::Test;

/// Leads a process group. Its script watches our end of its standard input, and kills the group when
/// that closes; nothing else has to be done, and it is done too when the test process is killed.
#[derive(Debug)]
pub(crate) struct Process(Mutex<Child>);

impl Process {
    /// `command` is a script that ends in `become` of `.ci/servers/common.sh`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Test<Self> {
        let log = File::create(log)?;
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self(Mutex::new(child)))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    pub(crate) fn lives(&self) -> Test<bool> {
        Ok(self.child().try_wait()?.is_none())
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        drop(child.stdin.take());
        // The watcher kills: this ends as soon as the kernel has done so.
        let _ = child.wait();
    }
}
