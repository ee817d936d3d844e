//! A process group that ends when its guard is dropped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::shared::Test;

/// The leader of a process group. Its script watches its standard input and kills the group when
/// that closes, also if the test process is killed.
#[derive(Debug)]
pub(crate) struct Process(Mutex<Child>);

impl Process {
    /// Starts `command`, a script that ends with `become` of `.ci/servers/common.sh`.
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

    pub(crate) fn is_running(&self) -> Test<bool> {
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
        // The watcher kills the group; this waits for the kernel to finish.
        let _ = child.wait();
    }
}

/// Returns the names of the processes in a process group, which has the id of its leader (proc(5),
/// fields 2, 3 and 5 of stat).
#[cfg(target_os = "linux")]
pub(crate) fn group(leader: u32) -> Test<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let stat = std::fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        let Some((name, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = fields.split_whitespace();
        // A zombie has ended.
        let is_running = fields.next().is_some_and(|state| state != "Z");
        let of_group = fields.nth(1).is_some_and(|it| it.parse() == Ok(leader));
        if is_running && of_group {
            let name = name.split_once('(').map_or("", |(_, name)| name);
            found.push(name.to_owned());
        }
    }
    Ok(found)
}
