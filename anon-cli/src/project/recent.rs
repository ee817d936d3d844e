//! The projects that this user has used: `anon/projects.json` in the state directory of the user, with
//! mode 0600. It holds directories and times, and nothing from inside a project.
//!
//! ```text
//! {"version":1,"projects":[{"directory":"/data/trial","used":"2025-01-31T12:00:00Z"}]}
//! ```
//!
//! The list is a convenience. No failure to read or write it is reported.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::project::{Privacy, Project, write_file};
use crate::{clock, platform};

const VERSION: u32 = 1;

/// The most projects that are listed.
const MOST: usize = 50;

#[derive(Debug, Serialize, Deserialize)]
struct Projects {
    version: u32,
    projects: Vec<RecentProject>,
}

/// A project that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecentProject {
    pub(crate) directory: PathBuf,
    /// When a command used it last, to the minute or so.
    pub(crate) used: String,
}

/// Returns the projects, the last one first.
pub(crate) fn projects() -> Vec<RecentProject> {
    file().map(|file| read(&file)).unwrap_or_default()
}

/// Adds the project to the list of recent projects.
pub(crate) fn remember(project: &Project) {
    if let Some(file) = file() {
        let _ = note(&file, project.root(), clock::now());
    }
}

fn file() -> Option<PathBuf> {
    Some(platform::state_directory()?.join("anon/projects.json"))
}

fn read(file: &Path) -> Vec<RecentProject> {
    let projects = fs::read(file).ok();
    let projects = projects.and_then(|bytes| serde_json::from_slice::<Projects>(&bytes).ok());
    let projects = projects.filter(|projects| projects.version == VERSION);
    projects.map_or_else(Vec::new, |projects| projects.projects)
}

fn note(file: &Path, directory: &Path, used: String) -> anyhow::Result<()> {
    let mut projects = read(file);
    // Written at most once a minute, so that commands in a loop do not wait for the disk.
    let minute = |used: &str| used.get(..16).map(str::to_owned);
    if let Some(last) = projects.first()
        && last.directory == directory
        && minute(&last.used) == minute(&used)
    {
        return Ok(());
    }
    projects.retain(|project| project.directory != directory);
    projects.insert(
        0,
        RecentProject {
            directory: directory.to_owned(),
            used,
        },
    );
    projects.truncate(MOST);
    let text = serde_json::to_vec(&Projects {
        version: VERSION,
        projects,
    })?;
    if let Some(parent) = file.parent()
        && !parent.is_dir()
    {
        if let Some(above) = parent.parent() {
            fs::create_dir_all(above)?;
        }
        platform::private_directory(parent)?;
    }
    Ok(write_file(file, &text, Privacy::Private)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_project_comes_first_and_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/anon/projects.json");
        for (directory, used) in [
            ("/a", "2025-01-31T12:00:00Z"),
            ("/b", "2025-01-31T12:01:00Z"),
            ("/a", "2025-01-31T12:02:00Z"),
            ("/a", "2025-01-31T12:02:59Z"),
        ] {
            note(&file, Path::new(directory), used.into()).unwrap();
        }
        let found = read(&file);
        let found: Vec<_> = found
            .iter()
            .map(|project| (project.directory.to_str().unwrap(), &*project.used))
            .collect();
        assert_eq!(
            found,
            [
                ("/a", "2025-01-31T12:02:00Z"),
                ("/b", "2025-01-31T12:01:00Z")
            ]
        );
        let access = platform::access(&file).unwrap();
        assert!(access.is_none_or(|access| access.others == 0));
    }

    #[test]
    fn a_damaged_list_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("projects.json");
        write_file(&file, b"{", Privacy::Private).unwrap();
        assert!(read(&file).is_empty());
        note(&file, Path::new("/a"), "2025-01-31T12:00:00Z".into()).unwrap();
        assert_eq!(read(&file).len(), 1);
    }
}
