//! [`Archive`] and [`ArchiveWriter`]: the file of a backup. The [module above](super) has its drawing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::exit::Failure;
use crate::platform;

/// The version that this program writes.
const FORMAT: u32 = 1;
/// The beginning of the comment.
const TITLE: &str = "anon backup ";
/// Hexadecimal digits of the digest that ends the file.
const DIGITS: u64 = 64;
/// Bytes at the end of the file that hold the comment, also of a later version.
const TAIL: u64 = 256;
/// Bytes that are copied at once.
const WINDOW: usize = 1 << 20;
/// Bytes of a member that is read into memory.
const MAX_TEXT: u64 = 64 << 20;

const MANIFEST: &str = "manifest.json";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the format.
    pub(crate) format: u32,
    /// The version of the program.
    pub(crate) program: String,
    /// When it was made.
    pub(crate) made: String,
    /// The name of the project.
    pub(crate) name: String,
    pub(crate) site_id: String,
    /// The id of the lookup store; null if there is none.
    pub(crate) store: Option<String>,
    /// The group of the copy.
    pub(crate) group: Option<u64>,
    /// Entries of the quarantine that are not in it.
    pub(crate) quarantine_left_out: u64,
}

impl Manifest {
    pub(super) fn new(name: &str, site_id: &str, made: String) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made,
            name: name.to_owned(),
            site_id: site_id.to_owned(),
            store: None,
            group: None,
            quarantine_left_out: 0,
        }
    }
}

/// Writes a backup. It is none before it is finished.
pub(super) struct ArchiveWriter {
    zip: ZipWriter<File>,
}

impl ArchiveWriter {
    /// Begins a new file with mode 0600.
    pub(super) fn create(path: &Path, manifest: &Manifest) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = platform::private(&mut options)
            .open(path)
            .context("cannot create the backup")?;
        let mut archive = Self {
            zip: ZipWriter::new(file),
        };
        let text = serde_json::to_vec_pretty(manifest)?;
        archive.add(MANIFEST, &mut &*text)?;
        Ok(archive)
    }

    /// Adds a member.
    pub(super) fn add(&mut self, name: &str, from: &mut dyn Read) -> anyhow::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .unix_permissions(0o600)
            .large_file(true);
        self.zip
            .start_file(name, options)
            .context("cannot write the backup")?;
        let mut from = BufReader::with_capacity(WINDOW, from);
        io::copy(&mut from, &mut self.zip).context("cannot write the backup")?;
        Ok(())
    }

    /// Ends the file with its digest and syncs it. Returns its length.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        let blank = "0".repeat(usize::try_from(DIGITS)?);
        self.zip.set_comment(format!("{TITLE}{FORMAT} {blank}"))?;
        let mut file = self.zip.finish().context("cannot write the backup")?;
        let end = |file: &mut File| {
            let length = file.seek(SeekFrom::End(0))?;
            let digest = digest_of(file, length - DIGITS)?;
            file.seek(SeekFrom::Start(length - DIGITS))?;
            file.write_all(digest.as_bytes())?;
            file.sync_all()?;
            Ok::<_, io::Error>(length)
        };
        end(&mut file).context("cannot write the backup")
    }
}

/// A backup whose every byte is as it was written.
pub(crate) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    manifest: Manifest,
}

impl Archive {
    /// Opens and checks a file.
    ///
    /// # Errors
    /// If it is no backup, if a byte of it was changed or is missing, or if it is of a newer version.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let cannot = || Failure::CannotRun(format!("cannot read {}", path.display()));
        // Opening a pipe would wait for ever.
        if !fs::metadata(path).with_context(cannot)?.is_file() {
            return Err(Failure::cannot_run(format!(
                "{} is not a file",
                path.display()
            )));
        }
        let mut file = File::open(path).with_context(cannot)?;
        check(&mut file, path)?;
        let no_archive = || damaged(path);
        let zip =
            ZipArchive::new(BufReader::with_capacity(WINDOW, file)).map_err(|_| no_archive())?;
        let manifest = Manifest::new("", "", String::new());
        let mut archive = Self { zip, manifest };
        let text = archive.read(MANIFEST)?.ok_or_else(no_archive)?;
        archive.manifest = serde_json::from_slice(&text).map_err(|_| no_archive())?;
        Ok(archive)
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the names of the members, but for the manifest.
    ///
    /// # Errors
    /// If one does not stay below the directory of a project.
    pub(super) fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for name in self.zip.file_names() {
            let name = name
                .context("a name in the backup is not valid")?
                .into_owned();
            if !is_plain(&name) {
                return Err(Failure::cannot_run(
                    "the backup has a member outside of a project: nothing was changed",
                ));
            }
            if name != MANIFEST {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Returns a small member. `None` if there is none of this name.
    pub(super) fn read(&mut self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(index) = self.zip.index_for_name(name) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        self.zip
            .by_index(index)
            .context(UNREADABLE)?
            .take(MAX_TEXT)
            .read_to_end(&mut bytes)
            .context(UNREADABLE)?;
        Ok(Some(bytes))
    }

    /// Writes a member into a file.
    pub(super) fn extract(&mut self, name: &str, to: &mut File) -> anyhow::Result<()> {
        let mut member = self.zip.by_name(name).context(UNREADABLE)?;
        if member.compression() != CompressionMethod::Stored {
            return Err(Failure::cannot_run("the backup has a compressed member"));
        }
        io::copy(&mut member, to)
            .and_then(|_| to.sync_all())
            .context("cannot write what the backup holds")
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

const UNREADABLE: &str = "cannot read the backup";

/// Returns true for a relative path of plain names, the same on every system.
fn is_plain(name: &str) -> bool {
    let plain = |component| matches!(component, Component::Normal(_));
    !name.is_empty()
        && !name.contains(['\\', ':'])
        && !name.contains(char::is_control)
        && name.split('/').all(|part| !matches!(part, "" | "."))
        && Path::new(name).components().all(plain)
}

/// Compares the file with the digest at its end.
fn check(file: &mut File, path: &Path) -> anyhow::Result<()> {
    let length = file.metadata().context(UNREADABLE)?.len();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .and_then(|_| file.read_to_end(&mut tail))
        .context(UNREADABLE)?;
    let tail = String::from_utf8_lossy(&tail);
    let comment = tail.rsplit_once(TITLE).map(|(_, comment)| comment);
    let (format, digest) = comment
        .and_then(|comment| comment.split_once(' '))
        .ok_or_else(|| damaged(path))?;
    let format: u32 = format.parse().map_err(|_| damaged(path))?;
    if format > FORMAT {
        return Err(Failure::cannot_run(format!(
            "{} is a backup of version {format}, and this program knows {FORMAT}: use a newer one; \
             nothing was changed",
            path.display()
        )));
    }
    let before = length.checked_sub(DIGITS).ok_or_else(|| damaged(path))?;
    if digest_of(file, before).context(UNREADABLE)? != digest {
        return Err(damaged(path));
    }
    file.rewind().context(UNREADABLE)
}

fn damaged(path: &Path) -> anyhow::Error {
    Failure::cannot_run(format!(
        "{} is no backup of a project, or it was damaged or cut off: nothing was changed; take another \
         copy of it",
        path.display()
    ))
}

/// Returns the digest of the first bytes of a file, in hexadecimal digits.
fn digest_of(file: &mut File, bytes: u64) -> io::Result<String> {
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(bytes))?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_project_are_not_plain() {
        for name in ["project.toml", "export/0123/patients/9-000001"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../project.toml",
            "private/../../x",
            "private//x",
            "./x",
            "x/.",
            "C:x",
            "a\\b",
            "a\nb",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
