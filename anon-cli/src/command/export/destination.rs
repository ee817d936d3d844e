//! Opens the destination of an export.

use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anon_export::{Cancel, DicomSink, DirectorySink, MemorySink, Sink};
use anon_model::ProjectSettings;
use anon_model::settings::file;
use anyhow::Context as _;

use super::Destination;
use crate::args::Export;
use crate::command::Context;
use crate::exit::Failure;
use crate::node::{self, Peer, Purpose};
use crate::project::Project;

impl Destination {
    /// Opens a destination: `s3`, `file:DIR`, or a node.
    pub(super) fn open(
        context: &Context<'_>,
        project: &Project,
        settings: &ProjectSettings,
        args: &Export,
        cancel: &Cancel,
    ) -> anyhow::Result<Self> {
        let name = &*args.destination;
        if name == "s3" {
            return s3(context, project, settings, args, cancel);
        }
        match name.strip_prefix("file:") {
            Some(directory) => {
                let public = project.public(settings.public_dir.as_deref());
                directory_outside(&[project.root(), &public], directory, args)
            }
            None => dicom_node(project, settings, name, cancel),
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
        "this anon was built without S3: use a build with the feature s3, or export to a DICOM node or file:DIR",
    ))
}

/// Opens a directory, which must be outside all of `ours` and outside every other project.
fn directory_outside(
    ours: &[&Path],
    directory: &str,
    args: &Export,
) -> anyhow::Result<Destination> {
    if directory.is_empty() {
        return Err(Failure::configuration(
            "file: names no directory: give one as file:DIR",
        ));
    }
    let path = std::path::absolute(directory)
        .with_context(|| Failure::CannotRun("cannot determine the working directory".into()))?;
    let path = without_links(&path).ok_or_else(|| {
        Failure::configuration(
            "file: goes back (..) from a directory that does not exist: give DIR without that part",
        )
    })?;
    if let Some(why) = refusal(ours, &path) {
        return Err(Failure::configuration(why));
    }
    let address = format!("file:{}", path.display());
    let sink: Arc<dyn Sink> = if args.dry_run && !path.exists() {
        // A dry run creates no directory.
        Arc::new(MemorySink::new())
    } else {
        Arc::new(directory_sink(ours, &path)?)
    };
    Ok(Destination { sink, address })
}

/// Resolves the links of a path as far as it exists, so that a directory has one address before and after it
/// is created. `None` if the rest goes back: where that leads is only known once the rest exists.
fn without_links(path: &Path) -> Option<PathBuf> {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            let goes_back = rest.components().any(|part| part == Component::ParentDir);
            return (!goes_back).then(|| real.components().chain(rest.components()).collect());
        }
    }
    Some(path.to_owned())
}

/// Returns why no export may go to a path, which has no links.
fn refusal(ours: &[&Path], path: &Path) -> Option<String> {
    let is_below = |root: &&Path| without_links(root).is_none_or(|root| path.starts_with(root));
    if ours.iter().any(is_below) {
        return Some(
            "file: is a directory of the project itself: choose one outside it".to_owned(),
        );
    }
    let project = path.ancestors().find(|directory| is_project(directory))?;
    Some(format!(
        "file: is a directory of the project {}: choose one outside every project",
        project.display()
    ))
}

fn is_project(directory: &Path) -> bool {
    directory.join(file::NAME).symlink_metadata().is_ok() && directory.join("private").is_dir()
}

/// Opens a directory where it really lies, which can be another place than a moment ago.
fn directory_sink(ours: &[&Path], path: &Path) -> anyhow::Result<DirectorySink> {
    let mut why = None;
    let sink = DirectorySink::open_where(path, |real| {
        why = refusal(ours, real);
        why.is_none()
    });
    match why {
        Some(why) => Err(Failure::configuration(why)),
        None => {
            sink.with_context(|| Failure::CannotRun(format!("cannot export to {}", path.display())))
        }
    }
}

fn dicom_node(
    project: &Project,
    settings: &ProjectSettings,
    name: &str,
    cancel: &Cancel,
) -> anyhow::Result<Destination> {
    let peer = Peer::resolve(settings, name, Purpose::Export)?;
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
    fn one_directory_has_one_address() {
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
            ("there/../link/../not", "not"),
        ] {
            let real = without_links(&root.join(typed));
            assert_eq!(real, Some(root.join(expected)), "{typed}");
        }
        assert_eq!(without_links(Path::new("/")), Some("/".into()));
        assert_eq!(without_links(&root.join("not/../there")), None);
    }
}
