//! Runs the binary and creates files for it to import.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small, us_colour};
use serde_json::Value;

pub(crate) type Test<T = ()> = Result<T, Box<dyn Error>>;

/// Exit code and output of a finished run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let [out, err] = [&self.out, &self.err].map(|text| last_lines(text));
        assert_eq!(self.code, Some(code), "{out}\n{err}");
        self
    }

    /// Parses every line of standard output as JSON.
    pub(crate) fn events(&self) -> Test<Vec<Value>> {
        let lines = self.out.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    }

    /// Returns the last line, which must be the only summary.
    #[track_caller]
    pub(crate) fn summary(&self) -> Test<Value> {
        let mut events = self.events()?;
        let last = events.pop().ok_or("nothing was printed")?;
        assert_eq!(last["event"], "summary", "{}", self.out);
        assert!(events.iter().all(|event| event["event"] != "summary"));
        Ok(last)
    }
}

/// Returns what a reader of a failed test needs: the lines before the last ones are events of files.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A temporary directory with a project and files to import.
#[derive(Debug)]
pub(crate) struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Test<Self> {
        let dir = tempfile::tempdir()?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.path().join("project")
    }

    /// Returns a command that runs in this directory, with no project set by the environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anon"));
        command
            .args(args)
            .current_dir(self.path())
            .env_remove("ANON_PROJECT")
            .env("XDG_STATE_HOME", self.path().join(".state"))
            .env("XDG_CONFIG_HOME", self.path().join(".config"))
            .env_remove("EDITOR")
            .env_remove("VISUAL")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Test<Run> {
        finish(&mut self.command(args))
    }

    /// Runs with `-p project --format json`.
    pub(crate) fn json(&self, args: &[&str]) -> Test<Run> {
        let mut all = vec!["-p", "project", "--format", "json"];
        all.extend(args);
        self.run(&all)
    }

    /// Sets a key of `project.toml`.
    pub(crate) fn set(&self, key: &str, value: &str) -> Test {
        self.json(&["config", "set", key, value])?.exits(0);
        Ok(())
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Test<PathBuf> {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().ok_or("a file name")?)?;
        File::create(&path)?.write_all(bytes)?;
        Ok(path)
    }

    /// Writes `count` small CT images of several patients to `in/`.
    pub(crate) fn cts(&self, count: u32) -> Test {
        for n in 0..count {
            let object = ct_small(&Place::nth(7, n, 5));
            self.put(&format!("in/{:03}/{n:05}.dcm", n / 50), &object)?;
        }
        Ok(())
    }

    /// Writes one small CT image for each of `count` patients to `in/`.
    pub(crate) fn patients_of_one(&self, count: u32) -> Test {
        for n in 0..count {
            let object = ct_small(&Place::nth(7, n * 20, 5));
            self.put(&format!("in/{n:05}.dcm"), &object)?;
        }
        Ok(())
    }

    /// Returns the anonymous ids of the patients that have outputs.
    pub(crate) fn patients(&self) -> Test<BTreeSet<String>> {
        let mut patients = BTreeSet::new();
        for entry in fs::read_dir(self.project().join("public"))? {
            patients.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(patients)
    }

    /// Writes `count` small CT images with long paths, whose events soon fill a pipe.
    pub(crate) fn cts_with_long_paths(&self, directory: &str, seed: u64, count: u32) -> Test {
        let long = "long".repeat(50);
        for n in 0..count {
            let object = ct_small(&Place::nth(seed, n, 5));
            self.put(&format!("{directory}/{long}/{n:05}.dcm"), &object)?;
        }
        Ok(())
    }

    pub(crate) fn put(&self, name: &str, object: &DataSet) -> Test<PathBuf> {
        self.write(name, &object.write(Syntax::ExplicitLittle))
    }

    /// Writes an ultrasound image, whose SOP class a new project does not accept.
    pub(crate) fn ultrasound(&self, name: &str) -> Test<PathBuf> {
        self.write(name, &us_colour(&Place::new(1)).write(Syntax::RLE))
    }

    /// Returns the files below `public/` by relative path.
    pub(crate) fn public(&self) -> Test<BTreeMap<String, Vec<u8>>> {
        tree(&self.project().join("public"))
    }
}

pub(crate) fn finish(command: &mut Command) -> Test<Run> {
    let output = command.output()?;
    Ok(Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// Waits, for tests that need a process to be somewhere in the middle of its work.
pub(crate) fn pause(time: std::time::Duration) {
    // Nothing is ever sent on this channel.
    let _ = crossbeam_channel::never::<()>().recv_timeout(time);
}

/// Returns every file below a directory by relative path.
pub(crate) fn tree(root: &Path) -> Test<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> Test<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[cfg(unix)]
pub(crate) fn chmod(path: &Path, mode: u32) -> Test {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
