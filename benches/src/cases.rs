//! Objects and trees of files, generated from a seed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anon_engine::testing::files::{
    self, LargeImage, Place, Syntax, ct_slice, everything_phi, metadata_heavy, mr_multiframe,
};
use dicom_core::VR;
use tempfile::TempDir;

/// The seed of every case.
pub const SEED: u64 = 47;

/// One object as a Part 10 file.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a name and bytes")]
pub struct Case {
    /// The name in reports.
    pub name: &'static str,
    /// The content of the file.
    pub bytes: Vec<u8>,
}

/// A CT slice of 512 × 512 × 16 bits, 527 KB. Its copy is the reference of all figures.
pub fn ct() -> Case {
    Case {
        name: "ct_slice",
        bytes: ct_slice(&Place::new(SEED)).write(Syntax::ExplicitLittle),
    }
}

/// An object of 20 KB with 200 elements.
pub fn metadata() -> Case {
    Case {
        name: "metadata_heavy",
        bytes: metadata_heavy(&Place::new(SEED)).write(Syntax::ExplicitLittle),
    }
}

/// The same object in implicit VR.
pub fn metadata_implicit() -> Case {
    Case {
        name: "metadata_implicit",
        bytes: metadata_heavy(&Place::new(SEED)).write(Syntax::ImplicitLittle),
    }
}

/// Encapsulated pixel data in 400 fragments of 4 KB.
pub fn encapsulated() -> Case {
    Case {
        name: "encapsulated_400",
        bytes: files::encapsulated(&Place::new(SEED), 400).write(Syntax::JPEG_LOSSLESS),
    }
}

/// Enhanced MR: 64 frames of 64 × 64, whose functional groups hold 1,900 elements.
pub fn multi_frame() -> Case {
    Case {
        name: "mr_multiframe_64",
        bytes: mr_multiframe(&Place::new(SEED), 64, 64).write(Syntax::ExplicitLittle),
    }
}

/// An object with every kind of identifying value.
pub fn phi() -> Case {
    Case {
        name: "everything_phi",
        bytes: everything_phi(&Place::new(SEED)).write(Syntax::ExplicitLittle),
    }
}

type Make = fn() -> Case;

/// The cases in memory: their names, and how they are made.
const IN_MEMORY: [(&str, Make); 6] = [
    ("ct_slice", ct),
    ("metadata_heavy", metadata),
    ("metadata_implicit", metadata_implicit),
    ("encapsulated_400", encapsulated),
    ("mr_multiframe_64", multi_frame),
    ("everything_phi", phi),
];

/// Returns the names of the cases in memory, the CT slice first.
pub fn names() -> impl Iterator<Item = &'static str> {
    IN_MEMORY.iter().map(|(name, _)| *name)
}

/// Makes the case with this name.
pub fn named(name: &str) -> Option<Case> {
    let (_, make) = IN_MEMORY.iter().find(|(known, _)| *known == name)?;
    Some(make())
}

/// Makes all cases in memory, the CT slice first.
pub fn in_memory() -> Vec<Case> {
    IN_MEMORY.iter().map(|(_, make)| make()).collect()
}

/// Creates a directory below `ANON_BENCH_DIR`, or the system's temporary directory. It is removed on drop.
///
/// # Errors
/// If it cannot be created.
pub fn directory() -> io::Result<TempDir> {
    match std::env::var_os("ANON_BENCH_DIR") {
        Some(parent) => {
            fs::create_dir_all(&parent)?;
            tempfile::Builder::new()
                .prefix("anon-bench-")
                .tempdir_in(parent)
        }
        None => tempfile::Builder::new().prefix("anon-bench-").tempdir(),
    }
}

/// A tree of files to import.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "all data of a tree")]
pub struct Tree {
    /// The name in reports.
    pub name: &'static str,
    /// The root directory.
    pub root: PathBuf,
    /// The number of files.
    pub files: u32,
    /// The number of bytes.
    pub bytes: u64,
}

/// Writes CT slices of 527 KB in series of 100.
///
/// # Errors
/// If a file cannot be written.
pub fn ct_tree(parent: &Path, slices: u32) -> io::Result<Tree> {
    tree("ct_slices", parent, slices, |n| {
        Ok(ct_slice(&Place::nth(SEED, n, 100)).write(Syntax::ExplicitLittle))
    })
}

/// Writes files of 17 KB and 200 elements in series of 50.
///
/// # Errors
/// If a file cannot be written.
pub fn small_tree(parent: &Path, files: u32) -> io::Result<Tree> {
    tree("small_files", parent, files, |n| {
        let place = Place::nth(SEED, n, 50);
        let curve = place.noise().bytes(5_800);
        Ok(metadata_heavy(&place)
            .private((0x0029, 0x11, 0x10), "SYNTHETIC CURVE", VR::OB, curve)
            .write(Syntax::ExplicitLittle))
    })
}

/// Writes multi-frame files with `frames` frames of 512 KiB each.
///
/// # Errors
/// If a file cannot be written.
pub fn large_tree(parent: &Path, files: u32, frames: u32) -> io::Result<Tree> {
    let root = parent.join("large_files");
    fs::create_dir_all(&root)?;
    let mut bytes = 0;
    for n in 0..files {
        bytes += large_file(&root.join(format!("{n:05}.dcm")), n, frames)?;
    }
    Ok(Tree {
        name: "large_files",
        root,
        files,
        bytes,
    })
}

/// Writes one multi-frame file, instance number `n`. Returns its length.
///
/// # Errors
/// If it cannot be written.
pub fn large_file(path: &Path, n: u32, frames: u32) -> io::Result<u64> {
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let written = LargeImage::new(Place::nth(SEED, n, 50), frames).write_to(&mut writer)?;
    writer.flush()?;
    Ok(written)
}

/// Writes files into directories of 100.
fn tree(
    name: &'static str,
    parent: &Path,
    files: u32,
    object: impl Fn(u32) -> io::Result<Vec<u8>>,
) -> io::Result<Tree> {
    let root = parent.join(name);
    let mut bytes = 0;
    for n in 0..files {
        let directory = root.join(format!("{:04}", n / 100));
        if n % 100 == 0 {
            fs::create_dir_all(&directory)?;
        }
        let file = object(n)?;
        File::create(directory.join(format!("{n:05}.dcm")))?.write_all(&file)?;
        bytes += file.len() as u64;
    }
    Ok(Tree {
        name,
        root,
        files,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_names_are_those_of_the_cases() {
        let names_of_cases: Vec<&str> = in_memory().iter().map(|case| case.name).collect();
        assert_eq!(names_of_cases, names().collect::<Vec<_>>());
        assert!(named("ct_slice").is_some_and(|case| case.name == "ct_slice"));
        assert!(named("no such case").is_none());
    }
}
