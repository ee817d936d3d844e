//! Opens the destination that was typed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anon_export::{Cancel, DicomSink, DirectorySink, MemorySink, Sink};
use anon_model::ProjectSettings;
use anyhow::Context as _;

use super::Destination;
use crate::args::Export;
use crate::command::Context;
use crate::exit::Failure;
use crate::node::{self, Peer, Purpose};
use crate::project::Project;

impl Destination {
    /// The destination that was typed: `s3`, `file:DIR`, or a node.
    pub(super) fn typed(
        context: &Context<'_>,
        project: &Project,
        settings: &ProjectSettings,
        args: &Export,
        cancel: &Cancel,
    ) -> anyhow::Result<Self> {
        let typed = &*args.destination;
        if typed == "s3" {
            return s3(context, project, settings, args, cancel);
        }
        match typed.strip_prefix("file:") {
            Some(directory) => {
                let public = project.public(settings.public_dir.as_deref());
                file(&[project.root(), &public], directory, args)
            }
            None => dicom(project, settings, typed, cancel),
        }
    }
}

#[cfg(feature = "s3")]
use super::s3::open as s3;

#[cfg(not(feature = "s3"))]
fn s3(
    _: &Context<'_>,
    _: &Project,
    _: &ProjectSettings,
    _: &Export,
    _: &Cancel,
) -> anyhow::Result<Destination> {
    Err(Failure::configuration(
        "this build of anon has no S3: export to a DICOM node or file:DIR, or build it with the feature s3",
    ))
}

/// A directory outside all of `ours`.
fn file(ours: &[&Path], typed: &str, args: &Export) -> anyhow::Result<Destination> {
    if typed.is_empty() {
        return Err(Failure::configuration("file: names no directory"));
    }
    let path = std::path::absolute(typed)
        .with_context(|| Failure::CannotRun("the working directory cannot be found".into()))?;
    let path = real(&path);
    let is_below = |root: &&Path| path.starts_with(real(root));
    if ours.iter().any(is_below) {
        return Err(Failure::configuration(
            "file: names a directory of the project itself: export to one outside it",
        ));
    }
    let address = format!("file:{}", path.display());
    let sink: Arc<dyn Sink> = if args.dry_run && !path.exists() {
        // Nothing is there, and nothing is to be made.
        Arc::new(MemorySink::new())
    } else {
        Arc::new(open(&path)?)
    };
    Ok(Destination { sink, address })
}

/// The path without links, as far as it exists: one place has one name, whatever leads there, and also
/// before it is made.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.components().chain(rest.components()).collect();
        }
    }
    path.to_owned()
}

fn open(path: &Path) -> anyhow::Result<DirectorySink> {
    DirectorySink::open(path)
        .with_context(|| Failure::CannotRun(format!("cannot export to {}", path.display())))
}

fn dicom(
    project: &Project,
    settings: &ProjectSettings,
    typed: &str,
    cancel: &Cancel,
) -> anyhow::Result<Destination> {
    let peer = Peer::resolve(settings, typed, Purpose::Export)?;
    let scu = node::scu(project, settings, &peer)?;
    let associations = NonZeroUsize::new(settings.export.associations.into());
    let associations = associations.unwrap_or(NonZeroUsize::MIN);
    let address = format!("dicom:{}", peer.node);
    let sink = DicomSink::new(scu, peer.node, associations).with_cancel(cancel);
    Ok(Destination {
        sink: Arc::new(sink),
        address,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("there")).unwrap();
        std::os::unix::fs::symlink(root.join("there"), root.join("link")).unwrap();
        for (typed, expected) in [
            ("there", "there"),
            ("link", "there"),
            ("there/not/yet", "there/not/yet"),
            ("link/not/yet", "there/not/yet"),
            ("not", "not"),
        ] {
            assert_eq!(real(&root.join(typed)), root.join(expected), "{typed}");
        }
        assert_eq!(real(Path::new("/")), Path::new("/"));
    }
}
